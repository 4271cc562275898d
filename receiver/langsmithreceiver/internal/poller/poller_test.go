package poller

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/goleak"
	"go.uber.org/multierr"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestAPipelineThatRefusesStopsTheReading checks that the same batch comes again and nothing more is read.
func TestAPipelineThatRefusesStopsTheReading(t *testing.T) {
	for _, mutates := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.sink.mutates = mutates
			w.traffic(rand.New(rand.NewPCG(1, 1)), 300, time.Now().Add(-time.Hour), time.Hour)
			// The live window and the one behind it were on their way together.
			var mu sync.Mutex
			attempts := map[int]int{}
			w.sink.before = func(n int) error {
				mu.Lock()
				defer mu.Unlock()
				attempts[n]++
				return errors.New("queue is full")
			}
			w.start()
			time.Sleep(time.Minute)
			queries := w.queries()
			assert.LessOrEqual(t, queries, 2)
			time.Sleep(10 * time.Minute)
			assert.Equal(t, queries, w.queries())
			mu.Lock()
			assert.Len(t, attempts, 1, "another batch")
			for _, n := range attempts {
				assert.Greater(t, n, 10)
				assert.Less(t, n, 60)
			}
			mu.Unlock()
			assert.Equal(t, componentstatus.StatusRecoverableError, w.lastStatus())
			w.sink.set(nil, nil)
			time.Sleep(4 * time.Hour)
			assert.Equal(t, componentstatus.StatusOK, w.lastStatus())
			w.stop()
			w.check("refusal")
			assert.Zero(t, w.repeats())
		})
	}
}

func TestPermanentErrorsDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.traffic(rand.New(rand.NewPCG(1, 1)), 100, time.Now().Add(-time.Hour), time.Hour)
		var attempts atomic.Int64
		w.sink.before = func(int) error { attempts.Add(1); return consumererror.NewPermanent(errors.New("no")) }
		w.start()
		time.Sleep(20 * time.Minute)
		assert.Positive(t, attempts.Load())
		w.stop()
		w.sink.set(nil, nil)
		w.start()
		time.Sleep(time.Minute)
		w.stop()
		assert.Less(t, w.delivered(), 30, "what was refused for good came again")
	})
}

// TestOnlyTheRefusedPartComesAgain checks that a partial error repeats the part that it names, unless another component
// failed beside: that one wants all of it.
func TestOnlyTheRefusedPartComesAgain(t *testing.T) {
	for _, test := range []struct {
		beside error
		sizes  []int
	}{
		{nil, []int{10, 3}},
		{errors.New("queue is full"), []int{10, 10}},
		{consumererror.NewPermanent(errors.New("no")), []int{10, 10}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			start := time.Now().Add(-2 * time.Minute)
			for n := range 10 {
				w.server.rows = append(w.server.rows, row{project: projectID(1), id: runID(n + 1), start: start, arrives: start, ends: start})
			}
			p, err := New(t.Context(), w.settings())
			require.NoError(t, err)
			var sizes []int
			p.Consumer = &partial{sink: w.sink, beside: test.beside, sizes: &sizes}
			ctx, cancel := context.WithCancel(t.Context())
			go func() { time.Sleep(time.Minute); cancel() }()
			p.Run(ctx)
			assert.Equal(t, test.sizes, sizes, "beside %v", test.beside)
		})
	}
}

// partial takes a part of the first batch, while another component may fail beside it.
type partial struct {
	*sink
	beside error
	sizes  *[]int
}

func (p *partial) ConsumeTraces(_ context.Context, traces ptrace.Traces) error {
	*p.sizes = append(*p.sizes, traces.SpanCount())
	if len(*p.sizes) > 1 {
		return nil
	}
	rest := ptrace.NewTraces()
	traces.CopyTo(rest)
	n := 0
	rest.ResourceSpans().At(0).ScopeSpans().At(0).Spans().RemoveIf(func(ptrace.Span) bool { n++; return n > 3 })
	return multierr.Append(consumererror.NewTraces(errors.New("some of them"), rest), p.beside)
}

// TestOneProjectThatFailsDoesNotStopOthers also checks that the failure is told once and not at every poll.
func TestOneProjectThatFailsDoesNotStopOthers(t *testing.T) {
	for _, code := range []int{http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity} {
		synctest.Test(t, func(t *testing.T) {
			core, logs := observer.New(zap.WarnLevel)
			w := newWorld(t)
			w.log = zap.New(core)
			w.server.projects = append(w.server.projects, langsmith.Project{ID: projectID(2), Name: "two"})
			w.traffic(rand.New(rand.NewPCG(1, 1)), 200, time.Now().Add(-time.Hour), 2*time.Hour)
			var requests atomic.Int64
			w.server.fault = func(q langsmith.RunQuery) (int, error) {
				if q.ProjectID == projectID(2) {
					requests.Add(1)
					return -1, status(code)
				}
				return 0, nil
			}
			w.start()
			time.Sleep(9 * time.Minute)
			assert.Equal(t, 1, logs.Len(), "%v", logs.All())
			assert.Equal(t, "two", logs.All()[0].ContextMap()["project"])
			assert.Less(t, requests.Load(), int64(16))
			assert.Contains(t, []componentstatus.Status{componentstatus.StatusRecoverableError, componentstatus.StatusPermanentError}, w.lastStatus())
			delivered := w.delivered()
			assert.Positive(t, delivered)
			w.server.set(func(s *server) { s.fault = nil })
			time.Sleep(5 * time.Hour)
			w.stop()
			w.check(code)
		})
	}
}

// TestRateLimitsAreNoProblem checks that Retry-After is kept, and that nobody is alarmed before nothing else comes for long.
func TestRateLimitsAreNoProblem(t *testing.T) {
	refusal := &langsmith.Error{Op: "query runs", StatusCode: http.StatusTooManyRequests, RetryAfter: 20 * time.Second}
	for name, refuse := range map[string]func(w *world, fault func(langsmith.RunQuery) (int, error)){
		"a query": func(w *world, fault func(langsmith.RunQuery) (int, error)) { w.server.fault = fault },
		"the list of projects": func(w *world, fault func(langsmith.RunQuery) (int, error)) {
			w.server.list = func() error { _, err := fault(langsmith.RunQuery{}); return err }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, logs := observer.New(zap.InfoLevel)
				w := newWorld(t)
				w.log = zap.New(core)
				const always, never, storms = 0, 1, 2
				var phase, last, requests atomic.Int64
				refuse(w, func(langsmith.RunQuery) (int, error) {
					now := time.Now().Unix()
					requests.Add(1)
					switch phase.Load() {
					case always:
						if before := last.Swap(now); before != 0 && now > before+1 { // what goes out together is refused together
							assert.GreaterOrEqual(t, now-before, int64(20))
						}
					case storms:
						if now%600 >= 12 {
							return 0, nil
						}
					default:
						return 0, nil
					}
					return -1, refusal
				})
				w.start()
				time.Sleep(5 * time.Minute)
				assert.Greater(t, requests.Load(), int64(4))
				assert.Equal(t, componentstatus.StatusRecoverableError, w.lastStatus())
				warnings := logs.FilterLevelExact(zap.WarnLevel).All()
				if assert.Len(t, warnings, 1) {
					assert.Contains(t, warnings[0].Message, "rate limit")
				}

				phase.Store(never)
				time.Sleep(20 * time.Minute)
				assert.Equal(t, componentstatus.StatusOK, w.lastStatus())
				assert.Equal(t, 1, logs.FilterMessage("LangSmith can be read again").Len())

				logs.TakeAll()
				phase.Store(storms)
				time.Sleep(3 * time.Hour)
				assert.Equal(t, componentstatus.StatusOK, w.lastStatus())
				w.stop()
				assert.Empty(t, logs.FilterLevelExact(zap.WarnLevel).All())
			})
		})
	}
}

// TestAServerThatIgnoresCursors checks that a window is read to its end even if the server always sends page one.
func TestAServerThatIgnoresCursors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for n := range 300 {
			start := time.Now().Add(-time.Duration(n+1) * 3 * time.Second)
			w.server.rows = append(w.server.rows, row{project: projectID(1), id: runID(n + 1), start: start, arrives: start, ends: start})
		}
		w.server.pageSize = 20
		p, err := New(t.Context(), func() Settings { s := w.settings(); s.Source = deaf{w.server}; return s }())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Hour); cancel() }()
		p.Run(ctx)
		w.check("deaf")
		assert.Less(t, w.queries(), 400)
	})
}

// deaf ignores cursors.
type deaf struct{ *server }

func (d deaf) QueryRuns(ctx context.Context, q langsmith.RunQuery, yield func(*langsmith.Run) error) (langsmith.Page, error) {
	q.Cursor = ""
	return d.server.QueryRuns(ctx, q, yield)
}

func TestProjectsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		w := newWorld(t)
		w.log = zap.New(core)
		var err error
		w.selection, err = NewSelection([]string{"prod-*", "later"}, []string{"prod-test"})
		require.NoError(t, err)
		add := func(project langsmith.Project, starts ...time.Time) {
			w.server.set(func(s *server) {
				s.projects = append(s.projects, project)
				for _, start := range starts {
					s.rows = append(s.rows, row{project: project.ID, id: runID(len(s.rows) + 1), start: start, arrives: start, ends: start})
				}
			})
		}
		w.server.projects = nil
		add(langsmith.Project{ID: projectID(1), Name: "prod-a"}, time.Now().Add(-30*time.Minute))
		w.start()
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 1, w.delivered())
		assert.Len(t, logs.FilterMessageSnippet("do not exist").All(), 1)
		w.stop()

		// A project that appeared while nothing was running is read from its beginning.
		born := time.Now().Add(time.Minute)
		time.Sleep(5 * time.Hour)
		add(langsmith.Project{ID: projectID(2), Name: "later"}, born, time.Now())
		w.start()
		time.Sleep(5 * time.Minute)
		w.check("projects")

		w.server.set(func(s *server) { s.projects = s.projects[1:] })
		time.Sleep(5 * time.Minute)
		assert.Len(t, logs.FilterMessageSnippet("is gone").All(), 1)
		add(langsmith.Project{ID: projectID(1), Name: "prod-a"}, time.Now())
		time.Sleep(5 * time.Minute)
		w.stop()
		w.check("projects")
		assert.Zero(t, w.repeats())
	})
}

// TestAProjectThatGoesWhileItsBatchIsRefused checks that the batch is not taken for delivered when it comes back.
func TestAProjectThatGoesWhileItsBatchIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now().Add(-time.Minute)
		w.server.rows = []row{{project: projectID(1), id: runID(1), start: start, arrives: start, ends: start}}
		w.sink.before = func(int) error { return errors.New("queue is full") }
		w.start()
		time.Sleep(time.Minute)
		projects := w.server.projects
		w.server.set(func(s *server) { s.projects = nil })
		time.Sleep(5 * time.Minute)
		w.sink.set(nil, nil)
		time.Sleep(5 * time.Minute)
		assert.Zero(t, w.delivered())
		w.server.set(func(s *server) { s.projects = projects })
		time.Sleep(5 * time.Minute)
		w.stop()
		w.check("gone")
	})
}

// TestStorageErrorsDoNotStopTheReading checks that what could not be stored is stored later.
func TestStorageErrorsDoNotStopTheReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.traffic(rand.New(rand.NewPCG(1, 1)), 300, time.Now().Add(-time.Hour), 2*time.Hour)
		w.start()
		w.client.breaks(func() error { return errors.New("disk is full") })
		time.Sleep(30 * time.Minute)
		delivered := w.delivered()
		assert.Greater(t, delivered, 100)
		w.client.breaks(nil)
		time.Sleep(time.Minute)
		assert.Zero(t, w.kill(), "everything is stored now")
		w.start()
		time.Sleep(5 * time.Hour)
		w.stop()
		w.check("storage")
		assert.Zero(t, w.repeats())
	})
}

// TestUpdates checks that an edit within the lookback goes out again when that is wanted, and only then.
// TestUpdates edits a run when no live window meets it any more: that is counted, whether it goes out again or not.
func TestUpdates(t *testing.T) {
	for _, emit := range []bool{false, true} {
		for _, reconcile := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c := newCompared(t)
				c.cursor.EmitUpdates, c.cursor.Reconcile = emit, reconcile
				start := time.Now()
				for n := range 20 {
					c.server.rows = append(c.server.rows, row{project: projectID(1), id: runID(n + 1), start: start, arrives: start, ends: start, priced: start})
				}
				time.AfterFunc(5*time.Minute, func() {
					c.server.set(func(s *server) {
						for n := range 7 {
							s.rows[n].tags = `["edited"]`
						}
					})
				})
				c.run(5*time.Hour, nil)
				want := 1
				if emit {
					want = 2
				}
				assert.Equal(t, want, c.sink.delivered[runID(1).String()])
				assert.Equal(t, 20+7*(want-1), c.total())
				assert.EqualValues(t, 7, c.value("runs_updated", ""))
				if reconcile {
					assert.Zero(t, c.value("reconcile_hours", "different"))
					assert.Positive(t, c.value("reconcile_hours", "equal"))
				}
				assert.NoError(t, c.telemetry.Shutdown(context.WithoutCancel(t.Context())))
			})
		}
	}
}

func TestIdleProjectsAskSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		time.Sleep(time.Hour)
		w.stop()
		// 120 polls, a sweep every five minutes, the backfill; the interval is shortened by up to a tenth.
		assert.InDelta(t, 140, w.queries(), 20)
		assert.Less(t, w.client.writes, 250)
	})
}

func TestBackoff(t *testing.T) {
	b := backoff{first: time.Second, most: time.Minute}
	for _, most := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		d := b.next(0, rand.Float64())
		assert.LessOrEqual(t, d, most*time.Second)
		assert.GreaterOrEqual(t, d, most*time.Second/2)
	}
	assert.Equal(t, 2*time.Minute, b.next(2*time.Minute, 0))
	assert.Equal(t, time.Hour, b.next(1000*time.Hour, 0), "a server cannot stop the reading for days")
	b.reset()
	assert.LessOrEqual(t, b.next(0, 0), time.Second)
}

func TestSelection(t *testing.T) {
	id := projectID(9)
	for _, tt := range []struct {
		include, exclude []string
		project          langsmith.Project
		want             bool
	}{
		{[]string{"*"}, nil, langsmith.Project{Name: "team/app"}, true},
		{[]string{"team/*"}, nil, langsmith.Project{Name: "team/app/x"}, true},
		{[]string{"app"}, nil, langsmith.Project{Name: "app-2"}, false},
		{[]string{"app-?"}, nil, langsmith.Project{Name: "app-2"}, true},
		{[]string{"app-[0-9]"}, []string{"app-2"}, langsmith.Project{Name: "app-2"}, false},
		{[]string{"a[b"}[:0], nil, langsmith.Project{Name: "app"}, false},
		{[]string{id.String()}, nil, langsmith.Project{ID: id, Name: "x"}, true},
		{[]string{id.String()}, nil, langsmith.Project{ID: projectID(8), Name: "x"}, false},
		{[]string{"*"}, []string{id.String()}, langsmith.Project{ID: id, Name: "x"}, false},
	} {
		s, err := NewSelection(tt.include, tt.exclude)
		require.NoError(t, err)
		assert.Equal(t, tt.want, s.Chosen(tt.project), "%+v", tt)
	}
}

// TestTheEndOfV1IsToldOnce checks that a date which the server names later is no second warning.
func TestTheEndOfV1IsToldOnce(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	w := newWorld(t)
	w.log = zap.New(core)
	p, err := New(t.Context(), w.settings())
	require.NoError(t, err)
	p.announce(langsmith.Server{Version: "0.13.5", API: langsmith.VersionV1})
	p.announce(langsmith.Server{Version: "0.13.5", API: langsmith.VersionV1, Sunset: "Sun, 31 Jan 2027 00:00:00 GMT"})
	assert.Equal(t, 1, logs.Len())
	assert.EqualValues(t, 1, p.gauges().deprecated)
	p.announce(langsmith.Server{Version: "0.17.0", API: langsmith.VersionV2})
	assert.Equal(t, 2, logs.Len())
	assert.Zero(t, p.gauges().deprecated)
}

// TestTheWarningAboutV1SaysWhy checks that a server is not blamed for what the configuration asks for, and that it is
// not called a LangSmith before it is known to be one.
func TestTheWarningAboutV1SaysWhy(t *testing.T) {
	for configured, want := range map[langsmith.APIVersion]string{
		langsmith.VersionAuto: "this LangSmith server offers only version 1", langsmith.VersionV1: "api_version: v1 is set",
	} {
		synctest.Test(t, func(t *testing.T) {
			core, logs := observer.New(zap.InfoLevel)
			w := newWorld(t)
			w.log = zap.New(core)
			w.server.api = langsmith.VersionV1
			settings := w.settings()
			settings.APIVersion = configured
			settings.Source = &unlisted{server: w.server, err: status(http.StatusNotFound)}
			p, err := New(t.Context(), settings)
			require.NoError(t, err)
			require.Error(t, p.discover(t.Context()))
			assert.Empty(t, logs.All())
			p.Source = w.server
			ctx, cancel := context.WithCancel(t.Context())
			require.NoError(t, p.discover(ctx))
			cancel()
			p.wait.Wait()
			warnings := logs.FilterLevelExact(zap.WarnLevel).All()
			require.Len(t, warnings, 1)
			assert.Contains(t, warnings[0].Message, want)
			assert.EqualValues(t, 1, p.gauges().deprecated)
		})
	}
}

// unlisted does not list its projects.
type unlisted struct {
	*server
	err error
}

func (u *unlisted) Projects(context.Context, langsmith.ProjectQuery) ([]langsmith.Project, error) {
	return nil, u.err
}
