package llmmetricsconnector

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadatatest"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics/metricstext"
)

// evaluation adds a result of an evaluation with these attributes.
func evaluation(t testing.TB, ld plog.Logs, at time.Time, attributes map[string]any) plog.LogRecord {
	if ld.ResourceLogs().Len() == 0 {
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("service.name", "bot")
		rl.ScopeLogs().AppendEmpty()
	}
	record := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().AppendEmpty()
	record.SetEventName("gen_ai.evaluation.result")
	record.SetTimestamp(pcommon.NewTimestampFromTime(at))
	require.NoError(t, record.Attributes().FromRaw(attributes))
	return record
}

func TestScores(t *testing.T) { synctest.Test(t, testScores) }

func testScores(t *testing.T) {
	epoch := time.Now()
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	cfg := createDefaultConfig().(*Config)
	cfg.InitialZero = InitialZeroOff
	cfg.MaxSpanAge = 24 * time.Hour
	cfg.Dimensions = []Dimension{{Name: "tenant", Default: "none"}}
	sink := &consumertest.MetricsSink{}
	set := metadatatest.NewSettings(tel)
	c, err := newLogsToMetrics(set, cfg, sink)
	require.NoError(t, err)
	at := epoch
	time.Sleep(time.Second)
	ld := plog.NewLogs()
	first := evaluation(t, ld, at, map[string]any{
		"gen_ai.evaluation.name": "helpfulness", "gen_ai.evaluation.score.value": 0.75, "gen_ai.evaluation.score.label": "good",
		"langsmith.feedback.id": "1", "langsmith.feedback.source.type": "app", "gen_ai.evaluation.explanation": "never a label",
	})
	first.SetTraceID(pcommon.TraceID{1})
	first.SetSpanID(pcommon.SpanID{7})
	evaluation(t, ld, at, map[string]any{ // an edit
		"gen_ai.evaluation.name": "helpfulness", "gen_ai.evaluation.score.value": 0.0, "langsmith.feedback.id": "1",
	})
	again := evaluation(t, ld, at, nil)
	first.CopyTo(again)
	evaluation(t, ld, at, map[string]any{
		"gen_ai.evaluation.name": "helpfulness", "gen_ai.evaluation.score.value": 1, "gen_ai.evaluation.score.label": "good",
		"langsmith.feedback.id": "2", "langsmith.feedback.source.type": "app",
	})
	evaluation(t, ld, at, map[string]any{"gen_ai.evaluation.name": "verdict", "gen_ai.evaluation.score.label": "pass", "tenant": "acme"})
	evaluation(t, ld, at, map[string]any{"gen_ai.evaluation.name": "verdict", "gen_ai.evaluation.score.value": -1.0})
	evaluation(t, ld, at, map[string]any{"gen_ai.evaluation.name": "verdict", "gen_ai.evaluation.score.value": math.NaN(), "error.type": "timeout"})
	evaluation(t, ld, at.Add(-48*time.Hour), map[string]any{"gen_ai.evaluation.name": "old", "gen_ai.evaluation.score.value": 1.0})
	evaluation(t, ld, at, map[string]any{"gen_ai.evaluation.name": "named by an attribute", "gen_ai.evaluation.score.value": 0.0, "event.name": eventName}).SetEventName("")
	evaluation(t, ld, at, map[string]any{"gen_ai.evaluation.name": "another event"}).SetEventName("gen_ai.choice")
	require.NoError(t, c.ConsumeLogs(t.Context(), ld))
	require.NoError(t, c.flush(t.Context(), true))

	assert.Equal(t, `resource service.name=bot
  gen_ai.evaluation.score (1) histogram, cumulative
    {gen_ai.evaluation.name=helpfulness langsmith.feedback.source.type=app tenant=none} 0s-1s count=2 sum=1.75 le_0.8:1 le_1:1 exemplar(0.75 at 0s span 0700000000000000)
    {gen_ai.evaluation.name=named by an attribute tenant=none} 0s-1s count=1 sum=0 le_0:1
  gen_ai.evaluation.results ({result}) monotonic sum, cumulative
    {gen_ai.evaluation.name=verdict tenant=none} 0s-1s value=1
    {error.type=timeout gen_ai.evaluation.name=verdict tenant=none} 0s-1s value=1
    {gen_ai.evaluation.name=verdict gen_ai.evaluation.score.label=pass tenant=acme} 0s-1s value=1
    {gen_ai.evaluation.name=helpfulness gen_ai.evaluation.score.label=good langsmith.feedback.source.type=app tenant=none} 0s-1s value=2
    {gen_ai.evaluation.name=named by an attribute tenant=none} 0s-1s value=1
`, metricstext.String(sink.AllMetrics()[0], epoch))

	id := attribute.String("connector", set.ID.String())
	var want []metricdata.DataPoint[int64]
	for event, n := range map[string]int64{"recorded": 3, "no_score": 3, "too_old": 1, "repeated": 1, "edited": 1, "other": 1} {
		want = append(want, metricdata.DataPoint[int64]{Attributes: attribute.NewSet(id, attribute.String("event", event)), Value: n})
	}
	metadatatest.AssertEqualConnectorLlmMetricsEvents(t, tel, want, metricdatatest.IgnoreTimestamp())
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestFeedbackIsRememberedWithinBounds(t *testing.T) {
	var m feedbackMemory
	id := func(i int) (h feedbackHash) {
		binary.BigEndian.PutUint64(h[:], uint64(i+1))
		return h
	}
	for i := range 2 * maxFeedback {
		_, known := m.add(id(i), id(1))
		require.False(t, known)
	}
	require.Len(t, m.seen, maxFeedback)
	before, known := m.add(id(2*maxFeedback-1), id(2))
	require.True(t, known)
	require.Equal(t, id(1), before)
	_, known = m.add(id(0), id(1))
	require.False(t, known, "forgotten")

	var restored feedbackMemory
	m.cut()
	for !m.step() {
	}
	require.True(t, restored.restore(slices.Concat(m.copied()...)))
	require.Equal(t, m.seen, restored.seen)
	_, known = restored.add(id(1), id(1))
	require.False(t, known)
	for _, r := range []*feedbackMemory{&m, &restored} {
		_, _ = r.add(id(3), id(1))
		require.NotContains(t, r.seen, id(maxFeedback+1), "the oldest is forgotten first")
	}
}

// TestResultsWithoutFeedbackIDCountOnce holds that a batch which comes again is known even where results have no id of
// their own.
func TestResultsWithoutFeedbackIDCountOnce(t *testing.T) {
	var to eventReader
	record := func(change func(plog.LogRecord)) plog.LogRecord {
		r := evaluation(t, plog.NewLogs(), time.Unix(1, 0), map[string]any{
			"gen_ai.evaluation.name": "good", "gen_ai.evaluation.score.value": 1.0, "gen_ai.evaluation.explanation": "any",
		})
		r.SetTraceID(pcommon.TraceID{1})
		change(r)
		return r
	}
	known := func(change func(plog.LogRecord)) bool {
		id, content := identify(record(change))
		_, known := to.feedback.add(id, content)
		return known
	}
	require.False(t, known(func(plog.LogRecord) {}))
	require.True(t, known(func(plog.LogRecord) {}))
	require.True(t, known(func(r plog.LogRecord) { r.SetObservedTimestamp(9) }), "when it was seen does not matter")
	for name, change := range map[string]func(plog.LogRecord){
		"trace": func(r plog.LogRecord) { r.SetTraceID(pcommon.TraceID{2}) },
		"span":  func(r plog.LogRecord) { r.SetSpanID(pcommon.SpanID{2}) },
		"time":  func(r plog.LogRecord) { r.SetTimestamp(7) },
		"name":  func(r plog.LogRecord) { r.Attributes().PutStr("gen_ai.evaluation.name", "bad") },
		"score": func(r plog.LogRecord) { r.Attributes().PutDouble("gen_ai.evaluation.score.value", 0) },
		"label": func(r plog.LogRecord) { r.Attributes().PutStr("gen_ai.evaluation.score.label", "x") },
	} {
		require.False(t, known(change), name)
		require.True(t, known(change), name)
	}
	for name, change := range map[string]func(plog.LogRecord){
		"trace": func(r plog.LogRecord) { r.SetTraceID(pcommon.TraceID{}) }, "time": func(r plog.LogRecord) { r.SetTimestamp(0) },
	} {
		id, _ := identify(record(change))
		require.Zero(t, id, "without a %s there is nothing to know it by", name)
	}
}

func FuzzEvents(f *testing.F) {
	f.Add("gen_ai.evaluation.name", "x", 0.5, int64(1))
	f.Fuzz(func(t *testing.T, key, text string, x float64, at int64) {
		cfg := createDefaultConfig().(*Config)
		cfg.MaxSeries = 3
		cfg.Dimensions = []Dimension{{Name: key + "x"}}
		c, err := newLogsToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, consumertest.NewNop())
		require.NoError(t, err)
		ld := plog.NewLogs()
		for i := range 4 {
			record := evaluation(t, ld, time.Unix(0, at), map[string]any{
				"gen_ai.evaluation.name": text, "gen_ai.evaluation.score.value": x, key: text + fmt.Sprint(i), key + "x": x,
			})
			record.SetSeverityText(text)
		}
		require.NoError(t, c.ConsumeLogs(t.Context(), ld))
		require.NoError(t, c.flush(t.Context(), true))
		require.LessOrEqual(t, c.metrics.series(), int64(3))
		require.NoError(t, c.Shutdown(t.Context()))
	})
}
