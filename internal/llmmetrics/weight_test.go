package llmmetrics

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

func TestWeights(t *testing.T) {
	for _, tt := range []struct{ in, want float64 }{
		{0, 1}, {-3, 1}, {math.NaN(), 1}, {0.5, 1}, {1, 1}, {1.5, 1.5}, {100, 100}, {1e300, maxWeight}, {math.Inf(1), maxWeight},
	} {
		assert.Equal(t, tt.want, float64(weightOf(tt.in))/float64(one), tt.in)
	}
}

// TestWeightedTotals compares weighted sums with rationals, in both kinds of histograms, and the sum of many delta
// windows, some of them refused, with one cumulative one.
func TestWeightedTotals(t *testing.T) {
	for _, size := range []int{0, 160} {
		for name, weights := range map[string][]float64{
			"whole":    {1, 2, 100},
			"fraction": {1.5, 1.25, 4.0 / 3, 1},
			"late":     {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7.75},
		} {
			t.Run(name, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(9, uint64(size)))
				cfg := testConfig()
				cfg.ExponentialSize = size
				cumulative := New(cfg, at(0))
				cfg.Delta = true
				delta := New(cfg, at(0))
				calls, tokens, seconds := new(big.Rat), new(big.Rat), new(big.Rat)
				sum := totals{}
				for i := range 2000 {
					o := call("gpt")
					o.ErrorType = "timeout"
					o.InputTokens, o.Duration = rng.Int64N(1<<16), rng.Int64N(int64(100*time.Second))
					o.Weight = weights[rng.IntN(len(weights))]
					w := new(big.Rat).SetFrac64(int64(weightOf(o.Weight)), int64(one))
					calls.Add(calls, w)
					tokens.Add(tokens, new(big.Rat).Mul(w, big.NewRat(o.InputTokens, 1)))
					seconds.Add(seconds, new(big.Rat).Mul(w, big.NewRat(o.Duration, 1e9)))
					record(cumulative, "bot", o)
					record(delta, "bot", o)
					if i%50 == 49 {
						md, _ := delta.Flush(at(time.Duration(i)*time.Second), false)
						if rng.IntN(3) > 0 {
							delta.Accept()
							sum.add(md)
						}
					}
				}
				md, _ := delta.Flush(at(time.Hour), true)
				sum.add(md)
				md, _ = cumulative.Flush(at(time.Hour), true)
				got := totals{}
				got.add(md)

				float := func(r *big.Rat) float64 { f, _ := r.Float64(); return f }
				lost := 0.0 // fractions of calls that buckets leave out
				if name != "whole" {
					lost = 160
				}
				for key, want := range map[string]*big.Rat{MetricTokenUsage + " input": tokens, MetricOperationDuration: seconds} {
					assert.Equal(t, float(want), got[key].sum, "%s is exact", key)
					assert.InEpsilon(t, float(want), sum[key].sum, 1e-12, key)
					assert.LessOrEqual(t, float64(got[key].count), float(calls), key)
					assert.GreaterOrEqual(t, float64(got[key].count), float(calls)-lost, key)
					assert.Equal(t, got[key].buckets, sum[key].buckets, "%s: fractions outlast windows", key)
				}
				assert.Equal(t, math.Floor(float(calls)), float64(got[MetricOperationErrors].count))
				assert.Equal(t, got[MetricOperationErrors].count, sum[MetricOperationErrors].count)
				if size == 0 {
					assert.Equal(t, got[MetricOperationDuration].count, sum[MetricOperationDuration].count)
				}
			})
		}
	}
}

// TestFractionsOfOneWindowAreRightOnAverage has a failed call or two in each of many windows, each of which stands for
// one and a third.
func TestFractionsOfOneWindowAreRightOnAverage(t *testing.T) {
	for _, size := range []int{0, 160} {
		cfg := testConfig()
		cfg.Delta, cfg.OneWindow, cfg.ExponentialSize = true, true, size
		const windows = 3000
		got := totals{}
		for i := range windows {
			e := New(cfg, at(0))
			for n := range 1 + i%2 {
				o := call("gpt")
				o.ErrorType, o.Weight, o.Duration = "timeout", 4./3, int64(n+1)*1e9
				record(e, "bot", o)
			}
			md, _ := e.Flush(at(time.Minute), true) // refused
			again, _ := e.Flush(at(time.Minute), true)
			one, other := totals{}, totals{}
			one.add(md)
			other.add(again)
			require.Equal(t, one, other, "it is rounded once")
			got.add(again)
		}
		// Six standard deviations, for windows of one call or two.
		spread := 6 * math.Sqrt(windows) / 2
		for _, key := range []string{MetricOperationDuration, MetricOperationErrors} {
			assert.InDelta(t, windows*1.5*4/3, float64(got[key].count), spread, key)
		}
		assert.InEpsilon(t, windows*(1+0.5*2)*4/3, got[MetricOperationDuration].sum, 1e-6, "sums are exact")
	}
}

// TestSecondGenerationTellsTheSame compares the metrics of both generations.
func TestSecondGenerationTellsTheSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	all := make([]Observation, 3000)
	for i := range all {
		all[i] = randomObservation(rng, 10)
		if i%3 == 0 && all[i].Family == FamilyClient {
			all[i].Operation = "retrieval"
		}
	}
	flush := func(semconv Semconv, room int) (pmetric.Metrics, totals) {
		cfg := testConfig()
		cfg.Semconv = semconv
		cfg.MaxSeries = room
		e := New(cfg, at(0))
		record(e, "bot", all...)
		md, _ := e.Flush(at(time.Second), false)
		got := totals{}
		got.add(md)
		requireOnePointEach(t, md)
		return md, got
	}
	for _, room := range []int{1000, 5} {
		_, first := flush(SemconvG1, room)
		_, second := flush(SemconvG2, room)
		_, both := flush(SemconvBoth, room)
		assert.Equal(t, first[MetricOperationDuration].count,
			second[MetricOperationDuration].count+second[MetricInferenceDuration].count)
		assert.Positive(t, second[MetricOperationDuration].count)
		assert.Equal(t, first[MetricTimeToFirstChunk], second[MetricInferenceFirstChunk])
		assert.Equal(t, first[MetricTokenUsage+" input"], second[MetricInferenceInput])
		assert.Equal(t, first[MetricTokenUsage+" output"], second[MetricInferenceOutput])
		assert.Equal(t, first[MetricTokenUsage+" input"].sum, float64(second[MetricInferenceInputTokens].count))
		assert.Equal(t, first[MetricTokenUsage+" output"].sum, float64(second[MetricInferenceOutputTokens].count))
		for key, want := range first {
			assert.Equal(t, want, both[key], key)
		}
		for key, want := range second {
			if room == 1000 && key != MetricOperationDuration {
				assert.Equal(t, want, both[key], key)
			}
		}
	}
}

// requireOnePointEach holds that no two data points of a metric have the same attributes.
func requireOnePointEach(t *testing.T, md pmetric.Metrics) {
	t.Helper()
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			seen := map[string]bool{}
			for _, line := range attributesOf(m) {
				require.False(t, seen[line], "%s %s", m.Name(), line)
				seen[line] = true
			}
		}
	}
}
