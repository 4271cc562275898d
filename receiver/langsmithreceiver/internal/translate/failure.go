package translate

import (
	"bytes"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

const (
	// maxStatusLine bounds the description of a span's status.
	maxStatusLine = 512
	// errorHead and errorTail are how much of an error's text is searched for its class, from either end.
	errorHead  = 16 << 10
	errorTail  = 4 << 10
	errorOther = "_OTHER"
)

// outcome writes the status, the class of an error, and the exception. Success leaves the status unset. A graph
// that stops to ask a human, or hands over to its parent, does so by an exception; that is control flow and no
// error.
func (t *translation) outcome(run *langsmith.Run, span ptrace.Span, attrs *attributes, unfinished bool, notes *Notes) {
	text := run.Error
	if len(text) == 0 {
		text = run.ErrorPreview
	}
	failed := false
	switch run.Status {
	case langsmith.StatusSuccess:
	case langsmith.StatusError:
		failed = true
	case langsmith.StatusInterrupted:
		attrs.PutStr(keyStatus, "interrupted")
	case langsmith.StatusOther:
		*notes |= UnknownStatus
		attrs.PutStr(keyStatus, t.short(run.StatusText, 64))
		failed = len(text) > 0
	default: // pending or absent
		failed = len(text) > 0
	}
	if !failed || unfinished {
		return
	}
	var class string
	class, t.scratch = errorType(text, t.scratch)
	t.scratch = keepScratch(t.scratch)
	if interrupt, _ := t.meta.errorInterrupt.Bool(); interrupt || isControlFlow(class) {
		if run.Status != langsmith.StatusOther {
			attrs.PutStr(keyStatus, "interrupted")
		}
		return
	}
	class = t.strings.internBytes([]byte(class))
	attrs.PutStr(keyErrorType, class)
	span.Status().SetCode(ptrace.StatusCodeError)

	event := span.Events().AppendEmpty()
	event.SetName(eventException)
	event.SetTimestamp(span.EndTimestamp())
	exception := event.Attributes()
	exception.EnsureCapacity(3)
	exception.PutStr(keyExceptionType, class)
	if t.settings.Capture == CaptureNone || len(text) == 0 {
		return
	}
	limit := t.settings.ContentLimit
	whole, clipped := appendClipped(nil, text, limit)
	if clipped {
		*notes |= ContentTruncated
	}
	message := whole[:messageEnd(whole)]
	line := firstLine(message)
	span.Status().SetMessage(t.strings.bytes(line))
	if t.settings.Capture != CaptureFull {
		exception.PutStr(keyExceptionMessage, t.strings.bytes(line))
		return
	}
	exception.PutStr(keyExceptionMessage, t.strings.bytes(message))
	if len(message) < len(whole) {
		exception.PutStr(keyExceptionStacktrace, t.strings.bytes(whole))
	}
}

// firstLine is the first line with anything on it, bounded for a status.
func firstLine(message []byte) []byte {
	message = bytes.TrimSpace(message)
	if i := bytes.IndexByte(message, '\n'); i >= 0 {
		message = bytes.TrimSpace(message[:i])
	}
	if len(message) > maxStatusLine {
		message = message[:maxStatusLine]
		for len(message) > 0 && message[len(message)-1]&0xc0 == 0x80 {
			message = message[:len(message)-1]
		}
		if n := len(message); n > 0 && message[n-1] >= 0xc0 {
			message = message[:n-1]
		}
	}
	return message
}

// messageEnd is where the stack begins that follows the message: Python's traceback, or the repeated message
// and the frames of JavaScript.
func messageEnd(text []byte) int {
	end := len(text)
	if i := bytes.Index(text, []byte(traceback)); i >= 0 {
		end = i
	} else if i := bytes.Index(text, []byte("\n    at ")); i >= 0 {
		end = i
		// "message\n\nRangeError: message\n    at": the message stands there twice.
		if blank := bytes.Index(text[:i], []byte("\n\n")); blank > 0 {
			end = blank
		}
	}
	return len(bytes.TrimRight(text[:end], " \t\r\n"))
}

func isControlFlow(class string) bool {
	switch class {
	case "GraphInterrupt", "NodeInterrupt", "ParentCommand", "GraphBubbleUp":
		return true
	}
	return false
}

// errorType is a name of the failure of low cardinality: the class of the exception, else a code that a
// provider or HTTP is known to answer with, else a class that says nothing, else _OTHER. It is never free
// text. The scratch memory is returned for the next call.
func errorType(text langsmith.Text, scratch []byte) (string, []byte) {
	wire := clipText(text, errorHead)
	scratch = wire.Append(scratch[:0])
	if len(wire) < len(text) {
		scratch = append(scratch, '\n')
		scratch = lastText(text, errorTail).Append(scratch)
	}
	class := errorClass(scratch)
	if isRefusal(class) {
		if code := refusalCode(scratch); code != "" {
			return code, scratch
		}
	}
	if class != "" && !isVague(class) {
		return class, scratch
	}
	if code := knownCode(scratch); code != "" {
		return code, scratch
	}
	if code := httpStatus(scratch); code != "" {
		return code, scratch
	}
	if class != "" {
		return class, scratch
	}
	return errorOther, scratch
}

// lastText is about the last n bytes of t, from the start of a line.
func lastText(t langsmith.Text, n int) langsmith.Text {
	tail := t[max(len(t)-n, 0):]
	if i := bytes.Index(tail, []byte(`\n`)); i >= 0 {
		return tail[i+2:]
	}
	return nil
}

// errorClass finds the class of an exception: at the start as in "Name(…" and "Name: …", before the frames of a
// JavaScript stack that follows the message, or at the end of a Python traceback.
func errorClass(text []byte) string {
	if class := leadingClass(text); class != "" {
		return class
	}
	if i := bytes.Index(text, []byte("\n    at ")); i >= 0 {
		if class := classAbove(text[:i]); class != "" {
			return class
		}
	}
	i := bytes.LastIndex(text, []byte(traceback))
	if i < 0 {
		return ""
	}
	if class := classAbove(text[i:]); class != "" {
		return class
	}
	// Python writes repr(exception) before the traceback, so what stands there is a class, whatever its name.
	if name, rest := leadingName(text); len(rest) > 0 && rest[0] == '(' {
		return string(name)
	}
	return ""
}

// traceback is the line that begins Python's stacks.
const traceback = "Traceback (most recent call last)"

// classAbove is the class on the last line that begins with one.
func classAbove(text []byte) string {
	for len(text) > 0 {
		i := bytes.LastIndexByte(text, '\n')
		if class := leadingClass(text[i+1:]); class != "" {
			return class
		}
		if i < 0 {
			break
		}
		text = text[:i]
	}
	return ""
}

// leadingClass is the class that text begins with, without its module; "" when it begins with anything else.
func leadingClass(text []byte) string {
	name, rest := leadingName(text)
	switch {
	case len(rest) == 0, rest[0] == '\n', rest[0] == '\r':
	case rest[0] == ':' && (len(rest) == 1 || rest[1] == ' ' || rest[1] == '\n'):
	case rest[0] == '(':
	case rest[0] == ' ' && len(rest) > 1 && rest[1] == '[': // Node adds its code: "TypeError [ERR_X]: …"
	default:
		return ""
	}
	if !isErrorClass(name) {
		return ""
	}
	return string(name)
}

// leadingName is the capitalised name that text begins with, without its module, and what follows.
func leadingName(text []byte) (name, rest []byte) {
	text = bytes.TrimLeft(text, " \t\r\n")
	n := 0
	for n < len(text) && (isWord(text[n]) || text[n] == '.') {
		n++
	}
	name = text[bytes.LastIndexByte(text[:n], '.')+1 : n]
	if len(name) == 0 || len(name) > 64 || name[0]-'A' >= 26 {
		return nil, nil
	}
	return name, text[n:]
}

// classEndings are how classes of exceptions end in the languages that LangSmith traces.
var classEndings = []string{
	"Error", "Exception", "Interrupt", "Exit", "Warning", "Timeout", "Failure", "Fault", "Cancelled", "Canceled",
	"Iteration", "Refused", "Aborted", "Disconnect", "Command", "BubbleUp", "NotFound", "Exceeded", "Denied", "Unavailable",
	"Exhausted", "Unauthenticated", "TooManyRequests", "InvalidArgument",
}

func isErrorClass(name []byte) bool {
	for _, ending := range classEndings {
		if bytes.HasSuffix(name, []byte(ending)) {
			return true
		}
	}
	return false
}

// isVague reports whether a class says nothing about what failed, so that a code says more.
func isVague(class string) bool {
	switch class {
	case "Error", "Exception", "RuntimeError", "APIError", "APIStatusError", "HTTPError", "HTTPStatusError", "ClientError", "HttpError", "ApiError":
		return true
	}
	return false
}

// isRefusal reports whether a class only says that the provider refused the request, so that a code which says why
// says more.
func isRefusal(class string) bool {
	switch class {
	case "BadRequestError", "InvalidRequestError", "BadRequest", "ValidationException", "UnprocessableEntityError":
		return true
	}
	return false
}

// refusals are why providers refuse a request, by what their answers contain.
var refusals = []struct{ part, code string }{
	{"context_length_exceeded", "context_length_exceeded"},
	{"maximum context length", "context_length_exceeded"},
	{"prompt is too long", "context_length_exceeded"},
	{"nput is too long", "context_length_exceeded"},
	{"content_filter", "content_filter"},
	{"content management policy", "content_filter"},
	{"content_policy_violation", "content_policy_violation"},
}

func refusalCode(text []byte) string {
	for _, r := range refusals {
		if bytes.Contains(text, []byte(r.part)) {
			return r.code
		}
	}
	return ""
}

// codes are what providers answer with in the body of an error.
var codes = []string{
	"context_length_exceeded", "rate_limit_exceeded", "rate_limit_error", "insufficient_quota", "overloaded_error",
	"content_policy_violation", "content_filter", "invalid_api_key", "model_not_found", "authentication_error",
	"permission_error", "not_found_error", "request_too_large", "invalid_request_error", "server_error",
	"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "UNAVAILABLE", "INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED",
	"ThrottlingException", "ValidationException", "AccessDeniedException", "ModelTimeoutException",
	"ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENOTFOUND",
}

// knownCode is the first of the codes that stands in text as a word of its own.
func knownCode(text []byte) string {
	best, at := "", len(text)
	for _, code := range codes {
		i := bytes.Index(text[:at], []byte(code))
		if i < 0 || i > 0 && isWord(text[i-1]) {
			continue
		}
		if end := i + len(code); end < len(text) && isWord(text[end]) {
			continue
		}
		best, at = code, i
	}
	return best
}

// httpStatus is a status from 400 to 599 that text names as one: at its start, or behind words that announce it.
func httpStatus(text []byte) string {
	text = bytes.TrimLeft(text, " \t\r\n")
	if class := leadingClass(text); class != "" {
		text = bytes.TrimLeft(text[bytes.Index(text, []byte(class))+len(class):], `:('" `)
	}
	if code := statusAt(text); code != "" {
		return code
	}
	for _, mark := range [...]string{"rror code: ", "tatus code ", "tatus code: ", "status: ", "status=", "HTTP ", "HTTP error ", "statusCode\":", "status_code="} {
		if i := bytes.Index(text, []byte(mark)); i >= 0 {
			if code := statusAt(text[i+len(mark):]); code != "" {
				return code
			}
		}
	}
	return ""
}

func statusAt(text []byte) string {
	if len(text) < 3 || text[0] != '4' && text[0] != '5' || text[1]-'0' > 9 || text[2]-'0' > 9 {
		return ""
	}
	if len(text) > 3 && (isWord(text[3]) || text[3] == '.') {
		return ""
	}
	return string(text[:3])
}
