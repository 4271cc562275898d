package poller

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
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

// median is the middle one of a measure.
func median(of []footprint, measure func(footprint) int) int {
	var values []int
	for _, f := range of {
		values = append(values, measure(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
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
	if raceDetector {
		t.Skip("the race detector makes a day take minutes and adds to the heap; TestChaos looks for races")
	}
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

		// At the same minute of every hour, when the one before has been compared, unless that was refused. So it is the
		// median of some hours that tells.
		time.Sleep(50 * time.Minute)
		var day []footprint
		for hour := 1; hour <= 24; hour++ {
			time.Sleep(time.Hour)
			now := measure(p, w.disk)
			t.Logf("hour %2d: %+v", hour, now)
			assert.Less(t, now.remembered, 2*perHour, "hour %d: ids", hour)
			day = append(day, now)
		}
		for name, of := range map[string]func(footprint) int{
			"ids":                 func(f footprint) int { return f.remembered },
			"waiting runs":        func(f footprint) int { return f.waiting },
			"checkpoint's values": func(f footprint) int { return f.values },
			"size of checkpoint":  func(f footprint) int { return f.bytes },
		} {
			// Runs that never end are given up after two hours: what is there then must be all that there ever is.
			early, late := median(day[1:8], of), median(day[17:], of)
			assert.Positive(t, early, name)
			assert.LessOrEqual(t, float64(late), 1.1*float64(early), name)
		}
		assert.Less(t, median(day[17:], func(f footprint) int { return f.heap })-median(day[1:8], func(f footprint) int { return f.heap }), 1<<20, "heap")
		cancel()
		<-done
		// What started before the last two hours has gone out, once.
		for n, times := range pipeline.times[:(hours-3)*perHour] {
			require.EqualValues(t, 1, times, "run %d: %+v", n, w.server.rows[n])
		}
	})
}
