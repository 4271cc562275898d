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

const leastConfig = `
receivers:
  langsmith:
    endpoint: http://127.0.0.1:9
    api_key: k
exporters:
  debug:
connectors:
  llm_metrics:
processors:
  llm_metrics:
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [langsmith], processors: [llm_metrics], exporters: [debug, llm_metrics]}
    metrics: {receivers: [llm_metrics], exporters: [debug]}
`

// TestWrongConfigurationStopsTheStart holds that each mistake ends the start with one line that names the key, the
// value and the remedy.
func TestWrongConfigurationStopsTheStart(t *testing.T) {
	for name, tc := range map[string]struct {
		old, new string
		line     []string // parts of the one line
	}{
		"missing key":      {"    api_key: k\n", "", []string{"api_key", "LANGSMITH_API_KEY", "api_key_file"}},
		"two keys":         {"api_key: k", "api_key: k\n    api_key_file: /tmp/key", []string{"api_key", "api_key_file", "remove"}},
		"UI endpoint":      {"http://127.0.0.1:9", "https://smith.langchain.com", []string{"endpoint", "smith.langchain.com", "api.smith.langchain.com"}},
		"no URL":           {"http://127.0.0.1:9", "langsmith", []string{"endpoint", "langsmith", "https://"}},
		"bad filter":       {"api_key: k", "api_key: k\n    filter: status = error", []string{"filter", "status = error", "eq("}},
		"unknown operator": {"api_key: k", "api_key: k\n    trace_filter: is(status, \"error\")", []string{"trace_filter", "is"}},
		"bad duration":     {"api_key: k", "api_key: k\n    collection_interval: soon", []string{"collection_interval", "soon"}},
		"negative":         {"api_key: k", "api_key: k\n    settle_delay: -1s", []string{"settle_delay", "-1s"}},
		"unknown option":   {"api_key: k", "api_key: k\n    colection_interval: 1m", []string{"receivers::langsmith: colection_interval: is no option", "collection_interval?"}},
		"no unit":          {"connectors:\n  llm_metrics:", "connectors:\n  llm_metrics: {flush_interval: 15}", []string{"connectors::llm_metrics: flush_interval: 15 has no unit", "15s"}},
		"no section":       {"api_key: k", "api_key: k\n    projects: [a]", []string{"receivers::langsmith: projects: [\"a\"] is no section", "include"}},
		"no text":          {"api_key: k", "api_key: k\n    api_version: 2", []string{"receivers::langsmith: api_version: 2 is unknown", "v2"}},
		"unknown, below":   {"processors:\n  llm_metrics:", "processors:\n  llm_metrics: {prices: {fil: x}}", []string{"processors::llm_metrics: prices.fil: is no option", "file"}},
		"no price file":    {"connectors:\n  llm_metrics:", "connectors:\n  llm_metrics: {prices: {file: /nope.json}}", []string{"connectors::llm_metrics::prices: file: \"/nope.json\": no such file"}},
		"unknown version":  {"api_key: k", "api_key: k\n    api_version: v3", []string{"api_version", "v3", "auto"}},
		"bad start time":   {"api_key: k", "api_key: k\n    start_time: yesterday", []string{"start_time", "yesterday", "RFC 3339"}},
		"unknown capture":  {"api_key: k", "api_key: k\n    capture_content: all", []string{"capture_content", "all", "full"}},
		"bad glob":         {"api_key: k", "api_key: k\n    projects: {include: ['a[']}", []string{"projects.include", "a["}},
		"no such storage":  {"api_key: k", "api_key: k\n    storage: file_storage", []string{"storage", "file_storage"}},
		"bad workspace":    {"api_key: k", "api_key: k\n    workspace_id: mine", []string{"workspace_id", "mine"}},
		"temporality":      {"connectors:\n  llm_metrics:", "connectors:\n  llm_metrics: {temporality: both}", []string{"temporality", "both", "delta"}},
		"flush interval":   {"connectors:\n  llm_metrics:", "connectors:\n  llm_metrics: {flush_interval: 0s}", []string{"flush_interval", "0s"}},
		"generation":       {"processors:\n  llm_metrics:", "processors:\n  llm_metrics: {semconv: g3}", []string{"semconv", "g3", "both"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, leastConfig, tc.old)
			path := filepath.Join(t.TempDir(), "config.yaml")
			require.NoError(t, os.WriteFile(path, []byte(strings.Replace(leastConfig, tc.old, tc.new, 1)), 0o600))
			p := start(t, t.TempDir(), nil, "otelcol-langsmith", "--config", path)
			assert.NotZero(t, p.exited(t, time.Minute))
			found := false
			for line := range strings.Lines(p.output()) {
				all := true
				for _, part := range tc.line {
					all = all && strings.Contains(line, part)
				}
				found = found || all
			}
			assert.True(t, found, "no line holds %q:\n%s", tc.line, p.output())
		})
	}
}

// logLines are the lines of a level that hold all parts.
func logLines(output, level string, parts ...string) (lines []string) {
	for line := range strings.Lines(output) {
		all := strings.Contains(line, "\t"+level+"\t")
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestUpstreamErrorsDoNotStop holds that what is wrong on the other side is one clear line, not an end, and that the
// receiver recovers by itself.
func TestUpstreamErrorsDoNotStop(t *testing.T) {
	short := strings.Replace(pullConfig, "initial_lookback: 72h", "initial_lookback: 1h", 1)

	t.Run("wrong key", func(t *testing.T) {
		sim := startSimulator(t, "--history", "200", "--rate", "0", "--key", "another")
		c := startCollector(t, t.TempDir(), short, "{endpoint}", sim.url, "{api_version}", "auto")
		eventually(t, time.Minute, "the log says so", func() bool {
			return len(logLines(c.output(), "error", "api_key"))+len(logLines(c.output(), "warn", "api_key")) > 0
		})
		time.Sleep(5 * time.Second)
		const ours = `"otelcol.component.id": "langsmith"`
		lines := append(logLines(c.output(), "error", ours), logLines(c.output(), "warn", ours)...)
		assert.LessOrEqual(t, len(lines), 2, "said once, not at every poll:\n%s", strings.Join(lines, ""))
		assertRunning(t, c)
	})
	t.Run("unreachable, then there", func(t *testing.T) {
		port := freePort(t)
		c := startCollector(t, t.TempDir(), short, "{endpoint}", fmt.Sprintf("http://127.0.0.1:%d", port), "{api_version}", "auto")
		eventually(t, time.Minute, "the log says so", func() bool {
			return len(logLines(c.output(), "warn", "connection refused", "check endpoint", fmt.Sprint(port), "DNS")) > 0
		})
		start(t, t.TempDir(), nil, "langsmithsim", "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--history", "300", "--rate", "0")
		eventually(t, 90*time.Second, "it recovers", func() bool { return spanCount(t, c) > 0 })
	})
	t.Run("unknown project", func(t *testing.T) {
		sim := startSimulator(t, "--history", "200", "--rate", "0")
		config := strings.Replace(short, "    storage:", "    projects: {include: [no-such-project]}\n    storage:", 1)
		c := startCollector(t, t.TempDir(), config, "{endpoint}", sim.url, "{api_version}", "auto")
		eventually(t, time.Minute, "the log names it", func() bool {
			return len(logLines(c.output(), "warn", "projects.include", "no-such-project")) > 0
		})
		assertRunning(t, c)
	})
	t.Run("unknown attribute in a filter", func(t *testing.T) {
		sim := startSimulator(t, "--history", "200", "--rate", "0")
		config := strings.Replace(short, "    storage:", "    filter: eq(run_type, \"llm\")\n    trace_filter: eq(nonsense, 1)\n    storage:", 1)
		c := startCollector(t, t.TempDir(), config, "{endpoint}", sim.url, "{api_version}", "auto")
		eventually(t, time.Minute, "the log names the filter", func() bool {
			return len(logLines(c.output(), "error", "trace_filter: LangSmith refuses", "eq(nonsense, 1)", "correct it")) > 0
		})
		assertRunning(t, c)
	})
	t.Run("v1-only server, api_version v2", func(t *testing.T) {
		sim := startSimulator(t, "--history", "200", "--rate", "0", "--api", "v1")
		c := startCollector(t, t.TempDir(), short, "{endpoint}", sim.url, "{api_version}", "v2")
		eventually(t, time.Minute, "the log names key, value and remedy", func() bool {
			for line := range strings.Lines(c.output()) {
				if strings.Contains(line, "api_version") && strings.Contains(line, "v2") && (strings.Contains(line, "v1") || strings.Contains(line, "auto")) {
					return true
				}
			}
			return false
		})
		assertRunning(t, c)
	})
}

func assertRunning(t *testing.T, c *collector) {
	t.Helper()
	select {
	case <-c.done:
		assert.Fail(t, "the collector ended", tail(c.output(), 10))
	default:
	}
}

func spanCount(t *testing.T, c *collector) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.dir, "spans.jsonl"))
	if os.IsNotExist(err) {
		return 0
	}
	require.NoError(t, err)
	return strings.Count(string(data), `"key":"langsmith.run.id"`)
}

// TestOddRunsCostThemselvesOnly lets the server send what no server should, and finds every run all the same: the odd
// answer strikes once, and what it hid is read again.
func TestOddRunsCostThemselvesOnly(t *testing.T) {
	for _, api := range []string{"both", "v1"} {
		t.Run(api, func(t *testing.T) {
			sim := startSimulator(t, "--history", "6000", "--span", "50m", "--rate", "0", "--api", api, "--stuck", "0")
			faults := []map[string]any{}
			for i, kind := range []string{
				"malformed_run", "invalid_json", "invalid_utf8", "absurd_times", "unknown_enum", "huge_run", "repeat_cursor",
				"truncate", "reset", "html403",
			} {
				f := map[string]any{"match": "runs/query", "kind": kind, "count": 1, "skip": i}
				if kind == "huge_run" {
					f["bytes"] = 50 << 20
				}
				faults = append(faults, f)
			}
			faults = append(faults,
				map[string]any{"match": "runs/query", "kind": "status", "status": 429, "count": 2, "skip": 12},
				map[string]any{"match": "runs/query", "kind": "status", "status": 504, "count": 2, "skip": 16},
			)
			post(t, sim.url+"/admin/faults", faults)
			config := strings.Replace(pullConfig, "response_details: true", "capture_content: full", 1)
			config = strings.Replace(config, "initial_lookback: 72h", "initial_lookback: 2h", 1)
			c := startCollector(t, t.TempDir(), config, "{endpoint}", sim.url, "{api_version}", "auto")

			want := sim.runs(t)
			skipped := func() int {
				return int(counter(families(t, c.telemetry), "otelcol_receiver_langsmith_runs_skipped", nil))
			}
			eventually(t, 3*time.Minute, "every run is a span, but for a few that were skipped", func() bool {
				missing := len(want) - spanCount(t, c)
				return missing <= 3 && missing <= skipped()
			})
			c.polls(t, 3)
			assertRunning(t, c)
			most := skipped()
			c.stop(t)

			got := map[string]int{}
			for _, s := range spansOf(t, filepath.Join(c.dir, "spans.jsonl")) {
				got[s.str("langsmith.run.id")]++
			}
			var missing, repeated []string
			for id := range want {
				switch n := got[id]; {
				case n == 0:
					missing = append(missing, id)
				case n > 1:
					repeated = append(repeated, id)
				}
			}
			assert.Empty(t, repeated)
			assert.LessOrEqual(t, len(missing), most, "what is missing was skipped and counted: %v", missing)
			assert.LessOrEqual(t, len(missing), 3, "only runs that were broken themselves: %v", missing)
		})
	}
}
