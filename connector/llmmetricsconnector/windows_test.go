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
	cfg.FlushInterval = 1000 * time.Hour
	next := &flaky{}
	next.refuse.Store(true)
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, next)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	td := ptrace.NewTraces()
	spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	for i := range maxWindows + 1 {
		span := spans.AppendEmpty()
		span.SetEndTimestamp(pcommon.Timestamp(i+1) * windowLength)
		span.Attributes().PutStr(genai.AttrOperationName, "chat")
	}
	require.NoError(t, c.ConsumeTraces(t.Context(), td))
	require.ErrorIs(t, c.ConsumeTraces(t.Context(), td), errWindows)
	require.EqualValues(t, 1, next.refusals.Load(), "it was asked to make room")
	require.ErrorIs(t, c.ConsumeTraces(t.Context(), td), errWindows)
	require.EqualValues(t, 1, next.refusals.Load(), "and is left alone until the next flush")
	require.Error(t, c.flush(t.Context(), true))
	require.ErrorIs(t, c.ConsumeTraces(t.Context(), td), errWindows)
	next.refuse.Store(false)
	require.NoError(t, c.flush(t.Context(), true))
	require.NoError(t, c.ConsumeTraces(t.Context(), td))
	require.NoError(t, c.Shutdown(t.Context()))
}

// TestManyMinutesMakeRoomForOthers reads more minutes than are held, faster than they are told, and expects each call in its
// minute and no batch to be refused: a refusal would make the receiver repeat the batch to the exporters beside the connector.
func TestManyMinutesMakeRoomForOthers(t *testing.T) {
	for _, temporality := range []Temporality{TemporalityDelta, TemporalityCumulative} {
		t.Run(string(temporality), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testManyMinutes(t, temporality) })
		})
	}
}

func testManyMinutes(t *testing.T, temporality Temporality) {
	cfg := createDefaultConfig().(*Config)
	cfg.Temporality, cfg.Timestamps, cfg.FurtherMetrics = temporality, TimestampsSpan, false
	next := &flaky{}
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, next)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	rng := rand.New(rand.NewPCG(9, 9))
	minutes := 2*c.metrics.limit() + 500
	begin := now() - pcommon.Timestamp(minutes)*windowLength
	begin -= begin % windowLength
	want := map[pcommon.Timestamp]uint64{}
	id := uint64(0)
	for from := 0; from < minutes; from += 20 {
		td := ptrace.NewTraces()
		spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
		for i := range 40 {
			minute := begin + pcommon.Timestamp(from+i/2)*windowLength
			if temporality == TemporalityDelta && rng.IntN(4) == 0 { // late ones make further points
				minute = begin + pcommon.Timestamp(rng.IntN(from+20))*windowLength
			}
			id++
			span := spans.AppendEmpty()
			span.SetTraceID(pcommon.TraceID{1})
			span.SetSpanID(scriptID(id))
			span.SetStartTimestamp(minute)
			span.SetEndTimestamp(minute + 1e9)
			span.Attributes().PutStr(genai.AttrOperationName, "chat")
			want[minute+windowLength]++
		}
		require.NoError(t, c.ConsumeTraces(t.Context(), td))
		c.metrics.mu.RLock()
		require.LessOrEqual(t, len(c.metrics.open)+len(c.metrics.closed), c.metrics.limit()+40)
		c.metrics.mu.RUnlock()
	}
	require.NoError(t, c.Shutdown(t.Context()))
	got, before := map[pcommon.Timestamp]uint64{}, uint64(0)
	for _, md := range next.AllMetrics() {
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				for _, dp := range m.Histogram().DataPoints().All() {
					switch {
					case temporality == TemporalityDelta:
						require.Equal(t, dp.StartTimestamp()+windowLength, dp.Timestamp())
						got[dp.Timestamp()] += dp.Count()
					case dp.Count() > before:
						got[dp.Timestamp()] += dp.Count() - before
						before = dp.Count()
					}
				}
			}
		}
	}
	require.Equal(t, want, got)
}
