package poller

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// limited is a server that refuses what is above the published limits, in windows that begin with their first request,
// behind a request budget as the client has it.
type limited struct {
	*server
	budget *langsmith.Budget
	runs   langsmith.Class

	mu       sync.Mutex
	windows  map[langsmith.Class]*requests
	requests map[langsmith.Class]int
	refused  map[langsmith.Class]int
}

type requests struct {
	from time.Time
	n    int
}

func newLimited(s *server, runs langsmith.Class) *limited {
	return &limited{
		server: s, budget: langsmith.NewBudget("https://api.smith.langchain.com"), runs: runs,
		windows: map[langsmith.Class]*requests{}, requests: map[langsmith.Class]int{}, refused: map[langsmith.Class]int{},
	}
}

// admit waits for the budget, and counts.
func (l *limited) admit(ctx context.Context, class langsmith.Class, background bool) error {
	wait := l.budget.Wait
	if background {
		wait = l.budget.WaitInBackground
	}
	if _, err := wait(ctx, class); err != nil {
		return &langsmith.Error{Op: "ask", Err: err}
	}
	limit := map[langsmith.Class]int{langsmith.ClassRunsV1: 10, langsmith.ClassRunsV2: 300, langsmith.ClassStats: 1}[class]
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.windows[class]
	if w == nil || time.Since(w.from) >= 10*time.Second {
		w = &requests{from: time.Now()}
		l.windows[class] = w
	}
	l.requests[class]++
	if w.n++; w.n > limit {
		l.refused[class]++
		l.budget.Throttled(class, 0)
		return status(http.StatusTooManyRequests)
	}
	return nil
}

func (l *limited) QueryRuns(ctx context.Context, q langsmith.RunQuery, yield func(*langsmith.Run) error) (langsmith.Page, error) {
	if err := l.admit(ctx, l.runs, q.Background); err != nil {
		return langsmith.Page{}, err
	}
	return l.server.QueryRuns(ctx, q, yield)
}

func (l *limited) CountRuns(ctx context.Context, q langsmith.CountQuery) (int64, error) {
	if err := l.admit(ctx, langsmith.ClassStats, true); err != nil {
		return 0, err
	}
	return l.server.CountRuns(ctx, q)
}

func (l *limited) SumUsage(ctx context.Context, q langsmith.CountQuery) (langsmith.UsageSum, error) {
	if err := l.admit(ctx, langsmith.ClassStats, true); err != nil {
		return langsmith.UsageSum{}, err
	}
	return l.server.SumUsage(ctx, q)
}

// TestTheSteadyStateIsNeverRefused reads several projects through a receiver each, which share a budget, beside
// comparisons. What they ask together stays below the published limits although that is more than the older API
// allows: then it is the data that waits.
func TestTheSteadyStateIsNeverRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		api      langsmith.APIVersion
		class    langsmith.Class
		projects int
	}{
		"v2":           {langsmith.VersionV2, langsmith.ClassRunsV2, 30},
		"v1":           {langsmith.VersionV1, langsmith.ClassRunsV1, 8},
		"v1, too many": {langsmith.VersionV1, langsmith.ClassRunsV1, 30},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.cursor.Reconcile = true
				w.server.api, w.server.pageSize = tt.api, 100
				w.server.projects = nil
				begin := time.Now()
				for n := range tt.projects {
					w.server.projects = append(w.server.projects, langsmith.Project{ID: projectID(n + 1), Name: "project"})
				}
				for n := range 3 * 60 * tt.projects {
					start := begin.Add(time.Duration(n) * time.Minute / time.Duration(tt.projects))
					w.server.rows = append(w.server.rows, row{
						project: projectID(n%tt.projects + 1), id: runID(n + 1), start: start, arrives: start, ends: start, priced: start,
					})
				}
				source := newLimited(w.server, tt.class)
				ctx, cancel := context.WithTimeout(t.Context(), 4*time.Hour)
				defer cancel()
				var wait sync.WaitGroup
				for shard := range 3 {
					s := w.settings()
					s.Source, s.Storage = source, nil
					s.Budget = func() *langsmith.Budget { return source.budget }
					s.Shard = Shard{Index: shard, Total: 3}
					p, err := New(t.Context(), s)
					require.NoError(t, err)
					wait.Go(func() { p.Run(ctx) })
				}
				wait.Wait()
				t.Logf("requests %v", source.requests)
				assert.Empty(t, source.refused)
				assert.Greater(t, source.requests[langsmith.ClassStats], 3*tt.projects, "what is measured is not what was meant")
				w.check(name)
			})
		})
	}
}
