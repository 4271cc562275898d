package langsmith

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCountRuns(t *testing.T) {
	const route = "POST /api/v1/runs/stats"
	text := `{"run_count":1234}`
	status := 200
	f := newFake(t, map[string]func(http.ResponseWriter, call){
		route: func(w http.ResponseWriter, _ call) { jsonAnswer(w, status, text) },
	})
	c := f.client(t, nil)
	q := CountQuery{
		ProjectID: mustUUID(t, projectID), MinStart: 1_700_000_000_000_000_000, MaxStart: 1_700_003_600_000_000_000,
		Filter: `eq(run_type, "llm")`, TreeFilter: `eq(status, "error")`,
	}
	n, err := c.CountRuns(t.Context(), q)
	require.NoError(t, err)
	assert.Equal(t, int64(1234), n)
	assert.Equal(t, map[string]any{
		"session": []any{projectID}, "start_time": "2023-11-14T22:13:20.000000Z", "tree_filter": `eq(status, "error")`,
		"filter": `and(lt(start_time, "2023-11-14T23:13:20.000000Z"), eq(run_type, "llm"))`,
		"select": []any{"run_count"},
	}, f.asked(route)[0].body)

	for _, tt := range []struct {
		status  int
		text    string
		noStats bool
	}{
		{200, `{"run_count":null}`, true},
		{200, `{`, false},
		{404, `{"detail":"Not Found"}`, true},
		{410, `{"detail":"Gone"}`, true},
		{403, `{"detail":"Forbidden"}`, true},
		{422, `{"detail":"no"}`, true},
		{429, `{"detail":"Rate limit exceeded"}`, false},
		{503, `{"detail":"later"}`, false},
	} {
		status, text = tt.status, tt.text
		_, err := c.CountRuns(t.Context(), q)
		assert.Equal(t, tt.noStats, failureOf(t, err).NoStats(), "%+v", tt)
		c.budget = NewBudget(c.base) // the next one need not wait
	}
}

func TestSumUsage(t *testing.T) {
	const route = "POST /api/v1/runs/stats"
	text, status := "", 200
	f := newFake(t, map[string]func(http.ResponseWriter, call){
		route: func(w http.ResponseWriter, _ call) { jsonAnswer(w, status, text) },
	})
	c := f.client(t, nil)
	q := CountQuery{ProjectID: mustUUID(t, projectID), MinStart: 1_700_000_000_000_000_000, MaxStart: 1_700_003_600_000_000_000}
	count := func(n int64) Count { return Count{Value: n, Valid: true} }
	number := func(n float64) Number { return Number{Value: n, Valid: true} }
	for answer, want := range map[string]UsageSum{
		`{"run_count":3,"total_tokens":1200,"total_cost":"0.0125"}`: {count(1200), number(0.0125)},
		`{"run_count":3,"total_tokens":"1200","total_cost":0.0125}`: {count(1200), number(0.0125)},
		`{"run_count":3,"total_tokens":1200,"total_cost":null}`:     {count(1200), number(0)},
		`{"run_count":3,"total_tokens":null,"total_cost":null}`:     {},
		`{"run_count":3,"total_tokens":1200}`:                       {Tokens: count(1200)},
		`{"run_count":3}`:                                           {},
		`{"run_count":0,"total_tokens":null,"total_cost":null}`:     {count(0), number(0)},
	} {
		text = answer
		sum, err := c.SumUsage(t.Context(), q)
		require.NoError(t, err)
		assert.Equal(t, want, sum, answer)
		c.budget = NewBudget(c.base)
	}
	assert.Equal(t, map[string]any{
		"session": []any{projectID}, "start_time": "2023-11-14T22:13:20.000000Z",
		"filter": `and(lt(start_time, "2023-11-14T23:13:20.000000Z"), or(eq(run_type, "llm"), eq(run_type, "embedding")))`,
		"select": []any{"run_count", "total_tokens", "total_cost"},
	}, f.asked(route)[0].body)

	q.Filter = `eq(name, "x")`
	_, err := c.SumUsage(t.Context(), q)
	require.NoError(t, err)
	asked := f.asked(route)
	assert.Equal(t, `and(lt(start_time, "2023-11-14T23:13:20.000000Z"), and(or(eq(run_type, "llm"), eq(run_type, "embedding")), eq(name, "x")))`,
		asked[len(asked)-1].body["filter"])

	for code, noStats := range map[int]bool{404: true, 422: true, 429: false, 503: false} {
		status, text = code, `{"detail":"no"}`
		_, err := c.SumUsage(t.Context(), q)
		assert.Equal(t, noStats, failureOf(t, err).NoStats(), code)
		c.budget = NewBudget(c.base)
	}
	status, text = 200, `{"total_tokens":5}`
	_, err = c.SumUsage(t.Context(), q)
	assert.True(t, failureOf(t, err).NoStats())
}
