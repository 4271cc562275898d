package cursor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

const (
	second = langsmith.Time(time.Second)
	minute = langsmith.Time(time.Minute)
	hour   = langsmith.Time(time.Hour)
)

// history is one run as it happens: when LangSmith gets to know of what.
type history struct {
	id      langsmith.UUID
	start   langsmith.Time
	arrives langsmith.Time // from when on it is visible
	ends    langsmith.Time // its end is visible from then on; 0 is never
	priced  langsmith.Time // tokens and cost are visible from then on; 0 is never
	kind    langsmith.RunType
	fails   bool
	// edits are when its tokens change.
	edits []langsmith.Time
}

func (h *history) at(now langsmith.Time) *langsmith.Run {
	run := &langsmith.Run{ID: h.id, Start: h.start, RunType: h.kind, Status: langsmith.StatusPending}
	if h.ends != 0 && h.ends <= now {
		run.End, run.Status = h.ends, langsmith.StatusSuccess
		if h.fails {
			run.Status = langsmith.StatusError
		}
		if h.priced != 0 && h.priced <= now {
			run.TotalTokens = langsmith.Count{Value: 10, Valid: true}
			run.TotalCost = langsmith.Number{Value: 0.5, Valid: true}
			for _, at := range h.edits {
				if at <= now {
					run.TotalTokens.Value += 7
				}
			}
		}
	}
	return run
}

// simulation reads a project from a server in memory, with a clock of its own.
type simulation struct {
	t    *testing.T
	rand *rand.Rand
	cfg  Config

	runs       []*history
	sorted     bool
	descending bool
	pageSize   int
	faults     float64 // how likely a page breaks off
	crashes    float64 // how likely a page is followed by a restart

	now     langsmith.Time
	project *Project
	storage map[string][]byte
	emitted map[langsmith.UUID]int
	// unfinished are those that were given up.
	unfinished map[langsmith.UUID]int
	late       int
	pages      int
	reconciled int
	// away has all that is sealed and stored away, and recalls counts how often something came back.
	away    bool
	recalls int
	// unread is how likely the storage cannot be read.
	unread float64
	// books holds what is to be known of the runs that went out, nil when it is not checked.
	books *books
}

func newSimulation(t *testing.T, seed uint64, cfg Config, from, now langsmith.Time) *simulation {
	s := &simulation{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), cfg: cfg, pageSize: 7, now: now,
		storage: map[string][]byte{}, emitted: map[langsmith.UUID]int{}, unfinished: map[langsmith.UUID]int{},
	}
	s.descending = s.rand.IntN(3) > 0
	s.project = New(cfg, from)
	s.save()
	return s
}

func (s *simulation) add(h history) {
	binary.BigEndian.PutUint64(h.id[8:], uint64(len(s.runs)+1))
	if h.arrives == 0 {
		h.arrives = h.start
	}
	s.runs = append(s.runs, &h)
}

func (s *simulation) save() {
	changes, err := s.project.Changes("p")
	require.NoError(s.t, err)
	for _, c := range changes {
		if c.Value == nil {
			delete(s.storage, c.Key)
		} else {
			s.storage[c.Key] = slices.Clone(c.Value)
		}
	}
	s.project.Saved()
	if s.crashes > 0 {
		s.books.save()
	}
	if s.away {
		s.project.Release()
	}
}

// recall brings back what a task needs. When storage cannot be read it stops the task, and returns false a second later.
func (s *simulation) recall(t *Task) bool {
	lost, err := s.project.Recall(t, "p", func(keys []string) ([][]byte, error) {
		if s.unread > 0 && s.rand.Float64() < s.unread {
			return nil, errUnread
		}
		s.recalls++
		return s.get(keys)
	})
	require.Zero(s.t, lost)
	if err != nil {
		require.ErrorIs(s.t, err, errUnread)
		s.project.Stop(t, s.now)
		s.project.Release()
		s.now += second
	}
	return err == nil
}

var errUnread = errors.New("broken")

func (s *simulation) restart() {
	p, err := Load(s.cfg, "p", s.get)
	require.NoError(s.t, err)
	require.NotNil(s.t, p)
	s.project = p
	if s.crashes > 0 {
		s.books.restart()
	}
}

func (s *simulation) get(keys []string) ([][]byte, error) {
	var values [][]byte
	for _, k := range keys {
		values = append(values, s.storage[k])
	}
	return values, nil
}

// rows are what the server answers now.
func (s *simulation) rows(t *Task) []*history {
	if !s.sorted {
		slices.SortStableFunc(s.runs, func(a, b *history) int { return int(min(max(a.start-b.start, -1), 1)) })
		s.sorted = true
	}
	first, _ := slices.BinarySearchFunc(s.runs, t.Window.From, func(h *history, from langsmith.Time) int {
		return int(min(max(h.start-from, -1), 1))
	})
	var rows []*history
	for _, h := range s.runs[first:] {
		if h.start >= t.Window.To {
			break
		}
		if h.arrives <= s.now && (t.IDs == nil || slices.Contains(t.IDs, h.id)) {
			rows = append(rows, h)
		}
	}
	slices.SortStableFunc(rows, func(a, b *history) int {
		if s.descending {
			a, b = b, a
		}
		return int(min(max(a.start-b.start, -1), 1))
	})
	return rows
}

// read reads a task as the poller does.
func (s *simulation) read(t *Task) {
	p := s.project
	if !s.recall(t) {
		return
	}
	rows := s.rows(t)
	for {
		n := min(s.pageSize, len(rows))
		broken := s.rand.Float64() < s.faults
		if broken {
			n = s.rand.IntN(n + 1)
		}
		var entries []Entry
		for _, h := range rows[:n] {
			d := p.Observe(t, h.at(s.now), s.now)
			if d.Late {
				s.late++
			}
			switch d.Action {
			case Emit:
				s.emitted[h.id]++
				entries = append(entries, d.Entry)
				require.NotZero(s.t, h.at(s.now).End, "emitted a run that has not ended")
			case EmitUnfinished:
				s.unfinished[h.id]++
				entries = append(entries, d.Entry)
			}
		}
		p.Accept(entries)
		s.save()
		s.pages++
		if broken {
			p.Stop(t, s.now)
			return
		}
		p.PageDone(t)
		rows = rows[n:]
		if len(rows) == 0 || t.Complete() {
			p.Finish(t, s.now)
			s.check()
			return
		}
		if p.Long(t) {
			p.Stop(t, s.now)
			s.check()
			return
		}
		s.now += langsmith.Time(s.rand.Int64N(int64(300 * time.Millisecond)))
		if s.rand.Float64() < s.crashes {
			s.restart()
			return
		}
		if t.Kind == KindBackfill || t.Kind == KindSweep {
			for urgent := p.Urgent(s.now); urgent != nil; urgent = p.Urgent(s.now) {
				s.read(urgent)
				if s.project != p { // restarted meanwhile
					return
				}
			}
		}
	}
}

// check holds the watermark to its promise: a run that was visible as soon as it started, and started before the
// watermark, has been read.
func (s *simulation) check() {
	safe := s.project.Safe()
	for _, h := range s.runs {
		if h.start < safe && h.arrives == h.start && s.emitted[h.id]+s.unfinished[h.id] == 0 {
			require.NotNil(s.t, s.project.wait(h.id, h.start), "watermark %v is ahead of run %v, which was not read", safe.AsTime(), h.start.AsTime())
		}
	}
}

func (s *simulation) runUntil(end langsmith.Time) {
	for s.now < end {
		if t := s.project.Next(s.now); t != nil {
			s.read(t)
			s.save()
			if s.rand.Float64() < s.crashes {
				s.restart()
			}
			continue
		}
		due := s.project.Due(s.now)
		require.Greater(s.t, due, s.now-1)
		s.now = max(due, s.now+second/10)
	}
}

var testConfig = Config{
	Interval: 30 * time.Second, Lookback: 15 * time.Minute, Settle: time.Minute, PendingTimeout: 3 * time.Hour,
	WindowPages: 3,
}

// TestEveryRunOnce drives random histories with late, pending, unpriced and simultaneous runs through faults,
// outages and restarts.
func TestEveryRunOnce(t *testing.T) {
	histories := 80
	if testing.Short() {
		histories = 15
	}
	for seed := range uint64(histories) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			begin := 1000 * hour
			s := newSimulation(t, seed, testConfig, begin-2*hour, begin)
			r := s.rand
			s.faults = []float64{0, 0.05, 0.3}[r.IntN(3)]
			s.crashes = []float64{0, 0.02, 0.1}[r.IntN(3)]
			s.pageSize = 1 + r.IntN(20)
			s.away, s.cfg.ResidentBytes, s.cfg.SealRuns = r.IntN(2) == 0, -1, 3*r.IntN(2)
			s.restart()
			given := map[langsmith.UUID]bool{}
			first, length := begin-2*hour, 5*hour
			if r.IntN(3) == 0 { // so many that live windows take several pages
				first, length, s.pageSize = begin, 20*minute, 1+r.IntN(3)
			}
			for range r.IntN(600) {
				h := history{start: first + langsmith.Time(r.Int64N(int64(length)/1000)*1000), kind: langsmith.RunTypeLLM}
				if r.IntN(3) == 0 { // crowds
					h.start -= h.start % (10 * minute)
				}
				if r.IntN(2) == 0 {
					h.kind = langsmith.RunTypeChain
				}
				h.fails = r.IntN(10) == 0
				h.arrives = h.start
				if r.IntN(4) == 0 {
					h.arrives += langsmith.Time(r.Int64N(int64(14 * time.Minute)))
				}
				h.ends = max(h.arrives, h.start+langsmith.Time(r.Int64N(int64(20*time.Second))))
				switch r.IntN(12) {
				case 0:
					h.ends = h.arrives + langsmith.Time(r.Int64N(int64(2*time.Hour)))
				case 1:
					h.ends = 0
				}
				if h.ends != 0 {
					h.priced = h.ends + langsmith.Time(r.Int64N(int64(50*time.Second)))
				}
				s.add(h)
			}
			for _, h := range s.runs {
				given[h.id] = h.ends == 0
			}
			middle := begin + hour
			s.runUntil(middle)
			if r.IntN(2) == 0 { // nothing is read for a while
				s.now += langsmith.Time(r.Int64N(int64(time.Hour)))
				s.restart()
			}
			s.faults, s.crashes = s.faults/2, s.crashes/2
			s.runUntil(begin + 7*hour)
			s.faults, s.crashes = 0, 0
			s.runUntil(begin + 8*hour)

			for _, h := range s.runs {
				if given[h.id] {
					require.Equal(t, 1, s.unfinished[h.id], "run %x that never ends", h.id[8:])
					require.Zero(t, s.emitted[h.id])
					continue
				}
				require.Equal(t, 1, s.emitted[h.id], "run %x: start %v, arrives after %v, ends after %v", h.id[8:], h.start.AsTime(),
					time.Duration(h.arrives-h.start), time.Duration(h.ends-h.start))
				require.Zero(t, s.unfinished[h.id])
			}
			require.Zero(t, s.project.Waiting())
			require.Zero(t, s.project.Remembered(), "ids are not forgotten")
			windows, _ := s.project.Behind()
			require.Zero(t, windows)
			require.Len(t, s.storage, 1, "storage is not cleaned up")
		})
	}
}
