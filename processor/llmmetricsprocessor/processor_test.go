package llmmetricsprocessor

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/processor/llmmetricsprocessor/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/processor/llmmetricsprocessor/internal/metadatatest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// start makes a processor through its factory, as the Collector does.
func start(t testing.TB, cfg component.Config, set processor.Settings, next consumer.Traces) processor.Traces {
	t.Helper()
	p, err := NewFactory().CreateTraces(t.Context(), set, cfg, next)
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
	return p
}

func traces(t testing.TB, file string) ptrace.Traces {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	traces, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(content)
	require.NoError(t, err)
	return traces
}

// TestGoldens sends a trace of several dialects through the processor under every configuration.
func TestGoldens(t *testing.T) {
	for file, cfg := range map[string]*Config{
		"default": NewFactory().CreateDefaultConfig().(*Config),
		"write":   {Semconv: "g2"},
		"all":     {Semconv: "both", LegacySystem: true},
		"prices": {Semconv: "g1", Prices: genai.PriceConfig{Enabled: true, Models: []genai.ModelPrice{
			{Model: "claude-*", ModelRates: genai.ModelRates{Input: usd(1000), CacheRead: usd(0), Output: usd(0)}},
		}}},
	} {
		t.Run(file, func(t *testing.T) {
			sink := new(consumertest.TracesSink)
			p := start(t, cfg, processortest.NewNopSettings(metadata.Type), sink)
			require.True(t, p.Capabilities().MutatesData)
			require.NoError(t, p.ConsumeTraces(t.Context(), traces(t, "testdata/input.json")))
			require.NoError(t, p.Shutdown(t.Context()))
			require.Len(t, sink.AllTraces(), 1)

			content, err := (&ptrace.JSONMarshaler{}).MarshalTraces(sink.AllTraces()[0])
			require.NoError(t, err)
			var got bytes.Buffer
			require.NoError(t, json.Indent(&got, content, "", "  "))
			got.WriteByte('\n')
			golden := "testdata/output." + file + ".json"
			if *update {
				require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			assert.Equal(t, string(want), got.String(), "run the test with -update when the change is meant")
		})
	}
}

// TestTwice holds that a second processor behind the first changes nothing.
func TestTwice(t *testing.T) {
	sink := new(consumertest.TracesSink)
	set := processortest.NewNopSettings(metadata.Type)
	cfg := NewFactory().CreateDefaultConfig()
	second := start(t, cfg, set, sink)
	first := start(t, cfg, set, second)
	require.NoError(t, first.ConsumeTraces(t.Context(), traces(t, "testdata/input.json")))
	require.NoError(t, first.Shutdown(t.Context()))
	require.NoError(t, second.Shutdown(t.Context()))
	assert.Equal(t, traces(t, "testdata/output.default.json"), sink.AllTraces()[0])
}

func TestTelemetry(t *testing.T) {
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(t.Context())) }()
	set := metadatatest.NewSettings(tel)
	set.ID = component.MustNewIDWithName("llm_metrics", "one")
	p := start(t, NewFactory().CreateDefaultConfig(), set, consumertest.NewNop())
	require.NoError(t, p.ConsumeTraces(t.Context(), traces(t, "testdata/input.json")))
	require.NoError(t, p.ConsumeTraces(t.Context(), traces(t, "testdata/output.default.json")))
	require.NoError(t, p.ConsumeTraces(t.Context(), ptrace.NewTraces()))

	point := func(dialect, outcome string, n int64) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(
			attribute.String("dialect", dialect), attribute.String("outcome", outcome),
			attribute.String("processor", "llm_metrics/one"),
		)}
	}
	metadatatest.AssertEqualProcessorLlmMetricsSpans(t, tel, []metricdata.DataPoint[int64]{
		point("otel", "unchanged", 2),
		point("openinference", "derived", 1), point("openinference", "unchanged", 1),
		point("openinference", "not_genai", 2),
		point("openllmetry", "derived", 1), point("openllmetry", "unchanged", 1),
		point("vercel", "derived", 1), point("vercel", "unchanged", 1),
		point("unknown", "not_genai", 2),
	}, metricdatatest.IgnoreTimestamp())

	priced := func(how string, n int64) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(
			attribute.String("pricing", how), attribute.String("processor", "llm_metrics/one"),
		)}
	}
	metadatatest.AssertEqualProcessorLlmMetricsCalls(t, tel, []metricdata.DataPoint[int64]{
		priced("table", 4), priced("no_usage", 2),
	}, metricdatatest.IgnoreTimestamp())
	require.NoError(t, p.Shutdown(t.Context()))
}

// TestUnpricedCallsAreNamed holds that a call without a price gets no cost, and is counted by name.
func TestUnpricedCallsAreNamed(t *testing.T) {
	tel := componenttest.NewTelemetry()
	defer func() { require.NoError(t, tel.Shutdown(t.Context())) }()
	set := metadatatest.NewSettings(tel)
	set.ID = component.MustNewID("llm_metrics")
	sink := new(consumertest.TracesSink)
	p := start(t, NewFactory().CreateDefaultConfig(), set, sink)
	batch := ptrace.NewTraces()
	spans := batch.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	for _, model := range []string{"tomorrows-model", "tomorrows-model", "gpt-4o"} {
		require.NoError(t, spans.AppendEmpty().Attributes().FromRaw(map[string]any{
			genai.AttrOperationName: "chat", genai.AttrProviderName: "openai", genai.AttrRequestModel: model,
			genai.AttrInputTokens: 1_000_000, genai.AttrOutputTokens: 10,
		}))
	}
	require.NoError(t, p.ConsumeTraces(t.Context(), batch))

	var costs []any
	for _, span := range sink.AllTraces()[0].ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
		raw := span.Attributes().AsRaw()
		costs = append(costs, raw[genai.AttrUsageCost], raw[genai.AttrCostSource])
	}
	assert.Equal(t, []any{nil, nil, nil, nil, 2.5001, "table"}, costs)
	id := attribute.String("processor", "llm_metrics")
	metadatatest.AssertEqualProcessorLlmMetricsUnpricedCalls(t, tel, []metricdata.DataPoint[int64]{{
		Value: 2, Attributes: attribute.NewSet(attribute.String("model", "tomorrows-model"), attribute.String("provider", "openai"), id),
	}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualProcessorLlmMetricsCalls(t, tel, []metricdata.DataPoint[int64]{
		{Value: 2, Attributes: attribute.NewSet(attribute.String("pricing", "unknown_model"), id)},
		{Value: 1, Attributes: attribute.NewSet(attribute.String("pricing", "table"), id)},
	}, metricdatatest.IgnoreTimestamp())
	require.NoError(t, p.Shutdown(t.Context()))
}

func TestPriceFileThatCannotBeReadIsRefused(t *testing.T) {
	cfg := NewFactory().CreateDefaultConfig().(*Config)
	cfg.Prices.File = "nowhere.yaml"
	_, err := NewFactory().CreateTraces(t.Context(), processortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
	require.EqualError(t, err, `prices.file: "nowhere.yaml": no such file or directory; name a readable price file`)
}

// TestDocumentedPrices makes a table of the example in the README.
func TestDocumentedPrices(t *testing.T) {
	content, err := os.ReadFile("README.md")
	require.NoError(t, err)
	tried := 0
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(content), -1) {
		retrieved, err := confmap.NewRetrievedFromYAML([]byte(block[1]))
		require.NoError(t, err)
		conf, err := retrieved.AsConf()
		require.NoError(t, err)
		section, err := conf.Sub("processors::llm_metrics")
		require.NoError(t, err)
		cfg := NewFactory().CreateDefaultConfig().(*Config)
		require.NoError(t, section.Unmarshal(cfg))
		require.NoError(t, xconfmap.Validate(cfg))
		if tried += len(cfg.Prices.Models); len(cfg.Prices.Models) == 0 {
			continue
		}
		table, err := genai.NewPriceTable(cfg.Prices)
		require.NoError(t, err)
		call := genai.Call{
			Kind: genai.KindInference, Provider: "azure.ai.openai", RequestModel: "our-gpt-deployment", ResponseModel: "gpt-4o",
			InputTokens: 1_000_000, CacheReadTokens: 500_000,
		}
		require.Equal(t, genai.PricingTable, table.Price(&call, pcommon.Map{}))
		assert.InDelta(t, 1.375, call.Cost, 1e-12)
	}
	require.Equal(t, 2, tried)
}

// TestDocumentedLabels compares the labels of the telemetry with their documentation.
func TestDocumentedLabels(t *testing.T) {
	content, err := os.ReadFile("metadata.yaml")
	require.NoError(t, err)
	var documented struct {
		Attributes map[string]struct{ Enum []string }
	}
	require.NoError(t, yaml.Unmarshal(content, &documented))
	dialects := map[string]bool{}
	for d := range genai.Dialects {
		dialects[genai.Dialect(d).String()] = true
	}
	assert.ElementsMatch(t, documented.Attributes["dialect"].Enum, slices.Collect(maps.Keys(dialects)))
	assert.ElementsMatch(t, documented.Attributes["outcome"].Enum, outcomeNames[:])
	var pricing []string
	for p := range genai.Pricings {
		pricing = append(pricing, genai.Pricing(p).String())
	}
	assert.ElementsMatch(t, documented.Attributes["pricing"].Enum, pricing)
}

func TestErrorOfTheNextComponentIsReturned(t *testing.T) {
	refused := errors.New("refused")
	p := start(t, NewFactory().CreateDefaultConfig(), processortest.NewNopSettings(metadata.Type), consumertest.NewErr(refused))
	require.ErrorIs(t, p.ConsumeTraces(t.Context(), traces(t, "testdata/input.json")), refused)
	require.NoError(t, p.Shutdown(t.Context()))
}

func TestConcurrentBatches(t *testing.T) {
	sink := new(consumertest.TracesSink)
	p := start(t, NewFactory().CreateDefaultConfig(), processortest.NewNopSettings(metadata.Type), sink)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				assert.NoError(t, p.ConsumeTraces(t.Context(), traces(t, "testdata/input.json")))
			}
		})
	}
	all.Wait()
	require.NoError(t, p.Shutdown(t.Context()))
	want := traces(t, "testdata/output.default.json")
	require.Len(t, sink.AllTraces(), 160)
	for _, got := range sink.AllTraces() {
		require.Equal(t, want, got)
	}
}

// FuzzProcess sends whatever the protocol can carry, and holds that every span comes out again with at least
// the attributes it had.
func FuzzProcess(f *testing.F) {
	seed, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(traces(f, "testdata/input.json"))
	require.NoError(f, err)
	f.Add(seed)
	sink := new(consumertest.TracesSink)
	p := start(f, NewFactory().CreateDefaultConfig(), processortest.NewNopSettings(metadata.Type), sink)
	f.Fuzz(func(t *testing.T, content []byte) {
		in, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(content)
		if err != nil {
			return
		}
		before := attributesPerSpan(in)
		require.NoError(t, p.ConsumeTraces(t.Context(), in))
		out := sink.AllTraces()
		sink.Reset()
		require.Len(t, out, 1)
		after := attributesPerSpan(out[0])
		require.Len(t, after, len(before))
		for i := range before {
			require.GreaterOrEqual(t, after[i], before[i])
		}
	})
}

func attributesPerSpan(traces ptrace.Traces) []int {
	var n []int
	for _, rs := range traces.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				n = append(n, span.Attributes().Len())
			}
		}
	}
	return n
}

func BenchmarkProcess(b *testing.B) {
	for name, file := range map[string]string{"derive": "testdata/input.json", "unchanged": "testdata/output.default.json"} {
		b.Run(name, func(b *testing.B) {
			p := start(b, NewFactory().CreateDefaultConfig(), processortest.NewNopSettings(metadata.Type), consumertest.NewNop())
			source := traces(b, file)
			b.ReportAllocs()
			for b.Loop() {
				if name == "derive" { // the copy is part of the price
					batch := ptrace.NewTraces()
					source.CopyTo(batch)
					require.NoError(b, p.ConsumeTraces(b.Context(), batch))
				} else {
					require.NoError(b, p.ConsumeTraces(b.Context(), source))
				}
			}
			b.ReportMetric(float64(source.SpanCount())*float64(b.N)/b.Elapsed().Seconds(), "spans/s")
			require.NoError(b, p.Shutdown(b.Context()))
		})
	}
}
