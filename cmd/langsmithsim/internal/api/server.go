// Package api answers LangSmith's read API, v1 and v2, from a store.
package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/faults"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// Config says what kind of server this is.
type Config struct {
	// V1 and V2 tell which generations of the run endpoints exist.
	V1, V2 bool
	// Version is what /info tells.
	Version string
	// Key is the only key accepted; empty accepts every key, but not none.
	Key string
	// RateLimit enforces the published limits of the cloud.
	RateLimit bool
	// Now is the server's clock.
	Now func() time.Time
}

// Server is the API. It is safe for concurrent use.
type Server struct {
	cfg    Config
	store  *store.Store
	faults *faults.List
	limits *limiter
	mux    *http.ServeMux

	mu       sync.Mutex
	requests map[requestKey]int
}

type requestKey struct {
	Endpoint string
	Status   int
}

// New makes a server. mount, when not nil, adds more endpoints to its mux, whose paths have neither /api nor /v1.
func New(cfg Config, st *store.Store, fl *faults.List, mount func(*http.ServeMux)) *Server {
	s := &Server{cfg: cfg, store: st, faults: fl, limits: newLimiter(cfg.Now), mux: http.NewServeMux(), requests: map[requestKey]int{}}
	if cfg.V1 {
		s.mux.HandleFunc("POST /runs/query", s.queryV1)
		s.mux.HandleFunc("POST /runs/query/validate", s.validateV1)
		s.mux.HandleFunc("GET /runs/{id}", s.getV1)
		s.mux.HandleFunc("GET /annotation-queues/{id}/runs", s.queueRuns)
		s.mux.HandleFunc("GET /annotation-queues/{id}/size", s.queueSize)
		s.mux.HandleFunc("GET /annotation-queues/{id}/total_size", s.queueTotalSize)
		s.mux.HandleFunc("GET /annotation-queues/{id}/total_archived", s.queueTotalArchived)
	}
	if cfg.V2 {
		s.mux.HandleFunc("POST /v2/runs/query", s.queryV2)
		s.mux.HandleFunc("GET /v2/runs/{id}", s.getV2)
		s.mux.HandleFunc("GET /v2/traces/{id}/runs", s.traceRunsV2)
		s.mux.HandleFunc("POST /v2/traces/query", s.tracesV2)
		s.mux.HandleFunc("GET /v2/sessions", s.sessionsV2)
		s.mux.HandleFunc("GET /platform/annotation-queues/{id}/items", s.queueItems)
		s.mux.HandleFunc("GET /platform/annotation-queues/{id}/items/count", s.queueItemCount)
	}
	s.mux.HandleFunc("GET /info", s.info)
	s.mux.HandleFunc("GET /info/health", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, new(jsonw.W).Obj().KFloat("clickhouse_disk_free_pct", 61.5).End())
	})
	s.mux.HandleFunc("GET /ok", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, new(jsonw.W).Obj().KBool("ok", true).End())
	})
	s.mux.HandleFunc("GET /workspaces", s.workspaces)
	s.mux.HandleFunc("GET /workspaces/current/stats", s.workspaceStats)
	s.mux.HandleFunc("GET /workspaces/current/usage_limits", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, new(jsonw.W).Obj().KBool("in_reject_set", false).KNull("usage_limit_type").KNull("tenant_limit").End())
	})
	s.mux.HandleFunc("GET /sessions", s.sessionsV1)
	s.mux.HandleFunc("GET /sessions/{id}", s.sessionV1)
	s.mux.HandleFunc("POST /runs/stats", s.stats)
	s.mux.HandleFunc("GET /feedback", s.listFeedback)
	s.mux.HandleFunc("GET /feedback/{id}", s.getFeedback)
	s.mux.HandleFunc("GET /feedback-configs", s.feedbackConfigs)
	s.mux.HandleFunc("GET /annotation-queues", s.queues)
	s.mux.HandleFunc("GET /annotation-queues/{id}", s.queue)
	s.mux.HandleFunc("GET /blobs/{id}/{part}", s.blob)
	if mount != nil {
		mount(s.mux)
	}
	return s
}

// canonical takes /api and /v1 off a path, as the server answers to both spellings.
func canonical(path string) string {
	if rest, ok := strings.CutPrefix(path, "/api/"); ok {
		path = "/" + rest
	}
	if rest, ok := strings.CutPrefix(path, "/v1/"); ok {
		path = "/" + rest
	}
	return path
}

// now is the server's time in microseconds for a request.
func (s *Server) now(ctx context.Context) int64 {
	t := s.cfg.Now()
	if f := faults.From(ctx).Get(faults.Clock); f != nil {
		t = t.Add(time.Duration(f.Delay))
	}
	return t.UnixMicro()
}

// asOf is the point in time whose state the server tells; it lies behind now when the index lags.
func (s *Server) asOf(ctx context.Context) int64 {
	now := s.now(ctx)
	if f := faults.From(ctx).Get(faults.Late); f != nil {
		now -= time.Duration(f.Delay).Microseconds()
	}
	return now
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hit := s.faults.Strike(r)
	ctx := hit.With(r.Context())
	if f := hit.Get(faults.Slow); f != nil {
		select {
		case <-time.After(time.Duration(f.Delay)):
		case <-ctx.Done():
			return
		}
	}
	if hit.Get(faults.Reset) != nil {
		s.count(r.Method+" "+r.URL.Path, 0)
		reset(w)
		return
	}
	inner := r.Clone(ctx)
	inner.URL.Path = canonical(r.URL.Path)
	inner.URL.RawPath = ""
	buf := &buffer{header: http.Header{}, status: 200}
	_, pattern := s.mux.Handler(inner)
	s.answer(buf, inner, hit, pattern)
	if f := hit.Get(faults.TooLarge); f != nil && int64(buf.body.Len()) > f.Bytes {
		buf = &buffer{header: http.Header{}, status: 200}
		buf.header.Set("Content-Type", "text/html")
		buf.WriteHeader(f.Status)
		fmt.Fprintf(buf, "<html><body><h1>%d %s</h1></body></html>", f.Status, http.StatusText(f.Status))
	}
	endpoint := pattern
	if endpoint == "" {
		endpoint = r.Method + " " + inner.URL.Path
	}
	s.count(endpoint, buf.status)
	buf.header.Set("Date", time.UnixMicro(s.now(ctx)).UTC().Format(http.TimeFormat))
	buf.send(w, r, hit.Get(faults.Truncate) != nil)
}

func (s *Server) answer(w *buffer, r *http.Request, hit faults.Struck, pattern string) {
	if f := hit.Get(faults.Status); f != nil {
		if f.RetryAfter != "" {
			w.header.Set("Retry-After", f.RetryAfter)
		}
		w.header.Set("Content-Type", "application/json")
		w.WriteHeader(f.Status)
		if f.Body != "" {
			_, _ = w.Write([]byte(f.Body))
		} else {
			_, _ = w.Write(new(jsonw.W).Obj().KV("detail", http.StatusText(f.Status)).End().B)
		}
		return
	}
	if hit.Get(faults.HTML403) != nil {
		w.header.Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("<!DOCTYPE html><html><head><title>Attention Required!</title></head><body><h1>Sorry, you have been blocked</h1></body></html>"))
		return
	}
	if pattern == "" {
		detail(w, http.StatusNotFound, "Not Found")
		return
	}
	if !s.authorized(w, r) {
		return
	}
	if s.cfg.RateLimit {
		if wait, ok := s.limits.allow(r, pattern); !ok {
			tooMany(w, wait)
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// authorized checks the key as the authentication layer does.
func (s *Server) authorized(w http.ResponseWriter, r *http.Request) bool {
	if p := r.URL.Path; strings.HasPrefix(p, "/info") || p == "/ok" || strings.HasPrefix(p, "/blobs/") {
		return true
	}
	key := r.Header.Get("X-API-Key")
	if key == "" {
		key = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	if key == "" || s.cfg.Key != "" && key != s.cfg.Key {
		if strings.HasPrefix(r.URL.Path, "/v2/") {
			problem(w, http.StatusUnauthorized, "Invalid token", "check the X-API-Key header")
		} else {
			detail(w, http.StatusUnauthorized, "Invalid token")
		}
		return false
	}
	if strings.Contains(key, "_org_") && r.Header.Get("X-Tenant-Id") == "" {
		reply(w, http.StatusForbidden, new(jsonw.W).Obj().KV("error", "org_scoped_key_requires_workspace").End())
		return false
	}
	return true
}

func (s *Server) count(endpoint string, status int) {
	s.mu.Lock()
	s.requests[requestKey{endpoint, status}]++
	s.mu.Unlock()
}

// Requests tells how many requests each endpoint had by status; status 0 is a reset connection.
func (s *Server) Requests() map[string]map[int]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]map[int]int{}
	for k, n := range s.requests {
		if out[k.Endpoint] == nil {
			out[k.Endpoint] = map[int]int{}
		}
		out[k.Endpoint][k.Status] = n
	}
	return out
}

// buffer holds an answer until it is complete.
type buffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *buffer) Header() http.Header         { return b.header }
func (b *buffer) WriteHeader(status int)      { b.status = status }
func (b *buffer) Write(p []byte) (int, error) { return b.body.Write(p) }

var gzipPool = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	return z
}}

func (b *buffer) send(w http.ResponseWriter, r *http.Request, truncate bool) {
	body := b.body.Bytes()
	if len(body) > 1024 && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var packed bytes.Buffer
		z := gzipPool.Get().(*gzip.Writer)
		z.Reset(&packed)
		_, _ = z.Write(body)
		_ = z.Close()
		gzipPool.Put(z)
		body = packed.Bytes()
		b.header.Set("Content-Encoding", "gzip")
	}
	maps.Copy(w.Header(), b.header)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(b.status)
	if truncate {
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}

// reset closes the connection so that the peer sees a reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
