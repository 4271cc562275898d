package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/faults"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// maxRequest bounds a query's body.
const maxRequest = 4 << 20

func readBody(r *http.Request) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r.Body, maxRequest))
}

// cursor is a place in the answer to one query; it does not fit another.
type cursor struct {
	Start int64  `json:"s"`
	ID    string `json:"i"`
	Query uint64 `json:"q"`
}

func (c cursor) encode() string {
	b, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(b)
}

var errCursor = errors.New("invalid cursor")

func decodeCursor(s string, query uint64) (*store.Position, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	var c cursor
	if err != nil || json.Unmarshal(b, &c) != nil || c.Query != query {
		return nil, errCursor
	}
	id, err := store.ParseUUID(c.ID)
	if err != nil {
		return nil, errCursor
	}
	return &store.Position{Start: c.Start, ID: id}, nil
}

func hash(parts ...any) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, parts...)
	return h.Sum64()
}

// page writes runs, maimed as the faults want, and returns the cursor to go on with.
func (s *Server) page(r *http.Request, w *jsonw.W, rows []*store.Run, now int64, subtree bool, write func(*row, *jsonw.W)) {
	hit := faults.From(r.Context())
	for i, run := range rows {
		x := &row{s: s, r: run, now: now, subtree: subtree}
		start := len(w.B)
		write(x, w)
		if len(hit) > 0 {
			maim(w, start, i, len(rows), hit)
		}
	}
}

func nextCursor(rows []*store.Run, more bool, query uint64) string {
	if !more {
		return ""
	}
	last := rows[len(rows)-1]
	return cursor{Start: last.Start, ID: last.ID.String(), Query: query}.encode()
}

type bodyV1 struct {
	Session          []string `json:"session"`
	ID               []string `json:"id"`
	Trace            string   `json:"trace"`
	ParentRun        string   `json:"parent_run"`
	RunType          string   `json:"run_type"`
	ReferenceExample []string `json:"reference_example"`
	IsRoot           *bool    `json:"is_root"`
	ExecutionOrder   *int     `json:"execution_order"`
	StartTime        string   `json:"start_time"`
	EndTime          string   `json:"end_time"`
	Error            *bool    `json:"error"`
	Filter           string   `json:"filter"`
	TraceFilter      string   `json:"trace_filter"`
	TreeFilter       string   `json:"tree_filter"`
	Cursor           string   `json:"cursor"`
	Limit            *int     `json:"limit"`
	Select           []string `json:"select"`
	Order            string   `json:"order"`
	SkipPagination   bool     `json:"skip_pagination"`
}

// failure is an answer other than 200.
type failure struct {
	status int
	loc    []any // of a failed validation
	text   string
}

func (f *failure) v1(w http.ResponseWriter) {
	if f.loc != nil {
		invalid(w, f.loc, f.text, "value_error")
		return
	}
	detail(w, f.status, f.text)
}

func (f *failure) v2(w http.ResponseWriter) { problem(w, f.status, f.text, "") }

func ids(field string, list []string) ([]store.UUID, *failure) {
	var out []store.UUID
	for i, s := range list {
		id, err := store.ParseUUID(s)
		if err != nil {
			return nil, &failure{status: 422, loc: []any{"body", field, i}, text: fmt.Sprintf("%s: value is not a valid uuid", field)}
		}
		out = append(out, id)
	}
	return out, nil
}

func one(field, s string) (store.UUID, *failure) {
	if s == "" {
		return store.UUID{}, nil
	}
	list, f := ids(field, []string{s})
	if f != nil {
		return store.UUID{}, f
	}
	return list[0], nil
}

func when(field, s string) (int64, *failure) {
	if s == "" {
		return 0, nil
	}
	us, err := parseTime(s)
	if err != nil {
		return 0, &failure{status: 422, loc: []any{"body", field}, text: err.Error()}
	}
	return us, nil
}

// query turns the body into a store's query.
func (b *bodyV1) query(now int64) (q store.Query, f *failure) {
	if q.Projects, f = ids("session", b.Session); f != nil {
		return q, f
	}
	if q.IDs, f = ids("id", b.ID); f != nil {
		return q, f
	}
	if q.Trace, f = one("trace", b.Trace); f != nil {
		return q, f
	}
	if q.Parent, f = one("parent_run", b.ParentRun); f != nil {
		return q, f
	}
	if q.Examples, f = ids("reference_example", b.ReferenceExample); f != nil {
		return q, f
	}
	if len(q.Projects)+len(q.IDs)+len(q.Examples) == 0 && q.Trace.IsZero() && q.Parent.IsZero() {
		return q, &failure{status: 400, text: "At least one of 'session', 'id', 'parent_run', 'trace' or 'reference_example' must be specified"}
	}
	switch b.RunType {
	case "", "tool", "chain", "llm", "retriever", "embedding", "prompt", "parser":
		q.Type = b.RunType
	default:
		return q, &failure{status: 422, loc: []any{"body", "run_type"}, text: "value is not a valid enumeration member"}
	}
	switch b.Order {
	case "", "desc":
	case "asc":
		q.Ascending = true
	default:
		return q, &failure{status: 422, loc: []any{"body", "order"}, text: "value is not a valid enumeration member; permitted: 'asc', 'desc'"}
	}
	q.Root, q.HasError = b.IsRoot, b.Error
	if b.ExecutionOrder != nil && *b.ExecutionOrder == 1 {
		root := true
		q.Root = &root
	}
	if q.MinStart, f = when("start_time", b.StartTime); f != nil {
		return q, f
	}
	if q.EndBefore, f = when("end_time", b.EndTime); f != nil {
		return q, f
	}
	for _, x := range []struct {
		text string
		into *store.Filter
		name string
	}{{b.Filter, &q.Match, "filter"}, {b.TraceFilter, &q.RootMatch, "trace_filter"}, {b.TreeFilter, &q.TreeMatch, "tree_filter"}} {
		m, _, err := compile(x.text, now, nil)
		if err != nil {
			return q, &failure{status: 400, text: "Invalid " + x.name + ": " + err.Error()}
		}
		*x.into = m
	}
	return q, nil
}

func deprecated(w http.ResponseWriter) {
	w.Header().Set("Deprecation", "true")
	w.Header().Set("Sunset", "Sun, 31 Jan 2027 00:00:00 GMT")
}

func decodeV1(w http.ResponseWriter, r *http.Request) (*bodyV1, []byte, bool) {
	raw, err := readBody(r)
	b := new(bodyV1)
	if err == nil {
		err = json.Unmarshal(raw, b)
	}
	if err != nil {
		invalid(w, []any{"body"}, err.Error(), "value_error.jsondecode")
		return nil, nil, false
	}
	return b, raw, true
}

func (s *Server) queryV1(w http.ResponseWriter, r *http.Request) {
	deprecated(w)
	b, _, ok := decodeV1(w, r)
	if !ok {
		return
	}
	now := s.asOf(r.Context())
	limit := 100
	if b.Limit != nil {
		limit = *b.Limit
	}
	if limit > 100 {
		detail(w, http.StatusBadRequest, "Limit exceeds maximum allowed value of 100")
		return
	}
	if limit < 1 {
		invalid(w, []any{"body", "limit"}, "ensure this value is greater than or equal to 1", "value_error.number.not_ge")
		return
	}
	var selected map[string]bool
	if b.Select != nil {
		selected = map[string]bool{}
	}
	for i, f := range b.Select {
		if !knownV1[f] {
			invalid(w, []any{"body", "select", i}, "value is not a valid enumeration member", "type_error.enum")
			return
		}
		selected[f] = true
	}
	q, fail := b.query(now)
	if fail != nil {
		fail.v1(w)
		return
	}
	q.Limit = limit
	switch {
	case len(q.IDs) > 0: // other filters and the limit do not apply
		q = store.Query{IDs: q.IDs, Ascending: q.Ascending}
	case !q.Trace.IsZero():
		q.Limit = 0
	}
	query := hash(b.Session, b.StartTime, b.EndTime, b.Filter, b.TraceFilter, b.TreeFilter, b.Order, b.RunType)
	if b.Cursor != "" {
		after, err := decodeCursor(b.Cursor, query)
		if err != nil {
			detail(w, http.StatusBadRequest, "Invalid cursor")
			return
		}
		q.After = after
	}
	rows, more := s.store.Find(q, now)
	out := new(jsonw.W)
	out.Obj().Key("runs").Arr()
	s.page(r, out, rows, now, true, func(x *row, w *jsonw.W) { x.writeV1(w, selected) })
	out.EndArr()
	next := s.maimCursor(r, nextCursor(rows, more, query), b.Cursor)
	if b.SkipPagination {
		out.KNull("cursors")
	} else {
		out.Key("cursors").Obj()
		textOrNull(out, "next", next)
		out.KNull("prev").End()
	}
	reply(w, 200, out.KNull("search_cursors").KNull("parsed_query").End())
}

func (s *Server) validateV1(w http.ResponseWriter, r *http.Request) {
	b, _, ok := decodeV1(w, r)
	if !ok {
		return
	}
	out := new(jsonw.W)
	out.Obj()
	var errs []struct{ field, text string }
	for _, x := range []struct{ field, text string }{{"filter", b.Filter}, {"trace_filter", b.TraceFilter}, {"tree_filter", b.TreeFilter}} {
		if _, _, err := compile(x.text, 0, nil); err != nil {
			errs = append(errs, struct{ field, text string }{x.field, err.Error()})
		}
	}
	out.KBool("valid", len(errs) == 0).Key("errors").Arr()
	for _, e := range errs {
		out.Obj().KV("field", e.field).KV("message", e.text).End()
	}
	reply(w, 200, out.EndArr().End())
}

func (s *Server) getV1(w http.ResponseWriter, r *http.Request) {
	deprecated(w)
	id, err := store.ParseUUID(r.PathValue("id"))
	if err != nil {
		invalid(w, []any{"path", "run_id"}, "value is not a valid uuid", "type_error.uuid")
		return
	}
	now := s.asOf(r.Context())
	run := s.store.Get(id, now)
	if run == nil {
		detail(w, http.StatusNotFound, "Run not found")
		return
	}
	out := new(jsonw.W)
	s.page(r, out, []*store.Run{run}, now, true, func(x *row, w *jsonw.W) { x.writeV1(w, nil) })
	reply(w, 200, out)
}

// blob serves offloaded inputs and outputs. It needs no key: the link is the permission.
func (s *Server) blob(w http.ResponseWriter, r *http.Request) {
	id, err := store.ParseUUID(r.PathValue("id"))
	var run *store.Run
	if err == nil {
		run = s.store.Get(id, s.asOf(r.Context()))
	}
	if run == nil {
		detail(w, http.StatusNotFound, "Not Found")
		return
	}
	p := store.PartInputs
	if r.PathValue("part") == "outputs" {
		p = store.PartOutputs
	}
	reply(w, 200, &jsonw.W{B: part(run, p)})
}

func intParam(r *http.Request, name string, def int) int {
	if n, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil {
		return n
	}
	return def
}
