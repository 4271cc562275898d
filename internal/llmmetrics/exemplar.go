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
func (h *histogram) offer(from *origin, value float64, limit int) {
	if limit == 0 || from == nil || from.traceID.IsEmpty() || from.spanID.IsEmpty() {
		return
	}
	x := exemplar{value: value, time: from.time, traceID: from.traceID, spanID: from.spanID}
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
