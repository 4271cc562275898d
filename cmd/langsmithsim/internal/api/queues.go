package api

import (
	"net/http"
	"slices"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// section is where an item stands at now. A service key has no identity: what nobody has reviewed is "mine",
// what waits for another reviewer is "others'".
func section(it *store.QueueItem, now int64) string {
	switch {
	case it.Archived != 0 && it.Archived <= now:
		return "archived"
	case it.Reviewed != 0 && it.Reviewed <= now:
		return "needs_others_review"
	}
	return "needs_my_review"
}

func (s *Server) writeQueue(w *jsonw.W, q *store.Queue, now int64, full bool) {
	w.Obj().KV("id", q.ID.String()).KV("name", q.Name).KV("queue_type", q.Type).KV("tenant_id", s.store.Tenant.String()).
		KInt("total_runs", int64(len(s.store.QueueItems(q.ID, now))))
	textOrNull(w, "description", q.Description)
	w.KV("created_at", timeOffset(q.Created)).KV("updated_at", timeOffset(q.Created)).KNull("default_dataset").
		KInt("num_reviewers_per_item", int64(q.Reviewers)).KBool("enable_reservations", true).KInt("reservation_minutes", 10).
		KV("reviewer_access_mode", "any").Key("assigned_reviewers").Arr().EndArr().KNull("metadata").KNull("source_rule_id").KNull("run_rule_id")
	if full {
		w.KNull("rubric_instructions").KNull("rubric_items")
	}
	w.End()
}

func (s *Server) queues(w http.ResponseWriter, r *http.Request) {
	offset, limit, ok := paging(w, r)
	if !ok {
		return
	}
	now := s.asOf(r.Context())
	p := r.URL.Query()
	list := slices.DeleteFunc(s.store.Queues(now), func(q store.Queue) bool {
		return !store.MatchName(q.Name, p.Get("name"), p.Get("name_contains")) ||
			p.Get("queue_type") != "" && p.Get("queue_type") != q.Type ||
			len(p["ids"]) > 0 && !slices.Contains(p["ids"], q.ID.String())
	})
	out := new(jsonw.W).Arr()
	for _, q := range slicePage(list, offset, limit) {
		s.writeQueue(out, &q, now, false)
	}
	reply(w, 200, out.EndArr())
}

// findQueue finds the queue that the path names, or answers 404.
func (s *Server) findQueue(w http.ResponseWriter, r *http.Request) (*store.Queue, int64) {
	now := s.asOf(r.Context())
	for _, q := range s.store.Queues(now) {
		if q.ID.String() == r.PathValue("id") {
			return &q, now
		}
	}
	detail(w, http.StatusNotFound, "Annotation queue not found")
	return nil, now
}

func (s *Server) queue(w http.ResponseWriter, r *http.Request) {
	if q, now := s.findQueue(w, r); q != nil {
		out := new(jsonw.W)
		s.writeQueue(out, q, now, true)
		reply(w, 200, out)
	}
}

var sections = []string{"needs_my_review", "needs_others_review", "archived"}

func (s *Server) queueItems(w http.ResponseWriter, r *http.Request) {
	q, now := s.findQueue(w, r)
	if q == nil {
		return
	}
	p := r.URL.Query()
	size := intParam(r, "page_size", 20)
	if size < 1 || size > 100 {
		problem(w, http.StatusBadRequest, "page_size must be between 1 and 100", "")
		return
	}
	if !slices.Contains(sections, p.Get("status")) {
		problem(w, http.StatusBadRequest, "status is required: needs_my_review, needs_others_review or archived", "")
		return
	}
	items := slices.DeleteFunc(s.store.QueueItems(q.ID, now), func(it *store.QueueItem) bool { return section(it, now) != p.Get("status") })
	at := 0
	if c := p.Get("cursor"); c != "" {
		i := slices.IndexFunc(items, func(it *store.QueueItem) bool { return "after-"+it.ID.String() == c })
		if i < 0 {
			problem(w, http.StatusBadRequest, "invalid cursor", "")
			return
		}
		at = i + 1
	}
	rows := slicePage(items, at, size)
	out := new(jsonw.W)
	out.Obj().Key("items").Arr()
	for _, it := range rows {
		out.Obj().KV("id", it.ID.String()).KV("queue_id", q.ID.String()).KV("item_type", "RUN").KV("project_id", it.Project.String()).
			KV("run_id", it.Run.String()).KV("start_time", timeV2(it.RunStart)).KV("added_at", timeV2(it.Added)).KV("effective_added_at", timeV2(it.Added))
		if it.Reviewed != 0 && it.Reviewed <= now {
			out.KV("last_reviewed_time", timeV2(it.Reviewed)).KStrs("completed_by", []string{"reviewer-1"})
		} else {
			out.KNull("last_reviewed_time").KStrs("completed_by", nil)
		}
		out.KStrs("reserved_by", nil).End()
	}
	out.EndArr()
	if at+len(rows) < len(items) {
		out.KV("next_cursor", "after-"+rows[len(rows)-1].ID.String())
	} else {
		out.KNull("next_cursor")
	}
	reply(w, 200, out.End())
}

func (s *Server) queueItemCount(w http.ResponseWriter, r *http.Request) {
	q, now := s.findQueue(w, r)
	if q == nil {
		return
	}
	status := r.URL.Query().Get("status")
	if status != "all" && !slices.Contains(sections, status) {
		problem(w, http.StatusBadRequest, "status is required: all, needs_my_review, needs_others_review or archived", "")
		return
	}
	lo, hi := timeParams(r)
	n := int64(0)
	for _, it := range s.store.QueueItems(q.ID, now) {
		sec := section(it, now)
		if status == "all" || sec == status && (status != "archived" || it.Archived > lo && (hi == 0 || it.Archived < hi)) {
			n++
		}
	}
	reply(w, 200, new(jsonw.W).Obj().KInt("count", n).End())
}

// timeParams reads start_time and end_time; zero when absent or unreadable.
func timeParams(r *http.Request) (lo, hi int64) {
	lo, _ = parseTime(r.URL.Query().Get("start_time"))
	hi, _ = parseTime(r.URL.Query().Get("end_time"))
	return lo, hi
}

func (s *Server) size(w http.ResponseWriter, n int64) {
	reply(w, 200, new(jsonw.W).Obj().KInt("size", n).End())
}

func (s *Server) queueSize(w http.ResponseWriter, r *http.Request) {
	deprecated(w)
	q, now := s.findQueue(w, r)
	if q == nil {
		return
	}
	status := r.URL.Query().Get("status")
	n := int64(0)
	for _, it := range s.store.QueueItems(q.ID, now) {
		sec := section(it, now)
		if status == "" && sec != "archived" || status == sec || status == "completed" && sec == "archived" {
			n++
		}
	}
	s.size(w, n)
}

func (s *Server) queueTotalSize(w http.ResponseWriter, r *http.Request) {
	deprecated(w)
	if q, now := s.findQueue(w, r); q != nil {
		s.size(w, int64(len(s.store.QueueItems(q.ID, now))))
	}
}

func (s *Server) queueTotalArchived(w http.ResponseWriter, r *http.Request) {
	deprecated(w)
	q, now := s.findQueue(w, r)
	if q == nil {
		return
	}
	lo, hi := timeParams(r)
	n := int64(0)
	for _, it := range s.store.QueueItems(q.ID, now) {
		if section(it, now) == "archived" && it.Archived > lo && (hi == 0 || it.Archived < hi) {
			n++
		}
	}
	s.size(w, n)
}

func (s *Server) queueRuns(w http.ResponseWriter, r *http.Request) {
	deprecated(w)
	q, now := s.findQueue(w, r)
	if q == nil {
		return
	}
	offset, limit, ok := paging(w, r)
	if !ok {
		return
	}
	p := r.URL.Query()
	items := slices.DeleteFunc(s.store.QueueItems(q.ID, now), func(it *store.QueueItem) bool {
		sec := section(it, now)
		switch {
		case p.Get("status") == "completed" || p.Get("archived") == "true":
			return sec != "archived"
		case p.Get("status") != "":
			return sec != p.Get("status")
		}
		return sec == "archived"
	})
	out := new(jsonw.W).Arr()
	for _, it := range slicePage(items, offset, limit) {
		run := s.store.Get(it.Run, now)
		if run == nil {
			continue
		}
		x := &row{s: s, r: run, now: now, subtree: true}
		x.writeV1(out, nil)
		out.B = out.B[:len(out.B)-1] // the item's members join the run's
		out.KV("queue_run_id", it.ID.String()).KV("added_at", timeOffset(it.Added)).KV("effective_added_at", timeOffset(it.Added))
		if it.Reviewed != 0 && it.Reviewed <= now {
			out.KV("last_reviewed_time", timeOffset(it.Reviewed)).KStrs("completed_by", []string{"reviewer-1"})
		} else {
			out.KNull("last_reviewed_time").KStrs("completed_by", nil)
		}
		out.KStrs("reserved_by", nil).End()
	}
	reply(w, 200, out.EndArr())
}
