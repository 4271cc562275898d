package llmmetricsconnector

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"math"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// threadTable puts traces together that belong to one conversation: each is a turn. A thread is told once, when no turn
// came for some time and none is under way. What comes after that is another thread. It is guarded by the lock of its
// traceTable.
type threadTable struct {
	idle  time.Duration
	limit int

	open    map[threadKey]*openThread
	order   order[openThread, *openThread] // of their last turns
	waiting map[threadID]int               // traces that are open, by conversation

	last   string // the conversation of the last span that had one, and its id
	lastID threadID
}

// threadID stands for the id of a conversation, which may be of any length, and name a person.
type threadID [16]byte

// threadKey is what makes a thread: two services may count their conversations from one.
type threadKey struct {
	id       threadID
	resource string // values of the kept attributes, of the root
}

// turn is what a trace adds to its thread.
type turn struct {
	key                 threadKey
	trace               pcommon.TraceID
	start, end          pcommon.Timestamp
	input, output, cost int64 // or Absent
	first               traceSpan
}

type openThread struct {
	turn  // the sums of all turns, and the rest of the one that began first
	turns int64
	seen  pcommon.Timestamp // when the last turn was complete
	why   traceEnd

	place place[openThread]
}

func (th *openThread) placed() *place[openThread] { return &th.place }

// threadChange is a turn, or else the end of a thread.
type threadChange struct {
	turn *turn
	end  threadKey
}

func newThreadTable(cfg *Config) *threadTable {
	return &threadTable{
		idle: cfg.Threads.IdleTimeout, limit: cfg.Threads.MaxOpen,
		open: map[threadKey]*openThread{}, waiting: map[threadID]int{},
	}
}

func threadIDOf(conversation string) threadID {
	sum := sha256.Sum256([]byte(conversation))
	return threadID(sum[:len(threadID{})])
}

// expect tells that a span came for a trace that is open. The conversation is that of the root, or else one that does
// not depend on the order of spans.
func (t *threadTable) expect(tr *openTrace, s *traceSpan) {
	root := s.parent.IsEmpty()
	if s.conversation == "" || tr.threadOfRoot && !root {
		return
	}
	if s.conversation != t.last {
		t.last, t.lastID = strings.Clone(s.conversation), threadIDOf(s.conversation)
	}
	id := t.lastID
	if id == tr.thread {
		tr.threadOfRoot = root
		return
	}
	if tr.thread != (threadID{}) && tr.threadOfRoot == root && bytes.Compare(id[:], tr.thread[:]) > 0 {
		return
	}
	t.leave(tr)
	tr.thread, tr.threadOfRoot = id, root
	t.waiting[id]++
}

// leave tells that no turn of this trace is waited for any more.
func (t *threadTable) leave(tr *openTrace) {
	if tr.thread == (threadID{}) {
		return
	}
	if t.waiting[tr.thread]--; t.waiting[tr.thread] <= 0 {
		delete(t.waiting, tr.thread)
	}
}

// finish adds a trace that was closed to its thread.
func (t *threadTable) finish(tr *openTrace, attributes []string, now pcommon.Timestamp, done *finished) {
	t.leave(tr)
	if tr.thread == (threadID{}) || tr.why == traceNotGenAI {
		return
	}
	var resource strings.Builder
	for _, name := range attributes {
		v, _ := tr.first.resource.Get(name)
		resource.WriteString(v.Str())
		resource.WriteByte(0)
	}
	n := &turn{
		key: threadKey{tr.thread, resource.String()}, trace: tr.id,
		input: tr.input, output: tr.output, cost: tr.cost, first: tr.first,
	}
	n.start, n.end = tr.span()
	done.changes = append(done.changes, threadChange{turn: n})
	if t.open[n.key] == nil && len(t.open) >= t.limit {
		t.close(t.order.front, traceLimit, done)
	}
	t.add(n, now)
}

func (t *threadTable) add(n *turn, now pcommon.Timestamp) {
	th := t.open[n.key]
	if th == nil {
		th = &openThread{turn: *n}
		t.open[n.key] = th
	} else {
		t.order.remove(th)
		sums := th.turn
		if first := cmp.Compare(n.start, th.start); first < 0 || first == 0 && bytes.Compare(n.trace[:], th.trace[:]) < 0 {
			th.turn = *n
		}
		th.input, th.output, th.cost = plus(sums.input, n.input), plus(sums.output, n.output), plus(sums.cost, n.cost)
		th.start, th.end = min(sums.start, n.start), max(sums.end, n.end)
	}
	th.turns++
	th.seen = now
	t.order.push(th)
}

func (t *threadTable) close(th *openThread, why traceEnd, done *finished) {
	t.order.remove(th)
	delete(t.open, th.key)
	th.why = why
	done.threads = append(done.threads, th)
	done.changes = append(done.changes, threadChange{end: th.key})
}

// take closes the threads that are complete as of now, or all of them.
func (t *threadTable) take(now pcommon.Timestamp, all bool, done *finished) {
	var next *openThread
	for th := t.order.front; th != nil; th = next {
		next = th.place.next
		idle := now >= th.seen && time.Duration(now-th.seen) >= t.idle
		switch {
		case all && !idle:
			t.close(th, traceShutdown, done)
		case !idle:
			return
		case all || t.waiting[th.key.id] == 0:
			t.close(th, traceIdle, done)
		}
	}
}

// observe says what a thread adds to the metrics.
func (th *openThread) observe(obs *llmmetrics.Observation) {
	*obs = llmmetrics.Observation{
		Family: llmmetrics.FamilyThread, AgentName: th.first.agent, WorkflowName: th.first.workflow, Dimensions: th.first.dimensions,
		Duration: llmmetrics.Absent, InputTokens: th.input, OutputTokens: th.output, Turns: th.turns,
		Time: th.end, TraceID: th.trace, SpanID: th.first.span,
	}
	if th.cost >= 0 {
		obs.Cost, obs.HasCost = float64(th.cost)/picodollars, true
	}
	if th.end != 0 && th.end >= th.start && th.end-th.start <= math.MaxInt64 {
		obs.Duration = int64(th.end - th.start)
	}
}
