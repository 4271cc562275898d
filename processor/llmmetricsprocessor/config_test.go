package llmmetricsprocessor

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.yaml.in/yaml/v3"
)

func TestConfigs(t *testing.T) {
	file, err := confmaptest.LoadConf("testdata/config.yaml")
	require.NoError(t, err)
	for name, test := range map[string]struct {
		want *Config
		err  string
	}{
		"llm_metrics":         {want: &Config{CacheTokens: "cache_creation"}},
		"llm_metrics/all":     {want: &Config{CacheTokens: "both", LegacySystem: true}},
		"llm_metrics/unknown": {err: `cache_tokens: "cache_reads" is unknown: use cache_creation, cache_write or both`},
		"llm_metrics/empty":   {err: `cache_tokens: "" is unknown: use cache_creation, cache_write or both`},
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

func TestUnknownOptionIsRefused(t *testing.T) {
	conf := confmap.NewFromStringMap(map[string]any{"cache_token": "both"})
	require.ErrorContains(t, conf.Unmarshal(NewFactory().CreateDefaultConfig()), "cache_token")
}

// TestDocumentedDefaults compares the defaults of the code with those of the README and of the schema.
func TestDocumentedDefaults(t *testing.T) {
	conf := confmap.New()
	require.NoError(t, conf.Marshal(NewFactory().CreateDefaultConfig()))
	code := conf.ToStringMap()

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
	var schema struct {
		Properties map[string]struct {
			Default any
			Enum    []string
		}
	}
	require.NoError(t, yaml.Unmarshal(content, &schema))
	inSchema := map[string]any{}
	for key, property := range schema.Properties {
		inSchema[key] = property.Default
	}
	assert.Equal(t, code, inSchema)
	assert.Len(t, schema.Properties["cache_tokens"].Enum, len(cacheNames))
	for _, name := range schema.Properties["cache_tokens"].Enum {
		assert.Contains(t, cacheNames, name)
	}
}
