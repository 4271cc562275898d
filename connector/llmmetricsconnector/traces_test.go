package llmmetricsconnector

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// histogramOf is the count, sum and buckets of all data points of a histogram.
func histogramOf(md pmetric.Metrics, name string) (count uint64, sum float64, buckets []uint64) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			if m.Name() != name {
				continue
			}
			for _, dp := range m.Histogram().DataPoints().All() {
				count += dp.Count()
				sum += dp.Sum()
				if buckets == nil {
					buckets = make([]uint64, dp.BucketCounts().Len())
				}
				for i, n := range dp.BucketCounts().All() {
					buckets[i] += n
				}
			}
		}
	}
	return count, sum, buckets
}

// TestEachTraceIsMeasuredOnce makes traces, sends their spans in random order in random batches, and expects what
// was made.
func TestEachTraceIsMeasuredOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	const traces = 500
	var spans []ptrace.Span
	var want struct {
		duration, input, output, cost float64
		calls, tools, depths, failed  int
	}
	for i := range traces {
		var id pcommon.TraceID
		binary.BigEndian.PutUint64(id[:], rng.Uint64())
		add := func(parent pcommon.SpanID, operation string) ptrace.Span {
			span := ptrace.NewSpan()
			span.SetTraceID(id)
			span.SetSpanID(scriptID(uint64(len(spans) + 1)))
			span.SetParentSpanID(parent)
			span.SetStartTimestamp(pcommon.Timestamp(1e9 + rng.Int64N(1e9)))
			span.SetEndTimestamp(span.StartTimestamp() + pcommon.Timestamp(rng.Int64N(1e9)))
			span.Attributes().PutStr(genai.AttrOperationName, operation)
			spans = append(spans, span)
			return span
		}
		root := add(pcommon.SpanID{}, "invoke_workflow")
		root.SetEndTimestamp(root.StartTimestamp() + 3e9)
		want.duration += 3
		root.Attributes().PutStr(genai.AttrWorkflowName, fmt.Sprint("flow ", i%3))
		root.Attributes().PutInt(genai.AttrInputTokens, 1e6) // repeats its calls, roughly
		if i%5 == 0 {
			root.Attributes().PutStr(genai.AttrErrorType, "timeout")
			want.failed++
		}
		at, depth := root.SpanID(), 1
		for range rng.IntN(6) {
			at = add(at, []string{"chain", "invoke_agent"}[rng.IntN(2)]).SpanID()
			depth++
		}
		tools, calls := rng.IntN(3), rng.IntN(5)
		for range tools {
			add(at, "execute_tool")
		}
		for range calls {
			call := add(at, "chat")
			call.Attributes().PutInt(genai.AttrInputTokens, 10)
			call.Attributes().PutInt(genai.AttrOutputTokens, 20)
			call.Attributes().PutDouble(genai.AttrUsageCost, 0.1)
		}
		want.tools += tools
		want.calls += calls
		if tools+calls > 0 {
			depth++
		}
		want.depths += depth
	}
	rng.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })

	cfg := createDefaultConfig().(*Config)
	cfg.Traces.Enabled = true
	cfg.InitialZero = InitialZeroOff
	sink := &consumertest.MetricsSink{}
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, sink)
	require.NoError(t, err)
	for rest := spans; len(rest) > 0; {
		n := min(len(rest), 1+rng.IntN(300))
		td := ptrace.NewTraces()
		to := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
		for _, span := range rest[:n] {
			span.CopyTo(to.AppendEmpty())
		}
		require.NoError(t, c.ConsumeTraces(t.Context(), td))
		if rng.IntN(3) == 0 { // another exporter refused it
			require.NoError(t, c.ConsumeTraces(t.Context(), td))
		}
		rest = rest[n:]
	}
	open, _ := c.spans.traces.size()
	require.Equal(t, int64(traces), open)
	require.Equal(t, ends{}, c.spans.finishTraces(now(), false, nil), "all are still fresh")
	done := c.spans.finishTraces(now()+pcommon.Timestamp(cfg.Traces.Idle), false, nil)
	require.Equal(t, ends{traces: [traceEnds]int64{traceIdle: traces}}, done)

	// What comes now is late.
	td := ptrace.NewTraces()
	straggler := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	spans[0].CopyTo(straggler)
	straggler.SetSpanID(scriptID(1 << 40))
	require.NoError(t, c.ConsumeTraces(t.Context(), td))
	require.Equal(t, ends{late: 1}, c.spans.finishTraces(now(), true, nil))

	require.NoError(t, c.flush(t.Context(), true))
	require.NoError(t, c.Shutdown(t.Context()))
	md := sink.AllMetrics()[0]
	for name, sum := range map[string]float64{
		llmmetrics.MetricTraceDuration: 3 * traces, llmmetrics.MetricTraceCost: float64(want.calls) / 10,
		llmmetrics.MetricTraceCalls: float64(want.calls), llmmetrics.MetricTraceTools: float64(want.tools),
		llmmetrics.MetricTraceDepth: float64(want.depths), llmmetrics.MetricTraceTokens: float64(30 * want.calls),
	} {
		count, got, _ := histogramOf(md, name)
		assert.InEpsilon(t, sum, got, 1e-12, name)
		if name != llmmetrics.MetricTraceTokens && name != llmmetrics.MetricTraceCost {
			assert.Equal(t, uint64(traces), count, name)
		}
	}
	var failed uint64
	for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if m.Name() == llmmetrics.MetricTraceDuration {
			assert.Equal(t, 6, m.Histogram().DataPoints().Len(), "three workflows, with and without an error")
			for _, dp := range m.Histogram().DataPoints().All() {
				if _, ok := dp.Attributes().Get(genai.AttrErrorType); ok {
					failed += dp.Count()
				}
			}
		}
	}
	assert.Equal(t, uint64(want.failed), failed)
	count, _, _ := histogramOf(md, llmmetrics.MetricOperationDuration)
	assert.GreaterOrEqual(t, count, uint64(want.calls), "calls below agents and workflows that came before them count")
}

// TestTracesBeyondTheBoundDoNotWaitForAFlush has many more traces than may be open, each a turn of one of few threads, and
// no flush before the collector is killed.
func TestTracesBeyondTheBoundDoNotWaitForAFlush(t *testing.T) {
	cfg, host := storing(&memory{values: map[string][]byte{}})
	cfg.Traces.Enabled, cfg.Traces.MaxOpen = true, 2
	cfg.Threads.Enabled, cfg.Threads.MaxOpen = true, 5
	cfg.InitialZero = InitialZeroOff
	sink := &consumertest.MetricsSink{}
	start := func() *tracesToMetrics { return started(t, cfg, host, sink) }
	c := start()
	const each = 50
	var senders sync.WaitGroup
	for sender := range byte(4) {
		senders.Go(func() {
			for i := range byte(each) {
				td := chat("gpt")
				span := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
				span.SetTraceID(pcommon.TraceID{1, sender, i})
				span.Attributes().PutStr(genai.AttrConversationID, fmt.Sprint(i%8))
				assert.NoError(t, c.ConsumeTraces(t.Context(), td))
			}
		})
	}
	senders.Wait()
	assert.LessOrEqual(t, len(c.spans.traces.full), cfg.Traces.MaxOpen)
	die(c.shell)

	c = start()
	assert.LessOrEqual(t, len(c.spans.traces.open), cfg.Traces.MaxOpen)
	c.spans.finishTraces(now(), true, nil)
	require.NoError(t, c.Shutdown(t.Context()))
	count, _, _ := histogramOf(sink.AllMetrics()[0], llmmetrics.MetricTraceDuration)
	assert.EqualValues(t, 4*each, count)
	_, turns, _ := histogramOf(sink.AllMetrics()[0], llmmetrics.MetricThreadTurns)
	assert.EqualValues(t, 4*each, turns)
}

func tableOf(limit int) *traceTable {
	cfg := createDefaultConfig().(*Config)
	cfg.Traces = TracesConfig{Enabled: true, Idle: time.Minute, Timeout: time.Hour, MaxOpen: limit}
	return newTraceTable(cfg)
}

func TestTraceTable(t *testing.T) {
	at := func(d time.Duration) pcommon.Timestamp { return pcommon.Timestamp(time.Hour + d) }
	span := func(trace byte, parent byte) traceSpan {
		return traceSpan{
			trace: pcommon.TraceID{trace}, span: pcommon.SpanID{parent + 1}, parent: pcommon.SpanID{parent}, genAI: true,
			start: at(0), end: at(time.Second), input: -1, output: -1, cost: -1, resource: pcommon.NewMap(),
		}
	}
	type closed struct {
		trace byte
		why   traceEnd
	}
	take := func(table *traceTable, now time.Duration, all bool) (got []closed) {
		for _, tr := range table.take(at(now), all).traces {
			got = append(got, closed{tr.id[0], tr.why})
		}
		return got
	}
	t.Run("waits", func(t *testing.T) {
		table := tableOf(10)
		table.add([]traceSpan{span(1, 0), span(2, 1), span(3, 0), {}}, at(0))
		table.add([]traceSpan{span(1, 1)}, at(30*time.Second))
		assert.Empty(t, take(table, 59*time.Second, false))
		assert.Equal(t, []closed{{3, traceIdle}}, take(table, time.Minute, false))
		assert.Equal(t, []closed{{1, traceIdle}}, take(table, 90*time.Second, false), "its last span came later")
		assert.Empty(t, take(table, 59*time.Minute, false))
		assert.Equal(t, []closed{{2, traceTimeout}}, take(table, time.Hour, false), "without a root")
		assert.Empty(t, take(table, -2*time.Hour, false), "a clock that runs backwards")
	})
	t.Run("root comes last", func(t *testing.T) {
		table := tableOf(10)
		table.add([]traceSpan{span(1, 1)}, at(0))
		table.add([]traceSpan{span(1, 0)}, at(10*time.Minute))
		assert.Empty(t, take(table, 10*time.Minute, false))
		assert.Equal(t, []closed{{1, traceIdle}}, take(table, 11*time.Minute, false))
	})
	t.Run("limit", func(t *testing.T) {
		table := tableOf(2)
		table.add([]traceSpan{span(1, 1), span(2, 0), span(3, 0), span(4, 1)}, at(0))
		assert.Equal(t, []closed{{2, traceLimit}, {3, traceLimit}}, take(table, 0, false), "complete ones first")
		assert.Len(t, table.open, 2)
		assert.Equal(t, []closed{{1, traceShutdown}, {4, traceShutdown}}, take(table, 0, true))
		table.add([]traceSpan{span(1, 1), span(2, 1), span(2, 2)}, at(0))
		assert.Equal(t, int64(3), table.take(at(0), false).late)
	})
	t.Run("bounded memory", func(t *testing.T) {
		table := tableOf(2)
		for i := range 100 {
			table.add([]traceSpan{span(byte(i+1), 0)}, at(0))
		}
		assert.Len(t, table.closed.ids, 8)
		assert.Len(t, table.closed.last.items, 8)
	})
	t.Run("not GenAI", func(t *testing.T) {
		table := tableOf(2)
		s := span(1, 0)
		s.genAI = false
		table.add([]traceSpan{s}, at(0))
		assert.Equal(t, []closed{{1, traceNotGenAI}}, take(table, 0, true))
	})
}

func TestDepth(t *testing.T) {
	for name, test := range map[string]struct {
		links []traceLink
		want  int64
	}{
		"none":         {nil, 0},
		"one":          {[]traceLink{{1, 0}}, 1},
		"two branches": {[]traceLink{{4, 3}, {3, 1}, {2, 1}, {1, 0}}, 3},
		"no root":      {[]traceLink{{4, 3}, {3, 9}}, 2},
		"itself":       {[]traceLink{{1, 1}}, 1},
		"circle":       {[]traceLink{{1, 2}, {2, 1}}, 2},
		"twice":        {[]traceLink{{1, 0}, {2, 1}, {2, 1}}, 2},
	} {
		for range 5 {
			rand.Shuffle(len(test.links), func(i, j int) { test.links[i], test.links[j] = test.links[j], test.links[i] })
			assert.Equal(t, test.want, (&openTrace{links: slices.Clone(test.links)}).depth(), name)
		}
	}
}
