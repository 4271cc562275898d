package genai

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// PriceConfig says where the prices of calls come from that nobody else priced. [DefaultPriceConfig] is the
// default; the zero value prices nothing.
type PriceConfig struct {
	// Enabled switches the price table on. Default true.
	Enabled bool `mapstructure:"enabled"`
	// Builtin adds the list prices that come with the program, after File and Models. Default true.
	Builtin bool `mapstructure:"builtin"`
	// File is the path of a price file, in YAML or JSON; it comes after Models. Read when the configuration is checked,
	// and again when the table is made.
	File string `mapstructure:"file"`
	// Models are prices that come before all others.
	Models []ModelPrice `mapstructure:"models"`

	_ struct{}
}

// DefaultPriceConfig returns the built-in list prices, switched on.
func DefaultPriceConfig() PriceConfig { return PriceConfig{Enabled: true, Builtin: true} }

// Validate checks the sources, the file among them. The models check themselves.
func (c *PriceConfig) Validate() error {
	switch {
	case !c.Enabled:
		return nil
	case c.File != "":
		_, err := readPriceFile(c.File)
		return err
	case !c.Builtin && len(c.Models) == 0:
		return errors.New("builtin: false leaves no prices; name a file, list models, or set enabled: false")
	}
	return nil
}

// ModelPrice is what calls of one or several models cost.
type ModelPrice struct {
	// Providers that have this price, as the conventions or an instrumentation spell them. Empty is any.
	Providers []string `mapstructure:"providers" yaml:"providers"`
	// Model is the name of a model, or a glob with *, ? and [a-z]. One of Model and Regex is required. Case does
	// not matter.
	Model string `mapstructure:"model" yaml:"model"`
	// Regex matches the whole name of a model, in whatever case.
	Regex string `mapstructure:"regex" yaml:"regex"`
	// From and Until bound when the price holds, as [From, Until): a date, which starts at midnight UTC, or a
	// time in RFC 3339. Without them it holds always. YAML makes times of dates, hence the type.
	From  any `mapstructure:"from" yaml:"from"`
	Until any `mapstructure:"until" yaml:"until"`

	ModelRates `mapstructure:",squash" yaml:",inline"`

	// Tiers are the prices of large calls. The tier with the highest Above that the call exceeds prices all of
	// the call; what the tier does not name costs what it costs without.
	Tiers []PriceTier `mapstructure:"tiers" yaml:"tiers"`

	_ struct{}
}

// PriceTier is what a call costs whose input is large.
type PriceTier struct {
	// Above is the number of input tokens, cached ones included, that a call must exceed. Positive.
	Above int64 `mapstructure:"above" yaml:"above"`

	ModelRates `mapstructure:",squash" yaml:",inline"`

	_ struct{}
}

// ModelRates are prices in USD per million tokens. Tokens whose kind has no price of its own cost what the
// whole costs that they are part of.
type ModelRates struct {
	Input  *float64 `mapstructure:"input" yaml:"input"`   // required, but not in a tier
	Output *float64 `mapstructure:"output" yaml:"output"` // required for calls that generate

	CacheRead    *float64 `mapstructure:"cache_read" yaml:"cache_read"`         // part of the input
	CacheWrite   *float64 `mapstructure:"cache_write" yaml:"cache_write"`       // part of the input
	CacheWrite1h *float64 `mapstructure:"cache_write_1h" yaml:"cache_write_1h"` // part of the cache writes: kept for an hour
	AudioInput   *float64 `mapstructure:"audio_input" yaml:"audio_input"`       // part of the input
	AudioOutput  *float64 `mapstructure:"audio_output" yaml:"audio_output"`     // part of the output
	Reasoning    *float64 `mapstructure:"reasoning" yaml:"reasoning"`           // part of the output
}

// maxRate bounds a price, in USD per million tokens: more is a price per something else.
const maxRate = 1e5

// Validate checks one price.
func (p *ModelPrice) Validate() error {
	_, err := p.row()
	return err
}

// row is the price, ready for use.
func (p *ModelPrice) row() (*priceRow, error) {
	r := &priceRow{}
	for i, provider := range p.Providers {
		if strings.TrimSpace(provider) == "" {
			return nil, fmt.Errorf("providers[%d]: is empty; name a provider such as openai, or leave providers out for any", i)
		}
		folded, _ := foldProvider(provider)
		r.providers = append(r.providers, folded)
	}
	if err := p.match(r); err != nil {
		return nil, err
	}
	var err error
	if r.from, err = moment("from", p.From); err != nil {
		return nil, err
	}
	if r.until, err = moment("until", p.Until); err != nil {
		return nil, err
	}
	if r.until != 0 && r.until <= r.from {
		return nil, fmt.Errorf("until: %v is not after from (%v); a price holds from its first moment up to its last", p.Until, p.From)
	}
	if p.Input == nil {
		return nil, errors.New("input: is missing; give USD per million tokens, or 0 when it is free")
	}
	base, err := p.over(noRates)
	if err != nil {
		return nil, err
	}
	return r, r.tier(base, p.Tiers)
}

func (p *ModelPrice) match(r *priceRow) error {
	switch {
	case p.Model == "" && p.Regex == "":
		return errors.New("model: is missing; give the name of a model, a glob such as gpt-4o*, or a regex")
	case p.Model != "" && p.Regex != "":
		return fmt.Errorf("regex: %q is beside model (%q); remove one of them", p.Regex, p.Model)
	case p.Regex != "":
		pattern, err := regexp.Compile("(?i)^(?:" + p.Regex + ")$")
		if err != nil {
			return fmt.Errorf("regex: %q is no regular expression; use the RE2 syntax: https://github.com/google/re2/wiki/Syntax", p.Regex)
		}
		r.regex = pattern
	case strings.ContainsAny(p.Model, `*?[\`):
		r.glob = flat(lowered(p.Model))
		if _, err := path.Match(r.glob, ""); err != nil {
			return fmt.Errorf("model: %q is no glob; close the bracket, or write \\[ for a literal one", p.Model)
		}
	default:
		r.name = lowered(p.Model)
		if r.name == "" {
			return fmt.Errorf("model: %q is blank; give the name of a model", p.Model)
		}
	}
	return nil
}

// moment reads a date or time; zero is none.
func moment(key string, value any) (pcommon.Timestamp, error) {
	var at time.Time
	switch v := value.(type) {
	case nil:
		return 0, nil
	case time.Time:
		at = v
	case string:
		var err error
		if at, err = time.Parse(time.DateOnly, v); err != nil {
			at, err = time.Parse(time.RFC3339, v)
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %q is no date; write 2025-09-29 or 2025-09-29T16:00:00Z", key, v)
		}
	default:
		return 0, fmt.Errorf("%s: %q is no date; write 2025-09-29 or 2025-09-29T16:00:00Z", key, fmt.Sprint(value))
	}
	if at.Year() < 2000 || at.Year() > 2200 {
		return 0, fmt.Errorf("%s: %s is out of range; use the years 2000 to 2200", key, at.Format(time.DateOnly))
	}
	return pcommon.NewTimestampFromTime(at), nil
}

// over returns the rates laid over others, which hold for what the rates do not name.
func (m *ModelRates) over(under rates) (rates, error) {
	for _, one := range []struct {
		key  string
		from *float64
		to   *float64
	}{
		{"input", m.Input, &under.input},
		{"output", m.Output, &under.output},
		{"cache_read", m.CacheRead, &under.cacheRead},
		{"cache_write", m.CacheWrite, &under.cacheWrite},
		{"cache_write_1h", m.CacheWrite1h, &under.cacheWrite1h},
		{"audio_input", m.AudioInput, &under.audioInput},
		{"audio_output", m.AudioOutput, &under.audioOutput},
		{"reasoning", m.Reasoning, &under.reasoning},
	} {
		if one.from == nil {
			continue
		}
		if !(0 <= *one.from && *one.from <= maxRate) {
			return rates{}, fmt.Errorf("%s: %v is out of range; give USD per million tokens, 0 to %v", one.key, *one.from, maxRate)
		}
		*one.to = *one.from
	}
	return under, nil
}
