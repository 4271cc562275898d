package api

import (
	"strings"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// row is a run on its way into an answer.
type row struct {
	s   *Server
	r   *store.Run
	now int64
	// subtree asks for the sums over everything below a run that has no usage of its own.
	subtree bool

	counted bool
	sum     store.Usage
	first   int64
}

// usage is what the row tells of tokens and costs, and the time of its first token.
func (x *row) usage() (*store.Usage, int64) {
	if !x.counted {
		x.counted = true
		own := x.r.UsageAt(x.now)
		switch {
		case own != nil:
			x.sum = *own
		case x.subtree && x.r.Type != "llm" && x.r.Type != "embedding":
			x.sum, x.first = x.s.store.Subtree(x.r, x.now)
		}
		if x.r.FirstToken != 0 && x.r.Finished(x.now) {
			x.first = x.r.FirstToken
		}
	}
	return &x.sum, x.first
}

func (x *row) appPath() string {
	var b strings.Builder
	b.WriteString("/o/" + x.s.store.Tenant.String() + "/projects/p/" + x.r.ProjectID.String() + "/r/" + x.r.ID.String() +
		"?trace_id=" + x.r.TraceID.String() + "&start_time=" + timeV1(x.r.Start))
	return b.String()
}

func (x *row) part(w *jsonw.W, key string, p store.Part, v2 bool) {
	w.Key(key)
	finished := x.r.Finished(x.now)
	switch {
	case x.r.Body == nil,
		!finished && (p == store.PartOutputs || p == store.PartError || p == store.PartOutputsPreview):
		w.Null()
	default:
		w.B = x.r.Body.Append(w.B, x.r, p, store.View{V2: v2, Pending: !finished})
	}
}

func idOrNull(w *jsonw.W, key string, id store.UUID) {
	if id.IsZero() {
		w.KNull(key)
		return
	}
	w.Key(key)
	w.B = append(w.B, '"')
	w.B = id.Append(w.B)
	w.B = append(w.B, '"')
}

func (x *row) ancestors(w *jsonw.W) {
	w.Key("parent_run_ids").Arr()
	for _, id := range x.r.Ancestors(nil) {
		w.Str(id.String())
	}
	w.EndArr()
}

// fieldsV1 are the fields that select knows, in the order in which they are written. Fields that never have a
// value here are written as null.
var fieldsV1 = []struct {
	name  string
	heavy bool
	write func(*row, *jsonw.W)
}{
	{"id", false, func(x *row, w *jsonw.W) { idOrNull(w, "id", x.r.ID) }},
	{"trace_id", false, func(x *row, w *jsonw.W) { idOrNull(w, "trace_id", x.r.TraceID) }},
	{"dotted_order", false, func(x *row, w *jsonw.W) { w.KV("dotted_order", string(x.r.AppendDotted(nil))) }},
	{"name", false, func(x *row, w *jsonw.W) { w.KV("name", x.r.Name) }},
	{"run_type", false, func(x *row, w *jsonw.W) { w.KV("run_type", x.r.Type) }},
	{"status", false, func(x *row, w *jsonw.W) { w.KV("status", x.r.StatusAt(x.now)) }},
	{"session_id", false, func(x *row, w *jsonw.W) { idOrNull(w, "session_id", x.r.ProjectID) }},
	{"app_path", false, func(x *row, w *jsonw.W) { w.KV("app_path", x.appPath()) }},
	{"start_time", false, func(x *row, w *jsonw.W) { w.KV("start_time", timeV1(x.r.Start)) }},
	{"end_time", false, func(x *row, w *jsonw.W) { v1Time(w, "end_time", x.r.EndAt(x.now)) }},
	{"error", true, func(x *row, w *jsonw.W) { x.part(w, "error", store.PartError, false) }},
	{"parent_run_id", false, func(x *row, w *jsonw.W) { idOrNull(w, "parent_run_id", x.r.ParentID) }},
	{"parent_run_ids", false, func(x *row, w *jsonw.W) { x.ancestors(w) }},
	{"inputs", true, func(x *row, w *jsonw.W) { x.part(w, "inputs", store.PartInputs, false) }},
	{"outputs", true, func(x *row, w *jsonw.W) { x.part(w, "outputs", store.PartOutputs, false) }},
	{"inputs_preview", false, func(x *row, w *jsonw.W) { x.part(w, "inputs_preview", store.PartInputsPreview, false) }},
	{"outputs_preview", false, func(x *row, w *jsonw.W) { x.part(w, "outputs_preview", store.PartOutputsPreview, false) }},
	{"extra", true, func(x *row, w *jsonw.W) { x.part(w, "extra", store.PartExtra, false) }},
	{"events", true, func(x *row, w *jsonw.W) { x.part(w, "events", store.PartEvents, false) }},
	{"serialized", true, func(x *row, w *jsonw.W) { x.part(w, "serialized", store.PartSerialized, false) }},
	{"tags", false, func(x *row, w *jsonw.W) { w.KStrs("tags", x.r.Tags) }},
	{"total_tokens", false, func(x *row, w *jsonw.W) { u, _ := x.usage(); w.KInt("total_tokens", u.Input+u.Output) }},
	{"prompt_tokens", false, func(x *row, w *jsonw.W) { u, _ := x.usage(); w.KInt("prompt_tokens", u.Input) }},
	{"completion_tokens", false, func(x *row, w *jsonw.W) { u, _ := x.usage(); w.KInt("completion_tokens", u.Output) }},
	{"prompt_token_details", false, func(x *row, w *jsonw.W) {
		u, _ := x.usage()
		details(w, "prompt_token_details", u.InputDetails, tokensOf)
	}},
	{"completion_token_details", false, func(x *row, w *jsonw.W) {
		u, _ := x.usage()
		details(w, "completion_token_details", u.OutputDetails, tokensOf)
	}},
	{"total_cost", false, func(x *row, w *jsonw.W) {
		// A number here although the specification says text, as servers answer it.
		u, _ := x.usage()
		cost(w, "total_cost", u, u.TotalCost(), false)
	}},
	{"prompt_cost", false, func(x *row, w *jsonw.W) { u, _ := x.usage(); cost(w, "prompt_cost", u, u.InputCost, true) }},
	{"completion_cost", false, func(x *row, w *jsonw.W) { u, _ := x.usage(); cost(w, "completion_cost", u, u.OutputCost, true) }},
	{"prompt_cost_details", false, func(x *row, w *jsonw.W) {
		u, _ := x.usage()
		details(w, "prompt_cost_details", u.InputDetails, costText)
	}},
	{"completion_cost_details", false, func(x *row, w *jsonw.W) {
		u, _ := x.usage()
		details(w, "completion_cost_details", u.OutputDetails, costText)
	}},
	{"first_token_time", false, func(x *row, w *jsonw.W) { _, t := x.usage(); v1Time(w, "first_token_time", t) }},
	{"thread_id", false, func(x *row, w *jsonw.W) { textOrNull(w, "thread_id", x.r.Thread) }},
	{"reference_example_id", false, func(x *row, w *jsonw.W) { idOrNull(w, "reference_example_id", x.r.Example) }},
	{"feedback_stats", false, func(x *row, w *jsonw.W) { feedbackStats(w, x, false) }},
	{"in_dataset", false, func(x *row, w *jsonw.W) { w.KBool("in_dataset", false) }},
	{"trace_tier", false, func(x *row, w *jsonw.W) { w.KV("trace_tier", "shortlived") }},
	{"ttl_seconds", false, func(x *row, w *jsonw.W) { w.KInt("ttl_seconds", 1_209_600) }},
	{"trace_upgrade", false, func(x *row, w *jsonw.W) { w.KBool("trace_upgrade", false) }},
	{"trace_first_received_at", false, func(x *row, w *jsonw.W) { v1Time(w, "trace_first_received_at", x.r.Seen) }},
	{"inserted_at", false, func(x *row, w *jsonw.W) { v1Time(w, "inserted_at", x.r.Seen) }},
}

// nullV1 are the fields that select knows and that have no value here.
var nullV1 = strings.Fields(`inputs_s3_urls inputs_or_signed_url outputs_s3_urls outputs_or_signed_url s3_urls error_or_signed_url
	events_or_signed_url extra_or_signed_url serialized_or_signed_url manifest_id manifest_s3_id manifest reference_dataset_id price_model_id
	last_queued_at child_run_ids share_token trace_min_max_start_time messages`)

// requiredV1 are written whatever is selected.
var requiredV1 = set("id", "trace_id", "dotted_order", "name", "run_type", "status", "session_id", "app_path", "trace_upgrade")

// optionalV1 are written only when selected by name.
var optionalV1 = set("inserted_at", "messages", "child_run_ids", "trace_min_max_start_time", "manifest", "inputs_or_signed_url", "outputs_or_signed_url",
	"error_or_signed_url", "events_or_signed_url", "extra_or_signed_url", "serialized_or_signed_url")

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

var knownV1 = func() map[string]bool {
	m := set(nullV1...)
	for _, f := range fieldsV1 {
		m[f.name] = true
	}
	return m
}()

// writeV1 writes a row of the older API. selected is nil for the default.
func (x *row) writeV1(w *jsonw.W, selected map[string]bool) {
	want := func(name string) bool {
		if selected == nil {
			return !optionalV1[name]
		}
		return selected[name] || requiredV1[name]
	}
	w.Obj()
	for i := range fieldsV1 {
		if want(fieldsV1[i].name) {
			fieldsV1[i].write(x, w)
		}
	}
	for _, name := range nullV1 {
		if want(name) {
			w.KNull(name)
		}
	}
	if selected == nil {
		w.KInt("execution_order", 1).KNull("direct_child_run_ids")
	}
	w.End()
}

func v1Time(w *jsonw.W, key string, us int64) {
	if us == 0 {
		w.KNull(key)
		return
	}
	w.KV(key, timeV1(us))
}

func textOrNull(w *jsonw.W, key, s string) {
	if s == "" {
		w.KNull(key)
		return
	}
	w.KV(key, s)
}

func cost(w *jsonw.W, key string, u *store.Usage, m store.Money, text bool) {
	switch {
	case !u.Priced:
		w.KNull(key)
	case text:
		w.KV(key, m.String())
	default:
		w.KRaw(key, m.String())
	}
}

func tokensOf(w *jsonw.W, d store.Detail) { w.Int(d.Tokens) }
func costText(w *jsonw.W, d store.Detail) { w.Str(d.Cost.String()) }
func costNum(w *jsonw.W, d store.Detail)  { w.RawString(d.Cost.String()) }

func details(w *jsonw.W, key string, ds []store.Detail, value func(*jsonw.W, store.Detail)) {
	if len(ds) == 0 {
		w.KNull(key)
		return
	}
	w.Key(key).Obj()
	for _, d := range ds {
		w.Key(d.Key)
		value(w, d)
	}
	w.End()
}

// detailsRaw is the newer API's form, which wraps the details.
func detailsRaw(w *jsonw.W, key string, ds []store.Detail, value func(*jsonw.W, store.Detail)) {
	w.Key(key).Obj().Key("raw").Obj()
	for _, d := range ds {
		w.Key(d.Key)
		value(w, d)
	}
	w.End().End()
}
