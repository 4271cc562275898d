package poller

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// More histories take longer and find more: go test -run Chaos -histories 10000. A seed that fails is run alone by
// go test -run 'Chaos/seed_17$' -histories 18.
var histories = flag.Int("histories", defaultHistories, "random histories of TestChaos")

// fate decides by what something is, and not by when its turn comes: goroutines that run at the same moment do so in
// any order, and a seed has to give the same history all the same.
type fate struct {
	seed uint64

	mu    sync.Mutex
	times map[uint64]uint64
}

func newFate(seed uint64) *fate { return &fate{seed: seed, times: map[uint64]uint64{}} }

// of returns a source of chance for the next time that this happens.
func (f *fate) of(what ...any) *rand.Rand {
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, f.seed)
	fmt.Fprint(h, what...)
	key := h.Sum64()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.times[key]++
	return rand.New(rand.NewPCG(key, f.times[key]))
}

// forget starts to count anew, so that a long history does not grow.
func (f *fate) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.times) > 1000 {
		clear(f.times)
	}
}

func (f *fate) query(what string, q langsmith.RunQuery) *rand.Rand {
	return f.of(what, q.ProjectID, q.MinStart, q.MaxStart, q.Cursor, q.Fields, len(q.IDs))
}

// weather is faults of all kinds, each as likely as the other. At times everything is refused for a while.
func weather(f *fate, likely float64) func(langsmith.RunQuery) (int, error) {
	return func(q langsmith.RunQuery) (int, error) {
		r := f.query("fault", q)
		if likely > 0 && f.storm(time.Now()) {
			return -1, &langsmith.Error{Op: "query runs", StatusCode: http.StatusTooManyRequests, RetryAfter: time.Duration(r.IntN(60)) * time.Second}
		}
		if r.Float64() >= likely {
			return 0, nil
		}
		switch r.IntN(7) {
		case 0:
			return -1, &langsmith.Error{Op: "query runs", StatusCode: http.StatusTooManyRequests, RetryAfter: time.Duration(r.IntN(30)) * time.Second}
		case 1:
			return -1, status(http.StatusBadGateway)
		case 2:
			return r.IntN(20), &langsmith.Error{Op: "query runs", Err: context.DeadlineExceeded}
		case 3:
			if q.Cursor != "" {
				return -1, &langsmith.Error{Op: "query runs", StatusCode: http.StatusBadRequest, Detail: "cursor has expired"}
			}
			return -1, status(http.StatusServiceUnavailable)
		case 4:
			return r.IntN(50), &langsmith.Error{Op: "query runs", StatusCode: http.StatusOK, Err: errors.New("unexpected EOF")}
		case 5:
			return -1, status(http.StatusForbidden)
		}
		return -1, status(http.StatusInternalServerError)
	}
}

// storm is a minute in which the rate limit refuses everything.
func (f *fate) storm(now time.Time) bool {
	h := fnv.New64a()
	fmt.Fprint(h, f.seed, now.Unix()/60)
	return mix(h.Sum64())%25 == 0
}

// traffic adds n runs over a time, among them late, long and unpriced ones, some that are edited or priced anew, and
// some whose clock is ahead.
func (w *world) traffic(r *rand.Rand, n int, from time.Time, length time.Duration) {
	for range n {
		start := from.Add(time.Duration(r.Int64N(int64(length)))).Truncate(time.Microsecond)
		if r.IntN(4) == 0 {
			start = start.Truncate(time.Minute)
		}
		project := w.server.projects[r.IntN(len(w.server.projects))].ID
		h := row{project: project, id: runID(len(w.server.rows) + 1), start: start, arrives: start}
		switch r.IntN(10) {
		case 0, 1:
			h.arrives = start.Add(time.Duration(r.Int64N(int64(14 * time.Minute))))
		case 2:
			h.arrives = start.Add(-time.Duration(r.Int64N(int64(5 * time.Minute))))
		}
		h.ends = h.arrives.Add(time.Duration(r.Int64N(int64(20 * time.Second))))
		switch r.IntN(15) {
		case 0:
			h.ends = h.arrives.Add(time.Duration(r.Int64N(int64(time.Hour))))
		case 1:
			h.ends = time.Time{}
		}
		h.priced = h.ends.Add(time.Duration(r.Int64N(int64(50 * time.Second))))
		if r.IntN(10) == 0 && !h.ends.IsZero() {
			h.edited = h.ends.Add(time.Duration(r.Int64N(int64(time.Hour))))
		}
		if r.IntN(20) == 0 && !h.ends.IsZero() {
			h.repriced = h.ends.Add(time.Duration(r.Int64N(int64(2 * time.Hour))))
		}
		if r.IntN(3) == 0 {
			h.kind = langsmith.RunTypeChain
		}
		w.server.rows = append(w.server.rows, h)
	}
}

// TestChaos sends random traffic through random faults of server, pipeline, storage and process, in virtual time.
func TestChaos(t *testing.T) {
	for seed := range uint64(*histories) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { chaos(t, seed) })
		})
	}
}

func chaos(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	f := newFate(seed)
	w := newWorld(t)
	for n := range r.IntN(3) {
		w.server.projects = append(w.server.projects, langsmith.Project{ID: projectID(n + 2), Name: fmt.Sprint("project ", n+2)})
	}
	if r.IntN(3) == 0 {
		w.server.api = langsmith.VersionV1
	}
	w.server.pageSize = 1 + r.IntN(60)
	w.sink.mutates = r.IntN(2) == 0
	w.sink.latency = []time.Duration{0, 5 * time.Millisecond, 3 * time.Second}[r.IntN(3)]
	w.cursor.EmitUpdates = r.IntN(4) == 0
	w.cursor.Reconcile = r.IntN(2) == 0
	w.cursor.WindowPages = 2 + r.IntN(20)
	w.cursor.ResidentBytes, w.cursor.SealRuns = -r.IntN(2), 4*r.IntN(2)
	w.traffic(r, r.IntN(500), time.Now().Add(-time.Hour), 3*time.Hour)
	likely := []float64{0, 0.05, 0.3}[r.IntN(3)]
	w.server.fault = weather(f, likely)
	w.server.statsFault = func(q langsmith.CountQuery) error {
		if r := f.of("stats", q.ProjectID, q.MinStart, q.MaxStart); r.Float64() < likely {
			return status([]int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusUnprocessableEntity}[r.IntN(3)])
		}
		return nil
	}
	if r.IntN(4) == 0 {
		w.server.distort = func(sum *langsmith.UsageSum) { sum.Tokens.Value += sum.Tokens.Value / 2 }
	}
	w.server.delay = func(q langsmith.RunQuery) time.Duration {
		return time.Duration(f.query("delay", q).Int64N(int64(time.Second)))
	}
	w.server.deaf = func(q langsmith.RunQuery) bool { return f.query("deaf", q).Float64() < likely/4 }
	w.sink.before = func(n int) error {
		if f.of("sink", n, time.Now().UnixNano()).Float64() < likely {
			return errors.New("queue is full")
		}
		return nil
	}
	unread := 0.
	if r.IntN(2) == 0 {
		unread = likely
	}
	lives := 1 + r.IntN(5)
	begun := time.Now()
	for life := range lives {
		chance := f.of("chance", life).Float64()
		w.chance = func() float64 { return chance }
		w.startWith(func(c *client) {
			c.fault = func() error {
				// Where the reading begins is stored first. A process that is killed before it could do so has not begun.
				if time.Since(begun) > time.Minute && f.of("disk", time.Now().UnixNano()).Float64() < likely/2 {
					return errors.New("disk is full")
				}
				return nil
			}
			started := time.Now()
			c.unread = func() error {
				if time.Since(started) > 0 && f.of("read", time.Now().UnixNano()).Float64() < unread {
					return errors.New("does not answer")
				}
				return nil
			}
		})
		time.Sleep(time.Millisecond + time.Duration(r.Int64N(int64(30*time.Minute))))
		if r.IntN(3) == 0 {
			w.stop()
			w.sink.crashed() // the last write may have failed
		} else {
			w.kill()
		}
		time.Sleep(time.Duration(r.Int64N(int64(20 * time.Minute))))
	}
	w.server.set(func(s *server) { s.fault, s.deaf, s.statsFault = nil, nil, nil })
	w.sink.set(nil, nil)
	w.start()
	time.Sleep(6 * time.Hour)
	w.stop()
	w.check(seed)
}

// TestResume kills the process at every occurrence of every point of the work, and looks what the next one makes of it.
func TestResume(t *testing.T) {
	const pageSize = 40
	// What may come twice is the one batch that the pipeline took and the checkpoint does not tell of: at most a page.
	for _, point := range []struct {
		name string
		// arm calls strike at every occurrence of the point; strike reports whether the process is dead.
		arm func(w *world, c *client, strike func() bool)
	}{
		{"before a request", func(w *world, _ *client, strike func() bool) {
			w.server.fault = func(langsmith.RunQuery) (int, error) {
				if strike() {
					return -1, status(500)
				}
				return 0, nil
			}
		}},
		{"in the middle of a page", func(w *world, _ *client, strike func() bool) {
			w.server.fault = func(langsmith.RunQuery) (int, error) {
				if strike() {
					return 5, errors.New("cut")
				}
				return 0, nil
			}
		}},
		{"at the end of a page", func(w *world, _ *client, strike func() bool) {
			w.server.fault = func(langsmith.RunQuery) (int, error) {
				if strike() {
					return pageSize, errors.New("cut")
				}
				return 0, nil
			}
		}},
		{"before the pipeline takes a batch", func(w *world, _ *client, strike func() bool) {
			w.sink.before = func(int) error {
				if strike() {
					return errors.New("killed")
				}
				return nil
			}
		}},
		{"after the pipeline took a batch", func(w *world, _ *client, strike func() bool) {
			w.sink.after = func() { strike() }
		}},
		{"before a checkpoint", func(_ *world, c *client, strike func() bool) {
			c.fault = func() error {
				if strike() {
					return errors.New("killed")
				}
				return nil
			}
		}},
		{"after a checkpoint", func(_ *world, c *client, strike func() bool) {
			c.wrote = func() {
				if strike() {
					c.frozen = true
				}
			}
		}},
	} {
		for occurrence := 1; ; occurrence++ {
			occurs := false
			t.Run(fmt.Sprint(point.name, " ", occurrence), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.server.pageSize = pageSize
					w.chance = func() float64 { return 0 }
					for n := range 300 {
						start := time.Now().Add(-time.Duration(n) * 10 * time.Second)
						h := row{project: projectID(1), id: runID(n + 1), start: start, arrives: start, ends: start}
						if n%50 == 3 {
							h.ends = time.Now().Add(3 * time.Minute)
							h.priced = h.ends
						}
						w.server.rows = append(w.server.rows, h)
					}
					var mu sync.Mutex
					n, dead := 0, make(chan struct{})
					w.startWith(func(c *client) {
						point.arm(w, c, func() bool {
							mu.Lock()
							defer mu.Unlock()
							if n++; n == occurrence {
								occurs = true
								if point.name != "before a checkpoint" && point.name != "after a checkpoint" {
									c.freeze()
								} else {
									c.frozen = true // its lock is held
								}
								close(dead)
							}
							return n >= occurrence
						})
					})
					select {
					case <-dead:
					case <-time.After(5 * time.Minute):
					}
					w.kill()
					w.server.set(func(s *server) { s.fault = nil })
					w.sink.set(nil, nil)
					w.start()
					time.Sleep(time.Hour)
					w.stop()
					w.check(point.name)
					assert.LessOrEqual(t, w.repeats(), pageSize)
				})
			})
			if !occurs || t.Failed() {
				assert.Greater(t, occurrence, 8, point.name)
				break
			}
		}
	}
}
