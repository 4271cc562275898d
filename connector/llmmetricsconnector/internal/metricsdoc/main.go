// Command metricsdoc appends the metrics that the connector emits to documentation.md, which mdatagen writes anew: it
// lists only those that the connector tells about itself.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

func main() {
	f, err := os.OpenFile("documentation.md", os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(document(llmmetrics.Instruments()))
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "metricsdoc:", err)
		os.Exit(1)
	}
}

func document(instruments []llmmetrics.Instrument) string {
	var b strings.Builder
	b.WriteString("\n## Emitted Metrics\n\n" +
		"The metrics that the connector derives from spans and log records. The README says when each is emitted, and under which `semconv`. " +
		"Every data point can also have the attributes of `dimensions`, and those of an overflow series have `otel.metric.overflow`.\n")
	for _, in := range instruments {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", in.Name, in.Description)
		if in.Kind == llmmetrics.KindSum {
			fmt.Fprintf(&b, "| Unit | Metric Type | Value Type | Monotonic |\n| ---- | ----------- | ---------- | --------- |\n| %s | Sum | Int | true |\n", in.Unit)
		} else {
			bounds := make([]string, len(in.Bounds))
			for i, bound := range in.Bounds {
				bounds[i] = fmt.Sprint(bound)
			}
			fmt.Fprintf(&b, "| Unit | Metric Type | Value Type | Bucket Boundaries |\n| ---- | ----------- | ---------- | ----------------- |\n| %s | Histogram | Double | %s |\n",
				in.Unit, strings.Join(bounds, ", "))
		}
		b.WriteString("\n#### Attributes\n\n")
		for _, name := range in.Attributes {
			fmt.Fprintf(&b, "- `%s`\n", name)
		}
	}
	return b.String()
}
