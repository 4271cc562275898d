package poller

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// budgeted is a server behind a request budget, as the client is.
type budgeted struct {
	*server
	budget *langsmith.Budget
	class  langsmith.Class

	reading, most atomic.Int64
	mu            sync.Mutex
	waited        time.Duration // the longest wait of a request that is not in the background
}

func (b *budgeted) QueryRuns(ctx context.Context, q langsmith.RunQuery, yield func(*langsmith.Run) error) (langsmith.Page, error) {
	wait := b.budget.Wait
	if q.Background {
		wait = b.budget.WaitInBackground
	}
	waited, err := wait(ctx, b.class)
	if err != nil {
		return langsmith.Page{}, &langsmith.Error{Op: "query runs", Err: err}
	}
	if !q.Background {
		b.mu.Lock()
		b.waited = max(b.waited, waited)
		b.mu.Unlock()
	}
	n := b.reading.Add(1)
	defer b.reading.Add(-1)
	for most := b.most.Load(); n > most && !b.most.CompareAndSwap(most, n); most = b.most.Load() {
	}
	return b.server.QueryRuns(ctx, q, yield)
}

// TestABacklogUsesTheBudget reads one busy project whose answers take half a second: through one page cursor, that
// would be two pages a second.
func TestABacklogUsesTheBudget(t *testing.T) {
	for _, api := range []langsmith.APIVersion{langsmith.VersionV1, langsmith.VersionV2} {
		t.Run(api.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const pages, pageSize = 1000, 10
				w := newWorld(t)
				w.lookback = 2 * time.Hour
				w.cursor.WindowPages = 0
				w.server.api, w.server.pageSize, w.server.latency = api, pageSize, 500*time.Millisecond
				now := time.Now()
				for n := range pages * pageSize {
					start := now.Add(-5*time.Minute - time.Duration(n)*100*time.Minute/(pages*pageSize))
					w.server.rows = append(w.server.rows, row{project: projectID(1), id: runID(n + 1), start: start, arrives: start, ends: start, priced: start})
				}
				s := w.settings()
				source := &budgeted{server: w.server, budget: langsmith.NewBudget("https://api.smith.langchain.com"), class: langsmith.ClassRunsV2}
				s.Source = source
				p, err := New(t.Context(), s)
				require.NoError(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					p.Run(ctx)
				}()
				time.Sleep(15 * time.Second) // the ramp
				var used []float64
				for w.delivered() < pages*pageSize*9/10 {
					time.Sleep(time.Second)
					used = append(used, source.budget.Used(langsmith.ClassRunsV2))
				}
				assert.Greater(t, len(used), 10)
				sum := 0.0
				for _, u := range used {
					sum += u
				}
				assert.Greater(t, sum/float64(len(used)), 0.9)
				time.Sleep(time.Minute)
				cancel()
				<-done
				assert.Less(t, source.waited, time.Second, "the live window waited")
				assert.LessOrEqual(t, source.most.Load(), int64(concurrency))
				assert.Less(t, w.queries(), pages*12/10)
				w.check("backlog")
				assert.Zero(t, w.repeats())
			})
		})
	}
}

// TestAQuietBacklogIsReadOneByOne checks that empty hours cost few requests.
func TestAQuietBacklogIsReadOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.lookback = 30 * 24 * time.Hour
		source := &budgeted{server: w.server, budget: langsmith.NewBudget("http://localhost")}
		s := w.settings()
		s.Source = source
		p, err := New(t.Context(), s)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(20 * time.Second); cancel() }()
		p.Run(ctx)
		assert.Less(t, w.queries(), 15)
		assert.LessOrEqual(t, source.most.Load(), int64(2))
		assert.Zero(t, p.gauges().windows)
	})
}

// TestCatchingUpOnV1LeavesRoomForLiveRuns gives a project with a large backlog and others without one the budget of
// the older API, which is one request a second.
func TestCatchingUpOnV1LeavesRoomForLiveRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.server.api, w.server.pageSize = langsmith.VersionV1, 5
		for n := range 5 {
			w.server.projects = append(w.server.projects, langsmith.Project{ID: projectID(n + 2), Name: "quiet"})
		}
		now := time.Now()
		for n := range 5000 {
			start := now.Add(-2*time.Minute - time.Duration(n)*500*time.Millisecond)
			w.server.rows = append(w.server.rows, row{project: projectID(1), id: runID(n + 1), start: start, arrives: start, ends: start, priced: start})
		}
		source := &budgeted{server: w.server, budget: langsmith.NewBudget("https://api.smith.langchain.com"), class: langsmith.ClassRunsV1}
		s := w.settings()
		s.Source = source
		p, err := New(t.Context(), s)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(10 * time.Minute); cancel() }()
		p.Run(ctx)
		assert.Less(t, source.waited, 15*time.Second)
		assert.Greater(t, w.delivered(), 1000, "the backlog does not starve")
	})
}
