package cursor

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// remembered is what a map would hold of a run.
type remembered struct {
	start    langsmith.Time
	revision uint32
	usage    usage
}

// TestSealedRunsAreLikeAMap drives what is remembered through random histories of new runs, late ones, updates, seals,
// restarts and forgetting, and has it tell the same as a map.
func TestSealedRunsAreLikeAMap(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			// Without the usage of each run, an update may hide what a bucket used.
			cfg := testConfig
			cfg.EmitUpdates = seed%2 == 0
			width := narrow
			if cfg.EmitUpdates {
				width = wide
			}
			for i := range cfg.HashKey {
				cfg.HashKey[i] = byte(r.Uint32())
			}
			p := New(cfg, begin)
			stored := map[string][]byte{}
			model := map[langsmith.UUID]remembered{}
			hidden := map[langsmith.Time]bool{}
			const buckets = 3
			next := uint64(1)
			for range 60 {
				switch r.IntN(6) {
				case 0, 1: // new ones, and late ones if the bucket is sealed
					for range r.IntN([]int{5, 50, 700}[r.IntN(3)]) {
						run := remembered{begin + langsmith.Time(r.IntN(buckets))*bucketLength, r.Uint32(), usage{r.Uint32N(1000), float32(r.IntN(100)) / 64}}
						p.remember(p.hash(id(next)), run.start, run.revision, run.usage, previous{})
						model[id(next)] = run
						next++
					}
				case 2: // updates
					for range r.IntN(20) {
						n := id(1 + r.Uint64N(next))
						run, ok := model[n]
						if !ok {
							continue
						}
						used := run.usage
						if r.IntN(2) == 0 {
							used.tokens = r.Uint32N(1000)
						}
						hash := p.hash(n)
						if have, _, _ := p.known(hash, run.start); have.sealed && width == narrow && used != run.usage {
							if used.digest() == run.usage.digest() { // is taken for the same
								continue
							}
							hidden[run.start] = true
						}
						run.revision, run.usage = r.Uint32(), used
						p.remember(hash, run.start, run.revision, run.usage, previous{})
						model[n] = run
					}
				case 3:
					p.seal(width, 1, func(Window, bool) bool { return r.IntN(2) == 0 })
				case 4: // stored, and perhaps read again
					for _, c := range changes(t, p) {
						if c.Value == nil {
							delete(stored, c.Key)
						} else {
							stored[c.Key] = slices.Clone(c.Value)
						}
					}
					p.Saved()
					if r.IntN(2) == 0 {
						var err error
						p, err = load(stored)
						require.NoError(t, err)
						p.cfg = cfg
						require.Empty(t, changes(t, p))
					}
				case 5:
					if r.IntN(4) > 0 {
						continue
					}
					gone := begin + langsmith.Time(r.IntN(buckets))*bucketLength
					p.forget(func(w Window) bool { return w.From != gone })
					maps.DeleteFunc(model, func(_ langsmith.UUID, run remembered) bool { return run.start == gone })
					delete(hidden, gone)
				}

				require.Equal(t, len(model), p.Remembered())
				want := map[langsmith.Time]*Usage{}
				for n, run := range model {
					have, ok, _ := p.known(p.hash(n), run.start)
					require.True(t, ok, "forgot a run")
					require.True(t, have.is(run.revision))
					if !have.sealed || width == wide {
						require.False(t, have.is(run.revision+1))
					}
					if want[run.start] == nil {
						want[run.start] = &Usage{}
					}
					want[run.start].add(run.usage)
				}
				for start, sum := range want {
					_, used := p.Known(Window{start, start + bucketLength})
					if used.Unknown {
						require.True(t, hidden[start], "forgot what was used")
						continue
					}
					require.Equal(t, sum.Tokens, used.Tokens)
					require.InDelta(t, sum.Cost, used.Cost, 1e-9)
				}
				for range 100 {
					_, ok, _ := p.known(p.hash(id(next+r.Uint64N(1<<40))), begin+langsmith.Time(r.IntN(buckets))*bucketLength)
					require.False(t, ok, "knows a run that was never there")
				}
			}
			p.forget(func(Window) bool { return false })
			for _, c := range changes(t, p) {
				if c.Value == nil {
					delete(stored, c.Key)
				} else {
					stored[c.Key] = c.Value
				}
			}
			assert.Len(t, stored, 1, "storage is not cleaned up")
		})
	}
}

// TestSealing checks which buckets a project seals, and that what was read before is still known, what changed is
// noticed and what comes late goes out.
func TestSealing(t *testing.T) {
	p, task := live(t)
	for n := range uint64(100) {
		p.Accept([]Entry{p.Observe(task, finished(n+1, begin-40*second), begin).Entry})
		p.Accept([]Entry{p.Observe(task, finished(n+1001, begin-5*second), begin).Entry})
	}
	task.PageDone()
	p.Finish(task, begin)
	old, young := p.buckets[bucketStart(begin-40*second)], p.buckets[bucketStart(begin-5*second)]
	assert.Zero(t, old.sealed.n, "live windows still reach it")
	p.head = begin + 2*minute
	p.gaps = p.gaps.add(Window{begin - 41*second, begin - 39*second})
	p.prune()
	assert.Zero(t, old.sealed.n, "a gap reaches it")
	assert.Equal(t, 100, young.sealed.n)
	assert.Zero(t, young.recent.n)
	p.gaps = nil
	p.prune()
	assert.Equal(t, 100, old.sealed.n)
	assert.Equal(t, 200, p.Remembered())

	now := begin + 2*minute
	again := newTask(KindBackfill, Window{begin - minute, begin}, now)
	p.gaps = p.gaps.add(again.Window)
	assert.Equal(t, Duplicate, p.Observe(again, finished(1, begin-40*second), now).Action)
	changed := finished(2, begin-40*second)
	changed.Tags = []byte(`["seen"]`)
	assert.Equal(t, Updated, p.Observe(again, changed, now).Action)
	assert.Equal(t, Duplicate, p.Observe(again, changed, now).Action)
	late := p.Observe(again, finished(3000, begin-40*second), now)
	require.Equal(t, Emit, late.Action)
	p.Accept([]Entry{late.Entry})
	assert.Equal(t, Duplicate, p.Observe(again, finished(3000, begin-40*second), now).Action)
	assert.Equal(t, 201, p.Remembered())
	p.gaps = nil
	p.prune()
	assert.Equal(t, 2, old.recent.n, "too few to write all of them anew")
}

// TestComparisonsCorrectWhatWasUsed checks that after updates of sealed runs, of which nobody remembers what they had
// used, a comparison that reads all of them makes good for it.
func TestComparisonsCorrectWhatWasUsed(t *testing.T) {
	p, task := live(t)
	for n := range uint64(10) {
		p.Accept([]Entry{p.Observe(task, finished(n+1, begin-40*second), begin).Entry})
	}
	p.seal(narrow, 1, func(Window, bool) bool { return true })
	window := Window{bucketStart(begin - 40*second), bucketStart(begin-40*second) + bucketLength}
	_, used := p.Known(window)
	require.Equal(t, Usage{Tokens: 100, Cost: 5}, used)

	compare := newTask(KindReconcile, window, begin+hour)
	compare.Measure()
	for n := range uint64(10) {
		run := finished(n+1, begin-40*second)
		if n < 3 {
			run.TotalTokens.Value, run.TotalCost.Value = 20, 1
		}
		p.Observe(compare, run, begin+hour)
	}
	_, used = p.Known(window)
	require.True(t, used.Unknown)
	p.Measured(compare)
	runs, used := p.Known(window)
	assert.EqualValues(t, 10, runs)
	assert.Equal(t, Usage{Tokens: 130, Cost: 6.5}, used)
}

// TestHashesThatAgree checks that runs whose hashes differ only where a sealed one is cut do no harm.
func TestHashesThatAgree(t *testing.T) {
	var b bucket
	for hash := range uint64(4) {
		require.True(t, b.put(hash, uint32(hash), usage{tokens: 1}, previous{}))
	}
	b.seal(wide)
	assert.Equal(t, 4, b.count())
	assert.False(t, b.put(5, 5, usage{tokens: 7}, previous{}), "taken for one of them")
	b.seal(wide)
	assert.Equal(t, 4, b.count())
	var used Usage
	b.usages(&used)
	assert.EqualValues(t, 10, used.Tokens)
	for hash := range uint64(4) {
		_, known := b.find(hash)
		assert.True(t, known)
	}
}

// filledSealed is so many runs in compact form.
func filledSealed(n, width int) sealed {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	var all recent
	for range n {
		all.put(r.Uint64(), r.Uint32(), usage{r.Uint32(), r.Float32()})
	}
	return seal(&sealed{}, &all, width)
}

func TestSealedRoundTrip(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 1000, 100_000} {
		for _, width := range []int{narrow, wide} {
			s := filledSealed(n, width)
			got, err := decodeSealed(n, hashBits, s.encode())
			require.NoError(t, err)
			assert.Equal(t, s.block.data, got.block.data)
			r := rand.New(rand.NewPCG(uint64(n), 3))
			for range n {
				hash, revision, used := r.Uint64(), r.Uint32(), usage{r.Uint32(), r.Float32()}
				i := got.find(hash)
				require.GreaterOrEqual(t, i, 0)
				var have known
				have.revision, have.mask = got.revision(i)
				require.True(t, have.is(revision))
				require.False(t, have.is(revision+1))
				if width == wide {
					require.Equal(t, used, got.usage(i))
				}
			}
		}
	}
}

// FuzzDecodeSealed checks that a stored bucket is refused, or can be worked with.
func FuzzDecodeSealed(f *testing.F) {
	for _, n := range []int{1, 40, 200} {
		for _, width := range []int{narrow, wide} {
			s := filledSealed(n, width)
			f.Add(n, s.encode())
		}
	}
	f.Add(0, []byte{0, 1, 0, 0, 0, 0})
	f.Add(1, []byte{200, 1})
	f.Fuzz(func(t *testing.T, n int, value []byte) {
		if n < 0 || n > maxSeenInBucket {
			return
		}
		s, err := decodeSealed(n, hashBits, value)
		if err != nil {
			return
		}
		require.Equal(t, value, s.encode())
		visited := 0
		var late recent
		s.each(make([]bool, n), func(hash uint64, revision uint32, used usage, _ byte) {
			visited++
			require.GreaterOrEqual(t, s.find(hash), 0)
			if visited%3 == 0 {
				late.put(hash, revision+1, used)
			}
		})
		require.Equal(t, n, visited)
		late.put(1<<63, 1, usage{})
		all := seal(&s, &late, wide)
		for position := range late.n {
			i := all.find(late.hash(position))
			require.GreaterOrEqual(t, i, 0)
		}
	})
}

func BenchmarkSealed(b *testing.B) {
	const runs = 90_000
	r := rand.New(rand.NewPCG(1, 2))
	var all recent
	for range runs {
		all.put(r.Uint64(), 1, usage{1, 1})
	}
	s := seal(&sealed{}, &all, narrow)
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			s = seal(&sealed{}, &all, narrow)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/runs, "ns/run")
		b.ReportMetric(float64(len(s.block.data))/runs, "B/run")
	})
	b.Run("find", func(b *testing.B) {
		n := uint64(0)
		for b.Loop() {
			n += 0x9e3779b97f4a7c15
			s.find(n)
		}
	})
}

// TestDigestsDiffer checks that usages that are near each other are told apart as well as others.
func TestDigestsDiffer(t *testing.T) {
	assert.Zero(t, usage{}.digest())
	for _, cost := range []float32{0, 0.001, 1} {
		same := 0
		for tokens := range uint32(1 << 16) {
			if (usage{tokens, cost}).digest() == (usage{tokens + 1, cost}).digest() {
				same++
			}
		}
		assert.Less(t, same, 2*(1<<16)/256)
	}
}
