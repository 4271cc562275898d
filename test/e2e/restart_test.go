package e2e

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// batchSpans bounds what the receiver hands on at once, and so what an end may repeat of each project.
const batchSpans = 1000

// intoSink is the configuration of pullConfig with an OTLP backend in place of the file, and no queue in between: what
// the receiver was told is accepted is in the sink.
func intoSink(t *testing.T, sink *otlpSink) string {
	t.Helper()
	config := strings.Replace(pullConfig, `  file: {path: "{dir}/spans.jsonl", flush_interval: 1s}`,
		"  otlp_http: {endpoint: "+sink.http+", sending_queue: {enabled: false}}", 1)
	config = strings.Replace(config, "exporters: [file, llm_metrics]", "exporters: [otlp_http, llm_metrics]", 1)
	require.NotContains(t, config, "file:")
	return config
}

// TestKilledAndStopped ends the collector again and again while it reads, by SIGKILL and by SIGTERM in turn, on the
// same storage, and finds every run; a run comes twice only when an end fell between delivery and checkpoint.
func TestKilledAndStopped(t *testing.T) {
	sim := startSimulator(t, "--history", "30000", "--span", "2h", "--rate", "5", "--late-by", "10s")
	// The API answers slowly, so that an end falls into requests as often as into deliveries.
	post(t, sim.url+"/admin/faults", []map[string]any{{"match": "runs/query", "kind": "slow", "delay": "300ms"}})
	history, projects := len(sim.runs(t)), 0
	for _, p := range sim.totals(t).Projects {
		if !p.Experiment {
			projects++
		}
	}
	sink := newOTLPSink(t)
	seed := rand.Uint64()
	chance := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)

	dir := t.TempDir()
	run := func() *collector {
		return startCollector(t, dir, intoSink(t, sink), "{endpoint}", sim.url, "{api_version}", "auto")
	}
	// However fast the collector is and however slow the test, it cannot come to the end of the history before its last life.
	sink.seen.take(history * 9 / 10)
	kills, afterKill, afterStop, killed := 0, 0, 0, false
	attribute := func(repeatedBefore int) { // what came again in a life is due to the end of the one before
		if n := sink.seen.repeated() - repeatedBefore; killed {
			afterKill += n
		} else {
			afterStop += n
		}
	}
	for i := range 6 {
		repeated := sink.seen.repeated()
		c := run()
		share := 0.05 + 0.05*chance.Float64()
		await(t, 2*time.Minute, "the sink has another part of the history",
			sink.seen.reached(min(sink.seen.distinct()+int(share*float64(history)), history*8/10)))
		time.Sleep(time.Duration(chance.IntN(200)) * time.Millisecond)
		if i%2 == 0 {
			c.kill()
			kills++
		} else {
			c.stop(t)
		}
		attribute(repeated)
		killed = i%2 == 0
	}
	before := sink.seen.distinct()
	require.Less(t, before, history, "the history was read to its end before the last start")
	sink.seen.take(0)
	post(t, sim.url+"/admin/faults", []map[string]any{})
	repeated := sink.seen.repeated()
	c := run()
	sim.quiesce(t)
	want := sim.runs(t)
	await(t, 3*time.Minute, "every run went out in one life or another", sink.seen.reached(len(want)))
	c.polls(t, 3)
	c.stop(t)

	got := sink.seen.snapshot()
	for id := range got {
		_, finished := want[id]
		require.True(t, finished, id)
	}
	for id, r := range want {
		require.Positive(t, len(got[id].lives), "%+v", r)
		require.False(t, got[id].other, "came again with other ids: %+v", r)
	}
	attribute(repeated)
	assert.LessOrEqual(t, afterKill, kills*batchSpans*projects)
	t.Logf("%d runs, %d of them before the last start; %d repeated after %d kills, %d after as many stops", len(want), before, afterKill, kills, afterStop)
}
