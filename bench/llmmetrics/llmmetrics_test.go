// Package llmmetrics_test compares the llm_metrics connector with the connectors that people derive LLM
// metrics with today, on the same spans in one run.
package llmmetrics_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/signaltometricsconnector"
	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/spanmetricsconnector"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector"
)

const (
	batchSpans = 1000
	// Enough batches that the spans are not in the processor's cache, as in a collector. With more series than they
	// have spans, there are more batches.
	minBatches = 64
)

// subject is a connector under test.
type subject struct {
	name        string
	instruments int
	factory     connector.Factory
	config      string
}

var subjects = []subject{
	{"llm_metrics", 6, llmmetricsconnector.NewFactory(), `
flush_interval: 24h
max_series: 1000000
initial_zero: off
further_metrics: false
dimensions: [{name: tenant}, {name: region}, {name: team}, {name: env}]
exemplars: {max_per_data_point: 0}
`},
	{"llm_metrics_exemplars", 6, llmmetricsconnector.NewFactory(), `
flush_interval: 24h
max_series: 1000000
initial_zero: off
further_metrics: false
dimensions: [{name: tenant}, {name: region}, {name: team}, {name: env}]
`},
	// What users run: with exemplars and with further_metrics, up to 20 instruments more.
	{"llm_metrics_default", 26, llmmetricsconnector.NewFactory(), `
flush_interval: 24h
max_series: 1000000
dimensions: [{name: tenant}, {name: region}, {name: team}, {name: env}]
`},
	{"llm_metrics_exponential", 6, llmmetricsconnector.NewFactory(), `
flush_interval: 24h
max_series: 1000000
initial_zero: off
further_metrics: false
dimensions: [{name: tenant}, {name: region}, {name: team}, {name: env}]
exemplars: {max_per_data_point: 0}
histogram: {type: exponential}
`},
	{"spanmetrics", 2, spanmetricsconnector.NewFactory(), `
metrics_flush_interval: 24h
aggregation_cardinality_limit: 0
# As in llm_metrics, series are told apart by service and outcome, but not by name and kind of the span.
exclude_dimensions: [span.name, span.kind]
histogram:
  unit: s
  explicit:
    buckets: [10ms, 20ms, 40ms, 80ms, 160ms, 320ms, 640ms, 1280ms, 2560ms, 5120ms, 10240ms, 20480ms, 40960ms, 81920ms]
dimensions:
  - name: gen_ai.operation.name
  - name: gen_ai.provider.name
  - name: gen_ai.request.model
  - name: gen_ai.response.model
  - name: tenant
  - name: region
  - name: team
  - name: env
`},
	{"signaltometrics", 6, signaltometricsconnector.NewFactory(), signalToMetrics(false)},
	{"signaltometrics_exponential", 6, signaltometricsconnector.NewFactory(), signalToMetrics(true)},
}

func signalToMetrics(exponential bool) string {
	attrs := ""
	for _, a := range []string{
		"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model",
		"tenant", "region", "team", "env",
	} {
		attrs += "      - key: " + a + "\n"
	}
	const seconds = "[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]"
	const tokens = "[1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]"
	const costs = "[1e-6, 1e-5, 1e-4, 3e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10]"
	s := "spans:\n"
	sum := func(name, condition string) {
		s += "  - name: " + name + "\n    sum: {value: '1', monotonic: true}\n" + condition + "    attributes:\n" + attrs
	}
	histogram := func(name, value, buckets string) {
		kind := "histogram: {buckets: " + buckets + ", "
		if exponential {
			kind = "exponential_histogram: {max_size: 160, "
		}
		s += "  - name: " + name + "\n    " + kind + "value: '" + value + "'}\n    attributes:\n" + attrs
	}
	sum("calls", "")
	sum("errors", "    conditions: ['span.status.code == STATUS_CODE_ERROR']\n")
	histogram("duration", "Seconds(span.end_time - span.start_time)", seconds)
	histogram("input", `span.attributes["gen_ai.usage.input_tokens"]`, tokens)
	histogram("output", `span.attributes["gen_ai.usage.output_tokens"]`, tokens)
	histogram("cost", `span.attributes["gen_ai.usage.cost"]`, costs)
	return s
}

func (s subject) create(tb testing.TB, next consumer.Metrics) connector.Traces {
	tb.Helper()
	var raw map[string]any
	require.NoError(tb, yaml.Unmarshal([]byte(s.config), &raw))
	cfg := s.factory.CreateDefaultConfig()
	require.NoError(tb, confmap.NewFromStringMap(raw).Unmarshal(cfg))
	require.NoError(tb, confmap.Validate(cfg))
	set := connectortest.NewNopSettings(s.factory.Type())
	c, err := s.factory.CreateTracesToMetrics(context.Background(), set, cfg, next)
	require.NoError(tb, err)
	require.NoError(tb, c.Start(context.Background(), &memory{values: map[string][]byte{}}))
	return c
}

// batches makes spans of model calls with 16 attributes, a kilobyte of content among them, evenly over so
// many series. They come out of protobuf, so that every string has memory of its own.
func batches(tb testing.TB, series int) []ptrace.Traces {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	content := strings.Repeat("All work and no play makes a dull boy. ", 26)
	all := make([]ptrace.Traces, max(minBatches, series/batchSpans))
	next := func() int { return rng.IntN(series) }
	if series >= len(all)*batchSpans { // each once, so that all exist
		each := rng.Perm(series)
		next = func() (n int) {
			n, each = each[0], each[1:]
			return n
		}
	}
	for i := range all {
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", "bot")
		spans := rs.ScopeSpans().AppendEmpty().Spans()
		spans.EnsureCapacity(batchSpans)
		for range batchSpans {
			n := next()
			s := spans.AppendEmpty()
			s.SetName("chat")
			s.SetKind(ptrace.SpanKindClient)
			s.SetStartTimestamp(1_700_000_000_000_000_000)
			s.SetEndTimestamp(s.StartTimestamp() + pcommon.Timestamp(rng.Int64N(int64(20*time.Second))))
			if rng.IntN(50) == 0 {
				s.Status().SetCode(ptrace.StatusCodeError)
			}
			a := s.Attributes()
			a.PutStr("gen_ai.operation.name", "chat")
			a.PutStr("gen_ai.provider.name", "openai")
			a.PutStr("gen_ai.request.model", "gpt-4o")
			a.PutStr("gen_ai.response.model", "gpt-4o-2024-08-06")
			a.PutStr("gen_ai.conversation.id", strconv.Itoa(rng.IntN(1000)))
			a.PutStr("gen_ai.input.messages", content)
			a.PutInt("gen_ai.usage.input_tokens", rng.Int64N(5000))
			a.PutInt("gen_ai.usage.output_tokens", rng.Int64N(900))
			a.PutDouble("gen_ai.usage.cost", float64(rng.IntN(1e6))/1e8)
			a.PutDouble("gen_ai.request.temperature", 0.2)
			a.PutStr("langsmith.run.id", strconv.Itoa(rng.Int()))
			a.PutStr("langsmith.run_type", "llm")
			a.PutStr("tenant", "tenant-"+strconv.Itoa(n/10))
			a.PutStr("region", "eu-west-1")
			a.PutStr("team", "team-"+strconv.Itoa(n%10))
			a.PutStr("env", "production")
		}
		raw, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
		require.NoError(tb, err)
		all[i], err = (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(raw)
		require.NoError(tb, err)
	}
	renew(all, rng)
	return all
}

// renew gives all spans new ids, so that they are spans that nobody saw before: a connector that knows a span again
// does less with it. Each is the only child of its parent, which is not there: none is found by its neighbour.
func renew(all []ptrace.Traces, rng *rand.Rand) {
	for _, td := range all {
		for _, s := range td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().All() {
			var trace pcommon.TraceID
			var span, parent pcommon.SpanID
			binary.LittleEndian.PutUint64(trace[:], rng.Uint64())
			binary.LittleEndian.PutUint64(trace[8:], rng.Uint64())
			binary.LittleEndian.PutUint64(span[:], rng.Uint64())
			binary.LittleEndian.PutUint64(parent[:], rng.Uint64())
			s.SetTraceID(trace)
			s.SetSpanID(span)
			s.SetParentSpanID(parent)
		}
	}
}

// BenchmarkConsume is the cost of spans once all series exist.
func BenchmarkConsume(b *testing.B) {
	for _, series := range []int{100, 10_000, 100_000} {
		data := batches(b, series)
		for _, s := range subjects {
			b.Run(fmt.Sprintf("series=%d/%s_%d", series, s.name, s.instruments), func(b *testing.B) {
				c := s.create(b, consumertest.NewNop())
				defer func() { require.NoError(b, c.Shutdown(context.Background())) }()
				ctx := context.Background()
				rng := rand.New(rand.NewPCG(3, 4))
				for _, td := range data {
					require.NoError(b, c.ConsumeTraces(ctx, td))
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if i%len(data) == 0 {
						b.StopTimer()
						renew(data, rng)
						b.StartTimer()
					}
					if err := c.ConsumeTraces(ctx, data[i%len(data)]); err != nil {
						b.Fatal(err)
					}
					i++
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batchSpans), "ns/span")
			})
		}
	}
}

// cpuTime is the time that this process has computed, garbage collection included: on a shared machine it
// says more than the clock.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkRetained is the memory that a series holds.
func BenchmarkRetained(b *testing.B) {
	const series = 10_000
	data := batches(b, series)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, s := range subjects {
		b.Run(s.name, func(b *testing.B) {
			var bytes float64
			for b.Loop() {
				c := s.create(b, consumertest.NewNop())
				before := heap()
				for _, td := range data {
					require.NoError(b, c.ConsumeTraces(context.Background(), td))
				}
				bytes = float64(heap()) - float64(before)
				runtime.KeepAlive(c)
				require.NoError(b, c.Shutdown(context.Background()))
			}
			b.ReportMetric(bytes/series, "B/series")
		})
	}
}

// TestSubjectsMeasureTheSame keeps the comparison honest.
func TestSubjectsMeasureTheSame(t *testing.T) {
	data := batches(t, 100)
	for _, s := range subjects {
		sink := &consumertest.MetricsSink{}
		c := s.create(t, sink)
		require.NoError(t, c.ConsumeTraces(t.Context(), data[0]))
		require.NoError(t, c.Shutdown(t.Context()))
		if s.factory.Type() == component.MustNewType("span_metrics") || s.factory.Type() == component.MustNewType("spanmetrics") {
			continue // does not flush at shutdown
		}
		var calls uint64
		for _, md := range sink.AllMetrics() {
			for _, rm := range md.ResourceMetrics().All() {
				for _, sm := range rm.ScopeMetrics().All() {
					for _, m := range sm.Metrics().All() {
						if !strings.HasSuffix(m.Name(), "duration") {
							continue
						}
						count := func(n uint64) { calls += n }
						switch m.Type() {
						case pmetric.MetricTypeHistogram:
							for _, dp := range m.Histogram().DataPoints().All() {
								count(dp.Count())
							}
						case pmetric.MetricTypeExponentialHistogram:
							for _, dp := range m.ExponentialHistogram().DataPoints().All() {
								count(dp.Count())
							}
						}
					}
				}
			}
		}
		require.Equal(t, uint64(batchSpans), calls, s.name)
	}
}
