package sim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/faults"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/ingest"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

const maxAdminBody = 256 << 20

func (s *Sim) admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/totals", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Totals()) })
	mux.HandleFunc("GET /admin/runs", s.listRuns)
	mux.HandleFunc("POST /admin/runs", s.insertRuns)
	mux.HandleFunc("DELETE /admin/traces/{id}", s.deleteTrace)
	mux.HandleFunc("GET /admin/requests", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Server.Requests()) })
	mux.HandleFunc("GET /admin/faults", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Faults.All()) })
	mux.HandleFunc("POST /admin/faults", s.setFaults)
	mux.HandleFunc("GET /admin/traffic", s.getTraffic)
	mux.HandleFunc("POST /admin/traffic", s.setTraffic)
	return mux
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}

func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAdminBody)).Decode(v); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func (s *Sim) setFaults(w http.ResponseWriter, r *http.Request) {
	var list []*faults.Fault
	if !decode(w, r, &list) {
		return
	}
	if err := s.Faults.Set(list); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, s.Faults.All())
}

func (s *Sim) getTraffic(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer(w, map[string]any{"rate": s.rate})
}

func (s *Sim) setTraffic(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Rate *float64 `json:"rate"`
	}
	if !decode(w, r, &body) {
		return
	}
	if body.Rate == nil || *body.Rate < 0 {
		http.Error(w, `send {"rate": traces per second, 0 to stop}`, http.StatusBadRequest)
		return
	}
	s.SetRate(*body.Rate)
	answer(w, map[string]any{"rate": *body.Rate})
}

func (s *Sim) deleteTrace(w http.ResponseWriter, r *http.Request) {
	id, err := store.ParseUUID(r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, map[string]int{"deleted": s.Store.DeleteTrace(id)})
}

// insertRuns takes runs as either API tells them, as an array or as a page.
func (s *Sim) insertRuns(w http.ResponseWriter, r *http.Request) {
	var raw json.RawMessage
	if !decode(w, r, &raw) {
		return
	}
	var page struct {
		Runs  []json.RawMessage `json:"runs"`
		Items []json.RawMessage `json:"items"`
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		if err := json.Unmarshal(raw, &page); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		list = append(page.Runs, page.Items...)
	}
	runs := make([]*store.Run, 0, len(list))
	for i, one := range list {
		run, err := ingest.FromAPI(one, s.Store, s.cfg.Now().UnixMicro())
		if err != nil {
			http.Error(w, fmt.Sprintf("run %d: %s", i, err), http.StatusBadRequest)
			return
		}
		runs = append(runs, run)
	}
	refused := s.Store.Insert(runs...)
	answer(w, map[string]int{"inserted": len(runs) - refused, "refused": refused})
}

// listRuns writes every finished run as a line of JSON.
func (s *Sim) listRuns(w http.ResponseWriter, r *http.Request) {
	now := s.cfg.Now().UnixMicro()
	all := r.URL.Query().Get("all") == "true"
	project := r.URL.Query().Get("project")
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriterSize(w, 1<<16)
	defer func() { _ = out.Flush() }()
	stamp := func(us int64) string { return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05.000000Z") }
	type line struct {
		project *store.Project
		run     *store.Run
	}
	var lines []line // collected first: a slow reader must not hold up the store
	for p, run := range s.Store.All {
		if (all && run.Seen <= now || run.Finished(now)) && (project == "" || project == p.Name) {
			lines = append(lines, line{p, run})
		}
	}
	j := jsonw.W{}
	for _, l := range lines {
		run := l.run
		j.B = j.B[:0]
		j.Obj().KV("id", run.ID.String()).KV("trace_id", run.TraceID.String())
		if run.ParentID.IsZero() {
			j.KNull("parent_run_id")
		} else {
			j.KV("parent_run_id", run.ParentID.String())
		}
		j.KV("project", l.project.Name).KV("name", run.Name).KV("run_type", run.Type).KV("status", run.StatusAt(now)).KV("start_time", stamp(run.Start))
		if end := run.EndAt(now); end != 0 {
			j.KV("end_time", stamp(end))
		} else {
			j.KNull("end_time")
		}
		if run.FirstToken != 0 {
			j.KV("first_token_time", stamp(run.FirstToken))
		}
		if u := run.Usage; u != nil {
			j.KInt("input_tokens", u.Input).KInt("output_tokens", u.Output).KInt("cache_read_tokens", u.CacheRead()).KInt("cache_write_tokens", u.CacheWrite()).
				KInt("reasoning_tokens", u.Reasoning())
			if u.Priced {
				j.KV("cost", u.TotalCost().String())
			}
		}
		j.KV("thread_id", run.Thread).KBool("outer", run.Outer).KBool("settled", run.Finished(now) && run.Settled <= now)
		if t := run.Truth; t != nil {
			j.KV("operation", t.Operation).KV("provider", t.Provider).KV("request_model", t.RequestModel).KV("response_model", t.ResponseModel).KV("error_type", t.ErrorType)
			if t.SpanID != "" {
				j.KV("otel_span_id", t.SpanID)
			}
		}
		j.End()
		j.B = append(j.B, '\n')
		if _, err := out.Write(j.B); err != nil {
			return
		}
	}
}
