package e2e

import (
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// replicas are two collectors of the example high-availability on one directory, which elect the one that reads.
type replicas struct {
	t    *testing.T
	sim  *simulator
	env  []string
	pair [2]*collector
}

func startReplicas(t *testing.T, sim *simulator, sink *otlpSink) *replicas {
	r := &replicas{t: t, sim: sim, env: []string{
		"OTLP_ENDPOINT=" + sink.http, "OTELCOL_LANGSMITH_STATE=" + t.TempDir(),
		"KUBECONFIG=" + newLeaseAPI(t).kubeconfig, "K8S_AUTH_TYPE=kubeConfig",
	}}
	for i := range r.pair {
		r.start(i)
	}
	return r
}

func (r *replicas) start(i int) {
	r.pair[i] = runExample(r.t, "high-availability", r.sim, r.env,
		"receivers::langsmith::initial_lookback: 72h",
		"receivers::langsmith::lookback: 1m",
		"extensions::k8s_leader_elector::lease_duration: 3s",
		"extensions::k8s_leader_elector::renew_deadline: 2s",
		"extensions::k8s_leader_elector::retry_period: 500ms")
}

const (
	beginsToRead = "this collector reads LangSmith now"
	stopsReading = "this collector does not read LangSmith any more"
)

func (c *collector) reads() bool {
	out := c.output()
	return strings.LastIndex(out, beginsToRead) > strings.LastIndex(out, stopsReading)
}

// leader waits until one of the replicas reads.
func (r *replicas) leader() int {
	r.t.Helper()
	leader := -1
	eventually(r.t, time.Minute, "one of the replicas reads", func() bool {
		for i, c := range r.pair {
			if c.reads() {
				leader = i
			}
		}
		return leader >= 0
	})
	return leader
}

// The ways in which a leader goes. Each returns once it is gone, or back.
func (r *replicas) kill(i int) {
	r.pair[i].kill()
	r.start(i)
}

func (r *replicas) stop(i int) {
	r.pair[i].stop(r.t)
	r.start(i)
}

// pause stops a process for longer than its lease lasts, in the middle of whatever it does.
func (r *replicas) pause(i int) {
	former, next := r.pair[i], r.pair[1-i]
	require.NoError(r.t, former.cmd.Process.Signal(syscall.SIGSTOP))
	defer func() { _ = former.cmd.Process.Signal(syscall.SIGCONT) }()
	const waits = "cannot use the checkpoint"
	before := strings.Count(next.output(), waits)
	eventually(r.t, time.Minute, "the next leader waits for the storage", func() bool {
		return strings.Count(next.output(), waits) > before
	})
	assert.False(r.t, next.reads())
	time.Sleep(2 * time.Second) // it goes on trying
	assert.Equal(r.t, before+1, strings.Count(next.output(), waits), "it says so once")
	require.NoError(r.t, former.cmd.Process.Signal(syscall.SIGCONT))
	eventually(r.t, time.Minute, "the former leader stops reading", func() bool { return !former.reads() })
}

// TestFailover moves the reading from one collector to the other again and again, in the middle of a history and with
// live traffic beside it. No run may be lost, and only a kill may repeat one: at most a batch of each project.
func TestFailover(t *testing.T) {
	for _, tt := range []struct {
		name      string
		leaves    []func(*replicas, int)
		mayRepeat int // batches of a project
	}{
		{"killed", []func(*replicas, int){(*replicas).kill, (*replicas).kill, (*replicas).kill}, 3},
		{"stopped and paused", []func(*replicas, int){(*replicas).stop, (*replicas).pause, (*replicas).stop, (*replicas).pause}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for leases
			sim := startSimulator(t, "--history", "50000", "--span", "2h", "--rate", "5", "--late-by", "10s")
			// The API answers slowly, so that leaders go in the middle of the history.
			post(t, sim.url+"/admin/faults", []map[string]any{{"match": "runs/query", "kind": "slow", "delay": "400ms"}})
			sink := newOTLPSink(t)
			r := startReplicas(t, sim, sink)
			for _, leaves := range tt.leaves {
				leader := r.leader()
				assert.False(t, r.pair[1-leader].reads(), "one reads at a time")
				eventually(t, time.Minute, "it reads", func() bool { return strings.Contains(r.pair[leader].output(), "reading LangSmith project") })
				time.Sleep(time.Duration(1500+rand.IntN(1500)) * time.Millisecond)
				leaves(r, leader)
			}
			before, _ := sink.received()
			last := r.pair[r.leader()]
			post(t, sim.url+"/admin/faults", []map[string]any{})
			sim.quiesce(t)
			want := sim.runs(t)
			require.Less(t, len(before), len(want), "the history was not read to its end before the last leader")
			times := func() map[string]int {
				spans, _ := sink.received()
				out := map[string]int{}
				for _, s := range spans {
					out[s.str("langsmith.run.id")]++
				}
				return out
			}
			eventually(t, 3*time.Minute, "every run went out by one leader or another", func() bool { return len(times()) >= len(want) })
			eventually(t, time.Minute, "the last leader has caught up", func() bool {
				return counter(families(t, last.telemetry), "otelcol_receiver_langsmith_backlog_windows", nil) == 0
			})

			repeated, projects := 0, map[string]bool{}
			got := times()
			for id, run := range want {
				require.Positive(t, got[id], "%+v", run)
				projects[run.Project] = true
			}
			for id, n := range got {
				_, finished := want[id]
				require.True(t, finished, id)
				repeated += n - 1
			}
			const batch = 1000
			assert.LessOrEqual(t, repeated, tt.mayRepeat*batch*len(projects))
			t.Logf("%d runs, %d of them before the last leader, %d repeated", len(want), len(before), repeated)
		})
	}
}
