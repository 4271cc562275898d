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
