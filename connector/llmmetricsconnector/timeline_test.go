package llmmetricsconnector

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// TestTotalsInEventTime sends the history of two projects, then what is new, to a backend that refuses now and then. What is delivered must be what scrapes at those times would
// have seen: a zero, then a point a minute, never going back, each call in its minute, and in the end all calls.
func TestTotalsInEventTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := createDefaultConfig().(*Config)
		cfg.Timestamps, cfg.SeriesExpiration = TimestampsSpan, time.Hour
		next := &flaky{}
		c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, next)
		require.NoError(t, err)
		require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))

		rng := rand.New(rand.NewPCG(1, 2))
		calls, cost, late := map[string]uint64{}, map[string]int64{}, 0
		minutes := map[string]map[pcommon.Timestamp]uint64{"p0": {}, "p1": {}}
		n := uint64(0)
		call := func(project string, end pcommon.Timestamp) {
			n++
			model := fmt.Sprintf("m%d", rng.IntN(3))
			picos := rng.Int64N(1e9)
			td := ptrace.NewTraces()
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("service.name", project)
			span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
			span.SetTraceID(pcommon.TraceID{1})
			span.SetSpanID(scriptID(n))
			span.SetStartTimestamp(end - 1e9)
			span.SetEndTimestamp(end)
			span.Attributes().PutStr(genai.AttrOperationName, "chat")
			span.Attributes().PutStr(llmmetrics.AttrRequestModel, model)
			span.Attributes().PutDouble("gen_ai.usage.cost", float64(picos)/1e12)
			require.NoError(t, c.ConsumeTraces(t.Context(), td))
			calls[project+model]++
			cost[project+model] += picos
			minutes[project][end-end%windowLength+windowLength]++
			time.Sleep(time.Duration(rng.Int64N(int64(2 * time.Second))))
			next.refuse.Store(rng.IntN(3) == 0)
		}
		// History, read in any order. Series expire in its gaps.
		begin := now() - pcommon.Timestamp(36*time.Hour)
		var ends []pcommon.Timestamp
		for i := range 2000 {
			begin += pcommon.Timestamp(rng.Int64N(int64(60 * time.Second)))
			if i%700 == 0 {
				begin += pcommon.Timestamp(5 * time.Hour)
			}
			ends = append(ends, begin)
		}
		rng.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
		for i, end := range ends {
			call(fmt.Sprintf("p%d", i/1000), end)
		}
		assert.Empty(t, next.AllMetrics(), "nothing is told while the past comes")
		next.refuse.Store(false)
		time.Sleep(10 * time.Minute)
		assert.NotEmpty(t, next.AllMetrics(), "then all of it is")
		// What is new, some of it late.
		for range 1000 {
			end := now() - pcommon.Timestamp(rng.Int64N(int64(time.Minute)))
			if rng.IntN(50) == 0 {
				end -= pcommon.Timestamp(rng.Int64N(int64(3 * time.Hour)))
				late++
			}
			call("p0", end)
		}
		next.refuse.Store(false)
		require.NoError(t, c.Shutdown(t.Context()))

		type life struct {
			start, last pcommon.Timestamp
			count       uint64
			sum         float64
		}
		lives, begun := map[string]*life{}, 0
		told, toldCost := map[string]uint64{}, map[string]float64{}
		toldMinutes := map[string]map[pcommon.Timestamp]uint64{"p0": {}, "p1": {}}
		visit := func(project, name string, dp pmetric.HistogramDataPoint) {
			model, _ := dp.Attributes().Get(llmmetrics.AttrRequestModel)
			key := name + project + model.Str()
			l := lives[key]
			if l == nil || l.start != dp.StartTimestamp() {
				require.Zero(t, dp.Count(), "a life begins with a zero")
				require.Equal(t, dp.StartTimestamp(), dp.Timestamp())
				if l != nil {
					require.Greater(t, dp.Timestamp(), l.last)
				}
				begun++
				lives[key] = &life{start: dp.StartTimestamp(), last: dp.Timestamp()}
				return
			}
			step := dp.Timestamp() - l.last
			require.True(t, step == windowLength || step == pcommon.Timestamp(time.Second), "a point a minute: %v", time.Duration(step))
			require.GreaterOrEqual(t, dp.Count(), l.count)
			buckets := uint64(0)
			for _, n := range dp.BucketCounts().All() {
				buckets += n
			}
			require.Equal(t, dp.Count(), buckets)
			switch name {
			case llmmetrics.MetricOperationDuration:
				told[project+model.Str()] += dp.Count() - l.count
				toldMinutes[project][dp.Timestamp()] += dp.Count() - l.count
			case llmmetrics.MetricCost:
				toldCost[project+model.Str()] += dp.Sum() - l.sum
			}
			l.last, l.count, l.sum = dp.Timestamp(), dp.Count(), dp.Sum()
		}
		for _, md := range next.AllMetrics() {
			for _, rm := range md.ResourceMetrics().All() {
				project, _ := rm.Resource().Attributes().Get("service.name")
				for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
					if m.Type() == pmetric.MetricTypeHistogram {
						require.Equal(t, pmetric.AggregationTemporalityCumulative, m.Histogram().AggregationTemporality())
						for _, dp := range m.Histogram().DataPoints().All() {
							visit(project.Str(), m.Name(), dp)
						}
					}
				}
			}
		}
		assert.Equal(t, calls, told)
		for key, picos := range cost {
			assert.InEpsilon(t, float64(picos)/1e12, toldCost[key], 1e-12)
		}
		assert.GreaterOrEqual(t, begun, 3*len(lives), "each series expires in the gaps, and comes back")
		elsewhere := uint64(0)
		for project, list := range minutes {
			for minute, n := range list {
				elsewhere += n - min(n, toldMinutes[project][minute])
			}
		}
		assert.LessOrEqual(t, elsewhere, uint64(late), "only what came late is not in its minute")
		assert.Empty(t, c.metrics.closed)
		assert.Empty(t, c.metrics.shares)
	})
}

// TestTotalsInEventTimeAreBounded has another model in each minute and more services than have a timeline of their own.
// What is held stays within the bounds, and every call is in some total.
func TestTotalsInEventTimeAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := createDefaultConfig().(*Config)
		cfg.Timestamps, cfg.MaxSeries, cfg.SeriesExpiration = TimestampsSpan, 5, 0
		next := &flaky{}
		c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, next)
		require.NoError(t, err)
		require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
		const calls = maxTracks + 100
		begin := now() - pcommon.Timestamp(24*time.Hour)
		for i := range uint64(calls) {
			td := ptrace.NewTraces()
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("service.name", fmt.Sprint("s", i))
			span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
			span.SetTraceID(pcommon.TraceID{1})
			span.SetSpanID(scriptID(i + 1))
			span.SetStartTimestamp(begin + pcommon.Timestamp(i)*windowLength)
			span.SetEndTimestamp(span.StartTimestamp() + 1e9)
			span.Attributes().PutStr(genai.AttrOperationName, "chat")
			span.Attributes().PutStr(llmmetrics.AttrRequestModel, fmt.Sprint("m", i))
			require.NoError(t, c.ConsumeTraces(t.Context(), td))
		}
		require.NoError(t, c.Shutdown(t.Context()))

		line := c.metrics.timeline
		// Beside what the limit allows, each track has an overflow data point of each metric.
		assert.Len(t, line.order, maxTracks+1)
		assert.LessOrEqual(t, line.strands, cfg.MaxSeries*strandsPerSeries+len(line.order)*2)
		told, overflowed := map[string]uint64{}, map[string]uint64{}
		for _, md := range next.AllMetrics() {
			for _, rm := range md.ResourceMetrics().All() {
				service, _ := rm.Resource().Attributes().Get("service.name")
				for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
					if m.Name() != llmmetrics.MetricOperationDuration {
						continue
					}
					for _, dp := range m.Histogram().DataPoints().All() {
						model, _ := dp.Attributes().Get(llmmetrics.AttrRequestModel)
						told[service.Str()+model.Str()] = dp.Count()
						if _, ok := dp.Attributes().Get(llmmetrics.AttrOverflow); ok {
							overflowed[service.Str()] = dp.Count()
						}
					}
				}
			}
		}
		sum, beyond := uint64(0), uint64(0)
		for _, n := range told {
			sum += n
		}
		for _, n := range overflowed {
			beyond += n
		}
		assert.Equal(t, uint64(calls), sum)
		assert.Greater(t, beyond, uint64(maxTracks-cfg.MaxSeries*strandsPerSeries))
		assert.Less(t, beyond, uint64(calls), "the first ones have series of their own")
		assert.Equal(t, uint64(100), overflowed[""], "services without a timeline of their own are counted together")
	})
}
