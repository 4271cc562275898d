package llmmetrics

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// maxBuckets is the length of the longest set of boundaries, plus one.
const maxBuckets = 15

// histogram is the state of one data point; the zero value is empty. It is explicit unless exp is set. The
// number of observations is the sum of the bucket counts and not kept. What every observation touches is close
// together: with many series, time goes into waiting for memory. So counts are halves of 64 bits, of which the high
// ones exist only once a low one was full.
type histogram struct {
	total     sum
	notMin    uint64 // complement of the least ordered value, so that zero is none
	max       uint64
	counts    [maxBuckets]uint32 // the low halves
	fine      bool               // total and counts are in units of weights; only once a weight was no whole number
	high      *[maxBuckets]uint32
	exp       *exponential
	exemplars []exemplar
}

// recordInteger adds a value of scaleOne or scaleNano.
func (h *histogram) recordInteger(instrument int, v uint64, w weight) {
	h.record(instrument, v, sum{lo: v}, w)
}

// recordFraction adds a value of scaleFemto in [0, maxFraction].
func (h *histogram) recordFraction(instrument int, v float64, w weight) {
	h.record(instrument, math.Float64bits(v), fraction(v), w)
}

// record adds a value by what it is ordered by and what it adds to the total.
func (h *histogram) record(instrument int, ordered uint64, v sum, w weight) {
	h.notMin = max(h.notMin, ^ordered)
	h.max = max(h.max, ordered)
	if w == one && !h.fine && h.exp == nil { // as most are
		h.total.add(v)
		h.addBucket(buckets[instrument].of(ordered), 1)
		return
	}
	n := h.times(w)
	h.total.add(v.times(n))
	if h.exp != nil {
		h.exp.record(instruments[instrument].scale.value(ordered), n)
		return
	}
	h.addBucket(buckets[instrument].of(ordered), n)
}

// times is a weight in the units of the counts.
func (h *histogram) times(w weight) uint64 {
	if h.fine {
		return w
	}
	if w&fractions != 0 {
		h.refine()
		return w
	}
	return w >> weightBits
}

// refine changes to units of weights.
func (h *histogram) refine() {
	h.fine = true
	h.total = h.total.times(one)
	for i := range h.counts {
		h.setBucket(i, h.bucket(i)<<weightBits)
	}
	if h.exp != nil {
		h.exp.refine()
	}
}

func (h *histogram) shift() int {
	if h.fine {
		return weightBits
	}
	return 0
}

func (h *histogram) addBucket(i int, n uint64) {
	c := uint64(h.counts[i]) + n
	h.counts[i] = uint32(c)
	if c > math.MaxUint32 {
		h.carry(i, c)
	}
}

// carry adds to a high half what is too much for a low one.
func (h *histogram) carry(i int, c uint64) {
	if h.high == nil {
		h.high = new([maxBuckets]uint32)
	}
	h.high[i] += uint32(c >> 32)
}

// bucket is the count of a bucket.
func (h *histogram) bucket(i int) uint64 {
	c := uint64(h.counts[i])
	if h.high != nil {
		c |= uint64(h.high[i]) << 32
	}
	return c
}

func (h *histogram) setBucket(i int, c uint64) {
	h.counts[i] = uint32(c)
	if h.high != nil {
		h.high[i] = 0
	}
	if c > math.MaxUint32 {
		h.carry(i, c)
	}
}

// touch reads from the ends of what an observation changes. The result is of no use.
func (h *histogram) touch() uint64 {
	t := h.total.lo + uint64(h.counts[0]) + uint64(h.counts[maxBuckets-1])
	if h.exp != nil {
		t += uint64(h.exp.scale) + uint64(len(h.exp.ring.raw))
		if len(h.exp.ring.raw) > 0 {
			t += uint64(h.exp.ring.raw[0])
		}
	}
	return t
}

// count is the number of observations, without the fractions of buckets: it is the sum of what these tell.
func (h *histogram) count() uint64 {
	if h.exp != nil {
		return h.exp.count(h.shift())
	}
	n := uint64(0)
	for i := range h.counts {
		n += h.bucket(i) >> h.shift()
	}
	return n
}

// sum is the total in the unit of the metric.
func (h *histogram) sum(instrument int) float64 {
	return math.Ldexp(h.total.value(instruments[instrument].scale), -h.shift())
}

// integer is the total of a histogram of integers.
func (h *histogram) integer() uint64 {
	if h.fine {
		return h.total.whole()
	}
	return h.total.lo
}

func (h *histogram) empty() bool { return h.notMin == 0 }

// copyTo makes dst equal to h, reusing the memory of dst.
func (h *histogram) copyTo(dst *histogram) {
	dst.total, dst.notMin, dst.max, dst.counts, dst.fine = h.total, h.notMin, h.max, h.counts, h.fine
	dst.high = nil
	if h.high != nil {
		high := *h.high
		dst.high = &high
	}
	dst.exemplars = append(dst.exemplars[:0], h.exemplars...)
	if h.exp == nil {
		dst.exp = nil
		return
	}
	if dst.exp == nil {
		dst.exp = &exponential{}
	}
	h.exp.copyTo(dst.exp)
}

// merge adds o, which must be of the same instrument. Exemplars of o replace those of h.
func (h *histogram) merge(o *histogram) {
	if o.fine && !h.fine {
		h.refine()
	}
	times := uint64(1)
	if h.fine && !o.fine {
		times = one
	}
	h.total.add(o.total.times(times))
	h.notMin = max(h.notMin, o.notMin)
	h.max = max(h.max, o.max)
	for i := range o.counts {
		if c := o.bucket(i); c > 0 {
			h.setBucket(i, h.bucket(i)+c*times)
		}
	}
	if o.exp != nil {
		if h.exp == nil {
			h.exp = newExponential(o.exp.maxSize)
		}
		h.exp.merge(o.exp, times)
	}
	if len(o.exemplars) > 0 {
		h.exemplars = append(h.exemplars[:0], o.exemplars...)
	}
}

func (h *histogram) reset() {
	h.total, h.notMin, h.max, h.fine = sum{}, 0, 0, false
	clear(h.counts[:])
	h.high = nil
	if h.exp != nil {
		h.exp.reset()
	}
	h.exemplars = h.exemplars[:0]
}

// settle is reset after a window that was told, but keeps the fractions of counts for the next one.
func (h *histogram) settle() {
	if !h.fine {
		h.reset()
		return
	}
	h.total, h.notMin, h.max = sum{}, 0, 0
	for i := range h.counts {
		h.setBucket(i, h.bucket(i)&fractions)
	}
	if h.exp != nil {
		h.exp.settle()
	}
	h.exemplars = h.exemplars[:0]
}

// round makes counts whole. All of them together change by less than one, up or down as dither says.
func (h *histogram) round(dither weight) {
	if !h.fine {
		return
	}
	for i := range h.counts {
		var c uint64
		c, dither = roundOne(h.bucket(i), dither)
		h.setBucket(i, c)
	}
	if h.exp != nil {
		h.exp.each(func(c uint64) uint64 {
			c, dither = roundOne(c, dither)
			return c
		})
	}
}

// roundOne makes a count whole, and returns what the next one is rounded with.
func roundOne(c, dither weight) (whole, next weight) {
	c += dither
	return c &^ fractions, c & fractions
}

// fillExplicit writes the state into a data point. Minimum and maximum are only told for a window: since the
// start of a process they say nothing.
func (h *histogram) fillExplicit(instrument int, dp pmetric.HistogramDataPoint, window bool) {
	sc := instruments[instrument].scale
	dp.SetCount(h.count())
	dp.SetSum(h.sum(instrument))
	if window && !h.empty() {
		dp.SetMin(sc.value(^h.notMin))
		dp.SetMax(sc.value(h.max))
	}
	dp.ExplicitBounds().FromRaw(instruments[instrument].Bounds)
	var counts [maxBuckets]uint64
	for i := range counts {
		counts[i] = h.bucket(i) >> h.shift()
	}
	dp.BucketCounts().FromRaw(counts[:len(instruments[instrument].Bounds)+1])
	fillExemplars(h.exemplars, dp.Exemplars())
}

// fillExponential is fillExplicit for an exponential histogram.
func (h *histogram) fillExponential(instrument int, dp pmetric.ExponentialHistogramDataPoint, window bool) {
	sc := instruments[instrument].scale
	dp.SetCount(h.count())
	dp.SetSum(h.sum(instrument))
	if window && !h.empty() {
		dp.SetMin(sc.value(^h.notMin))
		dp.SetMax(sc.value(h.max))
	}
	h.exp.fill(dp, h.shift())
	fillExemplars(h.exemplars, dp.Exemplars())
}
