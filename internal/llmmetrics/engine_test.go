package llmmetrics

import (
	"math/big"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

var epoch = time.Unix(1_700_000_000, 0)

func at(d time.Duration) pcommon.Timestamp { return pcommon.NewTimestampFromTime(epoch.Add(d)) }

func testConfig() Config {
	return Config{
		InitialZero:        ZeroOff,
		ResourceAttributes: []string{"service.name"},
		MaxSeries:          1000,
	}
}

// service is a resource with this name.
func service(name string) pcommon.Map {
	m := pcommon.NewMap()
	m.PutStr("service.name", name)
	return m
}

// record adds observations of one resource.
func record(e *Engine, name string, all ...Observation) {
	r := e.Recorder()
	defer r.Release()
	r.SetResource(service(name))
	for i := range all {
		r.Record(&all[i])
	}
}

// call is a model call with every measure.
func call(model string) Observation {
	return Observation{
		Family: FamilyClient, Operation: "chat", Provider: "openai", RequestModel: model, ResponseModel: model,
		Duration: int64(time.Second), InputTokens: 10, OutputTokens: 20, TimeToFirstChunk: 0.25,
		Cost: 0.001, HasCost: true,
	}
}

// totals is what a stream of metrics adds up to, by metric, resource and token type; with errors told apart.
type totals map[string]total

type total struct {
	count   uint64
	sum     float64
	buckets [16]uint64
}

// add adds up cumulative or delta points of one flush.
func (t totals) add(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				key := func(attrs pcommon.Map) string {
					for _, name := range []string{AttrTokenType, AttrFinishReason} {
						if v, ok := attrs.Get(name); ok {
							return m.Name() + " " + v.Str()
						}
					}
					return m.Name()
				}
				switch m.Type() {
				case pmetric.MetricTypeSum:
					for _, dp := range m.Sum().DataPoints().All() {
						k := key(dp.Attributes())
						e := t[k]
						e.count += uint64(dp.IntValue())
						t[k] = e
					}
				case pmetric.MetricTypeExponentialHistogram:
					for _, dp := range m.ExponentialHistogram().DataPoints().All() {
						k := key(dp.Attributes())
						e := t[k]
						e.count += dp.Count()
						e.sum += dp.Sum()
						t[k] = e
					}
				default:
					for _, dp := range m.Histogram().DataPoints().All() {
						k := key(dp.Attributes())
						e := t[k]
						e.count += dp.Count()
						e.sum += dp.Sum()
						n := uint64(0)
						for i, c := range dp.BucketCounts().All() {
							e.buckets[i] += c
							n += c
						}
						if n != dp.Count() {
							panic("bucket counts do not add up")
						}
						t[k] = e
					}
				}
			}
		}
	}
}

// randomObservation is anything that spans may tell, over few or many series.
func randomObservation(r *rand.Rand, models int) Observation {
	o := Observation{
		Family:       Family(r.IntN(int(familyCount))),
		Duration:     Absent,
		InputTokens:  Absent,
		OutputTokens: Absent,
	}
	if r.IntN(10) > 0 {
		o.Duration = r.Int64N(int64(200 * time.Second))
	}
	if r.IntN(4) == 0 {
		o.ErrorType = "e" + strconv.Itoa(r.IntN(models))
	}
	name := "m" + strconv.Itoa(r.IntN(models))
	switch o.Family {
	case FamilyClient:
		o.Operation, o.Provider, o.RequestModel, o.ResponseModel = "chat", "openai", name, name
		if r.IntN(5) > 0 {
			o.InputTokens, o.OutputTokens = r.Int64N(1<<20), r.Int64N(1<<12)
		}
		if r.IntN(2) == 0 {
			o.Cost, o.HasCost = float64(r.Int64N(1e11))/1e12, true
		}
		if r.IntN(3) == 0 {
			o.TimeToFirstChunk = float64(1+r.Int64N(1e6)) / 1e6
			o.TimePerOutputToken = float64(1+r.Int64N(1e6)) / 1e6
			o.Streamed = true
		}
		if r.IntN(2) == 0 {
			o.CacheReadTokens, o.CacheWriteTokens, o.ReasoningTokens = r.Int64N(1<<20), r.Int64N(1<<20), r.Int64N(1<<12)
			o.OutputSpeed = float64(1+r.Int64N(2e6)) / 1e3
			o.Finish[r.IntN(len(o.Finish))] = uint8(1 + r.IntN(3))
		}
	case FamilyTool:
		o.ToolName = name
	case FamilyAgent:
		o.AgentName = name
	case FamilyWorkflow:
		o.WorkflowName = name
	case FamilyScore:
		o.EvaluationName, o.Score = name, float64(r.Int64N(200))/100
	case FamilyVerdict:
		o.EvaluationName, o.EvaluationLabel = name, "good"
	case FamilyThread:
		o.AgentName = name
		o.InputTokens, o.OutputTokens = r.Int64N(1<<20), r.Int64N(1<<12)
		o.Cost, o.HasCost = float64(r.Int64N(1e11))/1e12, true
		o.Turns = 1 + r.Int64N(300)
	case FamilyTrace:
		o.WorkflowName = name
		o.InputTokens, o.OutputTokens = r.Int64N(1<<20), r.Int64N(1<<12)
		o.Cost, o.HasCost = float64(r.Int64N(1e11))/1e12, true
		o.InferenceCalls, o.ToolCalls, o.Depth = r.Int64N(200), r.Int64N(20), r.Int64N(9)
	}
	return o
}

// expected adds observations up in another way: rationals, and a linear search for buckets.
func expected(all []Observation) totals {
	sums := map[string]*big.Rat{}
	t := totals{}
	var bounds [instrumentCount][]*big.Rat
	for i := range instruments {
		for _, b := range instruments[i].Bounds {
			bounds[i] = append(bounds[i], decimal(b))
		}
	}
	histogram := func(key string, instrument int, v *big.Rat) {
		e := t[key]
		e.count++
		i := 0
		for i < len(bounds[instrument]) && v.Cmp(bounds[instrument][i]) > 0 {
			i++
		}
		e.buckets[i]++
		t[key] = e
		if sums[key] == nil {
			sums[key] = new(big.Rat)
		}
		sums[key].Add(sums[key], v)
	}
	for i := range all {
		o := &all[i]
		count := func(key string, n int64) {
			if n > 0 {
				e := t[key]
				e.count += uint64(n)
				t[key] = e
			}
		}
		switch o.Family {
		case FamilyScore:
			histogram(MetricEvaluationScore, insScore, decimal(o.Score))
			continue
		case FamilyVerdict:
			count(MetricEvaluationResults, 1)
			continue
		}
		if o.Duration >= 0 {
			d := families[o.Family].duration
			histogram(instruments[d].Name, d, big.NewRat(o.Duration, 1e9))
		}
		if o.Family == FamilyTrace {
			histogram(MetricTraceTokens+" input", insTraceTokens, big.NewRat(o.InputTokens, 1))
			histogram(MetricTraceTokens+" output", insTraceTokens, big.NewRat(o.OutputTokens, 1))
			histogram(MetricTraceCost, insTraceCost, decimal(o.Cost))
			histogram(MetricTraceCalls, insTraceCalls, big.NewRat(o.InferenceCalls, 1))
			histogram(MetricTraceTools, insTraceTools, big.NewRat(o.ToolCalls, 1))
			histogram(MetricTraceDepth, insTraceDepth, big.NewRat(o.Depth, 1))
		}
		if o.Family == FamilyThread {
			histogram(MetricThreadTokens+" input", insThreadTokens, big.NewRat(o.InputTokens, 1))
			histogram(MetricThreadTokens+" output", insThreadTokens, big.NewRat(o.OutputTokens, 1))
			histogram(MetricThreadCost, insThreadCost, decimal(o.Cost))
			histogram(MetricThreadTurns, insThreadTurns, big.NewRat(o.Turns, 1))
		}
		if o.Family != FamilyClient {
			continue
		}
		if o.ErrorType != "" {
			e := t[MetricOperationErrors]
			e.count++
			t[MetricOperationErrors] = e
		}
		if o.InputTokens >= 0 {
			histogram(MetricTokenUsage+" input", insTokens, big.NewRat(o.InputTokens, 1))
		}
		if o.OutputTokens >= 0 {
			histogram(MetricTokenUsage+" output", insTokens, big.NewRat(o.OutputTokens, 1))
		}
		if o.TimeToFirstChunk > 0 {
			histogram(MetricTimeToFirstChunk, insFirstChunk, decimal(o.TimeToFirstChunk))
		}
		if o.HasCost {
			histogram(MetricCost, insCost, decimal(o.Cost))
		}
		if o.OutputSpeed > 0 {
			histogram(MetricOutputSpeed, insSpeed, decimal(o.OutputSpeed))
		}
		if o.TimePerOutputToken > 0 {
			histogram(MetricTimePerOutputToken, insPerToken, decimal(o.TimePerOutputToken))
		}
		if o.Streamed {
			count(MetricStreamed, 1)
		}
		count(MetricCacheReadTokens, o.CacheReadTokens)
		count(MetricCacheWriteTokens, o.CacheWriteTokens)
		count(MetricReasoningTokens, o.ReasoningTokens)
		for i, n := range o.Finish {
			count(MetricFinishReasons+" "+FinishReasons[i], int64(n))
		}
	}
	for key, sum := range sums {
		e := t[key]
		e.sum, _ = sum.Float64()
		t[key] = e
	}
	return t
}

// decimal is the number that f was written as.
func decimal(f float64) *big.Rat {
	r, ok := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	if !ok {
		panic("not a number")
	}
	return r
}

// requireTotals compares everything exactly, except that sums over several points are added as float64 by the
// test itself.
func requireTotals(t *testing.T, want, got totals, exactSums bool) {
	t.Helper()
	require.Len(t, got, len(want))
	for key, w := range want {
		g := got[key]
		require.Equal(t, w.count, g.count, key)
		require.Equal(t, w.buckets, g.buckets, key)
		if exactSums || w.sum == 0 {
			require.Equal(t, w.sum, g.sum, key)
		} else {
			require.InEpsilon(t, w.sum, g.sum, 1e-12, key)
		}
	}
}

func TestTotalsAreExactInAnyOrderAndBatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	all := make([]Observation, 20_000)
	for i := range all {
		all[i] = randomObservation(rng, 1) // one series, so that sums need no adding up
		all[i].ErrorType = ""
	}
	want := expected(all)
	for range 5 {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		e := New(testConfig(), at(0))
		for rest := all; len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(3000))
			record(e, "bot", rest[:n]...)
			rest = rest[n:]
		}
		md, _ := e.Flush(at(time.Second), false)
		got := totals{}
		got.add(md)
		requireTotals(t, want, got, true)
	}
}

func TestDeltasAddUpToCumulative(t *testing.T) {
	for _, size := range []int{0, 160} {
		rng := rand.New(rand.NewPCG(3, 4))
		cfg := testConfig()
		cfg.ExponentialSize = size
		cumulative := New(cfg, at(0))
		cfg.Delta = true
		delta := New(cfg, at(0))

		var all []Observation
		sum := totals{}
		now := time.Duration(0)
		for range 30 {
			batch := make([]Observation, rng.IntN(200))
			for i := range batch {
				batch[i] = randomObservation(rng, 5)
			}
			all = append(all, batch...)
			record(cumulative, "bot", batch...)
			record(delta, "bot", batch...)
			now += time.Second
			md, _ := delta.Flush(at(now), false)
			if rng.IntN(3) > 0 { // else it was refused
				delta.Accept()
				sum.add(md)
			}
			_, _ = cumulative.Flush(at(now), false)
		}
		md, _ := delta.Flush(at(now+time.Second), true)
		delta.Accept()
		sum.add(md)

		md, _ = cumulative.Flush(at(now+time.Second), true)
		got := totals{}
		got.add(md)
		requireTotals(t, got, sum, false)
		if size == 0 {
			requireTotals(t, expected(all), got, false)
		}
	}
}

func TestOverflowKeepsTotals(t *testing.T) {
	for _, bound := range []int{1, 2, 7, 40} {
		rng := rand.New(rand.NewPCG(5, uint64(bound)))
		cfg := testConfig()
		cfg.MaxSeries = bound
		e := New(cfg, at(0))
		all := make([]Observation, 5000)
		for i := range all {
			all[i] = randomObservation(rng, 100)
		}
		record(e, "bot", all[:2500]...)
		record(e, "other", all[2500:]...)
		md, _ := e.Flush(at(time.Second), false)
		got := totals{}
		got.add(md)
		requireTotals(t, expected(all), got, false)
		require.LessOrEqual(t, e.Series(), int64(bound))
		require.Positive(t, e.Overflowed())

		overflow := 0
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				if m.Type() == pmetric.MetricTypeHistogram {
					for _, dp := range m.Histogram().DataPoints().All() {
						if v, ok := dp.Attributes().Get(AttrOverflow); ok {
							require.True(t, v.Bool())
							overflow++
						}
					}
				}
			}
		}
		require.Positive(t, overflow)
		histograms := 3 // the second token types
		for _, in := range instruments[:insInferenceDuration] {
			if in.Kind == KindHistogram {
				histograms++
			}
		}
		require.LessOrEqual(t, overflow, 2*histograms)
	}
}

func TestResourcesBeyondTheBoundAreCountedTogether(t *testing.T) {
	cfg := testConfig()
	cfg.MaxSeries = 100_000
	e := New(cfg, at(0))
	for i := range maxResources + 500 {
		record(e, "service-"+strconv.Itoa(i), call("gpt"))
	}
	md, _ := e.Flush(at(time.Second), false)
	require.Equal(t, maxResources+1, md.ResourceMetrics().Len())
	got := totals{}
	got.add(md)
	assert.Equal(t, uint64(maxResources+500), got[MetricOperationDuration].count)
	first := md.ResourceMetrics().At(0)
	assert.Equal(t, map[string]any{AttrOverflow: true}, first.Resource().Attributes().AsRaw())
	assert.Equal(t, int64(500), e.Overflowed())
}

func TestResourcesWithoutObservationsTakeNoRoom(t *testing.T) {
	e := New(testConfig(), at(0))
	r := e.Recorder()
	for i := range 2 * maxResources {
		r.SetResource(service("web-" + strconv.Itoa(i)))
	}
	r.Release()
	record(e, "bot", call("gpt"))
	assert.Zero(t, e.Overflowed())
	assert.Len(t, e.resources.byKey, 1)
}

func TestConcurrentRecordersAndFlushesLoseNothing(t *testing.T) {
	const workers, each = 4, 5000
	for _, delta := range []bool{false, true} {
		cfg := testConfig()
		cfg.Delta = delta
		cfg.MaxSeries = 50
		cfg.Expiration = 3 // nanoseconds: expires all the time
		cfg.Exemplars = 2
		if !delta {
			cfg.Expiration = 0 // an expired cumulative series takes its total with it
		}
		e := New(cfg, at(0))
		var all [workers][]Observation
		for w := range all {
			rng := rand.New(rand.NewPCG(7, uint64(w)))
			for range each {
				all[w] = append(all[w], randomObservation(rng, 30))
			}
		}
		var wg sync.WaitGroup
		for w := range all {
			wg.Go(func() {
				for i := 0; i < each; i += 100 {
					record(e, "bot"+strconv.Itoa(w%2), all[w][i:i+100]...)
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		got := totals{}
		now := time.Duration(0)
		flush := func(final bool) {
			now += time.Millisecond
			md, _ := e.Flush(at(now), final)
			e.Accept()
			if !delta {
				got = totals{}
			}
			got.add(md)
		}
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
				flush(false)
			}
		}
		flush(true)
		var flat []Observation
		for _, a := range all {
			flat = append(flat, a...)
		}
		requireTotals(t, expected(flat), got, false)
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	for _, size := range []int{0, 160} {
		cfg := testConfig()
		cfg.Exemplars = 2
		cfg.ExponentialSize = size
		cfg.MaxSeries = 3
		cfg.Dimensions = []string{"tenant"}
		e := New(cfg, at(0))
		ok := call("gpt")
		ok.Dimensions = []string{"acme"}
		ok.CacheReadTokens, ok.Streamed, ok.OutputSpeed, ok.Finish[1], ok.Weight = 5, true, 20, 1, 1.5
		ok.TraceID, ok.SpanID = pcommon.TraceID{1}, pcommon.SpanID{1}
		failed := ok
		failed.ErrorType = "timeout"
		tool := Observation{Family: FamilyTool, ToolName: "search", Duration: 5}
		beyond := call("too-many")
		r := e.Recorder()
		defer r.Release()
		r.SetResource(service("bot"))
		all := []*Observation{&ok, &failed, &tool, &beyond}
		step := func() {
			for _, o := range all {
				r.Record(o)
			}
		}
		step()
		step()
		require.Zero(t, testing.AllocsPerRun(1000, step))
		require.Positive(t, e.Overflowed())
		attrs := service("bot")
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			r.SetResource(attrs)
			r.Record(&ok)
		}))
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(uint8(0), "chat", "openai", "gpt", "timeout", "tenant", int64(5), int64(7), 0.5)
	f.Add(uint8(1), "\xff\xfe", "", "\x80", "\xc3", "", int64(-1), int64(1)<<62, -1.0)
	f.Fuzz(func(t *testing.T, family uint8, a, b, c, errorType, dim string, n, m int64, x float64) {
		for _, size := range []int{0, 8} {
			cfg := testConfig()
			cfg.MaxSeries = 3
			cfg.Dimensions = []string{"tenant"}
			cfg.ExponentialSize = size
			o := Observation{
				Family: Family(family % uint8(familyCount)), Operation: a, Provider: b, RequestModel: c, ResponseModel: a + b,
				ToolName: a, AgentName: b, WorkflowName: c, ErrorType: errorType, Dimensions: []string{dim},
				Duration: n, InputTokens: m, OutputTokens: n, TimeToFirstChunk: x, Cost: x, HasCost: true,
				CacheReadTokens: n, ReasoningTokens: m, OutputSpeed: x, TimePerOutputToken: -x, Streamed: n > 0, Weight: x,
			}
			cfg.Semconv = Semconv(family) % 3
			e := New(cfg, at(0))
			record(e, a, o, o)
			o.RequestModel += dim
			record(e, b, o)
			md, stats := e.Flush(at(1), false)
			require.LessOrEqual(t, e.Series(), int64(3))
			points := 0
			for _, rm := range md.ResourceMetrics().All() {
				for _, metric := range rm.ScopeMetrics().At(0).Metrics().All() {
					switch metric.Type() {
					case pmetric.MetricTypeSum:
						points += metric.Sum().DataPoints().Len()
					case pmetric.MetricTypeExponentialHistogram:
						points += metric.ExponentialHistogram().DataPoints().Len()
					default:
						points += metric.Histogram().DataPoints().Len()
					}
				}
			}
			require.Equal(t, stats.Points, points)
			requireCleanStrings(t, md)
		}
	})
}
