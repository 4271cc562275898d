package llmmetricsconnector

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// telemetry is what the connector tells about itself.
type telemetry struct {
	builder  *metadata.TelemetryBuilder
	outcomes [outcomeCount][]metric.AddOption // made once: this is used for every batch

	add    metric.AddOption
	record metric.RecordOption

	overflowed int64 // told so far; of the flushing goroutine
}

func newTelemetry(set connector.Settings) (*telemetry, error) {
	builder, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	id := attribute.String("connector", set.ID.String())
	only := metric.WithAttributeSet(attribute.NewSet(id))
	t := &telemetry{builder: builder, add: only, record: only}
	for o, name := range outcomeNames {
		set := attribute.NewSet(id, attribute.String("outcome", name))
		t.outcomes[o] = []metric.AddOption{metric.WithAttributeSet(set)}
	}
	return t, nil
}

func (t *telemetry) spans(ctx context.Context, counts outcomeCounts) {
	for o, n := range counts {
		if n > 0 {
			t.builder.ConnectorLlmMetricsSpans.Add(ctx, n, t.outcomes[o]...)
		}
	}
}

// flush tells about one flush, which failed if err is not nil.
func (t *telemetry) flush(ctx context.Context, engine *llmmetrics.Engine, stats llmmetrics.Stats, took time.Duration, err error) {
	if err == nil {
		t.builder.ConnectorLlmMetricsDataPoints.Add(ctx, int64(stats.Points), t.add)
	} else {
		t.builder.ConnectorLlmMetricsFlushFailures.Add(ctx, 1, t.add)
	}
	t.builder.ConnectorLlmMetricsFlushDuration.Record(ctx, took.Seconds(), t.record)
	t.builder.ConnectorLlmMetricsSeriesActive.Record(ctx, engine.Series(), t.record)
	t.builder.ConnectorLlmMetricsSeriesExpired.Add(ctx, int64(stats.Expired), t.add)
	overflowed := engine.Overflowed()
	t.builder.ConnectorLlmMetricsSeriesOverflowed.Add(ctx, overflowed-t.overflowed, t.add)
	t.overflowed = overflowed
}
