package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

const day = 24 * 3600 * 1_000_000

type bodyV2 struct {
	ProjectID             string   `json:"project_id"` // traces
	ProjectIDs            []string `json:"project_ids"`
	ReferenceDatasetID    string   `json:"reference_dataset_id"`
	IDs                   []string `json:"ids"`
	TraceIDs              []string `json:"trace_ids"` // traces
	TraceID               string   `json:"trace_id"`
	RunType               string   `json:"run_type"`
	IsRoot                *bool    `json:"is_root"`
	HasError              *bool    `json:"has_error"`
	ReferenceExamples     []string `json:"reference_examples"`
	MinStartTime          string   `json:"min_start_time"`
	MaxStartTime          string   `json:"max_start_time"`
	Filter                string   `json:"filter"`
	TraceFilter           string   `json:"trace_filter"`
	TreeFilter            string   `json:"tree_filter"`
	MinFeedbackModifiedAt string   `json:"min_feedback_modified_at"`
	MaxFeedbackModifiedAt string   `json:"max_feedback_modified_at"`
	IncludeSubtreeUsage   bool     `json:"include_subtree_usage"`
	AISearch              string   `json:"ai_search"`
	Selects               []string `json:"selects"`
	PageSize              *int     `json:"page_size"`
	Cursor                string   `json:"cursor"`
}

func (s *Server) decodeV2(w http.ResponseWriter, r *http.Request) (*bodyV2, bool) {
	raw, err := readBody(r)
	b := new(bodyV2)
	if err == nil {
		err = json.Unmarshal(raw, b)
	}
	if err != nil {
		problem(w, http.StatusBadRequest, "malformed body: "+err.Error(), "send a JSON object")
		return nil, false
	}
	return b, true
}

func selects(list []string) (map[string]bool, *failure) {
	if len(list) == 0 {
		return set("ID"), nil
	}
	m := map[string]bool{}
	for _, f := range list {
		if !knownV2[f] {
			return nil, &failure{status: 422, text: fmt.Sprintf("selects: unknown field %q", f)}
		}
		m[f] = true
	}
	return m, nil
}

// query turns the body into a store's query. The window has the defaults of the server: the last day.
func (s *Server) queryOfV2(b *bodyV2, now, asOf int64) (q store.Query, f *failure) {
	switch {
	case len(b.ProjectIDs) == 0 && b.ReferenceDatasetID == "":
		return q, &failure{status: 400, text: "one of project_ids and reference_dataset_id is required"}
	case len(b.ProjectIDs) > 0 && b.ReferenceDatasetID != "":
		return q, &failure{status: 400, text: "project_ids and reference_dataset_id exclude each other"}
	}
	if q.Projects, f = ids("project_ids", b.ProjectIDs); f != nil {
		return q, f
	}
	for _, id := range q.Projects {
		if s.store.Project(id) == nil {
			return q, &failure{status: 404, text: "project not found: " + id.String()}
		}
	}
	q.MinStart, q.MaxStart = now-day, now+1
	if b.ReferenceDatasetID != "" {
		dataset, f := one("reference_dataset_id", b.ReferenceDatasetID)
		if f != nil {
			return q, f
		}
		q.MinStart = 0
		for _, p := range s.store.Projects() {
			if p.Dataset == dataset {
				q.Projects = append(q.Projects, p.ID)
			}
		}
		if len(q.Projects) == 0 {
			return q, &failure{status: 404, text: "dataset not found"}
		}
	}
	if q.IDs, f = ids("ids", b.IDs); f != nil {
		return q, f
	}
	if q.Trace, f = one("trace_id", b.TraceID); f != nil {
		return q, f
	}
	if q.Examples, f = ids("reference_examples", b.ReferenceExamples); f != nil {
		return q, f
	}
	switch b.RunType {
	case "", "TOOL", "CHAIN", "LLM", "RETRIEVER", "EMBEDDING", "PROMPT", "PARSER":
		q.Type = strings.ToLower(b.RunType)
	default:
		return q, &failure{status: 400, text: fmt.Sprintf("run_type: unknown value %q", b.RunType)}
	}
	q.Root, q.HasError = b.IsRoot, b.HasError
	if f = windowV2(b, &q); f != nil {
		return q, f
	}
	if b.AISearch != "" {
		return q, &failure{status: 406, text: "ai_search needs text/event-stream"}
	}
	return q, s.filtersV2(b, &q, asOf)
}

func windowV2(b *bodyV2, q *store.Query) *failure {
	for _, x := range []struct {
		name, text string
		into       *int64
	}{{"min_start_time", b.MinStartTime, &q.MinStart}, {"max_start_time", b.MaxStartTime, &q.MaxStart}} {
		if x.text == "" {
			continue
		}
		us, err := parseTime(x.text)
		if err != nil {
			return &failure{status: 400, text: x.name + ": " + err.Error()}
		}
		*x.into = us
	}
	return nil
}

func (s *Server) filtersV2(b *bodyV2, q *store.Query, now int64) *failure {
	var window func(*store.Feedback) bool
	if b.MinFeedbackModifiedAt != "" || b.MaxFeedbackModifiedAt != "" {
		lo, f := when("min_feedback_modified_at", b.MinFeedbackModifiedAt)
		if f != nil {
			return &failure{status: 400, text: f.text}
		}
		hi, f := when("max_feedback_modified_at", b.MaxFeedbackModifiedAt)
		if f != nil {
			return &failure{status: 400, text: f.text}
		}
		window = func(f *store.Feedback) bool { return f.Modified >= lo && (hi == 0 || f.Modified < hi) }
	}
	uses := false
	for _, x := range []struct {
		name, text string
		into       *store.Filter
	}{{"filter", b.Filter, &q.Match}, {"trace_filter", b.TraceFilter, &q.RootMatch}, {"tree_filter", b.TreeFilter, &q.TreeMatch}} {
		m, e, err := compile(x.text, now, window)
		if err != nil {
			return &failure{status: 400, text: "invalid " + x.name + ": " + err.Error()}
		}
		uses = uses || e != nil && e.UsesFeedback()
		*x.into = m
	}
	if window != nil && !uses {
		return &failure{status: 400, text: "min_feedback_modified_at and max_feedback_modified_at need a feedback condition in a filter"}
	}
	return nil
}

func pageSize(w http.ResponseWriter, given *int, def, most int) (int, bool) {
	n := def
	if given != nil {
		n = *given
	}
	if n < 1 || n > most {
		problem(w, http.StatusBadRequest, fmt.Sprintf("page_size must be between 1 and %d", most), "")
		return 0, false
	}
	return n, true
}

func (s *Server) queryV2(w http.ResponseWriter, r *http.Request) {
	b, ok := s.decodeV2(w, r)
	if !ok {
		return
	}
	size, ok := pageSize(w, b.PageSize, 100, 1000)
	if !ok {
		return
	}
	selected, fail := selects(b.Selects)
	if fail != nil {
		fail.v2(w)
		return
	}
	asOf := s.asOf(r.Context())
	q, fail := s.queryOfV2(b, s.now(r.Context()), asOf)
	if fail != nil {
		fail.v2(w)
		return
	}
	q.Limit = size
	query := hash(b.ProjectIDs, b.IDs, b.MinStartTime, b.MaxStartTime, b.Filter, b.TraceFilter, b.TreeFilter, b.RunType, b.TraceID)
	if b.Cursor != "" {
		after, err := decodeCursor(b.Cursor, query)
		if err != nil {
			problem(w, http.StatusBadRequest, "invalid cursor", "start again without a cursor")
			return
		}
		q.After = after
	}
	rows, more := s.store.Find(q, asOf)
	out := new(jsonw.W)
	out.Obj().Key("items").Arr()
	s.page(r, out, rows, asOf, b.IncludeSubtreeUsage, func(x *row, w *jsonw.W) { x.writeV2(w, selected) })
	out.EndArr()
	s.writeNext(r, out, nextCursor(rows, more, query), b.Cursor)
	reply(w, 200, out.End())
}

func (s *Server) getV2(w http.ResponseWriter, r *http.Request) {
	id, err := store.ParseUUID(r.PathValue("id"))
	if err != nil {
		problem(w, http.StatusUnprocessableEntity, "run_id: not a valid uuid", "")
		return
	}
	project, err := store.ParseUUID(r.URL.Query().Get("project_id"))
	if err != nil {
		problem(w, http.StatusBadRequest, "project_id is required", "")
		return
	}
	selected, fail := selects(r.URL.Query()["selects"])
	if fail != nil {
		fail.v2(w)
		return
	}
	now := s.asOf(r.Context())
	run := s.store.Get(id, now)
	if run == nil || run.ProjectID != project {
		problem(w, http.StatusNotFound, "run not found", "")
		return
	}
	out := new(jsonw.W)
	s.page(r, out, []*store.Run{run}, now, false, func(x *row, w *jsonw.W) { x.writeV2(w, selected) })
	reply(w, 200, out)
}

func (s *Server) traceRunsV2(w http.ResponseWriter, r *http.Request) {
	p := r.URL.Query()
	b := &bodyV2{ProjectIDs: []string{p.Get("project_id")}, TraceID: r.PathValue("id"), Filter: p.Get("filter"), MinStartTime: p.Get("min_start_time"), MaxStartTime: p.Get("max_start_time")}
	selected, fail := selects(p["selects"])
	if fail != nil {
		fail.v2(w)
		return
	}
	now := s.asOf(r.Context())
	q, fail := s.queryOfV2(b, s.now(r.Context()), now)
	if fail != nil {
		fail.v2(w)
		return
	}
	if b.MinStartTime == "" && b.MaxStartTime == "" {
		q.MinStart, q.MaxStart = 0, 0
	}
	q.Ascending = true
	rows, _ := s.store.Find(q, now)
	out := new(jsonw.W)
	out.Obj().Key("items").Arr()
	s.page(r, out, rows, now, false, func(x *row, w *jsonw.W) { x.writeV2(w, selected) })
	reply(w, 200, out.EndArr().End())
}

func (s *Server) tracesV2(w http.ResponseWriter, r *http.Request) {
	b, ok := s.decodeV2(w, r)
	if !ok {
		return
	}
	size, ok := pageSize(w, b.PageSize, 20, 100)
	if !ok {
		return
	}
	selected, fail := selects(b.Selects)
	if fail != nil {
		fail.v2(w)
		return
	}
	if b.ProjectID == "" {
		problem(w, http.StatusBadRequest, "project_id is required", "")
		return
	}
	root := true
	b.ProjectIDs, b.IDs, b.IsRoot = []string{b.ProjectID}, b.TraceIDs, &root
	now := s.asOf(r.Context())
	q, fail := s.queryOfV2(b, s.now(r.Context()), now)
	if fail != nil {
		fail.v2(w)
		return
	}
	q.Limit = size
	query := hash(b.ProjectID, b.TraceIDs, b.MinStartTime, b.MaxStartTime, b.TraceFilter, b.TreeFilter)
	if b.Cursor != "" {
		after, err := decodeCursor(b.Cursor, query)
		if err != nil {
			problem(w, http.StatusBadRequest, "invalid cursor", "start again without a cursor")
			return
		}
		q.After = after
	}
	rows, more := s.store.Find(q, now)
	out := new(jsonw.W)
	out.Obj().Key("items").Arr()
	s.page(r, out, rows, now, false, func(x *row, w *jsonw.W) {
		w.Obj().Key("root_run")
		x.writeV2(w, selected)
		if selected["TOTAL_TOKENS"] || selected["TOTAL_COST"] || selected["FIRST_TOKEN_TIME"] {
			u, first := s.store.Subtree(x.r, now)
			w.Key("trace_aggregates").Obj().KInt("total_tokens", u.Input+u.Output)
			cost(w, "total_cost", &u, u.TotalCost(), false)
			v2Time(w, "first_token_time", first)
			w.End()
		} else {
			w.KNull("trace_aggregates")
		}
		w.KNull("query_metadata").End()
	})
	out.EndArr()
	s.writeNext(r, out, nextCursor(rows, more, query), b.Cursor)
	reply(w, 200, out.End())
}

// writeNext writes the cursor of the newer API: null when the first page is the last, left out on the last of several.
func (s *Server) writeNext(r *http.Request, w *jsonw.W, next, given string) {
	next = s.maimCursor(r, next, given)
	if next != "" || given == "" {
		textOrNull(w, "next_cursor", next)
	}
}
