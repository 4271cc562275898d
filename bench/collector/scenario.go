package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// scenario is one load on the collector.
type scenario struct {
	name  string
	api   string // version
	gzip  bool
	count int64         // of runs in the past: how fast they are read
	rate  float64       // of live runs a second: what they cost
	past  time.Duration // how long they have been coming already, at most initial_lookback
	every string        // collection_interval
	slim  bool          // in the collector that has no more than this needs

	perCore, cpu, rss float64 // goals; cpu in percent of a core, rss in MB
}

const (
	catchUp = 600_000
	live    = 60 * time.Second
)

var scenarios = []scenario{
	{name: "catch up, v2, gzip", api: "v2", gzip: true, count: catchUp, every: "30s", perCore: 25_000},
	{name: "catch up, v2, identity", api: "v2", count: catchUp, every: "30s", perCore: 40_000},
	{name: "catch up, v1, gzip", api: "v1", gzip: true, count: catchUp / 4, every: "30s"},
	{name: "150 runs/s, v1, gzip", api: "v1", gzip: true, rate: 150, every: "10s", cpu: 2},
	{name: "150 runs/s, v1, gzip, slim", api: "v1", gzip: true, rate: 150, every: "10s", slim: true, cpu: 2, rss: 80},
	{name: "150 runs/s, v1, gzip, slim, 20 minutes later", api: "v1", gzip: true, rate: 150, past: 20 * time.Minute, every: "10s", slim: true, cpu: 2, rss: 80},
	{name: "3000 runs/s, v2, gzip", api: "v2", gzip: true, rate: 3000, every: "10s", cpu: 20},
	{name: "3000 runs/s, v2, gzip, slim", api: "v2", gzip: true, rate: 3000, every: "10s", slim: true, cpu: 20, rss: 100},
	{name: "3000 runs/s, v2, gzip, slim, 20 minutes later", api: "v2", gzip: true, rate: 3000, past: 20 * time.Minute, every: "10s", slim: true, cpu: 20, rss: 100},
	{name: "idle project", api: "v2", gzip: true, every: "10s", cpu: 0.5},
}

// result is what a process used while it handled so many runs.
type result struct {
	runs    float64
	elapsed time.Duration
	cpu     time.Duration
	rss     float64 // MB, the most
	anon    float64 // MB of it that is not of files, such as the binary
	size    string  // bytes of a run on the wire, before compression
}

func (r result) perRun() float64 { return float64(r.cpu.Microseconds()) / r.runs }

const config = `
receivers:
  langsmith:
    endpoint: %[1]s
    api_key: bench
    api_version: %[2]s
    collection_interval: %[3]s
    initial_lookback: 1h
    capture_content: full
    storage: file_storage
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 1024}
connectors:
  llm_metrics: {storage: file_storage}
exporters:
  otlp_http: {endpoint: %[1]s, compression: none}
  prometheus: {endpoint: "127.0.0.1:%[4]d"}
extensions:
  file_storage: {directory: %[6]q}
  pprof: {endpoint: "127.0.0.1:%[7]d"}
service:
  extensions: [file_storage, pprof]
  telemetry:
    metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: %[5]d}}}}]}
  pipelines:
    traces: {receivers: [langsmith], processors: [memory_limiter], exporters: [otlp_http, llm_metrics]}
    metrics: {receivers: [llm_metrics], exporters: [prometheus]}
`

func (s scenario) measure(repo, profile string) (result, error) {
	dir, err := os.MkdirTemp("", "collector-bench")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	server, err := startServers(repo, "-count", fmt.Sprint(s.count), "-rate", fmt.Sprint(s.rate), "-past", s.past.String(), fmt.Sprintf("-gzip=%t", s.gzip))
	if err != nil {
		return result{}, err
	}
	defer server.stop()
	telemetry, pprof := freePort(), freePort()
	path := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf(config, server.url, s.api, s.every, freePort(), telemetry, dir, pprof)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return result{}, err
	}
	binary := filepath.Join(repo, "bin", "otelcol-langsmith")
	if s.slim {
		binary = filepath.Join(repo, "bench", "collector", "slim", "slim")
	}
	cmd := exec.Command(binary, "--config", path)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return result{}, err
	}
	c := &measured{pid: cmd.Process.Pid, telemetry: telemetry, ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(c.ended) }()
	defer func() { _ = cmd.Process.Signal(os.Interrupt); <-c.ended }()

	// What the start costs is left out: the reading has to be under way.
	begin, finish := float64(s.count)/10, float64(s.count)*0.95
	if s.count == 0 {
		begin, finish = s.rate*10, s.rate*10
	}
	if s.past > 0 {
		if err := c.caughtUp(s); err != nil {
			return result{}, fmt.Errorf("%w:\n%s", err, log.String())
		}
	}
	from, err := c.until(begin, 0)
	if err != nil {
		return result{}, fmt.Errorf("%w:\n%s", err, log.String())
	}
	if profile != "" {
		go takeProfile(profile, s.name+" cpu", pprof, "profile?seconds=10")
	}
	wait := time.Duration(0)
	if s.count == 0 {
		wait = live
	}
	to, err := c.until(finish, wait)
	if err != nil {
		return result{}, fmt.Errorf("%w:\n%s", err, log.String())
	}
	if profile != "" {
		takeProfile(profile, s.name+" heap", pprof, "heap")
	}
	return result{runs: to.runs - from.runs, elapsed: to.at.Sub(from.at), cpu: to.cpu - from.cpu, rss: c.most, anon: c.anon, size: server.size()}, nil
}

// measured is a process that is looked at from outside.
type measured struct {
	pid, telemetry int
	ended          chan struct{}
	most           float64 // MB resident
	anon           float64 // MB of it that is not of files
}

// caughtUp waits until the process has read what was there when it began, and until it had time to give back the memory
// that this took, which does not count.
func (m *measured) caughtUp(s scenario) error {
	const behind = 20 * time.Second // what polling leaves unread at any time
	now := sample{at: time.Now()}
	for begin := now.at; now.runs < s.rate*(s.past+now.at.Sub(begin)-behind).Seconds(); {
		if time.Since(begin) > 10*time.Minute {
			return fmt.Errorf("not caught up within 10 minutes: %.0f runs", now.runs)
		}
		var err error
		if now, err = m.until(1, time.Second); err != nil {
			return err
		}
	}
	_, err := m.until(1, live)
	m.most, m.anon = 0, 0
	return err
}

type sample struct {
	at   time.Time
	runs float64
	cpu  time.Duration
}

// until samples the process until it sent so many runs, and at least so long.
func (m *measured) until(runs float64, least time.Duration) (sample, error) {
	begin := time.Now()
	for {
		select {
		case <-m.ended:
			return sample{}, fmt.Errorf("the collector ended")
		case <-time.After(200 * time.Millisecond):
		}
		rss, err := residentMB(m.pid, "VmRSS:")
		if err != nil {
			return sample{}, err
		}
		anon, err := residentMB(m.pid, "RssAnon:")
		if err != nil {
			return sample{}, err
		}
		m.most, m.anon = max(m.most, rss), max(m.anon, anon)
		if time.Since(begin) < least {
			continue
		}
		sent, known := sentSpans(m.telemetry)
		if known && sent >= runs && (runs > 0 || time.Since(begin) > 5*time.Second) {
			cpu, err := cpuTime(m.pid)
			return sample{time.Now(), sent, cpu}, err
		}
		if time.Since(begin) > 5*time.Minute {
			return sample{}, fmt.Errorf("only %.0f of %.0f runs within 5 minutes", sent, runs)
		}
	}
}

// sentSpans asks the collector how many spans it exported; it tells nothing before it is ready.
func sentSpans(port int) (float64, bool) {
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "otelcol_exporter_sent_spans{") {
			n, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:len(line)-1], 64)
			return n, true
		}
	}
	return 0, true
}

// cpuTime is what all threads of a process used, in the kernel too.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	text := string(stat)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const tick = 10 * time.Millisecond
	user, err := strconv.ParseInt(f[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * tick, err
}

func residentMB(pid int, what string) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), what)
	kb, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
	return kb * 1024 / 1e6, err
}

func takeProfile(folder, name string, port int, what string) {
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/%s", port, what))
	if err != nil {
		return
	}
	defer resp.Body.Close()
	f, err := os.Create(filepath.Join(folder, strings.NewReplacer(" ", "-", ",", "", "/", "-").Replace(name)+".pprof"))
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = io.Copy(f, resp.Body)
}

func (s scenario) print(w io.Writer, r result) {
	goal := func(g float64, format string) string {
		if g == 0 {
			return "-"
		}
		return fmt.Sprintf(format, g)
	}
	perRun, perCore := "-", "-"
	if r.runs > 0 {
		perRun = fmt.Sprintf("%.1f", r.perRun())
	}
	if s.count > 0 {
		perCore = fmt.Sprintf("%.0f", r.runs/r.cpu.Seconds())
	}
	fmt.Fprintf(w, "%s\t%s\t%.0f\t%.2f %%\t%s\t%s\t%s\t%s\t%.0f MB\t%s\t%.0f MB\n", s.name, r.size, r.runs/r.elapsed.Seconds(),
		100*r.cpu.Seconds()/r.elapsed.Seconds(), goal(s.cpu, "≤ %.1f %%"), perRun, perCore, goal(s.perCore, "≥ %.0f"), r.rss, goal(s.rss, "≤ %.0f MB"), r.anon)
}

// script is the same job done with the official SDK.
type script struct {
	name, api, beside string
}

const scriptRuns = 60_000

var scripts = []script{
	{"SDK and prom-client, v1, gzip", "v1", "catch up, v1, gzip"},
	{"SDK and prom-client, v2, gzip", "v2", "catch up, v2, gzip"},
}

func (s script) measure(repo string) (result, error) {
	folder := filepath.Join(repo, "bench", "collector")
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "prom-client")); err != nil {
		install := exec.Command("npm", "ci", "--no-audit", "--no-fund")
		install.Dir = folder
		if out, err := install.CombinedOutput(); err != nil {
			return result{}, fmt.Errorf("npm ci: %w: %s", err, out)
		}
	}
	server, err := startServers(repo, "-count", fmt.Sprint(scriptRuns))
	if err != nil {
		return result{}, err
	}
	defer server.stop()
	begin := time.Now()
	node := exec.Command("node", "--no-deprecation", "sdk.mjs", server.url, projectID, s.api, begin.Add(-time.Hour).UTC().Format(time.RFC3339))
	node.Dir, node.Stderr = folder, os.Stderr
	out, err := node.Output()
	if err != nil {
		return result{}, err
	}
	var told struct {
		Runs float64 `json:"runs"`
		CPU  int64   `json:"cpu"`
		RSS  float64 `json:"rss"`
	}
	if err := json.Unmarshal(out, &told); err != nil {
		return result{}, err
	}
	if told.Runs != scriptRuns {
		return result{}, fmt.Errorf("it read %.0f of %d runs", told.Runs, scriptRuns)
	}
	return result{runs: told.Runs, elapsed: time.Since(begin), cpu: time.Duration(told.CPU) * time.Microsecond, rss: told.RSS / 1e6, size: server.size()}, nil
}

func (s script) print(w io.Writer, r, ours result) {
	beside := "-"
	if ours.runs > 0 {
		beside = fmt.Sprintf("%.1f x ours; ≥ 2.5", r.perRun()/ours.perRun())
	}
	fmt.Fprintf(w, "%s\t%s\t%.0f\t%.1f %%\t-\t%.1f\t%.0f\t%s\t%.0f MB\t-\t-\n", s.name, r.size, r.runs/r.elapsed.Seconds(),
		100*r.cpu.Seconds()/r.elapsed.Seconds(), r.perRun(), r.runs/r.cpu.Seconds(), beside, r.rss)
}

// freePort returns a port below those that outgoing connections take, so that none takes it before the collector does.
func freePort() int {
	for {
		port := 20_000 + rand.IntN(10_000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return port
		}
	}
}
