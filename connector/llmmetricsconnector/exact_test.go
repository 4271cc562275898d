package llmmetricsconnector

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// TestAMillionSpansAreExact makes a million spans in several dialects and sends them in random order and batches, some
// twice. It knows what it made, adds it up as integers, value by value, and expects the same of every metric: counts,
// sums and buckets, cumulative and delta, explicit and exponential, and with overflow.
func TestAMillionSpansAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { testExact(t, exactSpans) })
}

func testExact(t *testing.T, spans int) {
	g := &exactGenerator{rng: rand.New(rand.NewPCG(2026, 11)), made: tallies{}, threads: map[string]*exactThread{}}
	engines := map[string]*exactEngine{
		"cumulative explicit":    newExactEngine(t, func(*Config) {}),
		"cumulative exponential": newExactEngine(t, func(c *Config) { c.Histogram.Type = HistogramExponential }),
		"delta explicit":         newExactEngine(t, func(c *Config) { c.Temporality = TemporalityDelta }),
		"delta exponential": newExactEngine(t, func(c *Config) {
			c.Temporality, c.Histogram.Type = TemporalityDelta, HistogramExponential
		}),
		"overflow": newExactEngine(t, func(c *Config) { c.MaxSeries = 9 }),
	}
	for g.spans < spans {
		block := g.block()
		var before ptrace.Traces
		for len(block) > 0 {
			n := min(len(block), 1+g.rng.IntN(1000))
			batch := g.batch(block[:n])
			block = block[n:]
			batches := []ptrace.Traces{batch}
			if g.rng.IntN(8) == 0 { // refused by somebody else, and sent again
				batches = append(batches, batch)
			}
			if g.rng.IntN(8) == 0 && before != (ptrace.Traces{}) {
				batches = append(batches, before)
			}
			before = batch
			time.Sleep(time.Second)
			for _, e := range engines {
				for _, td := range batches {
					require.NoError(t, e.connector.ConsumeTraces(t.Context(), td))
				}
			}
		}
		if g.rng.IntN(6) == 0 {
			for _, e := range engines {
				require.NoError(t, e.connector.flush(t.Context(), false))
				e.collect(false)
			}
		}
	}
	for _, th := range g.threads {
		th.tally(g.made)
	}
	for name, e := range engines {
		require.NoError(t, e.connector.Shutdown(t.Context()))
		e.collect(true)
		switch {
		case name == "overflow":
			require.Positive(t, e.connector.metrics.overflows())
			e.compare(t, name, g.made.byMetric(), e.got.byMetric())
		default:
			require.Zero(t, e.connector.metrics.overflows())
			e.compare(t, name, g.made, e.got)
		}
	}
}

// tally is what one data point stream counts, each value with how often it came, in units of a thousand-millionth
// second, a token, or a million-millionth dollar.
type tally map[int64]int64

// tallies are by resource, metric and attributes.
type tallies map[string]tally

func (t tallies) add(service, metric string, v int64, attributes ...string) {
	slices.Sort(attributes)
	key := service + " " + metric + " " + strings.Join(attributes, " ")
	if t[key] == nil {
		t[key] = tally{}
	}
	t[key][v]++
}

// byMetric leaves out resources and all attributes but the type of tokens.
func (t tallies) byMetric() map[string]tally {
	all := map[string]tally{}
	for key, values := range t {
		key = metricOf(key)
		if all[key] == nil {
			all[key] = tally{}
		}
		for v, n := range values {
			all[key][v] += n
		}
	}
	return all
}

// metricOf cuts a key down to metric and type of tokens.
func metricOf(key string) string {
	fields := strings.Fields(key)
	for _, attribute := range fields[2:] {
		if strings.HasPrefix(attribute, "gen_ai.token.type=") {
			return fields[1] + " " + attribute
		}
	}
	return fields[1]
}

// exactGenerator makes spans and notes what they say.
type exactGenerator struct {
	rng     *rand.Rand
	spans   int
	blocks  int
	made    tallies
	threads map[string]*exactThread
}

type exactSpan struct {
	service string
	span    ptrace.Span
}

// exactThread adds the turns of a conversation up.
type exactThread struct {
	service              string
	turns, input, output int64
	cost                 int64
	called, priced       bool
	start, end           int64
	workflow             string // of the turn that began first
}

func (g *exactGenerator) turn(conversation, service, workflow string, root ptrace.Span, turn exactThread) {
	start, end := int64(root.StartTimestamp()), int64(root.EndTimestamp())
	th := g.threads[service+conversation]
	if th == nil {
		th = &exactThread{service: service, start: math.MaxInt64}
		g.threads[service+conversation] = th
	}
	th.turns++
	th.input, th.output, th.cost = th.input+turn.input, th.output+turn.output, th.cost+turn.cost
	th.called, th.priced = th.called || turn.called, th.priced || turn.priced
	if start < th.start {
		th.start, th.workflow = start, workflow
	}
	th.end = max(th.end, end)
}

func (th *exactThread) tally(to tallies) {
	workflow := "gen_ai.workflow.name=" + th.workflow
	to.add(th.service, llmmetrics.MetricThreadTurns, th.turns, workflow)
	to.add(th.service, llmmetrics.MetricThreadDuration, th.end-th.start, workflow)
	if th.called {
		to.add(th.service, llmmetrics.MetricThreadTokens, th.input, workflow, "gen_ai.token.type=input")
		to.add(th.service, llmmetrics.MetricThreadTokens, th.output, workflow, "gen_ai.token.type=output")
	}
	if th.priced {
		to.add(th.service, llmmetrics.MetricThreadCost, th.cost, workflow)
	}
}

// block is some whole traces, their spans in random order.
func (g *exactGenerator) block() []exactSpan {
	var all []exactSpan
	for len(all) < 3000 {
		all = append(all, g.trace()...)
	}
	g.blocks++
	g.spans += len(all)
	g.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (g *exactGenerator) batch(spans []exactSpan) ptrace.Traces {
	td := ptrace.NewTraces()
	byService := map[string]ptrace.SpanSlice{}
	for _, s := range spans {
		to, ok := byService[s.service]
		if !ok {
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("service.name", s.service)
			to = rs.ScopeSpans().AppendEmpty().Spans()
			byService[s.service] = to
		}
		s.span.CopyTo(to.AppendEmpty())
	}
	return td
}

const exactEpoch = 1_700_000_000_000_000_000

func (g *exactGenerator) trace() (all []exactSpan) {
	rng, service := g.rng, []string{"bot", "shop"}[g.rng.IntN(2)]
	var id pcommon.TraceID
	binary.BigEndian.PutUint64(id[:], rng.Uint64())
	binary.BigEndian.PutUint64(id[8:], rng.Uint64())
	var last pcommon.SpanID
	// span takes one of a thousand durations, so that values repeat.
	span := func(parent pcommon.SpanID) (ptrace.Span, int64) {
		s := ptrace.NewSpan()
		s.SetTraceID(id)
		binary.BigEndian.PutUint64(last[:], rng.Uint64())
		s.SetSpanID(last)
		s.SetParentSpanID(parent)
		took := 10_000_019 * (1 + rng.Int64N(1000))
		start := exactEpoch + rng.Int64N(1e9)
		s.SetStartTimestamp(pcommon.Timestamp(start))
		s.SetEndTimestamp(pcommon.Timestamp(start + took))
		all = append(all, exactSpan{service, s})
		return s, took
	}
	conversation := ""
	if rng.IntN(3) > 0 {
		conversation = fmt.Sprintf("conversation %d of %d", rng.IntN(100), g.blocks/3)
	}
	workflow := fmt.Sprint("flow", rng.IntN(3))
	workflowLabel := "gen_ai.workflow.name=" + workflow
	root, took := span(pcommon.SpanID{})
	root.Attributes().PutStr("gen_ai.operation.name", "invoke_workflow")
	root.Attributes().PutStr("gen_ai.workflow.name", workflow)
	root.Attributes().PutInt("gen_ai.usage.input_tokens", 1e6) // repeats its calls, roughly
	rootLabels := []string{workflowLabel}
	if rng.IntN(10) == 0 {
		root.Attributes().PutStr("error.type", "timeout")
		rootLabels = append(rootLabels, "error.type=timeout")
	}
	if conversation != "" {
		root.Attributes().PutStr("gen_ai.conversation.id", conversation)
	}
	g.made.add(service, llmmetrics.MetricWorkflowDuration, took, slices.Clone(rootLabels)...)
	g.made.add(service, llmmetrics.MetricTraceDuration, took, rootLabels...)

	var calls, tools, input, output, cost int64
	depth, priced := int64(1), false
	below := func(parent pcommon.SpanID, level int64) pcommon.SpanID {
		s, took := span(parent)
		depth = max(depth, level)
		switch rng.IntN(3) {
		case 0: // a step that is no operation
			s.Attributes().PutStr("langsmith.span.kind", "chain")
		case 1:
			s.Attributes().PutStr("traceloop.span.kind", "agent")
			s.Attributes().PutStr("traceloop.entity.name", "helper")
			g.made.add(service, llmmetrics.MetricAgentDuration, took, "gen_ai.agent.name=helper")
		default:
			s.Attributes().PutStr("openinference.span.kind", "TOOL")
			s.Attributes().PutStr("tool.name", "search")
			g.made.add(service, llmmetrics.MetricToolDuration, took, "gen_ai.tool.name=search")
			tools++
		}
		return s.SpanID()
	}
	parents := []struct {
		id    pcommon.SpanID
		level int64
	}{{root.SpanID(), 1}}
	for range rng.IntN(4) {
		p := parents[rng.IntN(len(parents))]
		parents = append(parents, struct {
			id    pcommon.SpanID
			level int64
		}{below(p.id, p.level+1), p.level + 1})
	}
	for range rng.IntN(9) {
		p := parents[rng.IntN(len(parents))]
		s, took := span(p.id)
		depth = max(depth, p.level+1)
		c := exactCall{
			model: fmt.Sprint("model", rng.IntN(5)), input: rng.Int64N(3000), output: 1 + rng.Int64N(500), cost: -1,
			errorType: []string{"timeout", "RateLimitError", "", "", "", "", "", ""}[rng.IntN(8)],
		}
		if rng.IntN(4) > 0 {
			c.cost = 12_345 * rng.Int64N(4000) << (5 * rng.IntN(3))
		}
		if rng.IntN(2) == 0 {
			c.first = 500_000 * (1 + rng.Int64N(20)) // at most the shortest duration
		}
		c.write(s.Attributes(), rng.IntN(len(exactDialects)))
		if rng.IntN(20) == 0 { // a second instrumentation saw the same call, inside this one
			twin, _ := span(s.SpanID())
			twin.SetStartTimestamp(s.StartTimestamp())
			twin.SetEndTimestamp(s.EndTimestamp())
			c.write(twin.Attributes(), rng.IntN(len(exactDialects)))
			depth = max(depth, p.level+2)
		}
		c.tally(g.made, service, took)
		calls++
		input, output = input+c.input, output+c.output
		if c.cost >= 0 {
			cost, priced = cost+c.cost, true
		}
	}
	g.made.add(service, llmmetrics.MetricTraceCalls, calls, workflowLabel)
	g.made.add(service, llmmetrics.MetricTraceTools, tools, workflowLabel)
	g.made.add(service, llmmetrics.MetricTraceDepth, depth, workflowLabel)
	if calls > 0 {
		g.made.add(service, llmmetrics.MetricTraceTokens, input, workflowLabel, "gen_ai.token.type=input")
		g.made.add(service, llmmetrics.MetricTraceTokens, output, workflowLabel, "gen_ai.token.type=output")
	}
	if priced {
		g.made.add(service, llmmetrics.MetricTraceCost, cost, workflowLabel)
	}
	if conversation != "" {
		g.turn(conversation, service, workflow, root, exactThread{input: input, output: output, cost: cost, called: calls > 0, priced: priced})
	}
	return all
}

// exactCall is what a model call says, whatever the dialect.
type exactCall struct {
	model, errorType     string
	input, output, first int64 // first: zero is none
	cost                 int64 // negative is none
}

var exactDialects = [][6]string{ // operation, its value, provider, model, input, output
	{"gen_ai.operation.name", "chat", "gen_ai.system", "gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"},
	{"gen_ai.operation.name", "chat", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"},
	{"openinference.span.kind", "LLM", "llm.provider", "llm.model_name", "llm.token_count.prompt", "llm.token_count.completion"},
	{"llm.request.type", "chat", "gen_ai.system", "gen_ai.request.model", "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"},
	{"ai.operationId", "ai.streamText.doStream", "ai.model.provider", "ai.model.id", "ai.usage.promptTokens", "ai.usage.completionTokens"},
	{"langsmith.span.kind", "llm", "gen_ai.system", "gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"},
}

func (c *exactCall) write(to pcommon.Map, dialect int) {
	names := exactDialects[dialect]
	to.PutStr(names[0], names[1])
	to.PutStr(names[2], "openai")
	to.PutStr(names[3], c.model)
	to.PutInt(names[4], c.input)
	to.PutInt(names[5], c.output)
	if c.cost >= 0 {
		name := map[string]string{"openinference.span.kind": "llm.cost.total", "langsmith.span.kind": "langsmith.cost.total"}[names[0]]
		to.PutDouble(cmp.Or(name, "gen_ai.usage.cost"), float64(c.cost)/1e12)
	}
	if c.first > 0 {
		if names[0] == "ai.operationId" {
			to.PutDouble("ai.response.msToFirstChunk", float64(c.first)/1e6)
		} else {
			to.PutDouble("gen_ai.response.time_to_first_chunk", float64(c.first)/1e9)
		}
	}
	if c.errorType != "" {
		to.PutStr("error.type", c.errorType)
	}
}

func (c *exactCall) tally(to tallies, service string, took int64) {
	labels := func(more ...string) []string {
		return append([]string{"gen_ai.operation.name=chat", "gen_ai.provider.name=openai", "gen_ai.request.model=" + c.model}, more...)
	}
	if c.errorType == "" {
		to.add(service, llmmetrics.MetricOperationDuration, took, labels()...)
	} else {
		class := map[string]string{"timeout": "timeout", "RateLimitError": "rate_limit"}[c.errorType]
		to.add(service, llmmetrics.MetricOperationDuration, took, labels("error.type="+c.errorType)...)
		to.add(service, llmmetrics.MetricOperationErrors, 1, labels("error.type="+c.errorType, "llm_metrics.error.class="+class)...)
	}
	to.add(service, llmmetrics.MetricTokenUsage, c.input, labels("gen_ai.token.type=input")...)
	to.add(service, llmmetrics.MetricTokenUsage, c.output, labels("gen_ai.token.type=output")...)
	if c.cost >= 0 {
		to.add(service, llmmetrics.MetricCost, c.cost, labels()...)
	}
	if c.first > 0 {
		to.add(service, llmmetrics.MetricTimeToFirstChunk, c.first, labels()...)
	}
}

// exactEngine is a connector and what it told.
type exactEngine struct {
	connector *tracesToMetrics
	sink      *consumertest.MetricsSink
	delta     bool
	got       streams
}

func newExactEngine(t *testing.T, change func(*Config)) *exactEngine {
	cfg := createDefaultConfig().(*Config)
	cfg.FlushInterval, cfg.InitialZero, cfg.FurtherMetrics, cfg.Prices.Enabled = 1000*time.Hour, InitialZeroOff, false, false
	cfg.SeriesExpiration, cfg.Exemplars.MaxPerDataPoint = 0, 0
	cfg.Traces = TracesConfig{Enabled: true, Idle: time.Minute, Timeout: time.Minute, MaxOpen: 1e6}
	cfg.Threads = ThreadsConfig{Enabled: true, IdleTimeout: 10 * time.Minute, MaxOpen: 1e6}
	change(cfg)
	e := &exactEngine{sink: &consumertest.MetricsSink{}, delta: cfg.Temporality == TemporalityDelta, got: streams{}}
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, e.sink)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), nil))
	e.connector = c
	return e
}

// stream is what was told of one data point stream.
type stream struct {
	count   int64
	sum     *big.Int // in the units of tallies
	buckets []int64
	scale   int32
	zero    int64
	offset  int32
}

type streams map[string]*stream

// byMetric is that of tallies.
func (s streams) byMetric() streams {
	all := streams{}
	for key, one := range s {
		all.merge(metricOf(key), one)
	}
	return all
}

func (s streams) merge(key string, one *stream) {
	to := s[key]
	if to == nil {
		to = &stream{sum: new(big.Int), scale: one.scale, offset: one.offset, buckets: make([]int64, len(one.buckets))}
		s[key] = to
	}
	to.count += one.count
	to.zero += one.zero
	to.sum.Add(to.sum, one.sum)
	for i, n := range one.buckets {
		if i < len(to.buckets) {
			to.buckets[i] += n
		}
	}
}

// collect takes what was told since: all of it for delta, and for cumulative what was told last.
func (e *exactEngine) collect(final bool) {
	all := e.sink.AllMetrics()
	e.sink.Reset()
	if !e.delta {
		if !final {
			return
		}
		all = all[len(all)-1:]
	}
	for _, md := range all {
		for _, rm := range md.ResourceMetrics().All() {
			service, _ := rm.Resource().Attributes().Get("service.name")
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				e.collectMetric(service.Str(), m)
			}
		}
	}
}

func (e *exactEngine) collectMetric(service string, m pmetric.Metric) {
	key := func(attributes pcommon.Map) string {
		var labels []string
		for k, v := range attributes.All() {
			labels = append(labels, k+"="+v.AsString())
		}
		slices.Sort(labels)
		return service + " " + m.Name() + " " + strings.Join(labels, " ")
	}
	// A sum is the float64 nearest to a whole number of units, which so is known while it has less than 53 bits.
	units := func(sum float64) *big.Int {
		scaled := new(big.Float).SetPrec(200).SetFloat64(sum)
		scaled.Mul(scaled, big.NewFloat(exactUnits[m.Unit()]))
		scaled.Add(scaled, big.NewFloat(0.5))
		n, _ := scaled.Int(nil)
		return n
	}
	switch m.Type() {
	case pmetric.MetricTypeSum:
		for _, dp := range m.Sum().DataPoints().All() {
			e.got.merge(key(dp.Attributes()), &stream{count: dp.IntValue(), sum: big.NewInt(dp.IntValue())})
		}
	case pmetric.MetricTypeHistogram:
		for _, dp := range m.Histogram().DataPoints().All() {
			one := &stream{count: int64(dp.Count()), sum: units(dp.Sum())}
			for _, n := range dp.BucketCounts().All() {
				one.buckets = append(one.buckets, int64(n))
			}
			e.got.merge(key(dp.Attributes()), one)
		}
	default:
		for _, dp := range m.ExponentialHistogram().DataPoints().All() {
			one := &stream{
				count: int64(dp.Count()), sum: units(dp.Sum()), zero: int64(dp.ZeroCount()), scale: dp.Scale(), offset: dp.Positive().Offset(),
			}
			for _, n := range dp.Positive().BucketCounts().All() {
				one.buckets = append(one.buckets, int64(n))
			}
			e.got.merge(key(dp.Attributes()), one)
		}
	}
}

// exactUnits are the units of tallies in one of the metric.
var exactUnits = map[string]float64{
	"s": 1e9, "USD": 1e12, "{token}": 1, "{error}": 1, "{inference_call}": 1, "{tool_call}": 1, "{span}": 1, "{turn}": 1,
}

func (e *exactEngine) compare(t *testing.T, name string, want map[string]tally, got streams) {
	require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)), name)
	exponential := strings.HasSuffix(name, "exponential")
	for key, values := range want {
		in := instrumentOf(key)
		one := got[key]
		count, sum := int64(0), new(big.Int)
		explicit := make([]int64, len(in.Bounds)+1)
		zero, scaled := int64(0), map[int]int64{}
		for v, n := range values {
			count += n
			sum.Add(sum, new(big.Int).Mul(big.NewInt(v), big.NewInt(n)))
			bucket := 0
			for bucket < len(in.Bounds) && float64(v) > math.Round(in.Bounds[bucket]*exactUnits[in.Unit]) {
				bucket++
			}
			explicit[bucket] += n
			if v == 0 {
				zero += n
			} else {
				scaled[int(math.Ceil(math.Log2(float64(v)/exactUnits[in.Unit])*math.Exp2(float64(one.scale))))-1] += n
			}
		}
		assert.Equal(t, count, one.count, "%s: count of %s", name, key)
		assert.Equal(t, sum.String(), one.sum.String(), "%s: sum of %s", name, key)
		switch {
		case in.Kind == llmmetrics.KindSum:
		case !exponential:
			assert.Equal(t, explicit, one.buckets, "%s: buckets of %s", name, key)
		case !e.delta: // of deltas each has a resolution of its own
			assert.Equal(t, zero, one.zero, "%s: zeros of %s", name, key)
			for i, n := range one.buckets {
				assert.Equal(t, scaled[i+int(one.offset)], n, "%s: bucket %d of %s", name, i, key)
			}
		}
	}
}

func instrumentOf(key string) llmmetrics.Instrument {
	for _, in := range llmmetrics.Instruments() {
		if slices.Contains(strings.Fields(key), in.Name) {
			return in
		}
	}
	panic(key)
}
