package poller

import (
	"fmt"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// clockTolerance is how far clocks may differ before somebody is told.
const clockTolerance = time.Minute

// now is the time that reading goes by. A clock that is ahead of LangSmith's would have times read whose runs are still
// to come, so the earlier one counts. If it is LangSmith's that is wrong, runs come late and are not lost.
func (p *Poller) now() langsmith.Time {
	return langsmith.TimeOf(time.Now()).Add(-max(p.ahead(), 0))
}

func (p *Poller) ahead() time.Duration {
	if p.Ahead == nil {
		return 0
	}
	return p.Ahead()
}

func (p *Poller) compareClocks() {
	switch ahead := p.ahead(); {
	case ahead > clockTolerance:
		p.health.problem("clock", "this machine's clock is ahead of LangSmith's: set it right; until then runs are read by LangSmith's", difference(ahead), false)
	case ahead < -clockTolerance:
		p.health.problem("clock", "this machine's clock is behind LangSmith's: set it right; until then runs come late by that much", difference(-ahead), false)
	default:
		p.health.resolved("clock", "this machine's clock agrees with LangSmith's again")
	}
}

func difference(d time.Duration) error { return fmt.Errorf("by %s", d.Round(time.Second)) }
