package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const keptConfig = `
receivers:
  otlp: {protocols: {http: {endpoint: "localhost:{otlp}"}}}
connectors:
  llm_metrics:
    flush_interval: 1s
    traces: {enabled: true, idle: 1s}
    threads: {enabled: true, idle_timeout: 2s}
    storage: file_storage
exporters:
  prometheus: {endpoint: "localhost:{prom}", metric_expiration: 1h}
extensions:
  file_storage: {directory: "{dir}/storage", create_directory: true}
service:
  extensions: [file_storage]
  telemetry:
    metrics: {readers: [{pull: {exporter: {prometheus: {host: localhost, port: {telemetry}}}}}]}
  pipelines:
    traces: {receivers: [otlp], exporters: [llm_metrics]}
    logs: {receivers: [otlp], exporters: [llm_metrics]}
    metrics: {receivers: [llm_metrics], exporters: [prometheus]}
`

// TestOpenTracesThreadsAndScoresSurviveKills sends parts of traces and results of evaluations, kills the collector after
// each, and sends the last batches again, as a sender does that never heard whether they arrived. In the end every call,
// trace, turn, conversation and result counts once.
func TestOpenTracesThreadsAndScoresSurviveKills(t *testing.T) {
	const conversations, turns, calls, lives = 5, 4, 3, 4
	rng := rand.New(rand.NewPCG(7, 7))
	dir, port := t.TempDir(), freePort(t)
	var c *collector
	run := func() { c = startCollector(t, dir, keptConfig, "{otlp}", fmt.Sprint(port)) }
	send := func(signal string, data []byte) {
		resp, err := http.Post(fmt.Sprintf("http://localhost:%d/v1/%s", port, signal), "application/x-protobuf", bytes.NewReader(data))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	// What each life brings: calls of all traces, and in the last one their roots.
	var spans [lives]ptrace.Traces
	var results [lives]plog.Logs
	for i := range lives {
		spans[i], results[i] = ptrace.NewTraces(), plog.NewLogs()
		spans[i].ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty()
		results[i].ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty()
	}
	for conversation := range conversations {
		for range turns {
			var id pcommon.TraceID
			var root pcommon.SpanID
			binary.BigEndian.PutUint64(id[:], rng.Uint64())
			binary.BigEndian.PutUint64(root[:], rng.Uint64())
			for n := range calls + 1 {
				life := n
				if n == calls {
					life = lives - 1
				}
				span := spans[life].ResourceSpans().At(0).ScopeSpans().At(0).Spans().AppendEmpty()
				span.SetTraceID(id)
				span.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now()))
				span.SetEndTimestamp(span.StartTimestamp() + 1e9)
				if n == calls {
					span.SetSpanID(root)
					span.Attributes().PutStr("gen_ai.operation.name", "invoke_agent")
					span.Attributes().PutStr("gen_ai.conversation.id", fmt.Sprint("conversation ", conversation))
					continue
				}
				var own pcommon.SpanID
				binary.BigEndian.PutUint64(own[:], rng.Uint64())
				span.SetSpanID(own)
				span.SetParentSpanID(root)
				span.Attributes().PutStr("gen_ai.operation.name", "chat")
				span.Attributes().PutInt("gen_ai.usage.input_tokens", 100)
				record := results[life].ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().AppendEmpty()
				record.SetEventName("gen_ai.evaluation.result")
				record.SetTraceID(id)
				record.SetSpanID(own)
				record.SetTimestamp(span.EndTimestamp())
				record.Attributes().PutStr("gen_ai.evaluation.name", "good")
				record.Attributes().PutDouble("gen_ai.evaluation.score.value", 0.5)
			}
		}
	}
	run()
	for life := range lives {
		td, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(spans[life])
		require.NoError(t, err)
		ld, err := (&plog.ProtoMarshaler{}).MarshalLogs(results[life])
		require.NoError(t, err)
		send("traces", td)
		send("logs", ld)
		c.kill()
		run()
		send("traces", td)
		send("logs", ld)
	}
	histogram := func(name string) (count uint64, sum float64) {
		for _, m := range families(t, c.prom)[name].GetMetric() {
			count += m.GetHistogram().GetSampleCount()
			sum += m.GetHistogram().GetSampleSum()
		}
		return count, sum
	}
	const traces = conversations * turns
	eventually(t, time.Minute, "every conversation and every result is measured", func() bool {
		ended, _ := histogram("gen_ai_conversation_turns")
		scored, _ := histogram("gen_ai_evaluation_score")
		return ended >= conversations && scored >= calls*traces
	})
	for name, want := range map[string][2]float64{
		"gen_ai_conversation_turns":                {conversations, traces},
		"gen_ai_conversation_token_usage":          {conversations, 100 * calls * traces},
		"gen_ai_trace_inference_calls":             {traces, calls * traces},
		"gen_ai_trace_duration_seconds":            {traces, traces},
		"gen_ai_invoke_agent_duration_seconds":     {traces, traces},
		"gen_ai_client_operation_duration_seconds": {calls * traces, calls * traces},
		"gen_ai_client_token_usage":                {calls * traces, 100 * calls * traces},
		"gen_ai_evaluation_score":                  {calls * traces, calls * traces * 0.5},
	} {
		count, sum := histogram(name)
		require.Equal(t, uint64(want[0]), count, name)
		require.InDelta(t, want[1], sum, 1e-9, name)
	}
	require.InDelta(t, calls*traces, counter(families(t, c.prom), "gen_ai_evaluation_results_total", nil), 0)
}
