package llmmetricsconnector

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadata"
	"github.com/otelcol-langsmith/otelcol-langsmith/connector/llmmetricsconnector/internal/metadatatest"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics/metricstext"
)

var update = flag.Bool("update", false, "write the expected output of testdata/cases")

// TestCases runs testdata/cases/*: a configuration, a script of spans and waits, and all that comes out.
func TestCases(t *testing.T) {
	dirs, err := filepath.Glob("testdata/cases/*")
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			cfg := loadConfig(t, filepath.Join(dir, "config.yaml"))
			input, err := os.ReadFile(filepath.Join(dir, "input.txt"))
			require.NoError(t, err)
			synctest.Test(t, func(t *testing.T) {
				got := runScript(t, cfg, string(input))
				golden := filepath.Join(dir, "output.txt")
				if *update {
					require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				require.Equal(t, string(want), got)
			})
		})
	}
}

func loadConfig(t *testing.T, path string) *Config {
	t.Helper()
	conf, err := confmaptest.LoadConf(path)
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, conf.Unmarshal(cfg))
	require.NoError(t, cfg.Validate())
	return cfg
}

// runScript returns everything that the connector emits, as text.
func runScript(t *testing.T, cfg *Config, script string) string {
	t.Helper()
	epoch := time.Now()
	var out strings.Builder
	next, err := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error {
		fmt.Fprintf(&out, "== after %v\n%s", time.Since(epoch), metricstext.String(md, epoch))
		return nil
	})
	require.NoError(t, err)
	c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, next)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	td := ptrace.NewTraces()
	for line := range strings.Lines(script) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "", "#":
		case "resource":
			attrs := td.ResourceSpans().AppendEmpty().Resource().Attributes()
			for _, field := range strings.Fields(rest) {
				k, v, _ := strings.Cut(field, "=")
				attrs.PutStr(k, v)
			}
		case "span":
			scriptSpan(t, td, rest, epoch)
		case "send":
			require.NoError(t, c.ConsumeTraces(t.Context(), td))
			td = ptrace.NewTraces()
		case "wait":
			d, err := time.ParseDuration(rest)
			require.NoError(t, err)
			time.Sleep(d)
			synctest.Wait()
		default:
			t.Fatalf("unknown verb in %q", line)
		}
	}
	require.Zero(t, td.SpanCount(), "spans without a send")
	out.WriteString("== shutdown\n")
	require.NoError(t, c.Shutdown(t.Context()))
	return out.String()
}

// scriptSpan adds a span written as key=value fields; _ stands for a blank.
func scriptSpan(t *testing.T, td ptrace.Traces, fields string, epoch time.Time) {
	t.Helper()
	if td.ResourceSpans().Len() == 0 {
		td.ResourceSpans().AppendEmpty().Resource().Attributes().PutStr("service.name", "bot")
	}
	rs := td.ResourceSpans().At(td.ResourceSpans().Len() - 1)
	if rs.ScopeSpans().Len() == 0 {
		rs.ScopeSpans().AppendEmpty()
	}
	span := rs.ScopeSpans().At(0).Spans().AppendEmpty()
	span.SetName("never a label")
	span.SetTraceID(pcommon.TraceID{15: 1})
	attrs := span.Attributes()
	attrs.PutStr(genai.AttrConversationID, "never-a-label")
	var start, end time.Duration
	text := map[string]string{
		"op": genai.AttrOperationName, "provider": genai.AttrProviderName,
		"model": genai.AttrRequestModel, "answered": genai.AttrResponseModel,
		"tool": genai.AttrToolName, "agent": genai.AttrAgentName, "workflow": genai.AttrWorkflowName,
		"error": genai.AttrErrorType,
	}
	for _, field := range strings.Fields(fields) {
		k, v, _ := strings.Cut(field, "=")
		v = strings.ReplaceAll(v, "_", " ")
		number := func() float64 {
			f, err := strconv.ParseFloat(v, 64)
			require.NoError(t, err, field)
			return f
		}
		duration := func() time.Duration {
			d, err := time.ParseDuration(v)
			require.NoError(t, err, field)
			return d
		}
		if attr, ok := text[k]; ok {
			attrs.PutStr(attr, strings.ReplaceAll(v, " ", "_"))
			continue
		}
		switch k {
		case "id":
			span.SetSpanID(scriptID(uint64(number())))
		case "parent":
			span.SetParentSpanID(scriptID(uint64(number())))
		case "trace":
			span.SetTraceID(pcommon.TraceID{15: byte(number())})
		case "start":
			start = duration()
		case "took":
			end = start + duration()
		case "in":
			attrs.PutInt(genai.AttrInputTokens, int64(number()))
		case "out":
			attrs.PutInt(genai.AttrOutputTokens, int64(number()))
		case "read":
			attrs.PutInt(genai.AttrCacheReadTokens, int64(number()))
		case "write":
			attrs.PutInt(genai.AttrCacheWriteTokens, int64(number()))
		case "reason":
			attrs.PutInt(genai.AttrReasoningTokens, int64(number()))
		case "stream":
			attrs.PutBool(genai.AttrRequestStream, v == "true")
		case "finish":
			reasons := attrs.PutEmptySlice(genai.AttrFinishReasons)
			for reason := range strings.SplitSeq(v, ",") {
				reasons.AppendEmpty().SetStr(strings.ReplaceAll(reason, " ", "_"))
			}
		case "cost":
			attrs.PutDouble(genai.AttrUsageCost, number())
		case "first":
			attrs.PutDouble(genai.AttrTimeToFirstChunk, number())
		default:
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				attrs.PutInt(k, n)
			} else {
				attrs.PutStr(k, v)
			}
		}
	}
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(epoch.Add(start)))
	if end != 0 {
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(epoch.Add(end)))
	}
}

func scriptID(n uint64) (id pcommon.SpanID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

// chat is a batch of one model call.
func chat(model string) ptrace.Traces {
	td := ptrace.NewTraces()
	span := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetStartTimestamp(1)
	span.SetEndTimestamp(1e9 + 1)
	span.Attributes().PutStr(genai.AttrOperationName, "chat")
	span.Attributes().PutStr(genai.AttrRequestModel, model)
	return td
}

// flaky refuses as told and counts.
type flaky struct {
	consumertest.MetricsSink

	refuse   atomic.Bool
	refusals atomic.Int64
}

func (f *flaky) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	if f.refuse.Load() {
		f.refusals.Add(1)
		return errors.New("try later")
	}
	return f.MetricsSink.ConsumeMetrics(ctx, md)
}

func (f *flaky) lastCount() uint64 {
	all := f.AllMetrics()
	return all[len(all)-1].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0).Count()
}

func TestRefusedMetricsAreToldAgain(t *testing.T) {
	for _, temporality := range []Temporality{TemporalityCumulative, TemporalityDelta} {
		t.Run(string(temporality), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set, logs := observed()
				cfg := createDefaultConfig().(*Config)
				cfg.Temporality = temporality
				cfg.InitialZero = InitialZeroOff
				next := &flaky{}
				next.refuse.Store(true)
				c, err := newTracesToMetrics(set, cfg, next)
				require.NoError(t, err)
				require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
				for range 3 {
					require.NoError(t, c.ConsumeTraces(t.Context(), chat("gpt")))
					time.Sleep(cfg.FlushInterval)
					synctest.Wait()
				}
				require.Equal(t, int64(3), next.refusals.Load())
				require.Equal(t, 1, logs.Len(), "told on change only")
				next.refuse.Store(false)
				time.Sleep(cfg.FlushInterval)
				synctest.Wait()
				require.Equal(t, uint64(3), next.lastCount())
				require.Equal(t, 2, logs.Len())
				require.NoError(t, c.Shutdown(t.Context()))
			})
		})
	}
}

func observed() (connector.Settings, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	set := connectortest.NewNopSettings(metadata.Type)
	set.Logger = zap.New(core)
	return set, logs
}

func TestShutdownWhileTheNextComponentHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := createDefaultConfig().(*Config)
		var hang atomic.Bool
		hang.Store(true)
		var final pmetric.Metrics
		next, err := consumer.NewMetrics(func(ctx context.Context, md pmetric.Metrics) error {
			if hang.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			final = md
			return nil
		})
		require.NoError(t, err)
		set, logs := observed()
		c, err := newTracesToMetrics(set, cfg, next)
		require.NoError(t, err)
		require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
		require.NoError(t, c.ConsumeTraces(t.Context(), chat("gpt")))
		time.Sleep(cfg.FlushInterval + time.Second)
		synctest.Wait()
		require.NoError(t, c.ConsumeTraces(t.Context(), chat("gpt")), "spans are taken while a flush hangs")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		hang.Store(false)
		require.NoError(t, c.Shutdown(ctx))
		require.NoError(t, c.Shutdown(ctx), "twice")
		require.Equal(t, uint64(2),
			final.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0).Count())
		require.Zero(t, logs.Len())
	})
}

func TestShutdownHonoursItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := createDefaultConfig().(*Config)
		release := make(chan struct{})
		next, err := consumer.NewMetrics(func(context.Context, pmetric.Metrics) error {
			<-release // deaf to its context
			return nil
		})
		require.NoError(t, err)
		c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, next)
		require.NoError(t, err)
		require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
		require.NoError(t, c.ConsumeTraces(t.Context(), chat("gpt")))
		time.Sleep(cfg.FlushInterval + time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.Shutdown(ctx), context.DeadlineExceeded)
		close(release)
	})
}

func TestOverflowIsLoggedOnceAndNamesTheAttribute(t *testing.T) {
	set, logs := observed()
	cfg := createDefaultConfig().(*Config)
	cfg.MaxSeries = 10
	c, err := newTracesToMetrics(set, cfg, consumertest.NewNop())
	require.NoError(t, err)
	for i := range 30 {
		require.NoError(t, c.ConsumeTraces(t.Context(), chat("model-"+strconv.Itoa(i))))
	}
	require.NoError(t, c.flush(t.Context(), false))
	require.NoError(t, c.flush(t.Context(), false))
	require.Equal(t, 1, logs.Len())
	fields := logs.All()[0].ContextMap()
	assert.Equal(t, genai.AttrRequestModel, fields["attribute"])
	assert.Equal(t, int64(10), fields["values"])
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestTelemetry(t *testing.T) {
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	cfg := createDefaultConfig().(*Config)
	cfg.MaxSeries = 1
	next := &flaky{}
	set := metadatatest.NewSettings(tel)
	c, err := newTracesToMetrics(set, cfg, next)
	require.NoError(t, err)
	td := chat("a")
	spans := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
	spans.AppendEmpty().SetName("GET /")
	chat("b").ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).CopyTo(spans.AppendEmpty())
	spans.At(2).SetEndTimestamp(0)
	spans.At(2).Attributes().PutInt(genai.AttrInputTokens, 7)
	spans.At(2).Attributes().PutInt(genai.AttrOutputTokens, 0)
	require.NoError(t, c.ConsumeTraces(t.Context(), td))
	require.NoError(t, c.flush(t.Context(), false))
	next.refuse.Store(true)
	require.Error(t, c.flush(t.Context(), false))

	ignore := metricdatatest.IgnoreTimestamp()
	id := attribute.String("connector", set.ID.String())
	only := attribute.NewSet(id)
	point := func(n int64) []metricdata.DataPoint[int64] {
		return []metricdata.DataPoint[int64]{{Attributes: only, Value: n}}
	}
	var spanPoints []metricdata.DataPoint[int64]
	for _, outcome := range []string{"recorded", "no_duration", "not_genai"} {
		spanPoints = append(spanPoints, metricdata.DataPoint[int64]{
			Attributes: attribute.NewSet(id, attribute.String("outcome", outcome)), Value: 1,
		})
	}
	metadatatest.AssertEqualConnectorLlmMetricsSpans(t, tel, spanPoints, ignore)
	metadatatest.AssertEqualConnectorLlmMetricsCalls(t, tel, []metricdata.DataPoint[int64]{
		{Attributes: attribute.NewSet(id, attribute.String("pricing", "no_usage")), Value: 1},
		{Attributes: attribute.NewSet(id, attribute.String("pricing", "unknown_model")), Value: 1},
	}, ignore)
	metadatatest.AssertEqualConnectorLlmMetricsUnpricedCalls(t, tel, []metricdata.DataPoint[int64]{
		{Attributes: attribute.NewSet(id, attribute.String("model", "b"), attribute.String("provider", "")), Value: 1},
	}, ignore)
	metadatatest.AssertEqualConnectorLlmMetricsSeriesActive(t, tel, point(1), ignore)
	metadatatest.AssertEqualConnectorLlmMetricsSeriesOverflowed(t, tel, point(1), ignore)
	metadatatest.AssertEqualConnectorLlmMetricsSeriesExpired(t, tel, point(0), ignore)
	metadatatest.AssertEqualConnectorLlmMetricsDataPoints(t, tel, point(3), ignore)
	metadatatest.AssertEqualConnectorLlmMetricsFlushFailures(t, tel, point(1), ignore)
	metadatatest.AssertEqualConnectorLlmMetricsFlushDuration(t, tel, []metricdata.HistogramDataPoint[float64]{{
		Attributes: only, Count: 2,
		Bounds: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
	}}, ignore, metricdatatest.IgnoreValue())
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestTelemetryOfTraces(t *testing.T) {
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	cfg := createDefaultConfig().(*Config)
	cfg.Traces = TracesConfig{Enabled: true, Idle: time.Minute, Timeout: time.Minute, MaxOpen: 1}
	set := metadatatest.NewSettings(tel)
	c, err := newTracesToMetrics(set, cfg, consumertest.NewNop())
	require.NoError(t, err)
	for i := range 3 {
		td := chat("a")
		span := td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0)
		span.SetTraceID(pcommon.TraceID{byte(i%2 + 1)})
		span.SetSpanID(pcommon.SpanID{byte(i + 1)})
		require.NoError(t, c.ConsumeTraces(t.Context(), td))
	}
	require.NoError(t, c.flush(t.Context(), false))
	ignore := metricdatatest.IgnoreTimestamp()
	id := attribute.String("connector", set.ID.String())
	only := attribute.NewSet(id)
	metadatatest.AssertEqualConnectorLlmMetricsTraces(t, tel, []metricdata.DataPoint[int64]{
		{Attributes: attribute.NewSet(id, attribute.String("closed_by", "limit")), Value: 1},
	}, ignore)
	metadatatest.AssertEqualConnectorLlmMetricsTracesOpen(t, tel, []metricdata.DataPoint[int64]{{Attributes: only, Value: 1}}, ignore)
	metadatatest.AssertEqualConnectorLlmMetricsLateSpans(t, tel, []metricdata.DataPoint[int64]{
		{Attributes: attribute.NewSet(id, attribute.String("late_for", "trace")), Value: 1},
	}, ignore)
	require.NoError(t, c.Shutdown(t.Context()))
}

// FuzzSpans feeds spans with arbitrary attributes.
func FuzzSpans(f *testing.F) {
	f.Add("gen_ai.operation.name", "chat", int64(1), 2.0, uint64(1), uint64(0), int64(5))
	f.Add("tenant", "\xff", int64(-1), -2.0, uint64(1), uint64(1), int64(-5))
	f.Fuzz(func(t *testing.T, key, text string, n int64, x float64, id, parent uint64, end int64) {
		cfg := createDefaultConfig().(*Config)
		cfg.MaxSeries = 4
		cfg.Traces.Enabled = true
		cfg.Dimensions = []Dimension{{Name: "tenant"}, {Name: key + "x"}}
		sink := &consumertest.MetricsSink{}
		c, err := newTracesToMetrics(connectortest.NewNopSettings(metadata.Type), cfg, sink)
		require.NoError(t, err)
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr(key, text)
		for i := range 4 {
			span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
			span.SetSpanID(scriptID(id + uint64(i)))
			span.SetParentSpanID(scriptID(parent))
			span.SetStartTimestamp(pcommon.Timestamp(n))
			span.SetEndTimestamp(pcommon.Timestamp(end))
			a := span.Attributes()
			a.PutStr(genai.AttrOperationName, []string{"chat", "execute_tool", "invoke_agent", text}[i])
			a.PutInt(genai.AttrInputTokens, n)
			a.PutDouble(genai.AttrUsageCost, x)
			a.PutDouble(genai.AttrTimeToFirstChunk, x)
			a.PutInt("tenant", n)
			a.PutDouble(key+"x", x)
			a.PutStr(key, text)
		}
		require.NoError(t, c.ConsumeTraces(t.Context(), td))
		require.NoError(t, c.flush(t.Context(), true))
		require.LessOrEqual(t, c.metrics.series(), int64(4))
		require.NoError(t, c.Shutdown(t.Context()))
	})
}
