package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// samplingConfig measures the same spans before sampling and behind four samplers. Behind tail sampling, whose policies
// leave no threshold, the transform processor writes it for the policy that takes one in ten.
const samplingConfig = `
receivers:
  otlp: {protocols: {http: {endpoint: "localhost:{otlp}"}}}
processors:
  probabilistic_sampler/hundred: {mode: proportional, sampling_percentage: 1}
  probabilistic_sampler/ten: {mode: equalizing, sampling_percentage: 10}
  probabilistic_sampler/half: {mode: proportional, sampling_percentage: 50}
  probabilistic_sampler/tenth: {mode: proportional, sampling_percentage: 10}
  tail_sampling:
    decision_wait: 2s
    num_traces: 100000
    policies:
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: one in ten, type: probabilistic, probabilistic: {sampling_percentage: 10}}
  transform:
    error_mode: propagate
    trace_statements:
      - conditions: ['scope.attributes["tailsampling.policy"] == "one in ten"']
        statements: ['set(span.trace_state["ot"], "th:e6666666666666")']
connectors:
  forward/hundred:
  forward/ten:
  forward/twice:
  forward/tail:
  llm_metrics/all: {flush_interval: 1h, traces: {enabled: true}, prices: {enabled: false}}
  llm_metrics/hundred: {flush_interval: 1h, traces: {enabled: true}, prices: {enabled: false}}
  llm_metrics/ten: {flush_interval: 1h, traces: {enabled: true}, prices: {enabled: false}}
  llm_metrics/twice: {flush_interval: 1h, traces: {enabled: true}, prices: {enabled: false}}
  llm_metrics/tail: {flush_interval: 1h, traces: {enabled: true}, prices: {enabled: false}}
exporters:
  file/all: {path: "{dir}/all.jsonl"}
  file/hundred: {path: "{dir}/hundred.jsonl"}
  file/ten: {path: "{dir}/ten.jsonl"}
  file/twice: {path: "{dir}/twice.jsonl"}
  file/tail: {path: "{dir}/tail.jsonl"}
service:
  telemetry:
    metrics: {readers: [{pull: {exporter: {prometheus: {host: localhost, port: {telemetry}}}}}]}
  pipelines:
    traces: {receivers: [otlp], exporters: [llm_metrics/all, forward/hundred, forward/ten, forward/twice, forward/tail]}
    traces/hundred: {receivers: [forward/hundred], processors: [probabilistic_sampler/hundred], exporters: [llm_metrics/hundred]}
    traces/ten: {receivers: [forward/ten], processors: [probabilistic_sampler/ten], exporters: [llm_metrics/ten]}
    traces/twice: {receivers: [forward/twice], processors: [probabilistic_sampler/half, probabilistic_sampler/tenth], exporters: [llm_metrics/twice]}
    traces/tail: {receivers: [forward/tail], processors: [tail_sampling, transform], exporters: [llm_metrics/tail]}
    metrics/all: {receivers: [llm_metrics/all], exporters: [file/all]}
    metrics/hundred: {receivers: [llm_metrics/hundred], exporters: [file/hundred]}
    metrics/ten: {receivers: [llm_metrics/ten], exporters: [file/ten]}
    metrics/twice: {receivers: [llm_metrics/twice], exporters: [file/twice]}
    metrics/tail: {receivers: [llm_metrics/tail], exporters: [file/tail]}
`

// sampled is what one trace adds to a total.
type sampledTotals map[string]float64

// TestSampledMetricsAreUnbiased sends traces through samplers, and expects the totals before sampling within the error
// that sampling leaves: a trace kept with probability p counts 1/p times, so a total of parts x varies by
// sqrt(sum x² (1-p)/p). Trace ids are seeded, so the samplers decide the same in every run.
func TestSampledMetricsAreUnbiased(t *testing.T) {
	const traces = 30_000
	rng := rand.New(rand.NewPCG(10, 100))
	truth := sampledTotals{}
	squares, squaresOfGood := sampledTotals{}, sampledTotals{} // of what the traces add
	dir := t.TempDir()
	port := freePort(t)
	config := filepath.Join(dir, "config.yaml")
	telemetry := freePort(t)
	require.NoError(t, os.WriteFile(config, []byte(strings.NewReplacer(
		"{dir}", dir, "{otlp}", fmt.Sprint(port), "{telemetry}", fmt.Sprint(telemetry),
	).Replace(samplingConfig)), 0o600))
	c := start(t, dir, nil, "otelcol-langsmith", "--config", config, "--feature-gates", "processor.tailsamplingprocessor.recordpolicy")
	eventually(t, time.Minute, "the collector is ready", func() bool { return strings.Contains(c.output(), "Everything is ready") })

	td := ptrace.NewTraces()
	send := func() {
		data, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
		require.NoError(t, err)
		resp, err := http.Post(fmt.Sprintf("http://localhost:%d/v1/traces", port), "application/x-protobuf", bytes.NewReader(data))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		td = ptrace.NewTraces()
	}
	epoch := time.Now()
	for i := range traces {
		parts, failed := sampledTrace(rng, td, epoch)
		for name, x := range parts {
			truth[name] += x
			squares[name] += x * x
			if !failed {
				squaresOfGood[name] += x * x
			}
		}
		if i%500 == 499 {
			send()
		}
	}
	eventually(t, 2*time.Minute, "tail sampling has decided about every trace", func() bool {
		list := families(t, telemetry)
		name := "otelcol_processor_tail_sampling_global_count_traces_sampled"
		return counter(list, name, nil)+counter(list, name+"_total", nil) >= traces
	})
	c.stop(t)

	// Counts leave out less than one operation in each of at most 15 buckets, of each of the streams below.
	const left = 15 * 8
	for name, sampler := range map[string]struct {
		probability float64
		squares     sampledTotals
	}{
		"all": {1, squares}, "hundred": {0.01, squares}, "ten": {0.1, squares}, "twice": {0.05, squares}, "tail": {0.1, squaresOfGood},
	} {
		got := sampledTotalsOf(t, filepath.Join(dir, name+".jsonl"))
		if name == "all" {
			for what, want := range truth {
				assert.InEpsilon(t, want, got[what], 1e-9, "%s before sampling", what)
			}
			assert.NotContains(t, got, "gen_ai.client.operation.estimated", "nothing is estimated before sampling")
			continue
		}
		for what, want := range truth {
			spread := 4 * math.Sqrt(sampler.squares[what]*(1-sampler.probability)/sampler.probability)
			t.Logf("%s: %s %.6g of %.6g, %.1f%% off, %.1f%% allowed", name, what, got[what], want, 100*math.Abs(got[what]/want-1), 100*spread/want)
			require.Less(t, spread, want, "the bound for %s of %s says nothing", what, name)
			assert.InDelta(t, want, got[what], spread+left, "%s behind %s", what, name)
		}
		// The metrics say how much of them is estimated.
		operations := got["gen_ai.client.operation.duration count"]
		share := got["gen_ai.client.operation.estimated"] / operations
		expected := 1 - sampler.probability
		if name == "tail" { // which keeps every failed trace
			assert.Greater(t, share, 0.5)
			assert.Less(t, share, expected)
			continue
		}
		assert.InDelta(t, expected, share, left/operations, name)
	}
}

// sampledTrace adds a trace, and says what it adds to the totals and whether it failed.
func sampledTrace(rng *rand.Rand, td ptrace.Traces, at time.Time) (parts sampledTotals, failed bool) {
	if td.ResourceSpans().Len() == 0 {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", "bot")
		rs.ScopeSpans().AppendEmpty()
	}
	spans := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	var id pcommon.TraceID
	binary.BigEndian.PutUint64(id[:], rng.Uint64())
	binary.BigEndian.PutUint64(id[8:], rng.Uint64())
	parts = sampledTotals{"gen_ai.trace.duration count": 1, "gen_ai.trace.duration sum": 3}
	add := func(parent pcommon.SpanID, took time.Duration) ptrace.Span {
		span := spans.AppendEmpty()
		span.SetTraceID(id)
		var spanID pcommon.SpanID
		binary.BigEndian.PutUint64(spanID[:], rng.Uint64())
		span.SetSpanID(spanID)
		span.SetParentSpanID(parent)
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(at))
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(at.Add(took)))
		return span
	}
	root := add(pcommon.SpanID{}, 3*time.Second)
	root.Attributes().PutStr("gen_ai.operation.name", "invoke_workflow")
	for range 1 + rng.IntN(4) {
		took := time.Duration(1+rng.IntN(3000)) * time.Millisecond
		call := add(root.SpanID(), took)
		input, cost := rng.IntN(2000), float64(rng.IntN(1000))/1e5
		call.Attributes().PutStr("gen_ai.operation.name", "chat")
		call.Attributes().PutStr("gen_ai.request.model", "gpt")
		call.Attributes().PutInt("gen_ai.usage.input_tokens", int64(input))
		call.Attributes().PutDouble("gen_ai.usage.cost", cost)
		if rng.IntN(30) == 0 {
			failed = true
			call.Status().SetCode(ptrace.StatusCodeError)
			call.Attributes().PutStr("error.type", "timeout")
			parts["gen_ai.client.operation.errors"]++
		}
		parts["gen_ai.client.operation.duration count"]++
		parts["gen_ai.client.operation.duration sum"] += took.Seconds()
		if took > 1280*time.Millisecond {
			parts["gen_ai.client.operation.duration over 1.28"]++
		}
		parts["gen_ai.client.token.usage sum"] += float64(input)
		parts["gen_ai.usage.cost sum"] += cost
	}
	return parts, failed
}

// sampledTotalsOf adds up the last metrics of a file.
func sampledTotalsOf(t *testing.T, path string) sampledTotals {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(lines[len(lines)-1])
	require.NoError(t, err)
	totals := sampledTotals{}
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			if m.Type() == pmetric.MetricTypeSum {
				for _, dp := range m.Sum().DataPoints().All() {
					totals[m.Name()] += float64(dp.IntValue())
				}
				continue
			}
			for _, dp := range m.Histogram().DataPoints().All() {
				totals[m.Name()+" count"] += float64(dp.Count())
				totals[m.Name()+" sum"] += dp.Sum()
				for i, n := range dp.BucketCounts().All() {
					if i > 0 && dp.ExplicitBounds().At(i-1) >= 1.28 {
						totals[m.Name()+" over 1.28"] += float64(n)
					}
				}
			}
		}
	}
	return totals
}
