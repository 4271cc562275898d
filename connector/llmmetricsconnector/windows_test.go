package llmmetricsconnector

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// TestEventTimeFillsItsOwnMinutes sends spans of a day in any order, from several goroutines, to a backend that refuses
// now and then, and expects each in its minute, once.
func TestEventTimeFillsItsOwnMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := createDefaultConfig().(*Config)
		cfg.Temporality, cfg.Timestamps = TemporalityDelta, TimestampsSpan
		next := &flaky{}
		c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, next)
		require.NoError(t, err)
		require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
		want := map[pcommon.Timestamp]uint64{}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(8, uint64(w)))
				for batch := range 50 {
					td := ptrace.NewTraces()
					for i := range 100 {
						end := now() - pcommon.Timestamp(rng.Int64N(int64(24*time.Hour)))
						span := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
						span.SetTraceID(pcommon.TraceID{1})
						span.SetSpanID(scriptID(uint64(w*1e6 + batch*1e3 + i + 1)))
						span.SetStartTimestamp(end - 1e9)
						span.SetEndTimestamp(end)
						span.Attributes().PutStr(genai.AttrOperationName, []string{"chat", "execute_tool"}[i%2])
						mu.Lock()
						want[end-end%windowLength+windowLength]++
						mu.Unlock()
					}
					require.NoError(t, c.ConsumeTraces(t.Context(), td))
					time.Sleep(time.Duration(rng.Int64N(int64(time.Minute))))
					next.refuse.Store(rng.IntN(3) == 0)
				}
			})
		}
		wg.Wait()
		next.refuse.Store(false)
		require.NoError(t, c.Shutdown(t.Context()))
		got := map[pcommon.Timestamp]uint64{}
		for _, md := range next.AllMetrics() {
			for _, rm := range md.ResourceMetrics().All() {
				for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
					if m.Name() != llmmetrics.MetricOperationDuration && m.Name() != llmmetrics.MetricToolDuration {
						continue
					}
					for _, dp := range m.Histogram().DataPoints().All() {
						minute := dp.StartTimestamp() + windowLength
						require.InDelta(t, uint64(minute), uint64(dp.Timestamp()), 1000, "told again after a refusal")
						got[minute] += dp.Count()
					}
				}
			}
		}
		assert.Equal(t, want, got)
		assert.Empty(t, c.metrics.open)
		assert.Empty(t, c.metrics.closed)
	})
}

func TestTooManyWindowsAreRefused(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.Temporality, cfg.Timestamps = TemporalityDelta, TimestampsSpan
	next := &flaky{}
	next.refuse.Store(true)
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, next)
	require.NoError(t, err)
	td := ptrace.NewTraces()
	spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	for i := range maxWindows + 1 {
		span := spans.AppendEmpty()
		span.SetEndTimestamp(pcommon.Timestamp(i+1) * windowLength)
		span.Attributes().PutStr(genai.AttrOperationName, "chat")
	}
	require.NoError(t, c.ConsumeTraces(t.Context(), td))
	require.ErrorIs(t, c.ConsumeTraces(t.Context(), td), errWindows)
	require.Error(t, c.flush(t.Context(), true))
	require.ErrorIs(t, c.ConsumeTraces(t.Context(), td), errWindows)
	next.refuse.Store(false)
	require.NoError(t, c.flush(t.Context(), true))
	require.NoError(t, c.ConsumeTraces(t.Context(), td))
	require.NoError(t, c.Shutdown(t.Context()))
}
