package langsmith

import (
	"context"
	"errors"
	"net/http"
)

// CountQuery asks how many runs of a project there are.
type CountQuery struct {
	ProjectID UUID
	// MinStart and MaxStart are the half-open window [MinStart, MaxStart) of start times.
	MinStart, MaxStart Time
	// Filter, TraceFilter and TreeFilter are as those of [RunQuery].
	Filter, TraceFilter, TreeFilter string
}

const opCount = "count runs"

// wireStats is the body of the statistics query, which is v1's query without paging.
type wireStats struct {
	Session     []string `json:"session"`
	StartTime   string   `json:"start_time"`
	Filter      string   `json:"filter"`
	TraceFilter string   `json:"trace_filter,omitempty"`
	TreeFilter  string   `json:"tree_filter,omitempty"`
	Select      []string `json:"select"`
}

// CountRuns asks LangSmith for its own count of runs, those that have not ended included. LangSmith allows few such
// requests, one in ten seconds in the USA, and lets other requests go first. Any error is an *[Error]; see
// [Error.NoStats].
func (c *Client) CountRuns(ctx context.Context, q CountQuery) (int64, error) {
	v1 := (&RunQuery{
		ProjectID: q.ProjectID, MinStart: q.MinStart, MaxStart: q.MaxStart,
		Filter: q.Filter, TraceFilter: q.TraceFilter, TreeFilter: q.TreeFilter,
	}).bodyV1(nil, 0)
	var answer struct {
		RunCount *int64 `json:"run_count"`
	}
	err := c.read(ctx, request{
		op: opCount, class: ClassStats, method: http.MethodPost, path: "/api/v1/runs/stats", background: true,
		body: wireStats{
			Session: v1.Session, StartTime: v1.StartTime, Filter: v1.Filter, TraceFilter: v1.TraceFilter, TreeFilter: v1.TreeFilter,
			Select: []string{"run_count"},
		},
	}, maxListBytes, &answer)
	switch {
	case err != nil:
		return 0, err
	case answer.RunCount == nil || *answer.RunCount < 0:
		return 0, &Error{Op: opCount, StatusCode: http.StatusOK, Err: errNoCount}
	}
	return *answer.RunCount, nil
}

var errNoCount = errors.New("the answer holds no count")

// NoStats tells whether a [Client.CountRuns] failed in a way that will not pass: the server does not offer its
// statistics, or not to this key, or not for this question.
func (e *Error) NoStats() bool {
	return e.noRoute() || e.invalid() || errors.Is(e.Err, errNoCount) ||
		!e.foreign && e.StatusCode == http.StatusForbidden
}
