package e2e

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestKilledAndStopped ends the collector again and again while it reads, by SIGKILL and by SIGTERM in turn, on the
// same storage, and finds every run; a run comes twice only when a kill fell between delivery and checkpoint.
func TestKilledAndStopped(t *testing.T) {
	sim := startSimulator(t, "--history", "30000", "--span", "2h", "--rate", "5", "--late-by", "10s")
	// The API answers slowly, so that a life of the collector ends in the middle of the history.
	post(t, sim.url+"/admin/faults", []map[string]any{{"match": "runs/query", "kind": "slow", "delay": "300ms"}})
	sink := newOTLPSink(t)
	// No queue: what the receiver was told is accepted is in the sink.
	config := strings.Replace(pullConfig, `  file: {path: "{dir}/spans.jsonl", flush_interval: 1s}`,
		"  otlp_http: {endpoint: "+sink.http+", sending_queue: {enabled: false}}", 1)
	config = strings.Replace(config, "exporters: [file, llm_metrics]", "exporters: [otlp_http, llm_metrics]", 1)
	require.NotContains(t, config, "file:")

	dir := t.TempDir()
	run := func() *collector {
		return startCollector(t, dir, config, "{endpoint}", sim.url, "{api_version}", "auto")
	}
	kills := 0
	for i := range 6 {
		c := run()
		time.Sleep(time.Duration(1500+rand.IntN(2000)) * time.Millisecond)
		if i%2 == 0 {
			c.kill()
			kills++
		} else {
			c.stop(t)
		}
	}
	before, _ := sink.received()
	post(t, sim.url+"/admin/faults", []map[string]any{})
	c := run()
	sim.quiesce(t)
	want := sim.runs(t)
	require.Less(t, len(before), len(want), "the history was not read to its end before the last start")
	times := func() map[string]int {
		spans, _ := sink.received()
		out := map[string]int{}
		for _, s := range spans {
			out[s.str("langsmith.run.id")]++
		}
		return out
	}
	eventually(t, 3*time.Minute, "every run went out in one life or another", func() bool { return len(times()) >= len(want) })
	time.Sleep(3 * time.Second)
	c.stop(t)

	repeated := 0
	got := times()
	for id, n := range got {
		_, finished := want[id]
		require.True(t, finished, id)
		repeated += n - 1
	}
	for id, r := range want {
		require.Positive(t, got[id], "%+v", r)
	}
	// At most the batch in flight of each project that is read at the same time, for each kill.
	const batch, projects = 1000, 4
	assert.LessOrEqual(t, repeated, kills*batch*projects)
	t.Logf("%d runs, %d of them before the last start, %d kills, %d runs repeated", len(want), len(before), kills, repeated)
}
