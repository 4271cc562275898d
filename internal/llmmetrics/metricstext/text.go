// Package metricstext writes metrics as text, so that a test can compare them whole and a person can read them.
package metricstext

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// String is md as text, in its own order. Times are told relative to epoch.
func String(md pmetric.Metrics, epoch time.Time) string {
	w := &writer{epoch: epoch}
	for _, rm := range md.ResourceMetrics().All() {
		w.line(0, "resource "+attributes(rm.Resource().Attributes()))
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				w.metric(m)
			}
		}
	}
	return w.out.String()
}

type writer struct {
	out   strings.Builder
	epoch time.Time
}

func (w *writer) line(indent int, s string) {
	w.out.WriteString(strings.Repeat("  ", indent) + s + "\n")
}

func (w *writer) metric(m pmetric.Metric) {
	head := m.Name() + " (" + m.Unit() + ") "
	switch m.Type() {
	case pmetric.MetricTypeSum:
		monotonic := ""
		if m.Sum().IsMonotonic() {
			monotonic = "monotonic "
		}
		w.line(1, head+monotonic+"sum, "+strings.ToLower(m.Sum().AggregationTemporality().String()))
		for _, dp := range m.Sum().DataPoints().All() {
			w.line(2, w.point(dp.Attributes(), dp.StartTimestamp(), dp.Timestamp())+
				fmt.Sprintf(" value=%d", dp.IntValue())+w.exemplars(dp.Exemplars()))
		}
	case pmetric.MetricTypeHistogram:
		w.line(1, head+"histogram, "+strings.ToLower(m.Histogram().AggregationTemporality().String()))
		for _, dp := range m.Histogram().DataPoints().All() {
			s := w.point(dp.Attributes(), dp.StartTimestamp(), dp.Timestamp())
			s += fmt.Sprintf(" count=%d sum=%s", dp.Count(), number(dp.Sum()))
			if dp.HasMin() {
				s += fmt.Sprintf(" min=%s max=%s", number(dp.Min()), number(dp.Max()))
			}
			for i, n := range dp.BucketCounts().All() {
				if n == 0 {
					continue
				}
				bound := "inf"
				if i < dp.ExplicitBounds().Len() {
					bound = number(dp.ExplicitBounds().At(i))
				}
				s += fmt.Sprintf(" le_%s:%d", bound, n)
			}
			w.line(2, s+w.exemplars(dp.Exemplars()))
		}
	case pmetric.MetricTypeExponentialHistogram:
		w.line(1, head+"exponential histogram, "+strings.ToLower(m.ExponentialHistogram().AggregationTemporality().String()))
		for _, dp := range m.ExponentialHistogram().DataPoints().All() {
			s := w.point(dp.Attributes(), dp.StartTimestamp(), dp.Timestamp())
			s += fmt.Sprintf(" count=%d sum=%s scale=%d zero=%d", dp.Count(), number(dp.Sum()), dp.Scale(), dp.ZeroCount())
			if dp.HasMin() {
				s += fmt.Sprintf(" min=%s max=%s", number(dp.Min()), number(dp.Max()))
			}
			for i, n := range dp.Positive().BucketCounts().All() {
				if n > 0 {
					s += fmt.Sprintf(" %d:%d", int(dp.Positive().Offset())+i, n)
				}
			}
			w.line(2, s+w.exemplars(dp.Exemplars()))
		}
	default:
		w.line(1, head+m.Type().String())
	}
}

func (w *writer) point(attrs pcommon.Map, start, end pcommon.Timestamp) string {
	return "{" + attributes(attrs) + "} " + w.time(start) + "-" + w.time(end)
}

func (w *writer) exemplars(all pmetric.ExemplarSlice) string {
	s := ""
	for _, x := range all.All() {
		s += fmt.Sprintf(" exemplar(%s at %s span %s)", number(x.DoubleValue()), w.time(x.Timestamp()), x.SpanID())
	}
	return s
}

func (w *writer) time(t pcommon.Timestamp) string {
	if t == 0 {
		return "none"
	}
	return number(t.AsTime().Sub(w.epoch).Seconds()) + "s"
}

func attributes(m pcommon.Map) string {
	var all []string
	for k, v := range m.All() {
		all = append(all, k+"="+v.AsString())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
