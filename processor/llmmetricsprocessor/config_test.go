package llmmetricsprocessor

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
)

func TestConfigs(t *testing.T) {
	file, err := confmaptest.LoadConf("testdata/config.yaml")
	require.NoError(t, err)
	for name, test := range map[string]struct {
		want *Config
		err  string
	}{
		"llm_metrics":     {want: &Config{Semconv: "g1", Prices: genai.DefaultPriceConfig()}},
		"llm_metrics/all": {want: &Config{Semconv: "both", LegacySystem: true, Prices: genai.DefaultPriceConfig()}},
		"llm_metrics/prices": {want: &Config{Semconv: "g1", Prices: genai.PriceConfig{
			Enabled: true, File: "testdata/prices.yaml",
			Models: []genai.ModelPrice{
				{
					Providers: []string{"azure"}, Model: "our-deployment",
					From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: "2027-01-01T00:00:00Z",
					ModelRates: genai.ModelRates{Input: usd(2), CacheRead: usd(0.5), Output: usd(8)},
					Tiers:      []genai.PriceTier{{Above: 200_000, ModelRates: genai.ModelRates{Input: usd(4)}}},
				},
				{Regex: "gpt-4o(-mini)?", ModelRates: genai.ModelRates{Input: usd(0), Output: usd(0)}},
			},
		}}},
		"llm_metrics/nowhere": {err: `prices: file: "nowhere.json": no such file or directory; name a readable price file`},
		"llm_metrics/none":    {err: "prices: builtin: false leaves no prices; name a file, list models, or set enabled: false"},
		"llm_metrics/rate":    {err: "prices::models::1: input: -1 is out of range; give USD per million tokens, 0 to 100000"},
		"llm_metrics/tier":    {err: "prices::models::0: tiers[0].output: 1e+09 is out of range; give USD per million tokens, 0 to 100000"},
		"llm_metrics/date":    {err: `prices::models::0: from: "tomorrow" is no date; write 2025-09-29 or 2025-09-29T16:00:00Z`},
		"llm_metrics/unknown": {err: `semconv: "g3" is unknown: use g1, g2 or both`},
		"llm_metrics/empty":   {err: `semconv: "" is unknown: use g1, g2 or both`},
	} {
		t.Run(name, func(t *testing.T) {
			section, err := file.Sub(name)
			require.NoError(t, err)
			cfg := NewFactory().CreateDefaultConfig()
			require.NoError(t, section.Unmarshal(cfg))
			if test.err != "" {
				require.EqualError(t, xconfmap.Validate(cfg), test.err)
				return
			}
			require.NoError(t, xconfmap.Validate(cfg))
			assert.Equal(t, test.want, cfg)
		})
	}
}

// TestMistakesAreOneLine holds what the decoder finds to the form of all other errors.
func TestMistakesAreOneLine(t *testing.T) {
	type values = map[string]any
	for _, tt := range []struct {
		values values
		want   string
	}{
		{values{"cache_token": "both"}, `cache_token: is no option: use semconv, legacy_system or prices`},
		{values{"prices": values{"price": 1}}, `prices.price: is no option: use enabled, builtin, file or models`},
		{values{"prices": values{"models": []any{values{"model": "m", "inptu": 1}}}}, `prices.models[0].inptu: is no option: did you mean input?`},
		{values{"prices": values{"models": []any{values{"model": "m", "input": "dear"}}}}, `prices.models[0].input: "dear" is no number: use one, without quotes`},
		{values{"semconv": 2}, `semconv: 2 is unknown: use g1, g2 or both`},
		{values{"legacy_system": "maybe"}, `legacy_system: "maybe" is neither true nor false: use one of them`},
	} {
		cfg := NewFactory().CreateDefaultConfig()
		require.NoError(t, confmap.NewFromStringMap(tt.values).Unmarshal(cfg))
		assert.EqualError(t, xconfmap.Validate(cfg), tt.want)
	}
}

func usd(v float64) *float64 { return &v }

// TestDocumentedDefaults compares the defaults of the code with those of the README and of the schema.
func TestDocumentedDefaults(t *testing.T) {
	conf := confmap.New()
	require.NoError(t, conf.Marshal(NewFactory().CreateDefaultConfig()))
	code := map[string]any{}
	for _, key := range conf.AllKeys() {
		value := conf.Get(key)
		if list, ok := value.([]any); ok && len(list) == 0 {
			value = []any{} // absent or empty is the same
		}
		code[strings.ReplaceAll(key, confmap.KeyDelimiter, ".")] = value
	}

	content, err := os.ReadFile("README.md")
	require.NoError(t, err)
	readme := map[string]any{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| `([^`]*)` \\|").FindAllStringSubmatch(string(content), -1) {
		var value any
		require.NoError(t, yaml.Unmarshal([]byte(row[2]), &value))
		readme[row[1]] = value
	}
	assert.Equal(t, code, readme)

	content, err = os.ReadFile("config.schema.yaml")
	require.NoError(t, err)
	var schema property
	require.NoError(t, yaml.Unmarshal(content, &schema))
	inSchema := map[string]any{}
	schema.defaults("", inSchema)
	assert.Equal(t, code, inSchema)
	assert.Len(t, schema.Properties["semconv"].Enum, len(cacheNames))
	for _, name := range schema.Properties["semconv"].Enum {
		assert.Contains(t, cacheNames, name)
	}

	// The options of a price are the same in the configuration, in a price file, and in the schema.
	price := schema.Properties["prices"].Properties["models"].Items
	require.NotNil(t, price)
	options := map[string]bool{}
	tags(reflect.TypeFor[genai.ModelPrice](), options)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(options)), slices.Collect(maps.Keys(price.Properties)))
	options = map[string]bool{}
	tags(reflect.TypeFor[genai.PriceTier](), options)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(options)), slices.Collect(maps.Keys(price.Properties["tiers"].Items.Properties)))
}

// property is the part of a schema that tests look at.
type property struct {
	Default    any
	Enum       []string
	Properties map[string]property
	Items      *property
}

// defaults collects the defaults of all options below a property by their dotted names.
func (p property) defaults(path string, into map[string]any) {
	for key, sub := range p.Properties {
		if sub.Properties != nil {
			sub.defaults(path+key+".", into)
		} else {
			into[path+key] = sub.Default
		}
	}
}

// tags collects the names of the options of a type.
func tags(of reflect.Type, into map[string]bool) {
	for field := range of.Fields() {
		if field.Anonymous {
			tags(field.Type, into)
		} else if name := field.Tag.Get("mapstructure"); name != "" {
			into[name] = true
		}
	}
}
