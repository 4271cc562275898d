package llmmetricsconnector

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// telemetry is what the connector tells about itself.
type telemetry struct {
	builder  *metadata.TelemetryBuilder
	outcomes [outcomeCount][]metric.AddOption // made once: this is used for every batch
	pricing  [genai.Pricings][]metric.AddOption
	ends     [traceEnds]metric.AddOption

	eventOutcomes [eventOutcomes]metric.AddOption

	lateTrace, lateWindow metric.AddOption

	add    metric.AddOption
	record metric.RecordOption

	overflowed int64 // told so far; of the flushing goroutine
}

func newTelemetry(set connector.Settings, prices *genai.PriceTable) (*telemetry, error) {
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
	for e, name := range traceEndNames {
		t.ends[e] = metric.WithAttributeSet(attribute.NewSet(id, attribute.String("closed_by", name)))
	}
	for e, name := range eventOutcomeNames {
		t.eventOutcomes[e] = metric.WithAttributeSet(attribute.NewSet(id, attribute.String("event", name)))
	}
	t.lateTrace = metric.WithAttributeSet(attribute.NewSet(id, attribute.String("late_for", "trace")))
	t.lateWindow = metric.WithAttributeSet(attribute.NewSet(id, attribute.String("late_for", "window")))
	for p := range t.pricing {
		set := attribute.NewSet(id, attribute.String("pricing", genai.Pricing(p).String()))
		t.pricing[p] = []metric.AddOption{metric.WithAttributeSet(set)}
	}
	err = builder.RegisterConnectorLlmMetricsUnpricedCallsCallback(func(_ context.Context, o metric.Int64Observer) error {
		for model, calls := range prices.Unpriced {
			o.Observe(calls, metric.WithAttributes(
				id, attribute.String("model", model.Name), attribute.String("provider", model.Provider),
			))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// spans tells what became of the spans of a batch.
func (t *telemetry) spans(ctx context.Context, counts *counts) {
	for p, n := range counts.pricing {
		if n > 0 {
			t.builder.ConnectorLlmMetricsCalls.Add(ctx, n, t.pricing[p]...)
		}
	}
	if counts.late > 0 {
		t.builder.ConnectorLlmMetricsLateSpans.Add(ctx, counts.late, t.lateWindow)
	}
	for o, n := range counts.outcome {
		if n > 0 {
			t.builder.ConnectorLlmMetricsSpans.Add(ctx, n, t.outcomes[o]...)
		}
	}
}

// events tells what became of the log records of a batch.
func (t *telemetry) events(ctx context.Context, counts [eventOutcomes]int64) {
	for e, n := range counts {
		if n > 0 {
			t.builder.ConnectorLlmMetricsEvents.Add(ctx, n, t.eventOutcomes[e])
		}
	}
}

// traces tells which traces and threads were closed, and how many spans came too late for theirs.
func (t *telemetry) traces(ctx context.Context, table *traceTable, ends *ends) {
	for e := range traceEnds {
		if n := ends.traces[e]; n > 0 {
			t.builder.ConnectorLlmMetricsTraces.Add(ctx, n, t.ends[e])
		}
		if n := ends.threads[e]; n > 0 {
			t.builder.ConnectorLlmMetricsThreads.Add(ctx, n, t.ends[e])
		}
	}
	if ends.late > 0 {
		t.builder.ConnectorLlmMetricsLateSpans.Add(ctx, ends.late, t.lateTrace)
	}
	traces, threads := table.size()
	t.builder.ConnectorLlmMetricsTracesOpen.Record(ctx, traces, t.record)
	if table.threads != nil {
		t.builder.ConnectorLlmMetricsThreadsOpen.Record(ctx, threads, t.record)
	}
}

// flush tells about one flush, which failed if err is not nil.
func (t *telemetry) flush(ctx context.Context, metrics *aggregation, stats llmmetrics.Stats, took time.Duration, err error) {
	if err == nil {
		t.builder.ConnectorLlmMetricsDataPoints.Add(ctx, int64(stats.Points), t.add)
	} else {
		t.builder.ConnectorLlmMetricsFlushFailures.Add(ctx, 1, t.add)
	}
	t.builder.ConnectorLlmMetricsFlushDuration.Record(ctx, took.Seconds(), t.record)
	t.builder.ConnectorLlmMetricsSeriesActive.Record(ctx, metrics.series(), t.record)
	t.builder.ConnectorLlmMetricsSeriesExpired.Add(ctx, int64(stats.Expired), t.add)
	overflowed := metrics.overflows()
	t.builder.ConnectorLlmMetricsSeriesOverflowed.Add(ctx, overflowed-t.overflowed, t.add)
	t.overflowed = overflowed
}
