package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exampleEnv gives every variable that an example may name.
func exampleEnv(state string, more ...string) []string {
	return append([]string{
		"LANGSMITH_API_KEY=lsv2_sk_example",
		"DD_API_KEY=00000000000000000000000000000000",
		"OTELCOL_LANGSMITH_STATE=" + state,
		"OTLP_ENDPOINT=http://localhost:4318", "CONTENT_OTLP_ENDPOINT=http://localhost:5318",
		"LANGSMITH_ENDPOINT=http://localhost:1984", "SHARD_INDEX=0", "SHARD_TOTAL=1",
		"BACKFILL_FROM=2026-11-01T00:00:00Z", "BACKFILL_TO=2026-11-20T09:00:00Z",
	}, more...)
}

func exampleNames(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(repo, "examples", "*", "config.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(filepath.Dir(p)))
	}
	return names
}

func TestConfigurationsAreValid(t *testing.T) {
	files := map[string]string{"default": filepath.Join(repo, "otelcol-config.yaml")}
	for _, name := range exampleNames(t) {
		files[name] = filepath.Join(repo, "examples", name, "config.yaml")
	}
	for name, path := range files {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(filepath.Join(repo, "bin", "otelcol-langsmith"), "validate", "--config", path)
			cmd.Env = append(os.Environ(), exampleEnv(t.TempDir())...)
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, "%s", out)
		})
	}
}

// exampleVariables are the variables that an example needs: those without a value of their own.
func exampleVariables(t *testing.T, name string) (needed []string) {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(repo, "examples", name, "config.yaml"))
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`\$\{env:([A-Z_]+)(:-\w+ is not set)?\}`).FindAllStringSubmatch(string(config), -1) {
		if !slices.Contains(needed, m[1]) {
			needed = append(needed, m[1])
		}
	}
	return needed
}

// TestExamplesMissTheirVariables holds that an example is not valid without a variable that it needs.
func TestExamplesMissTheirVariables(t *testing.T) {
	for _, name := range exampleNames(t) {
		for _, variable := range exampleVariables(t, name) {
			if variable == "BACKFILL_TO" || variable == "DD_API_KEY" && name == "datadog-otlp" {
				continue // in an expression and in a header, where the Collector takes anything: it warns at the start
			}
			t.Run(name+"/"+variable, func(t *testing.T) {
				cmd := exec.Command(filepath.Join(repo, "bin", "otelcol-langsmith"), "validate",
					"--config", filepath.Join(repo, "examples", name, "config.yaml"))
				without := func(e string) bool { return strings.HasPrefix(e, variable+"=") }
				cmd.Env = slices.DeleteFunc(append(os.Environ(), exampleEnv(t.TempDir())...), without)
				out, err := cmd.CombinedOutput()
				require.Error(t, err)
				assert.Regexp(t, `^Error: (receivers|exporters)::`, string(out))
			})
		}
	}
}

func TestEveryExampleIsListed(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(repo, "examples", "README.md"))
	require.NoError(t, err)
	for _, name := range exampleNames(t) {
		assert.Contains(t, string(list), "("+name+"/config.yaml)")
	}
}

// runExample runs an example against the simulator, its ports moved out of the way.
func runExample(t *testing.T, name string, sim *simulator, env []string, overrides ...string) *collector {
	t.Helper()
	dir := t.TempDir()
	c := &collector{dir: dir, prom: freePort(t), telemetry: freePort(t)}
	args := []string{
		"--config", filepath.Join(repo, "examples", name, "config.yaml"),
		"--config", fmt.Sprintf("yaml:extensions::health_check::endpoint: localhost:%d", freePort(t)),
		"--config", "yaml:receivers::langsmith::collection_interval: 1s",
		"--config", "yaml:connectors::llm_metrics::flush_interval: 1s",
		"--config", fmt.Sprintf("yaml:service::telemetry::metrics::readers: [{pull: {exporter: {prometheus: {host: localhost, port: %d}}}}]", c.telemetry),
	}
	config, err := os.ReadFile(filepath.Join(repo, "examples", name, "config.yaml"))
	require.NoError(t, err)
	if strings.Contains(string(config), "0.0.0.0:9464") {
		args = append(args, "--config", fmt.Sprintf("yaml:exporters::prometheus::endpoint: localhost:%d", c.prom))
	}
	for _, o := range overrides {
		args = append(args, "--config", "yaml:"+o)
	}
	env = append(exampleEnv(dir, "LANGSMITH_ENDPOINT="+sim.url), env...)
	c.process = start(t, dir, env, "otelcol-langsmith", args...)
	eventually(t, 60*time.Second, name+" is ready", func() bool {
		return strings.Contains(c.output(), "Everything is ready")
	})
	return c
}

// exampleSimulator is a small, quiet history.
func exampleSimulator(t *testing.T) *simulator {
	t.Helper()
	return startSimulator(t, "--history", "40m", "--rate", "1")
}

func assertSpans(t *testing.T, spans []span) {
	t.Helper()
	require.NotEmpty(t, spans)
	for _, s := range spans {
		require.NotEmpty(t, s.str("langsmith.run.id"))
		require.NotEmpty(t, s.resource["service.name"])
	}
}

func TestExampleOTLP(t *testing.T) {
	sim := exampleSimulator(t)
	for name, env := range map[string]func(*otlpSink) []string{
		"otlp-http":    func(s *otlpSink) []string { return []string{"OTLP_ENDPOINT=" + s.http, "OTLP_AUTHORIZATION=Basic abc"} },
		"otlp-grpc":    func(s *otlpSink) []string { return []string{"OTLP_ENDPOINT=" + s.grpc, "OTLP_INSECURE=true"} },
		"datadog-otlp": func(s *otlpSink) []string { return []string{"DD_OTLP_ENDPOINT=" + s.http} },
		"metrics-only": func(s *otlpSink) []string { return []string{"OTLP_ENDPOINT=" + s.http} },
	} {
		t.Run(name, func(t *testing.T) {
			sink := newOTLPSink(t)
			runExample(t, name, sim, env(sink))
			eventually(t, 60*time.Second, "spans and metrics arrive", func() bool {
				spans, metrics := sink.received()
				_, duration := metrics["gen_ai.client.operation.duration"]
				_, cost := metrics["gen_ai.usage.cost"]
				return duration && cost && (len(spans) > 0 || name == "metrics-only")
			})
			spans, _ := sink.received()
			if name == "metrics-only" {
				assert.Empty(t, spans)
				return
			}
			assertSpans(t, spans)
			switch name {
			case "otlp-http":
				assert.Equal(t, "Basic abc", sink.headers.Get("Authorization"))
			case "datadog-otlp":
				assert.NotEmpty(t, sink.headers.Get("Dd-Api-Key"))
				assert.Equal(t, true, spans[0].resource["dd_llmobs_enabled"])
			}
		})
	}
}

func TestExamplePrometheusGrafana(t *testing.T) {
	c := runExample(t, "prometheus-grafana", exampleSimulator(t), nil)
	eventually(t, 60*time.Second, "calls are counted", func() bool {
		duration := families(t, c.prom)["gen_ai_client_operation_duration_seconds"]
		return len(duration.GetMetric()) > 0 && duration.GetMetric()[0].GetHistogram().GetSampleCount() > 0
	})
}

// TestExampleCountsOnceAcrossAKill holds what the README says of the examples: a collector that is killed goes on with its
// totals, also with what it had counted and nobody had scraped.
func TestExampleCountsOnceAcrossAKill(t *testing.T) {
	sim := startSimulator(t, "--history", "5000", "--span", "40m", "--rate", "0")
	sim.quiesce(t)
	want, calls := sim.runs(t), sim.totals(t)
	kept, details := "extensions::file_storage::directory: "+t.TempDir(), "receivers::langsmith::response_details: true"
	// Nothing can be scraped of the first one: it never flushes.
	first := runExample(t, "prometheus-grafana", sim, nil, kept, details, "connectors::llm_metrics::flush_interval: 1h")
	eventually(t, time.Minute, "every run was accepted", func() bool {
		list := families(t, first.telemetry)
		return counter(list, "otelcol_receiver_accepted_spans_total", nil)+counter(list, "otelcol_receiver_accepted_spans", nil) >= float64(len(want))
	})
	first.polls(t, 3)
	first.kill()
	second := runExample(t, "prometheus-grafana", sim, nil, kept, details)
	list := second.flushed(t, sim, calls, want)
	second.stop(t)
	compareTotals(t, sim, calls, want, list)
}

func TestExampleSelfHostedV1(t *testing.T) {
	sim := startSimulator(t, "--history", "40m", "--rate", "1", "--api", "v1")
	sink := newOTLPSink(t)
	runExample(t, "self-hosted-v1", sim, []string{"OTLP_ENDPOINT=" + sink.http})
	eventually(t, 60*time.Second, "spans arrive", func() bool {
		spans, _ := sink.received()
		return len(spans) > 0
	})
	spans, _ := sink.received()
	assertSpans(t, spans)
}

func TestExampleContentSplit(t *testing.T) {
	content, apm := newOTLPSink(t), newOTLPSink(t)
	runExample(t, "content-split", exampleSimulator(t), []string{"CONTENT_OTLP_ENDPOINT=" + content.http, "OTLP_ENDPOINT=" + apm.http})
	eventually(t, 60*time.Second, "both backends have spans", func() bool {
		a, _ := content.received()
		b, _ := apm.received()
		return len(a) > 200 && len(b) > 200
	})

	full, _ := content.received()
	var prompts, keys int
	for _, s := range full {
		if s.str("gen_ai.input.messages") != "" {
			prompts++
		}
	}
	assert.Positive(t, prompts, "the one backend has prompts")

	lean, _ := apm.received()
	assertSpans(t, lean)
	for _, s := range lean {
		for key := range s.Attributes().All() {
			keys++
			switch key {
			case "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.call.arguments",
				"gen_ai.tool.call.result", "gen_ai.retrieval.documents", "gen_ai.retrieval.query.text", "langsmith.inputs", "langsmith.outputs":
				require.Fail(t, "content went to the APM", key)
			}
		}
		assert.Empty(t, s.Status().Message())
		for _, e := range s.Events().All() {
			_, message := e.Attributes().Get("exception.message")
			_, stack := e.Attributes().Get("exception.stacktrace")
			assert.False(t, message || stack)
		}
	}
	assert.Positive(t, keys)
}

func TestExampleSampling(t *testing.T) {
	sink := newOTLPSink(t)
	sim := exampleSimulator(t)
	c := runExample(t, "sampling", sim, []string{"OTLP_ENDPOINT=" + sink.http},
		"processors::tail_sampling::decision_wait: 5s")
	eventually(t, 90*time.Second, "sampled spans arrive", func() bool {
		spans, _ := sink.received()
		return len(spans) > 0
	})
	spans, _ := sink.received()
	calls := uint64(0)
	for _, m := range families(t, c.prom)["gen_ai_client_operation_duration_seconds"].GetMetric() {
		calls += m.GetHistogram().GetSampleCount()
	}
	sampled := uint64(0)
	for _, s := range spans {
		if s.str("gen_ai.operation.name") == "chat" {
			sampled++
		}
	}
	assert.Less(t, sampled, calls, "the metrics count every call, the backend has a part of them")
}

func TestExampleDatadog(t *testing.T) {
	intake := newDatadogIntake(t)
	sim := exampleSimulator(t)
	runExample(t, "datadog", sim, nil,
		"exporters::datadog::traces::endpoint: "+intake.url,
		"exporters::datadog::metrics::endpoint: "+intake.url)
	assertDatadog(t, intake)
}

func TestExampleEverywhere(t *testing.T) {
	intake, sink := newDatadogIntake(t), newOTLPSink(t)
	c := runExample(t, "everywhere", exampleSimulator(t), []string{"OTLP_ENDPOINT=" + sink.http},
		"exporters::datadog::traces::endpoint: "+intake.url,
		"exporters::datadog::metrics::endpoint: "+intake.url,
		"connectors::llm_metrics/delta::flush_interval: 1s")
	assertDatadog(t, intake)
	eventually(t, 60*time.Second, "the OTLP backend and Prometheus have it too", func() bool {
		spans, metrics := sink.received()
		_, ok := metrics["gen_ai.client.token.usage"]
		return ok && len(spans) > 0 && len(families(t, c.prom)["gen_ai_client_token_usage"].GetMetric()) > 0
	})
}

func assertDatadog(t *testing.T, intake *datadogIntake) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			intake.mu.Lock()
			defer intake.mu.Unlock()
			t.Logf("requests %v, problems %v, %d spans, series %v", intake.paths, intake.problems, len(intake.spans), intake.series)
			for name, s := range intake.sketches {
				t.Logf("sketch %s: %d values, sum %v", name, s.count, s.sum)
			}
		}
	})
	eventually(t, 90*time.Second, "spans, sketches and series arrive at the intake", func() bool {
		spans, sketches, series := intake.snapshot()
		return len(spans) > 0 && sketches["gen_ai.client.operation.duration"].count > 0 &&
			sketches["gen_ai.client.token.usage"].sum > 0 && sketches["gen_ai.usage.cost"].sum > 0 && series["gen_ai.client.operation.errors"] > 0
	})
	spans, sketches, _ := intake.snapshot()
	for _, s := range spans {
		assert.NotZero(t, s.traceID)
		assert.NotZero(t, s.spanID)
		assert.NotEmpty(t, s.meta["langsmith.run.id"])
	}
	var model bool
	for tag := range sketches["gen_ai.client.operation.duration"].tags {
		model = model || strings.HasPrefix(tag, "gen_ai.request.model:")
	}
	assert.True(t, model, "the model is a tag: %v", sketches["gen_ai.client.operation.duration"].tags)
	intake.mu.Lock()
	defer intake.mu.Unlock()
	assert.Empty(t, intake.problems)
	assert.True(t, intake.keys["00000000000000000000000000000000"], "the key is sent")
}
