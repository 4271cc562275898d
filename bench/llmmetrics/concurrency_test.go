package llmmetrics_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// pair are the two that are compared here.
func pair() []subject {
	return slices.DeleteFunc(slices.Clone(subjects), func(s subject) bool {
		return s.name != "llm_metrics" && s.name != "spanmetrics"
	})
}

// BenchmarkTwoCores tells how many times the spans of one goroutine two read in the same time, if each has a core
// for itself: the median of the rounds. It is computed from the time that is spent and the time that is waited for
// locks, because others on the machine take cores away.
func BenchmarkTwoCores(b *testing.B) {
	data := [][]ptrace.Traces{batches(b, 10_000), batches(b, 10_000)}
	for _, s := range pair() {
		b.Run(s.name, func(b *testing.B) {
			c := s.create(b, consumertest.NewNop())
			defer func() { require.NoError(b, c.Shutdown(context.Background())) }()
			rng := rand.New(rand.NewPCG(5, 6))
			consume := func(which ...[]ptrace.Traces) float64 {
				for _, all := range which {
					renew(all, rng)
				}
				var wait sync.WaitGroup
				spent, waited := cpuTime(b), lockTime()
				for _, all := range which {
					wait.Go(func() {
						for _, td := range all {
							if err := c.ConsumeTraces(context.Background(), td); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wait.Wait()
				return float64(cpuTime(b)-spent) + float64(lockTime()-waited)
			}
			consume(data[0])
			var rounds []float64
			for range 9 * b.N {
				alone := consume(data[0]) + consume(data[1])
				rounds = append(rounds, 2*alone/consume(data...))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(rounds), "x-one-core")
		})
	}
}

// lockTime is for how long all goroutines waited for locks.
func lockTime() time.Duration {
	sample := []metrics.Sample{{Name: "/sync/mutex/wait/total:seconds"}}
	metrics.Read(sample)
	return time.Duration(sample[0].Value.Float64() * 1e9)
}

// BenchmarkBlocked tells for how long a flush of 10,000 series keeps a consumer waiting: the longest call while there
// were flushes, and of many such times the median. With a storage all totals are saved each time, because a series was born.
// What a call waits for a processor is left out, and there are more than enough of Go's: others on the machine take them away
// for tens of milliseconds.
func BenchmarkBlocked(b *testing.B) {
	const (
		flushes = 1100 * time.Millisecond // one or two
		pause   = 50 * time.Microsecond   // or else half of the time goes into collecting what calls left
	)
	data := batches(b, 10_000)
	one := ptrace.NewTraces()
	data[0].CopyTo(one)
	one.ResourceSpans().At(0).ScopeSpans().At(0).Spans().RemoveIf(func() func(ptrace.Span) bool {
		n := 0
		return func(ptrace.Span) bool { n++; return n > 1 }
	}())
	span := one.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
	ours := pair()[0]
	stored := ours
	stored.name += "_storage"
	stored.config += "storage: memory\n"
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	for _, s := range append(pair(), stored) {
		b.Run(s.name, func(b *testing.B) {
			s.config = strings.ReplaceAll(s.config, "flush_interval: 24h", "flush_interval: 1s")
			c := s.create(b, consumertest.NewNop())
			defer func() { require.NoError(b, c.Shutdown(context.Background())) }()
			for _, td := range data {
				require.NoError(b, c.ConsumeTraces(context.Background(), td))
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			id, queue := uint64(0), newRunQueue(b)
			var longest []float64
			for range 30 * b.N {
				most := time.Duration(0)
				span.Attributes().PutStr("gen_ai.request.model", "model of "+strconv.FormatUint(id, 10))
				for end := time.Now().Add(flushes); time.Now().Before(end); {
					id++
					span.SetSpanID(pcommon.SpanID(binary.BigEndian.AppendUint64(nil, id))) // no repetition, which would not count
					queued, start := queue.waited(b), time.Now()
					if err := c.ConsumeTraces(context.Background(), one); err != nil {
						b.Fatal(err)
					}
					took := time.Since(start)
					most = max(most, took-(queue.waited(b)-queued))
					time.Sleep(pause)
				}
				longest = append(longest, float64(most)/1e6)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(longest), "ms-blocked")
		})
	}
}

// runQueue tells for how long this thread waited for a processor.
type runQueue struct{ stat *os.File }

func newRunQueue(b *testing.B) runQueue {
	stat, err := os.Open("/proc/thread-self/schedstat")
	require.NoError(b, err)
	b.Cleanup(func() { _ = stat.Close() })
	return runQueue{stat}
}

func (q runQueue) waited(b *testing.B) time.Duration {
	var text [64]byte
	n, _ := q.stat.ReadAt(text[:], 0)
	fields := strings.Fields(string(text[:n]))
	require.GreaterOrEqual(b, len(fields), 2)
	ns, err := strconv.ParseInt(fields[1], 10, 64)
	require.NoError(b, err)
	return time.Duration(ns)
}
