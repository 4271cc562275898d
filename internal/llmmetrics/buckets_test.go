package llmmetrics

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBucketsAgainstSearch holds for any boundaries, also those that crowd an octave or lie far out.
func TestBucketsAgainstSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	check := func(bounds []float64, sc scale, v float64) {
		at, found := slices.BinarySearch(bounds, v)
		_ = found // a boundary belongs to its bucket
		b := newBucketing(bounds, sc)
		require.Equal(t, at, b.of(sc.ordered(v)), "%v in %v", v, bounds)
	}
	for i := range instruments {
		for range 2000 {
			if in := &instruments[i]; in.Kind == KindHistogram {
				v := in.Bounds[rng.IntN(len(in.Bounds))] * (rng.Float64() * 3)
				if in.scale != scaleFemto {
					v = in.scale.value(in.scale.ordered(v))
				}
				check(in.Bounds, in.scale, v)
			}
		}
	}
	for range 2000 {
		var bounds []float64
		for range rng.IntN(maxBuckets) {
			bounds = append(bounds, float64(1+rng.IntN(40)))
		}
		slices.Sort(bounds)
		bounds = slices.Compact(bounds)
		for _, sc := range []scale{scaleOne, scaleNano, scaleFemto} {
			check(bounds, sc, float64(rng.IntN(50)))
			if len(bounds) > 0 {
				check([]float64{1e-15, 1e-12, bounds[0]}, scaleFemto, bounds[0]*1e-13)
				check([]float64{bounds[0], 3e12, 4e15}, scaleFemto, bounds[0]*1e12)
			}
		}
	}
}
