package llmmetricsconnector

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// timeline turns what each minute adds into totals that run along event time, as if they had been scraped then: each
// series begins with a zero, has a point in every minute from there until it expires, and never goes back in time. What
// comes for a minute that was told counts in the next one. Resources keep their own time, since the history of one
// project may be read long after that of another.
type timeline struct {
	expiration time.Duration // zero is never
	limit      int           // of strands; those beyond it are told together
	strands    int
	tracks     map[string]*track
	order      []*track
	rest       *track // of resources beyond maxTracks, nil while there are none
}

const (
	// maxTracks bounds the resources that have a timeline of their own, as the engine bounds those of a minute.
	maxTracks = 1000
	// strandsPerSeries is how many data points an attribute set has, most often fewer.
	strandsPerSeries = 8
)

// track is the timeline of one resource.
type track struct {
	of      *timeline
	totals  pmetric.Metrics // of one resource
	streams map[string]*strand
	last    pcommon.Timestamp // the last minute told ended then; zero before the first
	untold  bool              // totals hold what no point tells yet
}

// strand is a data point of the totals.
type strand struct {
	seen      pcommon.Timestamp // end of the last minute that added to it
	number    pmetric.NumberDataPoint
	histogram pmetric.HistogramDataPoint
	rest      float64 // of the histogram's sum, lost to rounding so far
}

func newTimeline(expiration time.Duration, maxSeries int) *timeline {
	return &timeline{expiration: expiration, limit: maxSeries * strandsPerSeries, tracks: map[string]*track{}}
}

// trackOf is the track of a resource.
func (t *timeline) trackOf(resource pcommon.Resource) *track {
	var key strings.Builder
	writeKey(&key, resource.Attributes())
	tr := t.tracks[key.String()]
	switch {
	case tr != nil:
		return tr
	case len(t.tracks) < maxTracks:
		tr = t.begin(resource)
		t.tracks[key.String()] = tr
		return tr
	case t.rest == nil:
		resource = pcommon.NewResource()
		resource.Attributes().PutBool(llmmetrics.AttrOverflow, true)
		t.rest = t.begin(resource)
	}
	return t.rest
}

func (t *timeline) begin(resource pcommon.Resource) *track {
	tr := &track{of: t, totals: pmetric.NewMetrics(), streams: map[string]*strand{}}
	resource.CopyTo(tr.totals.ResourceMetrics().AppendEmpty().Resource())
	t.order = append(t.order, tr)
	return tr
}

// finish tells what came late, a second after the last minute. It returns the number of points, as the other methods do.
func (t *timeline) finish(out pmetric.Metrics) (points int) {
	for _, tr := range t.order {
		if tr.untold {
			points += tr.tell(tr.last+pcommon.Timestamp(time.Second), out)
		}
	}
	return points
}

// owes reports whether something came late that no point tells yet.
func (t *timeline) owes() bool {
	return slices.ContainsFunc(t.order, func(tr *track) bool { return tr.untold })
}

// behind reports whether minutes without calls come between the last one told and the one that begins at start.
func (t *track) behind(start pcommon.Timestamp) bool {
	if t.last == 0 || t.last >= start {
		return false
	}
	t.expire(t.last + windowLength)
	return len(t.streams) > 0
}

// pass tells a minute without calls.
func (t *track) pass(out pmetric.Metrics) int { return t.tell(t.last+windowLength, out) }

// add adds what the calls of the minute that begins at start made, and tells that minute unless a later one was told.
func (t *track) add(delta pmetric.ResourceMetrics, start pcommon.Timestamp, out pmetric.Metrics) int {
	end := start + windowLength
	late := t.last >= end
	zeros := pmetric.NewMetrics()
	t.totals.ResourceMetrics().At(0).Resource().CopyTo(zeros.ResourceMetrics().AppendEmpty().Resource())
	for _, sm := range delta.ScopeMetrics().All() {
		for _, m := range sm.Metrics().All() {
			t.addMetric(sm, m, max(start, t.last), max(end, t.last), zeros)
		}
	}
	points := zeros.DataPointCount()
	if points > 0 {
		zeros.ResourceMetrics().MoveAndAppendTo(out.ResourceMetrics())
	}
	if late {
		t.untold = true
		return points
	}
	t.expire(end)
	return points + t.tell(end, out)
}

// addMetric adds data points to their streams. New ones were born at a time, and have their zero then.
func (t *track) addMetric(sm pmetric.ScopeMetrics, m pmetric.Metric, born, seen pcommon.Timestamp, zeros pmetric.Metrics) {
	streamOf := func(attrs pcommon.Map, begin func(attrs pcommon.Map, total, zero pmetric.Metric) *strand) *strand {
		s := t.streams[strandKey(m, attrs)]
		if s == nil && t.of.strands >= t.of.limit {
			attrs = overflowOf(attrs)
			s = t.streams[strandKey(m, attrs)]
		}
		if s == nil {
			s = begin(attrs, metricIn(t.totals, sm, m), metricIn(zeros, sm, m))
			t.streams[strandKey(m, attrs)] = s
			t.of.strands++
		}
		s.seen = seen
		return s
	}
	switch m.Type() {
	case pmetric.MetricTypeSum:
		for _, dp := range m.Sum().DataPoints().All() {
			s := streamOf(dp.Attributes(), func(attrs pcommon.Map, total, zero pmetric.Metric) *strand {
				n := total.Sum().DataPoints().AppendEmpty()
				attrs.CopyTo(n.Attributes())
				n.SetStartTimestamp(born)
				n.SetTimestamp(born)
				n.SetIntValue(0)
				n.CopyTo(zero.Sum().DataPoints().AppendEmpty())
				return &strand{number: n}
			})
			s.number.SetIntValue(s.number.IntValue() + dp.IntValue())
		}
	case pmetric.MetricTypeHistogram:
		for _, dp := range m.Histogram().DataPoints().All() {
			s := streamOf(dp.Attributes(), func(attrs pcommon.Map, total, zero pmetric.Metric) *strand {
				h := total.Histogram().DataPoints().AppendEmpty()
				attrs.CopyTo(h.Attributes())
				h.SetStartTimestamp(born)
				h.SetTimestamp(born)
				h.SetSum(0)
				dp.ExplicitBounds().CopyTo(h.ExplicitBounds())
				h.BucketCounts().FromRaw(make([]uint64, dp.BucketCounts().Len()))
				h.CopyTo(zero.Histogram().DataPoints().AppendEmpty())
				return &strand{histogram: h}
			})
			h := s.histogram
			h.SetCount(h.Count() + dp.Count())
			s.addSum(dp.Sum())
			for i, n := range dp.BucketCounts().All() {
				h.BucketCounts().SetAt(i, h.BucketCounts().At(i)+n)
			}
		}
	}
}

// addSum adds to the sum of a histogram without a loss that would grow from minute to minute.
func (s *strand) addSum(v float64) {
	v += s.rest
	sum := s.histogram.Sum() + v
	s.rest = v - (sum - s.histogram.Sum())
	s.histogram.SetSum(sum)
}

// expire drops what nothing added to for too long by the end of a minute.
func (t *track) expire(end pcommon.Timestamp) {
	if t.of.expiration <= 0 {
		return
	}
	gone := false
	for key, s := range t.streams {
		if end > s.seen && time.Duration(end-s.seen) > t.of.expiration {
			delete(t.streams, key)
			t.of.strands--
			gone = true
		}
	}
	if !gone {
		return
	}
	// The points that are left are those of the streams.
	numbers, histograms := map[pmetric.NumberDataPoint]bool{}, map[pmetric.HistogramDataPoint]bool{}
	for _, s := range t.streams {
		numbers[s.number], histograms[s.histogram] = true, true
	}
	t.metrics().RemoveIf(func(m pmetric.Metric) bool {
		if m.Type() == pmetric.MetricTypeSum {
			m.Sum().DataPoints().RemoveIf(func(dp pmetric.NumberDataPoint) bool { return !numbers[dp] })
			return m.Sum().DataPoints().Len() == 0
		}
		m.Histogram().DataPoints().RemoveIf(func(dp pmetric.HistogramDataPoint) bool { return !histograms[dp] })
		return m.Histogram().DataPoints().Len() == 0
	})
}

// tell adds a point of every stream to the output.
func (t *track) tell(at pcommon.Timestamp, out pmetric.Metrics) int {
	t.last, t.untold = at, false
	for _, m := range t.metrics().All() {
		if m.Type() == pmetric.MetricTypeSum {
			for _, dp := range m.Sum().DataPoints().All() {
				dp.SetTimestamp(at)
			}
			continue
		}
		for _, dp := range m.Histogram().DataPoints().All() {
			dp.SetTimestamp(at)
		}
	}
	t.totals.ResourceMetrics().At(0).CopyTo(out.ResourceMetrics().AppendEmpty())
	return len(t.streams)
}

func (t *track) metrics() pmetric.MetricSlice {
	scopes := t.totals.ResourceMetrics().At(0).ScopeMetrics()
	if scopes.Len() == 0 {
		return pmetric.NewMetricSlice()
	}
	return scopes.At(0).Metrics()
}

// metricIn finds the metric in md, which is of one resource, or makes it.
func metricIn(md pmetric.Metrics, sm pmetric.ScopeMetrics, m pmetric.Metric) pmetric.Metric {
	scopes := md.ResourceMetrics().At(0).ScopeMetrics()
	if scopes.Len() == 0 {
		sm.Scope().CopyTo(scopes.AppendEmpty().Scope())
	}
	to := scopes.At(0)
	for _, have := range to.Metrics().All() {
		if have.Name() == m.Name() {
			return have
		}
	}
	made := to.Metrics().AppendEmpty()
	made.SetName(m.Name())
	made.SetDescription(m.Description())
	made.SetUnit(m.Unit())
	if m.Type() == pmetric.MetricTypeSum {
		sum := made.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	} else {
		made.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	}
	return made
}

func strandKey(m pmetric.Metric, attrs pcommon.Map) string {
	var key strings.Builder
	key.WriteString(m.Name())
	key.WriteByte('|')
	writeKey(&key, attrs)
	return key.String()
}

// overflowOf are the attributes of the data point that counts further attribute sets together: those that the engine's
// overflow series have.
func overflowOf(attrs pcommon.Map) pcommon.Map {
	out := pcommon.NewMap()
	out.PutBool(llmmetrics.AttrOverflow, true)
	for _, name := range [...]string{llmmetrics.AttrTokenType, llmmetrics.AttrFinishReason, llmmetrics.AttrTokenModality} {
		if v, ok := attrs.Get(name); ok {
			v.CopyTo(out.PutEmpty(name))
		}
	}
	return out
}

// writeKey writes attributes, which always come in one order from the engine, so that no two sets read the same.
func writeKey(b *strings.Builder, attrs pcommon.Map) {
	for name, v := range attrs.All() {
		text := v.AsString()
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(strconv.Itoa(len(text)))
		b.WriteByte(':')
		b.WriteString(text)
	}
	b.WriteByte('|')
}
