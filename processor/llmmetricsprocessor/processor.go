package llmmetricsprocessor

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/processor/llmmetricsprocessor/internal/metadata"
)

// spanProcessor adds to each span what its dialect says in other words, and what it costs. It holds no state
// between batches but what it knows of models, so it is safe for concurrent use.
type spanProcessor struct {
	reader    *genai.Reader
	prices    *genai.PriceTable // nil when calls are not to be priced
	options   genai.WriteOptions
	telemetry *metadata.TelemetryBuilder
	// Labels are made once: a batch reports a handful of counts, and must not build attribute sets for them.
	labels  [outcomes][genai.Dialects]metric.AddOption
	pricing [genai.Pricings]metric.AddOption
}

// An outcome is what became of a span.
type outcome int

const (
	derived outcome = iota
	unchanged
	notGenAI
	outcomes
)

var outcomeNames = [outcomes]string{"derived", "unchanged", "not_genai"}

func newSpanProcessor(set processor.Settings, cfg *Config) (*spanProcessor, error) {
	prices, err := genai.NewPriceTable(cfg.Prices)
	if err != nil {
		return nil, fmt.Errorf("prices.%w", err)
	}
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	p := &spanProcessor{
		reader: genai.NewReader(genai.ReaderConfig{}), prices: prices, options: cfg.options(), telemetry: telemetry,
	}
	id := attribute.String("processor", set.ID.String())
	for o := range p.labels {
		for d := range p.labels[o] {
			p.labels[o][d] = metric.WithAttributeSet(attribute.NewSet(
				attribute.String("dialect", genai.Dialect(d).String()),
				attribute.String("outcome", outcomeNames[o]),
				id,
			))
		}
	}
	for i := range p.pricing {
		p.pricing[i] = metric.WithAttributeSet(attribute.NewSet(attribute.String("pricing", genai.Pricing(i).String()), id))
	}
	err = telemetry.RegisterProcessorLlmMetricsUnpricedCallsCallback(func(_ context.Context, o metric.Int64Observer) error {
		for model, calls := range prices.Unpriced {
			o.Observe(calls, metric.WithAttributes(
				attribute.String("model", model.Name), attribute.String("provider", model.Provider), id,
			))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *spanProcessor) process(ctx context.Context, traces ptrace.Traces) (ptrace.Traces, error) {
	var counts [outcomes][genai.Dialects]int64
	var priced [genai.Pricings]int64
	var call genai.Call
	for _, rs := range traces.ResourceSpans().All() {
		resource := rs.Resource().Attributes()
		for _, ss := range rs.ScopeSpans().All() {
			scope := ss.Scope().Name()
			for _, span := range ss.Spans().All() {
				p.reader.Read(span, scope, resource, &call)
				o := notGenAI
				if call.Kind != genai.KindNone {
					if call.Kind.ModelCall() {
						priced[p.prices.Price(&call, span.Attributes())]++
					}
					if o = unchanged; p.options.Write(&call, span) > 0 {
						o = derived
					}
				}
				counts[o][call.Dialect]++
			}
		}
	}
	for o := range counts {
		for d, n := range counts[o] {
			if n > 0 {
				p.telemetry.ProcessorLlmMetricsSpans.Add(ctx, n, p.labels[o][d])
			}
		}
	}
	for how, n := range priced {
		if n > 0 {
			p.telemetry.ProcessorLlmMetricsCalls.Add(ctx, n, p.pricing[how])
		}
	}
	return traces, nil
}

func (p *spanProcessor) shutdown(context.Context) error {
	p.telemetry.Shutdown()
	return nil
}
