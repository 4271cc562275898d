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

// canaryRuns hold a canary in every place where LangSmith keeps content, in the shapes that tracers write.
func canaryRuns(at time.Time) []map[string]any {
	stamp := func(d time.Duration) string { return at.Add(d).UTC().Format("2006-01-02T15:04:05.000000Z") }
	run := func(n int, kind string, more map[string]any) map[string]any {
		id := fmt.Sprintf("0194a000-0000-7000-8000-%012x", n)
		r := map[string]any{
			"id": id, "trace_id": id, "name": "step", "run_type": kind, "status": "success", "session_name": "canaries",
			"start_time": stamp(0), "end_time": stamp(time.Second), "dotted_order": at.UTC().Format("20060102T150405000000Z") + id,
			"inputs_preview": "CANARY preview of the input", "outputs_preview": "CANARY preview of the output",
			"events":     []any{map[string]any{"name": "new_token", "time": stamp(time.Millisecond), "kwargs": map[string]any{"token": "CANARY token"}}},
			"serialized": map[string]any{"kwargs": map[string]any{"template": "CANARY template"}},
			"extra": map[string]any{
				"metadata":          map[string]any{"ls_provider": "openai", "ls_model_name": "gpt-4o", "note": "CANARY metadata"},
				"invocation_params": map[string]any{"tools": []any{map[string]any{"name": "CANARY tool definition"}}, "stop": nil},
			},
		}
		for k, v := range more {
			r[k] = v
		}
		return r
	}
	message := func(text string) map[string]any { return map[string]any{"role": "user", "content": text} }
	return []map[string]any{
		run(1, "llm", map[string]any{
			"inputs":  map[string]any{"messages": []any{message("CANARY prompt")}, "system": "CANARY system"},
			"outputs": map[string]any{"choices": []any{map[string]any{"finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": "CANARY answer"}}}},
		}),
		run(2, "llm", map[string]any{
			"inputs": map[string]any{"messages": []any{[]any{map[string]any{"lc": 1, "id": []any{"langchain", "schema", "messages", "HumanMessage"}, "kwargs": map[string]any{"content": "CANARY lc prompt"}}}}},
			"outputs": map[string]any{"generations": []any{[]any{map[string]any{"text": "CANARY lc answer", "message": map[string]any{"kwargs": map[string]any{
				"content": "CANARY lc answer", "tool_calls": []any{map[string]any{"name": "lookup", "args": map[string]any{"q": "CANARY tool args"}}},
				"response_metadata": map[string]any{"model_name": "gpt-4o-2024-11-20", "finish_reason": "CANARY is no finish reason"},
			}}}}}},
		}),
		run(3, "tool", map[string]any{
			"status": "error", "error": "ValueError('CANARY error message')\n\nTraceback (most recent call last):\n  File \"app.py\", line 3, in CANARY_frame\nValueError: CANARY error message",
			"inputs": map[string]any{"input": "{'q': 'CANARY tool input'}"}, "outputs": map[string]any{"output": "CANARY tool output"},
		}),
		run(4, "retriever", map[string]any{
			"inputs":  map[string]any{"query": "CANARY query"},
			"outputs": map[string]any{"documents": []any{map[string]any{"page_content": "CANARY document", "metadata": map[string]any{"source": "CANARY source"}}}},
		}),
		run(5, "chain", map[string]any{
			"status": "error", "error": "CANARY bare error text, no class",
			"inputs": map[string]any{"question": "CANARY question"}, "outputs": map[string]any{"answer": "CANARY answer"},
		}),
		run(6, "chain", map[string]any{
			"status": "error", "error": "[{\"value\": \"CANARY interrupt\"}]\n\nGraphInterrupt: [{\"value\": \"CANARY interrupt\"}]\n    at x.js",
		}),
	}
}

// TestNothingPrivateByDefault looks for content and for the key in everything that the collector writes, at the most
// talkative log level, while requests fail in every way.
func TestNothingPrivateByDefault(t *testing.T) {
	for _, details := range []string{"false", "true"} {
		t.Run("response_details="+details, func(t *testing.T) {
			sim := startSimulator(t, "--history", "2000", "--span", "30m", "--rate", "2", "--key", "lsv2_sk_e2e_secret")
			post(t, sim.url+"/admin/runs", canaryRuns(time.Now().Add(-10*time.Second)))
			post(t, sim.url+"/admin/faults", []map[string]any{
				{"match": "runs/query", "kind": "status", "status": 500, "count": 2, "skip": 1},
				{"match": "runs/query", "kind": "html403", "count": 1, "skip": 3},
				{"match": "runs/query", "kind": "truncate", "count": 2, "skip": 4},
				{"match": "runs/query", "kind": "status", "status": 422, "count": 1, "skip": 6, "body": `{"detail":"the key lsv2_sk_e2e_secret is quoted"}`},
				{"match": "runs/query", "kind": "malformed_run", "count": 2, "skip": 8},
			})
			config := strings.Replace(pullConfig, "response_details: true", "response_details: "+details, 1)
			config = strings.Replace(config, "{dir}/spans.jsonl\", flush_interval: 1s}", "{dir}/spans.jsonl\", flush_interval: 1s}\n  debug: {verbosity: detailed, sampling_initial: 100000, sampling_thereafter: 1}", 1)
			config = strings.Replace(config, "exporters: [file, llm_metrics]", "exporters: [file, debug, llm_metrics]", 1)
			c := startCollector(t, t.TempDir(), config, "{endpoint}", sim.url, "{api_version}", "auto")
			path := filepath.Join(c.dir, "spans.jsonl")
			spans := func() string {
				data, err := os.ReadFile(path)
				require.NoError(t, err)
				return string(data)
			}
			eventually(t, 2*time.Minute, "the canaries and some history are spans", func() bool {
				text := spans()
				return strings.Count(text, `"canaries"`) >= 2 && strings.Count(text, "langsmith.run.id") > 1500
			})
			c.polls(t, 3)
			metrics := string(get(t, fmt.Sprintf("http://localhost:%d/metrics", c.prom)))
			own := string(get(t, fmt.Sprintf("http://localhost:%d/metrics", c.telemetry)))
			c.stop(t)

			for _, r := range spansOf(t, path) {
				if r.resource["service.name"] == "canaries" && r.str("langsmith.run_type") == "tool" {
					assert.Equal(t, "ValueError", r.str("error.type"), "the class is kept, the message is not")
				}
			}
			needles := []string{"CANARY", "canary ", "lsv2_sk_e2e_secret"}
			nothingContains(t, "spans", spans(), needles...)
			nothingContains(t, "metrics", metrics, needles...)
			nothingContains(t, "own metrics", own, needles...)
			nothingContains(t, "log", c.output(), needles...)
			require.NoError(t, filepath.WalkDir(filepath.Join(c.dir, "storage"), func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					data, err := os.ReadFile(path)
					require.NoError(t, err)
					nothingContains(t, "checkpoint", string(data), needles...)
				}
				return err
			}))
		})
	}
}
