package llmmetrics

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// maxScale is the resolution at which an exponential histogram starts. It is lowered until all values fit.
const maxScale = 20

// exponential keeps the buckets of an exponential histogram of values that are not negative. Buckets form a
// ring addressed by the index modulo its length, so a new low index moves nothing.
type exponential struct {
	maxSize   int
	scale     int
	low, high int // indexes in use; low > high when there are none
	zero      uint64
	ring      counters
}

func newExponential(maxSize int) *exponential {
	e := &exponential{maxSize: maxSize}
	e.reset()
	return e
}

func (e *exponential) reset() {
	e.scale, e.low, e.high, e.zero = maxScale, 0, -1, 0
	clear(e.ring.raw)
}

func (e *exponential) record(v float64, n uint64) {
	if v <= 0 {
		e.zero += n
		return
	}
	e.add(indexOf(v, e.scale), e.scale, n)
}

// add counts n into the bucket that has this index at this scale.
func (e *exponential) add(index, scale int, n uint64) {
	if scale < e.scale {
		e.downscale(e.scale - scale)
	}
	index >>= scale - e.scale
	if e.low > e.high {
		e.low, e.high = index, index
		e.grow(1)
	} else if index < e.low || index > e.high {
		low, high := min(e.low, index), max(e.high, index)
		by := 0
		for (high>>by)-(low>>by) >= e.maxSize {
			by++
		}
		e.downscale(by)
		index >>= by
		low, high = min(e.low, index), max(e.high, index)
		e.grow(high - low + 1)
		e.low, e.high = low, high
	}
	e.ring.add(e.slot(index), n)
}

func (e *exponential) slot(index int) int {
	n := e.ring.len()
	s := index % n
	if s < 0 {
		s += n
	}
	return s
}

// grow makes room for size buckets. Slots outside [low, high] are always zero.
func (e *exponential) grow(size int) {
	had := e.ring.len()
	if size <= had {
		return
	}
	n := max(8, had)
	for n < size {
		n *= 2
	}
	old := *e
	e.ring = newCounters(min(n, e.maxSize), max(1, old.ring.width))
	if had == 0 {
		return
	}
	for i := old.low; i <= old.high; i++ {
		e.ring.set(e.slot(i), old.ring.at(old.slot(i)))
	}
}

// downscale halves the resolution by times.
func (e *exponential) downscale(by int) {
	if by == 0 {
		return
	}
	e.scale -= by
	if e.low > e.high {
		return
	}
	low, high := e.low>>by, e.high>>by
	// Indexes move to lower slots or wrap, so the old counts are taken out first. At most maxSize: small.
	old := make([]uint64, e.high-e.low+1)
	for i := range old {
		s := e.slot(e.low + i)
		old[i] = e.ring.at(s)
		e.ring.set(s, 0)
	}
	for i, c := range old {
		e.ring.add(e.slot((e.low+i)>>by), c)
	}
	e.low, e.high = low, high
}

// merge adds the counts of o, each times so many.
func (e *exponential) merge(o *exponential, times uint64) {
	e.zero += o.zero * times
	for i := o.low; i <= o.high; i++ {
		if c := o.ring.at(o.slot(i)); c > 0 {
			e.add(i, o.scale, c*times)
		}
	}
}

// refine changes counts to units of weights.
func (e *exponential) refine() {
	e.each(func(c uint64) uint64 { return c << weightBits })
}

// settle keeps the fractions of counts.
func (e *exponential) settle() {
	e.each(func(c uint64) uint64 { return c & fractions })
}

func (e *exponential) each(change func(uint64) uint64) {
	e.zero = change(e.zero)
	for i := range e.ring.len() {
		if c := e.ring.at(i); c > 0 {
			e.ring.set(i, change(c))
		}
	}
}

func (e *exponential) copyTo(dst *exponential) {
	ring := dst.ring
	e.ring.copyTo(&ring)
	*dst = *e
	dst.ring = ring
}

// count is the sum of the counts, each without its last bits.
func (e *exponential) count(shift int) uint64 { return e.zero>>shift + e.ring.sum(shift) }

// fill writes the buckets, the counts without their last bits.
func (e *exponential) fill(dp pmetric.ExponentialHistogramDataPoint, shift int) {
	dp.SetZeroCount(e.zero >> shift)
	if e.low > e.high {
		dp.SetScale(0)
		return
	}
	dp.SetScale(int32(e.scale))
	dp.Positive().SetOffset(int32(e.low))
	counts := dp.Positive().BucketCounts()
	counts.EnsureCapacity(e.high - e.low + 1)
	for i := e.low; i <= e.high; i++ {
		counts.Append(e.ring.at(e.slot(i)) >> shift)
	}
}

// indexOf is the bucket of v > 0: the i with 2^(i/2^scale) < v <= 2^((i+1)/2^scale).
func indexOf(v float64, scale int) int {
	frac, exp := math.Frexp(v) // v = frac * 2^exp, frac in [0.5, 1)
	if frac == 0.5 {
		// An exact power of two is the upper bound of its bucket; logarithms would not be exact here.
		if scale >= 0 {
			return (exp-1)<<scale - 1
		}
		return (exp - 2) >> -scale
	}
	if scale <= 0 {
		return (exp - 1) >> -scale
	}
	steps := 1 << scale
	below := int(math.Floor(math.Log2(frac) * float64(steps)))
	return exp<<scale + min(max(below, -steps), -1)
}
