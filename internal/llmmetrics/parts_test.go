package llmmetrics

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSumIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		s, want := sum{}, new(big.Int)
		for range rng.IntN(50) {
			v := rng.Uint64() >> rng.IntN(63)
			s.add(sum{lo: v})
			want.Add(want, new(big.Int).SetUint64(v))
		}
		for sc, unit := range map[scale]int64{scaleOne: 1, scaleNano: nano, scaleFemto: femto} {
			if s.hi >= uint64(unit) {
				continue
			}
			nearest, _ := new(big.Rat).SetFrac(want, big.NewInt(unit)).Float64()
			require.Equal(t, nearest, s.value(sc), "%v/%d", want, unit)
		}
	}
	assert.InEpsilon(t, math.Ldexp(5, 64), sum{hi: 5}.value(scaleOne), 1e-15)
}

func TestSumsOfDecimalsAreDecimal(t *testing.T) {
	var s sum
	for range 10 {
		s.add(fraction(0.1))
	}
	assert.Equal(t, 1.0, s.value(scaleFemto)) // adding float64 gives 0.9999999999999999
	for _, v := range []float64{0, 1e-15, 1.6e-7, 0.0045, 0.5, 8.1, 100.1, 9000.25, 12345.678, maxFraction} {
		assert.Equal(t, v, fraction(v).value(scaleFemto))
	}
}

func TestBucketsIncludeTheirUpperBound(t *testing.T) {
	for i := range instruments {
		in := &instruments[i]
		require.Less(t, len(in.Bounds), maxBuckets)
		for j, b := range in.Bounds {
			v := in.scale.ordered(b)
			assert.Equal(t, j, buckets[i].of(v), "%s %v", in.Name, b)
			assert.Equal(t, j+1, buckets[i].of(v+1), "%s %v", in.Name, b)
			assert.InDelta(t, b, in.scale.value(v), b*1e-15)
		}
		assert.Equal(t, 0, buckets[i].of(0))
		assert.Equal(t, len(in.Bounds), buckets[i].of(math.MaxInt64))
	}
}

func TestExponentialIndex(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for scale := -10; scale <= maxScale; scale++ {
		for range 200 {
			v := math.Exp(rng.Float64()*200 - 100)
			i := indexOf(v, scale)
			// The bounds themselves are rounded, so v may be next to them.
			require.GreaterOrEqual(t, v*(1+1e-12), bound(i, scale))
			require.LessOrEqual(t, v*(1-1e-12), bound(i+1, scale))
		}
		for exp := -30; exp <= 30; exp++ {
			v := math.Ldexp(1, exp)
			i := indexOf(v, scale)
			if scale >= 0 {
				require.Equal(t, exp<<scale-1, i, "a power of two belongs to the bucket below")
			} else {
				require.Less(t, bound(i, scale), v)
				require.GreaterOrEqual(t, bound(i+1, scale), v)
			}
			require.Equal(t, i+1, indexOf(math.Nextafter(v, math.Inf(1)), max(scale, 0))>>max(0, -scale)+boundary(exp, scale, i))
		}
	}
}

// boundary corrects for powers of two that are no boundary at negative scales.
func boundary(exp, scale, i int) int {
	if scale >= 0 {
		return 0
	}
	return i + 1 - exp>>-scale
}

func bound(index, scale int) float64 { return math.Exp2(math.Ldexp(float64(index), -scale)) }

func TestExponentialKeepsCountsInAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for _, size := range []int{2, 3, 8, 160} {
		for range 20 {
			values := make([]float64, 1+rng.IntN(300))
			for i := range values {
				values[i] = math.Exp(rng.Float64()*30 - 20)
				if rng.IntN(20) == 0 {
					values[i] = 0
				}
			}
			weight := uint64(1) << rng.IntN(20) // so that counts of every width occur
			a, b, left, right := newExponential(size), newExponential(size), newExponential(size), newExponential(size)
			for i, v := range values {
				a.record(v, weight)
				if i%2 == 0 {
					left.record(v, weight)
				} else {
					right.record(v, weight)
				}
			}
			rng.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
			for _, v := range values {
				b.record(v, weight)
			}
			left.merge(right, 1)
			require.Equal(t, uint64(len(values))*weight, a.count(0))
			require.LessOrEqual(t, a.high-a.low+1, size)
			for _, o := range []*exponential{b, left} {
				require.Equal(t, a.scale, o.scale)
				require.Equal(t, a.zero, o.zero)
				require.Equal(t, a.low, o.low)
				require.Equal(t, a.high, o.high)
				for i := a.low; i <= a.high; i++ {
					require.Equal(t, a.ring.at(a.slot(i)), o.ring.at(o.slot(i)))
				}
			}
			for i := a.low; i <= a.high; i++ {
				n := uint64(0)
				for _, v := range values {
					if v > 0 && indexOf(v, a.scale) == i {
						n++
					}
				}
				require.Equal(t, n*weight, a.ring.at(a.slot(i)))
			}
			a.reset()
			require.Zero(t, a.count(0))
		}
	}
}

func TestCountersWiden(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	c, want := newCounters(10, 1), make([]uint64, 10)
	for step := range 2000 {
		i, n := rng.IntN(10), rng.Uint64()>>max(10, 63-step/20)
		c.add(i, n)
		want[i] += n
		total := uint64(0)
		for j, w := range want {
			require.Equal(t, w, c.at(j))
			total += w
		}
		require.Equal(t, total, c.sum(0))
		var copied counters
		c.copyTo(&copied)
		require.Equal(t, c, copied)
	}
	require.Equal(t, 8, c.width)
	require.Equal(t, 10, c.len())
}

func TestTableAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var tab table
	model := map[string]*series{}
	hash := func(key string) uint64 { return uint64(len(key))<<8 + uint64(key[len(key)-1])%5 } // many collisions
	for range 20_000 {
		key := "k" + strconv.Itoa(rng.IntN(200))
		s := tab.find(hash(key), []byte(key))
		require.Equal(t, model[key], s)
		if s == nil {
			s = &series{hash: hash(key), key: key}
			tab.insert(s)
			model[key] = s
		} else if rng.IntN(2) == 0 {
			tab.remove(s)
			delete(model, key)
		}
		require.Equal(t, len(model), tab.used)
	}
}

func TestLabelsAreCutBetweenCharacters(t *testing.T) {
	long := ""
	for len(long) < 2*maxLabelBytes {
		long += "é€😀x"
	}
	key := appendLabel(nil, long)
	v, rest := nextLabel(string(key))
	assert.Empty(t, rest)
	assert.LessOrEqual(t, len(v), maxLabelBytes)
	assert.Greater(t, len(v), maxLabelBytes-4)
	assert.True(t, validLabels(string(key)))
	assert.Equal(t, long[:len(v)], v)
}

// Short labels are copied by other means than long ones, and by others where there is little room.
func TestAppendLabelsOfAnyLength(t *testing.T) {
	text := strings.Repeat("abcdefghijklmnopqrstuvwxyz", 10)
	for n := range 150 {
		for _, room := range []int{0, n, n + 1, n + 2, n + 34, 2*n + 35, 400} {
			want := append(binary.AppendUvarint(nil, uint64(n)), text[:n]...)
			want = append(append(want, 1, 'x'), want...)
			key := appendLabels(make([]byte, 0, room), []string{text[:n], "x", strings.Clone(text[:n])})
			require.Equal(t, want, key)
		}
	}
}

// Dimensions that are not told are empty, and what is too much is left out.
func TestKeyHasEveryDimension(t *testing.T) {
	for given := range 5 {
		o := Observation{Family: FamilyWorkflow, WorkflowName: "w", Dimensions: []string{"a", "b", "c", "d"}[:given]}
		labels := appendKey(nil, 1, &o, 3)[keyHead:]
		var values []string
		for len(labels) > 0 {
			var v []byte
			v, labels = nextLabel(labels)
			values = append(values, string(v))
		}
		require.Equal(t, append([]string{"w"}, append(slices.Clone(o.Dimensions), "", "", "")[:3]...), values)
	}
}
