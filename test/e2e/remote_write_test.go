package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// remoteWriteConfig takes spans over OTLP and writes to Prometheus as the example does.
const remoteWriteConfig = `
receivers:
  otlp: {protocols: {http: {endpoint: "localhost:{otlp}"}}}
connectors:
  llm_metrics: {flush_interval: 1s, initial_zero: inline{options}}
exporters:
  prometheus_remote_write: {endpoint: "{prometheus}/api/v1/write"}
extensions:
  health_check: {endpoint: "localhost:{health}"}
  file_storage: {directory: "{dir}/storage", create_directory: true}
service:
  extensions: [health_check, file_storage]
  telemetry:
    metrics: {readers: [{pull: {exporter: {prometheus: {host: localhost, port: {telemetry}}}}}]}
  pipelines:
    traces: {receivers: [otlp], exporters: [llm_metrics]}
    metrics: {receivers: [llm_metrics], exporters: [prometheus_remote_write]}
`

// startReceiving is a Prometheus that is written to, as the example's prometheus.yml sets it up.
func startReceiving(t *testing.T) *prometheusServer {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(repo, "examples", "prometheus-remote-write", "prometheus.yml"))
	require.NoError(t, err)
	return startPrometheus(t, string(config), "--web.enable-remote-write-receiver")
}

// TestRemoteWrite pushes to Prometheus instead of being scraped: every series begins with its zero here too, and a
// restart is seen as one, or not at all when totals are in a storage.
func TestRemoteWrite(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]string{"forgetting": "", "stored": ", storage: file_storage"} {
		t.Run(name, func(t *testing.T) {
			p := startReceiving(t)
			otlp, dir := freePort(t), t.TempDir()
			caller := newCaller(otlp, "shop")
			run := func() *collector {
				return startCollector(t, dir, remoteWriteConfig, "{otlp}", fmt.Sprint(otlp), "{prometheus}", p.url, "{options}", options)
			}
			c := run()
			caller.call(t, "gpt-5", 60, true)
			p.awaitCalls(t, "", 60)
			caller.call(t, "claude", 50, true)
			p.awaitCalls(t, "", 110)
			c.stop(t)
			c = run()
			caller.call(t, "gpt-5", 200, true) // more than in the first life
			caller.call(t, "claude", 10, true)
			kept := 0
			if strings.Contains(options, "storage") {
				kept = 110
			}
			p.awaitCalls(t, "", kept+210)
			at := p.lastScrape(t)
			for _, name := range []string{"gpt-5", "claude"} {
				assertIncrease(t, p, at, name, caller.of(name))
			}
			resets := p.number(t, `resets(gen_ai_client_operation_duration_seconds_count{gen_ai_request_model="gpt-5",error_type=""}[30m])`, at)
			assert.Equal(t, kept == 0, resets == 1)
			assert.NotContains(t, c.output(), "Permanent error")
		})
	}
}

func TestExamplePrometheusRemoteWrite(t *testing.T) {
	t.Parallel()
	p := startReceiving(t)
	sim := startSimulator(t, "--history", "2000", "--span", "30m", "--rate", "0", "--stuck", "0", "--late", "0",
		"--start", time.Now().Add(-10*time.Minute).UTC().Format(time.RFC3339))
	runExample(t, "prometheus-remote-write", sim, []string{"PROMETHEUS_URL=" + p.url})
	calls, cost := 0, 0.0
	for _, r := range sim.runs(t) {
		if countsAsCall(r) {
			calls++
			cost += decimal(t, r.Cost)
		}
	}
	p.awaitCalls(t, "", calls)
	at := p.lastScrape(t)
	assert.InEpsilon(t, float64(calls), p.number(t, "sum(increase(gen_ai_client_operation_duration_seconds_count[30m]))", at), 1e-9)
	assert.InEpsilon(t, cost, p.number(t, "sum(increase(gen_ai_usage_cost_USD_sum[30m]))", at), 1e-9)
}

func countsAsCall(r simulatedRun) bool { return !r.Outer && clientCalls(fact{simulatedRun: r}) }

// TestExamplePrometheusBackfill reads half a day of history, and finds each hour's calls, tokens, cost and latency in
// that hour.
func TestExamplePrometheusBackfill(t *testing.T) {
	t.Parallel()
	p := startReceiving(t)
	end := time.Now().Add(-20 * time.Minute).Truncate(time.Minute)
	sim := startSimulator(t, "--history", "12000", "--span", "12h", "--rate", "0", "--stuck", "0", "--late", "0", "--start", end.UTC().Format(time.RFC3339))
	to := end.Add(-30 * time.Minute) // the rest is the other collector's
	env := []string{
		"PROMETHEUS_URL=" + p.url, "BACKFILL_FROM=" + end.Add(-24*time.Hour).UTC().Format(time.RFC3339), "BACKFILL_TO=" + to.UTC().Format(time.RFC3339),
	}
	c := runExample(t, "prometheus-backfill", sim, env, "connectors::llm_metrics::allowed_lateness: 15s")

	// Ends of calls by the hour in which they are.
	type hour struct {
		calls, tokens, cost float64
		seconds             []float64
	}
	first := end.Add(-13 * time.Hour)
	hours := map[int]*hour{}
	total := 0
	for _, r := range sim.runs(t) {
		ended, err := time.Parse(time.RFC3339Nano, r.End)
		require.NoError(t, err)
		if !countsAsCall(r) || !ended.Before(to) {
			continue
		}
		i := int(ended.Sub(first) / time.Hour)
		if hours[i] == nil {
			hours[i] = &hour{}
		}
		h := hours[i]
		h.calls++
		h.tokens += float64(r.InputTokens + r.OutputTokens)
		h.cost += decimal(t, r.Cost)
		h.seconds = append(h.seconds, max(0, secondsBetween(t, r.Start, r.End)))
		total++
	}
	require.Greater(t, len(hours), 10)
	counted := "sum(max_over_time(gen_ai_client_operation_duration_seconds_count[2d]))"
	eventually(t, 4*time.Minute, "all of it is in Prometheus", func() bool { return p.number(t, counted, time.Time{}) == float64(total) })
	c.stop(t)

	last := int(to.Sub(first) / time.Hour) // not a whole one
	for i, h := range hours {
		if i == last {
			continue
		}
		// Every series has a sample at either end of the hour, which the range holds whether or not it is open to the left.
		at := first.Add(time.Duration(i+1) * time.Hour)
		const whole = "[3600001ms]"
		assert.InEpsilon(t, h.calls, p.number(t, "sum(increase(gen_ai_client_operation_duration_seconds_count"+whole+"))", at), 1e-6, "calls of hour %d", i)
		assert.InEpsilon(t, h.tokens, p.number(t, "sum(increase(gen_ai_client_token_usage_sum"+whole+"))", at), 1e-6, "tokens of hour %d", i)
		assert.InEpsilon(t, h.cost, p.number(t, "sum(increase(gen_ai_usage_cost_USD_sum"+whole+"))", at), 1e-6, "cost of hour %d", i)
		assert.InEpsilon(t, bucketQuantile(0.95, durationBounds, countBuckets(durationBounds, h.seconds)),
			p.number(t, "histogram_quantile(0.95, sum by (le) (rate(gen_ai_client_operation_duration_seconds_bucket"+whole+")))", at), 1e-6, "p95 of hour %d", i)
	}
	assert.NotContains(t, c.output(), "Permanent error")
}
