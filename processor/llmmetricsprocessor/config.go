package llmmetricsprocessor

import (
	"fmt"

	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
)

// Config is the configuration of the llm_metrics processor.
type Config struct {
	// CacheTokens chooses the name of the attribute for tokens written to a provider's cache, which differs
	// between two generations of the conventions: cache_creation (default), cache_write, or both.
	CacheTokens string `mapstructure:"cache_tokens"`

	// LegacySystem also adds the provider as gen_ai.system, the name it had until v1.36 of the conventions, for
	// tools that read only that. Default false.
	LegacySystem bool `mapstructure:"legacy_system"`

	// Prices are those of calls that have no cost yet.
	Prices genai.PriceConfig `mapstructure:"prices"`

	_ struct{}
}

var cacheNames = map[string]genai.CacheName{
	"cache_creation": genai.CacheCreation,
	"cache_write":    genai.CacheWrite,
	"both":           genai.CacheBoth,
}

// Validate implements the Collector's check of configurations.
func (c *Config) Validate() error {
	if _, ok := cacheNames[c.CacheTokens]; !ok {
		return fmt.Errorf("cache_tokens: %q is unknown: use cache_creation, cache_write or both", c.CacheTokens)
	}
	return nil
}

func createDefaultConfig() component.Config {
	return &Config{CacheTokens: "cache_creation", Prices: genai.DefaultPriceConfig()}
}

func (c *Config) options() genai.WriteOptions {
	return genai.WriteOptions{CacheName: cacheNames[c.CacheTokens], System: c.LegacySystem}
}
