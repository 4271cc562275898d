package jssdk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// run is a line of the simulator's own list.
type run struct {
	ID          string  `json:"id"`
	TraceID     string  `json:"trace_id"`
	ParentRunID *string `json:"parent_run_id"`
	Project     string  `json:"project"`
	Name        string  `json:"name"`
	RunType     string  `json:"run_type"`
	Status      string  `json:"status"`
	Start       string  `json:"start_time"`
	End         *string `json:"end_time"`
	FirstToken  string  `json:"first_token_time"`
	Input       int64   `json:"input_tokens"`
	Output      int64   `json:"output_tokens"`
	CacheRead   int64   `json:"cache_read_tokens"`
	Cost        string  `json:"cost"`
	ThreadID    string  `json:"thread_id"`
	Operation   string  `json:"operation"`
	Provider    string  `json:"provider"`
	Request     string  `json:"request_model"`
	Response    string  `json:"response_model"`
	ErrorType   string  `json:"error_type"`
}

// node makes sure that Node and the SDK are there.
func node(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed: the official JavaScript SDK cannot run")
	}
	if _, err := os.Stat("node_modules/langsmith/package.json"); err == nil {
		return
	}
	out, err := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund").CombinedOutput()
	require.NoError(t, err, "npm ci: %s", out)
}

// touch looks at every file that the test depends on besides its own package, so that a cached result is not
// used after one has changed.
func touch(t *testing.T) {
	t.Helper()
	for _, path := range []string{"read.mjs", "write.mjs", "package-lock.json"} {
		_, err := os.Stat(path)
		require.NoError(t, err)
	}
	require.NoError(t, filepath.WalkDir("../../cmd/langsmithsim", func(path string, _ os.DirEntry, err error) error {
		if err == nil {
			_, err = os.Stat(path)
		}
		return err
	}))
}

// simulator starts the simulator and returns its address.
func simulator(t *testing.T, args ...string) string {
	t.Helper()
	touch(t)
	binary := filepath.Join(t.TempDir(), "langsmithsim")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/langsmithsim").CombinedOutput()
	require.NoError(t, err, "%s", out)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, append([]string{"--listen", "127.0.0.1:0", "--rate", "0", "--stuck", "0"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan(), "the simulator ended without a word")
	address, ok := strings.CutPrefix(lines.Text(), "listening on ")
	require.True(t, ok, lines.Text())
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return address
}

// script runs a Node program and decodes what it prints.
func script(t *testing.T, address, name string, into any, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", name)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LANGSMITH_") && !strings.HasPrefix(e, "LANGCHAIN_") && !strings.HasPrefix(strings.ToUpper(e), "HTTP") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(append(cmd.Env, "LANGSMITH_ENDPOINT="+address, "LANGSMITH_API_KEY=lsv2_pt_simulated"), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "%s: %s", name, &stderr)
	require.NoError(t, json.Unmarshal(stdout.Bytes(), into), "%s printed: %s", name, &stdout)
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", body)
	return body
}

func runs(t *testing.T, address, query string) map[string]run {
	t.Helper()
	out := map[string]run{}
	d := json.NewDecoder(bytes.NewReader(get(t, address+"/admin/runs"+query)))
	for d.More() {
		var r run
		require.NoError(t, d.Decode(&r))
		out[r.ID] = r
	}
	return out
}

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	require.NoError(t, err)
	return at.UTC()
}

func TestSDKReadsWhatTheSimulatorTells(t *testing.T) {
	node(t)
	address := simulator(t, "--history", "1200")
	var got struct {
		Projects, Sessions []struct{ ID, Name string }
		Runs               []struct {
			ID               string
			TraceID          string `json:"trace_id"`
			Parent           *string
			Project, Name    string
			RunType          string `json:"run_type"`
			Status           string
			StartTime        string      `json:"start_time"`
			EndTime          string      `json:"end_time"`
			PromptTokens     int64       `json:"prompt_tokens"`
			CompletionTokens int64       `json:"completion_tokens"`
			TotalCost        json.Number `json:"total_cost"`
			CacheRead        int64       `json:"cache_read"`
			HasInputs        bool        `json:"has_inputs"`
			HasError         bool        `json:"has_error"`
		}
		Feedback []struct {
			Key   string
			RunID string `json:"run_id"`
		}
		Queues []struct {
			Name          string
			Count, Listed int
		}
		Traces []struct {
			ID     string
			Tokens int64
		}
	}
	script(t, address, "read.mjs", &got, "SINCE="+time.Now().UTC().Add(-24*time.Hour).Format(time.RFC3339))

	want := map[string]run{}
	tokens := map[string]int64{}
	roots := map[string]bool{}
	for id, r := range runs(t, address, "") {
		if strings.Contains(r.Project, "-eval-") { // experiments are no tracing projects
			continue
		}
		want[id] = r
		roots[r.TraceID] = true
	}
	assert.Len(t, got.Projects, 5)
	assert.ElementsMatch(t, got.Projects, got.Sessions)
	require.Len(t, got.Runs, len(want))
	seen := map[string]bool{}
	for _, g := range got.Runs {
		w, ok := want[g.ID]
		require.True(t, ok, "run %s is unknown", g.ID)
		require.False(t, seen[g.ID], "run %s came twice", g.ID)
		seen[g.ID] = true
		assert.Equal(t, w.ParentRunID, g.Parent)
		assert.Equal(t, []string{w.TraceID, w.Project, w.Name, strings.ToUpper(w.RunType), strings.ToUpper(w.Status)},
			[]string{g.TraceID, g.Project, g.Name, g.RunType, g.Status})
		assert.Equal(t, []int64{w.Input, w.Output, w.CacheRead}, []int64{g.PromptTokens, g.CompletionTokens, g.CacheRead})
		assert.True(t, instant(t, w.Start).Equal(instant(t, g.StartTime)))
		assert.True(t, instant(t, *w.End).Equal(instant(t, g.EndTime)))
		assert.True(t, g.HasInputs)
		assert.Equal(t, w.Status != "success", g.HasError, w.ID)
		if w.Cost != "" {
			exact, ok := new(big.Rat).SetString(w.Cost)
			require.True(t, ok)
			near, _ := exact.Float64()
			told, err := g.TotalCost.Float64()
			require.NoError(t, err)
			assert.InDelta(t, near, told, 0)
		}
	}
	for _, r := range want {
		if r.RunType == "llm" || r.RunType == "embedding" {
			tokens[r.TraceID] += r.Input + r.Output
		}
	}
	assert.Len(t, got.Traces, len(roots))
	for _, tr := range got.Traces {
		assert.LessOrEqual(t, tr.Tokens, tokens[tr.ID], "nested calls count once")
		assert.Equal(t, tokens[tr.ID] > 0, tr.Tokens > 0)
	}
	assert.NotEmpty(t, got.Feedback)
	for _, f := range got.Feedback {
		assert.True(t, roots[f.RunID])
	}
	assert.Len(t, got.Queues, 3)
	for _, q := range got.Queues {
		assert.Equal(t, q.Count, q.Listed, q.Name)
	}
}

func TestSimulatorKeepsWhatTheSDKTraces(t *testing.T) {
	node(t)
	address := simulator(t, "--history", "0")
	var told struct {
		Calls        int
		InputTokens  int64 `json:"input_tokens"`
		OutputTokens int64 `json:"output_tokens"`
		Errors       int
		Feedback     struct {
			ID    string
			RunID string `json:"run_id"`
		}
	}
	script(t, address, "write.mjs", &told, "LANGSMITH_TRACING=true", "LANGSMITH_PROJECT=js-sdk")

	kept := runs(t, address, "?all=true&project=js-sdk")
	names := map[string]int{}
	var calls, failed int
	var input, output int64
	for _, r := range kept {
		names[r.Name]++
		require.NotEqual(t, "pending", r.Status, r.Name)
		if r.ParentRunID == nil {
			assert.Equal(t, r.ID, r.TraceID)
		} else {
			parent, ok := kept[*r.ParentRunID]
			require.True(t, ok, "%s has an unknown parent", r.Name)
			assert.Equal(t, parent.TraceID, r.TraceID)
		}
		if r.RunType == "llm" {
			calls++
			input += r.Input
			output += r.Output
			assert.NotEmpty(t, r.Cost, r.Name)
			assert.Equal(t, "chat", r.Operation)
		}
		if r.Status == "error" {
			failed++
			assert.Equal(t, "RangeError", r.ErrorType)
		}
		if r.Name == "streamed" {
			assert.NotEmpty(t, r.FirstToken)
			assert.Equal(t, "mistral_ai", r.Provider)
		}
		if r.Name == "FakeModel" {
			assert.Equal(t, []string{"openai", "gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"}, []string{r.Provider, r.Request, r.Response})
			assert.Equal(t, int64(32), r.CacheRead)
		}
	}
	assert.Equal(t, told.Calls, calls)
	assert.Equal(t, []int64{told.InputTokens, told.OutputTokens}, []int64{input, output})
	assert.Equal(t, told.Errors, failed)
	assert.Equal(t, map[string]int{
		"LangGraph": 3, "__start__": 3, "agent": 6, "tools": 3, "inventory_lookup": 3, "FakeModel": 7, "RunnableLambda": 6,
		"answer": 1, "find": 1, "ChatOpenAI": 1, "failing": 1, "streamed": 1,
	}, names)
	for _, r := range kept {
		if r.Name == "LangGraph" {
			assert.Contains(t, []string{"conv-0", "conv-1", "conv-2"}, r.ThreadID)
		}
	}
	assert.Equal(t, "answer", kept[told.Feedback.RunID].Name)
}

// TestLockFileNamesNoRegistry keeps the lock file usable behind any registry.
func TestLockFileNamesNoRegistry(t *testing.T) {
	b, err := os.ReadFile("package-lock.json")
	require.NoError(t, err)
	assert.NotContains(t, string(b), `"resolved"`)
	assert.NotContains(t, string(b), "registry")
}
