package poller

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// tallies counts how often each run comes, by the number in its id. It does not grow.
type tallies struct {
	mu    sync.Mutex
	times []uint8
}

func (*tallies) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (c *tallies) ConsumeTraces(_ context.Context, traces ptrace.Traces) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range traces.ResourceSpans().All() {
		for _, span := range rs.ScopeSpans().At(0).Spans().All() {
			text, _ := span.Attributes().Get("langsmith.run.id")
			id, err := langsmith.ParseUUID(text.Str())
			if err != nil {
				return err
			}
			c.times[binary.BigEndian.Uint32(id[12:])]++
		}
	}
	return nil
}

// footprint is what a poller holds at some moment.
type footprint struct {
	remembered, waiting int
	values, bytes       int // of the checkpoint
	heap                int
}

// most is the larger of each measure.
func (f footprint) most(g footprint) footprint {
	return footprint{max(f.remembered, g.remembered), max(f.waiting, g.waiting), max(f.values, g.values), max(f.bytes, g.bytes), max(f.heap, g.heap)}
}

func measure(p *Poller, d *disk) (f footprint) {
	for _, w := range p.snapshot() {
		w.mu.Lock()
		f.remembered += w.cursor.Remembered()
		f.waiting += w.cursor.Waiting()
		w.mu.Unlock()
	}
	f.values, f.bytes = d.size()
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers held
	runtime.ReadMemStats(&stats)
	f.heap = int(stats.HeapAlloc)
	return f
}

// TestSoak reads a day of steady traffic, with late, pending, unpriced and edited runs, through rate limits and other
// faults, and looks every hour at what has piled up: nothing may.
func TestSoak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hours, perHour = 25, 3600
		w := newWorld(t)
		w.cursor.Reconcile = true
		w.server.pageSize, w.lookback = 100, 10*time.Minute
		w.server.projects = append(w.server.projects, langsmith.Project{ID: projectID(2), Name: "two"})
		f := newFate(1)
		w.server.fault = func(q langsmith.RunQuery) (int, error) {
			defer f.forget()
			return weather(f, 0.02)(q)
		}
		r := rand.New(rand.NewPCG(1, 1))
		begin := time.Now()
		for n := range hours * perHour {
			start := begin.Add(time.Duration(n) * time.Hour / perHour)
			h := row{project: projectID(1 + r.IntN(2)), id: runID(n), start: start, arrives: start, ends: start.Add(time.Second)}
			switch r.IntN(20) {
			case 0:
				h.arrives = start.Add(time.Duration(r.Int64N(int64(12 * time.Minute))))
			case 1:
				h.ends = start.Add(time.Duration(r.Int64N(int64(90 * time.Minute))))
			case 2:
				if r.IntN(5) == 0 {
					h.ends = time.Time{}
				}
			case 3:
				h.edited = start.Add(time.Duration(r.Int64N(int64(10 * time.Minute))))
			case 4:
				h.repriced = start.Add(time.Duration(r.Int64N(int64(time.Hour))))
			}
			if !h.ends.IsZero() && h.ends.Before(h.arrives) {
				h.ends = h.arrives
			}
			h.priced = h.ends.Add(time.Duration(r.Int64N(int64(40 * time.Second))))
			w.server.rows = append(w.server.rows, h)
		}
		pipeline := &tallies{times: make([]uint8, len(w.server.rows))}
		settings := w.settings()
		settings.Consumer, settings.Storage = pipeline, &client{disk: w.disk}
		p, err := New(t.Context(), settings)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Run(ctx)
		}()

		// At the same minute of every hour, when the one before has been compared. Runs that never end are given up
		// after two hours; what is there from then on must be all that there ever is.
		time.Sleep(50 * time.Minute)
		var most footprint
		for hour := 1; hour <= 24; hour++ {
			time.Sleep(time.Hour)
			now := measure(p, w.disk)
			t.Logf("hour %2d: %+v", hour, now)
			if hour <= 6 {
				most = most.most(now)
				continue
			}
			assert.Less(t, now.remembered, most.remembered*5/4, "hour %d: ids", hour)
			assert.Less(t, now.waiting, most.waiting*5/4, "hour %d: waiting runs", hour)
			assert.Less(t, now.values, most.values*5/4, "hour %d: values of the checkpoint", hour)
			assert.Less(t, now.bytes, most.bytes*5/4, "hour %d: size of the checkpoint", hour)
			assert.Less(t, now.heap, most.heap+1<<20, "hour %d: heap", hour)
		}
		assert.Positive(t, most.waiting)
		assert.Greater(t, most.remembered, perHour/2)
		cancel()
		<-done
		// What started before the last two hours has gone out, once.
		for n, times := range pipeline.times[:(hours-3)*perHour] {
			require.EqualValues(t, 1, times, "run %d: %+v", n, w.server.rows[n])
		}
	})
}
