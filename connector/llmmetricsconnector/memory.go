package llmmetricsconnector

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// spanMemory is what is remembered of spans, as the keeper keeps it.
type spanMemory struct {
	nesting    *nesting
	suspects   *suspects
	traces     *traceTable // nil when neither traces nor threads are measured
	dimensions []string

	// A copy that is under way.
	marks []byte
	open  codec
}

// shape is what open traces depend on.
func (m *spanMemory) shape() string {
	return strings.Join(m.dimensions, "\x00") + "\x00\x00" + strings.Join(m.traces.attributes, "\x00")
}

// stepSize is how many things one step of a copy takes: a step takes well less than a millisecond.
const stepSize = 32

// prepare makes room for the marks: a megabyte, which nothing holds between two copies.
func (m *spanMemory) prepare() { m.marks = make([]byte, 0, nestingSize) }

func (m *spanMemory) cut() {
	m.marks = m.nesting.appendTo(m.marks)
	m.suspects.cut()
	if m.traces != nil {
		m.open = codec{}
		shape := m.shape()
		m.open.text(&shape)
		m.traces.cut(&m.open)
	}
}

func (m *spanMemory) step() bool {
	return m.suspects.step() && (m.traces == nil || m.traces.step())
}

func (m *spanMemory) copied() [][]byte {
	parts := [][]byte{m.marks, m.suspects.appendTo(nil), m.open.buf}
	m.marks, m.open = nil, codec{}
	return parts
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
	m.traces.restore(c)
	return !c.failed
}

func (m *spanMemory) replay(memory []byte) bool {
	var counted []sourced
	var source uint64
	now := pcommon.Timestamp(0)
	one := make([]traceSpan, 1)
	known := true
	operation := func(kind byte, k kin) {
		if kind == noteChild {
			m.nesting.announce(&kin{around: k.own, model: true})
			return
		}
		if k.model {
			m.nesting.announce(&k)
		}
		m.nesting.decide(&k)
		counted = appendSourced(counted, source, &k)
	}
	sound := readNote(memory, operation, func(kind byte, trace pcommon.TraceID, c *codec) {
		switch kind {
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
