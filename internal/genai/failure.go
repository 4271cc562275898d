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
	for i := span.Events().Len() - 1; i >= 0; i-- { // the last exception is the one that got away
		event := span.Events().At(i)
		if event.Name() != "exception" && event.Name() != "gen_ai.client.operation.exception" {
			continue
		}
		if name, ok := event.Attributes().Get(AttrExceptionType); ok && nameOfError(name.Str()) {
			return name.Str()
		}
	}
	if name := classOf(span.Status().Message()); name != "" {
		return name
	}
	return ErrorOther
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
