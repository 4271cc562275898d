package llmmetrics_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer/consumertest"
)

// turns is how often it is each connector's turn to read all batches. That is long enough for its series to be in
// the processor's cache, as in a collector that does nothing else.
const turns = 5

// BenchmarkRatios takes turns between the connectors, so that whatever else the machine does hits all of them,
// and tells how many times the processor time of llm_metrics the others take for the same spans: the median of
// the rounds. llm_metrics derives six instruments, as signaltometrics does; spanmetrics, which cannot, two.
func BenchmarkRatios(b *testing.B) {
	for _, series := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprintf("series=%d", series), func(b *testing.B) {
			data := batches(b, series)
			ctx := context.Background()
			rng := rand.New(rand.NewPCG(3, 4))
			subjects := slices.Clone(subjects)
			if series == 100_000 {
				subjects = slices.DeleteFunc(subjects, func(s subject) bool { return strings.HasPrefix(s.name, "signal") })
			}
			connectors := make([]connector.Traces, len(subjects))
			for i, s := range subjects {
				connectors[i] = s.create(b, consumertest.NewNop())
				for _, td := range data {
					require.NoError(b, connectors[i].ConsumeTraces(ctx, td))
				}
			}
			defer debug.SetGCPercent(debug.SetGCPercent(-1)) // nobody is to clean up after another
			runtime.GC()
			times := map[string][]float64{} // ns per span
			for range turns * b.N {
				for i, c := range connectors {
					renew(data, rng)
					heapBefore, before := heapStats(), cpuTime(b)
					for _, td := range data {
						if err := c.ConsumeTraces(ctx, td); err != nil {
							b.Fatal(err)
						}
					}
					worked, heapAfter := cpuTime(b)-before, heapStats()
					before = cpuTime(b)
					runtime.GC()
					collected := cpuTime(b) - before
					// The collector runs once for as much garbage as there is living memory.
					share := float64(heapAfter.TotalAlloc-heapBefore.TotalAlloc) / float64(heapStats().HeapAlloc)
					name := subjects[i].name
					times[name] = append(times[name],
						(float64(worked)+share*float64(collected))/float64(len(data)*batchSpans))
				}
			}
			for _, c := range connectors {
				require.NoError(b, c.Shutdown(ctx))
			}
			ratio := func(of, to string) float64 {
				rounds := make([]float64, len(times[of]))
				for i := range rounds {
					rounds[i] = times[of][i] / times[to][i]
				}
				return median(rounds)
			}
			b.ReportMetric(0, "ns/op") // of all of them together
			b.ReportMetric(median(times["llm_metrics"]), "ns/span")
			b.ReportMetric(ratio("spanmetrics", "llm_metrics"), "x-spanmetrics")
			b.ReportMetric(ratio("spanmetrics", "llm_metrics_default"), "default-x-spanmetrics")
			if series == 100_000 {
				return
			}
			b.ReportMetric(ratio("signaltometrics", "llm_metrics"), "x-signaltometrics")
			b.ReportMetric(median(times["llm_metrics_exponential"]), "exp-ns/span")
			b.ReportMetric(ratio("signaltometrics_exponential", "llm_metrics_exponential"), "x-signaltometrics-exp")
		})
	}
}

func heapStats() (m runtime.MemStats) {
	runtime.ReadMemStats(&m)
	return m
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
