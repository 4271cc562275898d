package llmmetrics

import "math"

// A weight is the number of operations that one observation stands for, in units of 1/2^20: an observation that
// was sampled with one in three stands for three, one with two in three for one and a half. Sums keep the
// fraction, so totals do not drift.
type weight = uint64

const (
	weightBits = 20
	one        = weight(1) << weightBits
	fractions  = one - 1

	// maxWeight bounds a weight: whoever samples less than one in sixteen million wants no totals.
	maxWeight = 1 << 24
)

func weightOf(w float64) weight {
	switch {
	case !(w > 1):
		return one
	case w >= maxWeight:
		return maxWeight << weightBits
	}
	return weight(math.RoundToEven(w * float64(one)))
}
