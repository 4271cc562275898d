package llmmetricsconnector

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

func TestConfigs(t *testing.T) {
	file, err := confmaptest.LoadConf("testdata/config.yaml")
	require.NoError(t, err)
	for name, test := range map[string]struct {
		want *Config
		err  string
	}{
		"llm_metrics": {want: createDefaultConfig().(*Config)},
		"llm_metrics/all": {want: &Config{
			FlushInterval:   time.Minute,
			Semconv:         SemconvBoth,
			Temporality:     TemporalityDelta,
			Timestamps:      TimestampsSpan,
			AllowedLateness: time.Minute,
			MaxSpanAge:      48 * time.Hour,
			InitialZero:     InitialZeroOff,
			Histogram:       HistogramConfig{Type: HistogramExponential, MaxSize: 20},
			Dimensions: []Dimension{
				{Name: "tenant", Default: "none"},
				{Name: "region", Match: []string{"eu-*"}},
				{Name: "langsmith.metadata.*", Metrics: []string{"gen_ai.usage.cost"}},
			},
			ResourceAttributes: []string{"service.name"},
			MaxSeries:          5,
			Traces:             TracesConfig{Enabled: true, Idle: 10 * time.Second, Timeout: time.Minute, MaxOpen: 100},
			Threads:            ThreadsConfig{Enabled: true, IdleTimeout: time.Minute, MaxOpen: 50},
			Prices: genai.PriceConfig{Models: []genai.ModelPrice{
				{Model: "ours-*", ModelRates: genai.ModelRates{Input: usd(2), Output: usd(8)}},
			}},
		}},
		"llm_metrics/traces": {err: `traces.idle: 0s is too short; set at least 1s, such as 1m
traces.timeout: -1s is shorter than traces.idle (0s); set a longer one such as 30m
traces.max_open: 0 is not positive; set a bound such as 10000`},
		"llm_metrics/threads": {err: `threads.idle_timeout: -1s is too short; set at least 1s, such as 30m
threads.max_open: 0 is not positive; set a bound such as 10000`},
		"llm_metrics/timestamps": {err: `timestamps: "now" is unknown: use arrival or span
allowed_lateness: -1s is too short; set at least 1s, such as 5m, or 0
max_span_age: 24ns is too short; set at least 1s, such as 24h, or 0 for any age`},
		"llm_metrics/span": {err: `timestamps: span does not go with histogram.type (exponential) and cumulative totals; set histogram.type: explicit, or temporality: delta
storage: file_storage does not go with timestamps (span), whose totals are not kept; remove it, or set timestamps: arrival`},
		"llm_metrics/storage": {
			err: "storage: file_storage does not go with temporality (delta), which keeps no totals; remove it, or set temporality: cumulative",
		},
		"llm_metrics/prices":      {err: "prices: builtin: false leaves no prices; name a file, list models, or set enabled: false"},
		"llm_metrics/pricefile":   {err: `prices: file: "nowhere.json": no such file or directory; name a readable price file`},
		"llm_metrics/price":       {err: "prices::models::0: model: is missing; give the name of a model, a glob such as gpt-4o*, or a regex"},
		"llm_metrics/interval":    {err: "flush_interval: 999ms is too short; set at least 1s, such as 15s"},
		"llm_metrics/semconv":     {err: `semconv: "g3" is unknown: use g1, g2 or both`},
		"llm_metrics/temporality": {err: `temporality: "gauge" is unknown: use cumulative or delta`},
		"llm_metrics/zero":        {err: `initial_zero: "never" is unknown: use hold, inline or off`},
		"llm_metrics/histogram": {err: `histogram.type: "summary" is unknown: use explicit or exponential
histogram.max_size: 1 is out of range; use 2 to 1000`},
		"llm_metrics/series": {err: "max_series: 0 is not positive; set a bound such as 10000"},
		"llm_metrics/expiration": {
			err: "series_expiration: 1s is shorter than flush_interval (15s); use a longer one, or 0 to keep series for ever",
		},
		"llm_metrics/negative":  {err: "series_expiration: -1s is negative; use 0 to keep series for ever"},
		"llm_metrics/exemplars": {err: "exemplars.max_per_data_point: 1000 is out of range; use 0 (none) to 100"},
		"llm_metrics/dimensions": {err: `dimensions[0].name: is empty; name an attribute of spans or resources
dimensions[1].name: "gen_ai.request.model" is an attribute of the metrics already; remove it
dimensions[3].name: "a" is there twice; remove one
dimensions[4].name: "*" takes every attribute; begin it with a prefix, such as langsmith.metadata.*
dimensions[5].default: "x" has no name to go with; remove it, or name one attribute in place of b.*
dimensions[6].match: "x" is for the values of one attribute; remove it, or name one in place of c.*
dimensions[7].metrics[0]: "calls" is the name of no metric; use names or globs such as gen_ai.usage.*
dimensions: 5 globs are more than 4; join some
dimensions: they have 3 different lists of metrics, more than 2; make some equal`},
		"llm_metrics/resource": {err: `resource_attributes[0]: is empty; name an attribute of resources
resource_attributes[2]: "a" is there twice; remove one`},
	} {
		t.Run(name, func(t *testing.T) {
			section, err := file.Sub(name)
			require.NoError(t, err)
			cfg := NewFactory().CreateDefaultConfig()
			require.NoError(t, section.Unmarshal(cfg))
			if test.err != "" {
				require.EqualError(t, confmap.Validate(cfg), test.err)
				return
			}
			require.NoError(t, confmap.Validate(cfg))
			assert.Equal(t, test.want, cfg)
		})
	}
}

func usd(v float64) *float64 { return &v }

// TestMistakesAreOneLine holds what the decoder finds to the form of all other errors.
func TestMistakesAreOneLine(t *testing.T) {
	type values = map[string]any
	for _, tt := range []struct {
		values values
		want   string
	}{
		{values{"flush_interval": 15}, `flush_interval: 15 has no unit: add one, such as 15s, 15m or 15h`},
		{values{"flush_interval": "15"}, `flush_interval: 15 has no unit: add one, such as 15s, 15m or 15h`},
		{values{"max_span_age": 24}, `max_span_age: 24 has no unit: add one, such as 24s, 24m or 24h`},
		{values{"traces": values{"idle": 60}}, `traces.idle: 60 has no unit: add one, such as 60s, 60m or 60h`},
		{values{"threads": values{"idle_timeout": 60}}, `threads.idle_timeout: 60 has no unit: add one, such as 60s, 60m or 60h`},
		{values{"histogram": "exponential"}, `histogram: "exponential" is no section: put type or max_size under it`},
		{values{"histogram": values{"type": 2}}, `histogram.type: 2 is unknown: use explicit or exponential`},
		{values{"traces": true}, `traces: true is no section: write enabled: true under it`},
		{values{"dimensions": []any{"x"}}, `dimensions[0]: "x" is no section: put name, default, match or metrics under it`},
		{values{"dimensions": []any{values{"name": "a", "defualt": "x"}}}, `dimensions[0].defualt: is no option: did you mean default?`},
		{values{"semconv": 2}, `semconv: 2 is unknown: use g1, g2 or both`},
		{values{"dimension": []any{}}, `dimension: is no option: did you mean dimensions?`},
		{values{"prices": values{"models": []any{values{"model": "m", "inptu": 1}}}}, `prices.models[0].inptu: is no option: did you mean input?`},
	} {
		cfg := createDefaultConfig()
		require.NoError(t, confmap.NewFromStringMap(tt.values).Unmarshal(cfg))
		assert.EqualError(t, confmap.Validate(cfg), tt.want)
	}
}

// flat brings a configuration into the form of the README: nested keys joined by dots, values as text.
func flat(prefix string, m map[string]any, into map[string]string) {
	for k, v := range m {
		switch v := v.(type) {
		case map[string]any:
			flat(prefix+k+".", v, into)
		case []any:
			parts := make([]string, len(v))
			for i := range v {
				parts[i] = fmt.Sprint(v[i])
			}
			into[prefix+k] = "[" + strings.Join(parts, ", ") + "]"
		case nil:
			if into[prefix+k] = "[]"; k == "storage" {
				into[prefix+k] = "null"
			}
		case string:
			if v == "" {
				v = `""`
			}
			into[prefix+k] = v
		default:
			into[prefix+k] = fmt.Sprint(v)
		}
	}
}

// codeDefaults are the defaults of the code. Durations come out as 15s, not as the 15s of the Collector's
// marshaller.
func codeDefaults(t *testing.T) map[string]string {
	t.Helper()
	conf := confmap.New()
	require.NoError(t, conf.Marshal(NewFactory().CreateDefaultConfig()))
	code := map[string]string{}
	flat("", conf.ToStringMap(), code)
	for k, v := range code {
		if d, err := time.ParseDuration(v); err == nil && strings.ContainsAny(v, "hms") {
			code[k] = shortDuration(d)
		}
	}
	return code
}

func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func TestReadmeDefaultsAreThoseOfTheCode(t *testing.T) {
	content, err := os.ReadFile("README.md")
	require.NoError(t, err)
	readme := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| `([^`]*)` \\|").FindAllStringSubmatch(string(content), -1) {
		readme[row[1]] = row[2]
	}
	assert.Equal(t, codeDefaults(t), readme)
}

func TestSchemaDefaultsAreThoseOfTheCode(t *testing.T) {
	content, err := os.ReadFile("config.schema.yaml")
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, yaml.Unmarshal(content, &schema))
	got := map[string]string{}
	var walk func(prefix string, schema map[string]any)
	walk = func(prefix string, schema map[string]any) {
		for name, property := range schema["properties"].(map[string]any) {
			p := property.(map[string]any)
			if p["properties"] != nil {
				walk(prefix+name+".", p)
				continue
			}
			one := map[string]any{prefix + name: p["default"]}
			flat("", one, got)
		}
	}
	walk("", schema)
	assert.Equal(t, codeDefaults(t), got)
}

func TestReadmeExamplesAreValid(t *testing.T) {
	content, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(content), -1)
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		var example struct{ Connectors map[string]map[string]any }
		require.NoError(t, yaml.Unmarshal([]byte(block[1]), &example))
		require.Contains(t, example.Connectors, "llm_metrics")
		cfg := createDefaultConfig()
		require.NoError(t, confmap.NewFromStringMap(example.Connectors["llm_metrics"]).Unmarshal(cfg))
		require.NoError(t, confmap.Validate(cfg))
	}
}

func TestReadmeListsTheMetrics(t *testing.T) {
	content, err := os.ReadFile("README.md")
	require.NoError(t, err)
	rows := regexp.MustCompile("(?m)^\\| `(gen_ai[a-z_.]+)` \\| (histogram|sum), `([^`]+)` \\| (.*) \\|$").
		FindAllStringSubmatch(string(content), -1)
	var readme, code []string
	for _, row := range rows {
		readme = append(readme, fmt.Sprintf("%s %s %s %s", row[1], row[2], row[3], strings.ReplaceAll(row[4], "`", "")))
	}
	for _, in := range llmmetrics.Instruments() {
		kind := "histogram"
		if in.Kind == llmmetrics.KindSum {
			kind = "sum"
		}
		code = append(code, fmt.Sprintf("%s %s %s %s", in.Name, kind, in.Unit, strings.Join(in.Attributes, ", ")))
		if in.Name == llmmetrics.MetricCost || in.Name == llmmetrics.MetricOutputSpeed {
			for _, b := range in.Bounds {
				assert.Contains(t, string(content), fmt.Sprint(b))
			}
		}
	}
	assert.Equal(t, code, readme)
}

// TestAttributesAreThoseOfTheSpans holds the names of internal/llmmetrics, which may not import
// internal/genai, to those that the spans have.
func TestAttributesAreThoseOfTheSpans(t *testing.T) {
	for ours, theirs := range map[string]string{
		llmmetrics.AttrOperationName: genai.AttrOperationName,
		llmmetrics.AttrProviderName:  genai.AttrProviderName,
		llmmetrics.AttrRequestModel:  genai.AttrRequestModel,
		llmmetrics.AttrResponseModel: genai.AttrResponseModel,
		llmmetrics.AttrTokenType:     genai.AttrTokenType,
		llmmetrics.AttrToolName:      genai.AttrToolName,
		llmmetrics.AttrAgentName:     genai.AttrAgentName,
		llmmetrics.AttrWorkflowName:  genai.AttrWorkflowName,
		llmmetrics.AttrErrorType:     genai.AttrErrorType,
		llmmetrics.AttrDataSource:    genai.AttrDataSource,
		llmmetrics.MetricCost:        genai.AttrUsageCost,
	} {
		assert.Equal(t, theirs, ours)
	}
	assert.Equal(t, genai.Absent, llmmetrics.Absent)
	require.Len(t, llmmetrics.FinishReasons, genai.FinishReasons)
	for i, name := range llmmetrics.FinishReasons {
		assert.Equal(t, genai.FinishReason(i).String(), name)
	}
}
