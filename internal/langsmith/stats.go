package langsmith

import (
	"context"
	"encoding/json"
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

const (
	opCount = "count runs"
	opSum   = "sum usage"

	// modelCalls selects the runs that have a usage of their own. What others have differs: in v1 it is the sum over
	// their children.
	modelCalls = `or(eq(run_type, "llm"), eq(run_type, "embedding"))`
)

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
	var answer struct {
		RunCount *int64 `json:"run_count"`
	}
	err := c.stats(ctx, opCount, q, []string{"run_count"}, &answer)
	switch {
	case err != nil:
		return 0, err
	case answer.RunCount == nil || *answer.RunCount < 0:
		return 0, &Error{Op: opCount, StatusCode: http.StatusOK, Err: errNoCount}
	}
	return *answer.RunCount, nil
}

// UsageSum is what the calls of models among some runs used together, as LangSmith sums it. What it does not tell is
// not valid.
type UsageSum struct {
	Tokens Count
	Cost   Number // USD
}

// SumUsage asks LangSmith for its own sum of the tokens and cost of model and embedding calls; other runs do not count.
// It is limited like [Client.CountRuns] and fails like it.
func (c *Client) SumUsage(ctx context.Context, q CountQuery) (UsageSum, error) {
	if q.Filter == "" {
		q.Filter = modelCalls
	} else {
		q.Filter = "and(" + modelCalls + ", " + q.Filter + ")"
	}
	var answer struct {
		RunCount    *int64          `json:"run_count"`
		TotalTokens json.RawMessage `json:"total_tokens"`
		TotalCost   json.RawMessage `json:"total_cost"`
	}
	if err := c.stats(ctx, opSum, q, []string{"run_count", "total_tokens", "total_cost"}, &answer); err != nil {
		return UsageSum{}, err
	}
	if answer.RunCount == nil {
		return UsageSum{}, &Error{Op: opSum, StatusCode: http.StatusOK, Err: errNoCount}
	}
	if *answer.RunCount == 0 { // sums over nothing are null
		return UsageSum{Tokens: Count{Valid: true}, Cost: Number{Valid: true}}, nil
	}
	sum := UsageSum{Tokens: Raw(answer.TotalTokens).Count(), Cost: Raw(answer.TotalCost).Number()}
	if sum.Tokens.Valid && string(answer.TotalCost) == "null" { // none of the models has a price
		sum.Cost.Valid = true
	}
	return sum, nil
}

func (c *Client) stats(ctx context.Context, op string, q CountQuery, fields []string, answer any) error {
	v1 := (&RunQuery{
		ProjectID: q.ProjectID, MinStart: q.MinStart, MaxStart: q.MaxStart,
		Filter: q.Filter, TraceFilter: q.TraceFilter, TreeFilter: q.TreeFilter,
	}).bodyV1(nil, 0)
	return c.read(ctx, request{
		op: op, class: ClassStats, method: http.MethodPost, path: "/api/v1/runs/stats", background: true,
		body: wireStats{
			Session: v1.Session, StartTime: v1.StartTime, Filter: v1.Filter, TraceFilter: v1.TraceFilter, TreeFilter: v1.TreeFilter,
			Select: fields,
		},
	}, maxListBytes, answer)
}

var errNoCount = errors.New("the answer holds no count")

// NoStats tells whether a [Client.CountRuns] or [Client.SumUsage] failed in a way that will not pass: the server does not offer its
// statistics, or not to this key, or not for this question.
func (e *Error) NoStats() bool {
	return e.noRoute() || e.invalid() || errors.Is(e.Err, errNoCount) ||
		!e.foreign && e.StatusCode == http.StatusForbidden
}
