package llmmetricsconnector

import (
	"context"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// FuzzEverything sends spans with arbitrary attributes through everything that is optional. Nothing panics, no bound is
// exceeded, all text that comes out is valid, and what was saved can be continued.
func FuzzEverything(f *testing.F) {
	f.Add("chat", "gen_ai.usage.input_tokens", "meta.a", "conversation", "ot=th:8", int64(7), 0.5, uint64(1), uint8(0))
	f.Add("execute_tool", "tags", "\xff", "", "", int64(-1), -1.0, uint64(1<<63), uint8(3))
	f.Add("retrieval", "error.type", "meta.\x00", "a", "ot=th:xyz", int64(0), 1e300, uint64(0), uint8(9))
	f.Fuzz(func(t *testing.T, operation, key, text, conversation, state string, n int64, x float64, at uint64, shape uint8) {
		cfg := createDefaultConfig().(*Config)
		cfg.MaxSeries = 5
		cfg.Traces.Enabled, cfg.Traces.MaxOpen = true, 2
		cfg.Threads.Enabled, cfg.Threads.MaxOpen = true, 2
		cfg.Prices.Enabled = false // reading the list takes longer than all the rest
		cfg.Dimensions = []Dimension{
			{Name: "meta.*", Metrics: []string{"gen_ai.usage.cost"}}, {Name: "tags", Match: []string{"*"}}, {Name: "plain", Default: "none"},
		}
		if shape&1 != 0 {
			cfg.Temporality = TemporalityDelta
		}
		if shape&2 != 0 {
			cfg.Histogram.Type = HistogramExponential
		}
		store := &memory{values: map[string][]byte{}}
		id := component.MustNewID("memory")
		if shape&1 == 0 {
			cfg.StorageID = &id
		}
		next, err := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error {
			for _, rm := range md.ResourceMetrics().All() {
				valid := func(attributes pcommon.Map) {
					require.LessOrEqual(t, attributes.Len(), 8+2+maxGlobAttributes)
					for k, v := range attributes.All() {
						require.True(t, utf8.ValidString(k), "%q", k)
						require.True(t, utf8.ValidString(v.AsString()), "%q of %q", v.AsString(), k)
						require.LessOrEqual(t, len(v.AsString()), 256)
					}
				}
				for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
					switch m.Type() {
					case pmetric.MetricTypeSum:
						for _, dp := range m.Sum().DataPoints().All() {
							valid(dp.Attributes())
						}
					case pmetric.MetricTypeHistogram:
						for _, dp := range m.Histogram().DataPoints().All() {
							valid(dp.Attributes())
						}
					default:
						for _, dp := range m.ExponentialHistogram().DataPoints().All() {
							valid(dp.Attributes())
						}
					}
				}
			}
			return nil
		})
		require.NoError(t, err)
		start := func() *tracesToMetrics { return started(t, cfg, storageHost{id: store}, next) }
		c := start()
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr(text, key)
		spans := rs.ScopeSpans().AppendEmpty().Spans()
		for i := range 4 {
			span := spans.AppendEmpty()
			span.SetTraceID(pcommon.TraceID{byte(i * int(shape>>4)), 1})
			span.SetSpanID(pcommon.SpanID{byte(i), byte(shape)})
			span.SetParentSpanID(pcommon.SpanID{byte(i) * (shape >> 2 & 3)})
			span.SetStartTimestamp(pcommon.Timestamp(at))
			span.SetEndTimestamp(pcommon.Timestamp(at + uint64(n)))
			span.TraceState().FromRaw(state)
			span.Status().SetCode(ptrace.StatusCode(shape >> 3 % 3))
			span.Status().SetMessage(text)
			span.SetName(operation)
			attributes := span.Attributes()
			attributes.PutStr("gen_ai.operation.name", operation)
			attributes.PutStr("gen_ai.conversation.id", conversation)
			attributes.PutStr("meta."+key, text)
			attributes.PutDouble("gen_ai.usage.cost", x)
			attributes.PutEmptySlice("tags").AppendEmpty().SetStr(text)
			switch i {
			case 0:
				attributes.PutStr(key, text)
			case 1:
				attributes.PutInt(key, n)
			case 2:
				attributes.PutDouble(key, x)
			default:
				attributes.PutEmptyMap(key).PutStr(text, key)
			}
		}
		for range 2 {
			require.NoError(t, c.ConsumeTraces(t.Context(), td))
			require.NoError(t, c.flush(t.Context(), false))
		}
		traces, threads := c.spans.traces.size()
		require.LessOrEqual(t, traces, int64(2))
		require.LessOrEqual(t, threads, int64(2))
		require.LessOrEqual(t, c.metrics.series(), int64(5))
		die(c.shell)
		c = start()
		require.NoError(t, c.Shutdown(t.Context()))
	})
}
