package llmmetricsconnector

import (
	"cmp"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Kinds of what is open in a copy, which is in no order: places tell it.
const (
	copiedTrace  uint64 = iota // a trace that is open
	copiedFull                 // one that was closed because there were too many
	copiedThread               // a thread that is open
	copiedClosed               // the id of a trace that was closed
	copiedKinds
)

// cut begins to write all that is open as it is now.
func (t *traceTable) cut(c *codec) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.seen
	c.time(&seen)
	write := func(tr *openTrace) {
		kind, at := copiedTrace, tr.place.at
		c.uint(&kind)
		c.uint(&at)
		c.trace(tr, t.attributes)
	}
	t.rooted.cut(write)
	t.others.cut(write)
	t.copied.full = t.full // nothing changes them any more
	t.copied.to = c
	t.closed.last.cut(func(id pcommon.TraceID) {
		kind := copiedClosed
		c.uint(&kind)
		c.raw(id[:])
	})
	if t.threads != nil {
		t.threads.order.cut(func(th *openThread) {
			kind, at := copiedThread, th.place.at
			c.uint(&kind)
			c.uint(&at)
			c.thread(th, t.attributes)
		})
	}
}

// tableCut is what is left of the full traces of a cut, and where they are written.
type tableCut struct {
	to   *codec
	full []*openTrace
}

// step goes on with the cut and reports whether it is complete.
func (t *traceTable) step() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.rooted.step(stepSize) || !t.others.step(stepSize) || !t.closed.last.step(10*stepSize) ||
		t.threads != nil && !t.threads.order.step(stepSize) {
		return false
	}
	n := min(stepSize, len(t.copied.full))
	for _, tr := range t.copied.full[:n] {
		kind := copiedFull
		t.copied.to.uint(&kind)
		t.copied.to.trace(tr, t.attributes)
	}
	t.copied.full = t.copied.full[n:]
	return len(t.copied.full) == 0
}

// restore continues with all that was written.
func (t *traceTable) restore(c *codec) {
	c.time(&t.seen)
	var traces []*openTrace
	var threads []*openThread
	for len(c.buf) > 0 {
		var kind, at uint64
		c.uint(&kind)
		switch kind {
		case copiedTrace, copiedFull:
			if kind == copiedTrace {
				c.uint(&at)
			}
			tr := &openTrace{place: place[openTrace]{at: at}}
			if c.trace(tr, t.attributes); c.failed {
				return
			}
			if t.threads != nil && tr.thread != (threadID{}) {
				t.threads.waiting[tr.thread]++
			}
			if kind == copiedFull {
				t.full = append(t.full, tr)
				continue
			}
			t.open[tr.id] = tr
			traces = append(traces, tr)
		case copiedThread:
			c.uint(&at)
			th := &openThread{place: place[openThread]{at: at}}
			if c.thread(th, t.attributes); !c.failed && t.threads != nil && t.threads.open[th.key] == nil {
				t.threads.open[th.key] = th
				threads = append(threads, th)
			}
		case copiedClosed:
			var id pcommon.TraceID
			if c.raw(id[:]); !c.failed && !t.closed.has(id) {
				t.closed.add(id)
			}
		default:
			c.fail()
		}
	}
	slices.SortStableFunc(traces, func(a, b *openTrace) int { return cmp.Compare(a.place.at, b.place.at) })
	for _, tr := range traces {
		t.orderOf(tr).push(tr)
	}
	slices.SortStableFunc(threads, func(a, b *openThread) int { return cmp.Compare(a.place.at, b.place.at) })
	for _, th := range threads {
		t.threads.order.push(th)
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
