package llmmetrics

import (
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

// BenchmarkFlush tells the cost of a flush and, as blocked-ns, for how long it holds the lock of a shard, once
// for each series: nobody waits longer than that.
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
			_, _ = e.Flush(at(time.Second), false)
			f := &e.flusher
			for b.Loop() {
				for _, s := range f.order {
					f.emissions, f.used = f.emissions[:0], 0
					sh := e.shard(s.hash)
					sh.mu.Lock()
					e.snapshot(s, pcommon.Timestamp(1), false)
					sh.mu.Unlock()
				}
				f.stamped = f.stamped[:0]
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*series), "blocked-ns/series")
		})
	}
}

// BenchmarkState tells how long consumers wait while totals are saved, and the size of what is saved.
func BenchmarkState(b *testing.B) {
	for _, series := range []int{100, 10_000} {
		b.Run("series="+strconv.Itoa(series), func(b *testing.B) {
			e := filled(series, 0)
			var state []byte
			for b.Loop() {
				state = e.AppendState(state[:0])
			}
			b.ReportMetric(float64(len(state))/float64(series), "bytes/series")
		})
	}
}
