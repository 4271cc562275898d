package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
)

func reply(w http.ResponseWriter, status int, body *jsonw.W) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body.B)
}

// detail is an error of the older API.
func detail(w http.ResponseWriter, status int, text string) {
	reply(w, status, new(jsonw.W).Obj().KV("detail", text).End())
}

// invalid is a failed validation of the older API.
func invalid(w http.ResponseWriter, loc []any, msg, typ string) {
	j := new(jsonw.W).Obj().Key("detail").Arr().Obj().Key("loc").Arr()
	for _, l := range loc {
		switch l := l.(type) {
		case string:
			j.Str(l)
		case int:
			j.Int(int64(l))
		}
	}
	reply(w, http.StatusUnprocessableEntity, j.EndArr().KV("msg", msg).KV("type", typ).End().EndArr().End())
}

// problem is an error of the newer API, as RFC 7807 has it.
func problem(w http.ResponseWriter, status int, text, remedy string) {
	j := new(jsonw.W).Obj().KV("type", "about:blank").KV("title", http.StatusText(status)).KInt("status", int64(status)).KV("detail", text)
	if remedy != "" {
		j.KV("remedy", remedy)
	}
	reply(w, status, j.End())
	w.Header().Set("Content-Type", "application/problem+json")
}

func tooMany(w http.ResponseWriter, wait time.Duration) {
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	}
	detail(w, http.StatusTooManyRequests, "Rate limit exceeded")
}

// parseTime reads a time with or without zone to microseconds since the Unix epoch.
func parseTime(s string) (int64, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMicro(), nil
		}
	}
	return 0, fmt.Errorf("invalid datetime format: %q", s)
}

// timeV1 writes a time as the older API does: no zone, and no fraction when it is zero.
func timeV1(us int64) string {
	layout := "2006-01-02T15:04:05.000000"
	if us%1_000_000 == 0 {
		layout = "2006-01-02T15:04:05"
	}
	return time.UnixMicro(us).UTC().Format(layout)
}

// timeOffset writes a time with an offset, as the older API does for feedback.
func timeOffset(us int64) string {
	return time.UnixMicro(us).UTC().Format("2006-01-02T15:04:05.000000-07:00")
}

func timeV2(us int64) string { return time.UnixMicro(us).UTC().Format(time.RFC3339Nano) }
