package cursor

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// reading is a task under way beside others.
type reading struct {
	task    *Task
	rows    []*history
	entries []Entry
	read    bool // a page was read and is on its way out
	broken  bool
}

// observe reads a page, whose runs are on their way out then.
func (s *simulation) observe(r *reading) {
	n := min(s.pageSize, len(r.rows))
	if r.broken = s.rand.Float64() < s.faults; r.broken {
		n = s.rand.IntN(n + 1)
	}
	for _, h := range r.rows[:n] {
		d := s.project.Observe(r.task, h.at(s.now), s.now)
		switch d.Action {
		case Emit, EmitUnfinished, EmitUpdated:
			r.entries = append(r.entries, d.Entry)
		case Updated:
			s.books.note(s.project, h.id, h.start, usageOf(h.at(s.now)))
		}
	}
	r.rows, r.read = r.rows[n:], true
}

// deliver lets the page go out, and reports whether the task ended.
func (s *simulation) deliver(r *reading) (ended bool) {
	for _, e := range r.entries {
		s.emitted[e.ID]++
	}
	for _, e := range r.entries {
		s.books.note(s.project, e.ID, e.Start, e.usage)
	}
	s.project.Accept(r.entries)
	s.books.check(s.t, s.project)
	r.entries, r.read = nil, false
	s.save()
	s.pages++
	if r.broken {
		s.project.Stop(r.task, s.now)
		return true
	}
	s.project.PageDone(r.task)
	switch {
	case len(r.rows) == 0 || r.task.Complete():
		s.project.Finish(r.task, s.now)
	case s.project.Long(r.task):
		s.project.Stop(r.task, s.now)
	default:
		s.books.check(s.t, s.project)
		return false
	}
	s.books.check(s.t, s.project)
	return true
}

// reconcile compares the count, as the poller does, and reports whether the window has to be read.
func (s *simulation) reconcile(r *reading) bool {
	s.reconciled++
	if runs, _ := s.project.Known(r.task.Window); runs != int64(len(r.rows)) {
		return true
	}
	s.project.Finish(r.task, s.now)
	return false
}

// runParallel reads urgent tasks one after the other and others beside them, a page of any at a time.
func (s *simulation) runParallel(end langsmith.Time, lanes int) (most int) {
	var urgent *reading
	var background []*reading
	for s.now < end {
		if urgent == nil {
			if t := s.project.Urgent(s.now); t != nil {
				if s.recall(t) {
					urgent = &reading{task: t, rows: s.rows(t)}
				}
			}
		}
		for len(background) < lanes {
			t := s.project.Background(s.now)
			if t == nil {
				break
			}
			for _, other := range background {
				require.False(s.t, t.Kind == KindBackfill && other.task.Kind == KindBackfill && ranges{other.task.Window}.overlaps(t.Window),
					"two backfills read %v and %v", other.task.Window, t.Window)
			}
			r := &reading{task: t, rows: s.rows(t)}
			if t.Kind == KindReconcile && !s.reconcile(r) {
				continue
			}
			if !s.recall(t) {
				break
			}
			background = append(background, r)
		}
		most = max(most, len(background))
		all := background
		if urgent != nil {
			all = append([]*reading{urgent}, background...)
		}
		if len(all) == 0 {
			s.now = max(s.project.Due(s.now), s.now+second/10)
			continue
		}
		s.now += langsmith.Time(s.rand.Int64N(1e8))
		r := all[s.rand.IntN(len(all))]
		if !r.read {
			s.observe(r)
		} else if s.deliver(r) {
			s.save()
			s.check()
			if r == urgent {
				urgent = nil
			}
			for i, other := range background {
				if other == r {
					background = append(background[:i:i], background[i+1:]...)
					break
				}
			}
		}
		if s.rand.Float64() < s.crashes {
			s.restart()
			urgent, background = nil, nil
			s.books.check(s.t, s.project)
		}
	}
	return most
}

// TestEveryRunOnceInParallel reads disjoint windows beside each other, with what is on its way out lost in crashes.
func TestEveryRunOnceInParallel(t *testing.T) {
	most := 0
	for seed := range uint64(25) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			now := 1000 * hour
			s := newSimulation(t, seed, testConfig, now-3*hour, now)
			r := s.rand
			s.cfg.WindowPages = 3 + r.IntN(20)
			s.away, s.cfg.ResidentBytes, s.cfg.SealRuns = r.IntN(2) == 0, -1, 3*r.IntN(2)
			s.restart()
			s.faults = []float64{0, 0.05, 0.2}[r.IntN(3)]
			s.crashes = []float64{0, 0.005, 0.03}[r.IntN(3)]
			s.pageSize = 1 + r.IntN(8)
			for range 200 + r.IntN(1200) {
				h := history{start: now - 3*hour + langsmith.Time(r.Int64N(int64(4*hour)/1000)*1000), kind: langsmith.RunTypeChain}
				if r.IntN(4) == 0 {
					h.start -= h.start % (5 * minute)
				}
				if r.IntN(10) == 0 {
					h.arrives = h.start + langsmith.Time(r.Int64N(int64(14*minute)))
				}
				h.ends = max(h.arrives, h.start+langsmith.Time(r.Int64N(int64(20*second))))
				if r.IntN(10) == 0 {
					h.ends += langsmith.Time(r.Int64N(int64(hour)))
				}
				h.priced = h.ends
				s.add(h)
			}
			most = max(most, s.runParallel(now+2*hour, 6))
			s.faults, s.crashes = 0, 0
			s.restart() // what was under way is lost
			s.runParallel(now+4*hour, 6)
			for _, h := range s.runs {
				require.Equal(t, 1, s.emitted[h.id], "run %x, which started %v before", h.id[8:], (now - h.start))
			}
			windows, _ := s.project.Behind()
			require.Zero(t, windows)
			require.Zero(t, s.project.Waiting())
			require.Zero(t, s.project.Remembered())
		})
	}
	require.Greater(t, most, 4, "nothing was read in parallel")
}

// TestReconciliation checks that what sweeps cannot find is found when hours are compared with LangSmith, that equal
// hours cost nothing, and that ids are forgotten afterwards.
func TestReconciliation(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			now := 1000*hour + 7*minute
			cfg := testConfig
			cfg.Reconcile = true
			if seed%2 == 0 {
				cfg.ReconcileRuns = 50
			}
			cfg.ResidentBytes = -1
			s := newSimulation(t, seed, cfg, now-hour, now)
			r := s.rand
			s.away = r.IntN(2) == 0
			s.pageSize = 1 + r.IntN(30)
			s.crashes = []float64{0, 0.005}[r.IntN(2)]
			missed := 0
			for range 500 {
				h := history{start: now + langsmith.Time(r.Int64N(int64(3*hour)/1000)*1000), kind: langsmith.RunTypeChain}
				h.arrives = h.start
				// Later than the look back reaches, but before its hour is compared.
				if first := h.start - h.start%hour; cfg.ReconcileRuns == 0 && h.start < first+20*minute && h.start > now+minute && r.IntN(3) == 0 {
					h.arrives += 30 * minute
					missed++
				}
				h.ends = h.arrives + second
				h.priced = h.ends
				s.add(h)
			}
			s.runParallel(now+6*hour, 3)
			for _, h := range s.runs {
				require.Equal(t, 1, s.emitted[h.id], "run %x", h.id[8:])
			}
			if cfg.ReconcileRuns == 0 {
				require.Positive(t, missed)
				require.InDelta(t, 6, s.reconciled, 2)
			} else {
				require.Greater(t, s.reconciled, 8)
			}
			require.Zero(t, s.project.Waiting())
			require.Zero(t, s.project.Remembered())
		})
	}
}

func TestReconciliationGivesUp(t *testing.T) {
	cfg := testConfig
	cfg.Reconcile = true
	now := 1000 * hour
	s := newSimulation(t, 1, cfg, now, now)
	s.add(history{start: now + minute, ends: now + 2*minute, priced: now + 2*minute})
	s.descending = true
	tries := 0
	for s.now < now+8*hour {
		task := s.project.Next(s.now)
		switch {
		case task == nil:
			s.now = max(s.project.Due(s.now), s.now+second)
		case task.Kind == KindReconcile:
			tries++
			s.project.Stop(task, s.now)
		default:
			s.read(task)
		}
	}
	require.Greater(t, tries, 10)
	require.Less(t, tries, 60)
	require.Zero(t, s.project.Remembered(), "kept although it cannot be compared")
}

// TestHalvesHoldNoRunsOnTheirWay checks that a run which one task has read, and which did not go out yet, is never
// inside of what another task takes over: the other one would take it for done.
func TestHalvesHoldNoRunsOnTheirWay(t *testing.T) {
	for _, descending := range []bool{true, false} {
		begin := 1000 * hour
		p := New(testConfig, begin-hour)
		first := p.Next(begin)
		require.Equal(t, KindLive, first.Kind)
		require.GreaterOrEqual(t, first.Window.From, p.gaps[len(p.gaps)-1].To, "the live window reaches into a gap")
		task := p.Background(begin)
		require.Equal(t, KindBackfill, task.Kind)
		require.Nil(t, p.Background(begin), "nothing is known of its window")

		w := task.Window
		at := func(share langsmith.Time) langsmith.Time { // from the end that is read first
			if descending {
				return w.To - (w.To-w.From)/1000*share
			}
			return w.From + (w.To-w.From)/1000*share
		}
		for page := range langsmith.Time(5) {
			p.Accept([]Entry{p.Observe(task, finished(uint64(page)+1, at(20*page+10)), begin).Entry})
			p.PageDone(task)
		}
		onItsWay := at(600)
		require.Equal(t, Emit, p.Observe(task, finished(9, onItsWay), begin).Action)
		half := p.Background(begin)
		require.NotNil(t, half)
		require.False(t, half.Window.Contains(onItsWay), "%v in %v", onItsWay, half.Window)
		require.True(t, task.Window.Contains(onItsWay))
	}
}

// TestTheSmallerWindowEnds checks that a task which lost a half ends where that begins.
func TestTheSmallerWindowEnds(t *testing.T) {
	begin := 1000 * hour
	p := New(testConfig, begin-hour)
	p.Next(begin)
	task := p.Background(begin)
	w := task.Window
	for n := range langsmith.Time(10) {
		p.Accept([]Entry{p.Observe(task, finished(uint64(n+1), w.To-n*second-1000), begin).Entry})
	}
	p.PageDone(task)
	half := p.Background(begin)
	require.NotNil(t, half)
	require.Equal(t, half.Window.To, task.Window.From)
	require.Equal(t, w.From, half.Window.From)
	require.False(t, task.Complete())
	p.Observe(task, finished(50, task.Window.From+second), begin)
	require.False(t, task.Complete())
	require.Equal(t, Ignore, p.Observe(task, finished(51, task.Window.From-1000), begin).Action)
	p.PageDone(task)
	require.True(t, task.Complete())
	p.Finish(task, begin)
	require.Equal(t, ranges{half.Window}, p.gaps)
}
