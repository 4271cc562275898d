package llmmetrics

import (
	"math"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// measures are the numbers of an observation.
type measures struct {
	family    Family
	hasCost   bool
	errorType string // cut

	duration     int64
	inputTokens  int64
	outputTokens int64
	firstChunk   float64
	cost         float64

	time    pcommon.Timestamp
	traceID pcommon.TraceID
	spanID  pcommon.SpanID
}

func (m *measures) of(o *Observation) {
	m.family, m.hasCost, m.errorType = o.Family, o.HasCost, o.ErrorType
	if len(m.errorType) > maxLabelBytes {
		m.errorType = cut(m.errorType)
	}
	m.duration, m.inputTokens, m.outputTokens = o.Duration, o.InputTokens, o.OutputTokens
	m.firstChunk, m.cost = o.TimeToFirstChunk, o.Cost
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
	s.failed[out.errorType] = out
	return out
}

func (e *Engine) recordOutcome(s *series, out *outcome, m *measures) {
	out.touched = true
	family := s.family()
	if m.duration >= 0 {
		instrument := families[family].duration
		h := e.histogram(&out.duration)
		h.recordInteger(instrument, uint64(m.duration))
		if e.cfg.Exemplars > 0 {
			h.offer(m, float64(m.duration)/nano, e.cfg.Exemplars)
		}
	}
	if m.errorType != "" && family == FamilyClient {
		if out.errors == nil {
			out.errors = &counter{}
		}
		out.errors.value++
	}
}

func (e *Engine) recordUsage(s *series, m *measures) {
	firstChunk := m.firstChunk > 0 && m.firstChunk <= maxFraction
	cost := m.hasCost && m.cost >= 0 && m.cost <= maxFraction
	if m.family != FamilyClient || m.inputTokens < 0 && m.outputTokens < 0 && !cost && !firstChunk {
		return
	}
	if s.usage == nil {
		s.usage = &usage{}
	}
	u := s.usage
	if m.inputTokens >= 0 {
		e.recordTokens(&u.inputTokens, m, m.inputTokens)
	}
	if m.outputTokens >= 0 {
		e.recordTokens(&u.outputTokens, m, m.outputTokens)
	}
	if cost {
		e.recordFraction(&u.cost, insCost, m, math.Abs(m.cost)) // no negative zero
	}
	if firstChunk {
		if u.firstChunk == nil {
			u.firstChunk = &point{}
		}
		e.recordFraction(u.firstChunk, insFirstChunk, m, m.firstChunk)
	}
}

func (e *Engine) recordTokens(p *point, m *measures, n int64) {
	h := e.histogram(p)
	h.recordInteger(insTokens, uint64(n))
	if e.cfg.Exemplars > 0 {
		h.offer(m, float64(n), e.cfg.Exemplars)
	}
}

func (e *Engine) recordFraction(p *point, instrument int, m *measures, v float64) {
	h := e.histogram(p)
	h.recordFraction(instrument, v)
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
