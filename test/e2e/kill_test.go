package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestKilledFiftyTimes kills the collector at random moments while it reads 200 000 runs from an API that fails in
// many ways, receiver and connector on one storage. No span is lost; what comes again is at most the one batch of a
// project that was on its way, with the ids it had; and the metrics, which continue from life to life, count every run
// exactly once.
func TestKilledFiftyTimes(t *testing.T) { kill(t, 50, "12h", "1m") }

// TestKilledWhileBusy is the same with a history that is so dense that its ids are in the storage only, and with looks back
// that have to bring them back.
func TestKilledWhileBusy(t *testing.T) { kill(t, 12, "1m", "3m") }

func kill(t *testing.T, kills int, span, lookback string) {
	const history = 200_000
	sim := startSimulator(t, "--history", fmt.Sprint(history), "--span", span, "--rate", "2", "--late-by", "10s")
	const runs = "runs/query"
	post(t, sim.url+"/admin/faults", []map[string]any{
		{"match": runs, "kind": "slow", "delay": "50ms"},
		{"match": runs, "kind": "slow", "delay": "500ms", "probability": 0.05},
		{"match": runs, "kind": "status", "status": 429, "retry_after": "1", "probability": 0.01},
		{"match": runs, "kind": "status", "status": 502, "probability": 0.02},
		{"match": runs, "kind": "truncate", "probability": 0.03},
		{"match": runs, "kind": "reset", "probability": 0.01},
	})
	sink := newOTLPSink(t)
	sink.lean = true
	config := strings.NewReplacer(
		"llm_metrics: {flush_interval: 1s}", "llm_metrics: {flush_interval: 1s, storage: file_storage}",
		"logs: {level: debug}", "logs: {level: info}",
	).Replace(intoSink(t, sink))
	require.Contains(t, config, "storage: file_storage}")
	require.Contains(t, config, "lookback: 1m\n")
	config = strings.Replace(config, "lookback: 1m\n", "lookback: "+lookback+"\n", 1)
	c := newCollector(t, t.TempDir(), config, "{endpoint}", sim.url, "{api_version}", "auto")
	live := func(life int) {
		c.launch(t, "--config", fmt.Sprintf("yaml:exporters::otlp_http::headers: {X-Life: '%d'}", life))
	}
	seed := rand.Uint64()
	chance := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)

	// However fast the collector is and however slow the test, there is something left to read for the last life.
	sink.seen.take(history * 95 / 100)
	begun := time.Now()
	for life := range kills {
		live(life)
		if chance.IntN(5) > 0 { // else it ends while it starts, or soon after
			c.ready(t)
			share := (float64(life) + chance.Float64()) / float64(kills)
			await(t, 2*time.Minute, fmt.Sprintf("life %d gets on", life), sink.seen.reached(int(share*history*9/10)))
		}
		time.Sleep(time.Duration(chance.IntN(300)) * time.Millisecond)
		c.kill()
	}
	before := sink.seen.distinct()
	t.Logf("%d kills within %s; %d runs had gone out, %d repeated", kills, time.Since(begun).Round(time.Second), before, sink.seen.repeated())
	sink.seen.take(0)
	post(t, sim.url+"/admin/faults", []map[string]any{})
	live(kills)
	c.ready(t)
	sim.quiesce(t)
	want := sim.runs(t)
	require.Less(t, before, len(want))
	await(t, 3*time.Minute, "every run went out in one life or another", sink.seen.reached(len(want)))
	c.polls(t, 3)
	calls := sim.totals(t)
	list := c.flushed(t, sim, calls, want)
	c.stop(t)

	compareLives(t, want, sink.seen.snapshot())
	compareTotals(t, sim, calls, want, list)
	t.Logf("%d runs, %d repeated", len(want), sink.seen.repeated())
}

// compareLives holds what came in all lives of a collector against the runs that there are.
func compareLives(t *testing.T, want map[string]simulatedRun, got map[string]arrival) {
	t.Helper()
	lost := 0
	for id, r := range want {
		if len(got[id].lives) == 0 {
			if lost++; lost <= 10 {
				t.Errorf("lost: %+v", r)
			}
		}
	}
	assert.Zero(t, lost)
	exposed := map[string]int{} // runs that came again, by project and by the life that had sent them before
	for id, a := range got {
		r, finished := want[id]
		require.True(t, finished, "span of a run that is not finished: %s", id)
		ids := strings.ReplaceAll(r.TraceID, "-", "") + spanID(want, id)
		if r.ParentID != nil {
			ids += spanID(want, *r.ParentID)
		}
		assert.Equal(t, ids, a.ids, "%+v", r)
		assert.False(t, a.other, "came again with other ids: %+v", r)
		for i := 1; i < len(a.lives); i++ {
			assert.NotEqual(t, a.lives[i-1], a.lives[i], "came twice in one life: %+v", r)
			exposed[r.Project+" in life "+a.lives[i-1]]++
		}
	}
	for where, n := range exposed {
		assert.LessOrEqual(t, n, batchSpans, "repeated of %s", where)
	}
}
