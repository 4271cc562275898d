package e2e

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMakeRun types what the README says, waits for the first numbers, looks where it is told to look, and ends it as
// Ctrl-C does.
func TestMakeRun(t *testing.T) {
	state := t.TempDir()
	cmd := exec.Command("make", "run")
	cmd.Dir = repo
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "LANGSMITH_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "OTELCOL_LANGSMITH_STATE="+state)
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	interrupt := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	defer func() {
		interrupt()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			t.Error("make run did not end")
		}
		if t.Failed() {
			t.Log(out.String())
		}
	}()

	totals := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d +\d+ +\d+\.\d % +\d+\.\d\d s +\d+\.\d\d s +\S+ [Mk]? *\S+ [Mk]? +\d+\.\d+$`)
	eventually(t, time.Minute, "the first line of totals", func() bool { return totals.MatchString(out.String()) })

	metrics := string(get(t, "http://localhost:9464/metrics"))
	for _, name := range []string{
		"gen_ai_client_operation_duration_seconds_bucket", "gen_ai_client_token_usage_sum", "gen_ai_usage_cost_USD_sum",
		"gen_ai_client_operation_time_to_first_chunk_seconds_count", "gen_ai_client_operation_errors_total",
		"gen_ai_execute_tool_duration_seconds_count", "gen_ai_invoke_agent_duration_seconds_count",
	} {
		assert.Contains(t, metrics, name)
	}
	assert.Contains(t, string(get(t, "http://localhost:8888/metrics")), "otelcol_")
	get(t, "http://localhost:13133")
	info, err := os.Stat(state + "/simulator/spans.jsonl")
	require.NoError(t, err)
	assert.Positive(t, info.Size())
	assert.Less(t, strings.Count(out.String(), "\n"), 20, "a few lines, not a log:\n%s", out.String())

	interrupt()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		require.Fail(t, "make run did not end within 20 s of Ctrl-C")
	}
	for _, url := range []string{"http://localhost:9464", "http://localhost:13133", "http://127.0.0.1:1984"} {
		resp, err := http.Get(url)
		if err == nil {
			_ = resp.Body.Close()
		}
		assert.Error(t, err, "something still listens at %s", url)
	}
}

// TestMakeRunBesideAnother holds that a second one says which port is taken, and leaves what the first one wrote alone.
func TestMakeRunBesideAnother(t *testing.T) {
	for _, port := range []string{"1984", "9464", "8888", "13133"} {
		t.Run(port, func(t *testing.T) {
			listener, err := net.Listen("tcp", "localhost:"+port)
			require.NoError(t, err)
			defer listener.Close()
			state := t.TempDir()
			spans := filepath.Join(state, "simulator", "spans.jsonl")
			stored := filepath.Join(state, "simulator", "storage", "receiver")
			require.NoError(t, os.MkdirAll(filepath.Dir(stored), 0o700))
			for _, path := range []string{spans, stored} {
				require.NoError(t, os.WriteFile(path, []byte("of the first"), 0o600))
			}
			cmd := exec.Command("scripts/run.sh")
			cmd.Dir = repo
			cmd.Env = append(os.Environ(), "LANGSMITH_API_KEY=", "OTELCOL_LANGSMITH_STATE="+state)
			out, err := cmd.CombinedOutput()
			require.Error(t, err)
			assert.Equal(t, "port "+port+" is taken, perhaps by another make run: stop what listens there, then try again\n", string(out))
			assert.FileExists(t, spans)
			assert.FileExists(t, stored)
		})
	}
}

// lockedBuffer is a buffer that a process writes while a test reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
