package llmmetricsconnector

import (
	"math"
	"strings"
	"sync"
	"time"

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
	outcomeTooOld             // it ended longer than max_span_age ago
	outcomeRepeated           // it came before, as it does when another exporter refused the batch
	outcomeNotGenAI

	outcomeCount
)

var outcomeNames = [outcomeCount]string{"recorded", "no_duration", "nested", "too_old", "repeated", "not_genai"}

// counts says what became of the spans of a batch.
type counts struct {
	outcome [outcomeCount]int64
	pricing [genai.Pricings]int64 // of the model calls that count
	late    int64                 // operations whose window was told before
}

// spanReader reads spans into the engine. It is safe for concurrent use.
type spanReader struct {
	metrics    *aggregation
	reader     *genai.Reader
	dimensions dimensions
	nesting    *nesting
	prices     *genai.PriceTable // nil when calls are not to be priced
	maxAge     time.Duration     // of spans; zero is any
	adjust     bool              // whether spans are weighted by their sampling
	further    bool              // whether further_metrics are made
	traces     *traceTable       // nil when whole traces are not measured
	batches    sync.Pool
}

func newSpanReader(metrics *aggregation, cfg *Config, prices *genai.PriceTable) *spanReader {
	dimensions := newDimensions(cfg.Dimensions)
	r := &spanReader{
		metrics:    metrics,
		reader:     genai.NewReader(genai.ReaderConfig{Extra: dimensions.names}),
		dimensions: dimensions,
		nesting:    newNesting(),
		prices:     prices,
		adjust:     cfg.AdjustedCounts,
		further:    cfg.FurtherMetrics,
		maxAge:     cfg.MaxSpanAge,
	}
	if cfg.Traces.Enabled || cfg.Threads.Enabled {
		r.traces = newTraceTable(cfg)
	}
	return r
}

// batch is the memory for reading one batch, used again for the next.
type batch struct {
	parents   spanSet // ids that are the parent of some span
	deferred  []deferredSpan
	session   *genai.Session
	call      genai.Call
	obs       llmmetrics.Observation
	dimension dimensionValues
	counts    counts
	recorders recorders
	calls     []stagedCall // staged, and not settled yet
	traces    []traceSpan
	note      *note // nil when nothing is to be noted
}

// settleSize is how many spans are settled together: enough to spread the cost, few enough for the cache.
const settleSize = 256

// stagedCall is an operation that is staged in the recorder: whether it counts is settled later, for many at
// once, because marks are kept with instructions that stop the processor from reading ahead in the spans.
type stagedCall struct {
	model        bool
	trace        pcommon.TraceID
	span, parent pcommon.SpanID
	outcome      outcome // if it counts
	pricing      genai.Pricing
	recorder     *llmmetrics.Recorder
	staged       int // number of the observation
	traced       int // index into batch.traces, when whole traces are measured
}

// deferredSpan is a model call that has children: whether it counts is known after its batch was read.
type deferredSpan struct {
	span     ptrace.Span
	scope    string
	resource pcommon.Map
}

// read adds all spans to the engine, and to the note unless it is nil. The spans, which came now, are not changed, and
// nothing of them is kept.
func (r *spanReader) read(td ptrace.Traces, now pcommon.Timestamp, note *note) counts {
	b, ok := r.batches.Get().(*batch)
	if !ok {
		b = &batch{session: r.reader.Session()}
	}
	b.counts = counts{}
	b.collectParents(td)
	b.note = note
	b.recorders.begin(r.metrics, now, note)
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
	b.counts.late, b.note = b.recorders.late, nil
	b.recorders.end()
	if r.traces != nil {
		note.traceSpans(b.traces, r.traces.attributes, now)
		r.traces.add(b.traces, now)
	}
	counts := b.counts
	b.forget()
	r.batches.Put(b)
	return counts
}

// forget drops what points into the batch that was read.
func (b *batch) forget() {
	b.session.Forget()
	clear(b.call.Extra)
	b.call = genai.Call{Extra: b.call.Extra}
	b.obs = llmmetrics.Observation{}
	b.dimension.forget()
	clear(b.traces)
	b.traces = b.traces[:0]
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
	b.recorders.setResource(resource)
	r.dimensions.readResource(resource, &b.dimension)
}

func (r *spanReader) readSpan(b *batch, span ptrace.Span, scope string, resource pcommon.Map) {
	b.session.Read(span, scope, resource, &b.call)
	switch {
	case b.call.Kind == genai.KindNone:
		b.counts.outcome[outcomeNotGenAI]++
		if r.traces != nil {
			b.dimension.values = r.dimensions.readSpan(b.call.Extra, span.Attributes(), &b.dimension)
			r.trace(b, span, resource)
		}
	case r.maxAge > 0 && b.call.End != 0 && b.recorders.now > b.call.End && time.Duration(b.recorders.now-b.call.End) > r.maxAge:
		b.counts.outcome[outcomeTooOld]++
	case !b.call.Kind.ModelCall():
		recorder, n, what := r.stage(b, span)
		b.calls = append(b.calls, stagedCall{
			trace: span.TraceID(), span: span.SpanID(), outcome: what, recorder: recorder, staged: n, traced: len(b.traces),
		})
		r.trace(b, span, resource)
		if len(b.calls) >= settleSize {
			r.settle(b)
		}
	case b.parents.has(spanKey(span.SpanID())):
		r.nesting.hasChild(span.TraceID(), span.ParentSpanID())
		if b.note != nil {
			b.note.call(noteChild, span.TraceID(), span.SpanID(), span.ParentSpanID())
		}
		b.deferred = append(b.deferred, deferredSpan{span: span, scope: scope, resource: resource})
	default:
		r.stageModelCall(b, span, resource)
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
		r.stageModelCall(b, d.span, d.resource)
	}
}

func (r *spanReader) stageModelCall(b *batch, span ptrace.Span, resource pcommon.Map) {
	pricing := r.prices.Price(&b.call, span.Attributes())
	recorder, n, what := r.stage(b, span)
	b.calls = append(b.calls, stagedCall{
		model: true, trace: span.TraceID(), span: span.SpanID(), parent: span.ParentSpanID(),
		outcome: what, pricing: pricing, recorder: recorder, staged: n, traced: len(b.traces),
	})
	r.trace(b, span, resource)
	if len(b.calls) >= settleSize {
		r.settle(b)
	}
}

// trace notes what the span at hand adds to its trace.
func (r *spanReader) trace(b *batch, span ptrace.Span, resource pcommon.Map) {
	if r.traces == nil {
		return
	}
	s := traceSpanOf(&b.call, span, resource, nil, r.weight(span))
	if len(b.dimension.values) > 0 && (s.genAI || s.parent.IsEmpty()) {
		s.dimensions = make([]string, len(b.dimension.values))
		for i, v := range b.dimension.values {
			s.dimensions[i] = strings.Clone(v) // values of numbers are overwritten by the next span
		}
	}
	b.traces = append(b.traces, s)
}

// weight is how many spans a span stands for.
func (r *spanReader) weight(span ptrace.Span) float64 {
	if state := span.TraceState().AsRaw(); state != "" && r.adjust {
		return adjustedCount(state)
	}
	return 1
}

// stage hands the call at hand to a recorder. It returns the number of the observation and what becomes of the span
// if it counts.
func (r *spanReader) stage(b *batch, span ptrace.Span) (*llmmetrics.Recorder, int, outcome) {
	b.dimension.values = r.dimensions.readSpan(b.call.Extra, span.Attributes(), &b.dimension)
	observe(&b.call, &b.obs)
	if r.further {
		observeFurther(&b.call, &b.obs)
	}
	b.obs.Dimensions = b.dimension.values
	b.obs.Weight = r.weight(span)
	b.obs.TraceID = span.TraceID()
	b.obs.SpanID = span.SpanID()
	recorder := b.recorders.at(b.call.End)
	n := recorder.Stage(&b.obs)
	if b.obs.Duration == llmmetrics.Absent {
		return recorder, n, outcomeNoDuration
	}
	return recorder, n, outcomeRecorded
}

// settle decides which of the staged calls count, and commits.
func (r *spanReader) settle(b *batch) {
	for i := range b.calls {
		c := &b.calls[i]
		what := verdictCounts
		if c.model {
			what = r.nesting.modelCall(c.trace, c.span, c.parent)
		} else {
			what = r.nesting.first(c.trace, c.span)
		}
		if b.note != nil && what != verdictRepeated {
			kind := noteFirst
			if c.model {
				kind = noteModelCall
			}
			b.note.call(kind, c.trace, c.span, c.parent)
		}
		switch what {
		case verdictCounts:
			b.counts.outcome[c.outcome]++
			if c.model {
				b.counts.pricing[c.pricing]++
			}
		case verdictNested:
			c.recorder.Withdraw(c.staged)
			b.counts.outcome[outcomeNested]++
			if r.traces != nil {
				b.traces[c.traced].modelCall = false
			}
		case verdictRepeated:
			c.recorder.Withdraw(c.staged)
			b.counts.outcome[outcomeRepeated]++
			if r.traces != nil {
				b.traces[c.traced] = traceSpan{}
			}
		}
	}
	clear(b.calls)
	b.calls = b.calls[:0]
	b.recorders.commit()
}

// observe says what a call adds to the metrics. It sets every field of obs but the dimensions and the ids.
func observe(call *genai.Call, obs *llmmetrics.Observation) {
	obs.Family = familyOf(call.Kind)
	obs.Operation = call.Operation
	obs.Provider = call.Provider
	obs.RequestModel = call.RequestModel
	obs.ResponseModel = call.ResponseModel
	obs.DataSource = call.DataSource
	obs.ToolName = call.ToolName
	obs.AgentName = call.AgentName
	obs.WorkflowName = call.WorkflowName
	obs.ErrorType = call.ErrorType
	obs.Time = call.End
	obs.Duration = llmmetrics.Absent
	obs.InputTokens, obs.OutputTokens = llmmetrics.Absent, llmmetrics.Absent
	obs.TimeToFirstChunk = 0
	obs.Cost, obs.HasCost = 0, false
	obs.CacheReadTokens, obs.CacheWriteTokens, obs.ReasoningTokens = 0, 0, 0
	obs.OutputSpeed, obs.TimePerOutputToken = 0, 0
	obs.Streamed, obs.Finish = false, [genai.FinishReasons]uint8{}
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

// observeFurther adds what further_metrics are made of; it comes after observe.
func observeFurther(call *genai.Call, obs *llmmetrics.Observation) {
	obs.Finish = call.Finish
	if !call.Kind.ModelCall() {
		return
	}
	obs.CacheReadTokens, obs.CacheWriteTokens, obs.ReasoningTokens = call.CacheReadTokens, call.CacheWriteTokens, call.ReasoningTokens
	obs.Streamed = call.Streaming
	if call.ErrorType == "" && call.OutputTokens > 0 && obs.Duration > 0 {
		seconds := float64(obs.Duration) / 1e9
		obs.OutputSpeed = float64(call.OutputTokens) / seconds
		if obs.TimeToFirstChunk > 0 && call.OutputTokens > 1 {
			obs.TimePerOutputToken = (seconds - obs.TimeToFirstChunk) / float64(call.OutputTokens-1)
		}
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
