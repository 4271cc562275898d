package genai

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// priceRow is one price, ready for use. It does not change.
type priceRow struct {
	providers []string // folded; empty is any

	// One of these matches.
	name  string
	glob  string // flat
	regex *regexp.Regexp

	from, until pcommon.Timestamp // until is zero for no end

	tiers []rateTier // the highest first; the last holds for every call
	parts bool       // some tier has a price for what only [usageParts] knows
}

type rateTier struct {
	above int64
	rates
}

// rates are in USD per million tokens, or noRate.
type rates struct {
	input, output                       float64
	cacheRead, cacheWrite, cacheWrite1h float64
	audioInput, audioOutput, reasoning  float64
}

const noRate = -1

var noRates = rates{noRate, noRate, noRate, noRate, noRate, noRate, noRate, noRate}

// tier adds the tiers above the base.
func (r *priceRow) tier(base rates, tiers []PriceTier) error {
	r.tiers = append(r.tiers, rateTier{above: -1, rates: base})
	for i, t := range tiers {
		if t.Above <= 0 || t.Above > maxCount {
			return fmt.Errorf("tiers[%d].above: %d is out of range; give the input tokens that a call must exceed, 1 to %d", i, t.Above, int64(maxCount))
		}
		if slices.ContainsFunc(r.tiers, func(other rateTier) bool { return other.above == t.Above }) {
			return fmt.Errorf("tiers[%d].above: %d is there twice; remove one", i, t.Above)
		}
		laid, err := t.over(base)
		if err != nil {
			return fmt.Errorf("tiers[%d].%w", i, err)
		}
		r.tiers = append(r.tiers, rateTier{above: t.Above, rates: laid})
	}
	slices.SortFunc(r.tiers, func(a, b rateTier) int { return cmp.Compare(b.above, a.above) })
	for _, t := range r.tiers {
		r.parts = r.parts || t.cacheWrite1h != noRate || t.audioInput != noRate || t.audioOutput != noRate
	}
	return nil
}

// matches reports whether the price is for a model, whose name is in lower case, of a provider.
func (r *priceRow) matches(provider, model string) bool {
	if len(r.providers) > 0 && !slices.Contains(r.providers, provider) {
		return false
	}
	switch {
	case r.regex != nil:
		return r.regex.MatchString(model)
	case r.glob != "":
		ok, _ := path.Match(r.glob, flat(model))
		return ok
	}
	return r.name == model
}

// holds reports whether the price holds at a time; zero, for not known, is after all times.
func (r *priceRow) holds(at pcommon.Timestamp) bool {
	if at == 0 {
		return r.until == 0
	}
	return r.from <= at && (r.until == 0 || at < r.until)
}

// generates reports whether the price is for calls that have an output.
func (r *priceRow) generates() bool { return r.tiers[len(r.tiers)-1].output != noRate }

// cost is what a call costs, in USD. It is not negative. The call has input tokens and, when it generates,
// output tokens.
func (r *priceRow) cost(call *Call, parts usageParts) float64 {
	t := &r.tiers[len(r.tiers)-1]
	for i := range r.tiers {
		if call.InputTokens > r.tiers[i].above {
			t = &r.tiers[i]
			break
		}
	}
	input, output := max(call.InputTokens, 0), max(call.OutputTokens, 0)
	written := max(call.CacheWriteTokens, 0)

	// Parts with a price of their own leave their whole; its rest has the price of the whole.
	var sum float64
	part := func(whole *int64, tokens int64, rate float64) {
		if rate != noRate && tokens > 0 {
			sum += float64(tokens) * rate
			*whole -= tokens
		}
	}
	if t.cacheWrite1h != noRate {
		hour := min(max(parts.cacheWrite1h, 0), written)
		part(&input, hour, t.cacheWrite1h)
		written -= hour
	}
	part(&input, written, t.cacheWrite)
	part(&input, call.CacheReadTokens, t.cacheRead)
	part(&input, parts.audioInput, t.audioInput)
	part(&output, call.ReasoningTokens, t.reasoning)
	part(&output, parts.audioOutput, t.audioOutput)
	sum += float64(max(input, 0)) * t.input
	if t.output != noRate {
		sum += float64(max(output, 0)) * t.output
	}
	return sum / 1e6
}
