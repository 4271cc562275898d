package traffic

import (
	"encoding/hex"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// shape is the form that a library gives to the inputs, outputs and metadata of a run.
type shape uint8

const (
	shapeFunction shape = iota // @traceable chain
	shapeGraph                 // LangGraph's root or a graph in a graph
	shapeGraphNode
	shapeSequence // RunnableSequence and its like
	shapePrompt
	shapeParser
	shapeLangChainChat
	shapeLangChainCompletion
	shapeOpenAI
	shapeAnthropic
	shapeGemini
	shapeAISDK
	shapeAISDKOuter
	shapeTraceableChat
	shapeEmbedding
	shapeRetriever
	shapeTraceableRetriever
	shapeTool
	shapeTraceableTool
	shapeGuardrail // a run type of the application's own, with odd names and tags
)

// node is one run before it is laid into time. It renders the run's large fields. It does not change once its
// trace is in the store.
type node struct {
	t      *trace
	parent *node
	name   string
	typ    string
	shape  shape
	seed   uint64

	start, end, first int64 // microseconds from the start of the trace; first is zero when nothing was streamed

	model  *model
	usage  *store.Usage
	stream bool
	outer  bool

	fail   *failure
	status string

	rounds int    // tool calls that the model has seen
	calls  *tool  // what the model asks for; nil when it answers
	tool   *tool  // what a tool run does
	graph  string // graph node
	step   int
	agent  string // lc_agent_name
	stuck  bool   // never ends
	tags   []string
}

// trace is one request to an agent.
type trace struct {
	rng
	seed     uint64
	project  *store.Project
	domain   *domain
	question string
	js       bool // traced by the JavaScript SDK
	otlp     bool // came in over OTLP: zero-prefixed run ids
	v4       bool // old SDK with random ids
	threadBy string
	thread   string
	user     string
	env      string
	example  store.UUID
	rounds   []*tool // tools called so far

	nodes []*node
	at    int64 // the clock while the trace is built

	late  int64 // arrives that much later
	otelT store.UUID
}

func (t *trace) open(parent *node, name, typ string, s shape) *node {
	n := &node{t: t, parent: parent, name: name, typ: typ, shape: s, seed: t.Uint64(), start: t.at, status: "success"}
	if parent != nil {
		n.graph, n.step, n.agent = parent.graph, parent.step, parent.agent
	}
	t.nodes = append(t.nodes, n)
	t.at += t.between(150, 900)
	return n
}

func (t *trace) close(n *node) {
	t.at += t.between(80, 700)
	n.end = t.at
}

// closeWith ends a run with its child's failure, if any.
func (t *trace) closeWith(n *node, f *failure) *failure {
	t.close(n)
	if f != nil {
		n.fail, n.status = f, f.status()
	}
	return f
}

// wait lets time pass: a median in milliseconds.
func (t *trace) wait(median float64) { t.at += t.millis(median, 0.5) }

type callOptions struct {
	stream  bool
	input   float64 // median tokens
	output  float64
	calls   *tool
	noUsage bool
}

// call is one call of a model. It returns the failure, if any.
func (t *trace) call(parent *node, name string, m *model, s shape, o callOptions) (*node, *failure) {
	n := t.open(parent, name, "llm", s)
	n.model, n.stream, n.calls, n.rounds = m, o.stream, o.calls, len(t.rounds)
	if f := t.modelFailure(m); f != nil {
		t.at += t.millis(f.after, 0.4)
		return n, t.closeWith(n, f)
	}
	input, output := t.tokens(o.input, 0.5), t.tokens(o.output, 0.7)
	var read, write, reasoning int64
	if m.cacheRead > 0 && t.chance(0.4) {
		read = input / 128 * 128 * t.between(2, 9) / 10
	}
	if m.cacheWrite > 0 && read == 0 && t.chance(0.3) {
		write = input * t.between(4, 8) / 10
	}
	if m.reasoning {
		reasoning = output * t.between(0, 6) / 10
	}
	n.usage = m.usage(input, output, read, write, reasoning)
	if o.noUsage {
		n.usage = nil
	}
	first := t.millis(420, 0.5) + input*20
	t.at += first
	if o.stream {
		n.first = t.at
	}
	t.at += int64(float64(output) * t.lognormal(9, 0.35) * 1000)
	if s == shapeLangChainChat && m.provider == "openai" && !t.otlp && t.chance(0.08) {
		// The application wrapped the client that LangChain calls, so that the call is traced twice.
		inner := t.open(n, name, "llm", shapeOpenAI)
		inner.start = n.start + 300
		inner.model, inner.stream, inner.calls, inner.rounds = m, n.stream, n.calls, n.rounds
		inner.usage, inner.first = n.usage, n.first
		inner.end = t.at
		n.outer = true
	}
	t.close(n)
	return n, nil
}

// toolRun is one call of a tool. Its failures are told to the model and do not end the trace.
func (t *trace) toolRun(parent *node, tl *tool, s shape) *node {
	n := t.open(parent, tl.name, "tool", s)
	n.tool, n.rounds = tl, len(t.rounds)
	t.at += t.millis(180, 0.9)
	t.rounds = append(t.rounds, tl)
	if t.chance(0.05) {
		n.fail = toolFailure(tl)
		n.status = "error"
	}
	t.close(n)
	return n
}

// lay puts the trace into time and makes its runs. base is the trace's start; settled tells that everything
// has reached the server long ago.
func (t *trace) lay(base int64, settled bool) []*store.Run {
	runs := make([]*store.Run, len(t.nodes))
	byNode := make(map[*node]*store.Run, len(t.nodes))
	var rootID store.UUID
	for i, n := range t.nodes {
		r := &store.Run{ProjectID: t.project.ID, Name: n.name, Type: n.typ, Status: n.status, Body: n, Usage: n.usage, Outer: n.outer, Tags: n.tags, Example: t.example, Failed: n.fail != nil}
		r.Start, r.End = base+n.start, base+n.end
		if t.js {
			// The JavaScript SDK counts runs in the digits below the millisecond.
			r.Start = r.Start/1000*1000 + int64(i%999) + 1
			r.End = r.End / 1000 * 1000
		}
		if n.first != 0 {
			r.FirstToken = base + n.first
		}
		switch {
		case t.otlp && i > 0:
			fill(r.ID[8:], t.Uint64())
		case t.v4 || t.otlp:
			r.ID = t.uuid4()
		default:
			r.ID = t.uuid7(r.Start)
		}
		if i == 0 {
			rootID = r.ID
			t.otelT = r.ID
		}
		r.TraceID = rootID
		if n.parent != nil {
			r.Parent = byNode[n.parent]
			r.ParentID = r.Parent.ID
		}
		if n.parent == nil || t.js || t.chance(0.5) {
			r.Thread = t.thread
		}
		r.Truth = n.truth()
		if t.otlp && n.parent == nil {
			r.Truth.SpanID = hex.EncodeToString(t.otlpRootSpan())
		}
		t.arrival(r, n, settled)
		byNode[n], runs[i] = r, r
	}
	return runs
}

// arrival decides when the server learns what.
func (t *trace) arrival(r *store.Run, n *node, settled bool) {
	delay := t.between(200_000, 2_000_000)
	fill := t.between(1_000_000, 5_000_000)
	if t.chance(0.1) {
		fill = t.between(5_000_000, 45_000_000)
	}
	r.Seen = r.Start + delay + t.late
	switch {
	case n.stuck:
		r.Status, r.End, r.Usage, r.FirstToken = "pending", 0, nil, 0
	case settled:
		r.Seen, r.Done, r.Settled = r.Start, r.End, r.End
	default:
		r.Done = max(r.Seen, r.End+delay)
		r.Settled = r.Done + fill
	}
	if r.Usage == nil {
		r.Settled = r.Done
	}
}

func (n *node) truth() *store.Truth {
	tr := &store.Truth{}
	switch n.typ {
	case "llm":
		tr.Operation = "chat"
		if n.shape == shapeLangChainCompletion {
			tr.Operation = "text_completion"
		}
	case "embedding":
		tr.Operation = "embeddings"
	case "retriever":
		tr.Operation = "retrieval"
	case "tool":
		tr.Operation = "execute_tool"
	}
	if m := n.model; m != nil {
		tr.Provider, tr.RequestModel = m.semconv, m.request
		if n.fail == nil && n.shape != shapeTraceableChat {
			tr.ResponseModel = m.response
		}
	}
	if n.fail != nil {
		tr.ErrorType = n.fail.class
	}
	return tr
}
