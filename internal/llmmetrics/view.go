package llmmetrics

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// MaxLists is how many different lists of metrics dimensions may have.
const MaxLists = 2

// A view is the metrics that have the same dimensions. Each view has series of its own, so an attribute that only some
// metrics have multiplies only those.
type view struct {
	instruments [instrumentCount]bool
	dimensions  []bool
}

// views are none when there is only one, with all dimensions. With at most MaxLists lists there are at most four: a metric
// is in each list or not.
func views(cfg *Config) []view {
	if cfg.DimensionOf == nil {
		return nil
	}
	second := map[int][]int{
		insDuration:   {insInferenceDuration},
		insFirstChunk: {insInferenceFirstChunk},
		insTokens:     {insInferenceInput, insInferenceOutput, insInferenceInputTokens, insInferenceOutputTokens},
	}
	var all []view
	for i := range insInferenceDuration {
		dimensions := make([]bool, len(cfg.Dimensions))
		for d, name := range cfg.Dimensions {
			dimensions[d] = cfg.DimensionOf(name, instruments[i].Name)
			for _, other := range second[i] { // one measure, whatever it is called
				dimensions[d] = dimensions[d] || cfg.DimensionOf(name, instruments[other].Name)
			}
		}
		at := 0
		for at < len(all) && fmt.Sprint(all[at].dimensions) != fmt.Sprint(dimensions) {
			at++
		}
		if at == len(all) {
			all = append(all, view{dimensions: dimensions})
		}
		all[at].instruments[i] = true
	}
	if len(all) == 1 && !strings.Contains(fmt.Sprint(all[0].dimensions), "false") {
		return nil
	}
	return all
}

func viewsShape(views []view) string { return fmt.Sprint(views) }

// stageViews is Stage for each view. What a view has no part in is withdrawn from the beginning.
func (r *Recorder) stageViews(o *Observation) int {
	e := r.engine
	first := len(r.staged)
	given := o.Dimensions
	own := make([]string, len(e.cfg.Dimensions))
	for i := range e.views {
		v := &e.views[i]
		clear(own)
		for d := range min(len(own), len(given)) {
			if v.dimensions[d] {
				own[d] = given[d]
			}
		}
		o.Dimensions = own
		to := &r.staged[r.stage(o)]
		r.keys[to.from+keyHead-1] |= byte(i << viewShift)
		to.hash = maphash.Bytes(e.seed, r.key(to))
		to.withdrawn = !v.keep(&to.measures)
	}
	o.Dimensions = given
	return first
}

// keep leaves only what the view has, and reports whether that is anything.
func (v *view) keep(m *measures) bool {
	family := &families[m.family]
	if !v.instruments[family.duration] || m.family == FamilyScore || m.family == FamilyVerdict {
		m.duration = Absent
	}
	counter := (m.family == FamilyClient && m.errorType != "" || m.family == FamilyVerdict) && v.instruments[family.counter]
	m.uncounted = !counter
	if m.duration < 0 && !counter {
		m.errorType = "" // nothing is told by it
	}
	if !v.instruments[family.tokens] {
		m.inputTokens, m.outputTokens = Absent, Absent
	}
	if !v.instruments[insFirstChunk] {
		m.firstChunk = 0
	}
	m.hasCost = m.hasCost && v.instruments[family.cost]
	switch m.family {
	case FamilyClient:
		for i, instrument := range []int{insCacheRead, insCacheWrite, insReasoning} {
			if !v.instruments[instrument] {
				m.parts[i] = 0
			}
		}
		m.streamed = m.streamed && v.instruments[insStreamed]
		if !v.instruments[insFinish] {
			m.finish = [len(FinishReasons)]uint8{}
		}
		if !v.instruments[insSpeed] {
			m.speed = 0
		}
		if !v.instruments[insPerToken] {
			m.perToken = 0
		}
		m.unestimated = !v.instruments[insEstimated]
		m.further = m.streamed || m.weight != one && !m.unestimated || m.parts[0] > 0 || m.parts[1] > 0 || m.parts[2] > 0 ||
			validFraction(m.speed) || validFraction(m.perToken) || m.finish != [len(FinishReasons)]uint8{}
	case FamilyTrace:
		m.further = false
		for i, instrument := range []int{insTraceCalls, insTraceTools, insTraceDepth} {
			if !v.instruments[instrument] {
				m.parts[i] = Absent
			}
			m.further = m.further || m.parts[i] >= 0
		}
	case FamilyThread:
		if m.further = v.instruments[insThreadTurns]; !m.further {
			m.parts[0] = Absent
		}
	}
	return m.duration >= 0 || counter || m.inputTokens >= 0 || m.outputTokens >= 0 || m.hasCost || validFraction(m.firstChunk) || m.further
}
