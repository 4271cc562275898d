package genai

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// failure names the error of the span, or returns an empty string when there was none. A message is never a
// name: it would cost a series for every failure, and may quote a prompt.
func (s *scan) failure(span ptrace.Span) string {
	failed := span.Status().Code() == ptrace.StatusCodeError
	if name := s.textAt(slotError); nameOfError(name) {
		if name == ErrorOther {
			return first(codeIn(span.Status().Message()), name)
		}
		return name
	}
	if !failed && !s.has(slotError) {
		return ""
	}
	if !failed {
		return ErrorOther
	}
	if name := s.textAt(slotErrorAlias); nameOfError(name) {
		return name
	}
	name, message := exceptionOf(span)
	if name == "" {
		name = classOf(span.Status().Message())
	}
	if name == "" {
		name = ErrorOther
	}
	// A BadRequestError or a bare exception says little, but its message mostly has the code of the provider.
	code := codeIn(span.Status().Message())
	if code == "" {
		code = codeIn(message)
	}
	if code != "" && (name == ErrorOther || ErrorClass(name) == ErrorClassOther) {
		return code
	}
	return name
}

// exceptionOf is the type and the message of the exception that got away, which is the last one.
func exceptionOf(span ptrace.Span) (name, message string) {
	for i := span.Events().Len() - 1; i >= 0; i-- {
		event := span.Events().At(i)
		if event.Name() != "exception" && event.Name() != "gen_ai.client.operation.exception" {
			continue
		}
		if message == "" {
			if v, ok := event.Attributes().Get("exception.message"); ok {
				message = v.Str()
			}
		}
		if name, ok := event.Attributes().Get(AttrExceptionType); ok && nameOfError(name.Str()) {
			return name.Str(), message
		}
	}
	return "", message
}

// messageCodes are what messages of the providers and their SDKs contain, and the code that stands for it: mostly the
// code itself, as the JSON of the answer is quoted.
var messageCodes = []struct{ part, code string }{
	{"context_length_exceeded", "context_length_exceeded"},
	{"maximum context length", "context_length_exceeded"},
	{"prompt is too long", "context_length_exceeded"},
	{"Input is too long", "context_length_exceeded"},
	{"input token count", "context_length_exceeded"},
	{"insufficient_quota", "insufficient_quota"},
	{"rate_limit_exceeded", "rate_limit_exceeded"},
	{"rate_limit_error", "rate_limit_error"},
	{"Rate limit reached", "rate_limit_exceeded"},
	{"RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"},
	{"ThrottlingException", "ThrottlingException"},
	{"Error code: 429", "429"},
	{"content_filter", "content_filter"},
	{"content_policy_violation", "content_policy_violation"},
	{"content management policy", "content_filter"},
	{"invalid_api_key", "invalid_api_key"},
	{"authentication_error", "authentication_error"},
	{"permission_error", "permission_error"},
	{"PERMISSION_DENIED", "PERMISSION_DENIED"},
	{"UNAUTHENTICATED", "UNAUTHENTICATED"},
	{"Error code: 401", "401"},
	{"Error code: 403", "403"},
	{"DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"},
	{"Request timed out", "timeout"},
	{"overloaded_error", "overloaded_error"},
	{"UNAVAILABLE", "UNAVAILABLE"},
	{"Error code: 500", "500"},
	{"Error code: 502", "502"},
	{"Error code: 503", "503"},
	{"Error code: 529", "529"},
}

// codeIn finds the code in the beginning of a message, where what comes from the provider stands. The message itself is
// never told.
func codeIn(message string) string {
	message = message[:min(len(message), 512)]
	if message == "" {
		return ""
	}
	for _, m := range messageCodes {
		if strings.Contains(message, m.part) {
			return m.code
		}
	}
	return ""
}

// maxErrorName bounds error types, in bytes.
const maxErrorName = 128

// nameOfError tells the name of a class or a code from a sentence.
func nameOfError(text string) bool {
	if text == "" || len(text) > maxErrorName {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '{' || c == '\'' {
			return false
		}
	}
	return true
}

// classEndings are the ends of names that are certainly classes of errors.
var classEndings = [...]string{
	"Error", "Exception", "Timeout", "Failure", "Fault", "Interrupt", "Exit", "Cancelled", "Canceled", "Abort", "Warning",
}

// classOf cuts the class off the front of a message such as "RateLimitError: …" or "ValueError('…')". It
// returns an empty string unless the name is certainly a class.
func classOf(message string) string {
	end := 0
	for end < len(message) && end <= maxErrorName {
		c := message[end]
		if c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			break
		}
		end++
	}
	if end == 0 || end > maxErrorName || end < len(message) && message[end] != ':' && message[end] != '(' {
		return ""
	}
	name := message[:end]
	for _, ending := range classEndings {
		if strings.HasSuffix(name, ending) {
			return name
		}
	}
	return ""
}

// codeOf reads an error code: a string, or an HTTP status as an integer.
func codeOf(value pcommon.Value) (string, bool) {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		return value.Str(), value.Str() != ""
	case pcommon.ValueTypeInt:
		if n := value.Int(); 400 <= n && n < 600 {
			return statusTexts[3*(n-400) : 3*(n-400)+3], true
		}
	}
	return "", false
}

// statusTexts holds the HTTP statuses from 400 to 599, three digits each.
var statusTexts = func() string {
	var b strings.Builder
	for n := 400; n < 600; n++ {
		b.WriteByte(byte('0' + n/100))
		b.WriteByte(byte('0' + n/10%10))
		b.WriteByte(byte('0' + n%10))
	}
	return b.String()
}()
