package llmmetricsconnector

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// Temporality says what the values of sums and histograms count from.
type Temporality string

const (
	// TemporalityCumulative counts from a fixed start.
	TemporalityCumulative Temporality = "cumulative"
	// TemporalityDelta counts from the previous flush.
	TemporalityDelta Temporality = "delta"
)

// InitialZero says how a cumulative series begins.
type InitialZero string

const (
	// InitialZeroHold sends a zero first and the value with the next flush.
	InitialZeroHold InitialZero = "hold"
	// InitialZeroInline sends the zero and the value in the same flush.
	InitialZeroInline InitialZero = "inline"
	// InitialZeroOff begins with the value.
	InitialZeroOff InitialZero = "off"
)

// HistogramType says how values are put into buckets.
type HistogramType string

const (
	// HistogramExplicit has the bucket boundaries of the GenAI conventions.
	HistogramExplicit HistogramType = "explicit"
	// HistogramExponential has exponential buckets that fit themselves to the values.
	HistogramExponential HistogramType = "exponential"
)

const (
	maxExemplars     = 100
	minHistogramSize = 2
	maxHistogramSize = 1000
)

// Config of the connector.
type Config struct {
	// FlushInterval is the time between two emissions of all series.
	FlushInterval time.Duration `mapstructure:"flush_interval"`
	Temporality   Temporality   `mapstructure:"temporality"`
	// InitialZero is without effect on delta temporality.
	InitialZero InitialZero     `mapstructure:"initial_zero"`
	Histogram   HistogramConfig `mapstructure:"histogram"`
	// Dimensions are further attributes of every data point.
	Dimensions []Dimension `mapstructure:"dimensions"`
	// ResourceAttributes of spans that metrics keep; metrics are grouped by them.
	ResourceAttributes []string `mapstructure:"resource_attributes"`
	// MaxSeries bounds the series held. Further ones are counted together in an overflow series.
	MaxSeries int `mapstructure:"max_series"`
	// SeriesExpiration drops series without updates; zero keeps them for ever.
	SeriesExpiration time.Duration   `mapstructure:"series_expiration"`
	Exemplars        ExemplarsConfig `mapstructure:"exemplars"`

	_ struct{}
}

// HistogramConfig says what histograms look like.
type HistogramConfig struct {
	Type HistogramType `mapstructure:"type"`
	// MaxSize is the largest number of buckets of an exponential histogram.
	MaxSize int `mapstructure:"max_size"`

	_ struct{}
}

// ExemplarsConfig bounds exemplars.
type ExemplarsConfig struct {
	// MaxPerDataPoint is zero for none.
	MaxPerDataPoint int `mapstructure:"max_per_data_point"`

	_ struct{}
}

// Dimension is a further attribute of every data point.
type Dimension struct {
	// Name of the attribute of the span or, when the span does not have it, of the resource.
	Name string `mapstructure:"name"`
	// Default is the value when neither has it; empty leaves the attribute out.
	Default string `mapstructure:"default"`

	_ struct{}
}

func createDefaultConfig() component.Config {
	return &Config{
		FlushInterval: 15 * time.Second,
		Temporality:   TemporalityCumulative,
		InitialZero:   InitialZeroHold,
		Histogram: HistogramConfig{
			Type:    HistogramExplicit,
			MaxSize: 160,
		},
		ResourceAttributes: []string{"service.name", "service.namespace", "deployment.environment.name"},
		MaxSeries:          10_000,
		SeriesExpiration:   24 * time.Hour,
		Exemplars:          ExemplarsConfig{MaxPerDataPoint: 2},
	}
}

// Validate checks the configuration.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if c.FlushInterval <= 0 {
		fail("flush_interval: %v is not positive; set a duration such as 15s", c.FlushInterval)
	}
	if c.Temporality != TemporalityCumulative && c.Temporality != TemporalityDelta {
		fail("temporality: %q is unknown; use cumulative or delta", c.Temporality)
	}
	switch c.InitialZero {
	case InitialZeroHold, InitialZeroInline, InitialZeroOff:
	default:
		fail("initial_zero: %q is unknown; use hold, inline or off", c.InitialZero)
	}
	if c.Histogram.Type != HistogramExplicit && c.Histogram.Type != HistogramExponential {
		fail("histogram::type: %q is unknown; use explicit or exponential", c.Histogram.Type)
	}
	if c.Histogram.MaxSize < minHistogramSize || c.Histogram.MaxSize > maxHistogramSize {
		fail("histogram::max_size: %d is out of range; use %d to %d", c.Histogram.MaxSize, minHistogramSize, maxHistogramSize)
	}
	if c.MaxSeries <= 0 {
		fail("max_series: %d is not positive; set a bound such as 10000", c.MaxSeries)
	}
	switch {
	case c.SeriesExpiration < 0:
		fail("series_expiration: %v is negative; use 0 to keep series for ever", c.SeriesExpiration)
	case c.SeriesExpiration > 0 && c.SeriesExpiration < c.FlushInterval:
		fail("series_expiration: %v is shorter than flush_interval (%v); use a longer one, or 0 to keep series for ever",
			c.SeriesExpiration, c.FlushInterval)
	}
	if n := c.Exemplars.MaxPerDataPoint; n < 0 || n > maxExemplars {
		fail("exemplars::max_per_data_point: %d is out of range; use 0 (none) to %d", n, maxExemplars)
	}
	names := make([]string, 0, len(c.Dimensions))
	for i, d := range c.Dimensions {
		switch {
		case d.Name == "":
			fail("dimensions::%d::name: is empty; name an attribute of spans or resources", i)
		case llmmetrics.IsAttribute(d.Name):
			fail("dimensions::%d::name: %q is an attribute of the metrics already; remove it", i, d.Name)
		case slices.Contains(names, d.Name):
			fail("dimensions::%d::name: %q is there twice; remove one", i, d.Name)
		}
		names = append(names, d.Name)
	}
	for i, name := range c.ResourceAttributes {
		switch {
		case name == "":
			fail("resource_attributes::%d: is empty; name an attribute of resources", i)
		case slices.Contains(c.ResourceAttributes[:i], name):
			fail("resource_attributes::%d: %q is there twice; remove one", i, name)
		}
	}
	return errors.Join(errs...)
}

// engine is the configuration of the engine.
func (c *Config) engine() llmmetrics.Config {
	e := llmmetrics.Config{
		Delta:              c.Temporality == TemporalityDelta,
		ResourceAttributes: c.ResourceAttributes,
		MaxSeries:          c.MaxSeries,
		Expiration:         c.SeriesExpiration,
		Exemplars:          c.Exemplars.MaxPerDataPoint,
	}
	switch c.InitialZero {
	case InitialZeroInline:
		e.InitialZero = llmmetrics.ZeroInline
	case InitialZeroOff:
		e.InitialZero = llmmetrics.ZeroOff
	}
	if c.Histogram.Type == HistogramExponential {
		e.ExponentialSize = c.Histogram.MaxSize
	}
	for _, d := range c.Dimensions {
		e.Dimensions = append(e.Dimensions, d.Name)
	}
	return e
}
