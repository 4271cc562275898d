package api

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

func (s *Server) listFeedback(w http.ResponseWriter, r *http.Request) {
	offset, limit, ok := paging(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	in := func(name, value string) bool { return len(q[name]) == 0 || slices.Contains(q[name], value) }
	var lo, hi int64
	for _, x := range []struct {
		name string
		into *int64
	}{{"min_created_at", &lo}, {"max_created_at", &hi}} {
		if v := q.Get(x.name); v != "" {
			us, err := parseTime(v)
			if err != nil {
				invalid(w, []any{"query", x.name}, "invalid datetime format", "value_error.datetime")
				return
			}
			*x.into = us
		}
	}
	yes := func(name string, have bool) bool {
		want, err := strconv.ParseBool(q.Get(name))
		return err != nil || want == have
	}
	list := s.store.Feedback(s.asOf(r.Context()), func(f *store.Feedback) bool {
		level := "run"
		if f.RunID.IsZero() {
			level = "session"
		}
		return in("run", f.RunID.String()) && in("session", f.ProjectID.String()) && in("key", f.Key) && in("source", f.SourceType) && in("level", level) &&
			f.Created >= lo && (hi == 0 || f.Created <= hi) && yes("has_comment", f.Comment != "") && yes("has_score", f.Score != "") &&
			in("feedback_thread_id", f.Thread)
	})
	out := new(jsonw.W).Arr()
	for _, f := range slicePage(list, offset, limit) {
		WriteFeedback(out, f)
	}
	reply(w, 200, out.EndArr())
}

func (s *Server) getFeedback(w http.ResponseWriter, r *http.Request) {
	id, err := store.ParseUUID(r.PathValue("id"))
	if err != nil {
		invalid(w, []any{"path", "feedback_id"}, "value is not a valid uuid", "type_error.uuid")
		return
	}
	f := s.store.FeedbackByID(id, s.asOf(r.Context()))
	if f == nil {
		detail(w, http.StatusNotFound, "Feedback not found")
		return
	}
	out := new(jsonw.W)
	WriteFeedback(out, f)
	reply(w, 200, out)
}

// WriteFeedback writes an entry as the API tells it.
func WriteFeedback(w *jsonw.W, f *store.Feedback) {
	raw := func(key, v string) {
		if v == "" {
			v = "null"
		}
		w.KRaw(key, v)
	}
	w.Obj().KV("id", f.ID.String()).KV("created_at", timeOffset(f.Created)).KV("modified_at", timeOffset(f.Modified)).KV("key", f.Key)
	raw("score", f.Score)
	raw("value", f.Value)
	textOrNull(w, "comment", f.Comment)
	raw("correction", f.Correction)
	idOrNull(w, "run_id", f.RunID)
	idOrNull(w, "trace_id", f.TraceID)
	idOrNull(w, "session_id", f.ProjectID)
	if f.RunStart != 0 {
		w.KV("start_time", timeOffset(f.RunStart))
	} else {
		w.KNull("start_time")
	}
	w.KBool("is_root", f.Root)
	textOrNull(w, "feedback_group_id", f.Group)
	w.KNull("comparative_experiment_id")
	textOrNull(w, "feedback_thread_id", f.Thread)
	raw("extra", f.Extra)
	raw("feedback_source", f.Source)
	w.End()
}

// configs are the feedback keys of the simulated traffic.
var configs = []struct{ key, config, lowerIsBetter string }{
	{"user_thumbs", `{"type":"categorical","min":null,"max":null,"categories":[{"value":0,"label":"down"},{"value":1,"label":"up"}]}`, "false"},
	{"correctness", `{"type":"continuous","min":0,"max":1,"categories":null}`, "false"},
	{"tone", `{"type":"categorical","min":null,"max":null,"categories":[{"value":0,"label":"curt"},{"value":1,"label":"neutral"},{"value":2,"label":"friendly"}]}`, "null"},
	{"hallucination", `{"type":"categorical","min":null,"max":null,"categories":[{"value":0,"label":"no"},{"value":1,"label":"yes"}]}`, "true"},
	{"resolved", `{"type":"categorical","min":null,"max":null,"categories":[{"value":0,"label":"no"},{"value":1,"label":"yes"}]}`, "false"},
	{"exact_match", `{"type":"continuous","min":0,"max":1,"categories":null}`, "false"},
}

func (s *Server) feedbackConfigs(w http.ResponseWriter, r *http.Request) {
	offset, limit, ok := paging(w, r)
	if !ok {
		return
	}
	q := r.URL.Query()
	list := slices.DeleteFunc(slices.Clone(configs), func(c struct{ key, config, lowerIsBetter string }) bool {
		return len(q["key"]) > 0 && !slices.Contains(q["key"], c.key) || !store.MatchName(c.key, "", q.Get("name_contains"))
	})
	out := new(jsonw.W).Arr()
	for _, c := range slicePage(list, offset, limit) {
		out.Obj().KV("feedback_key", c.key).KRaw("feedback_config", c.config).KV("tenant_id", s.store.Tenant.String()).
			KV("modified_at", "2026-01-15T10:00:00+00:00").KRaw("is_lower_score_better", c.lowerIsBetter).End()
	}
	reply(w, 200, out.EndArr())
}
