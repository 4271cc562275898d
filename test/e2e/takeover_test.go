package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// coordinator serves a storage without locks, and leases. It watches that the checkpoint that counts never goes back.
type coordinator struct {
	url string

	mu     sync.Mutex
	values map[string][]byte
	leader string
	until  time.Time
	// onWrite is called before a write is carried out, without the lock.
	onWrite func(reader string, ops []wireOperation)
	heads   map[string]int64 // of the checkpoint that counts, by project
	back    []string
}

const leaseLasts = 3 * time.Second

func newCoordinator(t *testing.T) *coordinator {
	t.Helper()
	c := &coordinator{values: map[string][]byte{}, heads: map[string]int64{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/lease", c.lease)
	mux.HandleFunc("/batch", c.batch)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *coordinator) lease(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reader := r.URL.Query().Get("reader")
	if c.leader == reader || time.Now().After(c.until) {
		c.leader, c.until = reader, time.Now().Add(leaseLasts)
		fmt.Fprint(w, "yes")
		return
	}
	fmt.Fprint(w, "no")
}

func (c *coordinator) batch(w http.ResponseWriter, r *http.Request) {
	var ops []wireOperation
	if err := json.NewDecoder(r.Body).Decode(&ops); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	onWrite := c.onWrite
	c.mu.Unlock()
	if onWrite != nil {
		for _, op := range ops {
			if op.Type != storage.Get {
				onWrite(r.URL.Query().Get("reader"), ops)
				break
			}
		}
	}
	for i := range ops { // one by one: others come in between
		c.mu.Lock()
		switch op := &ops[i]; op.Type {
		case storage.Get:
			op.Value = c.values[op.Key]
		case storage.Set:
			c.values[op.Key] = op.Value
		case storage.Delete:
			delete(c.values, op.Key)
		}
		c.watch()
		c.mu.Unlock()
	}
	_ = json.NewEncoder(w).Encode(ops)
}

// state returns the space whose state counts, empty when there is none. It needs the lock.
func (c *coordinator) state() string {
	var owner struct {
		Space string   `json:"space"`
		From  []string `json:"from"`
	}
	_ = json.Unmarshal(c.values["owner"], &owner)
	for _, space := range append([]string{owner.Space}, owner.From...) {
		if c.values[space+"checkpoint"] != nil {
			return space
		}
	}
	return ""
}

func (c *coordinator) watch() {
	prefix := c.state() + "project/"
	for key, value := range c.values {
		project, ok := strings.CutPrefix(key, prefix)
		if !ok || strings.Contains(project, "/") {
			continue
		}
		var record struct {
			Head int64 `json:"head"`
		}
		_ = json.Unmarshal(value, &record)
		if record.Head < c.heads[project] {
			c.back = append(c.back, fmt.Sprintf("%s: from %d to %d in %s", project, c.heads[project], record.Head, prefix))
		}
		c.heads[project] = record.Head
	}
}

func (c *coordinator) read(get func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	get()
}

// startReader starts one of the processes that read.
func startReader(t *testing.T, name string, sim *simulator, sink *otlpSink, c *coordinator) *process {
	t.Helper()
	encoded, err := json.Marshal(readerSettings{Name: name, LangSmith: sim.url, Sink: sink.http, Coordinator: c.url})
	require.NoError(t, err)
	binary, err := os.Executable()
	require.NoError(t, err)
	p := &process{name: name, done: make(chan struct{}), cmd: exec.Command(binary)}
	p.cmd.Env = append(os.Environ(), readerEnv+"="+string(encoded))
	p.run(t)
	return p
}

// TestAPausedLeaderMovesNothing pauses the leader of two processes on a storage without locks, in the middle of a delivery
// and in the middle of a write that arrives when another one has long gone on. When it wakes up it stops reading, the
// checkpoint does not go back, no run is lost, and at most a batch of each project comes twice.
func TestAPausedLeaderMovesNothing(t *testing.T) {
	for _, in := range []string{"delivery", "write"} {
		t.Run("in a "+in, func(t *testing.T) {
			t.Parallel()
			sim := startSimulator(t, "--history", "20000", "--span", "2h", "--rate", "5", "--late-by", "10s")
			post(t, sim.url+"/admin/faults", []map[string]any{{"match": "runs/query", "kind": "slow", "delay": "400ms"}})
			sink, c := newOTLPSink(t), newCoordinator(t)
			spans := func() int { s, _ := sink.received(); return len(s) }

			var pause sync.Once
			var leader string
			armed, paused, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
			goOn := sync.OnceFunc(func() { close(release) })
			t.Cleanup(goOn) // servers wait for their requests when they close
			readers := map[string]*process{}
			// hold pauses the reader whose request is under way, and reports whether that is to wait.
			hold := func(reader string) bool {
				held := false
				pause.Do(func() {
					held, leader = true, reader
					assert.NoError(t, readers[leader].cmd.Process.Signal(syscall.SIGSTOP))
					close(paused)
				})
				return held
			}
			if in == "delivery" {
				sink.refuse = func() bool {
					select {
					case <-armed:
						var reader string
						c.read(func() { reader = c.leader })
						hold(reader) // the batch arrives, and the process does not hear of it yet
					default:
					}
					return false
				}
			} else {
				c.onWrite = func(reader string, ops []wireOperation) {
					select {
					case <-armed:
					default:
						return
					}
					ofProject := func(op wireOperation) bool { return strings.Contains(op.Key, "project/") }
					if slices.ContainsFunc(ops, ofProject) && hold(reader) {
						<-release
					}
				}
			}
			for _, name := range []string{"a", "b"} {
				readers[name] = startReader(t, name, sim, sink, c)
			}
			eventually(t, time.Minute, "the leader reads", func() bool { return spans() > 500 })
			close(armed)
			select {
			case <-paused:
			case <-time.After(time.Minute):
				require.Fail(t, "the leader does not come to a "+in)
			}
			former := readers[leader]
			defer func() { _ = former.cmd.Process.Signal(syscall.SIGCONT) }()
			next := readers[map[string]string{"a": "b", "b": "a"}[leader]]

			before := spans()
			defer func() {
				if t.Failed() {
					t.Logf("%d spans before the pause, %d now; the next leader:\n%s\nthe former one:\n%s", before, spans(), tail(next.output(), 20), tail(former.output(), 20))
				}
			}()
			eventually(t, 3*time.Minute, "the next one goes on", func() bool { return strings.Contains(next.output(), beginsToRead) && spans() > before+1500 })
			var heads map[string]int64
			var counts string
			c.read(func() { heads, counts = maps.Clone(c.heads), c.state() })
			goOn()
			require.NoError(t, former.cmd.Process.Signal(syscall.SIGCONT))
			eventually(t, time.Minute, "the former leader stops", func() bool { return strings.Contains(former.output(), stopsReading) })

			post(t, sim.url+"/admin/faults", []map[string]any{})
			sim.quiesce(t)
			want := sim.runs(t)
			ids := map[string]string{}
			repeated, projects := 0, map[string]bool{}
			eventually(t, 2*time.Minute, "every run went out", func() bool {
				all, _ := sink.received()
				clear(ids)
				repeated = 0
				for _, s := range all {
					run, id := s.str("langsmith.run.id"), s.TraceID().String()+s.SpanID().String()
					if first, known := ids[run]; known {
						repeated++
						require.Equal(t, first, id, "a repeat has the same ids")
					}
					ids[run] = id
				}
				return len(ids) >= len(want)
			})
			for id, run := range want {
				require.NotEmpty(t, ids[id], "%+v", run)
				projects[run.Project] = true
			}
			assert.LessOrEqual(t, repeated, 1000*len(projects))
			c.read(func() {
				assert.Empty(t, c.back, "the checkpoint went back")
				assert.Equal(t, counts, c.state(), "the checkpoint that counts is that of the next leader")
				for project, head := range c.heads {
					assert.Greater(t, head, heads[project], "it goes on")
				}
			})
			t.Logf("%d runs, %d of them before the pause, %d repeated", len(want), before, repeated)
		})
	}
}
