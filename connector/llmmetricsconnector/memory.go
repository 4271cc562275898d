package llmmetricsconnector

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// spanMemory is what is remembered of spans, as the keeper keeps it. Nothing may change it meanwhile.
type spanMemory struct {
	nesting    *nesting
	suspects   *suspects
	traces     *traceTable // nil when neither traces nor threads are measured
	dimensions []string
}

// shape is what open traces depend on.
func (m *spanMemory) shape() string {
	return strings.Join(m.dimensions, "\x00") + "\x00\x00" + strings.Join(m.traces.attributes, "\x00")
}

func (m *spanMemory) appendTo(to []byte) []byte {
	to = m.nesting.appendTo(to)
	to = m.suspects.appendTo(to)
	if m.traces == nil {
		return to
	}
	c := &codec{buf: to}
	shape := m.shape()
	c.text(&shape)
	m.traces.code(c)
	return c.buf
}

func (m *spanMemory) restore(from []byte) bool {
	rest, ok := m.nesting.restore(from)
	if ok {
		rest, ok = m.suspects.restore(rest)
	}
	if !ok || len(rest) == 0 || m.traces == nil {
		return ok
	}
	c := &codec{buf: rest, reading: true}
	var shape string
	if c.text(&shape); shape != m.shape() {
		return !c.failed // of another configuration, as are the totals
	}
	m.traces.code(c)
	return !c.failed && len(c.buf) == 0
}

func (m *spanMemory) replay(memory []byte) bool {
	var counted []sourced
	var source uint64
	now := pcommon.Timestamp(0)
	one := make([]traceSpan, 1)
	known := true
	sound := readNote(memory, func(kind byte, trace pcommon.TraceID, c *codec) {
		switch kind {
		case noteFirst, noteModelCall, noteChild:
			var span, parent pcommon.SpanID
			c.raw(span[:])
			c.raw(parent[:])
			if kind != noteChild && !span.IsEmpty() {
				counted = append(counted, sourced{source, uint64(fingerprintOf(trace, span))})
			}
			switch {
			case c.failed:
			case kind == noteFirst:
				m.nesting.first(trace, span)
			case kind == noteModelCall:
				m.nesting.modelCall(trace, span, parent)
			default:
				m.nesting.hasChild(trace, parent)
			}
			return
		case noteTime:
			n := uint64(0)
			c.uint(&n)
			now = pcommon.Timestamp(n)
			if m.traces != nil {
				m.traces.seen = max(m.traces.seen, now)
			}
			return
		case noteSource:
			c.uint(&source)
			return
		case noteFeedback:
			known = false
			c.fail()
			return
		}
		if m.traces == nil { // traces are not measured any more
			c.buf = nil
			return
		}
		switch kind {
		case noteSpan:
			one[0] = traceSpan{trace: trace, resource: pcommon.NewMap()}
			if c.traceSpan(&one[0], m.traces.attributes); !c.failed {
				m.traces.add(one, now)
			}
		case noteTrace:
			m.traces.forget(trace, now)
		case noteTurn:
			n := &turn{trace: trace}
			if c.turn(n, m.traces.attributes); !c.failed && m.traces.threads != nil {
				m.traces.threads.add(n, now)
			}
		case noteThread:
			var key threadKey
			if c.threadKey(&key); !c.failed && m.traces.threads != nil {
				m.traces.threads.forget(key)
			}
		default:
			known = false
			c.fail()
		}
	})
	m.suspects.came(counted)
	return sound && known
}

func (m *spanMemory) noted(n *note) { m.suspects.came(n.counted) }

// resume makes waiting go on as of now: while the collector was down, no span could come.
func (m *spanMemory) resume(now pcommon.Timestamp) {
	m.suspects.started()
	t := m.traces
	if t == nil || t.seen == 0 || now <= t.seen {
		return
	}
	by := now - t.seen
	t.seen, t.late = now, 0
	for _, tr := range t.open {
		tr.seen += by
	}
	if t.threads != nil {
		for _, th := range t.threads.open {
			th.seen += by
		}
	}
}

// forget closes a trace that was taken already.
func (t *traceTable) forget(id pcommon.TraceID, now pcommon.Timestamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = max(t.seen, now)
	if tr := t.open[id]; tr != nil {
		t.close(tr, traceIdle)
		if t.threads != nil {
			t.threads.leave(tr)
		}
		return
	}
	for i, tr := range t.full {
		if tr.id == id {
			t.full = append(t.full[:i:i], t.full[i+1:]...)
			if t.threads != nil {
				t.threads.leave(tr)
			}
			return
		}
	}
	if !t.closed.has(id) {
		t.closed.add(id)
	}
}

func (t *threadTable) forget(key threadKey) {
	if th := t.open[key]; th != nil {
		delete(t.open, key)
		t.order.remove(th)
	}
}

// code writes or reads all that is open.
func (t *traceTable) code(c *codec) {
	seen := uint64(t.seen)
	c.uint(&seen)
	t.seen = pcommon.Timestamp(seen)

	var traces []*openTrace
	for _, l := range []*traceOrder{&t.rooted, &t.others} {
		for tr := l.front; tr != nil; tr = tr.place.next {
			traces = append(traces, tr)
		}
	}
	open := len(traces)
	traces = append(traces, t.full...)
	open = c.length(open)
	for i := range c.length(len(traces)) {
		tr := &openTrace{}
		if !c.reading {
			tr = traces[i]
		}
		if c.trace(tr, t.attributes); !c.reading {
			continue
		}
		if c.failed {
			return
		}
		if t.threads != nil && tr.thread != (threadID{}) {
			t.threads.waiting[tr.thread]++
		}
		if i >= open {
			t.full = append(t.full, tr)
			continue
		}
		t.open[tr.id] = tr
		t.orderOf(tr).push(tr)
	}

	ring := append(t.closed.ring[t.closed.next:len(t.closed.ring):len(t.closed.ring)], t.closed.ring[:t.closed.next]...)
	for i := range c.length(len(ring)) {
		var id pcommon.TraceID
		if !c.reading {
			id = ring[i]
		}
		if c.raw(id[:]); c.reading && !c.failed && !t.closed.has(id) {
			t.closed.add(id)
		}
	}

	var threads []*openThread
	if t.threads != nil {
		for th := t.threads.order.front; th != nil; th = th.place.next {
			threads = append(threads, th)
		}
	}
	for i := range c.length(len(threads)) {
		th := &openThread{}
		if !c.reading {
			th = threads[i]
		}
		c.thread(th, t.attributes)
		if c.reading && !c.failed && t.threads != nil && t.threads.open[th.key] == nil {
			t.threads.open[th.key] = th
			t.threads.order.push(th)
		}
	}
}

func (c *codec) time(v *pcommon.Timestamp) {
	n := uint64(*v)
	c.uint(&n)
	*v = pcommon.Timestamp(n)
}

func (c *codec) trace(tr *openTrace, attributes []string) {
	c.raw(tr.id[:])
	c.period(&tr.start, &tr.end)
	c.time(&tr.seen)
	flags := uint64(tr.why) << 4
	for i, is := range []bool{tr.rooted, tr.genAI, tr.threadOfRoot, tr.first.resource != pcommon.Map{}} {
		if is {
			flags |= 1 << i
		}
	}
	c.uint(&flags)
	tr.rooted, tr.genAI, tr.threadOfRoot, tr.why = flags&1 != 0, flags&2 != 0, flags&4 != 0, traceEnd(flags>>4)
	if tr.why >= traceEnds || flags&8 == 0 && flags&3 != 0 {
		c.fail()
		return
	}
	if flags&8 != 0 {
		c.traceSpan(&tr.first, attributes)
		tr.first.trace = tr.id
	}
	for _, v := range []*int64{&tr.modelCalls, &tr.toolCalls, &tr.input, &tr.output, &tr.cost} {
		c.int(v)
	}
	c.raw(tr.thread[:])
	n := c.length(len(tr.links))
	if c.reading {
		if n > maxTraceSpans || n > len(c.buf)/2 {
			c.fail()
			return
		}
		tr.links = make([]traceLink, n)
	}
	// Most spans have the parent of the one before.
	var last uint64
	for i := range tr.links {
		l := &tr.links[i]
		c.word(&l.span)
		l.parent ^= last
		c.uint(&l.parent)
		l.parent ^= last
		last = l.parent
	}
}

func (c *codec) word(v *uint64) {
	var b pcommon.SpanID
	for i := range b {
		b[i] = byte(*v >> (8 * i))
	}
	c.raw(b[:])
	*v = spanKey(b)
}

func (c *codec) thread(th *openThread, attributes []string) {
	c.raw(th.trace[:])
	c.turn(&th.turn, attributes)
	c.int(&th.turns)
	c.time(&th.seen)
	if c.reading {
		th.first.trace = th.trace
	}
}
