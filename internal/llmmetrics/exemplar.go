package llmmetrics

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// exemplar names the span behind a value.
type exemplar struct {
	value   float64
	time    pcommon.Timestamp
	traceID pcommon.TraceID
	spanID  pcommon.SpanID
}

// offer keeps the observation as an exemplar. The first place belongs to the largest value since the last
// flush, because that is what somebody looks for; the others go to the newest ones in turn.
func (h *histogram) offer(m *measures, value float64, limit int) {
	if limit == 0 || m.traceID.IsEmpty() || m.spanID.IsEmpty() {
		return
	}
	x := exemplar{value: value, time: m.time, traceID: m.traceID, spanID: m.spanID}
	switch n := len(h.exemplars); {
	case n == 0:
		if h.exemplars == nil {
			h.exemplars = make([]exemplar, 0, limit)
		}
		h.exemplars = append(h.exemplars, x)
		return
	case value > h.exemplars[0].value:
		x, h.exemplars[0] = h.exemplars[0], x
	}
	if limit == 1 {
		return
	}
	if len(h.exemplars) < limit {
		h.exemplars = append(h.exemplars, x)
		return
	}
	copy(h.exemplars[1:], h.exemplars[2:])
	h.exemplars[limit-1] = x
}

func fillExemplars(from []exemplar, to pmetric.ExemplarSlice) {
	to.EnsureCapacity(len(from))
	for i := range from {
		x := to.AppendEmpty()
		x.SetDoubleValue(from[i].value)
		x.SetTimestamp(from[i].time)
		x.SetTraceID(from[i].traceID)
		x.SetSpanID(from[i].spanID)
	}
}
