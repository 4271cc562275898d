package llmmetrics

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// Counts are kept in halves; no operation may lose what goes from one to the other.
func TestHistogramCarriesCounts(t *testing.T) {
	var h histogram
	h.addBucket(3, math.MaxUint32)
	require.Nil(t, h.high)
	h.addBucket(3, 1)
	h.addBucket(4, 5<<32|7)
	require.Equal(t, []uint64{1 << 32, 5<<32 | 7}, []uint64{h.bucket(3), h.bucket(4)})
	require.Equal(t, uint64(6<<32|7), h.count())

	var copied histogram
	h.copyTo(&copied)
	h.addBucket(3, 1<<33)
	require.Equal(t, uint64(1<<32), copied.bucket(3), "the copy shares no memory")

	copied.addBucket(5, math.MaxUint32-1)
	h.merge(&copied)
	require.Equal(t, []uint64{4 << 32, 10<<32 | 14, math.MaxUint32 - 1}, []uint64{h.bucket(3), h.bucket(4), h.bucket(5)})

	c := &codec{}
	c.histogram(&h)
	var restored histogram
	c.reading = true
	c.histogram(&restored)
	require.NoError(t, c.err)
	require.Equal(t, h, restored)

	var fine histogram
	fine.addBucket(2, 1<<13)
	fine.refine()
	require.Equal(t, uint64(1<<33), fine.bucket(2))
	fine.addBucket(2, 3)
	fine.settle()
	require.Equal(t, uint64(3), fine.bucket(2), "only the fraction stays")
	h.reset()
	require.Equal(t, histogram{}, h)
}
