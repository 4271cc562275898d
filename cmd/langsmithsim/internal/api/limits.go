package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// limiter enforces the cloud's published limits by key: so many requests in a window that starts with the
// first of them.
type limiter struct {
	now func() time.Time

	mu      sync.Mutex
	windows map[limitKey]*window
	refused int
}

type limitKey struct{ key, class string }

type window struct {
	start time.Time
	n     int
}

type limit struct {
	n   int
	per time.Duration
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, windows: map[limitKey]*window{}}
}

var limits = map[string]limit{
	"POST /runs/query":     {10, 10 * time.Second},
	"POST /v2/runs/query":  {300, 10 * time.Second},
	"GET /v2/runs/{id}":    {300, 10 * time.Second},
	"GET /runs/{id}":       {30, time.Minute},
	"POST /runs/stats":     {1, 10 * time.Second},
	"POST /feedback":       {2000, 10 * time.Second},
	"POST /runs":           {2000, 10 * time.Second},
	"PATCH /runs/{id}":     {2000, 10 * time.Second},
	"POST /runs/batch":     {2000, 10 * time.Second},
	"POST /runs/multipart": {6000, 10 * time.Second},
	"GET /info":            {2000, 10 * time.Second},
}

var (
	anyRequest = limit{1000, 10 * time.Second}
	// The older query has tiers by tenant on top.
	longWindow     = limit{3, 10 * time.Second}
	fullText       = limit{3, 10 * time.Second}
	fullTextAndAll = limit{1, 10 * time.Second}
)

// allow counts a request. When it is one too many, wait is what Retry-After should say; zero means that this
// answer goes without, as the server does not promise the header.
func (l *limiter) allow(r *http.Request, pattern string) (wait time.Duration, ok bool) {
	key := r.Header.Get("X-API-Key") + r.Header.Get("Authorization")
	type check struct {
		class string
		limit limit
	}
	var checks []check
	if pattern != "GET /info" {
		checks = append(checks, check{"any", anyRequest})
	}
	if li, found := limits[pattern]; found {
		checks = append(checks, check{pattern, li})
	}
	if pattern == "POST /runs/query" {
		if class, li := tierV1(r, l.now()); class != "" {
			checks = append(checks, check{class, li})
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, c := range checks {
		k := limitKey{key, c.class}
		w := l.windows[k]
		if w == nil || now.Sub(w.start) >= c.limit.per {
			w = &window{start: now}
			l.windows[k] = w
		}
		if w.n >= c.limit.n {
			l.refused++
			if l.refused%2 == 0 {
				return 0, false
			}
			return c.limit.per - now.Sub(w.start), false
		}
	}
	for _, c := range checks {
		l.windows[limitKey{key, c.class}].n++
	}
	return 0, true
}

// tierV1 finds the tier of an older query by the length of its window. It leaves the body readable.
func tierV1(r *http.Request, now time.Time) (class string, li limit) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	_ = r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(body))
	var q struct {
		StartTime    string   `json:"start_time"`
		EndTime      string   `json:"end_time"`
		ID           []string `json:"id"`
		Trace        string   `json:"trace"`
		Query        string   `json:"query"`
		SearchFilter string   `json:"search_filter"`
		Filter       string   `json:"filter"`
		Select       []string `json:"select"`
	}
	if err != nil || json.Unmarshal(body, &q) != nil {
		return "", limit{}
	}
	long := q.StartTime == "" && len(q.ID) == 0 && q.Trace == ""
	if start, err := parseTime(q.StartTime); err == nil {
		end := now.UnixMicro()
		if e, err := parseTime(q.EndTime); err == nil {
			end = e
		}
		long = time.Duration(end-start)*time.Microsecond > 7*24*time.Hour
	}
	heavy := q.Query != "" || q.SearchFilter != "" || fullTextFilter(q.Filter)
	for _, s := range q.Select {
		heavy = heavy || s == "child_run_ids"
	}
	switch {
	case heavy && long:
		return "v1 heavy long", fullTextAndAll
	case heavy:
		return "v1 heavy", fullText
	case long:
		return "v1 long", longWindow
	}
	return "", limit{}
}
