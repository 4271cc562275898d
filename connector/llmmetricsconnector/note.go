package llmmetricsconnector

import (
	"encoding/binary"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
)

// note is what a batch adds, or what a flush takes away: what it tells the memory of spans or of feedback, and the
// journal of the engine. All methods may be called on nil, and do nothing then.
type note struct {
	memory  codec
	journal []byte

	trace pcommon.TraceID // of the last span

	source  uint64      // of the operations at hand
	told    bool        // memory tells it already
	around  fingerprint // of the last model call
	counted []sourced   // the operations
}

// sourced is the mark of a span, and where it comes from.
type sourced struct{ source, span uint64 }

// Kinds of changes of the memory in a note. Those of operations are in the low bits of a fingerprint, which are free.
const (
	noteFirst     byte = iota // an operation that is no model call
	noteModelCall             // a model call; the span around it follows
	noteSibling               // a model call with the same span around it as the one before
	noteChild                 // a model call that has children, and so waits for its batch
	noteSpan                  // a span of a trace
	noteTrace                 // the end of a trace
	noteTurn                  // a turn of a thread
	noteThread                // the end of a thread
	noteTime                  // the time of those that follow
	noteFeedback              // feedback
	noteSource                // the source of the operations that follow

	noteKind      = byte(markBits) // the bits of the kind
	noteSameTrace = 0x80           // the trace is that of the change before
)

// change begins a change that is about a trace.
func (n *note) change(kind byte, trace pcommon.TraceID) {
	if trace == n.trace {
		n.memory.buf = append(n.memory.buf, kind|noteSameTrace)
		return
	}
	n.trace = trace
	n.memory.buf = append(append(n.memory.buf, kind), trace[:]...)
}

// from tells the source of the operations that follow.
func (n *note) from(source uint64) {
	if source != n.source {
		n.source, n.told = source, false
	}
}

// operation notes what was decided about an operation, so that it is known again.
func (n *note) operation(k *kin) {
	if k.verdict == verdictRepeated || k.own == 0 && k.around == 0 {
		return
	}
	if !n.told {
		n.told = true
		n.memory.buf = binary.AppendUvarint(append(n.memory.buf, noteSource), n.source)
	}
	n.counted = appendSourced(n.counted, n.source, k)
	if !k.model {
		n.fingerprint(noteFirst, k.own)
		return
	}
	if k.verdict == verdictOuter { // its child may be noted after it, or elsewhere
		n.fingerprint(noteChild, k.own)
	}
	if k.around == n.around {
		n.fingerprint(noteSibling, k.own)
		return
	}
	n.around = k.around
	n.fingerprint(noteModelCall, k.own)
	n.fingerprint(0, k.around)
}

func (n *note) fingerprint(kind byte, f fingerprint) {
	n.memory.buf = binary.LittleEndian.AppendUint64(n.memory.buf, uint64(f)|uint64(kind))
}

func (n *note) time(now pcommon.Timestamp) {
	n.memory.buf = binary.AppendUvarint(append(n.memory.buf, noteTime), uint64(now))
}

// traceSpans notes what the spans of a batch that came now add to their traces.
func (n *note) traceSpans(spans []traceSpan, attributes []string, now pcommon.Timestamp) {
	if n == nil {
		return
	}
	n.time(now)
	for i := range spans {
		if s := &spans[i]; !s.trace.IsEmpty() {
			n.change(noteSpan, s.trace)
			n.memory.traceSpan(s, attributes)
		}
	}
}

// finished notes what is complete as of now; if only something is open, then the time up to which it was waited for.
func (n *note) finished(done *finished, attributes []string, now pcommon.Timestamp) {
	if n == nil || !done.open && len(done.traces) == 0 && len(done.threads) == 0 {
		return
	}
	n.time(now)
	for _, tr := range done.traces {
		n.change(noteTrace, tr.id)
	}
	for i := range done.changes {
		if c := &done.changes[i]; c.turn != nil {
			n.change(noteTurn, c.turn.trace)
			n.memory.turn(c.turn, attributes)
		} else {
			n.memory.buf = append(n.memory.buf, noteThread)
			n.memory.threadKey(&c.end)
		}
	}
}

func (n *note) feedback(id, content feedbackHash) {
	if n == nil {
		return
	}
	n.memory.buf = append(n.memory.buf, noteFeedback)
	n.memory.raw(id[:])
	n.memory.raw(content[:])
}

// appendTo appends the note, unless it is empty, in a form that can be followed by others.
func (n *note) appendTo(to []byte) []byte {
	if n.empty() {
		return to
	}
	c := codec{buf: to}
	c.bytes(&n.memory.buf)
	c.bytes(&n.journal)
	return c.buf
}

func (n *note) empty() bool { return len(n.memory.buf) == 0 && len(n.journal) == 0 }

// readNote calls operation with each operation in the memory of a note, and change with each other change and the trace that
// it is about. It reports whether the note is sound.
func readNote(memory []byte, operation func(kind byte, k kin), change func(kind byte, trace pcommon.TraceID, c *codec)) bool {
	c := &codec{buf: memory, reading: true}
	var trace pcommon.TraceID
	var around fingerprint
	for len(c.buf) > 0 {
		head := c.buf[0]
		switch kind := head & noteKind; kind {
		case noteFirst, noteModelCall, noteSibling, noteChild:
			k := kin{own: c.fingerprint(), model: kind != noteFirst}
			if kind == noteModelCall {
				around = c.fingerprint()
			}
			if kind == noteModelCall || kind == noteSibling {
				k.around = around
			}
			if !c.failed {
				operation(kind, k)
			}
			continue
		}
		c.buf = c.buf[1:]
		kind := head
		switch head &^ noteSameTrace {
		case noteSpan, noteTrace, noteTurn:
			if kind &^= noteSameTrace; kind == head {
				c.raw(trace[:])
			}
		}
		change(kind, trace, c)
	}
	return !c.failed
}

// fingerprint reads one that was noted.
func (c *codec) fingerprint() fingerprint {
	var f uint64
	c.word(&f)
	return fingerprint(f &^ markBits)
}

// Flags of spans in notes.
const (
	spanGenAI = 1 << iota
	spanModelCall
	spanToolCall
	spanWeighted
	spanNamed // a root or an operation
)

// traceSpan is a span without its trace.
func (c *codec) traceSpan(s *traceSpan, attributes []string) {
	var flags uint64
	for i, is := range []bool{s.genAI, s.modelCall, s.toolCall, s.weight != 1, s.genAI || s.parent.IsEmpty()} {
		if is {
			flags |= 1 << i
		}
	}
	c.uint(&flags)
	s.genAI, s.modelCall, s.toolCall = flags&spanGenAI != 0, flags&spanModelCall != 0, flags&spanToolCall != 0
	c.raw(s.span[:])
	c.raw(s.parent[:])
	c.period(&s.start, &s.end)
	if s.modelCall {
		c.int(&s.input)
		c.int(&s.output)
		c.int(&s.cost)
	} else if c.reading {
		s.input, s.output, s.cost = genai.Absent, genai.Absent, genai.Absent
	}
	if c.reading {
		s.weight, s.resource = 1, pcommon.NewMap()
	}
	if flags&spanWeighted != 0 {
		c.float(&s.weight)
	}
	c.text(&s.conversation)
	if flags&spanNamed == 0 {
		return
	}
	c.text(&s.errorType)
	c.text(&s.agent)
	c.text(&s.workflow)
	n := c.length(len(s.dimensions))
	if c.reading {
		s.dimensions = make([]string, n)
	}
	for i := range s.dimensions {
		c.text(&s.dimensions[i])
	}
	c.resource(&s.resource, attributes)
}

func (c *codec) period(start, end *pcommon.Timestamp) {
	from, took := uint64(*start), int64(*end-*start)
	c.uint(&from)
	c.int(&took)
	*start, *end = pcommon.Timestamp(from), pcommon.Timestamp(from)+pcommon.Timestamp(took)
}

// resource is the attributes that are kept.
func (c *codec) resource(resource *pcommon.Map, attributes []string) {
	for _, name := range attributes {
		text := ""
		if v, ok := resource.Get(name); ok && !c.reading {
			text = v.AsString()
		}
		if c.text(&text); c.reading && text != "" {
			resource.PutStr(name, text)
		}
	}
}

// turn is a turn without its trace.
func (c *codec) turn(n *turn, attributes []string) {
	c.threadKey(&n.key)
	c.period(&n.start, &n.end)
	c.int(&n.input)
	c.int(&n.output)
	c.int(&n.cost)
	c.traceSpan(&n.first, attributes)
}

func (c *codec) threadKey(k *threadKey) {
	c.raw(k.id[:])
	c.text(&k.resource)
}
