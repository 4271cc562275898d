package llmmetrics

import (
	"math"
	"math/bits"
)

// sum is a total of 128 bits. Adding is exact and so independent of order, which no sum of float64 is.
type sum struct{ hi, lo uint64 }

func (s *sum) add(o sum) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.hi, _ = bits.Add64(s.hi, o.hi, carry)
}

// times is s n times. It wraps around beyond 128 bits.
func (s sum) times(n uint64) sum {
	hi, lo := bits.Mul64(s.lo, n)
	return sum{hi: hi + s.hi*n, lo: lo}
}

// whole is the whole part of a sum of weights, and left what remains of it.
func (s sum) whole() uint64 { return s.hi<<(64-weightBits) | s.lo>>weightBits }
func (s sum) left() sum     { return sum{lo: s.lo & fractions} }

// round is a sum of weights made whole, up or down as dither says.
func (s sum) round(dither weight) sum {
	s.add(sum{lo: dither})
	s.lo &^= fractions
	return s
}

func (s sum) empty() bool { return s == sum{} }

// Units in a whole of the scales.
const (
	nano  = 1_000_000_000
	femto = 1_000_000_000_000_000
)

// maxFraction bounds a single value of scaleFemto.
const maxFraction = 1 << 31

// fraction is v in units of 1e-15. A cost is a decimal number by nature, price times tokens, of which a
// float64 is the nearest neighbour; rounding to decimal units undoes that, so that ten times 0.1 is 1. Each
// value is rounded by itself, so rounding does not depend on order either. v must be in [0, maxFraction].
func fraction(v float64) sum {
	if units := v * femto; units < 1<<63 {
		return sum{lo: uint64(math.RoundToEven(units))}
	}
	whole := math.Floor(v)
	var s sum
	s.hi, s.lo = bits.Mul64(uint64(whole), femto)
	s.add(sum{lo: uint64(math.RoundToEven((v - whole) * femto))})
	return s
}

// value is the total in the unit of the metric, correctly rounded.
func (s sum) value(sc scale) float64 {
	switch sc {
	case scaleNano:
		return s.divide(nano)
	case scaleFemto:
		return s.divide(femto)
	default:
		return s.divide(1)
	}
}

// divide is s/d, correctly rounded where the quotient is below 2^64. d must be below 2^53.
func (s sum) divide(d uint64) float64 {
	if s.hi == 0 && s.lo < 1<<53 {
		return float64(s.lo) / float64(d)
	}
	if s.hi >= d {
		return (math.Ldexp(float64(s.hi), 64) + float64(s.lo)) / float64(d)
	}
	whole, rest := bits.Div64(s.hi, s.lo, d)
	part, rest := bits.Div64(rest, 0, d)
	if whole == 0 {
		return float64(s.lo) / float64(d)
	}
	// The 64 leading bits of whole and part, of which the last one also stands for all that follow: float64
	// then rounds as if it saw them.
	shift := bits.LeadingZeros64(whole)
	top := whole<<shift | part>>(64-shift)
	if part<<shift != 0 || rest != 0 {
		top |= 1
	}
	return math.Ldexp(float64(top), -shift)
}
