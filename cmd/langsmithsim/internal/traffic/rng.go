package traffic

import (
	"math"
	"math/rand/v2"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// rng is a source of chance that is a function of its seeds, so that the same seed gives the same bytes on
// every machine.
type rng struct{ *rand.Rand }

func newRNG(a, b uint64) rng {
	return rng{rand.New(rand.NewPCG(a, b*0x9e3779b97f4a7c15+0x632be59bd9b4e019))}
}

// chance is true with probability p.
func (r rng) chance(p float64) bool { return r.Float64() < p }

// between is a whole number in [lo, hi].
func (r rng) between(lo, hi int64) int64 { return lo + r.Int64N(hi-lo+1) }

// lognormal is a positive number around the median, as latencies and lengths are distributed.
func (r rng) lognormal(median, sigma float64) float64 {
	return median * math.Exp(sigma*r.NormFloat64())
}

// millis is a duration in microseconds around a median given in milliseconds.
func (r rng) millis(median, sigma float64) int64 {
	return max(int64(r.lognormal(median, sigma)*1000), 40)
}

// tokens is a number of tokens around the median.
func (r rng) tokens(median, sigma float64) int64 { return max(int64(r.lognormal(median, sigma)), 1) }

func pick[T any](r rng, of []T) T { return of[r.IntN(len(of))] }

// uuid4 is a random id.
func (r rng) uuid4() (u store.UUID) {
	fill(u[:8], r.Uint64())
	fill(u[8:], r.Uint64())
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// uuid7 is an id that starts with a time in microseconds, as the SDKs make them: the first half repeats
// inside a millisecond.
func (r rng) uuid7(us int64) (u store.UUID) {
	fill(u[8:], r.Uint64())
	ms := uint64(us / 1000)
	fill(u[:8], ms<<16)
	u[6] = 0x70 | byte(ms*7)&0x07
	u[7] = byte(ms * 31)
	u[8] = u[8]&0x3f | 0x80
	return u
}

func fill(dst []byte, v uint64) {
	for i := range dst {
		dst[i] = byte(v >> (56 - 8*i))
	}
}
