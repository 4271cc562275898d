package api

import (
	"encoding/json"
	"strings"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// fieldsV2 are the fields that selects knows. Those without a function are known but never have a value here.
var fieldsV2 = []struct {
	name  string
	write func(*row, *jsonw.W)
}{
	{"ID", func(x *row, w *jsonw.W) { idOrNull(w, "id", x.r.ID) }},
	{"NAME", func(x *row, w *jsonw.W) { w.KV("name", x.r.Name) }},
	{"RUN_TYPE", func(x *row, w *jsonw.W) { w.KV("run_type", strings.ToUpper(x.r.Type)) }},
	{"STATUS", func(x *row, w *jsonw.W) { w.KV("status", strings.ToUpper(x.r.StatusAt(x.now))) }},
	{"START_TIME", func(x *row, w *jsonw.W) { w.KV("start_time", timeV2(x.r.Start)) }},
	{"END_TIME", func(x *row, w *jsonw.W) { v2Time(w, "end_time", x.r.EndAt(x.now)) }},
	{"LATENCY_SECONDS", func(x *row, w *jsonw.W) {
		if end := x.r.EndAt(x.now); end != 0 {
			w.KFloat("latency_seconds", float64(end-x.r.Start)/1e6)
		}
	}},
	{"FIRST_TOKEN_TIME", func(x *row, w *jsonw.W) {
		if _, t := x.usage(); t != 0 {
			v2Time(w, "first_token_time", t)
		}
	}},
	{"ERROR", func(x *row, w *jsonw.W) { x.part(w, "error", store.PartError, true) }},
	{"ERROR_PREVIEW", func(x *row, w *jsonw.W) {
		if !x.r.Failed || !x.r.Finished(x.now) {
			w.KNull("error_preview")
			return
		}
		text, _, _ := strings.Cut(partString(x.r, store.PartError), "\n")
		w.KV("error_preview", text)
	}},
	{"EXTRA", func(x *row, w *jsonw.W) { x.part(w, "extra", store.PartExtra, true) }},
	{"METADATA", func(x *row, w *jsonw.W) { x.part(w, "metadata", store.PartMetadata, true) }},
	{"EVENTS", func(x *row, w *jsonw.W) { x.part(w, "events", store.PartEvents, true) }},
	{"INPUTS", func(x *row, w *jsonw.W) { x.part(w, "inputs", store.PartInputs, true) }},
	{"INPUTS_PREVIEW", func(x *row, w *jsonw.W) { x.part(w, "inputs_preview", store.PartInputsPreview, true) }},
	{"OUTPUTS", func(x *row, w *jsonw.W) { x.part(w, "outputs", store.PartOutputs, true) }},
	{"OUTPUTS_PREVIEW", func(x *row, w *jsonw.W) { x.part(w, "outputs_preview", store.PartOutputsPreview, true) }},
	{"MANIFEST", func(x *row, w *jsonw.W) { x.part(w, "manifest", store.PartSerialized, true) }},
	{"PARENT_RUN_IDS", func(x *row, w *jsonw.W) { x.ancestors(w) }},
	{"PROJECT_ID", func(x *row, w *jsonw.W) { idOrNull(w, "project_id", x.r.ProjectID) }},
	{"TRACE_ID", func(x *row, w *jsonw.W) { idOrNull(w, "trace_id", x.r.TraceID) }},
	{"THREAD_ID", func(x *row, w *jsonw.W) {
		if x.r.Thread != "" {
			w.KV("thread_id", x.r.Thread)
		}
	}},
	{"DOTTED_ORDER", func(x *row, w *jsonw.W) { w.KV("dotted_order", string(x.r.AppendDotted(nil))) }},
	{"IS_ROOT", func(x *row, w *jsonw.W) { w.KBool("is_root", x.r.ParentID.IsZero()) }},
	{"REFERENCE_EXAMPLE_ID", func(x *row, w *jsonw.W) {
		if !x.r.Example.IsZero() {
			idOrNull(w, "reference_example_id", x.r.Example)
		}
	}},
	{"REFERENCE_DATASET_ID", nil},
	{"TOTAL_TOKENS", func(x *row, w *jsonw.W) { u, _ := x.usage(); w.KInt("total_tokens", u.Input+u.Output) }},
	{"PROMPT_TOKENS", func(x *row, w *jsonw.W) { u, _ := x.usage(); w.KInt("prompt_tokens", u.Input) }},
	{"COMPLETION_TOKENS", func(x *row, w *jsonw.W) { u, _ := x.usage(); w.KInt("completion_tokens", u.Output) }},
	{"TOTAL_COST", func(x *row, w *jsonw.W) { u, _ := x.usage(); cost(w, "total_cost", u, u.TotalCost(), false) }},
	{"PROMPT_COST", func(x *row, w *jsonw.W) { u, _ := x.usage(); cost(w, "prompt_cost", u, u.InputCost, false) }},
	{"COMPLETION_COST", func(x *row, w *jsonw.W) { u, _ := x.usage(); cost(w, "completion_cost", u, u.OutputCost, false) }},
	{"PROMPT_TOKEN_DETAILS", func(x *row, w *jsonw.W) {
		u, _ := x.usage()
		detailsRaw(w, "prompt_token_details", u.InputDetails, tokensOf)
	}},
	{"COMPLETION_TOKEN_DETAILS", func(x *row, w *jsonw.W) {
		u, _ := x.usage()
		detailsRaw(w, "completion_token_details", u.OutputDetails, tokensOf)
	}},
	{"PROMPT_COST_DETAILS", func(x *row, w *jsonw.W) {
		u, _ := x.usage()
		detailsRaw(w, "prompt_cost_details", u.InputDetails, costNum)
	}},
	{"COMPLETION_COST_DETAILS", func(x *row, w *jsonw.W) {
		u, _ := x.usage()
		detailsRaw(w, "completion_cost_details", u.OutputDetails, costNum)
	}},
	{"PRICE_MODEL_ID", nil},
	{"TAGS", func(x *row, w *jsonw.W) { w.KStrs("tags", x.r.Tags) }},
	{"APP_PATH", func(x *row, w *jsonw.W) { w.KV("app_path", x.appPath()) }},
	{"ATTACHMENTS", func(x *row, w *jsonw.W) { w.Key("attachments").Obj().End() }},
	{"THREAD_EVALUATION_TIME", nil},
	{"IS_IN_DATASET", func(x *row, w *jsonw.W) { w.KBool("is_in_dataset", false) }},
	{"LAST_QUEUED_AT", nil},
	{"SHARE_URL", nil},
	{"FEEDBACK_STATS", func(x *row, w *jsonw.W) { feedbackStats(w, x, true) }},
	{"LS_USER_ID", nil},
}

var knownV2 = func() map[string]bool {
	m := map[string]bool{}
	for _, f := range fieldsV2 {
		m[f.name] = true
	}
	return m
}()

// writeV2 writes a row of the newer API: what was not selected is left out.
func (x *row) writeV2(w *jsonw.W, selected map[string]bool) {
	w.Obj()
	for i := range fieldsV2 {
		if f := &fieldsV2[i]; f.write != nil && selected[f.name] {
			f.write(x, w)
		}
	}
	w.End()
}

func v2Time(w *jsonw.W, key string, us int64) {
	if us == 0 {
		w.KNull(key)
		return
	}
	w.KV(key, timeV2(us))
}

// feedbackStats sums the feedback on a run.
func feedbackStats(w *jsonw.W, x *row, v2 bool) {
	entries := x.s.store.FeedbackOf(x.r.ID, x.now)
	if len(entries) == 0 {
		if v2 {
			w.Key("feedback_stats").Obj().End()
		} else {
			w.KNull("feedback_stats")
		}
		return
	}
	w.Key("feedback_stats")
	writeFeedbackStats(w, entries)
}

func writeFeedbackStats(w *jsonw.W, entries []*store.Feedback) {
	var keys []string
	by := map[string][]*store.Feedback{}
	for _, f := range entries {
		if by[f.Key] == nil {
			keys = append(keys, f.Key)
		}
		by[f.Key] = append(by[f.Key], f)
	}
	w.Obj()
	for _, k := range keys {
		var sum, lo, hi float64
		n := 0
		values, comments, sources := map[string]int64{}, []string{}, []string{}
		for _, f := range by[k] {
			if s, ok := scoreOf(f); ok {
				if n == 0 || s < lo {
					lo = s
				}
				if n == 0 || s > hi {
					hi = s
				}
				sum += s
				n++
			}
			var label string
			if json.Unmarshal([]byte(f.Value), &label) == nil && label != "" {
				values[label]++
			}
			if f.Comment != "" {
				comments = append(comments, f.Comment)
			}
			sources = append(sources, f.SourceType)
		}
		w.Key(k).Obj().KInt("n", int64(len(by[k])))
		if n > 0 {
			w.KFloat("avg", sum/float64(n)).KFloat("min", lo).KFloat("max", hi)
		} else {
			w.KNull("avg").KNull("min").KNull("max")
		}
		w.KNull("stdev").KInt("errors", 0).Key("values").Obj()
		for _, label := range sortedKeys(values) {
			w.KInt(label, values[label])
		}
		w.End().KStrs("comments", comments).KStrs("sources", sources).End()
	}
	w.End()
}
