package llmmetrics

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics/metricstext"
)

// TestStateContinues stops an engine at a random moment, continues with another one, and compares with one that was
// never stopped.
func TestStateContinues(t *testing.T) {
	for _, size := range []int{0, 20} {
		for seed := range uint64(20) {
			rng := rand.New(rand.NewPCG(21, seed))
			cfg := testConfig()
			cfg.ExponentialSize, cfg.InitialZero, cfg.MaxSeries, cfg.Dimensions = size, InitialZero(seed%3), 30, []string{"tenant"}
			cfg.ErrorClass = func(string) string { return "class" }
			if seed%2 == 0 {
				cfg.DimensionOf = func(_, metric string) bool { return metric == MetricCost }
			}
			always, now := New(cfg, at(0)), New(cfg, at(0))
			for step := range 30 {
				batch := make([]Observation, rng.IntN(20))
				for i := range batch {
					batch[i] = randomObservation(rng, 10)
					batch[i].Weight = float64(rng.IntN(6)) / 2
					if o := &batch[i]; o.OutputSpeed > 0 && rng.IntN(2) == 0 { // as the connector has them
						o.OutputSpeed = OutputSpeed(o.OutputTokens, o.Duration)
						o.TimePerOutputToken = TimePerOutputToken(o.OutputTokens, o.Duration, o.TimeToFirstChunk)
					}
					batch[i].Dimensions = []string{"a", "b"}[:rng.IntN(3)]
				}
				name := []string{"bot", "other"}[rng.IntN(2)]
				record(always, name, batch...)
				if rng.IntN(3) == 0 { // killed after the batch was noted in the journal
					var journal []byte
					state := now.Cut().AppendTo(nil)
					r := now.Recorder()
					r.SetResource(service(name))
					r.Journal(&journal)
					for i := range batch {
						r.Record(&batch[i])
					}
					r.Release()
					now = New(cfg, at(time.Duration(step)*time.Second))
					require.NoError(t, now.RestoreState(state))
					require.NoError(t, now.Replay(journal))
				} else {
					record(now, name, batch...)
				}
				want, _ := always.Flush(at(time.Duration(step+1)*time.Second), false)
				got, _ := now.Flush(at(time.Duration(step+1)*time.Second), false)
				require.Equal(t, metricstext.String(want, epoch), metricstext.String(got, epoch))
				require.Equal(t, always.Series(), now.Series())
				always.Accept()
				now.Accept()
			}
			require.Positive(t, always.Overflowed())
		}
	}
}

// TestStateBetweenFlushAndAccept holds that what may have been told is not followed by a zero.
func TestStateBetweenFlushAndAccept(t *testing.T) {
	cfg := testConfig()
	cfg.InitialZero = ZeroHold
	e := New(cfg, at(0))
	record(e, "bot", tool(time.Second))
	_, stats := e.Flush(at(10*time.Second), false)
	assert.Equal(t, 1, stats.Born)
	state := e.Cut().AppendTo(nil)
	next := New(cfg, at(20*time.Second))
	require.NoError(t, next.RestoreState(state))
	md, _ := next.Flush(at(30*time.Second), false)
	assert.Equal(t, []string{"0s-30s count=1 sum=1 le_1.28:1"}, points(md))
	next.Accept()
	_, stats = next.Flush(at(40*time.Second), false)
	assert.Zero(t, stats.Born)
}

// TestStateOfAnotherGeneration continues overflow series under other names.
func TestStateOfAnotherGeneration(t *testing.T) {
	for _, size := range []int{0, 20} {
		for _, operations := range [][]string{{"chat"}, {"chat", "retrieval"}, {"retrieval"}} {
			cfg := testConfig()
			cfg.ExponentialSize, cfg.MaxSeries, cfg.Semconv = size, 1, SemconvG2
			e := New(cfg, at(0))
			record(e, "bot", tool(time.Second)) // takes the room
			for _, operation := range operations {
				o := call("a")
				o.Operation = operation
				record(e, "bot", o)
			}
			state := e.Cut().AppendTo(nil)
			for _, semconv := range []Semconv{SemconvG1, SemconvBoth, SemconvG2} {
				cfg.Semconv = semconv
				next := New(cfg, at(0))
				require.NoError(t, next.RestoreState(state))
				md, _ := next.Flush(at(time.Second), false)
				requireOnePointEach(t, md)
				got := totals{}
				got.add(md)
				if semconv != SemconvG2 {
					assert.EqualValues(t, len(operations), got[MetricOperationDuration].count)
				} else {
					assert.EqualValues(t, len(operations), got[MetricOperationDuration].count+got[MetricInferenceDuration].count)
				}
			}
		}
	}
}

func TestStateOfAnotherConfig(t *testing.T) {
	e := New(testConfig(), at(0))
	record(e, "bot", call("a"))
	state := e.Cut().AppendTo(nil)
	for _, change := range []func(*Config){
		func(c *Config) { c.Dimensions = []string{"tenant"} },
		func(c *Config) { c.ResourceAttributes = []string{"service.name", "x"} },
		func(c *Config) { c.ExponentialSize = 10 },
	} {
		cfg := testConfig()
		change(&cfg)
		require.ErrorIs(t, New(cfg, at(0)).RestoreState(state), ErrOtherConfig)
	}
	for n := range state {
		require.Error(t, New(testConfig(), at(0)).RestoreState(state[:n]), n)
	}
	require.Error(t, New(testConfig(), at(0)).RestoreState(append(state, 0)))
}

func FuzzState(f *testing.F) {
	for _, size := range []int{0, 20} {
		cfg := testConfig()
		cfg.ExponentialSize = size
		e := New(cfg, at(0))
		var journal []byte
		r := e.Recorder()
		r.SetResource(service("bot"))
		r.Journal(&journal)
		failed := call("b")
		failed.ErrorType = "x"
		for _, o := range []Observation{call("a"), failed, tool(time.Second)} {
			r.Record(&o)
		}
		r.Release()
		f.Add(e.Cut().AppendTo(nil), journal, size/20)
	}
	f.Fuzz(func(t *testing.T, state, journal []byte, size int) {
		cfg := testConfig()
		if size%2 != 0 {
			cfg.ExponentialSize = 20
		}
		e := New(cfg, at(0))
		if e.RestoreState(state) != nil {
			e = New(cfg, at(0))
		}
		_ = e.Replay(journal)
		_, _ = e.Flush(at(time.Second), true)
		e.Accept()
		_ = e.Cut().AppendTo(nil)
	})
}
