package langsmithreceiver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	fakeKey     = "lsv2_pt_0123456789"
	fakeProject = "6f03675a-1600-435a-8999-50d836f675cc"
)

// fakeRun is a run as the fake server keeps it.
type fakeRun struct {
	id     string
	start  time.Time
	end    time.Time // zero while pending
	tokens int
}

// fakeServer is a LangSmith with one project.
type fakeServer struct {
	*httptest.Server

	mu       sync.Mutex
	runs     []fakeRun
	queries  int
	refuse   int    // status of every answer, 0 for normal ones
	refused  string // what no filter may have in it, empty for anything
	refusals int    // queries with such a filter
	hang     chan struct{}
	pageSize int
}

func newFakeServer(t *testing.T) *fakeServer {
	s := &fakeServer{pageSize: 1000}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/info", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"version":"0.17.2","instance_flags":{}}`)
	})
	mux.HandleFunc("GET /api/v1/sessions", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("offset") != "" && r.URL.Query().Get("offset") != "0" {
			fmt.Fprint(w, `[]`)
			return
		}
		fmt.Fprintf(w, `[{"id":%q,"name":"shop/assistant","start_time":"2026-01-01T00:00:00"}]`, fakeProject)
	})
	mux.HandleFunc("POST /api/v2/runs/query", s.query)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		refuse, hang := s.refuse, s.hang
		s.mu.Unlock()
		if hang != nil {
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("X-API-Key") != fakeKey {
			refuse = http.StatusUnauthorized
		}
		if refuse != 0 {
			w.WriteHeader(refuse)
			fmt.Fprintf(w, `{"detail":"refused with %d"}`, refuse)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *fakeServer) add(runs ...fakeRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = append(s.runs, runs...)
}

func (s *fakeServer) set(change func(*fakeServer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *fakeServer) query(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var q struct {
		IDs      []string  `json:"ids"`
		Min      time.Time `json:"min_start_time"`
		Max      time.Time `json:"max_start_time"`
		PageSize int       `json:"page_size"`
		Cursor   string    `json:"cursor"`
		Projects []string  `json:"project_ids"`
		Filter   string    `json:"filter"`
		Trace    string    `json:"trace_filter"`
		Tree     string    `json:"tree_filter"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || len(q.Projects) == 0 {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"title":"invalid","status":422,"detail":"project_ids is required"}`)
		return
	}
	if filters := q.Filter + q.Trace + q.Tree; s.refused != "" && strings.Contains(filters, s.refused) {
		s.refusals++
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"title":"invalid","status":400,"detail":"unknown attribute %s"}`, s.refused)
		return
	}
	s.queries++
	var found []fakeRun
	for _, run := range s.runs {
		if run.start.Before(q.Min) || (!q.Max.IsZero() && !run.start.Before(q.Max)) || (q.IDs != nil && !slices.Contains(q.IDs, run.id)) {
			continue
		}
		found = append(found, run)
	}
	slices.SortStableFunc(found, func(a, b fakeRun) int { return b.start.Compare(a.start) })
	from, _ := strconv.Atoi(q.Cursor)
	to := min(from+min(q.PageSize, s.pageSize), len(found))
	var items []string
	for _, run := range found[min(from, to):to] {
		end, status := "null", "PENDING"
		if !run.end.IsZero() {
			end, status = strconv.Quote(run.end.UTC().Format(time.RFC3339Nano)), "SUCCESS"
		}
		items = append(items, fmt.Sprintf(`{"id":%q,"trace_id":%q,"project_id":%q,"name":"ChatModel","run_type":"LLM","status":%q,`+
			`"start_time":%q,"end_time":%s,"total_tokens":%d,"prompt_tokens":%d,"total_cost":0.01,"metadata":{"ls_model_name":"gpt-5"},`+
			`"inputs":{"messages":"a secret prompt"},"dotted_order":""}`,
			run.id, run.id, fakeProject, status, run.start.UTC().Format(time.RFC3339Nano), end, run.tokens, run.tokens))
	}
	next := "null"
	if to < len(found) {
		next = strconv.Quote(strconv.Itoa(to))
	}
	fmt.Fprintf(w, `{"items":[%s],"next_cursor":%s}`, strings.Join(items, ","), next)
}

func fakeID(n int) string { return fmt.Sprintf("0190a000-0000-7000-8000-%012x", n) }
