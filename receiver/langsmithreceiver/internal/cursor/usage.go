package cursor

import (
	"math"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// usage is what one call of a model used, short enough to be remembered of every run. The zero value is of any other
// run, and of a call that has neither tokens nor cost.
type usage struct {
	tokens uint32  // unknownTokens if that many do not fit, or if nobody knows
	cost   float32 // USD
}

const unknownTokens = math.MaxUint32

func (u usage) known() bool { return u.tokens != unknownTokens && u.cost-u.cost == 0 }

// usageOf is a run's own usage. That of a step is the sum over its children in one version of the API and nothing in
// another, so it never counts.
func usageOf(run *langsmith.Run) usage {
	if !callsModel(run) {
		return usage{}
	}
	tokens := run.TotalTokens.Value
	if tokens == 0 {
		tokens = run.PromptTokens.Value + run.CompletionTokens.Value
	}
	cost := run.TotalCost.Value
	if cost == 0 {
		cost = run.PromptCost.Value + run.CompletionCost.Value
	}
	if tokens < 0 || tokens >= unknownTokens || math.Abs(cost) > math.MaxFloat32 {
		return usage{tokens: unknownTokens}
	}
	return usage{uint32(tokens), float32(cost)}
}

// digest is a short hash. That of no usage is zero.
func (u usage) digest() byte {
	const mix = 0x9e3779b97f4a7c15 // 2^64 / golden ratio
	h := (uint64(u.tokens)<<32 | uint64(math.Float32bits(u.cost))) * mix
	return byte((h ^ h>>32) * mix >> 56)
}

// Usage is what calls of models used together.
type Usage struct {
	Tokens int64
	Cost   float64 // USD
	// Unknown says that there are calls among them whose usage is not known.
	Unknown bool
}

func (u *Usage) add(v usage) {
	if !v.known() {
		u.Unknown = true
		return
	}
	u.Tokens += int64(v.tokens)
	u.Cost += float64(v.cost)
}

func (u *Usage) subtract(v usage) {
	if !v.known() {
		u.Unknown = true
		return
	}
	u.Tokens -= int64(v.tokens)
	u.Cost -= float64(v.cost)
}

// Minus is what u holds beyond v.
func (u Usage) Minus(v Usage) Usage {
	return Usage{u.Tokens - v.Tokens, u.Cost - v.Cost, u.Unknown || v.Unknown}
}

// SameCost reports whether two sums of costs, over as many runs, are the same but for what is lost by rounding.
func SameCost(a, b float64, runs int64) bool {
	return math.Abs(a-b) <= 1e-6*max(math.Abs(a), math.Abs(b))+1e-9*float64(runs)
}
