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
		m.unestimated = !v.instruments[insEstimated]
		v.keepFurther(m)
	case FamilyTrace:
		any := false
		for i, instrument := range []int{insTraceCalls, insTraceTools, insTraceDepth} {
			if !v.instruments[instrument] {
				m.further.parts[i] = Absent
			}
			any = any || m.further.parts[i] >= 0
		}
		if !any {
			m.further = nil
		}
	case FamilyThread:
		if !v.instruments[insThreadTurns] {
			m.further = nil
		}
	}
	return m.duration >= 0 || counter || m.inputTokens >= 0 || m.outputTokens >= 0 || m.hasCost || validFraction(m.firstChunk) || m.further != nil
}

// keepFurther leaves what the view has of a model call.
func (v *view) keepFurther(m *measures) {
	f := m.further
	if f == nil {
		return
	}
	for i, instrument := range []int{insCacheRead, insCacheWrite, insReasoning} {
		if !v.instruments[instrument] {
			f.parts[i] = 0
		}
	}
	f.streamed = f.streamed && v.instruments[insStreamed]
	if !v.instruments[insFinish] {
		f.finish = [len(FinishReasons)]uint8{}
	}
	if !v.instruments[insSpeed] {
		f.speed = 0
	}
	if !v.instruments[insPerToken] {
		f.perToken = 0
	}
	if !f.anything() && (m.weight == one || m.unestimated) {
		m.further = nil
	}
}
