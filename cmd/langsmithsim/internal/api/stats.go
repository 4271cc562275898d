package api

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func scoreOf(f *store.Feedback) (float64, bool) {
	switch f.Score {
	case "true":
		return 1, true
	case "false":
		return 0, true
	}
	var n float64
	if f.Score == "" || json.Unmarshal([]byte(f.Score), &n) != nil {
		return 0, false
	}
	return n, true
}

func (s *Server) stats(w http.ResponseWriter, r *http.Request) {
	b, raw, ok := decodeV1(w, r)
	if !ok {
		return
	}
	if len(b.Session) == 0 {
		detail(w, http.StatusBadRequest, "'session' must be specified")
		return
	}
	now := s.asOf(r.Context())
	q, fail := b.query(now)
	if fail != nil {
		fail.v1(w)
		return
	}
	rows, _ := s.store.Find(q, now)
	var group struct {
		GroupBy *struct {
			Attribute string `json:"attribute"`
			MaxGroups int    `json:"max_groups"`
		} `json:"group_by"`
	}
	_ = json.Unmarshal(raw, &group)
	out := new(jsonw.W).Obj()
	if group.GroupBy == nil {
		s.writeStats(out, rows, now, true)
		reply(w, 200, out.End())
		return
	}
	groups := map[string][]*store.Run{}
	for _, run := range rows {
		key := run.Name
		if group.GroupBy.Attribute == "run_type" {
			key = run.Type
		}
		groups[key] = append(groups[key], run)
	}
	for _, key := range sortedKeys(groups) {
		out.Key(key).Obj()
		s.writeStats(out, groups[key], now, true)
		out.End()
	}
	reply(w, 200, out.End())
}

// writeStats writes the members of a summary. Costs are text where the older API has text.
func (s *Server) writeStats(w *jsonw.W, rows []*store.Run, now int64, text bool) {
	var latencies, firsts []int64
	var sum store.Usage
	var failed, streamed, last int64
	var feedback []*store.Feedback
	seen := map[store.UUID]bool{}
	for _, r := range rows {
		if end := r.EndAt(now); end != 0 {
			latencies = append(latencies, end-r.Start)
		}
		if r.Failed && r.Finished(now) {
			failed++
		}
		// Parents tell sums over their subtree; each call counts once all the same.
		if r.ParentID.IsZero() {
			u, first := s.store.Subtree(r, now)
			if first != 0 {
				streamed++
				firsts = append(firsts, first-r.Start)
			}
			sum.Add(&u)
			seen[r.TraceID] = true
		}
		last = max(last, r.Start)
		feedback = append(feedback, s.store.FeedbackOf(r.ID, now)...)
	}
	for _, r := range rows {
		if u := r.UsageAt(now); u != nil && !r.Outer && !seen[r.TraceID] {
			sum.Add(u)
		}
	}
	w.KInt("run_count", int64(len(rows)))
	quantiles(w, "latency", latencies)
	quantiles(w, "first_token", firsts)
	w.KInt("total_tokens", sum.Input+sum.Output).KInt("prompt_tokens", sum.Input).KInt("completion_tokens", sum.Output)
	cost(w, "total_cost", &sum, sum.TotalCost(), text)
	cost(w, "prompt_cost", &sum, sum.InputCost, text)
	cost(w, "completion_cost", &sum, sum.OutputCost, text)
	v1Time(w, "last_run_start_time", last)
	if n := float64(len(rows)); n > 0 {
		w.KFloat("error_rate", float64(failed)/n).KFloat("streaming_rate", float64(streamed)/n)
	} else {
		w.KNull("error_rate").KNull("streaming_rate")
	}
	w.Key("feedback_stats")
	writeFeedbackStats(w, feedback)
}

func quantiles(w *jsonw.W, name string, us []int64) {
	if len(us) == 0 {
		w.KNull(name + "_p50").KNull(name + "_p99")
		return
	}
	slices.Sort(us)
	at := func(q float64) float64 { return float64(us[int(q*float64(len(us)-1))]) / 1e6 }
	w.KFloat(name+"_p50", at(0.5)).KFloat(name+"_p99", at(0.99))
}
