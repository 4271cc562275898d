package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestShardsDivideTheProjects runs two collectors on one LangSmith: each project is read by one of them, and every run
// goes out once.
func TestShardsDivideTheProjects(t *testing.T) {
	sim := startSimulator(t, "--history", "3000", "--span", "30m", "--rate", "0", "--stuck", "0")
	sinks := []*otlpSink{newOTLPSink(t), newOTLPSink(t)}
	collectors := make([]*collector, len(sinks))
	for i, sink := range sinks {
		collectors[i] = runExample(t, "shards", sim, []string{"OTLP_ENDPOINT=" + sink.http, "SHARD_TOTAL=2", "SHARD_INDEX=" + string(rune('0'+i))})
	}
	want := sim.runs(t)
	both := func() int {
		a, _ := sinks[0].received()
		b, _ := sinks[1].received()
		return len(a) + len(b)
	}
	eventually(t, time.Minute, "every run is read", func() bool { return both() >= len(want) })
	for _, c := range collectors {
		c.polls(t, 3)
	}

	owner, times := map[any]int{}, map[string]int{}
	for i, sink := range sinks {
		spans, _ := sink.received()
		assert.NotEmpty(t, spans, "shard %d", i)
		for _, s := range spans {
			project := s.resource["service.name"]
			if first, known := owner[project]; known {
				assert.Equal(t, first, i, "%v is read by both", project)
			}
			owner[project] = i
			times[s.str("langsmith.run.id")]++
		}
	}
	for id, run := range want {
		require.Equal(t, 1, times[id], "%+v", run)
	}
	assert.Len(t, times, len(want), "and no other run")
}
