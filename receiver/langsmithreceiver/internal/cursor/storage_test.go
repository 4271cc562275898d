package cursor

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// shelf is a storage in memory, and counts how often it was read.
type shelf struct {
	values map[string][]byte
	reads  int
}

func (s *shelf) write(t *testing.T, p *Project) {
	for _, c := range changes(t, p) {
		if c.Value == nil {
			delete(s.values, c.Key)
		} else {
			s.values[c.Key] = slices.Clone(c.Value)
		}
	}
	p.Saved()
	p.Release()
}

func (s *shelf) get(keys []string) ([][]byte, error) {
	s.reads++
	values := make([][]byte, len(keys))
	for i, key := range keys {
		values[i] = s.values[key]
	}
	return values, nil
}

// awayStart is when the runs of away started.
func awayStart(n uint64) langsmith.Time { return begin - 10*minute + langsmith.Time(n%3)*bucketLength }

// away is a project that remembers 300 runs of 10 minutes ago, in three buckets, and has all of them in storage only.
func away(t *testing.T, cfg Config) (*Project, *shelf) {
	cfg.ResidentBytes = -1
	p := New(cfg, begin-11*minute)
	p.head, p.swept = begin, begin
	for n := range uint64(300) {
		run := finished(n+1, awayStart(n+1))
		p.remember(p.hash(run.ID), run.Start, revisionOf(run), usageOf(run), previous{})
	}
	p.prune()
	s := &shelf{values: map[string][]byte{}}
	s.write(t, p)
	allAway(t, p)
	return p, s
}

// changedWhileAway is the same with a run of which a sweep saw that it used other tokens since.
func changedWhileAway(t *testing.T) (p *Project, s *shelf, changed *langsmith.Run) {
	cfg := testConfig
	cfg.EmitUpdates = true
	p, s = away(t, cfg)
	sweep := newTask(KindSweep, Window{awayStart(0), awayStart(0) + bucketLength}, begin)
	_, err := p.Recall(sweep, "p", s.get)
	require.NoError(t, err)
	changed = finished(3, awayStart(3))
	changed.TotalTokens.Value = 25
	p.Observe(sweep, changed, begin)
	p.Finish(sweep, begin)
	s.write(t, p)
	allAway(t, p)
	return p, s, changed
}

func allAway(t *testing.T, p *Project) {
	t.Helper()
	for _, b := range p.buckets {
		require.True(t, b.sealed.away())
	}
	require.Len(t, p.buckets, 3)
}

// TestTasksRecallWhatTheyNeed checks that what is away is known again once a task has recalled it, that two tasks can
// need the same, and that it is away again when they have ended.
func TestTasksRecallWhatTheyNeed(t *testing.T) {
	p, s := away(t, testConfig)
	assert.Equal(t, 300, p.Remembered())
	window := Window{awayStart(0), awayStart(0) + bucketLength}
	sweep, backfill := newTask(KindSweep, window, begin), newTask(KindBackfill, Window{window.From, window.To + 1}, begin)
	assert.Equal(t, Decision{}, p.Observe(sweep, finished(3000, awayStart(0)), begin), "nobody knows before it is recalled")
	assert.Equal(t, Decision{}, p.Observe(backfill, finished(3000, awayStart(0)), begin))

	lost, err := p.Recall(sweep, "p", s.get)
	require.NoError(t, err)
	assert.Zero(t, lost)
	assert.Equal(t, 1, s.reads, "one bucket is enough")
	_, err = p.Recall(backfill, "p", s.get)
	require.NoError(t, err)
	assert.Equal(t, 2, s.reads, "the other is in memory")
	_, err = p.Recall(backfill, "p", s.get)
	require.NoError(t, err)

	assert.Equal(t, Decision{}, p.Observe(sweep, finished(3, awayStart(3)), begin))
	assert.Equal(t, Duplicate, p.Observe(backfill, finished(3, awayStart(3)), begin).Action)
	assert.Equal(t, Decision{Action: Wait, Late: true}, p.Observe(sweep, finished(3000, awayStart(0)), begin))
	p.Finish(sweep, begin)
	p.Release()
	assert.Equal(t, Duplicate, p.Observe(backfill, finished(6, awayStart(6)), begin).Action, "still needed")
	p.Stop(backfill, begin)
	p.Release()
	allAway(t, p)

	recheck := p.Urgent(begin)
	require.Equal(t, KindLive, recheck.Kind)
	p.Finish(recheck, begin)
	recheck = p.Urgent(begin)
	require.Equal(t, []langsmith.UUID{id(3000)}, recheck.IDs)
	late := p.Observe(recheck, finished(3000, awayStart(0)), begin)
	require.Equal(t, Emit, late.Action)
	p.Accept([]Entry{late.Entry})
	assert.Equal(t, 301, p.Remembered())
	assert.Equal(t, Duplicate, p.Observe(backfill, finished(3000, awayStart(0)), begin).Action)
}

// TestATaskKeepsWhatItsWindowGets checks that runs which join the window of a task while it is under way stay in memory.
func TestATaskKeepsWhatItsWindowGets(t *testing.T) {
	p, s := away(t, testConfig)
	sweep := newTask(KindSweep, Window{awayStart(0) - 5*minute, awayStart(0)}, begin)
	_, err := p.Recall(sweep, "p", s.get)
	require.NoError(t, err)
	late := finished(1000, awayStart(0)-minute)
	p.Accept([]Entry{{late.ID, late.Start, p.hash(late.ID), revisionOf(late), usageOf(late), previous{}}})
	p.prune()
	require.Equal(t, 1, p.buckets[bucketStart(late.Start)].sealed.n)
	s.write(t, p)
	assert.Equal(t, Wait, p.Observe(sweep, finished(1001, late.Start), begin).Action)
	p.Finish(sweep, begin)
	p.Release()
	assert.True(t, p.buckets[bucketStart(late.Start)].sealed.away())
}

// TestUpdatesOfWhatIsAway checks that a run that a sweep saw changed goes out again while what it was like is away, and
// that it counts once, with what it used last.
func TestUpdatesOfWhatIsAway(t *testing.T) {
	for name, restart := range map[string]bool{"in one go": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			p, s, changed := changedWhileAway(t)
			window := Window{awayStart(0), awayStart(0) + bucketLength}
			var err error
			if restart {
				p, err = Load(p.cfg, "p", s.get)
				require.NoError(t, err)
				p.Release()
			}
			allAway(t, p)
			require.Equal(t, 1, p.Waiting())
			runs, _ := p.Known(window)
			assert.EqualValues(t, 100, runs, "it went out already")

			p.liveDue = begin + hour
			recheck := p.Urgent(begin + minute)
			require.NotNil(t, recheck)
			d := p.Observe(recheck, changed, begin+minute)
			require.Equal(t, EmitUpdated, d.Action)
			p.Accept([]Entry{d.Entry})
			p.Finish(recheck, begin+minute)
			assert.Equal(t, 300, p.Remembered())
			assert.Zero(t, p.Waiting())
			runs, used := p.Known(window)
			assert.EqualValues(t, 100, runs)
			assert.Equal(t, Usage{Tokens: 99*10 + 25, Cost: 50}, used)

			_, err = p.RecallAll("p", s.get)
			require.NoError(t, err)
			live := newTask(KindLive, window, begin+minute)
			assert.Equal(t, Duplicate, p.Observe(live, changed, begin+minute).Action)
		})
	}
}

// TestIDsThatStorageLost checks that no run goes out twice when storage was emptied while ids were away, also after a
// restart, and that nothing of it stays when their time is done with.
func TestIDsThatStorageLost(t *testing.T) {
	p, s := away(t, testConfig)
	delete(s.values, sealedKey("p", bucketStart(awayStart(1)), 0))
	window := Window{awayStart(0), awayStart(2) + bucketLength}
	sweep := newTask(KindSweep, window, begin)
	lost, err := p.Recall(sweep, "p", s.get)
	require.NoError(t, err)
	assert.Equal(t, 100, lost)
	check := func(p *Project) {
		t.Helper()
		assert.Equal(t, 200, p.Remembered())
		for n := range uint64(300) {
			require.Equal(t, Decision{}, p.Observe(sweep, finished(n+1, awayStart(n+1)), begin))
		}
		assert.Zero(t, p.Waiting())
		assert.Equal(t, Decision{}, p.Observe(sweep, finished(3001, awayStart(1)), begin), "nobody knows")
		assert.Equal(t, Wait, p.Observe(sweep, finished(3000, awayStart(0)), begin).Action)
		p.dropWaiting(id(3000), awayStart(0))
	}
	check(p)
	p.Finish(sweep, begin)
	s.write(t, p)
	p, err = load(s.values)
	require.NoError(t, err)
	check(p)

	p.forget(func(Window) bool { return false })
	s.write(t, p)
	assert.Len(t, s.values, 1, "storage is not cleaned up")
	assert.Empty(t, p.buckets)
}

// TestWaitingRunsOutliveLostIDs checks that a run that was seen and did not go out yet still does.
func TestWaitingRunsOutliveLostIDs(t *testing.T) {
	p, s := away(t, testConfig)
	unfinished := finished(3001, awayStart(1))
	p.askFor(unfinished, begin)
	clear(s.values)
	lost, err := p.RecallAll("p", s.get)
	require.NoError(t, err)
	assert.Equal(t, 300, lost)
	p.Rewrite()
	s.write(t, p)
	p, err = load(s.values)
	require.NoError(t, err)
	recheck := p.Urgent(begin + minute)
	for ; recheck.Kind != KindRecheck; recheck = p.Urgent(begin + minute) {
		p.Finish(recheck, begin+minute)
	}
	assert.Equal(t, Emit, p.Observe(recheck, unfinished, begin+minute).Action)
}

// TestStorageThatCannotBeRead checks that a task that cannot recall what it needs changes nothing.
func TestStorageThatCannotBeRead(t *testing.T) {
	p, s := away(t, testConfig)
	sweep := newTask(KindSweep, Window{awayStart(0), awayStart(2) + 1}, begin)
	broken := errors.New("broken")
	_, err := p.Recall(sweep, "p", func(keys []string) ([][]byte, error) {
		if s.reads == 2 {
			return nil, broken
		}
		return s.get(keys)
	})
	require.ErrorIs(t, err, broken)
	p.Stop(sweep, begin)
	p.Release()
	allAway(t, p)
	assert.Equal(t, 300, p.Remembered())
}

// TestBusyProjectsForgetSoon checks that a sweep of a busy project needs little in memory at a time, and that what is
// done with is forgotten every minute, and not only with the next sweep that goes over all.
func TestBusyProjectsForgetSoon(t *testing.T) {
	const aBucket = 30_000
	cfg := testConfig
	cfg.Interval = 10 * time.Second
	p := New(cfg, begin)
	now, next := begin, uint64(1)
	most, sweeps, finals := 0, 0, 0
	for ; now < begin+hour; now += second {
		for task := p.Next(now); task != nil; task = p.Next(now) {
			switch task.Kind {
			case KindLive:
				for at := bucketStart(task.Window.From); at < bucketStart(task.Window.To); at += bucketLength {
					if p.buckets[at] != nil {
						continue
					}
					for range aBucket {
						p.remember(p.hash(id(next)), at, 1, usage{}, previous{})
						next++
					}
				}
			case KindSweep:
				runs, _ := p.Known(Window{bucketStart(task.Window.From), task.Window.To})
				assert.Less(t, runs, int64(sweepRuns+aBucket))
				sweeps++
				if p.lookedBack < p.sweptNext {
					finals++
				}
			}
			task.PageDone()
			p.Finish(task, now)
		}
		if now > begin+20*minute {
			most = max(most, p.Remembered())
		}
	}
	lookback := int(cfg.Lookback/time.Duration(bucketLength)) * aBucket
	assert.Greater(t, most, lookback)
	assert.Less(t, most, lookback+lookback/5)
	assert.Greater(t, finals, 15)
	t.Logf("%d sweeps, %d of them between others; at most %d runs remembered, of %d in the lookback", sweeps, finals, most, lookback)
}

// TestAllIsStoredAnew checks that a storage that was emptied gets back what was recalled before.
func TestAllIsStoredAnew(t *testing.T) {
	p, s := away(t, testConfig)
	before := maps.Clone(s.values)
	_, err := p.RecallAll("p", s.get)
	require.NoError(t, err)
	assert.Equal(t, 3, s.reads)
	p.Rewrite()
	clear(s.values)
	s.write(t, p)
	allAway(t, p)
	assert.Equal(t, before, s.values)
}

// TestABusyBacklogTakesLittle checks that most of what is read of a busy time is sealed before all of it has been read.
func TestABusyBacklogTakesLittle(t *testing.T) {
	p := New(testConfig, begin-hour)
	p.head, p.swept = begin, begin
	start := begin - 10*minute
	p.gaps = p.gaps.add(Window{start, start + second})
	for n := range uint64(100_000) {
		p.remember(p.hash(id(n+1)), start, 1, usage{}, previous{})
		if n%1000 == 0 {
			p.prune()
		}
	}
	b := p.buckets[bucketStart(start)]
	assert.Greater(t, b.sealed.n, 60_000)
	assert.Equal(t, 100_000, p.Remembered())
	live := Window{p.liveFrom(), begin}
	for n := range uint64(100_000) {
		p.remember(p.hash(id(n+1)), live.From, 1, usage{}, previous{})
	}
	p.prune()
	assert.Zero(t, p.buckets[bucketStart(live.From)].sealed.n, "live windows need it at any time")
}
