package cursor

import (
	"flag"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

var seeds = flag.Int("seeds", 15, "random histories of TestBooks")

// books holds what a project has to know of the runs that went out, by their bucket.
type books struct {
	used map[langsmith.Time]map[langsmith.UUID]usage
	// unknowns counts buckets of which the usage was not known.
	unknowns int
	// saved is what a restart goes back to.
	saved map[langsmith.Time]map[langsmith.UUID]usage
	dirty map[langsmith.Time]bool
	turn  int
}

func (b *books) save() {
	if b != nil {
		for at := range b.dirty {
			b.saved[at] = maps.Clone(b.used[at])
		}
		clear(b.dirty)
	}
}

func (b *books) restart() {
	if b != nil {
		b.used = copied(b.saved)
	}
}

func copied(used map[langsmith.Time]map[langsmith.UUID]usage) map[langsmith.Time]map[langsmith.UUID]usage {
	c := maps.Clone(used)
	for at, runs := range c {
		c[at] = maps.Clone(runs)
	}
	return c
}

func newBooks() *books {
	return &books{
		used: map[langsmith.Time]map[langsmith.UUID]usage{}, saved: map[langsmith.Time]map[langsmith.UUID]usage{}, dirty: map[langsmith.Time]bool{},
	}
}

func (b *books) note(p *Project, id langsmith.UUID, start langsmith.Time, used usage) {
	if b == nil || !p.retained(start) {
		return
	}
	at := bucketStart(start)
	if b.used[at] == nil {
		b.used[at] = map[langsmith.UUID]usage{}
	}
	b.used[at][id], b.dirty[at] = used, true
}

func (b *books) check(t *testing.T, p *Project) {
	if b == nil {
		return
	}
	if b.turn++; b.turn%8 > 0 {
		return
	}
	seen := 0
	for at, runs := range b.used {
		have := p.buckets[at]
		if have == nil || have.count() == 0 { // forgotten
			continue
		}
		seen += have.count()
		require.Equal(t, len(runs), have.count(), "bucket %v", at.AsTime())
		var sum, known Usage
		for _, used := range runs {
			sum.add(used)
		}
		have.usages(&known)
		if known.Unknown {
			b.unknowns++
		} else {
			require.Equal(t, sum.Tokens, known.Tokens, "bucket %v", at.AsTime())
		}
	}
	require.Equal(t, seen, p.Remembered())
}

// TestBooks checks that Known and Remembered are what went out, through updates, faults, restarts and a storage that cannot
// be read at times.
func TestBooks(t *testing.T) {
	unknowns := 0
	for seed := range uint64(*seeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			now := 1000 * hour
			s := newSimulation(t, seed, testConfig, now-2*hour, now)
			r := s.rand
			s.cfg.WindowPages = 3 + r.IntN(20)
			s.cfg.EmitUpdates = r.IntN(3) > 0
			s.cfg.Reconcile = r.IntN(2) == 0
			s.cfg.ReconcileRuns = 50 * r.IntN(2)
			s.away, s.cfg.ResidentBytes, s.cfg.SealRuns = r.IntN(4) > 0, -1, 3*r.IntN(2)
			s.restart()
			s.books = newBooks()
			s.faults = []float64{0, 0.05, 0.2}[r.IntN(3)]
			s.crashes = []float64{0, 0.005, 0.03}[r.IntN(3)]
			s.unread = []float64{0, 0.05, 0.2}[r.IntN(3)]
			s.pageSize = 1 + r.IntN(8)
			for range 100 + r.IntN(800) {
				h := history{start: now - 2*hour + langsmith.Time(r.Int64N(int64(4*hour)/1000)*1000), kind: langsmith.RunTypeLLM}
				if r.IntN(2) == 0 {
					h.start -= h.start % (10 * minute)
				}
				h.arrives = h.start
				if r.IntN(6) == 0 {
					h.arrives = h.start + langsmith.Time(r.Int64N(int64(14*minute)))
				}
				h.ends = max(h.arrives, h.start+langsmith.Time(r.Int64N(int64(20*second))))
				if r.IntN(10) == 0 {
					h.ends += langsmith.Time(r.Int64N(int64(20 * minute)))
				}
				h.priced = h.ends
				for r.IntN(2) == 0 && len(h.edits) < 4 {
					h.edits = append(h.edits, h.ends+langsmith.Time(r.Int64N(int64(25*time.Minute))))
				}
				s.add(h)
			}
			s.runParallel(now+2*hour, 6)
			s.save()
			s.restart() // what was under way is lost
			s.faults, s.crashes, s.unread = 0, 0, 0
			s.runParallel(now+5*hour, 6)
			for _, h := range s.runs {
				n := s.emitted[h.id]
				require.Positive(t, n, "run %x", h.id[8:])
				most := 1
				if s.cfg.EmitUpdates {
					most += len(h.edits)
				}
				require.LessOrEqual(t, n, most, "run %x", h.id[8:])
			}
			windows, _ := s.project.Behind()
			require.Zero(t, windows)
			require.Zero(t, s.project.Waiting())
			require.Zero(t, s.project.Remembered())
			require.Len(t, s.storage, 1)
			unknowns += s.books.unknowns
		})
	}
	t.Logf("%d buckets of which the usage was not known", unknowns)
}
