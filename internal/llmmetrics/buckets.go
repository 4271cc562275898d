package llmmetrics

import (
	"math"
	"math/bits"
)

// bucketing finds the bucket of a value without a search: the octave of the value, the power of two it lies
// between, leaves few boundaries to compare with. It does not branch on values, which nothing could predict.
type bucketing struct {
	bounds [16]uint64 // ordered, and the greatest integer after the last
	first  [64]uint8  // by octave, how many boundaries are in lower ones
	most   int        // boundaries in one octave
	float  bool       // ordered values are the bits of floats
}

// buckets are those of the instruments.
var buckets = func() (all [instrumentCount]bucketing) {
	for i := range instruments {
		all[i] = newBucketing(instruments[i].Bounds, instruments[i].scale)
	}
	return all
}()

func newBucketing(bounds []float64, sc scale) bucketing {
	b := bucketing{float: sc == scaleFemto}
	for i := range b.bounds {
		b.bounds[i] = math.MaxInt64
	}
	var within [64]int
	for i, bound := range bounds {
		b.bounds[i] = sc.ordered(bound)
		octave := b.octave(b.bounds[i])
		within[octave]++
		b.most = max(b.most, within[octave])
		for above := octave + 1; above < 64; above++ {
			b.first[above]++
		}
	}
	return b
}

// of is the number of boundaries below v, which must be below 2^63: so the sign of a difference tells which is
// greater.
func (b *bucketing) of(v uint64) int {
	n := uint64(b.first[b.octave(v)%64])
	for range b.most {
		n += (b.bounds[n%16] - v) >> 63
	}
	return int(n)
}

// octave is 0 to 63. Floats beyond 2^-31 and 2^31 count with the first and the last.
func (b *bucketing) octave(v uint64) int {
	if !b.float {
		return bits.Len64(v)
	}
	return min(max(int(v>>52)-(1023-31), 0), 63)
}
