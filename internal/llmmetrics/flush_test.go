package llmmetrics

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics/metricstext"
)

func requireCleanStrings(t *testing.T, md pmetric.Metrics) {
	t.Helper()
	check := func(m pcommon.Map) {
		for k, v := range m.All() {
			require.True(t, utf8.ValidString(k) && utf8.ValidString(v.AsString()))
			require.LessOrEqual(t, len(v.AsString()), maxLabelBytes)
		}
	}
	for _, rm := range md.ResourceMetrics().All() {
		check(rm.Resource().Attributes())
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			eachAttributes(m, check)
		}
	}
}

// eachAttributes calls f with the attributes of each data point.
func eachAttributes(m pmetric.Metric, f func(pcommon.Map)) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		for _, dp := range m.Sum().DataPoints().All() {
			f(dp.Attributes())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, dp := range m.ExponentialHistogram().DataPoints().All() {
			f(dp.Attributes())
		}
	default:
		for _, dp := range m.Histogram().DataPoints().All() {
			f(dp.Attributes())
		}
	}
}

// attributesOf is the attributes of each data point as text.
func attributesOf(m pmetric.Metric) (all []string) {
	eachAttributes(m, func(attrs pcommon.Map) { all = append(all, fmt.Sprint(attrs.AsRaw())) })
	return all
}

// tool is the smallest observation: it feeds one data point.
func tool(d time.Duration) Observation {
	return Observation{Family: FamilyTool, ToolName: "search", Duration: int64(d), InputTokens: Absent, OutputTokens: Absent}
}

// points is the data points of a flush as text, without what is the same for all tests here.
func points(md pmetric.Metrics) []string {
	var all []string
	for line := range strings.Lines(metricstext.String(md, epoch)) {
		if rest, ok := strings.CutPrefix(line, "    {"); ok {
			all = append(all, strings.TrimSpace(strings.ReplaceAll(rest, "gen_ai.tool.name=search} ", "")))
		}
	}
	return all
}

func TestInitialZero(t *testing.T) {
	for _, tt := range []struct {
		name string
		zero InitialZero
		want [][]string
	}{
		{"hold", ZeroHold, [][]string{
			{"0s-10s count=0 sum=0"},
			{"0s-20s count=2 sum=3 le_1.28:1 le_2.56:1"},
			{"0s-30s count=2 sum=3 le_1.28:1 le_2.56:1"},
		}},
		{"inline", ZeroInline, [][]string{
			{"0s-0s count=0 sum=0", "0s-10s count=1 sum=1 le_1.28:1"},
			{"0s-20s count=2 sum=3 le_1.28:1 le_2.56:1"},
			{"0s-30s count=2 sum=3 le_1.28:1 le_2.56:1"},
		}},
		{"off", ZeroOff, [][]string{
			{"0s-10s count=1 sum=1 le_1.28:1"},
			{"0s-20s count=2 sum=3 le_1.28:1 le_2.56:1"},
			{"0s-30s count=2 sum=3 le_1.28:1 le_2.56:1"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.InitialZero = tt.zero
			e := New(cfg, at(0))
			record(e, "bot", tool(time.Second))
			var got [][]string
			for i := range 3 {
				md, _ := e.Flush(at(time.Duration(i+1)*10*time.Second), false)
				e.Accept()
				got = append(got, points(md))
				if i == 0 {
					record(e, "bot", tool(2*time.Second))
				}
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestFinalFlushTellsHeldValues(t *testing.T) {
	cfg := testConfig()
	cfg.InitialZero = ZeroHold
	e := New(cfg, at(0))
	record(e, "bot", tool(time.Second))
	md, _ := e.Flush(at(time.Second), true)
	assert.Equal(t, []string{"0s-1s count=1 sum=1 le_1.28:1"}, points(md))
}

func TestRefusedZeroIsRepeated(t *testing.T) {
	cfg := testConfig()
	cfg.InitialZero = ZeroHold
	e := New(cfg, at(0))
	record(e, "bot", tool(time.Second))
	md, _ := e.Flush(at(10*time.Second), false)
	assert.Equal(t, []string{"0s-10s count=0 sum=0"}, points(md))
	md, _ = e.Flush(at(20*time.Second), false)
	assert.Equal(t, []string{"0s-20s count=0 sum=0"}, points(md))
	e.Accept()
	md, _ = e.Flush(at(30*time.Second), false)
	assert.Equal(t, []string{"0s-30s count=1 sum=1 le_1.28:1"}, points(md))
}

func TestDeltaWindowsAreContiguousAndSurviveRefusal(t *testing.T) {
	cfg := testConfig()
	cfg.Delta = true
	e := New(cfg, at(0))
	var got [][]string
	flush := func(s int, accept bool) {
		md, _ := e.Flush(at(time.Duration(s)*time.Second), false)
		if accept {
			e.Accept()
		}
		got = append(got, points(md))
	}
	record(e, "bot", tool(time.Second))
	flush(10, true)
	record(e, "bot", tool(2*time.Second))
	flush(20, false)
	record(e, "bot", tool(3*time.Second))
	flush(30, false)
	flush(40, true)
	flush(50, true)
	record(e, "bot", tool(4*time.Second))
	flush(60, true)
	assert.Equal(t, [][]string{
		{"0s-10s count=1 sum=1 min=1 max=1 le_1.28:1"},
		{"10s-20s count=1 sum=2 min=2 max=2 le_2.56:1"},
		{"10s-30s count=2 sum=5 min=2 max=3 le_2.56:1 le_5.12:1"},
		{"10s-40s count=2 sum=5 min=2 max=3 le_2.56:1 le_5.12:1"},
		nil,
		{"50s-60s count=1 sum=4 min=4 max=4 le_5.12:1"},
	}, got)
}

func TestTimeNeverStandsStill(t *testing.T) {
	e := New(testConfig(), at(0))
	record(e, "bot", tool(time.Second))
	last := pcommon.Timestamp(0)
	for _, now := range []time.Duration{time.Second, time.Second, 0, -time.Hour, 2 * time.Second} {
		md, _ := e.Flush(at(now), false)
		e.Accept()
		dp := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0)
		require.Greater(t, dp.Timestamp(), last)
		require.Equal(t, at(0), dp.StartTimestamp())
		last = dp.Timestamp()
	}
}

func TestSeriesExpireOneByOne(t *testing.T) {
	cfg := testConfig()
	cfg.Expiration = 25 * time.Second
	e := New(cfg, at(0))
	failed := tool(time.Second)
	failed.ErrorType = "timeout"
	other := tool(time.Second)
	other.ToolName = "other"
	record(e, "bot", tool(time.Second), failed, other)
	record(e, "gone", other)
	require.Equal(t, int64(4), e.Series())
	var got [][]string
	var expired []int
	for s := 10; s <= 60; s += 10 {
		md, stats := e.Flush(at(time.Duration(s)*time.Second), false)
		e.Accept()
		got = append(got, points(md))
		expired = append(expired, stats.Expired)
		record(e, "bot", tool(time.Second))
		if s == 50 {
			record(e, "bot", failed)
		}
	}
	assert.Equal(t, []int{0, 0, 0, 3, 0, 0}, expired)
	assert.Len(t, got[2], 4)
	assert.Equal(t, []string{"0s-50s count=5 sum=5 le_1.28:5"}, got[4])
	assert.Equal(t, []string{
		"0s-60s count=6 sum=6 le_1.28:6",
		"error.type=timeout 50s-60s count=1 sum=1 le_1.28:1",
	}, got[5], "a series that comes back starts anew")
	assert.Equal(t, int64(2), e.Series())
	assert.Len(t, e.resources.byKey, 1)
	for i := range e.shards {
		for _, s := range e.shards[i].table.slots {
			if s.s != nil {
				assert.Equal(t, "bot", strings.TrimLeft(s.s.resource.key, "\x03"))
			}
		}
	}
}

// TestRefusedValuesDoNotExpire lets a series fall silent while all flushes are refused, for longer than series are kept.
func TestRefusedValuesDoNotExpire(t *testing.T) {
	cfg := testConfig()
	cfg.Expiration = 25 * time.Second
	e := New(cfg, at(0))
	flush := func(seconds int) []string {
		md, _ := e.Flush(at(time.Duration(seconds)*time.Second), false)
		return points(md)
	}
	record(e, "bot", tool(time.Second))
	flush(10)
	e.Accept()
	record(e, "bot", tool(2*time.Second))
	for seconds := 20; seconds <= 100; seconds += 10 {
		flush(seconds)
	}
	assert.Equal(t, []string{"0s-110s count=2 sum=3 le_1.28:1 le_2.56:1"}, flush(110))
	e.Accept()
	assert.Empty(t, flush(120), "told, and silent for long")
}

func TestFreedRoomIsUsedAgain(t *testing.T) {
	cfg := testConfig()
	cfg.Expiration = time.Second
	cfg.MaxSeries = 2
	e := New(cfg, at(0))
	for i := range 10 {
		record(e, "bot", call(strconv.Itoa(i)))
		_, _ = e.Flush(at(time.Duration(i)*time.Minute), false)
		e.Accept()
	}
	assert.Zero(t, e.Overflowed())
	assert.LessOrEqual(t, e.Series(), int64(2))
}

func TestExemplarsAreTheWorstAndTheNewest(t *testing.T) {
	cfg := testConfig()
	cfg.Exemplars = 2
	e := New(cfg, at(0))
	for i, d := range []time.Duration{3, 9, 1, 2} {
		o := tool(d * time.Second)
		o.Time = at(time.Duration(i) * time.Second)
		o.TraceID, o.SpanID = pcommon.TraceID{1}, pcommon.SpanID{byte(i + 1)}
		record(e, "bot", o)
	}
	record(e, "bot", tool(100*time.Second)) // without ids
	md, _ := e.Flush(at(10*time.Second), false)
	assert.Contains(t, points(md)[0],
		" exemplar(9 at 1s span 0200000000000000) exemplar(2 at 3s span 0400000000000000)")
	md, _ = e.Flush(at(20*time.Second), false)
	assert.NotContains(t, points(md)[0], "exemplar")
}

func TestOutputDoesNotDependOnOrder(t *testing.T) {
	var outputs []string
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}} {
		e := New(testConfig(), at(0))
		for _, i := range order {
			failed := call("b")
			failed.ErrorType = "x"
			switch i {
			case 0:
				record(e, "bot", call("a"), failed)
			case 1:
				record(e, "bot", tool(time.Second))
			case 2:
				record(e, "aaa", call("c"))
			case 3:
				record(e, "bot", call("b"))
			}
		}
		md, _ := e.Flush(at(time.Second), false)
		outputs = append(outputs, metricstext.String(md, epoch))
	}
	assert.Equal(t, outputs[0], outputs[1])
	assert.Equal(t, outputs[0], outputs[2])
}

func TestOutputSharesNothingWithTheEngine(t *testing.T) {
	e := New(testConfig(), at(0))
	record(e, "bot", call("a"))
	md, _ := e.Flush(at(time.Second), false)
	want := metricstext.String(md, epoch)
	record(e, "bot", call("a"), call("b"))
	_, _ = e.Flush(at(2*time.Second), false)
	assert.Equal(t, want, metricstext.String(md, epoch))
}

func TestWorstAttribute(t *testing.T) {
	cfg := testConfig()
	cfg.Dimensions = []string{"tenant"}
	e := New(cfg, at(0))
	for i := range 20 {
		o := call("m" + strconv.Itoa(i%3))
		o.Dimensions = []string{"t" + strconv.Itoa(i)}
		record(e, "bot", o)
	}
	_, _ = e.Flush(at(time.Second), false)
	name, values := e.WorstAttribute()
	assert.Equal(t, "tenant", name)
	assert.Equal(t, 20, values)
}

func TestUnknownServiceAndMissingAttributes(t *testing.T) {
	cfg := testConfig()
	cfg.ResourceAttributes = []string{"service.name", "service.namespace"}
	e := New(cfg, at(0))
	r := e.Recorder()
	r.SetResource(pcommon.NewMap())
	o := tool(time.Second)
	r.Record(&o)
	r.Release()
	md, _ := e.Flush(at(time.Second), false)
	assert.Equal(t, map[string]any{"service.name": "unknown_service"},
		md.ResourceMetrics().At(0).Resource().Attributes().AsRaw())
}
