package poller

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/metadata"
)

// TestReconcile lets runs arrive later than any look back reaches, with a server that counts and with one that does
// not.
func TestReconcile(t *testing.T) {
	for name, tt := range map[string]struct {
		noStats error
		counts  int
	}{
		"counted":       {nil, 5},
		"not counted":   {&langsmith.Error{Op: "count runs", StatusCode: http.StatusNotFound}, 1},
		"not answering": {&langsmith.Error{Op: "count runs", StatusCode: http.StatusServiceUnavailable}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cursor.Reconcile = true
				w.server.noStats = tt.noStats
				hour := time.Now().Truncate(time.Hour).Add(time.Hour)
				for n := range 400 {
					start := hour.Add(time.Duration(n) * 30 * time.Second)
					h := row{project: projectID(1), id: runID(n + 1), start: start, arrives: start, ends: start}
					if n%120 == 7 {
						h.arrives, h.ends, h.priced = start.Add(40*time.Minute), start.Add(40*time.Minute), start.Add(40*time.Minute)
					}
					w.server.rows = append(w.server.rows, h)
				}
				telemetry := componenttest.NewTelemetry()
				builder, err := metadata.NewTelemetryBuilder(telemetry.NewTelemetrySettings())
				require.NoError(t, err)
				s := w.settings()
				s.Meters = NewMeters(builder, "langsmith")
				p, err := New(t.Context(), s)
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				go func() { time.Sleep(6 * time.Hour); cancel() }()
				p.Run(ctx)
				value := func(name, key, value string) (sum int64) {
					m, err := telemetry.GetMetric("otelcol_receiver_langsmith_" + name)
					if err != nil {
						return 0
					}
					for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
						if have, ok := point.Attributes.Value(attribute.Key(key)); key == "" || ok && have.AsString() == value {
							sum += point.Value
						}
					}
					return sum
				}
				if tt.counts == 0 {
					assert.Greater(t, value("reconcile_hours", "outcome", "failed"), int64(10))
					assert.Equal(t, 396, w.delivered())
					return
				}
				w.check(name)
				assert.Zero(t, w.repeats())
				assert.EqualValues(t, 4, value("runs_recovered", "", ""))
				assert.EqualValues(t, 4, value("reconcile_difference", "reason", "missing"))
				assert.EqualValues(t, 4, value("reconcile_hours", "outcome", "different"))
				assert.InDelta(t, tt.counts, w.server.counts, 1)
				assert.NoError(t, telemetry.Shutdown(context.WithoutCancel(t.Context())))
			})
		})
	}
}

// TestReconcileIsBounded checks the estimate of what reading the ids of a window costs.
func TestReconcileIsBounded(t *testing.T) {
	w := newWorld(t)
	s := w.settings()
	budget := langsmith.NewBudget("https://api.smith.langchain.com")
	s.Budget = func() *langsmith.Budget { return budget }
	p, err := New(t.Context(), s)
	require.NoError(t, err)
	state, err := p.loadProject(t.Context(), projectID(1))
	require.NoError(t, err)
	require.Nil(t, state)
	l := &lane{worker: &worker{Poller: p}}
	window := cursor.Window{To: langsmith.Time(time.Hour)}
	assert.True(t, l.affordable(window, 4_000_000))
	assert.False(t, l.affordable(window, 5_000_000))
	p.deprecated.Store(1)
	assert.True(t, l.affordable(window, 14_000))
	assert.False(t, l.affordable(window, 15_000))
}
