package llmmetricsprocessor

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/confcheck"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
)

// Config is the configuration of the llm_metrics processor.
type Config struct {
	// Semconv is the generation of the GenAI conventions that is written: g1 (default, up to version 1.41), g2 (the
	// later ones) or both. Of what is written, they differ in the name of tokens that a provider's cache took in.
	Semconv string `mapstructure:"semconv"`

	// LegacySystem also adds the provider as gen_ai.system, the name it had until v1.36 of the conventions, for
	// tools that read only that. Default false.
	LegacySystem bool `mapstructure:"legacy_system"`

	// Prices are those of calls that have no cost yet.
	Prices genai.PriceConfig `mapstructure:"prices"`

	// malformed is what could not be decoded.
	malformed error

	_ struct{}
}

var remedies = confcheck.Remedies{"semconv": "use g1, g2 or both"}

var cacheNames = map[string]genai.CacheName{
	"g1":   genai.CacheCreation,
	"g2":   genai.CacheWrite,
	"both": genai.CacheBoth,
}

// Unmarshal leaves it to Validate to tell what is wrong, so that all errors look alike and come together.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	c.malformed = confcheck.Unmarshal(conf, c, remedies)
	return nil
}

// Validate implements the Collector's check of configurations.
func (c *Config) Validate() error {
	if _, ok := cacheNames[c.Semconv]; !ok {
		return errors.Join(c.malformed, fmt.Errorf("semconv: %q is unknown: %s", c.Semconv, remedies["semconv"]))
	}
	return c.malformed
}

func createDefaultConfig() component.Config {
	return &Config{Semconv: "g1", Prices: genai.DefaultPriceConfig()}
}

func (c *Config) options() genai.WriteOptions {
	return genai.WriteOptions{CacheName: cacheNames[c.Semconv], System: c.LegacySystem}
}
