package cursor

import (
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

const (
	// unpricedFor is how long a model counts as one that LangSmith has no price for.
	unpricedFor = time.Hour
	// maxUnpriced bounds the models that are remembered.
	maxUnpriced = 1024
)

// prices learns which models LangSmith never prices, so that their runs do not wait for a cost in vain.
type prices struct {
	until map[uint64]langsmith.Time
}

// learn notes that a model is priced after all.
func (p *prices) learn(run *langsmith.Run) {
	if len(p.until) > 0 && hasCost(run) {
		delete(p.until, modelOf(run))
	}
}

// unpriced notes that a run of the model got tokens but no cost in time.
func (p *prices) unpriced(run *langsmith.Run, now langsmith.Time) {
	model := modelOf(run)
	if model == 0 {
		return
	}
	if p.until == nil || len(p.until) >= maxUnpriced {
		p.until = map[uint64]langsmith.Time{}
	}
	p.until[model] = now.Add(unpricedFor)
}

func (p *prices) isUnpriced(run *langsmith.Run, now langsmith.Time) bool {
	return len(p.until) > 0 && p.until[modelOf(run)] > now
}

// modelOf is a hash of provider and model, 0 when the model is unknown.
func modelOf(run *langsmith.Run) uint64 {
	model := run.Meta("ls_model_name")
	if model == nil {
		return 0
	}
	return fnv(fnv(fnvOffset, run.Meta("ls_provider")), model)
}
