package cursor

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// TestKnownUsage checks that calls of models count once, with what they used last, and that nothing else does.
func TestKnownUsage(t *testing.T) {
	p, task := live(t)
	window := Window{bucketStart(begin - minute), begin}
	chain := finished(1, begin-30*second)
	chain.RunType = langsmith.RunTypeChain
	call := finished(2, begin-40*second)
	parts := finished(3, begin-50*second)
	parts.TotalTokens, parts.PromptTokens, parts.CompletionTokens = langsmith.Count{}, langsmith.Count{Value: 3}, langsmith.Count{Value: 4}
	for _, run := range []*langsmith.Run{chain, call, parts} {
		p.Accept([]Entry{p.Observe(task, run, begin).Entry})
	}
	runs, used := p.Known(window)
	assert.EqualValues(t, 3, runs)
	assert.Equal(t, Usage{Tokens: 17, Cost: 1}, used)

	call.TotalTokens.Value, call.TotalCost.Value = 20, 0.75
	require.Equal(t, Updated, p.Observe(task, call, begin).Action)
	_, used = p.Known(window)
	assert.Equal(t, Usage{Tokens: 27, Cost: 1.25}, used)

	absurd := finished(4, begin-45*second)
	absurd.TotalTokens.Value = 1 << 40
	p.Accept([]Entry{p.Observe(task, absurd, begin).Entry})
	_, used = p.Known(window)
	assert.True(t, used.Unknown)
}

// BenchmarkRemember measures what an id costs that is kept against repeats, in buckets of busy and of quiet projects.
func BenchmarkRemember(b *testing.B) {
	for _, inBucket := range []int{10, 1000, 30_000} {
		b.Run(strconv.Itoa(inBucket), func(b *testing.B) {
			const runs = 300_000
			ids := make([]langsmith.UUID, runs)
			for i := range ids {
				binary.BigEndian.PutUint64(ids[i][:], rand.Uint64())
				binary.BigEndian.PutUint64(ids[i][8:], rand.Uint64())
			}
			heap := func() float64 {
				var stats runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&stats)
				return float64(stats.HeapAlloc)
			}
			var bytes float64
			for b.Loop() {
				b.StopTimer()
				before := heap()
				b.StartTimer()
				m := memory{hasher: newHasher(HashKey{})}
				for i, id := range ids {
					m.remember(m.hash(id), langsmith.Time(i/inBucket)*bucketLength, 1, usage{1, 1}, previous{})
				}
				b.StopTimer()
				bytes = heap() - before
				require.Equal(b, runs, m.seen)
				b.StartTimer()
			}
			b.ReportMetric(bytes/runs, "B/run")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/runs, "ns/run")
		})
	}
}
