package poller

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/metadata"
)

// clocked notes when runs reach the pipeline.
type clocked struct {
	*sink
	at map[string]time.Time
}

func (c *clocked) ConsumeTraces(ctx context.Context, traces ptrace.Traces) error {
	if err := c.sink.ConsumeTraces(ctx, traces); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range traces.ResourceSpans().All() {
		for _, span := range rs.ScopeSpans().At(0).Spans().All() {
			id, _ := span.Attributes().Get("langsmith.run.id")
			c.at[id.Str()] = time.Now()
		}
	}
	return nil
}

// TestFreshness holds the poller to its promise: of the runs that are complete when they end, 95 of 100 reach the
// pipeline within the collection interval and five seconds, beside a backlog, pending and unpriced runs, and with
// answers that take their time. The receiver's own metric tells the same.
func TestFreshness(t *testing.T) {
	for _, interval := range []time.Duration{5 * time.Second, 30 * time.Second} {
		t.Run(interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const projects, perProject = 4, 1500
				w := newWorld(t)
				w.cursor.Interval = interval
				w.server.latency, w.server.pageSize = 500*time.Millisecond, 100
				w.sink.latency = 100 * time.Millisecond
				w.server.projects = nil
				r := rand.New(rand.NewPCG(1, 1))
				begin := time.Now()
				complete := map[string]time.Time{} // when they ended
				for p := range projects {
					project := langsmith.Project{ID: projectID(p + 1), Name: fmt.Sprint("project ", p)}
					w.server.projects = append(w.server.projects, project)
					add := func(start, end, priced time.Time) string {
						h := row{project: project.ID, id: runID(len(w.server.rows) + 1), start: start, arrives: start, ends: end, priced: priced}
						w.server.rows = append(w.server.rows, h)
						return h.id.String()
					}
					for range 500 { // what was there before
						at := begin.Add(-2*time.Minute - time.Duration(r.Int64N(int64(50*time.Minute))))
						add(at, at, at)
					}
					for range perProject {
						start := begin.Add(time.Duration(r.Int64N(int64(time.Hour))))
						end := start.Add(time.Duration(r.ExpFloat64() * float64(20*time.Second)))
						complete[add(start, end, end)] = end
					}
					for range 100 {
						start := begin.Add(time.Duration(r.Int64N(int64(time.Hour))))
						end := start.Add(time.Duration(r.Int64N(int64(time.Minute))))
						add(start, end, end.Add(time.Duration(r.Int64N(int64(time.Minute)))))
					}
				}
				telemetry := componenttest.NewTelemetry()
				builder, err := metadata.NewTelemetryBuilder(telemetry.NewTelemetrySettings())
				require.NoError(t, err)
				settings := w.settings()
				settings.Meters = NewMeters(builder, "langsmith")
				pipeline := &clocked{w.sink, map[string]time.Time{}}
				settings.Consumer = pipeline
				p, err := New(t.Context(), settings)
				require.NoError(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
				defer cancel()
				p.Run(ctx)
				w.check("freshness")

				var delays []time.Duration
				for id, end := range complete {
					delays = append(delays, pipeline.at[id].Sub(end))
				}
				require.Len(t, delays, projects*perProject)
				slices.Sort(delays)
				p95 := delays[len(delays)*95/100]
				t.Logf("p50 %v, p95 %v, p99 %v, most %v", delays[len(delays)/2], p95, delays[len(delays)*99/100], delays[len(delays)-1])
				assert.LessOrEqual(t, p95, interval+5*time.Second)
				assert.Greater(t, p95, interval/2, "what is measured is not what was meant")

				metric, err := telemetry.GetMetric("otelcol_receiver_langsmith_run_delay")
				require.NoError(t, err)
				points := metric.Data.(metricdata.Histogram[float64]).DataPoints
				require.Len(t, points, 1)
				assert.EqualValues(t, projects*(perProject+100), points[0].Count, "a backlog has no delay")
				assert.InDelta(t, delays[len(delays)/2].Seconds(), points[0].Sum/float64(points[0].Count), interval.Seconds())
				var below uint64
				for i, bound := range points[0].Bounds {
					if bound <= (interval + 5*time.Second).Seconds() {
						below += points[0].BucketCounts[i]
					}
				}
				assert.GreaterOrEqual(t, below, uint64(projects*perProject*95/100))
				assert.NoError(t, telemetry.Shutdown(context.WithoutCancel(t.Context())))
			})
		})
	}
}
