package llmmetrics

import (
	"math"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// measures are the numbers of an observation. Many wait for their commit at a time, so what most do not have is
// elsewhere: less memory is then gone through, and what is known of series stays in the processor's cache.
type measures struct {
	family  Family
	hasCost bool
	// Of views: what others count.
	uncounted, unestimated bool
	errorType              string // cut

	duration     int64
	inputTokens  int64
	outputTokens int64
	firstChunk   float64
	cost         float64
	weight       weight

	further *furtherMeasures // nil when there are none
	origin  *origin          // nil when there are no exemplars
}

// furtherMeasures are what only few observations have, or only with further metrics.
type furtherMeasures struct {
	parts    [3]int64 // cache reads, cache writes, reasoning; of a trace model calls, tool calls, depth; of a thread turns
	speed    float64
	perToken float64
	streamed bool
	finish   [len(FinishReasons)]uint8
}

// origin is the span behind an observation.
type origin struct {
	time    pcommon.Timestamp
	traceID pcommon.TraceID
	spanID  pcommon.SpanID
}

// measureMemory is where those of one commit have what not all of them have. It may move as it grows: what was there
// before stays where it was.
type measureMemory struct {
	further []furtherMeasures
	origins []origin
}

func (mem *measureMemory) reset() { mem.further, mem.origins = mem.further[:0], mem.origins[:0] }

func push[T any](to *[]T) *T {
	*to = slices.Grow(*to, 1)[:len(*to)+1]
	return &(*to)[len(*to)-1]
}

// anything reports whether there is a measure, for a model call.
func (f *furtherMeasures) anything() bool {
	return f.streamed || f.parts[0] > 0 || f.parts[1] > 0 || f.parts[2] > 0 ||
		validFraction(f.speed) || validFraction(f.perToken) || f.finish != [len(FinishReasons)]uint8{}
}

// of takes the measures of o, and where the span is to be known, where it came from.
func (m *measures) of(o *Observation, mem *measureMemory, origins bool) {
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
	m.further, m.origin = nil, nil
	switch o.Family {
	case FamilyClient:
		if m.weight != one || o.Streamed || o.CacheReadTokens > 0 || o.CacheWriteTokens > 0 || o.ReasoningTokens > 0 ||
			validFraction(o.OutputSpeed) || validFraction(o.TimePerOutputToken) || o.Finish != [len(FinishReasons)]uint8{} {
			m.further = push(&mem.further)
			*m.further = furtherMeasures{
				parts: [3]int64{o.CacheReadTokens, o.CacheWriteTokens, o.ReasoningTokens},
				speed: o.OutputSpeed, perToken: o.TimePerOutputToken, streamed: o.Streamed, finish: o.Finish,
			}
		}
	case FamilyTrace:
		m.further = push(&mem.further)
		*m.further = furtherMeasures{parts: [3]int64{o.InferenceCalls, o.ToolCalls, o.Depth}}
	case FamilyThread:
		m.further = push(&mem.further)
		*m.further = furtherMeasures{parts: [3]int64{o.Turns, Absent, Absent}}
	case FamilyScore:
		m.duration, m.inputTokens, m.outputTokens, m.firstChunk = Absent, Absent, Absent, 0
		m.cost, m.hasCost = o.Score, true
	case FamilyVerdict:
		m.duration = Absent
	}
	if origins {
		m.origin = push(&mem.origins)
		m.origin.time, m.origin.traceID, m.origin.spanID = o.Time, o.TraceID, o.SpanID
	}
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
	kind := &failure{errorType: strings.Clone(errorType)}
	if e.cfg.ErrorClass != nil && s.family() == FamilyClient {
		kind.errorClass = e.cfg.ErrorClass(kind.errorType)
	}
	out := &outcome{failure: kind}
	s.failed[kind.errorType] = out
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
			h.offer(m.origin, float64(m.duration)/nano, e.cfg.Exemplars)
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
	if families[m.family].cost == 0 || m.inputTokens < 0 && m.outputTokens < 0 && !cost && !firstChunk && m.further == nil {
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
	if m.further != nil {
		e.recordFurther(u, m)
	}
}

// validFraction reports whether a value that may not be zero is there and can be summed.
func validFraction(v float64) bool { return v > 0 && v <= maxFraction }

func (e *Engine) recordFurther(u *usage, m *measures) {
	if u.further == nil {
		u.further = &further{}
	}
	f, has := u.further, m.further
	switch m.family {
	case FamilyTrace:
		for i, n := range has.parts {
			if n >= 0 {
				e.recordCount(f.point(furtherTraceCalls+i), furtherPointInstruments[furtherTraceCalls+i], m, n)
			}
		}
		return
	case FamilyThread:
		if has.parts[0] >= 0 {
			e.recordCount(f.point(furtherThreadTurns), insThreadTurns, m, has.parts[0])
		}
		return
	}
	for i, n := range has.parts {
		f.count(furtherCacheRead+i, n, m.weight)
	}
	if has.streamed {
		f.count(furtherStreamed, 1, m.weight)
	}
	if !m.unestimated {
		f.count(furtherEstimated, 1, m.weight-one)
	}
	for i, n := range has.finish {
		f.count(furtherFinish+i, int64(n), m.weight)
	}
	if validFraction(has.speed) {
		e.recordFraction(f.point(furtherSpeed), insSpeed, m, has.speed)
	}
	if validFraction(has.perToken) {
		e.recordFraction(f.point(furtherPerToken), insPerToken, m, has.perToken)
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
		h.offer(m.origin, float64(n), e.cfg.Exemplars)
	}
}

func (e *Engine) recordFraction(p *point, instrument int, m *measures, v float64) {
	h := e.histogram(p)
	h.recordFraction(instrument, v, m.weight)
	if e.cfg.Exemplars > 0 {
		h.offer(m.origin, v, e.cfg.Exemplars)
	}
}

func (e *Engine) histogram(p *point) *histogram {
	if e.cfg.ExponentialSize > 0 && p.state.exp == nil {
		p.state.exp = newExponential(e.cfg.ExponentialSize)
	}
	return &p.state
}
