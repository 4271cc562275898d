package e2e

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// pullConfig is the default configuration with short intervals, so that a test need not wait.
const pullConfig = `
receivers:
  langsmith:
    endpoint: {endpoint}
    api_key: lsv2_sk_e2e_secret
    api_version: {api_version}
    collection_interval: 1s
    initial_lookback: 72h
    lookback: 1m
    response_details: true
    storage: file_storage
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 1024}
  llm_metrics:
connectors:
  llm_metrics: {flush_interval: 1s}
exporters:
  file: {path: "{dir}/spans.jsonl", flush_interval: 1s}
  prometheus: {endpoint: "localhost:{prom}", metric_expiration: 1h}
extensions:
  health_check: {endpoint: "localhost:{health}"}
  file_storage: {directory: "{dir}/storage", create_directory: true}
service:
  extensions: [health_check, file_storage]
  telemetry:
    logs: {level: debug}
    metrics: {readers: [{pull: {exporter: {prometheus: {host: localhost, port: {telemetry}}}}}]}
  pipelines:
    traces: {receivers: [langsmith], processors: [memory_limiter, llm_metrics], exporters: [file, llm_metrics]}
    metrics: {receivers: [llm_metrics], exporters: [prometheus]}
`

func TestEveryRunOnceV2(t *testing.T) { everyRunOnce(t, "both", "auto") }

func TestEveryRunOnceV1(t *testing.T) { everyRunOnce(t, "v1", "auto") }

// everyRunOnce reads 50 000 runs of history and live traffic beside it, and compares every span and every total with
// what the simulator knows.
func everyRunOnce(t *testing.T, api, version string) {
	sim := startSimulator(t, "--history", "50000", "--span", "3h", "--rate", "8", "--late-by", "10s", "--api", api)
	c := startCollector(t, t.TempDir(), pullConfig, "{endpoint}", sim.url, "{api_version}", version)

	eventually(t, 5*time.Minute, "the history is read", func() bool {
		return counter(families(t, c.telemetry), "otelcol_receiver_accepted_spans_total", nil)+
			counter(families(t, c.telemetry), "otelcol_receiver_accepted_spans", nil) > 50000
	})
	// Live traffic goes on beside the history, and after it.
	after := sim.finished(t)
	eventually(t, 5*time.Minute, "live traffic goes on", func() bool { return sim.finished(t) > after+1000 })
	sim.quiesce(t)
	want := sim.runs(t)
	require.Greater(t, len(want), 50000)

	path := filepath.Join(c.dir, "spans.jsonl")
	lines := func() int { // cheap: spans by their run id, without decoding
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return strings.Count(string(data), `"key":"langsmith.run.id"`)
	}
	eventually(t, 4*time.Minute, "every finished run is a span", func() bool { return lines() >= len(want) })
	c.polls(t, 3)
	calls := sim.totals(t)
	list := c.flushed(t, sim, calls, want)
	c.stop(t)

	compareSpans(t, want, spansOf(t, path))
	compareTotals(t, sim, calls, want, list)
}

// spanID is the rule by which a run id becomes a span id: its last 8 bytes, unless the run had one before it came to
// LangSmith.
func spanID(runs map[string]simulatedRun, runID string) string {
	if own := runs[runID].SpanID; own != "" {
		return own
	}
	return strings.ReplaceAll(runID, "-", "")[16:]
}

// errorType is what a class of the simulator's failures is called on a span.
func errorType(class string) string {
	switch class {
	case "HTTPError":
		return "502" // the code says more than the class that every failed request has
	case "BadRequestError":
		return "context_length_exceeded" // why the provider refused says more than that it did
	case "GraphInterrupt":
		return "" // a graph that waits for a human has not failed
	}
	return class
}

func compareSpans(t *testing.T, want map[string]simulatedRun, got []span) {
	t.Helper()
	seen := map[string]int{}
	wrong := 0
	complain := func(format string, args ...any) {
		if wrong++; wrong <= 20 {
			t.Errorf(format, args...)
		}
	}
	for _, s := range got {
		id := s.str("langsmith.run.id")
		seen[id]++
		run, ok := want[id]
		if !ok {
			complain("span of a run that is not finished: %s", id)
			continue
		}
		trace, own := s.TraceID(), s.SpanID()
		if hex.EncodeToString(trace[:]) != strings.ReplaceAll(run.TraceID, "-", "") {
			complain("run %s: trace id %x", id, trace)
		}
		if hex.EncodeToString(own[:]) != spanID(want, id) {
			complain("run %s: span id %x", id, own)
		}
		parent := ""
		if run.ParentID != nil {
			parent = spanID(want, *run.ParentID)
		}
		if s.ParentSpanID().String() != parent {
			complain("run %s: parent %q, want %q", id, s.ParentSpanID(), parent)
		}
		begin, err := time.Parse(time.RFC3339Nano, run.Start)
		require.NoError(t, err)
		end, err := time.Parse(time.RFC3339Nano, run.End)
		require.NoError(t, err)
		if end.Before(begin) {
			end = begin
		}
		if !s.StartTimestamp().AsTime().Equal(begin) || !s.EndTimestamp().AsTime().Equal(end) {
			complain("run %s: %s to %s, want %s to %s", id, s.StartTimestamp().AsTime(), s.EndTimestamp().AsTime(), begin, end)
		}
		if s.str("langsmith.run_type") != run.Type || s.str("langsmith.trace.name") != run.Name || s.resource["service.name"] != run.Project {
			complain("run %s: %s %q of %v", id, s.str("langsmith.run_type"), s.str("langsmith.trace.name"), s.resource["service.name"])
		}
		kind := s.str("error.type")
		if kind == "Cancelled" { // all that the JS client says of it
			kind = "CancelledError"
		}
		if want := errorType(run.ErrorType); (s.Status().Code() == ptrace.StatusCodeError) != (want != "") || kind != want {
			complain("run %s: status %s, error type %q, want %q", id, s.Status().Code(), s.str("error.type"), want)
		}
	}
	for id := range want {
		if seen[id] != 1 {
			complain("run %s went out %d times: %+v", id, seen[id], want[id])
		}
	}
	assert.Equal(t, len(want), len(got))
	if wrong > 20 {
		t.Errorf("and %d more", wrong-20)
	}
}

// key names the series of one operation.
func key(project, operation, provider, request, response string) string {
	return fmt.Sprintf("%s|%s|%s|%s|%s", project, operation, provider, request, response)
}

func seriesKey(m *dto.Metric) string {
	l := labels(m)
	return key(l["job"], l["gen_ai_operation_name"], l["gen_ai_provider_name"], l["gen_ai_request_model"], l["gen_ai_response_model"])
}

// clientOperation reports whether an operation is one of those that the metrics of client operations are about.
func clientOperation(name string) bool {
	switch name {
	case "chat", "text_completion", "embeddings", "generate_content", "retrieval":
		return true
	}
	return false
}

// flushed waits until the metrics hold all calls, and returns them; or, when they never do, as they are in the end.
func (c *collector) flushed(t *testing.T, sim *simulator, want totals, runs map[string]simulatedRun) map[string]*dto.MetricFamily {
	t.Helper()
	experiment := sim.experiments(t)
	var calls, tools uint64
	for _, o := range want.Operations {
		if !experiment[o.Project] && clientOperation(o.Operation) {
			calls += uint64(o.Calls)
		}
	}
	for _, r := range runs {
		if r.Operation == "execute_tool" && !r.Outer {
			tools++
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		list := families(t, c.prom)
		if samples(list, "gen_ai_client_operation_duration_seconds") >= calls && samples(list, "gen_ai_execute_tool_duration_seconds") >= tools ||
			time.Now().After(deadline) {
			return list
		}
	}
}

// samples is the number of values in all series of a histogram.
func samples(list map[string]*dto.MetricFamily, name string) (n uint64) {
	for _, m := range list[name].GetMetric() {
		n += m.GetHistogram().GetSampleCount()
	}
	return n
}

// compareTotals holds calls, errors, tokens and cost of every series against the simulator's own, to the last digit.
func compareTotals(t *testing.T, sim *simulator, want totals, runs map[string]simulatedRun, list map[string]*dto.MetricFamily) {
	t.Helper()
	experiment := sim.experiments(t)
	wantCalls, wantInput, wantOutput := map[string]uint64{}, map[string]float64{}, map[string]float64{}
	wantErrors, wantCost := map[string]float64{}, map[string]float64{}
	tools := map[string]uint64{}
	for _, o := range want.Operations {
		if experiment[o.Project] {
			continue
		}
		k := key(o.Project, o.Operation, o.Provider, o.RequestModel, o.ResponseModel)
		if clientOperation(o.Operation) {
			wantCalls[k] += uint64(o.Calls)
			for kind, n := range o.Errors {
				wantErrors[k+"|"+errorType(kind)] += float64(n)
			}
			if o.Operation == "retrieval" {
				continue
			}
			if o.InputTokens > 0 {
				wantInput[k] += float64(o.InputTokens)
			}
			if o.OutputTokens > 0 {
				wantOutput[k] += float64(o.OutputTokens)
			}
			if cost := decimal(t, o.Cost); cost > 0 {
				wantCost[k] = cost
			}
		}
	}
	for _, r := range runs {
		if r.Operation == "execute_tool" && !r.Outer {
			tools[r.Project+"|"+r.Name]++
		}
	}

	calls, errors := map[string]uint64{}, map[string]float64{}
	for _, m := range list["gen_ai_client_operation_duration_seconds"].GetMetric() {
		calls[seriesKey(m)] += m.GetHistogram().GetSampleCount()
	}
	for _, m := range list["gen_ai_client_operation_errors_total"].GetMetric() {
		if v := m.GetCounter().GetValue(); v > 0 {
			errors[seriesKey(m)+"|"+labels(m)["error_type"]] += v
		}
	}
	input, output, cost := map[string]float64{}, map[string]float64{}, map[string]float64{}
	for _, m := range list["gen_ai_client_token_usage"].GetMetric() {
		into := input
		if labels(m)["gen_ai_token_type"] == "output" {
			into = output
		}
		if sum := m.GetHistogram().GetSampleSum(); sum > 0 {
			into[seriesKey(m)] += sum
		}
	}
	for _, m := range list["gen_ai_usage_cost_USD"].GetMetric() {
		if sum := m.GetHistogram().GetSampleSum(); sum > 0 {
			cost[seriesKey(m)] = sum
		}
	}
	gotTools := map[string]uint64{}
	for _, m := range list["gen_ai_execute_tool_duration_seconds"].GetMetric() {
		l := labels(m)
		gotTools[l["job"]+"|"+l["gen_ai_tool_name"]] += m.GetHistogram().GetSampleCount()
	}

	require.NotEmpty(t, wantCalls)
	require.NotEmpty(t, wantCost)
	compare(t, "calls", wantCalls, calls)
	compare(t, "errors", wantErrors, errors)
	compare(t, "input tokens", wantInput, input)
	compare(t, "output tokens", wantOutput, output)
	compare(t, "cost", wantCost, cost)
	compare(t, "tool calls", tools, gotTools)
}

// decimal is the float nearest to an exact decimal.
func decimal(t *testing.T, s string) float64 {
	t.Helper()
	if s == "" {
		return 0
	}
	r, ok := new(big.Rat).SetString(s)
	require.True(t, ok, s)
	f, _ := r.Float64()
	return f
}

func compare[V comparable](t *testing.T, what string, want, got map[string]V) {
	t.Helper()
	var diff []string
	for k, v := range want {
		if got[k] != v {
			diff = append(diff, fmt.Sprintf("%s: got %v, want %v", k, got[k], v))
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok {
			diff = append(diff, fmt.Sprintf("%s: got %v, want none", k, v))
		}
	}
	sort.Strings(diff)
	assert.Empty(t, diff, what)
}
