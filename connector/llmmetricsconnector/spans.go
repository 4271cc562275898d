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
	return &spanReader{
		engine:     engine,
		reader:     genai.NewReader(genai.ReaderConfig{}),
		dimensions: newDimensions(dims),
		nesting:    newNesting(),
	}
}

// batch is the memory for reading one batch, used again for the next.
type batch struct {
	parents   spanSet // ids that are the parent of some span
	deferred  []deferredSpan
	call      genai.Call
	obs       llmmetrics.Observation
	dimension dimensionValues
	counts    outcomeCounts
	recorder  *llmmetrics.Recorder
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
		b = &batch{}
	}
	b.counts = outcomeCounts{}
	b.collectParents(td)
	b.recorder = r.engine.Recorder()
	resourceSpans := td.ResourceSpans()
	for i := range resourceSpans.Len() {
		rs := resourceSpans.At(i)
		resource := rs.Resource().Attributes()
		b.recorder.SetResource(resource)
		r.dimensions.readResource(resource, &b.dimension)
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
	r.readDeferred(b)
	b.recorder.Release()
	counts := b.counts
	b.forget()
	r.batches.Put(b)
	return counts
}

// forget drops what points into the batch that was read.
func (b *batch) forget() {
	b.recorder = nil
	b.call = genai.Call{}
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

func (r *spanReader) readSpan(b *batch, span ptrace.Span, scope string, resource pcommon.Map) {
	r.reader.Read(span, scope, resource, &b.call)
	switch {
	case b.call.Kind == genai.KindNone:
		b.counts[outcomeNotGenAI]++
	case !b.call.Kind.ModelCall():
		r.record(b, span)
	default:
		if b.parents.has(spanKey(span.SpanID())) {
			r.nesting.hasChild(span.TraceID(), span.ParentSpanID())
			b.deferred = append(b.deferred, deferredSpan{span: span, scope: scope, resource: resource})
			return
		}
		r.recordModelCall(b, span)
	}
}

// readDeferred reads the model calls that have children, now that all children of the batch are known.
func (r *spanReader) readDeferred(b *batch) {
	for i := range b.deferred {
		d := &b.deferred[i]
		b.recorder.SetResource(d.resource)
		r.dimensions.readResource(d.resource, &b.dimension)
		r.reader.Read(d.span, d.scope, d.resource, &b.call)
		r.recordModelCall(b, d.span)
	}
}

func (r *spanReader) recordModelCall(b *batch, span ptrace.Span) {
	if !r.nesting.counts(span.TraceID(), span.SpanID(), span.ParentSpanID()) {
		b.counts[outcomeNested]++
		return
	}
	r.record(b, span)
}

func (r *spanReader) record(b *batch, span ptrace.Span) {
	b.dimension.values = r.dimensions.readSpan(span.Attributes(), &b.dimension)
	observe(&b.call, &b.obs)
	b.obs.Dimensions = b.dimension.values
	b.obs.TraceID = span.TraceID()
	b.obs.SpanID = span.SpanID()
	b.recorder.Record(&b.obs)
	if b.obs.Duration == llmmetrics.Absent {
		b.counts[outcomeNoDuration]++
	} else {
		b.counts[outcomeRecorded]++
	}
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
