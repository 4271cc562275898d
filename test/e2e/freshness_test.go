package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFreshness holds how long after its end a run is in the backend: at the 95th percentile no longer than one
// collection interval and five seconds. Runs count that are complete when they end: calls of models may get tokens and
// cost later, and the steps of a trace over OTLP wait for their root.
func TestFreshness(t *testing.T) {
	const interval, grace = 5 * time.Second, 5 * time.Second
	sim := startSimulator(t, "--history", "2000", "--span", "10m", "--rate", "20", "--late", "0", "--stuck", "0")
	sink := newOTLPSink(t)
	sink.lean = true
	config := strings.Replace(intoSink(t, sink), "collection_interval: 1s", "collection_interval: "+interval.String(), 1)
	c := startCollector(t, t.TempDir(), config, "{endpoint}", sim.url, "{api_version}", "auto")

	await(t, time.Minute, "the history is read", sink.seen.reached(2000))
	begin, before := time.Now(), sim.finished(t)
	eventually(t, 5*time.Minute, "traffic of several intervals", func() bool {
		return time.Since(begin) > 5*interval && sim.finished(t) > before+3000
	})
	sim.quiesce(t)
	want := sim.runs(t)
	await(t, time.Minute, "every run is read", sink.seen.reached(len(want)))
	c.stop(t)

	var ages []time.Duration
	for id, a := range sink.seen.snapshot() {
		r := want[id]
		end, err := time.Parse(time.RFC3339Nano, r.End)
		require.NoError(t, err)
		if r.Type == "llm" || r.Type == "embedding" || end.Before(begin) || want[r.TraceID].SpanID != "" {
			continue
		}
		ages = append(ages, a.at.Sub(end))
	}
	require.Greater(t, len(ages), 1000)
	slices.Sort(ages)
	p95 := ages[len(ages)*95/100]
	assert.LessOrEqual(t, p95, interval+grace)
	t.Logf("%d runs: median %s, 95th percentile %s, longest %s", len(ages), ages[len(ages)/2], p95, ages[len(ages)-1])
}
