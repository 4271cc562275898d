package e2e

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// queriesPage is docs/queries.md.
type queriesPage struct {
	text    string
	turnOn  string                       // the configuration it asks for
	datadog string                       // the further one for Datadog
	queries map[string]map[string]string // by chart and backend
	charts  []string                     // in the order of the page
}

func readQueriesPage(t *testing.T) queriesPage {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repo, "docs", "queries.md"))
	require.NoError(t, err)
	page := queriesPage{text: string(text), queries: map[string]map[string]string{}}
	var chart, language string
	var block strings.Builder
	for line := range strings.Lines(page.text) {
		line = strings.TrimRight(line, "\n")
		switch fence, opens := strings.CutPrefix(line, "```"); {
		case opens && language == "":
			language = fence
			block.Reset()
		case opens:
			switch language {
			case "yaml":
				require.Empty(t, page.datadog, "two configurations")
				if page.turnOn == "" {
					page.turnOn = block.String()
				} else {
					page.datadog = block.String()
				}
			case "promql", "datadog":
				require.NotEmpty(t, chart, "a query under no chart: %s", block.String())
				require.NotContains(t, page.queries[chart], language, "%s has two queries", chart)
				page.queries[chart][language] = strings.TrimSpace(block.String())
			default:
				require.Fail(t, "a block of an unknown language", "%s: %s", chart, language)
			}
			language = ""
		case language != "":
			block.WriteString(line + "\n")
		case strings.HasPrefix(line, "### "):
			chart = line[4:]
			require.NotContains(t, page.queries, chart)
			page.queries[chart] = map[string]string{}
			page.charts = append(page.charts, chart)
		case strings.HasPrefix(line, "## "):
			chart = ""
		}
	}
	require.NotEmpty(t, page.datadog)
	return page
}

// TestQueriesPage finds every chart from the table at the top, and every link of it.
func TestQueriesPage(t *testing.T) {
	page := readQueriesPage(t)
	anchors := map[string]bool{}
	for line := range strings.Lines(page.text) {
		if heading, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimLeft(line, "#")), ""); ok && strings.HasPrefix(line, "##") {
			anchors[strings.ReplaceAll(strings.ToLower(strings.NewReplacer("?", "", ",", "").Replace(heading)), " ", "-")] = true
		}
	}
	linked := map[string]bool{}
	for _, m := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(page.text, -1) {
		assert.True(t, anchors[m[1]], "a link leads nowhere: #%s", m[1])
		linked[m[1]] = true
	}
	for _, chart := range page.charts {
		assert.True(t, linked[strings.ReplaceAll(strings.ToLower(chart), " ", "-")], "%s is in no table", chart)
		assert.Contains(t, page.queries[chart], "promql", chart)
		assert.Contains(t, page.queries[chart], "datadog", chart)
		assert.Contains(t, expectedCharts, chart)
	}
	assert.Len(t, expectedCharts, len(page.charts), "every expectation has its chart")
	for _, m := range regexp.MustCompile(`\]\((\.\./[^)#]+)`).FindAllStringSubmatch(page.text, -1) {
		assert.FileExists(t, filepath.Join(repo, "docs", m[1]))
	}
}

// ranges are those of PromQL.
var ranges = regexp.MustCompile(`\[\d+[smhd]\]`)

// group names an element of an answer by the values of its labels, in the order of their names.
func group(metric model.Metric) string {
	var names []string
	for name := range metric {
		if name != model.MetricNameLabel {
			names = append(names, string(name))
		}
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = string(metric[model.LabelName(name)])
	}
	return strings.Join(names, " ")
}

// TestQueries reads a history out of the simulator, with what the page says to turn on, into a real Prometheus and a
// stand-in for Datadog's intake, and asks every query of the page there.
func TestQueries(t *testing.T) {
	t.Parallel()
	page := readQueriesPage(t)
	// A history that ended some time ago, so that every trace of it is complete.
	sim := startSimulator(t, "--history", "4000", "--span", "1h", "--rate", "0", "--stuck", "0", "--late", "0",
		"--start", time.Now().Add(-10*time.Minute).UTC().Format(time.RFC3339))
	for _, backend := range []string{"Prometheus", "Datadog"} {
		t.Run(backend, func(t *testing.T) {
			if backend == "Prometheus" {
				queriesOfPrometheus(t, page, sim)
			} else {
				queriesOfDatadog(t, page, sim)
			}
		})
	}
}

func queriesOfPrometheus(t *testing.T, page queriesPage, sim *simulator) {
	t.Helper()
	prometheusBinary(t, "prometheus") // skips before anything is started
	otlp := freePort(t)
	c := startReading(t, sim, otlp, page.turnOn, "connectors::llm_metrics::flush_interval: 8s") // some scrapes
	// A scrape of so many series takes its time on a slow machine, and its interval is all it has.
	p := startPrometheus(t, strings.Replace(scrapeConfig(t, c), "scrape_interval: 1s", "scrape_interval: 3s", 1))
	f := gatherFacts(t, sim, c, sendScores(t, otlp))
	p.awaitCalls(t, "", int(f.count(clientCalls, everything)[""]))
	eventually(t, 2*time.Minute, "Prometheus counts every trace, every thread and every score", func() bool {
		return p.number(t, "sum(gen_ai_trace_duration_seconds_count)", time.Time{}) == float64(len(f.traces)) &&
			p.number(t, "sum(gen_ai_conversation_turns_count)", time.Time{}) == float64(len(f.threads())) &&
			p.number(t, "sum(gen_ai_evaluation_results_total)", time.Time{}) == float64(len(f.scores))
	})
	at := p.lastScrape(t)

	for _, chart := range page.charts {
		expect, ok := expectedCharts[chart]
		if !ok {
			continue // TestQueriesPage tells
		}
		t.Run(chart, func(t *testing.T) {
			f.t = t
			query := page.queries[chart]["promql"]
			assert.NotEmpty(t, p.vector(t, query, at), "as it stands on the page")
			// Over a range that holds all there is, the answer is known to the last digit.
			query = ranges.ReplaceAllString(query, "[2h]")
			got := map[string]float64{}
			for _, sample := range p.vector(t, query, at) {
				if v := float64(sample.Value); v != 0 && !math.IsNaN(v) {
					got[group(sample.Metric)] = v
				}
			}
			compareChart(t, expect(f), got, func(w want) map[string]float64 {
				expected := map[string]float64{}
				for k, values := range w.values {
					expected[k] = bucketQuantile(w.quantile, w.bounds, countBuckets(w.bounds, values))
				}
				return expected
			}, 1e-9)
		})
	}
}

func queriesOfDatadog(t *testing.T, page queriesPage, sim *simulator) {
	t.Helper()
	intake := newDatadogIntake(t)
	otlp := freePort(t)
	c := startReading(t, sim, otlp, page.turnOn, "exporters::datadog: {api: {key: \"00000000000000000000000000000000\"}, hostname: e2e, host_metadata: {enabled: false}, metrics: {endpoint: \""+
		intake.url+"\", resource_attributes_as_tags: true}}", "service::pipelines::metrics::exporters: [datadog]", page.datadog)
	f := gatherFacts(t, sim, c, sendScores(t, otlp))
	eventually(t, 2*time.Minute, "every call, trace, thread and score comes to the intake", func() bool {
		return float64(intake.distribution("gen_ai.client.operation.duration").count) == f.count(clientCalls, everything)[""] &&
			intake.distribution("gen_ai.trace.duration").count == int64(len(f.traces)) &&
			intake.distribution("gen_ai.conversation.turns").count == int64(len(f.threads())) &&
			intake.count("gen_ai.evaluation.results") == float64(len(f.scores))
	})

	for _, chart := range page.charts {
		expect, ok := expectedCharts[chart]
		if !ok {
			continue
		}
		t.Run(chart, func(t *testing.T) {
			f.t = t
			answer, err := datadogQuery(intake, page.queries[chart]["datadog"])
			require.NoError(t, err)
			w := expect(f)
			off := 1e-9
			if w.values != nil {
				off = exponentialOff
			}
			compareChart(t, w, answer, func(w want) map[string]float64 {
				expected := map[string]float64{}
				for k, values := range w.values {
					expected[k] = valueQuantile(w.quantile, values)
				}
				return expected
			}, off)
		})
	}
}

// startReading is a collector that reads the simulator, with further configurations and with an OTLP receiver for
// scores.
func startReading(t *testing.T, sim *simulator, otlp int, more ...string) *collector {
	t.Helper()
	dir := t.TempDir()
	more = append(more, "connectors::llm_metrics::traces::idle: 15s", "connectors::llm_metrics::threads::idle_timeout: 20s",
		fmt.Sprintf("receivers::otlp::protocols::http::endpoint: localhost:%d", otlp),
		"service::pipelines::logs: {receivers: [otlp], exporters: [llm_metrics]}")
	var args []string
	for _, one := range more {
		args = append(args, "--config", "yaml:"+one)
	}
	return startCollectorWith(t, dir, pullConfig, args, "{endpoint}", sim.url, "{api_version}", "auto")
}

// compareChart compares a chart with what it should show, which quantiles tells where that is a quantile. Groups that
// are zero may be missing.
func compareChart(t *testing.T, w want, got map[string]float64, quantiles func(want) map[string]float64, off float64) {
	t.Helper()
	expected := w.numbers
	if expected == nil {
		expected = quantiles(w)
	}
	require.NotEmpty(t, expected)
	for k, v := range expected {
		if v != 0 {
			assert.InEpsilon(t, v, got[k], off, "%q", k)
		}
	}
	for k := range got {
		assert.Contains(t, expected, k)
	}
}
