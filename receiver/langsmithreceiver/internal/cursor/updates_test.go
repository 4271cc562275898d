package cursor

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// sent is a project that remembers a run which may go out again, and the 30 seconds in which that started.
func sent() (p *Project, run *langsmith.Run, window Window) {
	cfg := testConfig
	cfg.EmitUpdates, cfg.ResidentBytes = true, -1
	p = New(cfg, begin-11*minute)
	p.head, p.swept = begin, begin
	window = Window{awayStart(0), awayStart(0) + bucketLength}
	run = finished(1, window.From)
	p.remember(p.hash(run.ID), run.Start, revisionOf(run), usageOf(run), previous{})
	return p, run, window
}

// TestSealedWhileOnItsWay checks that an update counts once if what it replaces was sealed between its row and the
// moment when the pipeline took it.
func TestSealedWhileOnItsWay(t *testing.T) {
	p, run, window := sent()
	run.TotalTokens.Value = 25
	backfill := newTask(KindBackfill, window, begin)
	d := p.Observe(backfill, run, begin)
	require.Equal(t, EmitUpdated, d.Action)
	p.prune() // another task ends
	require.Equal(t, 1, p.buckets[window.From].sealed.n)
	p.Accept([]Entry{d.Entry})
	assert.Equal(t, 1, p.Remembered())
	runs, used := p.Known(window)
	assert.EqualValues(t, 1, runs)
	assert.Equal(t, Usage{Tokens: 25, Cost: 0.5}, used)
}

// TestSecondUpdateIsSealedWhileOnItsWay is the same for a run that had been updated before: what it used last is replaced.
func TestSecondUpdateIsSealedWhileOnItsWay(t *testing.T) {
	p, run, window := sent()
	p.prune()
	backfill := newTask(KindBackfill, window, begin)
	run.TotalTokens.Value = 25
	p.Accept([]Entry{p.Observe(backfill, run, begin).Entry})
	_, used := p.Known(window)
	require.Equal(t, Usage{Tokens: 25, Cost: 0.5}, used)
	run.TotalTokens.Value = 35
	d := p.Observe(backfill, run, begin)
	require.Equal(t, EmitUpdated, d.Action)
	p.prune()
	require.Zero(t, p.buckets[window.From].recent.n)
	p.Accept([]Entry{d.Entry})
	runs, used := p.Known(window)
	assert.EqualValues(t, 1, runs)
	assert.Equal(t, Usage{Tokens: 35, Cost: 0.5}, used)
}

// TestSecondUpdateOfWhatIsAway checks that what a run used last is replaced when a sweep saw its change before the bucket
// was sealed anew and put away.
func TestSecondUpdateOfWhatIsAway(t *testing.T) {
	for name, sealedFirst := range map[string]bool{"sealed and recent": true, "recent": false} {
		t.Run(name, func(t *testing.T) {
			p, run, window := sent()
			s := &shelf{values: map[string][]byte{}}
			if sealedFirst {
				p.prune()
				run.TotalTokens.Value = 25
				p.Accept([]Entry{p.Observe(newTask(KindBackfill, window, begin), run, begin).Entry})
			}
			sweep := newTask(KindSweep, window, begin)
			_, err := p.Recall(sweep, "p", s.get)
			require.NoError(t, err)
			run.TotalTokens.Value = 35
			p.Observe(sweep, run, begin)
			require.Equal(t, 1, p.Waiting())
			p.Finish(sweep, begin)
			p.prune()
			s.write(t, p)
			require.True(t, p.buckets[window.From].sealed.away())
			p.liveDue = begin + hour
			recheck := p.Urgent(begin + minute)
			d := p.Observe(recheck, run, begin+minute)
			require.Equal(t, EmitUpdated, d.Action)
			p.Accept([]Entry{d.Entry})
			p.Finish(recheck, begin+minute)
			runs, used := p.Known(window)
			assert.EqualValues(t, 1, runs)
			assert.Equal(t, Usage{Tokens: 35, Cost: 0.5}, used)
		})
	}
}
