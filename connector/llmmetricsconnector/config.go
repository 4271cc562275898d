package llmmetricsconnector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/confcheck"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
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

// Timestamps says what time data points have.
type Timestamps string

const (
	// TimestampsArrival is the time at which spans come.
	TimestampsArrival Timestamps = "arrival"
	// TimestampsSpan is the minute in which a span ended.
	TimestampsSpan Timestamps = "span"
)

// Semconv is the generation of the GenAI conventions whose metrics are emitted.
type Semconv string

const (
	// SemconvG1 is the generation until v1.41 of the conventions.
	SemconvG1 Semconv = "g1"
	// SemconvG2 is the generation of the conventions' own repository, since 2026.
	SemconvG2 Semconv = "g2"
	// SemconvBoth emits both.
	SemconvBoth Semconv = "both"
)

// remedies of keys that have one of a few values.
var remedies = confcheck.Remedies{
	"semconv":        "use g1, g2 or both",
	"temporality":    "use cumulative or delta",
	"timestamps":     "use arrival or span",
	"initial_zero":   "use hold, inline or off",
	"histogram.type": "use explicit or exponential",
}

const (
	maxExemplars     = 100
	minHistogramSize = 2
	maxHistogramSize = 1000
	maxGlobs         = 4

	// minDuration bounds all durations that are not zero: less is a mistake, such as 15ns.
	minDuration = time.Second
)

// Config of the connector.
type Config struct {
	// FlushInterval is the time between two emissions of all series.
	FlushInterval time.Duration `mapstructure:"flush_interval"`
	// Semconv selects the names of metrics.
	Semconv     Semconv     `mapstructure:"semconv"`
	Temporality Temporality `mapstructure:"temporality"`
	// Timestamps of data points.
	Timestamps Timestamps `mapstructure:"timestamps"`
	// AllowedLateness is how long after its end a minute is told, so that late spans are in it.
	AllowedLateness time.Duration `mapstructure:"allowed_lateness"`
	// MaxSpanAge leaves out spans that ended longer ago; zero takes all.
	MaxSpanAge time.Duration `mapstructure:"max_span_age"`
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
	Traces           TracesConfig    `mapstructure:"traces"`
	Threads          ThreadsConfig   `mapstructure:"threads"`
	// FurtherMetrics adds cache and reasoning tokens, output speed, streaming and finish reasons.
	FurtherMetrics bool `mapstructure:"further_metrics"`
	// AdjustedCounts counts a span that was sampled for all those it stands for, as its trace state tells.
	AdjustedCounts bool `mapstructure:"adjusted_counts"`
	// StorageID names a storage extension in which totals are kept; nil keeps them in memory only.
	StorageID *component.ID `mapstructure:"storage"`
	// Prices are those of calls that have no cost yet.
	Prices genai.PriceConfig `mapstructure:"prices"`

	// malformed is what could not be decoded.
	malformed error

	_ struct{}
}

// HistogramConfig says what histograms look like.
type HistogramConfig struct {
	Type HistogramType `mapstructure:"type"`
	// MaxSize is the largest number of buckets of an exponential histogram.
	MaxSize int `mapstructure:"max_size"`

	_ struct{}
}

// TracesConfig says whether and how whole traces are measured.
type TracesConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// Idle is how long to wait for more spans of a trace whose root came.
	Idle time.Duration `mapstructure:"idle"`
	// Timeout is how long to wait for more spans of a trace whose root did not come.
	Timeout time.Duration `mapstructure:"timeout"`
	// MaxOpen bounds the traces that are waited for. Beyond it, the one that was idle for longest is told early.
	MaxOpen int `mapstructure:"max_open"`

	_ struct{}
}

// ThreadsConfig says whether and how conversations are measured.
type ThreadsConfig struct {
	Enabled bool `mapstructure:"enabled"`
	// IdleTimeout is how long to wait for another turn.
	IdleTimeout time.Duration `mapstructure:"idle_timeout"`
	// MaxOpen bounds the conversations that are waited for. Beyond it, the one that was idle for longest is told early.
	MaxOpen int `mapstructure:"max_open"`

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
	// Name of the attribute of the span or, when the span does not have it, of the resource; or a glob for names.
	Name string `mapstructure:"name"`
	// Default is the value when neither has it; empty leaves the attribute out.
	Default string `mapstructure:"default"`
	// Match are globs for values. Others count as missing; of a list, the elements that match are taken.
	Match []string `mapstructure:"match"`
	// Metrics are globs for the names of the metrics that have the attribute; empty is all.
	Metrics []string `mapstructure:"metrics"`

	_ struct{}
}

// glob reports whether the name is one.
func (d *Dimension) glob() bool { return strings.Contains(d.Name, "*") }

func createDefaultConfig() component.Config {
	return &Config{
		FlushInterval: 15 * time.Second,
		Semconv:       SemconvG1,
		Temporality:   TemporalityCumulative,
		Timestamps:    TimestampsArrival,
		InitialZero:   InitialZeroHold,

		AllowedLateness: 5 * time.Minute,
		Histogram: HistogramConfig{
			Type:    HistogramExplicit,
			MaxSize: 160,
		},
		ResourceAttributes: []string{"service.name", "service.namespace", "deployment.environment.name"},
		MaxSeries:          10_000,
		SeriesExpiration:   24 * time.Hour,
		Exemplars:          ExemplarsConfig{MaxPerDataPoint: 2},
		Traces:             TracesConfig{Idle: time.Minute, Timeout: 30 * time.Minute, MaxOpen: 10_000},
		Threads:            ThreadsConfig{IdleTimeout: 30 * time.Minute, MaxOpen: 10_000},
		FurtherMetrics:     true,
		AdjustedCounts:     true,
		Prices:             genai.DefaultPriceConfig(),
	}
}

// Unmarshal leaves it to Validate to tell what is wrong, so that all errors look alike and come together.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	c.malformed = confcheck.Unmarshal(conf, c, remedies)
	return nil
}

// Validate checks the configuration.
func (c *Config) Validate() error {
	errs := []error{c.malformed}
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	unknown := func(key, value string) { fail("%s: %q is unknown: %s", key, value, remedies[key]) }

	if c.FlushInterval < minDuration {
		fail("flush_interval: %v is too short; set at least %v, such as 15s", c.FlushInterval, minDuration)
	}
	switch c.Semconv {
	case SemconvG1, SemconvG2, SemconvBoth:
	default:
		unknown("semconv", string(c.Semconv))
	}
	if c.Temporality != TemporalityCumulative && c.Temporality != TemporalityDelta {
		unknown("temporality", string(c.Temporality))
	}
	switch {
	case c.Timestamps != TimestampsArrival && c.Timestamps != TimestampsSpan:
		unknown("timestamps", string(c.Timestamps))
	case c.Timestamps == TimestampsSpan && c.Temporality == TemporalityCumulative && c.Histogram.Type == HistogramExponential:
		fail("timestamps: span does not go with histogram.type (%s) and cumulative totals; set histogram.type: explicit, or temporality: delta",
			c.Histogram.Type)
	}
	if c.AllowedLateness != 0 && c.AllowedLateness < minDuration {
		fail("allowed_lateness: %v is too short; set at least %v, such as 5m, or 0", c.AllowedLateness, minDuration)
	}
	if c.MaxSpanAge != 0 && c.MaxSpanAge < minDuration {
		fail("max_span_age: %v is too short; set at least %v, such as 24h, or 0 for any age", c.MaxSpanAge, minDuration)
	}
	switch c.InitialZero {
	case InitialZeroHold, InitialZeroInline, InitialZeroOff:
	default:
		unknown("initial_zero", string(c.InitialZero))
	}
	if c.Histogram.Type != HistogramExplicit && c.Histogram.Type != HistogramExponential {
		unknown("histogram.type", string(c.Histogram.Type))
	}
	if c.Histogram.MaxSize < minHistogramSize || c.Histogram.MaxSize > maxHistogramSize {
		fail("histogram.max_size: %d is out of range; use %d to %d", c.Histogram.MaxSize, minHistogramSize, maxHistogramSize)
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
		fail("exemplars.max_per_data_point: %d is out of range; use 0 (none) to %d", n, maxExemplars)
	}
	if c.Traces.Idle < minDuration {
		fail("traces.idle: %v is too short; set at least %v, such as 1m", c.Traces.Idle, minDuration)
	}
	if c.Traces.Timeout < c.Traces.Idle {
		fail("traces.timeout: %v is shorter than traces.idle (%v); set a longer one such as 30m", c.Traces.Timeout, c.Traces.Idle)
	}
	if c.Traces.MaxOpen <= 0 {
		fail("traces.max_open: %d is not positive; set a bound such as 10000", c.Traces.MaxOpen)
	}
	if c.Threads.IdleTimeout < minDuration {
		fail("threads.idle_timeout: %v is too short; set at least %v, such as 30m", c.Threads.IdleTimeout, minDuration)
	}
	if c.Threads.MaxOpen <= 0 {
		fail("threads.max_open: %d is not positive; set a bound such as 10000", c.Threads.MaxOpen)
	}
	if c.StorageID != nil && c.Timestamps == TimestampsSpan {
		fail("storage: %v does not go with timestamps (%s), whose totals are not kept; remove it, or set timestamps: arrival", c.StorageID, c.Timestamps)
	} else if c.StorageID != nil && c.Temporality != TemporalityCumulative {
		fail("storage: %v does not go with temporality (%s), which keeps no totals; remove it, or set temporality: cumulative",
			c.StorageID, c.Temporality)
	}
	names, globbed := make([]string, 0, len(c.Dimensions)), 0
	for i, d := range c.Dimensions {
		switch {
		case d.Name == "":
			fail("dimensions[%d].name: is empty; name an attribute of spans or resources", i)
		case llmmetrics.IsAttribute(d.Name):
			fail("dimensions[%d].name: %q is an attribute of the metrics already; remove it", i, d.Name)
		case slices.Contains(names, d.Name):
			fail("dimensions[%d].name: %q is there twice; remove one", i, d.Name)
		case strings.HasPrefix(d.Name, "*"):
			fail("dimensions[%d].name: %q takes every attribute; begin it with a prefix, such as langsmith.metadata.*", i, d.Name)
		case d.glob() && d.Default != "":
			fail("dimensions[%d].default: %q has no name to go with; remove it, or name one attribute in place of %s", i, d.Default, d.Name)
		case d.glob() && len(d.Match) > 0:
			fail("dimensions[%d].match: %q is for the values of one attribute; remove it, or name one in place of %s", i, d.Match[0], d.Name)
		}
		names = append(names, d.Name)
		if d.glob() {
			globbed++
		}
		for j, pattern := range d.Metrics {
			if !matchesMetric(pattern) {
				fail("dimensions[%d].metrics[%d]: %q is the name of no metric; use names or globs such as gen_ai.usage.*", i, j, pattern)
			}
		}
	}
	if globbed > maxGlobs {
		fail("dimensions: %d globs are more than %d; join some", globbed, maxGlobs)
	}
	if n := len(dimensionLists(c.Dimensions)); n > llmmetrics.MaxLists {
		fail("dimensions: they have %d different lists of metrics, more than %d; make some equal", n, llmmetrics.MaxLists)
	}
	for i, name := range c.ResourceAttributes {
		switch {
		case name == "":
			fail("resource_attributes[%d]: is empty; name an attribute of resources", i)
		case slices.Contains(c.ResourceAttributes[:i], name):
			fail("resource_attributes[%d]: %q is there twice; remove one", i, name)
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
		ErrorClass:         genai.ErrorClass,
	}
	switch c.Semconv {
	case SemconvG2:
		e.Semconv = llmmetrics.SemconvG2
	case SemconvBoth:
		e.Semconv = llmmetrics.SemconvBoth
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
	e.Dimensions = newDimensions(c.Dimensions).slots
	if lists := dimensionLists(c.Dimensions); len(lists) > 0 {
		metrics := map[string]globs{}
		for _, d := range c.Dimensions {
			metrics[d.Name] = newGlobs(d.Metrics)
		}
		e.DimensionOf = func(dimension, metric string) bool {
			list := metrics[dimension]
			return len(list) == 0 || list.has(metric)
		}
	}
	return e
}

// dimensionLists are the different lists of metrics that dimensions have.
func dimensionLists(dimensions []Dimension) (lists []string) {
	for _, d := range dimensions {
		if len(d.Metrics) == 0 {
			continue
		}
		list := strings.Join(slices.Sorted(slices.Values(d.Metrics)), " ")
		if !slices.Contains(lists, list) {
			lists = append(lists, list)
		}
	}
	return lists
}

func matchesMetric(pattern string) bool {
	g := newGlobs([]string{pattern})
	return slices.ContainsFunc(llmmetrics.Instruments(), func(in llmmetrics.Instrument) bool { return g.has(in.Name) })
}
