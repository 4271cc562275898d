package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// residentMiB is the resident memory of a process.
func (p *process) residentMiB(t *testing.T) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(t, err)
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, m)
	kb, err := strconv.ParseFloat(string(m[1]), 64)
	require.NoError(t, err)
	return kb / 1024
}

// TestBackendDown takes the backend away for two minutes while 500 runs a second come in: the receiver waits with what
// it has in hand, reads nothing further, and misses nothing.
func TestBackendDown(t *testing.T) {
	sim := startSimulator(t, "--history", "2000", "--span", "10m", "--rate", "50", "--late", "0", "--stuck", "0")
	sink := newOTLPSink(t)
	var down atomic.Bool
	sink.refuse = down.Load
	config := strings.Replace(intoSink(t, sink), "sending_queue: {enabled: false}", "sending_queue: {enabled: false}, retry_on_failure: {enabled: false}", 1)
	c := startCollector(t, t.TempDir(), config, "{endpoint}", sim.url, "{api_version}", "auto")
	received := func() int {
		spans, _ := sink.received()
		return len(spans)
	}
	eventually(t, time.Minute, "spans arrive", func() bool { return received() > 2500 })

	down.Store(true)
	time.Sleep(5 * time.Second)
	before, memory, most := received(), c.residentMiB(t), 0.0
	for range 115 {
		time.Sleep(time.Second)
		most = max(most, c.residentMiB(t))
	}
	assert.Equal(t, before, received())
	assert.Less(t, most, memory+150, "memory is bounded while the backend is down")
	const ours = `"otelcol.component.id": "langsmith"`
	lines := append(logLines(c.output(), "warn", ours), logLines(c.output(), "error", ours)...)
	assert.NotEmpty(t, lines)
	assert.LessOrEqual(t, len(lines), 2, "an outage is no flood of lines:\n%s", strings.Join(lines, ""))

	down.Store(false)
	sim.quiesce(t)
	want := sim.runs(t)
	require.Greater(t, len(want), 30000)
	await(t, 3*time.Minute, "every run of the outage arrives", sink.seen.reached(len(want)))
	c.polls(t, 3)
	list := c.flushed(t, sim, sim.totals(t), want)
	c.stop(t)
	spans, _ := sink.received()
	compareSpans(t, want, spans)
	compareTotals(t, sim, sim.totals(t), want, list)
	t.Logf("%d runs; %.0f MiB before the outage, at most %.0f MiB during it", len(want), memory, most)
}
