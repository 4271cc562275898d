package langsmith

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestFailure(t *testing.T) {
	const html = "<html><body>blocked by cloudflare</body></html>"
	for _, c := range []struct {
		name, body string
		status     int
		detail     string
		is         string // r retryable, s shrink, a auth, n not found, c cursor
	}{
		{"v1 text", `{"detail":"Run not found"}`, 404, "Run not found", "n"},
		{"v1 list", `{"detail":[{"loc":["body","limit"],"msg":"too large","type":"x","input":"secret"},{"loc":["body","select",3],"msg":"bad"}]}`, 422, "limit: too large; select.3: bad", ""},
		{"v1 list of texts", `{"detail":["a","b"]}`, 400, "a; b", ""},
		{"v2 problem", `{"type":"t","title":"Not Found","status":404,"detail":"no such project","instance":"/x","remedy":"check project_ids"}`, 404, "Not Found; no such project; check project_ids", "n"},
		{"ingest", `{"error":"Forbidden","details":"{}"}`, 403, "Forbidden", "a"},
		{"organization key", `{"error":"org_scoped_key_requires_workspace"}`, 403, "org_scoped_key_requires_workspace; set workspace_id, because this key is for a whole organization", "a"},
		{"wrong key", `{"detail":"Invalid token"}`, 401, "Invalid token", "a"},
		{"JSON string", `"nope"`, 400, "nope", ""},
		{"JSON number", `7`, 400, "", ""},
		{"firewall", html, 403, "the answer does not come from LangSmith itself but from something in front of it", "r"},
		{"firewall, empty", ``, 401, "", "r"},
		{"no such route", "404 page not found", 404, "the answer does not come from LangSmith itself but from something in front of it", ""},
		{"cursor", `{"detail":"invalid Cursor"}`, 400, "invalid Cursor", "c"},
		{"not a cursor", `{"detail":"cursor database down"}`, 500, "cursor database down", "r"},
		{"conflict", `{}`, 409, "", ""},
		{"timeout", `{}`, 408, "", "r"},
		{"early", `{}`, 425, "", "r"},
		{"throttled", `{}`, 429, "", "r"},
		{"too large", html, 413, "the answer does not come from LangSmith itself but from something in front of it", "s"},
		{"oops", `{}`, 500, "", "r"},
		{"not implemented", `{}`, 501, "", ""},
		{"gateway", ``, 502, "", "rs"},
		{"away", ``, 503, "", "r"},
		{"slow", `{"detail":"deadline"}`, 504, "deadline", "rs"},
		{"key in text", `{"detail":"key mykey1 and lsv2_pt_abc_def-1, ok"}`, 400, "key [redacted] and [redacted], ok", ""},
		{"many lines", `{"detail":" a\n\tb\u0000 c "}`, 400, "a b c", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := failure("op", c.status, http.Header{}, []byte(c.body), "mykey1", time.Now())
			assert.Equal(t, c.detail, e.Detail)
			is := ""
			for flag, set := range map[string]bool{"r": e.Retryable(), "s": e.ShrinkPage(), "a": e.Auth(), "n": e.NotFound(), "c": e.Cursor()} {
				if set {
					is += flag
				}
			}
			assert.ElementsMatch(t, strings.Split(c.is, ""), strings.Split(is, ""))
		})
	}
	assert.Equal(t, []int{3}, failure("op", 422, http.Header{}, []byte(`{"detail":[{"loc":["body","select",3],"msg":"bad"}]}`), "", time.Now()).selected)
	assert.Equal(t, "op: HTTP 500: no: cut", (&Error{Op: "op", StatusCode: 500, Detail: "no", Err: errors.New("cut")}).Error())
	assert.Equal(t, "op: cut", (&Error{Op: "op", StatusCode: 200, Err: errors.New("cut")}).Error())
}

func TestFailureIsCapped(t *testing.T) {
	// The key straddles the place where the text is cut.
	text := strings.Repeat("é", 250) + "mykey1234567890" + strings.Repeat("é", 5000)
	e := failure("op", 400, http.Header{}, []byte(`{"detail":"`+text+`"}`), "mykey1234567890", time.Now())
	assert.LessOrEqual(t, len(e.Detail), maxDetail)
	assert.True(t, utf8.ValidString(e.Detail))
	assert.NotContains(t, e.Detail, "mykey")
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		header http.Header
		want   time.Duration
	}{
		{http.Header{}, 0},
		{http.Header{"Retry-After": {"3"}}, 3 * time.Second},
		{http.Header{"Retry-After": {" 1.5 "}}, 1500 * time.Millisecond},
		{http.Header{"Retry-After": {"-3"}}, 0},
		{http.Header{"Retry-After": {"0"}}, 0},
		{http.Header{"Retry-After": {"soon"}}, 0},
		{http.Header{"Retry-After": {"NaN"}}, 0},
		{http.Header{"Retry-After": {"1e300"}}, maxRetryAfter},
		{http.Header{"Retry-After": {"99999999999999999999"}}, maxRetryAfter},
		{http.Header{"Retry-After": {in(20 * time.Second)}}, 20 * time.Second},
		{http.Header{"Retry-After": {in(-20 * time.Second)}}, 0},
		{http.Header{"Retry-After": {in(9000 * time.Hour)}}, maxRetryAfter},
		{http.Header{"Retry-After": {in(3620 * time.Second)}, "Date": {in(time.Hour)}}, 20 * time.Second},
		{http.Header{"Retry-After-Ms": {"250"}, "Retry-After": {"9"}}, 250 * time.Millisecond},
	} {
		assert.Equal(t, c.want, retryAfter(c.header, now), c.header)
	}
}

func TestAllowedLimit(t *testing.T) {
	for text, want := range map[string]int{
		"Limit exceeds maximum allowed value of 100":                     100,
		"limit: ensure this value is less than or equal to 100":          100,
		"page_size must be at most 1000":                                 1000,
		"page_size: Input should be less than or equal to 500":           500,
		"unknown attribute in filter":                                    0,
		"limit 5":                                                        0,
		"Limit exceeds maximum allowed value of 99999999999999999999999": 0,
	} {
		got, ok := allowedLimit(text)
		assert.Equal(t, want > 0, ok, text)
		if ok {
			assert.Equal(t, want, got, text)
		}
	}
}

func TestPageSizer(t *testing.T) {
	p := newPageSizer(1000, 1000)
	assert.Equal(t, 1000, p.ask(0))
	assert.Equal(t, 10, p.ask(10))
	assert.Equal(t, 1000, p.ask(5000))
	p.tooHeavy(1000)
	p.tooHeavy(1000) // on its way at the same time
	assert.Equal(t, 500, p.ask(0))
	for range 20 {
		p.tooHeavy(p.ask(0))
	}
	assert.Equal(t, 1, p.ask(0))
	pages := 0
	for p.ask(0) < 1000 {
		before := p.ask(0)
		p.ok(before)
		assert.LessOrEqual(t, p.ask(0), before+max(before/2, 1))
		pages++
	}
	assert.Greater(t, pages, 100, "grows slowly after many failures")
	// One page in twenty fails for another reason: that does not make pages small.
	sum := 0
	for n := range 2000 {
		size := p.ask(0)
		sum += size
		if n%20 == 7 || n%77 == 0 {
			p.tooHeavy(size)
		} else {
			p.ok(size)
		}
	}
	assert.Greater(t, sum/2000, 700)
	// A server that cannot do more than 600 is not asked for more all the time.
	failed := 0
	for range 2000 {
		if size := p.ask(0); size > 600 {
			p.tooHeavy(size)
			failed++
		} else {
			p.ok(size)
		}
	}
	assert.Less(t, failed, 100)
	p.ok(1)
	p.limit(300)
	assert.Equal(t, 300, p.ask(0))
	p.limit(0)
	assert.Equal(t, 1, p.ask(0))
	// Small pages prove nothing about large ones.
	p = newPageSizer(100, 1000)
	for range 100 {
		p.ok(10)
	}
	assert.Equal(t, 100, p.ask(0))
}

func TestErrorKind(t *testing.T) {
	for want, e := range map[string]*Error{
		"canceled":   {Err: context.Canceled},
		"timeout":    {Err: context.DeadlineExceeded},
		"network":    {Err: errors.New("connection refused")},
		"cursor":     {StatusCode: 400, Detail: "bad cursor"},
		"unreadable": {StatusCode: 200, Err: errTruncated, unreadable: true},
		"throttled":  {StatusCode: 429},
		"auth":       {StatusCode: 403},
		"not_found":  {StatusCode: 404},
		"invalid":    {StatusCode: 422},
		"server":     {StatusCode: 503},
		"redirect":   {StatusCode: 302},
		"refused":    {StatusCode: 403, foreign: true},
	} {
		assert.Equal(t, want, e.Kind())
	}
}
