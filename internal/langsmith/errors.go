package langsmith

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// maxDetail is how many bytes of a server's words an error repeats.
	maxDetail = 512
	// maxErrorBody is how much of a failed answer is read.
	maxErrorBody = 64 << 10
	// maxRetryAfter bounds what a server may ask for: its longest published window is a minute.
	maxRetryAfter = 10 * time.Minute
)

// Error is a request that failed. Its text holds neither the key nor content of runs.
type Error struct {
	// Op is what was asked for, such as "query runs".
	Op string
	// StatusCode is of the answer, zero when there was none.
	StatusCode int
	// Detail is the server's own words on one line, at most 512 bytes.
	Detail string
	// RetryAfter is how long the server asked to wait, at most ten minutes; zero when it did not ask.
	RetryAfter time.Duration
	// Err is what failed when there was no answer, or when the answer could not be read.
	Err error

	// foreign: the answer comes from something in front of LangSmith and not from LangSmith.
	foreign bool
	// unreadable: the answer was cut short, or was no page of runs.
	unreadable bool
	// cursor: the server gave a cursor twice.
	cursor bool
	// held: the answer was held up on this side before it broke off.
	held bool
	// selected are the indexes of the select list that a validation error names.
	selected []int
}

// Error is one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.StatusCode >= 300 {
		fmt.Fprintf(&b, ": HTTP %d", e.StatusCode)
	}
	if e.Detail != "" {
		b.WriteString(": ")
		b.WriteString(e.Detail)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns what failed below.
func (e *Error) Unwrap() error { return e.Err }

// Retryable tells whether the same request may succeed later: after a failed connection, a cut answer, 408,
// 425, 429, 5xx but 501, and after a 401 or 403 that did not come from LangSmith itself.
func (e *Error) Retryable() bool {
	switch {
	case errors.Is(e.Err, context.Canceled):
		return false
	case e.StatusCode == 0, e.unreadable, e.cursor:
		return true
	}
	switch e.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return e.foreign
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented:
		return false
	}
	return e.StatusCode >= 500
}

// ShrinkPage tells whether the page was probably too heavy for the server, for something in between, or for the
// timeout. The client asks for smaller pages by itself then.
func (e *Error) ShrinkPage() bool {
	if errors.Is(e.Err, context.Canceled) || e.held {
		return false
	}
	switch e.StatusCode {
	case http.StatusRequestEntityTooLarge, http.StatusBadGateway, http.StatusGatewayTimeout:
		return true
	}
	// A single run may be what breaks a page, too.
	return e.unreadable && !errors.Is(e.Err, errNotPage) || e.timeout()
}

func (e *Error) timeout() bool {
	var timeout net.Error
	return errors.Is(e.Err, context.DeadlineExceeded) || errors.As(e.Err, &timeout) && timeout.Timeout()
}

// Kind is a short name for what went wrong, for counting: canceled, timeout, network, unreadable, throttled, auth,
// not_found, cursor, invalid, redirect, server or, for any other answer, refused.
func (e *Error) Kind() string {
	switch {
	case errors.Is(e.Err, context.Canceled):
		return "canceled"
	case e.timeout():
		return "timeout"
	case e.StatusCode == 0:
		return "network"
	case e.Cursor():
		return "cursor"
	case e.unreadable:
		return "unreadable"
	case e.Throttled():
		return "throttled"
	case e.Auth():
		return "auth"
	case e.NotFound():
		return "not_found"
	case e.invalid():
		return "invalid"
	case e.StatusCode >= 500:
		return "server"
	case e.StatusCode >= 300 && e.StatusCode < 400:
		return "redirect"
	default:
		return "refused"
	}
}

// Auth tells whether LangSmith refused the key or what it may do.
func (e *Error) Auth() bool {
	return !e.foreign && (e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden)
}

// NotFound tells whether LangSmith says that what was asked for does not exist.
func (e *Error) NotFound() bool {
	return !e.foreign && !e.cursor && (e.StatusCode == http.StatusNotFound || e.StatusCode == http.StatusGone)
}

// Throttled tells whether the request budget is used up.
func (e *Error) Throttled() bool { return e.StatusCode == http.StatusTooManyRequests }

// Foreign tells whether the answer is not LangSmith's own: it comes from something in front of it, or from another server.
func (e *Error) Foreign() bool { return e.foreign }

// Cursor tells whether the cursor is not good any more: read the window again from its beginning.
func (e *Error) Cursor() bool {
	return e.cursor || e.invalid() && strings.Contains(strings.ToLower(e.Detail), "cursor")
}

// invalid tells whether the server did not understand the request.
func (e *Error) invalid() bool {
	return e.StatusCode == http.StatusBadRequest || e.StatusCode == http.StatusUnprocessableEntity
}

// noRoute tells whether the server does not know the address, as against not knowing what it names.
func (e *Error) noRoute() bool {
	switch e.StatusCode {
	case http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusGone:
		return true
	case http.StatusNotFound:
		detail := strings.ToLower(e.Detail)
		return !strings.Contains(detail, "project") && !strings.Contains(detail, "session")
	}
	return e.StatusCode >= 500 && strings.Contains(strings.ToLower(e.Detail), "smithdb")
}

// failure makes the error of an answer that is no success. The body is at most maxErrorBody long.
func failure(op string, status int, header http.Header, body []byte, key string, now time.Time) *Error {
	e := &Error{Op: op, StatusCode: status, RetryAfter: retryAfter(header, now)}
	e.foreign = !json.Valid(body)
	switch {
	case status >= 300 && status < 400:
		e.Detail = "the server redirects elsewhere; set endpoint to the final address"
	case !e.foreign:
		e.Detail, e.selected = detailOf(body)
	case len(body) > 0:
		e.Detail = "the answer does not come from LangSmith itself but from something in front of it"
	}
	if strings.Contains(e.Detail, "org_scoped_key_requires_workspace") {
		e.Detail += "; set workspace_id, because this key is for a whole organization"
	}
	e.Detail = tidy(e.Detail, key)
	return e
}

// detailOf reads the error bodies that LangSmith's services write.
func detailOf(body []byte) (string, []int) {
	raw := Raw(strings.ToValidUTF8(string(body), "\uFFFD"))
	if raw.Kind() == KindString {
		return raw.Text().String(), nil
	}
	if detail := raw.Get("detail"); detail.Kind() == KindArray {
		return validationDetail(detail)
	}
	var parts []string
	for _, key := range []string{"title", "detail", "error", "message", "remedy"} {
		if text := raw.Get(key).Text().String(); text != "" && (len(parts) == 0 || parts[len(parts)-1] != text) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; "), nil
}

// validationDetail reads a list of {loc, msg}. What the request held at that place is not repeated.
func validationDetail(list Raw) (string, []int) {
	var parts []string
	var selected []int
	for item := range list.Elements {
		if item.Kind() == KindString {
			parts = append(parts, item.Text().String())
			continue
		}
		var place []string
		inSelect := false
		for step := range item.Get("loc").Elements {
			if n := step.Number(); step.Kind() == KindNumber && n.Valid {
				if inSelect {
					selected = append(selected, int(n.Value))
				}
				place = append(place, string(step))
				continue
			}
			text := step.Text().String()
			inSelect = text == "select" || text == "selects"
			if text != "body" {
				place = append(place, text)
			}
		}
		text := item.Get("msg").Text().String()
		if len(place) > 0 {
			text = strings.Join(place, ".") + ": " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; "), selected
}

var keyPattern = regexp.MustCompile(`\b(lsv2_|ls__)[0-9A-Za-z_-]+`)

// tidy makes one line of at most maxDetail bytes without keys.
func tidy(detail, key string) string {
	if key != "" {
		detail = strings.ReplaceAll(detail, key, "[redacted]")
	}
	detail = keyPattern.ReplaceAllString(detail, "[redacted]")
	detail = strings.Join(strings.FieldsFunc(detail, func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(detail) > maxDetail {
		cut := maxDetail - len("…")
		for cut > 0 && !utf8.RuneStart(detail[cut]) {
			cut--
		}
		detail = detail[:cut] + "…"
	}
	return detail
}

// retryAfter reads Retry-After-Ms and Retry-After, seconds or a date. What makes no sense is zero.
func retryAfter(header http.Header, now time.Time) time.Duration {
	var d time.Duration
	if ms, err := strconv.ParseFloat(header.Get("Retry-After-Ms"), 64); err == nil {
		d = durationOf(ms / 1000)
	} else if text := strings.TrimSpace(header.Get("Retry-After")); text != "" {
		if seconds, err := strconv.ParseFloat(text, 64); err == nil {
			d = durationOf(seconds)
		} else if at, err := http.ParseTime(text); err == nil {
			// The server's own clock is the one that the date was made with.
			if date, err := http.ParseTime(header.Get("Date")); err == nil {
				now = date
			}
			d = at.Sub(now)
		}
	}
	return min(max(d, 0), maxRetryAfter)
}

func durationOf(seconds float64) time.Duration {
	if math.IsNaN(seconds) {
		return 0
	}
	return time.Duration(min(max(seconds, 0), maxRetryAfter.Seconds()) * float64(time.Second))
}
