package llmmetricsconnector

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/sampling"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

func TestAdjustedCount(t *testing.T) {
	for state, want := range map[string]float64{
		"":                            1,
		"ot=th:0":                     1,
		"ot=th:8":                     2,
		"ot=rv:6e6d1a75832a2f;th:c":   4,
		"other=th:8,  ot=th:c,more=1": 4,
		"ot=th:55555555555555":        1.5,
		"ot=th:fd70a3d70a3d71":        100,
		"ot=th:ffffffffffffff":        1 << 56,
		"ot=th:":                      1,
		"ot=th:xyz":                   1,
		"ot=th:123456789012345":       1, // too long
		"ot=rv:1":                     1,
		"not=th:8":                    1,
		"ot":                          1,
		",,;=,":                       1,
	} {
		assert.InEpsilon(t, want, adjustedCount(state), 1e-9, state)
		assert.Zero(t, testing.AllocsPerRun(10, func() { adjustedCount("ot=rv:6e6d1a75832a2f;th:c") }))
	}
}

// FuzzAdjustedCount compares with the library's own reading of trace states.
func FuzzAdjustedCount(f *testing.F) {
	f.Add("ot=th:8;rv:6e6d1a75832a2f,a=b")
	f.Add("a=b,ot=th:c8")
	f.Fuzz(func(t *testing.T, state string) {
		got := adjustedCount(state)
		require.GreaterOrEqual(t, got, 1.0)
		w3c, err := sampling.NewW3CTraceState(state)
		if err != nil {
			return
		}
		if want := w3c.OTelValue().AdjustedCount(); want > 0 {
			require.Equal(t, want, got)
		}
	})
}

// TestSampledSpansGiveTheTotals sends what a sampler left of the same calls, at several rates, and compares with
// all of them.
func TestSampledSpansGiveTheTotals(t *testing.T) {
	const calls, tokens = 100_000, 1000
	for _, probability := range []float64{0.01, 0.1, 0.3, 2. / 3, 1} {
		threshold, err := sampling.ProbabilityToThreshold(probability)
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(1, uint64(probability*1e6)))
		sink := &consumertest.MetricsSink{}
		cfg := createDefaultConfig().(*Config)
		c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, sink)
		require.NoError(t, err)
		td := ptrace.NewTraces()
		spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
		kept, keptTokens, sumOfSquares := 0, 0, 0.0
		for i := range calls {
			var id pcommon.TraceID
			binary.BigEndian.PutUint64(id[:], rng.Uint64())
			binary.BigEndian.PutUint64(id[8:], rng.Uint64())
			n := i % (2*tokens + 1)
			sumOfSquares += float64(n * n)
			if !threshold.ShouldSample(sampling.TraceIDToRandomness(id)) {
				continue
			}
			kept++
			keptTokens += n
			span := spans.AppendEmpty()
			span.SetTraceID(id)
			span.SetSpanID(scriptID(uint64(i + 1)))
			span.SetStartTimestamp(1)
			span.SetEndTimestamp(1e9 + 1)
			span.TraceState().FromRaw("ot=th:" + threshold.TValue())
			span.Attributes().PutStr(genai.AttrOperationName, "chat")
			span.Attributes().PutInt(genai.AttrInputTokens, int64(n))
			span.Attributes().PutStr(genai.AttrErrorType, "timeout")
		}
		require.NoError(t, c.ConsumeTraces(t.Context(), td))
		require.NoError(t, c.flush(t.Context(), true))
		require.NoError(t, c.Shutdown(t.Context()))

		metrics := sink.AllMetrics()[0].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
		duration, usage, errors := metrics.At(0).Histogram().DataPoints().At(0), metrics.At(1).Histogram().DataPoints().At(0), metrics.At(2).Sum().DataPoints().At(0)
		// What the sampler left, multiplied: exact but for the fraction of a call in each bucket.
		weight := threshold.AdjustedCount()
		assert.InDelta(t, float64(kept)*weight, float64(duration.Count()), 1+1e-6*calls)
		assert.InEpsilon(t, float64(kept)*weight, duration.Sum(), 1e-6)
		assert.InDelta(t, float64(kept)*weight, float64(usage.Count()), 15)
		assert.InEpsilon(t, float64(keptTokens)*weight, usage.Sum(), 1e-6)
		assert.Equal(t, int64(duration.Count()), errors.IntValue())
		estimated := int64(0) // says how much of this is made up for
		for _, m := range metrics.All() {
			if m.Name() == llmmetrics.MetricEstimated {
				estimated = m.Sum().DataPoints().At(0).IntValue()
			}
		}
		assert.InDelta(t, float64(kept)*(weight-1), float64(estimated), 1+1e-6*calls)
		assert.Equal(t, cfg.Exemplars.MaxPerDataPoint, duration.Exemplars().Len())
		// And all of them, within four standard deviations of what sampling leaves to chance.
		spread := 4 * math.Sqrt(calls*(1-probability)/probability)
		assert.InDelta(t, calls, float64(duration.Count()), spread+1)
		all := 0
		for i := range calls {
			all += i % (2*tokens + 1)
		}
		assert.InDelta(t, float64(all), usage.Sum(), 4*math.Sqrt(sumOfSquares*(1-probability)/probability)+1)
	}
}

func TestAdjustmentCanBeSwitchedOff(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.AdjustedCounts = false
	sink := &consumertest.MetricsSink{}
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, sink)
	require.NoError(t, err)
	td := chat("gpt")
	td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).TraceState().FromRaw("ot=th:8")
	require.NoError(t, c.ConsumeTraces(t.Context(), td))
	require.NoError(t, c.flush(t.Context(), true))
	require.NoError(t, c.Shutdown(t.Context()))
	require.Equal(t, uint64(1), sink.AllMetrics()[0].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0).Count())
}
