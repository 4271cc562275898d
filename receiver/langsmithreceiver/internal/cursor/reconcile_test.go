package cursor

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// TestMeasuring checks what a comparison makes of the rows that it reads: runs that changed are noted or asked for, and
// what is only on its way out is told apart.
func TestMeasuring(t *testing.T) {
	for _, emit := range []bool{false, true} {
		p, task := live(t)
		p.cfg.EmitUpdates = emit
		pending := finished(3, begin-20*second)
		pending.End, pending.Status = 0, langsmith.StatusPending
		require.Equal(t, Wait, p.Observe(task, pending, begin).Action)
		for n := range uint64(2) {
			p.Accept([]Entry{p.Observe(task, finished(n+1, begin-30*second), begin).Entry})
		}
		window := Window{bucketStart(begin - minute), begin}
		_, used := p.Known(window)
		require.Equal(t, Usage{Tokens: 20, Cost: 1}, used)

		changed := finished(2, begin-30*second)
		changed.TotalTokens.Value, changed.TotalCost.Value = 30, 2
		same, missing, step := finished(1, begin-30*second), finished(4, begin-10*second), finished(5, begin-10*second)
		missing.ParentID = id(1)
		step.RunType = langsmith.RunTypeChain

		compare := newTask(KindReconcile, window, begin+hour)
		compare.Measure()
		action := Updated
		if emit { // counted when it goes out
			action = Ignore
		}
		assert.Equal(t, Ignore, p.Observe(compare, same, begin+hour).Action)
		assert.Equal(t, action, p.Observe(compare, changed, begin+hour).Action)
		assert.Equal(t, Ignore, p.Observe(compare, finished(3, begin-20*second), begin+hour).Action)
		assert.Equal(t, Wait, p.Observe(compare, missing, begin+hour).Action)
		assert.Equal(t, Wait, p.Observe(compare, step, begin+hour).Action)
		assert.Equal(t, 2, compare.Found())
		read, unsent := compare.Read()
		assert.Equal(t, Usage{Tokens: 60, Cost: 3.5}, read)
		assert.Equal(t, Usage{Tokens: 10, Cost: 0.5}, unsent)
		assert.Equal(t, Usage{Tokens: 10, Cost: 0.5}, compare.Wrapping())
		if !emit {
			_, used = p.Known(window)
			assert.Equal(t, Usage{Tokens: 40, Cost: 2.5}, used)
			assert.Equal(t, Ignore, p.Observe(compare, changed, begin+hour).Action, "told once")
			continue
		}
		// Even if the ids of the hour are forgotten meanwhile, it goes out as one that was known.
		delete(p.buckets, bucketStart(begin-30*second))
		p.putWaiting(Waiting{ID: changed.ID, Start: changed.Start, late: true, changed: true})
		recheck := newTask(KindRecheck, Window{}, begin+hour)
		assert.Equal(t, EmitUpdated, p.Observe(recheck, changed, begin+hour).Action)
	}
}

func TestSameCost(t *testing.T) {
	for _, tt := range []struct {
		a, b float64
		runs int64
		want bool
	}{
		{0, 0, 0, true},
		{0.3, 0.1 + 0.2, 0, true},
		{1000, 1000.0005, 0, true},
		{1000, 1000.01, 0, false},
		{0.001, 0.0010005, 1000, true},
		{0.001, 0.0010005, 100, false},
		{0, 1e-6, 10, false},
	} {
		assert.Equal(t, tt.want, SameCost(tt.a, tt.b, tt.runs), "%+v", tt)
		assert.Equal(t, tt.want, SameCost(tt.b, tt.a, tt.runs), "%+v", tt)
	}
}
