package llmmetrics

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics/metricstext"
)

// TestCutIsOneMoment records while a cut is written, whatever is changed and made, and expects what was there when it began.
func TestCutIsOneMoment(t *testing.T) {
	for _, size := range []int{0, 20} {
		for seed := range uint64(6) {
			rng := rand.New(rand.NewPCG(23, seed))
			cfg := testConfig()
			cfg.ExponentialSize, cfg.InitialZero, cfg.MaxSeries, cfg.Dimensions = size, InitialZero(seed%3), 60, []string{"tenant"}
			restored := func(state []byte) string {
				e := New(cfg, at(0))
				require.NoError(t, e.RestoreState(state))
				md, _ := e.Flush(at(time.Hour), false)
				e.Accept()
				return metricstext.String(md, epoch) + fmt.Sprint(e.Series())
			}
			e := New(cfg, at(0))
			some := func() {
				batch := make([]Observation, 1+rng.IntN(10))
				for i := range batch {
					batch[i] = randomObservation(rng, 40)
					batch[i].Weight = float64(rng.IntN(6)) / 2
					batch[i].Dimensions = []string{[]string{"a", "b"}[rng.IntN(2)]}
				}
				record(e, []string{"bot", "other", "third"}[rng.IntN(3)], batch...)
			}
			for step := range 20 {
				some()
				if rng.IntN(2) == 0 {
					_, _ = e.Flush(at(time.Duration(step+1)*time.Second), false)
					if rng.IntN(2) == 0 {
						e.Accept()
					}
					some()
				}
				want := restored(e.Cut().AppendTo(nil))
				cut := e.Cut()
				for range rng.IntN(20) {
					if rng.IntN(2) == 0 {
						some()
					} else if cut.Step(rng.IntN(10)) {
						break
					}
				}
				require.Equal(t, want, restored(cut.AppendTo(nil)))
			}
			require.Positive(t, e.Overflowed())
		}
	}
}

// BenchmarkCutHold tells for how long a cut keeps recorders waiting at a time: while it begins, and while it is written.
func BenchmarkCutHold(b *testing.B) {
	e := filled(10_000, 0)
	_, _ = e.Flush(at(time.Second), false)
	e.Accept()
	begin, step := time.Duration(0), time.Duration(0)
	var state []byte
	for b.Loop() {
		from := time.Now()
		cut := e.Cut()
		begin += time.Since(from)
		from = time.Now()
		state = cut.AppendTo(state[:0])
		step += time.Since(from)
	}
	b.ReportMetric(float64(begin.Nanoseconds())/float64(b.N)/1e3, "us-begin")
	b.ReportMetric(float64(step.Nanoseconds())/float64(b.N)/10_000, "ns/series")
	b.ReportMetric(float64(len(state))/10_000, "bytes/series")
}
