package llmmetricsconnector

import (
	"math"
	"sync"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// outcome is what became of a span.
type outcome uint8

const (
	outcomeRecorded   outcome = iota
	outcomeNoDuration         // recorded, but its end is missing or before its start
	outcomeNested             // a model call that another span of the same call stands for
	outcomeNotGenAI

	outcomeCount
)

var outcomeNames = [outcomeCount]string{"recorded", "no_duration", "nested", "not_genai"}

// outcomeCounts counts spans by outcome.
type outcomeCounts [outcomeCount]int64

// spanReader reads spans into the engine. It is safe for concurrent use.
type spanReader struct {
	engine     *llmmetrics.Engine
	reader     *genai.Reader
	dimensions dimensions
	nesting    *nesting
	batches    sync.Pool
}

func newSpanReader(engine *llmmetrics.Engine, dims []Dimension) *spanReader {
	dimensions := newDimensions(dims)
	return &spanReader{
		engine:     engine,
		reader:     genai.NewReader(genai.ReaderConfig{Extra: dimensions.names}),
		dimensions: dimensions,
		nesting:    newNesting(),
	}
}

// batch is the memory for reading one batch, used again for the next.
type batch struct {
	parents   spanSet // ids that are the parent of some span
	deferred  []deferredSpan
	session   *genai.Session
	call      genai.Call
	obs       llmmetrics.Observation
	dimension dimensionValues
	counts    outcomeCounts
	recorder  *llmmetrics.Recorder
	calls     []modelCall // staged, and not settled yet
}

// settleSize is how many spans are settled together: enough to spread the cost, few enough for the cache.
const settleSize = 256

// modelCall is a model call that is staged in the recorder: whether it counts is settled later, for many at
// once, because marks are kept with instructions that stop the processor from reading ahead in the spans.
type modelCall struct {
	trace        pcommon.TraceID
	span, parent pcommon.SpanID
	outcome      outcome // if it counts
	staged       int     // number of the observation
}

// deferredSpan is a model call that has children: whether it counts is known after its batch was read.
type deferredSpan struct {
	span     ptrace.Span
	scope    string
	resource pcommon.Map
}

// read adds all spans to the engine. The spans are not changed, and nothing of them is kept.
func (r *spanReader) read(td ptrace.Traces) outcomeCounts {
	b, ok := r.batches.Get().(*batch)
	if !ok {
		b = &batch{session: r.reader.Session()}
	}
	b.counts = outcomeCounts{}
	b.collectParents(td)
	b.recorder = r.engine.Recorder()
	resourceSpans := td.ResourceSpans()
	for i := range resourceSpans.Len() {
		rs := resourceSpans.At(i)
		resource := rs.Resource().Attributes()
		r.setResource(b, resource)
		scopeSpans := rs.ScopeSpans()
		for j := range scopeSpans.Len() {
			ss := scopeSpans.At(j)
			scope := ss.Scope().Name()
			spans := ss.Spans()
			for k := range spans.Len() {
				r.readSpan(b, spans.At(k), scope, resource)
			}
		}
	}
	r.settle(b)
	r.readDeferred(b)
	r.settle(b)
	b.recorder.Release()
	counts := b.counts
	b.forget()
	r.batches.Put(b)
	return counts
}

// forget drops what points into the batch that was read.
func (b *batch) forget() {
	b.recorder = nil
	b.session.Forget()
	clear(b.call.Extra)
	b.call = genai.Call{Extra: b.call.Extra}
	b.obs = llmmetrics.Observation{}
	b.dimension.forget()
	clear(b.deferred)
	b.deferred = b.deferred[:0]
}

func (b *batch) collectParents(td ptrace.Traces) {
	b.parents.reset(td.SpanCount())
	resourceSpans := td.ResourceSpans()
	for i := range resourceSpans.Len() {
		scopeSpans := resourceSpans.At(i).ScopeSpans()
		for j := range scopeSpans.Len() {
			spans := scopeSpans.At(j).Spans()
			for k := range spans.Len() {
				b.parents.add(spanKey(spans.At(k).ParentSpanID()))
			}
		}
	}
}

// setResource prepares for the spans of a resource.
func (r *spanReader) setResource(b *batch, resource pcommon.Map) {
	r.settle(b)
	b.recorder.SetResource(resource)
	r.dimensions.readResource(resource, &b.dimension)
}

func (r *spanReader) readSpan(b *batch, span ptrace.Span, scope string, resource pcommon.Map) {
	b.session.Read(span, scope, resource, &b.call)
	switch {
	case b.call.Kind == genai.KindNone:
		b.counts[outcomeNotGenAI]++
	case !b.call.Kind.ModelCall():
		n, what := r.stage(b, span)
		b.counts[what]++
		if n >= settleSize-1 {
			r.settle(b)
		}
	case b.parents.has(spanKey(span.SpanID())):
		r.nesting.hasChild(span.TraceID(), span.ParentSpanID())
		b.deferred = append(b.deferred, deferredSpan{span: span, scope: scope, resource: resource})
	default:
		r.stageModelCall(b, span)
	}
}

// readDeferred reads the model calls that have children, now that all children of the batch are known.
func (r *spanReader) readDeferred(b *batch) {
	var last pcommon.Map
	for i := range b.deferred {
		d := &b.deferred[i]
		if d.resource != last {
			r.setResource(b, d.resource)
			last = d.resource
		}
		b.session.Read(d.span, d.scope, d.resource, &b.call)
		r.stageModelCall(b, d.span)
	}
}

func (r *spanReader) stageModelCall(b *batch, span ptrace.Span) {
	n, what := r.stage(b, span)
	b.calls = append(b.calls, modelCall{
		trace: span.TraceID(), span: span.SpanID(), parent: span.ParentSpanID(), outcome: what, staged: n,
	})
	if n >= settleSize-1 {
		r.settle(b)
	}
}

// stage hands the call at hand to the recorder. It returns the number of the observation and what becomes of the
// span if it counts.
func (r *spanReader) stage(b *batch, span ptrace.Span) (int, outcome) {
	b.dimension.values = r.dimensions.readSpan(b.call.Extra, &b.dimension)
	observe(&b.call, &b.obs)
	b.obs.Dimensions = b.dimension.values
	b.obs.TraceID = span.TraceID()
	b.obs.SpanID = span.SpanID()
	n := b.recorder.Stage(&b.obs)
	if b.obs.Duration == llmmetrics.Absent {
		return n, outcomeNoDuration
	}
	return n, outcomeRecorded
}

// settle decides which of the staged model calls count, and commits.
func (r *spanReader) settle(b *batch) {
	for i := range b.calls {
		c := &b.calls[i]
		if r.nesting.counts(c.trace, c.span, c.parent) {
			b.counts[c.outcome]++
		} else {
			b.recorder.Withdraw(c.staged)
			b.counts[outcomeNested]++
		}
	}
	b.calls = b.calls[:0]
	b.recorder.Commit()
}

// observe says what a call adds to the metrics. It sets every field of obs but the dimensions and the ids.
func observe(call *genai.Call, obs *llmmetrics.Observation) {
	obs.Family = familyOf(call.Kind)
	obs.Operation = call.Operation
	obs.Provider = call.Provider
	obs.RequestModel = call.RequestModel
	obs.ResponseModel = call.ResponseModel
	obs.ToolName = call.ToolName
	obs.AgentName = call.AgentName
	obs.WorkflowName = call.WorkflowName
	obs.ErrorType = call.ErrorType
	obs.Time = call.End
	obs.Duration = llmmetrics.Absent
	obs.InputTokens, obs.OutputTokens = llmmetrics.Absent, llmmetrics.Absent
	obs.TimeToFirstChunk = 0
	obs.Cost, obs.HasCost = 0, false
	if call.End != 0 && call.End >= call.Start && call.End-call.Start <= math.MaxInt64 {
		obs.Duration = int64(call.End - call.Start)
	}
	if !call.Kind.ModelCall() {
		return
	}
	obs.InputTokens, obs.OutputTokens = call.InputTokens, call.OutputTokens
	if call.CostSource != genai.CostNone {
		obs.Cost, obs.HasCost = call.Cost, true
	}
	// A first chunk after the end is a mistake of units or clocks.
	if obs.Duration == llmmetrics.Absent || call.TimeToFirstChunk <= float64(obs.Duration)/1e9 {
		obs.TimeToFirstChunk = call.TimeToFirstChunk
	}
}

func familyOf(kind genai.Kind) llmmetrics.Family {
	switch kind {
	case genai.KindTool:
		return llmmetrics.FamilyTool
	case genai.KindAgent:
		return llmmetrics.FamilyAgent
	case genai.KindWorkflow:
		return llmmetrics.FamilyWorkflow
	default:
		return llmmetrics.FamilyClient
	}
}
