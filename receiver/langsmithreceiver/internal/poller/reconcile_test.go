package poller

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
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

// rareCounts is a server whose answers take longer than there are hours to compare, as where many projects share a limit.
type rareCounts struct{ *server }

func (rareCounts) CountRuns(ctx context.Context, _ langsmith.CountQuery) (int64, error) {
	if !sleep(ctx, 100*time.Minute) {
		return 0, ctx.Err()
	}
	return 0, nil
}

// TestComparingFallsBehind checks that hours which cannot be compared in time are given up, with what is remembered of
// their runs.
func TestComparingFallsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.cursor.Reconcile = true
		begin := time.Now()
		for n := range 2 * 24 * 60 {
			start := begin.Add(time.Duration(n) * time.Minute)
			w.server.rows = append(w.server.rows, row{project: projectID(1), id: runID(n + 1), start: start, arrives: start, ends: start})
		}
		s := w.settings()
		s.Source = rareCounts{w.server}
		p, err := New(t.Context(), s)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 2*24*time.Hour)
		defer cancel()
		p.Run(ctx)
		assert.Less(t, p.workers[projectID(1)].cursor.Remembered(), 8*60)
		assert.Greater(t, w.delivered(), 2*23*60)
	})
}

// TestReconcileIsBounded checks what reading the ids of windows may cost.
func TestReconcileIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.settings()
		budget := langsmith.NewBudget("https://api.smith.langchain.com")
		s.Budget = func() *langsmith.Budget { return budget }
		p, err := New(t.Context(), s)
		require.NoError(t, err)
		l := &lane{worker: &worker{Poller: p}}
		for _, tt := range []struct {
			v1        int64
			runs      int64
			now, ever bool
		}{
			{0, 5_000_000, false, false},
			{0, 4_000_000, true, true},
			{0, 4_000_000, false, true}, // not before another hour
			{1, 15_000, false, false},
			{1, 14_000, true, true},
		} {
			p.deprecated.Store(tt.v1)
			now, ever := l.affordable(tt.runs)
			assert.Equal(t, tt, struct {
				v1        int64
				runs      int64
				now, ever bool
			}{tt.v1, tt.runs, now, ever})
		}
		p.deprecated.Store(0)
		time.Sleep(time.Hour)
		now, _ := l.affordable(4_000_000)
		assert.True(t, now)
		budget.Throttled(langsmith.ClassRunsV2, time.Minute)
		time.Sleep(30 * time.Second)
		_, ever := l.affordable(4_000_000)
		assert.True(t, ever, "a pause passes")
	})
}

// TestSumsNeedRoom checks that a second request for each comparison is made where there is room for it.
func TestSumsNeedRoom(t *testing.T) {
	for _, tt := range []struct {
		endpoint string
		projects int
		want     bool
	}{
		{"https://api.smith.langchain.com", 81, true},
		{"https://api.smith.langchain.com", 82, false},
		{"https://eu.api.smith.langchain.com", 1000, true},
		{"http://localhost", 1000, true},
	} {
		p, err := New(t.Context(), newWorld(t).settings())
		require.NoError(t, err)
		budget := langsmith.NewBudget(tt.endpoint)
		p.Budget = func() *langsmith.Budget { return budget }
		for n := range tt.projects {
			p.workers[runID(n)] = nil
		}
		l := &lane{worker: &worker{Poller: p}}
		assert.Equal(t, tt.want, l.sums(), "%+v", tt)
	}
}

// compared is a world whose receiver is measured.
type compared struct {
	*world
	telemetry *componenttest.Telemetry
}

func newCompared(t *testing.T) *compared {
	c := &compared{world: newWorld(t), telemetry: componenttest.NewTelemetry()}
	c.cursor.Reconcile = true
	return c
}

// run reads for a while.
func (c *compared) run(d time.Duration, change func(*Settings)) {
	builder, err := metadata.NewTelemetryBuilder(c.telemetry.NewTelemetrySettings())
	require.NoError(c.t, err)
	s := c.world.settings()
	s.Meters = NewMeters(builder, "langsmith")
	if change != nil {
		change(&s)
	}
	p, err := New(c.t.Context(), s)
	require.NoError(c.t, err)
	ctx, cancel := context.WithTimeout(c.t.Context(), d)
	defer cancel()
	p.Run(ctx)
}

// value is what a counter came to, of one reason or outcome unless that is empty.
func (c *compared) value(name, of string) (sum float64) {
	m, err := c.telemetry.GetMetric("otelcol_receiver_langsmith_" + name)
	if err != nil {
		return 0
	}
	count := func(attributes attribute.Set, v float64) {
		for _, key := range []attribute.Key{"reason", "outcome"} {
			if have, ok := attributes.Value(key); ok && of != "" && have.AsString() != of {
				return
			}
		}
		sum += v
	}
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, point := range data.DataPoints {
			count(point.Attributes, float64(point.Value))
		}
	case metricdata.Sum[float64]:
		for _, point := range data.DataPoints {
			count(point.Attributes, point.Value)
		}
	}
	return sum
}

// hours fills hours with runs, each changed as somebody wishes.
func (c *compared) hours(hours, perHour int, change func(n int, r *row)) {
	begin := time.Now().Truncate(time.Hour).Add(time.Hour)
	for n := range hours * perHour {
		start := begin.Add(time.Duration(n) * time.Hour / time.Duration(perHour))
		r := row{project: projectID(1), id: runID(n + 1), start: start, arrives: start, ends: start.Add(time.Second), priced: start.Add(time.Second)}
		if change != nil {
			change(n, &r)
		}
		c.server.rows = append(c.server.rows, r)
	}
}

// TestReconcileUsage lets LangSmith change tokens and cost of runs after all look backs are over.
func TestReconcileUsage(t *testing.T) {
	for _, emit := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newCompared(t)
			c.cursor.EmitUpdates = emit
			var changed []string
			c.hours(3, 60, func(n int, r *row) {
				if n%2 == 0 {
					r.kind = langsmith.RunTypeChain // has tokens and cost too, which are those of its children
				}
				if n%20 == 5 { // later than a look back reaches, and before the hour is compared
					r.repriced = r.start.Add(25 * time.Minute)
				}
			})
			last := c.server.rows[len(c.server.rows)-1].start
			for i := range c.server.rows {
				r := &c.server.rows[i]
				if !r.repriced.IsZero() {
					changed = append(changed, r.id.String())
				}
			}
			c.run(time.Until(last)+3*time.Hour, nil)
			require.Len(t, changed, 9)
			want := 1
			if emit {
				want = 2
			}
			for _, id := range changed {
				assert.Equal(t, want, c.sink.delivered[id])
			}
			assert.EqualValues(t, 180+9*(want-1), c.total())
			assert.EqualValues(t, 9, c.value("runs_updated", ""))
			assert.EqualValues(t, 3, c.value("reconcile_hours", "different"))
			assert.EqualValues(t, 9*2, c.value("reconcile_token_difference", "missing"))
			assert.InDelta(t, 9*0.25, c.value("reconcile_cost_difference", "missing"), 1e-6)
			for _, reason := range []string{"surplus", "unexplained"} {
				assert.Zero(t, c.value("reconcile_token_difference", reason))
				assert.Zero(t, c.value("reconcile_cost_difference", reason))
			}
			assert.Zero(t, c.value("reconcile_difference", ""))
			assert.NoError(t, c.telemetry.Shutdown(context.WithoutCancel(t.Context())))
		})
	}
}

// TestHoursWithAShortOutageAreCompared checks that the gap which an outage leaves is not left out.
func TestHoursWithAShortOutageAreCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCompared(t)
		c.hours(3, 60, func(n int, r *row) {
			if n == 65 || n == 75 { // before and in the outage
				r.arrives = r.start.Add(30 * time.Minute)
			}
		})
		begin := c.server.rows[70].start
		c.server.fault = func(langsmith.RunQuery) (int, error) {
			if since := time.Since(begin); since > 0 && since < 20*time.Minute {
				return -1, status(http.StatusServiceUnavailable)
			}
			return 0, nil
		}
		c.run(6*time.Hour, nil)
		c.check("outage")
		assert.Zero(t, c.repeats())
		assert.EqualValues(t, 1, c.value("reconcile_hours", "different"))
		assert.EqualValues(t, 5, c.value("reconcile_hours", "equal"))
		assert.NoError(t, c.telemetry.Shutdown(context.WithoutCancel(t.Context())))
	})
}

// TestHoursBeforeALongOutageAreCompared checks that only the backlog that an outage leaves is left out: a run of before that
// came late is found.
func TestHoursBeforeALongOutageAreCompared(t *testing.T) {
	for _, length := range []time.Duration{65 * time.Minute, 5 * time.Hour} {
		for _, again := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c := newCompared(t)
				c.hours(12, 60, func(n int, r *row) {
					if n == 65 { // later than a look back finds, and before the outage
						r.arrives = r.start.Add(30 * time.Minute)
					}
				})
				c.run(time.Until(c.server.rows[110].start), nil)
				time.Sleep(length)
				if again {
					c.run(3*time.Minute, nil)
					time.Sleep(length)
				}
				c.run(12*time.Hour, nil)
				c.check("outage")
				assert.Zero(t, c.repeats())
				assert.EqualValues(t, 1, c.value("runs_recovered", ""))
				assert.EqualValues(t, 1, c.value("reconcile_hours", "different"))
				assert.NoError(t, c.telemetry.Shutdown(context.WithoutCancel(t.Context())))
			})
		}
	}
}

// TestSumsThatNeverAgree checks that a server which sums otherwise is told by a metric, and does not have every hour
// read again and again.
func TestSumsThatNeverAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCompared(t)
		c.hours(50, 30, nil)
		c.server.distort = func(sum *langsmith.UsageSum) { sum.Tokens.Value += 11; sum.Cost.Value -= 0.5 }
		var reads atomic.Int64
		c.server.fault = func(q langsmith.RunQuery) (int, error) {
			if q.Background && q.Fields&langsmith.FieldUsage != 0 && q.Fields&langsmith.FieldMetadata == 0 && q.MaxStart%langsmith.Time(time.Hour) == 0 { // of an hour
				reads.Add(1)
			}
			return 0, nil
		}
		c.run(54*time.Hour, nil)
		c.check("sums")
		assert.Zero(t, c.repeats())
		assert.EqualValues(t, 3*reconcileTries, reads.Load(), "once a day")
		assert.LessOrEqual(t, c.server.sums, 3*reconcileTries+5)
		assert.EqualValues(t, 3*11, c.value("reconcile_token_difference", "unexplained"))
		assert.InDelta(t, 3*0.5, c.value("reconcile_cost_difference", "unexplained"), 1e-6)
		assert.Zero(t, c.value("reconcile_token_difference", "missing"))
		assert.Zero(t, c.value("runs_updated", ""))
		assert.EqualValues(t, 3, c.value("reconcile_hours", "different"))
		assert.Greater(t, c.value("reconcile_hours", "equal"), 45.0, "runs are still counted")
		assert.NoError(t, c.telemetry.Shutdown(context.WithoutCancel(t.Context())))
	})
}

// TestAnHourIsToldBeforeItIsForgotten has sums that do not agree come so late that the hour is not read once more.
func TestAnHourIsToldBeforeItIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCompared(t)
		c.hours(1, 30, nil)
		end := c.server.rows[0].start.Add(time.Hour)
		c.server.statsFault = func(langsmith.CountQuery) error {
			if time.Since(end) <= 3*time.Hour+c.cursor.Lookback {
				return status(http.StatusServiceUnavailable)
			}
			return nil
		}
		c.server.distort = func(sum *langsmith.UsageSum) {
			if sum.Tokens.Value > 0 {
				sum.Tokens.Value += 11
			}
		}
		c.run(6*time.Hour, nil)
		c.check("late sums")
		assert.EqualValues(t, 1, c.value("reconcile_hours", "different"))
		assert.EqualValues(t, 11, c.value("reconcile_token_difference", "unexplained"))
		assert.NoError(t, c.telemetry.Shutdown(context.WithoutCancel(t.Context())))
	})
}

// TestCallsThatWrapCalls checks that a server which counts the two as one is not taken for wrong.
func TestCallsThatWrapCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCompared(t)
		c.hours(5, 60, func(n int, r *row) {
			if n%3 == 1 {
				r.parent = runID(n) // the one before
			}
		})
		c.server.distort = func(sum *langsmith.UsageSum) {
			if sum.Tokens.Value > 0 {
				sum.Tokens.Value -= 20 * 5
				sum.Cost.Value -= 20
			}
		}
		c.run(8*time.Hour, nil)
		assert.Zero(t, c.value("reconcile_hours", "different"))
		assert.Greater(t, c.value("reconcile_hours", "equal"), 4.0)
		assert.Zero(t, c.value("reconcile_token_difference", ""))
		assert.Zero(t, c.value("reconcile_cost_difference", ""))
		assert.Less(t, c.server.sums, 4, "sums are left alone then")
		assert.NoError(t, c.telemetry.Shutdown(context.WithoutCancel(t.Context())))
	})
}

// TestReconcileTakesLittleOfTheBudget compares many busy projects on the older API, which has the smallest budget, with
// a server that counts wrong all the time.
func TestReconcileTakesLittleOfTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const projects, hours = 80, 8
		c := newCompared(t)
		c.server.api, c.server.pageSize = langsmith.VersionV1, 100
		for n := range projects - 1 {
			c.server.projects = append(c.server.projects, langsmith.Project{ID: projectID(n + 2), Name: fmt.Sprint("project ", n+2)})
		}
		c.cursor.Interval = 5 * time.Minute // so that the test does not take long
		c.hours(hours, 120*projects, func(n int, r *row) {
			r.project = projectID(n%projects + 1)
			if n/projects%20 == 0 { // some are missing in every hour
				r.arrives = r.start.Add(40 * time.Minute)
			}
		})
		c.server.distort = func(sum *langsmith.UsageSum) {
			if sum.Tokens.Value > 0 {
				sum.Tokens.Value++
			}
		}
		var requests atomic.Int64
		c.server.fault = func(q langsmith.RunQuery) (int, error) {
			if q.Background && q.Fields&langsmith.FieldMetadata == 0 && q.MaxStart-q.MinStart > langsmith.Time(40*time.Minute) {
				requests.Add(1)
			}
			return 0, nil
		}
		budget := langsmith.NewBudget("https://api.smith.langchain.com")
		c.run(hours*time.Hour, func(s *Settings) {
			s.Budget = func() *langsmith.Budget { return budget }
			s.Storage = nil // which would be most of the test's time
		})
		most := 0.05 * budget.Rate(langsmith.ClassRunsV1) * (hours * time.Hour).Seconds()
		t.Logf("%d of %.0f requests", requests.Load(), most)
		assert.Greater(t, float64(requests.Load()), most/2, "what is measured is not what was meant")
		assert.LessOrEqual(t, float64(requests.Load()), most)
		assert.NoError(t, c.telemetry.Shutdown(context.WithoutCancel(t.Context())))
	})
}
