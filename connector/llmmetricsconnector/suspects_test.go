package llmmetricsconnector

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// TestBatchComesAgainMuchLater kills the connector after it counted a batch of each of several sources, which come
// again after far more spans than nesting remembers, and after further kills.
func TestBatchComesAgainMuchLater(t *testing.T) {
	store := &memory{values: map[string][]byte{}}
	cfg, host := storing(store)
	sink := &consumertest.MetricsSink{}
	start := func() *tracesToMetrics { return started(t, cfg, host, sink) }
	kill := func(c *tracesToMetrics) {
		c.stop()
		<-c.stopped
		c.telemetry.builder.Shutdown()
	}
	batch := func(source string, first, spans int) ptrace.Traces {
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", source)
		to := rs.ScopeSpans().AppendEmpty().Spans()
		for i := range spans {
			span := to.AppendEmpty()
			span.SetTraceID(pcommon.TraceID{byte(i % 7), 1})
			span.SetSpanID(scriptID(uint64(first + i)))
			span.SetStartTimestamp(1)
			span.SetEndTimestamp(1e9 + 1)
			span.Attributes().PutStr(genai.AttrOperationName, []string{"chat", "execute_tool"}[i%2])
		}
		return td
	}
	total := 0
	consume := func(c *tracesToMetrics, td ptrace.Traces) {
		require.NoError(t, c.ConsumeTraces(t.Context(), td))
	}
	count := func(c *tracesToMetrics, source string, spans int) ptrace.Traces {
		td := batch(source, total+1, spans)
		total += spans
		consume(c, td)
		return td
	}
	flood := func(c *tracesToMetrics, source string) {
		for range 100 {
			count(c, source, 2000)
		}
	}

	c := start()
	count(c, "a", 1000) // acknowledged
	a := count(c, "a", 1000)
	count(c, "b", 1000)
	b := count(c, "b", 1000)
	kill(c)
	c = start()
	flood(c, "c")
	_ = c.flush(t.Context(), false) // saves
	kill(c)
	c = start()
	flood(c, "a")
	consume(c, a)
	kill(c)
	c = start()
	consume(c, b)
	consume(c, a)
	require.NoError(t, c.Shutdown(t.Context()))

	all := sink.AllMetrics()
	counted := 0
	for _, rm := range all[len(all)-1].ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			if m.Name() == llmmetrics.MetricOperationDuration || m.Name() == llmmetrics.MetricToolDuration {
				for _, dp := range m.Histogram().DataPoints().All() {
					counted += int(dp.Count())
				}
			}
		}
	}
	assert.Equal(t, total, counted)
}

func storedOf(s *suspects) []byte {
	s.cut()
	for !s.step() {
	}
	return s.appendTo(nil)
}

func TestSuspectsAreBounded(t *testing.T) {
	var s suspects
	for source := range uint64(200) {
		for span := range uint64(1000) {
			s.add(source, source<<32|span)
		}
		s.batch++
		for s.size > maxLastSpans {
			s.forgetOldest()
		}
	}
	require.LessOrEqual(t, s.size, maxLastSpans)
	for life := range uint64(10) {
		stored := storedOf(&s)
		require.LessOrEqual(t, len(stored), 8*(maxSuspects+maxLastSpans)+30*200+20)
		s = suspects{}
		rest, ok := s.restore(append(stored, "rest"...))
		require.True(t, ok)
		require.Equal(t, "rest", string(rest))
		s.started()
		require.LessOrEqual(t, len(s.kept), maxSuspects)
		require.Len(t, s.set, len(s.kept))
		if life == 0 {
			require.Contains(t, s.set, uint64(199<<32|999), "the newest batches are kept")
			require.NotContains(t, s.set, uint64(0))
		}
		for span := range uint64(40_000) {
			s.add(1000, 1<<60|life<<32|span)
		}
	}
	require.Contains(t, s.set, uint64(1<<60|8<<32), "newer suspects replace older ones")
	require.NotContains(t, s.set, uint64(1<<60))
}

// TestSourceThatWasSilentForLongestIsForgotten has more sources than are remembered, of which one batch comes again and
// again.
func TestSourceThatWasSilentForLongestIsForgotten(t *testing.T) {
	var s suspects
	const busy = 1 << 32
	for source := range uint64(2 * maxLastSpans) {
		s.came([]sourced{{source, source}})
		if source%1000 == 0 {
			s.came([]sourced{{busy, busy + source}, {busy, busy + source + 1}})
		}
	}
	require.Equal(t, maxLastSpans, s.size)
	stored := storedOf(&s)
	s = suspects{}
	rest, ok := s.restore(stored)
	require.True(t, ok && len(rest) == 0)
	s.started()
	require.Equal(t, []bool{true, false, true, false}, []bool{
		s.has(busy + 2*maxLastSpans/1000*1000), s.has(busy + 1000), s.has(2*maxLastSpans - 1), s.has(maxLastSpans),
	})
	require.Equal(t, uint64(busy+2*maxLastSpans/1000*1000+1), s.kept[len(s.kept)-2*maxLastSpans%1000], "the order outlasts a restart")
}

// BenchmarkNewSources has a source come that is new when as many as there may be are remembered.
func BenchmarkNewSources(b *testing.B) {
	var s suspects
	source := uint64(0)
	come := func() {
		source++
		s.came([]sourced{{source, source}})
	}
	for range maxLastSpans {
		come()
	}
	for b.Loop() {
		come()
	}
}

// TestHalvesOfACallFarApart kills after one half of a call that two instrumentations traced. The other comes when nesting
// has forgotten the first, and does not count.
func TestHalvesOfACallFarApart(t *testing.T) {
	for first := range 2 {
		store := &memory{values: map[string][]byte{}}
		cfg, host := storing(store)
		cfg.InitialZero = InitialZeroOff
		sink := &consumertest.MetricsSink{}
		half := func(half int) ptrace.Traces {
			td := chat("gpt")
			span := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
			span.SetTraceID(pcommon.TraceID{1})
			span.SetSpanID(pcommon.SpanID{byte(half + 1)})
			span.SetParentSpanID(pcommon.SpanID{byte(half)}) // the outermost has none
			return td
		}
		c := started(t, cfg, host, sink)
		require.NoError(t, c.ConsumeTraces(t.Context(), half(first)))
		die(c.shell)
		c = started(t, cfg, host, sink)
		c.spans.nesting.sets = nestingSets{} // many others came
		require.NoError(t, c.ConsumeTraces(t.Context(), half(1-first)))
		require.NoError(t, c.ConsumeTraces(t.Context(), half(first)))
		require.NoError(t, c.Shutdown(t.Context()))
		count, _, _ := histogramOf(sink.AllMetrics()[0], llmmetrics.MetricOperationDuration)
		assert.EqualValues(t, 1, count)
	}
}
