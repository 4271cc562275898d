package sim

import (
	"math/big"
	"sort"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// definition says how totals count; it is part of the answer.
const definition = "Runs that the server knows to have ended. A model call that contains another model call with the same usage (a traced wrapper around a traced client) is the outer of a nested pair: it is in finished and in outer_calls, but not in calls, errors, tokens and cost. Chains and other runs without an operation are in finished only. Cost is the exact decimal sum in USD of the costs of each call."

// Totals is what an observer of everything should have counted.
type Totals struct {
	Definition string          `json:"definition"`
	Projects   []*ProjectTotal `json:"projects"`
	Operations []*OpTotal      `json:"operations"`
	Queues     []QueueTotal    `json:"queues"`
}

// QueueTotal counts the items of an annotation queue.
type QueueTotal struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Items    int    `json:"items"`
	Archived int    `json:"archived"`
}

// ProjectTotal is the sum of one project.
type ProjectTotal struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Experiment bool           `json:"experiment"`
	Finished   int            `json:"finished"`
	Traces     int            `json:"traces"` // finished roots
	Statuses   map[string]int `json:"statuses"`
	// Open are runs that will end, Unsettled those that ended and still lack tokens and cost, Stuck those that
	// never end, Hidden those that the server does not know yet.
	Open      int `json:"open"`
	Unsettled int `json:"unsettled"`
	Stuck     int `json:"stuck"`
	Hidden    int `json:"hidden"`
	Feedback  int `json:"feedback"`
	// FeedbackKeys counts the feedback by key.
	FeedbackKeys map[string]int `json:"feedback_keys"`

	OpTotal
}

// OpTotal is the sum of one operation.
type OpTotal struct {
	Project       string         `json:"project,omitempty"`
	Operation     string         `json:"operation,omitempty"`
	Provider      string         `json:"provider,omitempty"`
	RequestModel  string         `json:"request_model,omitempty"`
	ResponseModel string         `json:"response_model,omitempty"`
	Calls         int            `json:"calls"`
	OuterCalls    int            `json:"outer_calls"`
	Errors        map[string]int `json:"errors,omitempty"`
	Input         int64          `json:"input_tokens"`
	Output        int64          `json:"output_tokens"`
	CacheRead     int64          `json:"cache_read_tokens"`
	CacheWrite    int64          `json:"cache_write_tokens"`
	Reasoning     int64          `json:"reasoning_tokens"`
	Cost          string         `json:"cost"`
	Streamed      int            `json:"streamed"` // calls with a first token

	cost *big.Int
}

func (t *OpTotal) add(r *store.Run) {
	if t.cost == nil {
		t.cost = new(big.Int)
	}
	if r.Outer {
		t.OuterCalls++
		return
	}
	t.Calls++
	if r.Truth.ErrorType != "" {
		if t.Errors == nil {
			t.Errors = map[string]int{}
		}
		t.Errors[r.Truth.ErrorType]++
	}
	if r.FirstToken != 0 {
		t.Streamed++
	}
	if u := r.Usage; u != nil {
		t.Input += u.Input
		t.Output += u.Output
		t.CacheRead += u.CacheRead()
		t.CacheWrite += u.CacheWrite()
		t.Reasoning += u.Reasoning()
		t.cost.Add(t.cost, big.NewInt(int64(u.TotalCost())))
	}
}

func (t *OpTotal) done() {
	if t.cost == nil {
		t.cost = new(big.Int)
	}
	t.Cost = store.DecimalOf(t.cost)
}

// Totals counts everything that has ended by now. Usage counts in full, also where the server has not filled
// it in yet.
func (s *Sim) Totals() Totals {
	now := s.cfg.Now().UnixMicro()
	out := Totals{Definition: definition, Projects: []*ProjectTotal{}, Operations: []*OpTotal{}, Queues: []QueueTotal{}}
	byProject := map[store.UUID]*ProjectTotal{}
	for _, p := range s.Store.Projects() {
		t := &ProjectTotal{ID: p.ID.String(), Name: p.Name, Experiment: !p.Dataset.IsZero(), Statuses: map[string]int{}, FeedbackKeys: map[string]int{}}
		for _, f := range s.Store.Feedback(now, func(f *store.Feedback) bool { return f.ProjectID == p.ID }) {
			t.Feedback++
			t.FeedbackKeys[f.Key]++
		}
		byProject[p.ID] = t
		out.Projects = append(out.Projects, t)
	}
	for _, q := range s.Store.Queues(now) {
		t := QueueTotal{ID: q.ID.String(), Name: q.Name}
		for _, it := range s.Store.QueueItems(q.ID, now) {
			t.Items++
			if it.Archived != 0 && it.Archived <= now {
				t.Archived++
			}
		}
		out.Queues = append(out.Queues, t)
	}
	type key struct {
		project store.UUID
		truth   store.Truth
	}
	ops := map[key]*OpTotal{}
	for p, r := range s.Store.All {
		t := byProject[p.ID]
		switch {
		case t == nil: // made since
			continue
		case r.Seen > now:
			t.Hidden++
			continue
		case r.Done == 0:
			t.Stuck++
			continue
		case !r.Finished(now):
			t.Open++
			continue
		}
		t.Finished++
		t.Statuses[r.Status]++
		if r.ParentID.IsZero() {
			t.Traces++
		}
		if r.Settled > now {
			t.Unsettled++
		}
		if r.Truth == nil || r.Truth.Operation == "" {
			continue
		}
		k := key{p.ID, *r.Truth}
		k.truth.ErrorType = ""
		o := ops[k]
		if o == nil {
			o = &OpTotal{Project: p.Name, Operation: k.truth.Operation, Provider: k.truth.Provider, RequestModel: k.truth.RequestModel, ResponseModel: k.truth.ResponseModel}
			ops[k] = o
			out.Operations = append(out.Operations, o)
		}
		o.add(r)
		if r.Type == "llm" || r.Type == "embedding" {
			t.add(r)
		}
	}
	for _, t := range out.Projects {
		t.done()
	}
	for _, o := range out.Operations {
		o.done()
	}
	sort.Slice(out.Operations, func(i, j int) bool {
		a, b := out.Operations[i], out.Operations[j]
		return a.Project+"\x00"+a.Operation+"\x00"+a.Provider+"\x00"+a.RequestModel+"\x00"+a.ResponseModel <
			b.Project+"\x00"+b.Operation+"\x00"+b.Provider+"\x00"+b.RequestModel+"\x00"+b.ResponseModel
	})
	return out
}
