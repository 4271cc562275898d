package llmmetrics

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// filled has so many series of model calls.
func filled(series, exponential int) *Engine {
	cfg := testConfig()
	cfg.MaxSeries = series
	cfg.ExponentialSize = exponential
	e := New(cfg, at(0))
	for i := range series {
		record(e, "bot", call("model-"+strconv.Itoa(i)))
	}
	return e
}

func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{0, 160} {
		for _, series := range []int{100, 10_000} {
			b.Run("exponential="+strconv.Itoa(size)+"/series="+strconv.Itoa(series), func(b *testing.B) {
				e := filled(series, size)
				all := make([]Observation, series)
				for i := range all {
					all[i] = call("model-" + strconv.Itoa(i*7919%series))
				}
				r := e.Recorder()
				defer r.Release()
				r.SetResource(service("bot"))
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					r.Record(&all[i])
					if i++; i == len(all) {
						i = 0
					}
				}
			})
		}
	}
}

// BenchmarkFlush tells the cost of a flush, and for how long it holds locks: all in all, and at most at a time, since
// it takes the lock of a shard for one series after another. The latter is of the quietest flush: it is the time
// from lock to unlock, in which others on the machine may take the processor.
func BenchmarkFlush(b *testing.B) {
	for _, series := range []int{100, 10_000} {
		b.Run("series="+strconv.Itoa(series), func(b *testing.B) {
			e := filled(series, 0)
			b.ReportAllocs()
			now := time.Duration(0)
			for b.Loop() {
				now += time.Second
				_, stats := e.Flush(at(now), false)
				e.Accept()
				require.Equal(b, 5*series, stats.Points)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*series), "ns/series")
		})
		b.Run("lock/series="+strconv.Itoa(series), func(b *testing.B) {
			e := filled(series, 0)
			for i := range 2 { // zeros, then values
				_, _ = e.Flush(at(time.Duration(i+1)*time.Second), false)
				e.Accept()
			}
			f := &e.flusher
			var held time.Duration
			longest := time.Duration(math.MaxInt64)
			for b.Loop() {
				most := time.Duration(0)
				for _, s := range f.order {
					f.emissions, f.used = f.emissions[:0], 0
					sh := e.shard(s.hash)
					sh.mu.Lock()
					locked := time.Now()
					if !e.expire(s, sh, &Stats{}) {
						e.snapshot(s, pcommon.Timestamp(1), false)
					}
					hold := time.Since(locked)
					sh.mu.Unlock()
					held += hold
					most = max(most, hold)
				}
				f.stamped = f.stamped[:0]
				longest = min(longest, most)
			}
			b.ReportMetric(float64(held.Nanoseconds())/float64(b.N)/1e6, "ms-held/flush")
			b.ReportMetric(float64(longest.Nanoseconds())/1e3, "us-longest-hold")
		})
	}
}
