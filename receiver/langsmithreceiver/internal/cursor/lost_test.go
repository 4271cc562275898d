package cursor

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// TestAnUpdateAfterALoss checks the count of a run that went out again after storage lost what it was like.
func TestAnUpdateAfterALoss(t *testing.T) {
	p, s, changed := changedWhileAway(t)
	window := Window{awayStart(0), awayStart(0) + bucketLength}
	clear(s.values)
	// a waiting run of the bucket goes out meanwhile
	other := finished(3003, awayStart(3))
	p.askFor(other, begin)
	_, err := p.RecallAll("p", s.get)
	require.NoError(t, err)
	p.Rewrite()
	p.liveDue = begin + hour
	recheck := p.Urgent(begin + minute)
	d := p.Observe(recheck, other, begin+minute)
	require.Equal(t, Emit, d.Action)
	p.Accept([]Entry{d.Entry})
	p.prune()
	require.Equal(t, 1, p.buckets[window.From].sealed.n)
	d = p.Observe(recheck, changed, begin+minute)
	require.Equal(t, EmitUpdated, d.Action)
	p.Accept([]Entry{d.Entry})
	runs, _ := p.Known(window)
	assert.EqualValues(t, 2, runs)
	assert.Equal(t, 2, p.Remembered())
}

// TestUnreadRunsOutliveLostIDs checks that what was not read yet of a backlog is not left out when storage was emptied
// while the ids of what was read of the same 30 seconds were away.
func TestUnreadRunsOutliveLostIDs(t *testing.T) {
	cfg := testConfig
	cfg.ResidentBytes, cfg.SealRuns = -1, 3
	p := New(cfg, begin-hour)
	p.head, p.swept = begin, begin
	start := begin - 10*minute
	p.gaps = p.gaps.add(Window{start, start + bucketLength})
	s := &shelf{values: map[string][]byte{}}
	backfill := p.backfill(begin)
	_, err := p.Recall(backfill, "p", s.get)
	require.NoError(t, err)
	for n := range langsmith.Time(5) {
		p.Accept([]Entry{p.Observe(backfill, finished(uint64(n+1), start+bucketLength-n*second-microsecond), begin).Entry})
	}
	p.PageDone(backfill)
	p.Stop(backfill, begin) // it is too long, or throttled
	s.write(t, p)
	clear(s.values)
	_, err = p.RecallAll("p", s.get)
	require.NoError(t, err)
	p.Rewrite()
	s.write(t, p)
	backfill = p.backfill(begin)
	_, err = p.Recall(backfill, "p", s.get)
	require.NoError(t, err)
	assert.Equal(t, Emit, p.Observe(backfill, finished(100, start+second), begin).Action)
}

// TestLostUsageStaysUnknown checks that sums of what was lost are not compared, after a restart either.
func TestLostUsageStaysUnknown(t *testing.T) {
	p, s := away(t, testConfig)
	clear(s.values)
	_, err := p.RecallAll("p", s.get)
	require.NoError(t, err)
	window := Window{awayStart(0), awayStart(0) + bucketLength}
	_, used := p.Known(window)
	require.True(t, used.Unknown)
	p.Rewrite()
	s.write(t, p)
	p, err = load(s.values)
	require.NoError(t, err)
	_, used = p.Known(window)
	assert.True(t, used.Unknown)
}
