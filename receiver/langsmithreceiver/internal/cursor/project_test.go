package cursor

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

const begin = 1000 * hour

func id(n uint64) (u langsmith.UUID) {
	binary.BigEndian.PutUint64(u[8:], n)
	return u
}

// finished is a model call that has ended, with tokens and cost.
func finished(n uint64, start langsmith.Time) *langsmith.Run {
	return (&history{id: id(n), start: start, ends: start + second, priced: start, kind: langsmith.RunTypeLLM}).at(start + hour)
}

// live returns a project whose first live window is under way.
func live(t *testing.T) (*Project, *Task) {
	t.Helper()
	p := New(testConfig, begin-minute)
	task := p.Next(begin)
	require.NotNil(t, task)
	require.Equal(t, KindLive, task.Kind)
	require.Equal(t, Window{begin - minute, begin}, task.Window)
	return p, task
}

func TestCompleteRunsDoNotWait(t *testing.T) {
	p, task := live(t)
	d := p.Observe(task, finished(1, begin-30*second), begin)
	require.Equal(t, Emit, d.Action)
	assert.Equal(t, Duplicate, p.Observe(task, finished(1, begin-30*second), begin).Action, "in flight")
	p.Accept([]Entry{d.Entry})
	assert.Equal(t, Duplicate, p.Observe(task, finished(1, begin-30*second), begin).Action, "emitted")
	assert.Equal(t, 1, p.Remembered())
}

func TestAbandonedRunsComeAgain(t *testing.T) {
	p, task := live(t)
	d := p.Observe(task, finished(1, begin-30*second), begin)
	p.Abandon([]Entry{d.Entry})
	assert.Equal(t, Emit, p.Observe(task, finished(1, begin-30*second), begin).Action)
}

func TestSettling(t *testing.T) {
	chain := finished(1, begin-30*second)
	chain.RunType = langsmith.RunTypeChain
	chain.TotalTokens, chain.TotalCost = langsmith.Count{}, langsmith.Number{}
	failed := finished(2, begin-30*second)
	failed.Status = langsmith.StatusError
	failed.TotalTokens, failed.TotalCost = langsmith.Count{}, langsmith.Number{}
	bare := finished(3, begin-30*second)
	bare.TotalTokens, bare.TotalCost = langsmith.Count{Valid: true}, langsmith.Number{}
	costless := finished(4, begin-30*second)
	costless.TotalCost = langsmith.Number{}

	p, task := live(t)
	assert.Equal(t, Emit, p.Observe(task, chain, begin).Action, "only model calls have tokens")
	assert.Equal(t, Emit, p.Observe(task, failed, begin).Action, "a failed call may never get any")
	assert.Equal(t, Wait, p.Observe(task, bare, begin).Action, "zero tokens are none")
	assert.Equal(t, Wait, p.Observe(task, costless, begin).Action)
	assert.Equal(t, 2, p.Waiting())

	deadline := bare.End.Add(testConfig.Settle)
	assert.Equal(t, Wait, p.Observe(task, bare, deadline-1).Action)
	assert.Equal(t, Emit, p.Observe(task, bare, deadline).Action, "not longer than settle_delay after the end")
	assert.Equal(t, Emit, p.Observe(task, finished(4, begin-30*second), begin+second).Action, "as soon as the cost is there")
}

func TestRunsWaitForWhatElseIsMissing(t *testing.T) {
	p, task := live(t)
	missing := true
	p.WaitFor(func(*langsmith.Run) bool { return missing })
	run := finished(1, begin-30*second)
	deadline := langsmith.Time(begin).Add(testConfig.Settle)
	assert.Equal(t, Wait, p.Observe(task, run, begin).Action)
	assert.Equal(t, Wait, p.Observe(task, run, deadline-1).Action)
	assert.Equal(t, Emit, p.Observe(task, run, deadline).Action, "not longer than settle_delay after it was first read")

	assert.Equal(t, Wait, p.Observe(task, finished(2, begin-30*second), begin).Action)
	missing = false
	assert.Equal(t, Emit, p.Observe(task, finished(2, begin-30*second), begin+1).Action, "as soon as it is there")
}

// TestRootsAreAskedForByID restarts between a root, which went out, and its child, which waits for what the root tells.
func TestRootsAreAskedForByID(t *testing.T) {
	child := finished(2, begin-30*second)
	child.TraceID = id(1)
	root := finished(1, begin-31*second)
	p, task := live(t)
	known := false
	lacks := func(r *langsmith.Run) bool { return !known && r.ID != root.ID }
	p.WaitFor(lacks)
	require.Equal(t, Wait, p.Observe(task, child, begin).Action)
	p.Accept([]Entry{p.Observe(task, root, begin).Entry})
	p.Finish(task, begin)
	stored := map[string][]byte{}
	changes, err := p.Changes("p")
	require.NoError(t, err)
	for _, c := range changes {
		stored[c.Key] = slices.Clone(c.Value)
	}
	p, err = load(stored)
	require.NoError(t, err)
	p.WaitFor(lacks)

	late := langsmith.Time(begin + hour)
	var recheck *Task
	for recheck == nil {
		next := p.Next(late)
		require.NotNil(t, next, "the child is not asked for")
		if next.Kind == KindRecheck {
			recheck = next
		} else {
			p.Finish(next, late)
		}
	}
	require.Equal(t, []langsmith.UUID{child.ID}, recheck.IDs)
	require.Equal(t, Wait, p.Observe(recheck, child, late).Action, "although its deadline has passed, its root was not asked for")
	p.Finish(recheck, late)

	for recheck = nil; recheck == nil; late += second {
		if next := p.Next(late); next != nil && next.Kind == KindRecheck {
			recheck = next
		} else if next != nil {
			p.Finish(next, late)
		}
	}
	require.Equal(t, []langsmith.UUID{child.ID, root.ID}, recheck.IDs)
	require.True(t, recheck.Window.Contains(root.Start))
	assert.Equal(t, Emit, p.Observe(recheck, child, late).Action, "the root is on the same page")
}

func TestModelsWithoutPriceDoNotWaitTwice(t *testing.T) {
	run := func(n uint64, model string, cost float64) *langsmith.Run {
		r := finished(n, begin-30*second)
		r.TotalCost = langsmith.Number{Value: cost, Valid: cost > 0}
		r.Metadata = []langsmith.Member{{Key: langsmith.Text("ls_model_name"), Value: langsmith.Raw(`"` + model + `"`)}}
		return r
	}
	p, task := live(t)
	require.Equal(t, Wait, p.Observe(task, run(1, "local", 0), begin).Action)
	require.Equal(t, Emit, p.Observe(task, run(1, "local", 0), begin+2*minute).Action)
	assert.Equal(t, Emit, p.Observe(task, run(2, "local", 0), begin).Action, "known to have no price")
	assert.Equal(t, Wait, p.Observe(task, run(3, "other", 0), begin).Action)
	assert.Equal(t, Emit, p.Observe(task, run(4, "local", 0.1), begin).Action)
	assert.Equal(t, Wait, p.Observe(task, run(5, "local", 0), begin).Action, "has a price after all")
}

func TestUpdatesAreToldOnce(t *testing.T) {
	p, task := live(t)
	p.Accept([]Entry{p.Observe(task, finished(1, begin-30*second), begin).Entry})
	changed := finished(1, begin-30*second)
	changed.TotalCost.Value = 0.7
	assert.Equal(t, Updated, p.Observe(task, changed, begin).Action)
	assert.Equal(t, Duplicate, p.Observe(task, changed, begin).Action)

	chain := finished(2, begin-30*second)
	chain.RunType = langsmith.RunTypeChain
	p.Accept([]Entry{p.Observe(task, chain, begin).Entry})
	chain.TotalCost.Value = 0.7
	assert.Equal(t, Duplicate, p.Observe(task, chain, begin).Action, "the sum over its children")
}

func TestUpdatesGoOutAgain(t *testing.T) {
	p, task := live(t)
	p.cfg.EmitUpdates = true
	run := finished(1, begin-30*second)
	p.Accept([]Entry{p.Observe(task, run, begin).Entry})
	assert.Equal(t, Duplicate, p.Observe(task, run, begin).Action)
	run.TotalCost.Value = 0.7
	d := p.Observe(task, run, begin)
	require.Equal(t, EmitUpdated, d.Action)
	assert.Equal(t, Duplicate, p.Observe(task, run, begin).Action, "in flight")
	p.Abandon([]Entry{d.Entry})
	d = p.Observe(task, run, begin)
	require.Equal(t, EmitUpdated, d.Action, "did not go out")
	p.Accept([]Entry{d.Entry})
	assert.Equal(t, Duplicate, p.Observe(task, run, begin).Action)

	// A sweep sees a change and has the run read in full.
	p.Finish(task, begin)
	sweep := newTask(KindSweep, task.Window, begin)
	assert.Equal(t, Ignore, p.Observe(sweep, run, begin).Action)
	assert.Zero(t, p.Waiting())
	run.Tags = []byte(`["late"]`)
	assert.Equal(t, Ignore, p.Observe(sweep, run, begin).Action)
	recheck := p.Urgent(begin + second)
	require.NotNil(t, recheck)
	require.Equal(t, []langsmith.UUID{id(1)}, recheck.IDs)
	d = p.Observe(recheck, run, begin+second)
	require.Equal(t, EmitUpdated, d.Action)
	p.Accept([]Entry{d.Entry})
	p.Finish(recheck, begin+second)
	assert.Zero(t, p.Waiting())

	p.askFor(run, begin)
	recheck = p.Urgent(begin + 2*second)
	require.NotNil(t, recheck)
	assert.Equal(t, Duplicate, p.Observe(recheck, run, begin+2*second).Action)
	assert.Zero(t, p.Waiting(), "asked for in vain")
}

func TestPendingRunsAreReadAgainUntilTheyAreGivenUp(t *testing.T) {
	p, task := live(t)
	pending := &langsmith.Run{ID: id(1), Start: begin - 30*second, Status: langsmith.StatusPending}
	require.Equal(t, Wait, p.Observe(task, pending, begin).Action)
	task.PageDone()
	p.Finish(task, begin)

	now := begin + 10*minute
	var recheck *Task
	for recheck == nil || recheck.Kind != KindRecheck {
		recheck = p.Next(now)
		require.NotNil(t, recheck)
		p.Finish(recheck, now)
	}
	assert.Equal(t, []langsmith.UUID{id(1)}, recheck.IDs)
	assert.Equal(t, Window{pending.Start, pending.Start + microsecond}, recheck.Window)
	assert.Equal(t, Wait, p.Observe(recheck, pending, now).Action)
	assert.Equal(t, EmitUnfinished, p.Observe(recheck, pending, pending.Start.Add(testConfig.PendingTimeout)).Action)
}

func TestRunsThatLangSmithForgotAreGivenUp(t *testing.T) {
	p, task := live(t)
	p.Observe(task, &langsmith.Run{ID: id(1), Start: begin - 30*second}, begin)
	p.Finish(task, begin)
	gone := 0
	for now := begin; now < begin+4*hour; now += minute {
		for task := p.Next(now); task != nil; task = p.Next(now) {
			gone += p.Finish(task, now)
		}
	}
	assert.Equal(t, 1, gone)
	assert.Zero(t, p.Waiting())
}

func TestUnusableRows(t *testing.T) {
	p, task := live(t)
	assert.Equal(t, NoID, p.Observe(task, &langsmith.Run{Start: begin}, begin).Action)
	assert.Equal(t, NoStart, p.Observe(task, &langsmith.Run{ID: id(1)}, begin).Action)
	assert.Equal(t, Ignore, p.Observe(task, finished(2, begin), begin).Action, "the end of the window is not part of it")
	assert.Equal(t, Emit, p.Observe(task, finished(3, begin-minute), begin).Action, "its beginning is")
	recheck := newTask(KindRecheck, Window{}, begin)
	assert.Equal(t, Ignore, p.Observe(recheck, finished(4, begin-minute), begin).Action, "not asked for")
}

// TestBacklogDoesNotStarveLive reads a long backlog and requires the live window to be read in time throughout.
func TestBacklogDoesNotStarveLive(t *testing.T) {
	p := New(testConfig, begin-30*24*hour)
	now, lastLive, pages := begin, begin, 0
	for windows := 1; windows > 0 || pages == 0; windows, _ = p.Behind() {
		task := p.Next(now)
		require.NotNil(t, task)
		for range 2 { // two pages a task, a second each
			now += second
			pages++
			for urgent := p.Urgent(now); task.Kind == KindBackfill && urgent != nil; urgent = p.Urgent(now) {
				require.Equal(t, KindLive, urgent.Kind)
				require.LessOrEqual(t, now-lastLive, 35*second)
				lastLive = now
				p.Finish(urgent, now)
			}
			if task.Kind == KindBackfill {
				require.LessOrEqual(t, task.Window.Length(), maxStep)
				start := task.Window.From + (task.Window.To-task.Window.From)/2
				p.Accept([]Entry{p.Observe(task, finished(uint64(pages), start), now).Entry})
			}
			task.PageDone()
		}
		if task.Kind == KindLive {
			lastLive = now
		}
		p.Finish(task, now)
		require.Less(t, pages, 5000)
	}
	assert.GreaterOrEqual(t, p.Safe(), begin-minute)
}

// TestLongWindowsAreCutWithoutReadingTwice checks that what came in order is kept when a window is cut.
func TestLongWindowsAreCutWithoutReadingTwice(t *testing.T) {
	for _, newestFirst := range []bool{true, false} {
		p := New(testConfig, begin-hour)
		p.Finish(p.Next(begin), begin)
		backfill := p.Next(begin)
		require.Equal(t, KindBackfill, backfill.Kind)
		for page := range testConfig.WindowPages {
			require.False(t, p.Long(backfill))
			for row := range 10 {
				at := begin - hour + langsmith.Time(page*10+row)*second
				if newestFirst {
					at = backfill.Window.To - langsmith.Time(page*10+row+1)*second
				}
				p.Accept([]Entry{p.Observe(backfill, finished(uint64(page*10+row+1), at), begin).Entry})
			}
			backfill.PageDone()
		}
		require.True(t, p.Long(backfill))
		p.Stop(backfill, begin)
		rest := p.Next(begin)
		// The last row's own time stays: another run of the same microsecond may be on the next page.
		if newestFirst {
			assert.Equal(t, Window{begin - hour, backfill.Window.To - 30*second + microsecond}, rest.Window)
		} else {
			assert.Equal(t, begin-hour+29*second, rest.Window.From)
		}
	}
}

// TestUnorderedWindowsAreHalved checks that no order is assumed where none is seen, and that a window that cannot
// be cut is read to its end.
func TestUnorderedWindowsAreHalved(t *testing.T) {
	p := New(testConfig, begin-hour)
	p.Finish(p.Next(begin), begin)
	first := p.Next(begin)
	length := first.Window.Length()
	for n := range 2 * testConfig.WindowPages {
		at := first.Window.From + langsmith.Time(n%2)*second
		p.Observe(first, finished(uint64(n+1), at), begin)
		first.PageDone()
	}
	require.True(t, p.Long(first))
	p.Stop(first, begin)
	for n := 0; ; n++ {
		require.Less(t, n, 20)
		task := p.Next(begin)
		if length = length / 2; length < minStep {
			for range 10 * testConfig.WindowPages {
				p.Observe(task, finished(uint64(1000+n), task.Window.From), begin)
				task.PageDone()
			}
			require.False(t, p.Long(task))
			break
		}
		require.InDelta(t, length, task.Window.Length(), float64(minStep))
		p.Stop(task, begin)
	}
}

// TestAGapThatFailsLetsOthersGoFirst checks that one bad window does not hold up all that follow.
func TestAGapThatFailsLetsOthersGoFirst(t *testing.T) {
	p := New(testConfig, begin-3*hour)
	p.Finish(p.Next(begin), begin)
	p.gaps = p.gaps.remove(Window{begin - 2*hour, begin - hour})
	bad := p.Next(begin)
	require.Equal(t, begin-3*hour, bad.Window.From)
	p.Stop(bad, begin)
	good := p.Next(begin)
	require.Equal(t, begin-hour, good.Window.From)
	p.Finish(good, begin)
	assert.Equal(t, begin-3*hour, p.Next(begin).Window.From, "its turn comes again")
}

func TestBusyProjectsOverlapLess(t *testing.T) {
	p, task := live(t)
	for n := range 6000 { // 100 a second
		p.Accept([]Entry{p.Observe(task, finished(uint64(n+1), begin-minute+langsmith.Time(n)*10*second/1000), begin).Entry})
	}
	task.PageDone()
	p.Finish(task, begin)
	next := p.Next(begin + 30*second)
	assert.Equal(t, Window{begin - 10*second, begin + 30*second}, next.Window)
}

func TestClockThatGoesBack(t *testing.T) {
	p, task := live(t)
	p.Finish(task, begin)
	assert.Nil(t, p.Next(begin-hour))
	next := p.Next(begin + 30*second)
	require.NotNil(t, next)
	assert.Equal(t, begin+30*second, next.Window.To)
}

func TestNothingIsDueInBetween(t *testing.T) {
	p, task := live(t)
	p.Finish(task, begin)
	assert.Nil(t, p.Next(begin+29*second))
	assert.Equal(t, begin+30*second, p.Due(begin+second))
}

func TestRanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var set ranges
		var want [64]bool
		for range 20 {
			from, to := langsmith.Time(r.IntN(64)), langsmith.Time(r.IntN(65))
			add := r.IntN(3) > 0
			if add {
				set = set.add(Window{from, to})
			} else {
				set = set.remove(Window{from, to})
			}
			for i := from; i < to; i++ {
				want[i] = add
			}
			for i, in := range want {
				require.Equal(t, in, set.contains(langsmith.Time(i)))
				require.Equal(t, in, set.overlaps(Window{langsmith.Time(i), langsmith.Time(i + 1)}))
			}
			for i, w := range set {
				require.False(t, w.Empty())
				require.True(t, i == 0 || set[i-1].To < w.From, "%v", set)
			}
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	p := New(testConfig, begin-minute)
	task := p.Next(begin)
	run := finished(1, begin-30*second)
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		n++
		binary.BigEndian.PutUint64(run.ID[8:], n)
		run.Start = begin - minute + langsmith.Time(n%59)*second
		p.Accept([]Entry{p.Observe(task, run, begin).Entry})
		if n%100_000 == 0 {
			b.StopTimer()
			p = New(testConfig, begin-minute)
			task = p.Next(begin)
			b.StartTimer()
		}
	}
}
