package llmmetricsconnector

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

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

// conversations makes traces of random shape that belong to conversations, some of them to none.
type conversations struct {
	rng   *rand.Rand
	step  string // operation of the step
	spans uint64
}

// turn is one trace: a root, a step that is no operation, and model calls and tools below.
func (g *conversations) turn(conversation string, at time.Time) (spans []ptrace.Span, calls, tools int) {
	var id pcommon.TraceID
	binary.BigEndian.PutUint64(id[:], g.rng.Uint64())
	add := func(parent pcommon.SpanID, operation string) ptrace.Span {
		g.spans++
		span := ptrace.NewSpan()
		span.SetTraceID(id)
		span.SetSpanID(scriptID(g.spans))
		span.SetParentSpanID(parent)
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Duration(g.rng.IntN(1000)) * time.Millisecond)))
		span.SetEndTimestamp(span.StartTimestamp() + pcommon.Timestamp(g.rng.IntN(1e9)))
		if operation != "" {
			span.Attributes().PutStr(genai.AttrOperationName, operation)
		}
		if conversation != "" && (parent.IsEmpty() || g.rng.IntN(2) == 0) {
			span.Attributes().PutStr(genai.AttrConversationID, conversation)
		}
		spans = append(spans, span)
		return span
	}
	root := add(pcommon.SpanID{}, "invoke_agent")
	root.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
	root.SetEndTimestamp(root.StartTimestamp() + 2e9)
	root.Attributes().PutStr(genai.AttrAgentName, "agent "+conversation[:min(1, len(conversation))])
	step := add(root.SpanID(), g.step).SpanID()
	calls, tools = 1+g.rng.IntN(4), g.rng.IntN(3)
	for range tools {
		add(step, "execute_tool")
	}
	for range calls {
		call := add(step, "chat")
		call.Attributes().PutInt(genai.AttrInputTokens, 10)
		call.Attributes().PutInt(genai.AttrOutputTokens, 20)
		call.Attributes().PutDouble(genai.AttrUsageCost, 0.1)
	}
	return spans, calls, tools
}

func tracesOf(spans []ptrace.Span) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "bot")
	to := rs.ScopeSpans().AppendEmpty().Spans()
	for _, span := range spans {
		span.CopyTo(to.AppendEmpty())
	}
	return td
}

// TestEachThreadIsMeasuredOnce sends the spans of conversations in random order in random batches, some of them twice,
// and expects what was made.
func TestEachThreadIsMeasuredOnce(t *testing.T) {
	g := conversations{rng: rand.New(rand.NewPCG(6, 1))}
	const threads = 100
	epoch := time.Unix(1_700_000_000, 0)
	var spans []ptrace.Span
	turns, calls, seconds := 0, 0, 0
	for i := range threads {
		n := 1 + g.rng.IntN(8)
		for j := range n {
			more, c, _ := g.turn(fmt.Sprint(i), epoch.Add(time.Duration(j)*time.Minute))
			spans = append(spans, more...)
			calls += c
		}
		turns += n
		seconds += 60*(n-1) + 2
	}
	alone, _, _ := g.turn("", epoch)
	spans = append(spans, alone...)
	g.rng.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })

	cfg := createDefaultConfig().(*Config)
	cfg.Threads.Enabled = true // and traces are not measured
	cfg.InitialZero = InitialZeroOff
	sink := &consumertest.MetricsSink{}
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, sink)
	require.NoError(t, err)
	for rest := spans; len(rest) > 0; {
		n := min(len(rest), 1+g.rng.IntN(200))
		td := tracesOf(rest[:n])
		for range 1 + g.rng.IntN(2) {
			require.NoError(t, c.ConsumeTraces(t.Context(), td))
		}
		rest = rest[n:]
	}
	later := now() + pcommon.Timestamp(cfg.Traces.Idle)
	require.Equal(t, ends{traces: [traceEnds]int64{traceIdle: int64(turns) + 1}}, c.spans.finishTraces(later, false, nil))
	_, open := c.spans.traces.size()
	require.Equal(t, int64(threads), open)
	require.Empty(t, c.spans.traces.threads.waiting)
	later += pcommon.Timestamp(cfg.Threads.IdleTimeout)
	require.Equal(t, ends{threads: [traceEnds]int64{traceIdle: threads}}, c.spans.finishTraces(later, false, nil))
	require.Equal(t, ends{}, c.spans.finishTraces(later, true, nil))

	require.NoError(t, c.flush(t.Context(), true))
	require.NoError(t, c.Shutdown(t.Context()))
	md := sink.AllMetrics()[0]
	for name, want := range map[string]struct {
		count uint64
		sum   float64
	}{
		llmmetrics.MetricThreadTurns:    {threads, float64(turns)},
		llmmetrics.MetricThreadDuration: {threads, float64(seconds)},
		llmmetrics.MetricThreadCost:     {threads, float64(calls) / 10},
		llmmetrics.MetricThreadTokens:   {2 * threads, float64(30 * calls)},
		llmmetrics.MetricTraceDuration:  {0, 0},
	} {
		count, sum, _ := histogramOf(md, name)
		assert.Equal(t, want.count, count, name)
		assert.InDelta(t, want.sum, sum, 1e-9, name)
	}
}

func TestThreadTable(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.Threads = ThreadsConfig{Enabled: true, IdleTimeout: 10 * time.Minute, MaxOpen: 2}
	cfg.ResourceAttributes = []string{"service.name"}
	at := func(d time.Duration) pcommon.Timestamp { return pcommon.Timestamp(time.Hour + d) }
	span := func(trace byte, conversation string, start time.Duration) traceSpan {
		return traceSpan{
			trace: pcommon.TraceID{trace}, span: pcommon.SpanID{trace}, genAI: true, start: at(start), end: at(start + time.Second), modelCall: true,
			input: 1, output: -1, cost: -1, agent: fmt.Sprint("agent ", trace), conversation: conversation, resource: pcommon.NewMap(), weight: 1,
		}
	}
	below := func(s traceSpan) traceSpan {
		s.parent, s.span = s.span, pcommon.SpanID{s.trace[0], 1}
		return s
	}
	type closed struct {
		agent string
		turns int64
		why   traceEnd
	}
	take := func(table *traceTable, now time.Duration, all bool) (got []closed) {
		for _, th := range table.take(at(now), all).threads {
			got = append(got, closed{th.first.agent, th.turns, th.why})
		}
		return got
	}
	t.Run("waits for another turn", func(t *testing.T) {
		table := newTraceTable(cfg)
		table.add([]traceSpan{span(2, "a", time.Second), span(1, "a", 0)}, at(0))
		assert.Empty(t, take(table, time.Minute, false), "the turns are complete")
		table.add([]traceSpan{span(3, "a", time.Minute)}, at(9*time.Minute))
		assert.Empty(t, take(table, 10*time.Minute, false))
		assert.Empty(t, take(table, 19*time.Minute, false))
		assert.Equal(t, []closed{{"agent 1", 3, traceIdle}}, take(table, 20*time.Minute, false), "with the names of the first turn")
		table.add([]traceSpan{span(4, "a", 30*time.Minute)}, at(30*time.Minute))
		assert.Empty(t, take(table, 31*time.Minute, false))
		assert.Equal(t, []closed{{"agent 4", 1, traceIdle}}, take(table, 41*time.Minute, false), "another thread")
	})
	t.Run("waits for a turn under way", func(t *testing.T) {
		table := newTraceTable(cfg)
		table.add([]traceSpan{span(1, "a", 0), span(5, "b", 0)}, at(0))
		assert.Empty(t, take(table, time.Minute, false))
		table.add([]traceSpan{below(span(2, "a", 0))}, at(2*time.Minute))
		assert.Equal(t, []closed{{"agent 5", 1, traceIdle}}, take(table, 20*time.Minute, false))
		table.add([]traceSpan{span(2, "a", 0)}, at(21*time.Minute))
		assert.Empty(t, take(table, 22*time.Minute, false))
		assert.Equal(t, []closed{{"agent 1", 2, traceIdle}}, take(table, 32*time.Minute, false))
	})
	t.Run("conversation of the root", func(t *testing.T) {
		for _, order := range [][]traceSpan{
			{span(1, "a", 0), below(span(1, "b", 0))}, {below(span(1, "b", 0)), below(span(1, "c", 0)), span(1, "a", 0)},
		} {
			table := newTraceTable(cfg)
			table.add(order, at(0))
			table.take(at(time.Minute), false)
			require.Len(t, table.threads.open, 1)
			assert.Contains(t, table.threads.open, threadKey{threadIDOf("a"), "\x00"})
			assert.Empty(t, table.threads.waiting)
		}
	})
	t.Run("limit", func(t *testing.T) {
		table := newTraceTable(cfg)
		table.add([]traceSpan{span(1, "a", 0), span(2, "b", 0), span(3, "a", 0), span(4, "c", 0)}, at(0))
		assert.Equal(t, []closed{{"agent 2", 1, traceLimit}}, take(table, time.Minute, false), "the one that was idle for longest")
		assert.Equal(t, []closed{{"agent 1", 2, traceShutdown}, {"agent 4", 1, traceShutdown}}, take(table, time.Minute, true))
	})
	t.Run("services", func(t *testing.T) {
		table := newTraceTable(cfg)
		one, other := span(1, "a", 0), span(2, "a", 0)
		other.resource.PutStr("service.name", "other")
		table.add([]traceSpan{one, other}, at(0))
		assert.Len(t, take(table, time.Minute, true), 2)
	})
	t.Run("not GenAI", func(t *testing.T) {
		table := newTraceTable(cfg)
		s := span(1, "a", 0)
		s.genAI = false
		table.add([]traceSpan{s}, at(0))
		assert.Empty(t, take(table, time.Minute, true))
		assert.Empty(t, table.threads.waiting)
	})
}
