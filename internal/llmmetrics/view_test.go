package llmmetrics

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics/metricstext"
)

// TestViews compares an engine in which metrics have different dimensions with engines in which all have the same: of each
// metric, all points are those of the engine with its dimensions.
func TestViews(t *testing.T) {
	onlyCost := func(metric string) bool { return strings.HasSuffix(metric, ".cost") }
	onlyCalls := func(metric string) bool { return onlyCost(metric) || metric == MetricInferenceDuration }
	for _, semconv := range []Semconv{SemconvG1, SemconvG2, SemconvBoth} {
		for seed := range uint64(4) {
			rng := rand.New(rand.NewPCG(51, seed))
			cfg := testConfig()
			cfg.InitialZero, cfg.Semconv, cfg.Delta = ZeroOff, semconv, seed%2 == 0
			with := func(dimensions ...string) Config {
				c := cfg
				c.Dimensions = dimensions
				return c
			}
			mixed := with("tenant", "user", "run.*", "run.*")
			mixed.DimensionOf = func(dimension, metric string) bool {
				switch dimension {
				case "user":
					return onlyCost(metric)
				case "run.*":
					return onlyCalls(metric)
				}
				return true
			}
			engine := New(mixed, at(0))
			require.Len(t, engine.views, 3)
			plain, cost, calls := New(with("tenant"), at(0)), New(with("tenant", "user", "run.*", "run.*"), at(0)), New(with("tenant", "run.*", "run.*"), at(0))
			for step := range 6 {
				for range 60 {
					o := randomObservation(rng, 3)
					o.Weight = float64(rng.IntN(6)) / 2
					run := string(AppendNamed(nil, "run.a", strconv.Itoa(rng.IntN(3))))
					other := ""
					if rng.IntN(2) == 0 {
						other = string(AppendNamed(nil, "run.b", "x"))
					}
					tenant, user := []string{"", "acme"}[rng.IntN(2)], strconv.Itoa(rng.IntN(3))
					for e, dimensions := range map[*Engine][]string{
						engine: {tenant, user, run, other}, plain: {tenant}, cost: {tenant, user, run, other}, calls: {tenant, run, other},
					} {
						o.Dimensions = dimensions
						record(e, "bot", o)
					}
				}
				if step == 3 && seed%2 == 1 { // what is saved and noted says the same
					next := New(mixed, at(time.Hour))
					require.NoError(t, next.RestoreState(engine.Cut().AppendTo(nil)))
					var journal []byte
					r := next.Recorder()
					r.SetResource(service("bot"))
					r.Journal(&journal)
					o := randomObservation(rng, 3)
					o.Dimensions = []string{"acme", "1", "", ""}
					r.Record(&o)
					r.Release()
					again := New(mixed, at(time.Hour))
					require.NoError(t, again.RestoreState(engine.Cut().AppendTo(nil)))
					require.NoError(t, again.Replay(journal))
					require.Equal(t, flushed(next, 2*time.Hour), flushed(again, 2*time.Hour))
					require.ErrorIs(t, New(with("tenant", "user", "run.*", "run.*"), at(0)).RestoreState(engine.Cut().AppendTo(nil)), ErrOtherConfig)
				}
				now := time.Duration(step+1) * time.Second
				got := flushed(engine, now)
				all := map[string]map[string]string{"plain": flushed(plain, now), "cost": flushed(cost, now), "calls": flushed(calls, now)}
				for _, in := range instruments {
					which := "plain"
					switch {
					case onlyCost(in.Name):
						which = "cost"
					case in.Name == MetricOperationDuration || in.Name == MetricInferenceDuration:
						which = "calls" // one measure under two names
					}
					require.Equal(t, all[which][in.Name], got[in.Name], "%s of %s", in.Name, which)
				}
			}
		}
	}
}

// flushed is the text of each metric.
func flushed(e *Engine, now time.Duration) map[string]string {
	md, _ := e.Flush(at(now), false)
	e.Accept()
	texts := map[string]string{}
	name := ""
	for line := range strings.Lines(metricstext.String(md, epoch)) {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "    ") {
			name = strings.Fields(line)[0]
		}
		texts[name] += line
	}
	return texts
}
