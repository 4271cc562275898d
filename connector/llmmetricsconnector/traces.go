package llmmetricsconnector

import (
	"bytes"
	"math"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// traceTable puts spans together that belong to one trace, in whatever order and batches they come, and tells the
// measures of each trace once: when no more spans came for some time. It is safe for concurrent use.
type traceTable struct {
	idle, timeout time.Duration // how long to wait for more spans, with and without the root
	limit         int
	attributes    []string // of resources, that are kept
	measured      bool     // whether traces are measured, or only their threads

	mu      sync.Mutex
	open    map[pcommon.TraceID]*openTrace
	rooted  traceOrder // whose root came, the one that was idle for longest first
	others  traceOrder
	closed  closedTraces
	full    []*openTrace // closed because there were too many, and not taken yet
	late    int64        // spans that came after their trace was closed
	seen    pcommon.Timestamp
	threads *threadTable // nil when threads are not measured
	copied  tableCut
}

// traceEnd says why a trace was closed.
type traceEnd uint8

const (
	traceIdle     traceEnd = iota
	traceTimeout           // the root did not come
	traceLimit             // there were too many open ones
	traceShutdown          // the collector stops
	traceNotGenAI          // no operation was one of GenAI: not measured

	traceEnds
)

var traceEndNames = [traceEnds]string{"idle", "timeout", "limit", "shutdown", "not_genai"}

// traceSpan is what a span adds to its trace.
type traceSpan struct {
	trace        pcommon.TraceID
	span, parent pcommon.SpanID
	start, end   pcommon.Timestamp
	genAI        bool
	modelCall    bool // that counts: no twin of another one
	toolCall     bool
	weight       float64

	input, output int64
	cost          int64 // picodollars, or Absent

	// Of roots, and of the first operation of a trace, which stands in for it.
	errorType       string
	agent, workflow string
	conversation    string
	resource        pcommon.Map
	dimensions      []string
}

// maxTraceSpans bounds the spans of a trace that its depth is told from.
const maxTraceSpans = 1000

// picodollars are units in which costs add up exactly, in whatever order they come.
const picodollars = 1e12

type openTrace struct {
	id         pcommon.TraceID
	first      traceSpan // the root, or else the operation that began first
	rooted     bool
	genAI      bool
	start, end pcommon.Timestamp
	modelCalls int64
	toolCalls  int64

	input, output, cost int64 // or Absent

	thread       threadID // zero when no span told one
	threadOfRoot bool

	links []traceLink
	seen  pcommon.Timestamp // when the last span came
	why   traceEnd

	place place[openTrace]
}

func (tr *openTrace) placed() *place[openTrace] { return &tr.place }

// traceOrder is of traces whose last spans came in this order.
type traceOrder = order[openTrace, *openTrace]

type traceLink struct{ span, parent uint64 }

func newTraceTable(cfg *Config) *traceTable {
	t := &traceTable{
		idle: cfg.Traces.Idle, timeout: cfg.Traces.Timeout, limit: cfg.Traces.MaxOpen, attributes: cfg.ResourceAttributes,
		open: map[pcommon.TraceID]*openTrace{}, measured: cfg.Traces.Enabled,
	}
	if cfg.Threads.Enabled {
		t.threads = newThreadTable(cfg)
	}
	t.closed.last.limit = 4 * cfg.Traces.MaxOpen
	return t
}

// traceSpanOf says what a span adds to its trace. It aliases the call, the span, the resource and the dimensions.
func traceSpanOf(call *genai.Call, span ptrace.Span, resource pcommon.Map, dimensions []string, weight float64) traceSpan {
	s := traceSpan{
		trace: span.TraceID(), span: span.SpanID(), parent: span.ParentSpanID(), start: call.Start, end: call.End,
		genAI: call.Kind != genai.KindNone, toolCall: call.Kind == genai.KindTool, modelCall: call.Kind.ModelCall(), weight: weight,
		input: genai.Absent, output: genai.Absent, cost: genai.Absent,
		errorType: call.ErrorType, agent: call.AgentName, workflow: call.WorkflowName, conversation: call.ConversationID, resource: resource, dimensions: dimensions,
	}
	if s.modelCall {
		s.input, s.output = call.InputTokens, call.OutputTokens
		if call.CostSource != genai.CostNone && call.Cost >= 0 && call.Cost < 1e6 {
			s.cost = int64(math.RoundToEven(call.Cost * picodollars))
		}
	}
	return s
}

// add adds the spans of a batch, which came now.
func (t *traceTable) add(spans []traceSpan, now pcommon.Timestamp) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = max(t.seen, now)
	var last *openTrace
	for i := range spans {
		s := &spans[i]
		if s.trace.IsEmpty() {
			continue
		}
		if last == nil || last.id != s.trace {
			if last = t.find(s.trace); last == nil {
				t.late++
				continue
			}
			t.orderOf(last).remove(last)
			last.seen = now
			t.orderOf(last).push(last)
		}
		rooted := last.rooted
		last.add(s, t.attributes)
		if t.threads != nil {
			t.threads.expect(last, s)
		}
		if last.rooted != rooted {
			t.others.remove(last)
			t.rooted.push(last)
		}
	}
}

// find returns an open trace, which it opens if it is new; nil when the trace was closed already.
func (t *traceTable) find(id pcommon.TraceID) *openTrace {
	if tr := t.open[id]; tr != nil {
		return tr
	}
	if t.closed.has(id) {
		return nil
	}
	if len(t.open) >= t.limit {
		oldest := t.rooted.front
		if oldest == nil {
			oldest = t.others.front
		}
		t.full = append(t.full, t.close(oldest, traceLimit))
	}
	tr := &openTrace{id: id, input: genai.Absent, output: genai.Absent, cost: genai.Absent}
	t.open[id] = tr
	t.others.push(tr)
	return tr
}

// crowded reports whether more traces than may be open were closed for want of room and not taken yet.
func (t *traceTable) crowded() bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.full) > t.limit
}

func (t *traceTable) orderOf(tr *openTrace) *traceOrder {
	if tr.rooted {
		return &t.rooted
	}
	return &t.others
}

func (t *traceTable) close(tr *openTrace, why traceEnd) *openTrace {
	t.orderOf(tr).remove(tr)
	delete(t.open, tr.id)
	tr.why = why
	if !tr.genAI {
		tr.why = traceNotGenAI
	}
	t.closed.add(tr.id)
	return tr
}

// take closes the traces and threads that are complete as of now, or all of them. What it returns is not changed any
// more.
func (t *traceTable) take(now pcommon.Timestamp, all bool) (done finished) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = max(t.seen, now)
	done.traces, t.full = t.full, nil
	for _, l := range []struct {
		order *traceOrder
		wait  time.Duration
		why   traceEnd
	}{{&t.rooted, t.idle, traceIdle}, {&t.others, t.timeout, traceTimeout}} {
		for tr := l.order.front; tr != nil; tr = l.order.front {
			switch {
			case now >= tr.seen && time.Duration(now-tr.seen) >= l.wait:
				done.traces = append(done.traces, t.close(tr, l.why))
				continue
			case all:
				done.traces = append(done.traces, t.close(tr, traceShutdown))
				continue
			}
			break
		}
	}
	if t.threads != nil {
		for _, tr := range done.traces {
			t.threads.finish(tr, t.attributes, now, &done)
		}
		t.threads.take(now, all, &done)
	}
	done.open = len(t.open) > 0 || t.threads != nil && len(t.threads.open) > 0
	done.late, t.late = t.late, 0
	return done
}

// finished is what is complete.
type finished struct {
	traces  []*openTrace
	threads []*openThread
	late    int64 // spans that came too late for their traces
	open    bool  // whether anything is left

	// changes are those of threads, in their order: a turn, or the end of a thread.
	changes []threadChange
}

// ends counts why traces and threads were closed.
type ends struct {
	traces  [traceEnds]int64
	threads [traceEnds]int64
	late    int64 // spans that came too late for their traces
}

// finishTraces adds the traces and threads that are complete as of now, or all of them, to the engine.
func (r *spanReader) finishTraces(now pcommon.Timestamp, all bool, note *note) (ends ends) {
	if r.traces == nil {
		return ends
	}
	done := r.traces.take(now, all)
	note.finished(&done, r.traces.attributes, now)
	var to recorders
	to.begin(r.metrics, now, note)
	defer to.end()
	var obs llmmetrics.Observation
	for _, tr := range done.traces {
		ends.traces[tr.why]++
		if tr.why != traceNotGenAI && r.traces.measured {
			to.setResource(tr.first.resource)
			tr.observe(&obs)
			to.at(obs.Time).Record(&obs)
		}
	}
	for _, th := range done.threads {
		ends.threads[th.why]++
		to.setResource(th.first.resource)
		th.observe(&obs)
		to.at(obs.Time).Record(&obs)
	}
	ends.late = done.late
	return ends
}

// size is the number of traces and threads that are open.
func (t *traceTable) size() (traces, threads int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.threads != nil {
		threads = int64(len(t.threads.open))
	}
	return int64(len(t.open)), threads
}

func (tr *openTrace) add(s *traceSpan, attributes []string) {
	if tr.start == 0 || s.start < tr.start {
		tr.start = s.start
	}
	tr.end = max(tr.end, s.end)
	root := s.parent.IsEmpty()
	// Whatever the order in which they come: the root, or else what began first.
	switch candidate := root || s.genAI && !tr.rooted; {
	case candidate && (tr.first.resource == pcommon.Map{} || root && !tr.rooted || s.before(&tr.first)):
		tr.first = s.clone(attributes)
	}
	tr.rooted = tr.rooted || root
	tr.genAI = tr.genAI || s.genAI
	if s.modelCall {
		tr.modelCalls++
		tr.input = plus(tr.input, s.input)
		tr.output = plus(tr.output, s.output)
		tr.cost = plus(tr.cost, s.cost)
	}
	if s.toolCall {
		tr.toolCalls++
	}
	if len(tr.links) < maxTraceSpans {
		tr.links = append(tr.links, traceLink{spanKey(s.span), spanKey(s.parent)})
	}
}

// before orders the spans of a trace by their start.
func (s *traceSpan) before(o *traceSpan) bool {
	if s.start != o.start {
		return s.start < o.start
	}
	return bytes.Compare(s.span[:], o.span[:]) < 0
}

// plus adds two numbers that may be absent.
func plus(a, b int64) int64 {
	switch {
	case b < 0:
		return a
	case a < 0:
		return b
	case a > math.MaxInt64-b:
		return math.MaxInt64
	}
	return a + b
}

// clone copies what outlives the batch.
func (s *traceSpan) clone(attributes []string) traceSpan {
	c := *s
	c.errorType, c.agent, c.workflow = strings.Clone(s.errorType), strings.Clone(s.agent), strings.Clone(s.workflow)
	c.dimensions = make([]string, len(s.dimensions))
	for i, v := range s.dimensions {
		c.dimensions[i] = strings.Clone(v)
	}
	c.conversation = ""
	c.resource = pcommon.NewMap()
	for _, name := range attributes {
		if v, ok := s.resource.Get(name); ok {
			c.resource.PutStr(name, v.AsString())
		}
	}
	return c
}

// observe says what a trace adds to the metrics.
func (tr *openTrace) observe(obs *llmmetrics.Observation) {
	*obs = llmmetrics.Observation{
		Family: llmmetrics.FamilyTrace, AgentName: tr.first.agent, WorkflowName: tr.first.workflow, Dimensions: tr.first.dimensions,
		Duration: llmmetrics.Absent, InputTokens: tr.input, OutputTokens: tr.output,
		InferenceCalls: tr.modelCalls, ToolCalls: tr.toolCalls, Depth: tr.depth(), Weight: tr.first.weight,
		Time: tr.end, TraceID: tr.id, SpanID: tr.first.span,
	}
	if tr.cost >= 0 {
		obs.Cost, obs.HasCost = float64(tr.cost)/picodollars, true
	}
	start, end := tr.span()
	if tr.rooted {
		obs.ErrorType = tr.first.errorType
	}
	if end != 0 && end >= start && end-start <= math.MaxInt64 {
		obs.Duration = int64(end - start)
	}
}

// span is when a trace began and ended: as its root tells, or else all its spans.
func (tr *openTrace) span() (start, end pcommon.Timestamp) {
	if tr.rooted {
		return tr.first.start, tr.first.end
	}
	return tr.start, tr.end
}

// depth is the number of spans on the longest way down.
func (tr *openTrace) depth() int64 {
	parents := make(map[uint64]uint64, len(tr.links))
	for _, l := range tr.links {
		parents[l.span] = l.parent
	}
	depths := make(map[uint64]int64, len(parents))
	deepest := int64(0)
	var way []uint64
	for span := range parents {
		way = way[:0]
		at := span
		for {
			if _, known := depths[at]; known {
				break
			}
			parent, here := parents[at]
			if !here {
				break
			}
			depths[at] = 0 // ends a circle
			way = append(way, at)
			at = parent
		}
		d := depths[at]
		for i := len(way) - 1; i >= 0; i-- {
			d++
			depths[way[i]] = d
		}
		deepest = max(deepest, d)
	}
	return deepest
}

// closedTraces remembers the last traces that were closed.
type closedTraces struct {
	ids  map[pcommon.TraceID]struct{}
	last recent[pcommon.TraceID]
}

func (c *closedTraces) has(id pcommon.TraceID) bool {
	_, ok := c.ids[id]
	return ok
}

func (c *closedTraces) add(id pcommon.TraceID) {
	if c.ids == nil {
		c.ids = map[pcommon.TraceID]struct{}{}
	}
	if forgotten, full := c.last.add(id); full {
		delete(c.ids, forgotten)
	}
	c.ids[id] = struct{}{}
}
