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
	suspects   *suspects
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
		suspects:   &suspects{},
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
	session   *genai.Session
	call      genai.Call
	dimension dimensionValues
	counts    counts
	recorders recorders
	staged    []stagedOperation
	sources   []uint64 // of what is staged, when there is a note
	source    uint64   // of the resource at hand, when there is a note
	traces    []traceSpan
	note      *note // nil when nothing is to be noted
}

// settleSize bounds what is staged: model calls are told from their twins whatever the order of their batch, if it is
// no longer than that.
const settleSize = 8192

// stagedOperation is an operation that is staged in a recorder: whether it counts is settled later, when all of its
// batch is known.
type stagedOperation struct {
	kin
	outcome  outcome // if it counts
	pricing  genai.Pricing
	recorder uint32 // index into recorders.used
	staged   uint32 // number of the observation
	traced   uint32 // index into batch.traces, when whole traces are measured
}

// read adds all spans to the engine, and to the note unless it is nil. The spans, which came now, are not changed, and
// nothing of them is kept.
func (r *spanReader) read(td ptrace.Traces, now pcommon.Timestamp, note *note) counts {
	b, ok := r.batches.Get().(*batch)
	if !ok {
		b = &batch{session: r.reader.Session()}
	}
	b.counts = counts{}
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
	b.dimension.forget()
	clear(b.traces)
	b.traces = b.traces[:0]
}

// setResource prepares for the spans of a resource.
func (r *spanReader) setResource(b *batch, resource pcommon.Map) {
	b.recorders.setResource(resource)
	if b.note != nil {
		b.source = sourceOf(resource)
	}
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
	default:
		r.stage(b, span)
		r.trace(b, span, resource)
		if len(b.staged) >= settleSize {
			r.settle(b)
		}
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

// stage hands the operation at hand to a recorder.
func (r *spanReader) stage(b *batch, span ptrace.Span) {
	trace, id := span.TraceID(), span.SpanID()
	var op stagedOperation
	if b.call.Kind.ModelCall() {
		op.kin = modelKin(trace, id, span.ParentSpanID())
		op.pricing = r.prices.Price(&b.call, span.Attributes())
	} else {
		op.kin = otherKin(trace, id)
	}
	b.dimension.values = r.dimensions.readSpan(b.call.Extra, span.Attributes(), &b.dimension)
	var obs llmmetrics.Observation
	observe(&b.call, &obs)
	if r.further {
		observeFurther(&b.call, &obs)
	}
	if obs.Duration == llmmetrics.Absent {
		op.outcome = outcomeNoDuration
	}
	obs.Dimensions = b.dimension.values
	obs.Weight = r.weight(span)
	obs.TraceID, obs.SpanID = trace, id
	op.staged = uint32(b.recorders.at(b.call.End).Stage(&obs))
	op.recorder = uint32(b.recorders.last)
	op.traced = uint32(len(b.traces))
	b.staged = append(b.staged, op)
	if b.note != nil {
		b.sources = append(b.sources, b.source)
	}
}

// settle decides which of the staged operations count, and commits.
func (r *spanReader) settle(b *batch) {
	r.nesting.settle(b.staged)
	if r.suspects.any() {
		for i := range b.staged {
			r.suspects.judge(&b.staged[i].kin)
		}
	}
	for i, source := range b.sources {
		b.note.from(source)
		b.note.operation(&b.staged[i].kin)
	}
	for i := range b.staged {
		op := &b.staged[i]
		switch op.verdict {
		case verdictCounts:
			b.counts.outcome[op.outcome]++
			if op.model {
				b.counts.pricing[op.pricing]++
			}
		case verdictInner, verdictOuter:
			b.recorders.used[op.recorder].recorder.Withdraw(int(op.staged))
			b.counts.outcome[outcomeNested]++
			if r.traces != nil {
				b.traces[op.traced].modelCall = false
			}
		case verdictRepeated:
			b.recorders.used[op.recorder].recorder.Withdraw(int(op.staged))
			b.counts.outcome[outcomeRepeated]++
			if r.traces != nil {
				b.traces[op.traced] = traceSpan{}
			}
		}
	}
	b.staged, b.sources = b.staged[:0], b.sources[:0]
	b.recorders.commit()
}

// observe says what a call adds to the metrics, in an observation that is empty.
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
	if call.ErrorType == "" {
		obs.OutputSpeed = llmmetrics.OutputSpeed(call.OutputTokens, obs.Duration)
		obs.TimePerOutputToken = llmmetrics.TimePerOutputToken(call.OutputTokens, obs.Duration, obs.TimeToFirstChunk)
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
