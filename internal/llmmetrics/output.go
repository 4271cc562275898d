package llmmetrics

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// output builds the metrics of one flush. Series must come grouped by resource.
type output struct {
	engine  *Engine
	metrics pmetric.Metrics
	time    pcommon.Timestamp
	points  int

	resource *resource
	current  pmetric.MetricSlice
}

// write adds the data points of a series.
func (o *output) write(s *series, emissions []emission) {
	if o.resource != s.resource {
		o.begin(s.resource)
	}
	names := &o.engine.other
	if s.inference() {
		names = &o.engine.inference
	}
	for i := range emissions {
		m := &emissions[i]
		start := o.engine.flusher.windowStart
		if m.stamp != nil {
			start = m.stamp.start
		}
		instruments := names.of(m)
		if instruments == nil {
			o.stream(s, m, start, m.instrument)
			continue
		}
		for _, instrument := range instruments {
			o.stream(s, m, start, instrument)
		}
	}
}

// stream adds what a flush tells of one data point stream.
func (o *output) stream(s *series, m *emission, start pcommon.Timestamp, instrument int) {
	if m.inline {
		o.point(s, m, instrument, start, start, true)
	}
	o.point(s, m, instrument, start, o.time, m.zero)
}

// begin opens a group with every metric, so that their order does not depend on which series comes first.
func (o *output) begin(res *resource) {
	o.finish()
	o.resource = res
	rm := o.metrics.ResourceMetrics().AppendEmpty()
	o.engine.resources.fill(res, rm.Resource().Attributes())
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(o.engine.cfg.ScopeName)
	sm.Scope().SetVersion(o.engine.cfg.ScopeVersion)
	o.current = sm.Metrics()
	o.current.EnsureCapacity(instrumentCount)
	temporality := pmetric.AggregationTemporalityCumulative
	if o.engine.cfg.Delta {
		temporality = pmetric.AggregationTemporalityDelta
	}
	for i := range instruments {
		in := &instruments[i]
		m := o.current.AppendEmpty()
		m.SetName(in.Name)
		m.SetDescription(in.Description)
		m.SetUnit(in.Unit)
		switch {
		case in.Kind == KindSum:
			sum := m.SetEmptySum()
			sum.SetIsMonotonic(true)
			sum.SetAggregationTemporality(temporality)
		case o.engine.cfg.ExponentialSize > 0:
			m.SetEmptyExponentialHistogram().SetAggregationTemporality(temporality)
		default:
			m.SetEmptyHistogram().SetAggregationTemporality(temporality)
		}
	}
}

// finish closes the group: metrics without a data point are not emitted.
func (o *output) finish() {
	if o.resource == nil {
		return
	}
	o.current.RemoveIf(func(m pmetric.Metric) bool {
		switch m.Type() {
		case pmetric.MetricTypeSum:
			return m.Sum().DataPoints().Len() == 0
		case pmetric.MetricTypeExponentialHistogram:
			return m.ExponentialHistogram().DataPoints().Len() == 0
		default:
			return m.Histogram().DataPoints().Len() == 0
		}
	})
}

func (o *output) point(s *series, m *emission, instrument int, start, time pcommon.Timestamp, zero bool) {
	o.points++
	metric := o.current.At(instrument)
	delta := o.engine.cfg.Delta
	switch metric.Type() {
	case pmetric.MetricTypeSum:
		dp := metric.Sum().DataPoints().AppendEmpty()
		dp.SetStartTimestamp(start)
		dp.SetTimestamp(time)
		switch {
		case zero:
			dp.SetIntValue(0)
		case m.histogram != nil: // a sum that is the total of a histogram
			dp.SetIntValue(int64(m.histogram.integer()))
		default:
			dp.SetIntValue(int64(m.value))
		}
		o.attributes(s, m, instrument, dp.Attributes())
	case pmetric.MetricTypeExponentialHistogram:
		dp := metric.ExponentialHistogram().DataPoints().AppendEmpty()
		dp.SetStartTimestamp(start)
		dp.SetTimestamp(time)
		if zero {
			dp.SetSum(0)
		} else {
			m.histogram.fillExponential(instrument, dp, delta)
		}
		o.attributes(s, m, instrument, dp.Attributes())
	default:
		dp := metric.Histogram().DataPoints().AppendEmpty()
		dp.SetStartTimestamp(start)
		dp.SetTimestamp(time)
		if zero {
			dp.SetSum(0)
			dp.ExplicitBounds().FromRaw(instruments[instrument].Bounds)
			dp.BucketCounts().FromRaw(make([]uint64, len(instruments[instrument].Bounds)+1))
		} else {
			m.histogram.fillExplicit(instrument, dp, delta)
		}
		o.attributes(s, m, instrument, dp.Attributes())
	}
}

func (o *output) attributes(s *series, m *emission, instrument int, to pcommon.Map) {
	dimensions := o.engine.cfg.Dimensions
	names := families[s.family()].labels
	to.EnsureCapacity(len(names) + len(dimensions) + 2)
	if s.overflow() {
		to.PutBool(AttrOverflow, true)
		o.own(m, instrument, to)
		return
	}
	labels := s.labels()
	var v string
	for _, name := range names {
		if v, labels = nextLabel(labels); v != "" {
			to.PutStr(name, v)
		}
	}
	o.own(m, instrument, to)
	if m.errorType != "" {
		to.PutStr(AttrErrorType, m.errorType)
	}
	if m.errorClass != "" {
		to.PutStr(AttrErrorClass, m.errorClass)
	}
	for _, name := range dimensions {
		if v, labels = nextLabel(labels); v != "" {
			name, v = named(name, v)
			to.PutStr(name, v)
		}
	}
}

// own writes the attributes that tell the data points of one measure apart: there are few, so that overflow
// series have them too.
func (*output) own(m *emission, instrument int, to pcommon.Map) {
	switch instrument {
	case insTokens, insTraceTokens, insThreadTokens:
		to.PutStr(AttrTokenType, m.tokenType)
	case insFinish:
		to.PutStr(AttrFinishReason, m.finish)
	case insCacheRead, insCacheWrite, insReasoning, insInferenceInputTokens, insInferenceOutputTokens:
		to.PutStr(AttrTokenModality, modalityUnknown)
	}
}
