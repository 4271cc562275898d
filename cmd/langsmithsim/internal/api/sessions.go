package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

func (s *Server) info(w http.ResponseWriter, _ *http.Request) {
	j := new(jsonw.W).Obj().KV("version", s.cfg.Version).KV("git_sha", "0c4f2b7").KNull("license_expiration_time").
		Key("batch_ingest_config").Obj().KBool("use_multipart_endpoint", true).KInt("scale_up_qsize_trigger", 1000).KInt("scale_up_nthreads_limit", 16).
		KInt("scale_down_nempty_trigger", 4).KInt("size_limit", 100).KInt("size_limit_bytes", 20_971_520).End().
		Key("instance_flags").Obj()
	if !s.cfg.V1 {
		j.KBool("ch_query_enabled", false)
	}
	if s.cfg.V2 {
		j.KBool("sdb_query_enabled", true)
	}
	j.KBool("gzip_body_enabled", true).KBool("zstd_compression_enabled", true).KBool("dataset_examples_multipart_enabled", true).End().KNull("customer_info")
	reply(w, 200, j.End())
}

func (s *Server) workspaces(w http.ResponseWriter, _ *http.Request) {
	reply(w, 200, new(jsonw.W).Arr().Obj().KV("id", s.store.Tenant.String()).KNull("organization_id").KV("created_at", "2025-01-07T08:00:00+00:00").
		KV("display_name", "Simulated workspace").KBool("is_personal", false).KBool("is_deleted", false).KNull("tenant_handle").KNull("data_plane_url").
		KBool("read_only", false).KNull("role_id").KNull("role_name").KNull("permissions").End().EndArr())
}

func (s *Server) workspaceStats(w http.ResponseWriter, r *http.Request) {
	reply(w, 200, new(jsonw.W).Obj().KV("tenant_id", s.store.Tenant.String()).KInt("dataset_count", 1).KInt("tracer_session_count", int64(len(s.store.Projects()))).
		KInt("repo_count", 0).KInt("annotation_queue_count", int64(len(s.store.Queues(s.now(r.Context()))))).KInt("deployment_count", 0).KInt("dashboards_count", 0).KInt("evaluator_count", 0).End())
}

func (s *Server) matchProject(q url.Values, p *store.Project) bool {
	if !store.MatchName(p.Name, q.Get("name"), q.Get("name_contains")) {
		return false
	}
	if list := q["id"]; len(list) > 0 && !slices.ContainsFunc(list, func(id string) bool { return strings.EqualFold(id, p.ID.String()) }) {
		return false
	}
	if list := q["reference_dataset"]; len(list) > 0 && !slices.Contains(list, p.Dataset.String()) {
		return false
	}
	if free, err := strconv.ParseBool(q.Get("reference_free")); err == nil && free != p.Dataset.IsZero() {
		return false
	}
	if types := q["type"]; len(types) > 0 {
		kind := "PROJECT"
		if !p.Dataset.IsZero() {
			kind = "EXPERIMENT"
		}
		return slices.Contains(types, kind)
	}
	return true
}

func (s *Server) matching(q url.Values) (out []*store.Project) {
	for _, p := range s.store.Projects() {
		if s.matchProject(q, p) {
			out = append(out, p)
		}
	}
	if d, err := strconv.ParseBool(q.Get("sort_by_desc")); err == nil && !d {
		slices.Reverse(out)
	}
	if strings.EqualFold(q.Get("sort_by"), "name") {
		slices.SortFunc(out, func(a, b *store.Project) int { return strings.Compare(a.Name, b.Name) })
	}
	return out
}

// paging reads offset and limit of the older API.
func paging(w http.ResponseWriter, r *http.Request) (offset, limit int, ok bool) {
	offset, limit = intParam(r, "offset", 0), intParam(r, "limit", 100)
	switch {
	case limit < 1:
		invalid(w, []any{"query", "limit"}, "ensure this value is greater than or equal to 1", "value_error.number.not_ge")
	case limit > 100:
		invalid(w, []any{"query", "limit"}, "ensure this value is less than or equal to 100", "value_error.number.not_le")
	case offset < 0:
		invalid(w, []any{"query", "offset"}, "ensure this value is greater than or equal to 0", "value_error.number.not_ge")
	default:
		return offset, limit, true
	}
	return 0, 0, false
}

func slicePage[T any](list []T, offset, limit int) []T {
	offset = min(offset, len(list))
	return list[offset:min(offset+limit, len(list))]
}

func (s *Server) sessionsV1(w http.ResponseWriter, r *http.Request) {
	offset, limit, ok := paging(w, r)
	if !ok {
		return
	}
	now := s.asOf(r.Context())
	q := r.URL.Query()
	out := new(jsonw.W).Arr()
	for _, p := range slicePage(s.matching(q), offset, limit) {
		s.writeSession(out, p, now, q, false)
	}
	reply(w, 200, out.EndArr())
}

func (s *Server) sessionV1(w http.ResponseWriter, r *http.Request) {
	id, err := store.ParseUUID(r.PathValue("id"))
	if err != nil {
		invalid(w, []any{"path", "session_id"}, "value is not a valid uuid", "type_error.uuid")
		return
	}
	p := s.store.Project(id)
	if p == nil {
		detail(w, http.StatusNotFound, "Session not found")
		return
	}
	out := new(jsonw.W)
	s.writeSession(out, p, s.asOf(r.Context()), r.URL.Query(), false)
	reply(w, 200, out)
}

func (s *Server) sessionsV2(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	size := intParam(r, "page_size", 100)
	if size < 1 || size > 100 {
		problem(w, http.StatusBadRequest, "page_size must be between 1 and 100", "")
		return
	}
	list := s.matching(q)
	at := 0
	if c := q.Get("cursor"); c != "" {
		i := slices.IndexFunc(list, func(p *store.Project) bool { return "after-"+p.ID.String() == c })
		if i < 0 {
			problem(w, http.StatusBadRequest, "invalid cursor", "")
			return
		}
		at = i + 1
	}
	now := s.asOf(r.Context())
	rows := slicePage(list, at, size)
	out := new(jsonw.W)
	out.Obj().Key("items").Arr()
	for _, p := range rows {
		s.writeSession(out, p, now, q, true)
	}
	out.EndArr()
	if at+len(rows) < len(list) {
		out.KV("next_cursor", "after-"+rows[len(rows)-1].ID.String())
	} else {
		out.KNull("next_cursor")
	}
	reply(w, 200, out.End())
}

func (s *Server) writeSession(w *jsonw.W, p *store.Project, now int64, q url.Values, v2 bool) {
	stamp := timeOffset
	tier := "shortlived"
	if v2 {
		stamp, tier = timeV2, "SHORT_LIVED"
	}
	w.Obj().KV("id", p.ID.String()).KV("tenant_id", s.store.Tenant.String()).KV("name", p.Name).KNull("description").
		KV("start_time", stamp(p.Created)).KNull("end_time").KNull("extra").KNull("default_dataset_id")
	idOrNull(w, "reference_dataset_id", p.Dataset)
	w.KV("trace_tier", tier).KNull("longlived_ttl_days").KNull("test_run_number")
	last := s.store.LastStart(p, now)
	switch {
	case last == 0:
		w.KNull("last_run_start_time_live")
	case v2:
		w.KV("last_run_start_time_live", timeV2(last))
	default:
		w.KV("last_run_start_time_live", timeV1(last))
	}
	if yes, _ := strconv.ParseBool(q.Get("include_stats")); yes {
		since := now - 7*day
		if t, err := parseTime(q.Get("stats_start_time")); err == nil {
			since = t
		}
		root := true
		rows, _ := s.store.Find(store.Query{Projects: []store.UUID{p.ID}, MinStart: since, Root: &root}, now)
		s.writeStats(w, rows, now, false)
	}
	w.End()
}
