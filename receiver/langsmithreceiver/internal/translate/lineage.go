package translate

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// lineageSize is how many traces and how many parents one generation of a [Lineage] remembers.
const lineageSize = 4096

// Lineage carries what one run of a trace tells about the others: the span id of a parent that came in over
// OTLP, and the conversation of the trace, which LangSmith often knows for the root only. It is bounded: the
// oldest of what it knows is forgotten.
//
// [Translator.Append] reads and feeds it. Where children come before their parents, as in a page sorted newest
// first, [Lineage.Relink] completes the spans afterwards. A Lineage is not safe for concurrent use; the zero
// value is ready.
type Lineage struct {
	parents       generations[spanKey, pcommon.SpanID]
	conversations generations[pcommon.TraceID, string]
}

// spanKey names a run inside its trace by the span id that its UUID alone gives.
type spanKey struct {
	trace pcommon.TraceID
	span  pcommon.SpanID
}

// parent replaces a derived parent span id by the one the parent really has, if that is known.
func (l *Lineage) parent(trace pcommon.TraceID, derived pcommon.SpanID) pcommon.SpanID {
	if l == nil || derived.IsEmpty() {
		return derived
	}
	if id, ok := l.parents.get(spanKey{trace, derived}); ok {
		return id
	}
	return derived
}

// MissesParent reports whether the run came in over OTLP and its parent is a root whose own span id is not known yet.
// Such a root has the trace's id for a run id, and comes last: an instrumentation sends a span when it ends.
func (l *Lineage) MissesParent(run *langsmith.Run) bool {
	if run.ParentID.IsZero() || run.ParentID != run.TraceID {
		return false
	}
	if run.Meta(metaOTelSpanID) == nil {
		return false
	}
	_, known := l.parents.get(spanKey{traceID(run, run.Meta(metaOTelTraceID).Text()), spanIDOf(run.ParentID)})
	return !known
}

// observe keeps what run tells about its relatives.
func (l *Lineage) observe(run *langsmith.Run, trace pcommon.TraceID, span pcommon.SpanID, conversation string) {
	if derived := spanIDOf(run.ID); derived != span {
		l.parents.put(spanKey{trace, derived}, span)
	}
	// A trace may hold runs of several conversations; only its root speaks for all of it.
	if conversation != "" && isRoot(run) {
		l.conversations.put(trace, strings.Clone(conversation)) // which shares memory with other strings
	}
}

func (l *Lineage) conversation(trace pcommon.TraceID) string {
	if l == nil {
		return ""
	}
	id, _ := l.conversations.get(trace)
	return id
}

// Relink completes spans that were translated before their parent or root was: it corrects parent span ids and
// adds the conversation of the trace where a span has none. It is idempotent, and costs next to nothing when
// nothing is known.
func (l *Lineage) Relink(spans ptrace.SpanSlice) {
	if l.parents.empty() && l.conversations.empty() {
		return
	}
	for _, span := range spans.All() {
		trace := span.TraceID()
		if derived := span.ParentSpanID(); !derived.IsEmpty() {
			if id := l.parent(trace, derived); id != derived && id != span.SpanID() {
				span.SetParentSpanID(id)
			}
		}
		if id := l.conversation(trace); id != "" {
			if v, exists := span.Attributes().GetOrPutEmpty(keyConversationID); !exists {
				v.SetStr(id)
			}
		}
	}
}

// generations is a bounded map: when the young half is full, the old half is dropped.
type generations[K comparable, V any] struct {
	young, old map[K]V
}

func (g *generations[K, V]) empty() bool { return len(g.young) == 0 && len(g.old) == 0 }

func (g *generations[K, V]) get(key K) (V, bool) {
	if v, ok := g.young[key]; ok {
		return v, true
	}
	v, ok := g.old[key]
	return v, ok
}

func (g *generations[K, V]) put(key K, value V) {
	if len(g.young) >= lineageSize {
		g.old, g.young = g.young, nil
	}
	if g.young == nil {
		g.young = make(map[K]V)
	}
	g.young[key] = value
}
