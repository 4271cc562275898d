package poller

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// readFor reads for a while with changed settings, and returns the warnings.
func (w *world) readFor(d time.Duration, change func(*Settings)) *observer.ObservedLogs {
	core, logs := observer.New(zap.WarnLevel)
	settings := w.settings()
	settings.Logger = zap.New(core)
	if change != nil {
		change(&settings)
	}
	p, err := New(w.t.Context(), settings)
	require.NoError(w.t, err)
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	p.Run(ctx)
	return logs
}

func TestAStartTimeThatComesTooLateIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old := time.Now().Add(-5 * time.Hour)
		w.server.rows = []row{{project: projectID(1), id: runID(1), start: old, arrives: old, ends: old}}
		since := func(ago time.Duration) func(*Settings) {
			at := langsmith.TimeOf(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-ago))
			return func(s *Settings) { s.StartTime = at }
		}
		assert.Zero(t, w.readFor(90*time.Second, nil).Len())
		for range 2 { // as long as it has no effect
			logs := w.readFor(90*time.Second, since(6*time.Hour))
			require.Equal(t, 1, logs.Len())
			entry := logs.All()[0]
			assert.Contains(t, entry.Message, "start_time")
			assert.Contains(t, entry.Message, "move or delete the storage")
			assert.Equal(t, "disk", entry.ContextMap()["storage"])
			assert.Equal(t, "1999-12-31T18:00:00Z", entry.ContextMap()["start_time"].(time.Time).UTC().Format(time.RFC3339))
		}
		assert.Zero(t, w.readFor(90*time.Second, nil).Len(), "it was removed")
		assert.Zero(t, w.delivered())

		clear(w.disk.values)
		assert.Zero(t, w.readFor(90*time.Second, since(6*time.Hour)).Len())
		assert.Zero(t, w.readFor(90*time.Second, since(6*time.Hour)).Len(), "nothing changed")
		w.check("start_time")
		assert.Equal(t, 1, w.readFor(90*time.Second, since(7*time.Hour)).Len())
	})
}

// TestTheCheckpointOfAnotherPlaceIsNotUsed checks that neither its projects nor the time of its last list decide where
// reading begins.
func TestTheCheckpointOfAnotherPlaceIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.readFor(90*time.Second, nil)
		time.Sleep(10 * time.Hour)
		run := func(n, project int, ago time.Duration) {
			start := time.Now().Add(-ago)
			w.server.rows = append(w.server.rows, row{project: projectID(project), id: runID(n), start: start, arrives: start, ends: start})
		}
		w.server.projects = append(w.server.projects, langsmith.Project{ID: projectID(2), Name: "two"})
		run(1, 2, 30*time.Minute)
		run(2, 1, 30*time.Minute) // of the same id as a project over there
		run(3, 2, 5*time.Hour)
		run(4, 1, 5*time.Hour)
		logs := w.readFor(570*time.Second, func(s *Settings) { s.Origin, s.Fingerprint = "there", "other" })
		require.Equal(t, 1, logs.Len(), "%v", logs.All())
		assert.Contains(t, logs.All()[0].Message, "endpoint or workspace_id changed")
		assert.Equal(t, map[string]int{runID(1).String(): 1, runID(2).String(): 1}, w.sink.delivered)

		// From now on this place has a checkpoint of its own; a filter does not take it away.
		time.Sleep(5 * time.Hour)
		run(5, 2, 4*time.Hour)
		logs = w.readFor(570*time.Second, func(s *Settings) { s.Origin = "there" })
		require.Equal(t, 1, logs.Len(), "%v", logs.All())
		assert.Contains(t, logs.All()[0].Message, "a filter changed")
		assert.Equal(t, map[string]int{runID(1).String(): 1, runID(2).String(): 1, runID(5).String(): 1}, w.sink.delivered)
	})
}
