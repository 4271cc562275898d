package llmmetricsconnector

import (
	"strings"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/sampling"
)

// adjustedCount is the number of spans that a span stands for by its trace state: one in the probability with which
// samplers kept it, which they write as the threshold th of the member ot. It is 1 when there is no threshold, or
// none that can be read.
func adjustedCount(state string) float64 {
	for state != "" {
		var member string
		member, state, _ = strings.Cut(state, ",")
		fields, ok := strings.CutPrefix(strings.Trim(member, " \t"), "ot=")
		if !ok {
			continue
		}
		for fields != "" {
			var field string
			field, fields, _ = strings.Cut(fields, ";")
			if value, ok := strings.CutPrefix(field, "th:"); ok {
				threshold, err := sampling.TValueToThreshold(value)
				if err != nil {
					return 1
				}
				return threshold.AdjustedCount()
			}
		}
		return 1
	}
	return 1
}
