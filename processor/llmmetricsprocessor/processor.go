package llmmetricsprocessor

import (
	"context"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/processor/llmmetricsprocessor/internal/metadata"
)

// spanProcessor adds to each span what its dialect says in other words. It holds no state between batches, so
// it is safe for concurrent use.
type spanProcessor struct {
	reader    *genai.Reader
	options   genai.WriteOptions
	telemetry *metadata.TelemetryBuilder
	// labels are made once: a batch reports a handful of counts, and must not build attribute sets for them.
	labels [outcomes][genai.Dialects]metric.AddOption
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
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	p := &spanProcessor{
		reader: genai.NewReader(genai.ReaderConfig{}), options: cfg.options(), telemetry: telemetry,
	}
	for o := range p.labels {
		for d := range p.labels[o] {
			p.labels[o][d] = metric.WithAttributeSet(attribute.NewSet(
				attribute.String("dialect", genai.Dialect(d).String()),
				attribute.String("outcome", outcomeNames[o]),
				attribute.String("processor", set.ID.String()),
			))
		}
	}
	return p, nil
}

func (p *spanProcessor) process(ctx context.Context, traces ptrace.Traces) (ptrace.Traces, error) {
	var counts [outcomes][genai.Dialects]int64
	var call genai.Call
	for _, rs := range traces.ResourceSpans().All() {
		resource := rs.Resource().Attributes()
		for _, ss := range rs.ScopeSpans().All() {
			scope := ss.Scope().Name()
			for _, span := range ss.Spans().All() {
				p.reader.Read(span, scope, resource, &call)
				o := notGenAI
				if call.Kind != genai.KindNone {
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
	return traces, nil
}

func (p *spanProcessor) shutdown(context.Context) error {
	p.telemetry.Shutdown()
	return nil
}
