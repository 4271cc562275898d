package llmmetrics_test

import (
	"context"
	"math/rand/v2"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
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
// were flushes, in the quietest of many times, since others on the machine make calls wait too.
func BenchmarkBlocked(b *testing.B) {
	const flushes = 2 * time.Second
	data := batches(b, 10_000)
	one := ptrace.NewTraces()
	data[0].CopyTo(one)
	one.ResourceSpans().At(0).ScopeSpans().At(0).Spans().RemoveIf(func() func(ptrace.Span) bool {
		n := 0
		return func(ptrace.Span) bool { n++; return n > 1 }
	}())
	for _, s := range pair() {
		b.Run(s.name, func(b *testing.B) {
			s.config = strings.ReplaceAll(s.config, "flush_interval: 24h", "flush_interval: 1s")
			c := s.create(b, consumertest.NewNop())
			defer func() { require.NoError(b, c.Shutdown(context.Background())) }()
			for _, td := range data {
				require.NoError(b, c.ConsumeTraces(context.Background(), td))
			}
			var longest []float64
			for range 30 * b.N {
				most := time.Duration(0)
				for end := time.Now().Add(flushes); time.Now().Before(end); {
					start := time.Now()
					if err := c.ConsumeTraces(context.Background(), one); err != nil {
						b.Fatal(err)
					}
					most = max(most, time.Since(start))
				}
				longest = append(longest, float64(most)/1e6)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(slices.Min(longest), "ms-blocked")
		})
	}
}
