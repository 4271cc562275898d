package llmmetrics_test

import (
	"testing"
)

var sinkInt int

// BenchmarkBound is what nobody can beat: to look at every attribute, and to look at every key.
func BenchmarkBound(b *testing.B) {
	data := batches(b, 100)
	for _, keys := range []bool{false, true} {
		name := "attributes"
		if keys {
			name = "keys"
		}
		b.Run(name, func(b *testing.B) {
			before := cpuTime(b)
			i := 0
			for b.Loop() {
				spans := data[i%len(data)].ResourceSpans().At(0).ScopeSpans().At(0).Spans()
				for j := range spans.Len() {
					for k, v := range spans.At(j).Attributes().All() {
						sinkInt += int(v.Type()) + len(k)
						if keys {
							sinkInt += int(k[len(k)-1])
						}
					}
				}
				i++
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N*batchSpans), "cpu-ns/span")
		})
	}
}
