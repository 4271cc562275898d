// Package e2e runs the built binaries as a user would: the distribution on a configuration, beside the simulator and
// real sinks.
package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// repo is the checkout's top folder.
var repo = func() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return dir
}()

func TestMain(m *testing.M) {
	readerMain()
	// go build knows what is out of date, so the tests never run yesterday's binaries.
	build := exec.Command("make", "-s", "build")
	build.Dir = repo
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "make build:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// process is a started binary, its output kept.
type process struct {
	name   string
	cmd    *exec.Cmd
	done   chan struct{}
	killed bool

	mu  sync.Mutex
	out bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// output is everything the process wrote so far, standard output and error.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// start runs a binary, of bin/ unless its path is given, and stops it at the end of the test.
func start(t *testing.T, dir string, env []string, binary string, args ...string) *process {
	t.Helper()
	p := &process{name: binary, done: make(chan struct{})}
	path := binary
	if !filepath.IsAbs(path) {
		path = filepath.Join(repo, "bin", binary)
	}
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = dir
	p.cmd.Env = append(os.Environ(), env...)
	p.run(t)
	return p
}

// run starts the process and stops it at the end of the test.
func (p *process) run(t *testing.T) {
	t.Helper()
	p.cmd.Stdout, p.cmd.Stderr = p, p
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() && !p.killed {
			t.Logf("last output of %s:\n%s", p.name, tail(p.output(), 40))
		}
	})
}

// stop asks the process to end and waits until it has.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		t.Errorf("%s did not end within 30 s of SIGTERM", p.name)
	}
}

// kill ends the process at once, as a crash would.
func (p *process) kill() {
	p.killed = true
	_ = p.cmd.Process.Kill()
	<-p.done
}

// exited waits for the process to end by itself and returns its exit code.
func (p *process) exited(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		require.Fail(t, "still running", "%s did not end within %s:\n%s", p.name, within, tail(p.output(), 20))
	}
	return p.cmd.ProcessState.ExitCode()
}

// tail is the last lines of an output, without those of level debug.
func tail(s string, lines int) string {
	var all []string
	for line := range strings.Lines(s) {
		if !strings.Contains(line, "\tdebug\t") {
			all = append(all, strings.TrimRight(line, "\n"))
		}
	}
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}

// eventually polls until the condition holds; what says what was waited for.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !holds() {
		if time.Now().After(deadline) {
			require.Fail(t, "not within "+within.String(), what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// await waits until the channel is closed; what says what was waited for.
func await(t *testing.T, within time.Duration, what string, reached <-chan struct{}) {
	t.Helper()
	select {
	case <-reached:
	case <-time.After(within):
		require.Fail(t, "not within "+within.String(), what)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "GET %s: %s", url, body)
	return body
}

func post(t *testing.T, url string, body any) {
	t.Helper()
	data, err := json.Marshal(body)
	require.NoError(t, err)
	resp, err := http.Post(url, "application/json", bytes.NewReader(data))
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Less(t, resp.StatusCode, 300, "POST %s: %s", url, answer)
}

// collector is a running distribution.
type collector struct {
	*process
	dir       string
	prom      int // port of the prometheus exporter
	telemetry int // port of the collector's own metrics
}

// startCollector runs the distribution on a configuration, in which {dir}, {prom}, {telemetry}, {health} and the
// given pairs are replaced, and waits until it is ready.
func startCollector(t *testing.T, dir, config string, pairs ...string) *collector {
	t.Helper()
	return startCollectorWith(t, dir, config, nil, pairs...)
}

// startCollectorWith is startCollector with further arguments.
func startCollectorWith(t *testing.T, dir, config string, args []string, pairs ...string) *collector {
	t.Helper()
	c := newCollector(t, dir, config, pairs...)
	c.launch(t, args...)
	c.ready(t)
	return c
}

// newCollector is a collector that is not started.
func newCollector(t *testing.T, dir, config string, pairs ...string) *collector {
	t.Helper()
	c := &collector{dir: dir, prom: freePort(t), telemetry: freePort(t)}
	config = strings.NewReplacer(append([]string{
		"{dir}", dir,
		"{prom}", fmt.Sprint(c.prom),
		"{telemetry}", fmt.Sprint(c.telemetry),
		"{health}", fmt.Sprint(freePort(t)),
	}, pairs...)...).Replace(config)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o600))
	return c
}

// launch begins a life of the collector, the first or another one. Further arguments override the configuration.
func (c *collector) launch(t *testing.T, more ...string) {
	t.Helper()
	c.process = start(t, c.dir, nil, "otelcol-langsmith", append([]string{"--config", filepath.Join(c.dir, "config.yaml")}, more...)...)
}

// ready waits until all components have started.
func (c *collector) ready(t *testing.T) {
	t.Helper()
	eventually(t, 60*time.Second, "the collector is ready", func() bool {
		select {
		case <-c.done:
			require.Fail(t, "the collector ended", tail(c.output(), 20))
		default:
		}
		return strings.Contains(c.output(), "Everything is ready")
	})
}

// polls waits until the receiver has asked each project n times more: time to emit what must not be emitted, however
// slow the machine is.
func (c *collector) polls(t *testing.T, n int) {
	t.Helper()
	asked := func() (requests, projects float64) {
		list := families(t, c.telemetry)
		for _, endpoint := range []string{"runs_v1", "runs_v2"} {
			requests += counter(list, "otelcol_receiver_langsmith_api_requests", map[string]string{"endpoint": endpoint})
		}
		return requests, counter(list, "otelcol_receiver_langsmith_projects", nil)
	}
	before, _ := asked()
	eventually(t, 2*time.Minute, "the receiver goes on asking", func() bool {
		requests, projects := asked()
		return projects > 0 && requests >= before+float64(n)*projects
	})
}

// families scrapes a Prometheus endpoint.
func families(t *testing.T, port int) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	list, err := parser.TextToMetricFamilies(bytes.NewReader(get(t, fmt.Sprintf("http://localhost:%d/metrics", port))))
	require.NoError(t, err)
	return list
}

// labels of a series as a map.
func labels(m *dto.Metric) map[string]string {
	set := map[string]string{}
	for _, l := range m.GetLabel() {
		set[l.GetName()] = l.GetValue()
	}
	return set
}

// counter sums a family of counters or gauges over the series that have the given labels.
func counter(list map[string]*dto.MetricFamily, name string, want map[string]string) float64 {
	var sum float64
	for _, m := range list[name].GetMetric() {
		if has(labels(m), want) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
		}
	}
	return sum
}

func has(set, want map[string]string) bool {
	for k, v := range want {
		if set[k] != v {
			return false
		}
	}
	return true
}

// spansOf reads every span of a file that the file exporter wrote.
func spansOf(t *testing.T, paths ...string) []span {
	t.Helper()
	var spans []span
	for _, path := range paths {
		f, err := os.Open(path)
		require.NoError(t, err)
		lines := bufio.NewReaderSize(f, 1<<20)
		for {
			line, err := lines.ReadBytes('\n')
			if len(line) > 0 && err == nil {
				td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(line)
				require.NoError(t, err, path)
				spans = append(spans, flatten(td)...)
			}
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
		}
		require.NoError(t, f.Close())
	}
	return spans
}

// span is a span with its resource's attributes.
type span struct {
	ptrace.Span
	resource map[string]any
}

func flatten(td ptrace.Traces) []span {
	var spans []span
	for _, rs := range td.ResourceSpans().All() {
		resource := rs.Resource().Attributes().AsRaw()
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				spans = append(spans, span{s, resource})
			}
		}
	}
	return spans
}

func (s span) str(key string) string {
	v, ok := s.Attributes().Get(key)
	if !ok {
		return ""
	}
	return v.AsString()
}
