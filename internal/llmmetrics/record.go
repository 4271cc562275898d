package llmmetrics

import (
	"math"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// measures are the numbers of an observation.
type measures struct {
	family  Family
	hasCost bool
	further bool // anything below weight is there
	// Of views: what others count.
	uncounted, unestimated bool
	streamed               bool
	finish                 [len(FinishReasons)]uint8
	errorType              string // cut

	duration     int64
	inputTokens  int64
	outputTokens int64
	firstChunk   float64
	cost         float64
	weight       weight

	parts    [3]int64 // cache reads, cache writes, reasoning; of a trace model calls, tool calls, depth; of a thread turns
	speed    float64
	perToken float64

	time    pcommon.Timestamp
	traceID pcommon.TraceID
	spanID  pcommon.SpanID
}

func (m *measures) of(o *Observation) {
	m.family, m.hasCost, m.errorType = o.Family, o.HasCost, o.ErrorType
	m.uncounted, m.unestimated = false, false
	if len(m.errorType) > maxLabelBytes {
		m.errorType = cut(m.errorType)
	}
	m.duration, m.inputTokens, m.outputTokens = o.Duration, o.InputTokens, o.OutputTokens
	m.firstChunk, m.cost = o.TimeToFirstChunk, o.Cost
	m.weight = one
	if o.Weight > 1 {
		m.weight = weightOf(o.Weight)
	}
	m.streamed, m.finish = o.Streamed, o.Finish
	m.parts, m.speed, m.perToken = [3]int64{}, o.OutputSpeed, o.TimePerOutputToken
	switch o.Family {
	case FamilyClient:
		m.parts = [3]int64{o.CacheReadTokens, o.CacheWriteTokens, o.ReasoningTokens}
		m.further = m.streamed || m.weight != one || m.parts[0] > 0 || m.parts[1] > 0 || m.parts[2] > 0 ||
			validFraction(m.speed) || validFraction(m.perToken) || m.finish != [len(FinishReasons)]uint8{}
	case FamilyTrace:
		m.parts = [3]int64{o.InferenceCalls, o.ToolCalls, o.Depth}
		m.further = true
	case FamilyThread:
		m.parts = [3]int64{o.Turns, Absent, Absent}
		m.further = true
	case FamilyScore:
		m.further = false
		m.duration, m.inputTokens, m.outputTokens, m.firstChunk = Absent, Absent, Absent, 0
		m.cost, m.hasCost = o.Score, true
	case FamilyVerdict:
		m.further, m.duration = false, Absent
	default:
		m.further = false
	}
	m.time, m.traceID, m.spanID = o.Time, o.TraceID, o.SpanID
}

// outcome finds or makes the part of s for an error type; nil when there is no room.
//
// A series is admitted together with its success part, so that a series of failures only counts as two.
func (e *Engine) outcome(s *series, errorType string) *outcome {
	if out := s.outcome(errorType); out != nil {
		return out
	}
	if clean := sanitize(errorType); clean != errorType {
		errorType = clean
		if out := s.outcome(errorType); out != nil {
			return out
		}
	}
	if !e.admit() {
		return nil
	}
	if s.failed == nil {
		s.failed = map[string]*outcome{}
	}
	out := &outcome{errorType: strings.Clone(errorType)}
	if e.cfg.ErrorClass != nil && s.family() == FamilyClient {
		out.errorClass = e.cfg.ErrorClass(out.errorType)
	}
	s.failed[out.errorType] = out
	return out
}

func (e *Engine) recordOutcome(s *series, out *outcome, m *measures) {
	out.touched = true
	family := s.family()
	if m.duration >= 0 {
		instrument := families[family].duration
		h := e.histogram(&out.duration)
		h.recordInteger(instrument, uint64(m.duration), m.weight)
		if e.cfg.Exemplars > 0 {
			h.offer(m, float64(m.duration)/nano, e.cfg.Exemplars)
		}
	}
	if (m.errorType != "" && family == FamilyClient || family == FamilyVerdict) && !m.uncounted {
		if out.errors == nil {
			out.errors = &counter{}
		}
		out.errors.add(1, m.weight)
	}
}

func (e *Engine) recordUsage(s *series, m *measures) {
	firstChunk := validFraction(m.firstChunk)
	cost := m.hasCost && m.cost >= 0 && m.cost <= maxFraction
	if families[m.family].cost == 0 || m.inputTokens < 0 && m.outputTokens < 0 && !cost && !firstChunk && !m.further {
		return
	}
	if s.usage == nil {
		s.usage = &usage{}
	}
	u := s.usage
	instruments := &families[m.family]
	if m.inputTokens >= 0 {
		e.recordCount(&u.inputTokens, instruments.tokens, m, m.inputTokens)
	}
	if m.outputTokens >= 0 {
		e.recordCount(&u.outputTokens, instruments.tokens, m, m.outputTokens)
	}
	if cost {
		e.recordFraction(&u.cost, instruments.cost, m, math.Abs(m.cost)) // no negative zero
	}
	if firstChunk {
		if u.firstChunk == nil {
			u.firstChunk = &point{}
		}
		e.recordFraction(u.firstChunk, insFirstChunk, m, m.firstChunk)
	}
	if m.further {
		e.recordFurther(u, m)
	}
}

// validFraction reports whether a value that may not be zero is there and can be summed.
func validFraction(v float64) bool { return v > 0 && v <= maxFraction }

func (e *Engine) recordFurther(u *usage, m *measures) {
	if u.further == nil {
		u.further = &further{}
	}
	f := u.further
	switch m.family {
	case FamilyTrace:
		for i, n := range m.parts {
			if n >= 0 {
				e.recordCount(f.point(furtherTraceCalls+i), furtherPointInstruments[furtherTraceCalls+i], m, n)
			}
		}
		return
	case FamilyThread:
		if m.parts[0] >= 0 {
			e.recordCount(f.point(furtherThreadTurns), insThreadTurns, m, m.parts[0])
		}
		return
	}
	for i, n := range m.parts {
		f.count(furtherCacheRead+i, n, m.weight)
	}
	if m.streamed {
		f.count(furtherStreamed, 1, m.weight)
	}
	if !m.unestimated {
		f.count(furtherEstimated, 1, m.weight-one)
	}
	for i, n := range m.finish {
		f.count(furtherFinish+i, int64(n), m.weight)
	}
	if validFraction(m.speed) {
		e.recordFraction(f.point(furtherSpeed), insSpeed, m, m.speed)
	}
	if validFraction(m.perToken) {
		e.recordFraction(f.point(furtherPerToken), insPerToken, m, m.perToken)
	}
}

func (f *further) point(which int) *point {
	if f.points[which] == nil {
		f.points[which] = &point{}
	}
	return f.points[which]
}

func (f *further) count(which int, n int64, w weight) {
	if n <= 0 || w == 0 {
		return
	}
	if f.counters[which] == nil {
		f.counters[which] = &counter{}
	}
	f.counters[which].add(uint64(n), w)
}

func (e *Engine) recordCount(p *point, instrument int, m *measures, n int64) {
	h := e.histogram(p)
	h.recordInteger(instrument, uint64(n), m.weight)
	if e.cfg.Exemplars > 0 {
		h.offer(m, float64(n), e.cfg.Exemplars)
	}
}

func (e *Engine) recordFraction(p *point, instrument int, m *measures, v float64) {
	h := e.histogram(p)
	h.recordFraction(instrument, v, m.weight)
	if e.cfg.Exemplars > 0 {
		h.offer(m, v, e.cfg.Exemplars)
	}
}

func (e *Engine) histogram(p *point) *histogram {
	if e.cfg.ExponentialSize > 0 && p.state.exp == nil {
		p.state.exp = newExponential(e.cfg.ExponentialSize)
	}
	return &p.state
}
