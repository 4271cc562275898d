package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRunsOfTheOfficialSDK traces a LangGraph program with LangSmith's own client into the simulator, pulls it, and
// compares run by run.
func TestRunsOfTheOfficialSDK(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed: the official JavaScript SDK cannot run")
	}
	sdk := filepath.Join(repo, "test", "jssdk")
	if _, err := os.Stat(filepath.Join(sdk, "node_modules", "langsmith", "package.json")); err != nil {
		install := exec.Command("npm", "ci", "--no-audit", "--no-fund")
		install.Dir = sdk
		out, err := install.CombinedOutput()
		require.NoError(t, err, "npm ci: %s", out)
	}
	for _, version := range []string{"v2", "v1"} {
		t.Run(version, func(t *testing.T) {
			sim := startSimulator(t, "--history", "0", "--rate", "0", "--stuck", "0")
			program := exec.Command("node", "write.mjs")
			program.Dir = sdk
			program.Env = append(os.Environ(), "LANGSMITH_ENDPOINT="+sim.url, "LANGSMITH_API_KEY=lsv2_pt_js",
				"LANGSMITH_TRACING=true", "LANGSMITH_PROJECT=js-sdk")
			var stdout, stderr bytes.Buffer
			program.Stdout, program.Stderr = &stdout, &stderr
			require.NoError(t, program.Run(), "%s", &stderr)
			var told struct {
				Calls        int   `json:"calls"`
				InputTokens  int64 `json:"input_tokens"`
				OutputTokens int64 `json:"output_tokens"`
				Errors       int   `json:"errors"`
			}
			require.NoError(t, json.Unmarshal(stdout.Bytes(), &told), "%s", &stdout)

			config := strings.Replace(pullConfig, "initial_lookback: 72h", "initial_lookback: 10m", 1)
			c := startCollector(t, t.TempDir(), config, "{endpoint}", sim.url, "{api_version}", version)
			sim.quiesce(t)
			want := sim.runs(t)
			require.NotEmpty(t, want)
			eventually(t, 2*time.Minute, "every run is a span", func() bool { return spanCount(t, c) >= len(want) })
			c.polls(t, 3)
			list := c.flushed(t, sim, sim.totals(t), want)
			c.stop(t)

			spans := spansOf(t, filepath.Join(c.dir, "spans.jsonl"))
			compareSpans(t, want, spans)
			compareTotals(t, sim, sim.totals(t), want, list)

			// The program's own count, which neither the simulator nor the collector had a hand in.
			var calls uint64
			var input, output float64
			for _, m := range list["gen_ai_client_operation_duration_seconds"].GetMetric() {
				if labels(m)["gen_ai_operation_name"] == "chat" {
					calls += m.GetHistogram().GetSampleCount()
				}
			}
			for _, m := range list["gen_ai_client_token_usage"].GetMetric() {
				if labels(m)["gen_ai_token_type"] == "input" {
					input += m.GetHistogram().GetSampleSum()
				} else {
					output += m.GetHistogram().GetSampleSum()
				}
			}
			assert.Equal(t, told.Calls, int(calls))
			assert.Equal(t, told.InputTokens, int64(input))
			assert.Equal(t, told.OutputTokens, int64(output))

			// A thread's id is on every span of its trace, though only the root may carry it.
			threads := map[string]bool{}
			for _, s := range spans {
				if id := s.str("gen_ai.conversation.id"); strings.HasPrefix(id, "conv-") {
					threads[id] = true
				}
			}
			assert.Len(t, threads, 3)
		})
	}
}
