package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// prometheusServer is a running Prometheus.
type prometheusServer struct {
	*process
	url string
}

// prometheusBinary is the path of a program of Prometheus. The test is skipped where there is none.
func prometheusBinary(t *testing.T, name string) string {
	t.Helper()
	var why bytes.Buffer
	cmd := exec.Command(filepath.Join(repo, "scripts", "prometheus.sh"), name)
	cmd.Stderr = &why
	path, err := cmd.Output()
	if err != nil {
		t.Skipf("no Prometheus to test with: %s", strings.TrimSpace(why.String()))
	}
	return strings.TrimSpace(string(path))
}

func startPrometheus(t *testing.T, config string, args ...string) *prometheusServer {
	t.Helper()
	binary := prometheusBinary(t, "prometheus")
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	address := fmt.Sprintf("localhost:%d", freePort(t))
	p := &prometheusServer{url: "http://" + address}
	p.process = start(t, dir, nil, binary, append([]string{
		"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address,
	}, args...)...)
	eventually(t, time.Minute, "Prometheus is ready", func() bool {
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// scrapeConfig is the Prometheus example, its scrapes a second apart, on the collector's port.
func scrapeConfig(t *testing.T, c *collector) string {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(repo, "examples", "prometheus-grafana", "prometheus.yml"))
	require.NoError(t, err)
	out := strings.NewReplacer(
		"scrape_interval: 15s", "scrape_interval: 1s",
		"localhost:9464", fmt.Sprintf("localhost:%d", c.prom),
		"localhost:8888", fmt.Sprintf("localhost:%d", c.telemetry),
	).Replace(string(config))
	require.Contains(t, out, "scrape_interval: 1s")
	require.Contains(t, out, fmt.Sprint(c.prom))
	return out
}

// query evaluates an expression as of a moment, now when it is zero.
func (p *prometheusServer) query(t *testing.T, expr string, at time.Time) model.Value {
	t.Helper()
	form := url.Values{"query": {expr}}
	if !at.IsZero() {
		form.Set("time", fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000))
	}
	resp, err := http.PostForm(p.url+"/api/v1/query", form)
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   struct {
			Type   string          `json:"resultType"`
			Result json.RawMessage `json:"result"`
		} `json:"data"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	require.Equal(t, "success", answer.Status, "%s: %s", expr, answer.Error)
	switch answer.Data.Type {
	case "vector":
		var v model.Vector
		require.NoError(t, json.Unmarshal(answer.Data.Result, &v))
		return v
	case "matrix":
		var m model.Matrix
		require.NoError(t, json.Unmarshal(answer.Data.Result, &m))
		return m
	}
	require.Fail(t, "neither a vector nor a matrix", "%s is a %s", expr, answer.Data.Type)
	return nil
}

func (p *prometheusServer) vector(t *testing.T, expr string, at time.Time) model.Vector {
	t.Helper()
	v, ok := p.query(t, expr, at).(model.Vector)
	require.True(t, ok, expr)
	return v
}

// number evaluates an expression of at most one series; nothing is zero.
func (p *prometheusServer) number(t *testing.T, expr string, at time.Time) float64 {
	t.Helper()
	v := p.vector(t, expr, at)
	require.LessOrEqual(t, len(v), 1, "%s: %v", expr, v)
	if len(v) == 0 {
		return 0
	}
	return float64(v[0].Value)
}

// samples are the raw samples of one series.
func (p *prometheusServer) samples(t *testing.T, selector string) []model.SamplePair {
	t.Helper()
	m, ok := p.query(t, selector+"[1h]", time.Time{}).(model.Matrix)
	require.True(t, ok, selector)
	require.Len(t, m, 1, selector)
	return m[0].Values
}

// awaitCalls waits until Prometheus knows that many calls, summed over what a selector selects.
func (p *prometheusServer) awaitCalls(t *testing.T, selector string, calls int) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("Prometheus counts %d calls of {%s}", calls, selector), func() bool {
		return p.number(t, "sum(gen_ai_client_operation_duration_seconds_count{"+selector+"})", time.Time{}) == float64(calls)
	})
}

// lastScrape is the time of the newest samples of the calls, of a scrape that began after this was called. All series of a
// scrape have one time; there increase() has nothing to extrapolate at its end, and nothing at its beginning when the
// series began at zero. So it is exact.
func (p *prometheusServer) lastScrape(t *testing.T) time.Time {
	t.Helper()
	newest := func() int64 {
		seconds := p.number(t, "max(timestamp(gen_ai_client_operation_duration_seconds_count))", time.Time{})
		return int64(seconds*1000 + 0.5)
	}
	before, last := newest(), int64(0)
	require.Positive(t, before)
	eventually(t, time.Minute, "Prometheus scrapes once more", func() bool {
		last = newest()
		return last > before
	})
	return time.UnixMilli(last)
}

// callsConfig takes spans over OTLP and lets Prometheus scrape. A flush is several scrapes apart, so that none is
// missed on a machine that stalls for a moment.
const callsConfig = `
receivers:
  otlp: {protocols: {http: {endpoint: "localhost:{otlp}"}}}
connectors:
  llm_metrics: {flush_interval: 8s{options}}
exporters:
  prometheus: {endpoint: "localhost:{prom}", metric_expiration: {metric_expiration}}
extensions:
  health_check: {endpoint: "localhost:{health}"}
  file_storage: {directory: "{dir}/storage", create_directory: true}
service:
  extensions: [health_check, file_storage]
  telemetry:
    metrics: {readers: [{pull: {exporter: {prometheus: {host: localhost, port: {telemetry}}}}}]}
  pipelines:
    traces: {receivers: [otlp], exporters: [llm_metrics]}
    metrics: {receivers: [llm_metrics], exporters: [prometheus]}
`

// scraped is a collector that takes calls, and a Prometheus that scrapes it.
type scraped struct {
	*collector
	prometheus *prometheusServer
	caller     *caller
	config     string // with its ports
}

func startScraped(t *testing.T, options, metricExpiration string) *scraped {
	t.Helper()
	otlp, prom, telemetry := freePort(t), freePort(t), freePort(t)
	s := &scraped{caller: newCaller(otlp, "shop"), config: strings.NewReplacer(
		"{otlp}", fmt.Sprint(otlp), "{prom}", fmt.Sprint(prom), "{telemetry}", fmt.Sprint(telemetry),
		"{options}", options, "{metric_expiration}", metricExpiration,
	).Replace(callsConfig)}
	s.collector = startCollector(t, t.TempDir(), s.config)
	s.prom, s.telemetry = prom, telemetry
	s.prometheus = startPrometheus(t, scrapeConfig(t, s.collector))
	return s
}

// restart starts the collector again, on the same ports and the same storage.
func (s *scraped) restart(t *testing.T) {
	t.Helper()
	prom, telemetry := s.prom, s.telemetry
	s.collector = startCollector(t, s.dir, s.config)
	s.prom, s.telemetry = prom, telemetry
}

// assertIncrease compares increase() and rate() of every measure of a model, and its quantiles, with what was sent,
// over a range that holds the whole life of the series, which must all be alive.
func assertIncrease(t *testing.T, p *prometheusServer, at time.Time, modelName string, calls []modelCall) {
	t.Helper()
	by := `{gen_ai_request_model="` + modelName + `"`
	want := sumCalls(calls)
	exact := func(what, series string, want float64) {
		t.Helper()
		assert.InEpsilon(t, want+1, p.number(t, "sum(increase("+series+"[30m]))", at)+1, 1e-9, "increase of %s of %s", what, modelName)
		assert.InEpsilon(t, want+1, p.number(t, "sum(rate("+series+"[30m]))", at)*1800+1, 1e-9, "rate of %s of %s", what, modelName)
	}
	exact("calls", "gen_ai_client_operation_duration_seconds_count"+by+"}", want.calls)
	exact("seconds", "gen_ai_client_operation_duration_seconds_sum"+by+"}", want.seconds)
	exact("errors", "gen_ai_client_operation_errors_total"+by+"}", want.errors)
	exact("input", "gen_ai_client_token_usage_sum"+by+`,gen_ai_token_type="input"}`, want.input)
	exact("output", "gen_ai_client_token_usage_sum"+by+`,gen_ai_token_type="output"}`, want.output)
	exact("cost", "gen_ai_usage_cost_USD_sum"+by+"}", want.cost)

	counts := durationBuckets(calls)
	for _, q := range []float64{0.5, 0.95, 0.99} {
		got := p.number(t, fmt.Sprintf("histogram_quantile(%v, sum by (le) (rate(gen_ai_client_operation_duration_seconds_bucket%s}[30m])))", q, by), at)
		assert.InEpsilon(t, bucketQuantile(q, durationBounds, counts), got, 1e-9, "quantile %v of %s", q, modelName)
		truth := exactQuantile(q, calls)
		assert.InDelta(t, truth, got, truth, "buckets double, so a quantile is at most its own size off")
	}
}

func TestPrometheusFromTheFirstMinute(t *testing.T) {
	t.Parallel()
	s := startScraped(t, "", "1h")
	p := s.prometheus

	s.caller.call(t, "gpt-5", 60, false)
	p.awaitCalls(t, "", 60)
	s.caller.call(t, "gpt-5", 40, true) // the first errors of a model that is known
	s.caller.call(t, "claude", 50, true)
	p.awaitCalls(t, "", 150)
	s.caller.call(t, "gpt-5", 20, true)
	p.awaitCalls(t, "", 170)

	at := p.lastScrape(t)
	for _, name := range []string{"gpt-5", "claude"} {
		assertIncrease(t, p, at, name, s.caller.of(name))
	}
	share := p.number(t, "sum(rate(gen_ai_client_operation_errors_total[5m])) / sum(rate(gen_ai_client_operation_duration_seconds_count[5m]))", at)
	sums := sumCalls(s.caller.made)
	assert.InEpsilon(t, sums.errors/sums.calls, share, 1e-9)

	// At every single scrape since its birth, not only at the end, what increase() tells is what was counted.
	const calls = `gen_ai_client_operation_duration_seconds_count{gen_ai_request_model="gpt-5",error_type=""}`
	samples := p.samples(t, calls)
	assert.Zero(t, float64(samples[0].Value), "a series begins at zero")
	for _, sample := range samples[1:] {
		assert.InDelta(t, float64(sample.Value), p.number(t, "increase("+calls+"[30m])", sample.Timestamp.Time()), 1e-9)
	}

	// A restart without storage: totals begin anew, and Prometheus sees that they do, although the second life is
	// longer than the first.
	s.stop(t)
	s.restart(t)
	s.caller.call(t, "gpt-5", 300, true)
	s.caller.call(t, "claude", 10, true)
	p.awaitCalls(t, "", 310)
	at = p.lastScrape(t)
	for _, name := range []string{"gpt-5", "claude"} {
		assertIncrease(t, p, at, name, s.caller.of(name))
	}
	assert.Equal(t, 1.0, p.number(t, "resets("+calls+"[30m])", at))
}

// TestPrometheusAcrossRestarts keeps totals in a storage: what the collector took right before a stop or a kill, and
// Prometheus had not scraped yet, is in the next scrape, and no counter falls.
func TestPrometheusAcrossRestarts(t *testing.T) {
	t.Parallel()
	s := startScraped(t, ", storage: file_storage", "1h")
	p := s.prometheus
	s.caller.call(t, "gpt-5", 100, true)
	p.awaitCalls(t, "", 100)

	s.caller.call(t, "gpt-5", 70, true)
	s.stop(t)
	s.restart(t)
	p.awaitCalls(t, "", 170)

	s.caller.call(t, "gpt-5", 30, true)
	s.caller.call(t, "claude", 50, true) // born right before the kill
	s.kill()
	s.restart(t)
	p.awaitCalls(t, "", 250)
	s.caller.call(t, "gpt-5", 25, true)
	p.awaitCalls(t, "", 275)

	at := p.lastScrape(t)
	for _, name := range []string{"gpt-5", "claude"} {
		assertIncrease(t, p, at, name, s.caller.of(name))
	}
	for _, series := range []string{"_count", "_sum", "_bucket"} {
		assert.Zero(t, p.number(t, "sum(resets(gen_ai_client_operation_duration_seconds"+series+"[30m]))", at))
	}
}

// TestPrometheusExpiry lets a series go for want of calls, and come back.
func TestPrometheusExpiry(t *testing.T) {
	t.Parallel()
	s := startScraped(t, ", series_expiration: 20s", "30s")
	p := s.prometheus
	s.caller.call(t, "rare", 30, true)
	s.caller.call(t, "busy", 30, false)
	p.awaitCalls(t, "", 60)

	const rare = `gen_ai_request_model="rare"`
	busy := 30
	eventually(t, 2*time.Minute, "the series without calls is gone", func() bool {
		s.caller.call(t, "busy", 1, false)
		busy++
		return len(p.vector(t, "{"+rare+"}", time.Time{})) == 0
	})
	p.awaitCalls(t, `gen_ai_request_model="busy"`, busy)
	assertIncrease(t, p, p.lastScrape(t), "busy", s.caller.of("busy"))

	// It comes back with more than it had, which only a zero in between can tell from a continuation.
	s.caller.call(t, "rare", 90, true)
	p.awaitCalls(t, rare, 90)
	assertIncrease(t, p, p.lastScrape(t), "rare", s.caller.of("rare"))
}

func TestPrometheusExampleIsValid(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(prometheusBinary(t, "promtool"), "check", "config",
		filepath.Join(repo, "examples", "prometheus-grafana", "prometheus.yml")).CombinedOutput()
	assert.NoError(t, err, "%s", out)
}
