package translate

import (
	"encoding/hex"
	"hash/fnv"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// Metadata that LangSmith keeps of a run that came in over OTLP: the ids it had there, in hex.
const (
	metaOTelTraceID = "OTEL_TRACE_ID"
	metaOTelSpanID  = "OTEL_SPAN_ID"
)

// TraceID is the trace id of run's span: the one the run had when it came in over OTLP, else the 16 bytes of
// the trace's UUID.
func TraceID(run *langsmith.Run) pcommon.TraceID {
	return traceID(run, run.Meta(metaOTelTraceID).Text())
}

// SpanID is the span id of run: the one the run had when it came in over OTLP, else the last 8 bytes of its
// UUID. The first 8 bytes of a UUID version 7 are a clock and repeat inside a trace; the last 8 do not, and in
// runs that came in over OTLP they are the original id.
func SpanID(run *langsmith.Run) pcommon.SpanID {
	return spanID(run.ID, run.Meta(metaOTelSpanID).Text())
}

// ParentSpanID is the span id of run's parent, as far as run alone tells it; empty for a root. A parent that
// came in over OTLP as the root of its trace may have got the trace's UUID as its run id, which hides its span
// id from its children: only the parent run itself tells it. [Lineage] carries that knowledge from run to run.
func ParentSpanID(run *langsmith.Run) pcommon.SpanID {
	if run.ParentID.IsZero() {
		return pcommon.SpanID{}
	}
	return spanIDOf(run.ParentID)
}

func traceID(run *langsmith.Run, otel langsmith.Text) pcommon.TraceID {
	var id pcommon.TraceID
	if decodeHex(id[:], otel) {
		return id
	}
	if run.TraceID.IsZero() { // only a root may leave it out: its trace has its own id
		return pcommon.TraceID(run.ID)
	}
	return pcommon.TraceID(run.TraceID)
}

func spanID(run langsmith.UUID, otel langsmith.Text) pcommon.SpanID {
	var id pcommon.SpanID
	if decodeHex(id[:], otel) {
		return id
	}
	return spanIDOf(run)
}

// spanIDOf derives a span id from a run's UUID. An all-zero span id means none in OTLP, so zero halves are
// avoided.
func spanIDOf(run langsmith.UUID) pcommon.SpanID {
	if id := pcommon.SpanID(run[8:]); !id.IsEmpty() {
		return id
	}
	if id := pcommon.SpanID(run[:8]); !id.IsEmpty() {
		return id
	}
	h := fnv.New64a()
	_, _ = h.Write(run[:])
	return pcommon.SpanID(h.Sum(nil))
}

// decodeHex fills dst from text, and reports whether text is exactly that long, hex, and not all zero.
func decodeHex(dst []byte, text langsmith.Text) bool {
	if len(text) != hex.EncodedLen(len(dst)) {
		return false
	}
	if _, err := hex.Decode(dst, text); err != nil {
		clear(dst)
		return false
	}
	for _, b := range dst {
		if b != 0 {
			return true
		}
	}
	return false
}
