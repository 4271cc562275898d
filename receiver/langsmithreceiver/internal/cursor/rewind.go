package cursor

import (
	"math"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// clockStep is how far a clock has to go back for the times since to be read again. Less is in the overlap of windows.
const clockStep = 5 * time.Second

// rewind takes back that times behind now were read, because the clock was ahead: their runs are still to come. A run
// that started then all the same, by a clock of its own, may go out again once its id is forgotten.
func (p *Project) rewind(now langsmith.Time) {
	future := Window{now, math.MaxInt64}
	p.head, p.dirty = now, true
	p.gaps, p.sweeping = p.gaps.remove(future), p.sweeping.remove(future)
	p.swept, p.sweptNext, p.lookedBack = min(p.swept, now), min(p.sweptNext, now), min(p.lookedBack, now)
	p.backlog.To = min(p.backlog.To, bucketStart(now))
	p.checked, p.floor = min(p.checked, bucketStart(now)), min(p.floor, bucketStart(now))

	p.liveDue, p.queueDue = now, now
	p.sweepDue, p.reconcileDue = min(p.sweepDue, now), min(p.reconcileDue, now)
	for _, b := range p.buckets {
		for _, w := range b.waiting {
			w.due = min(w.due, now)
			if limit := now.Add(p.cfg.Settle); w.Deadline > limit {
				w.Deadline, b.waitingDirty = limit, true
			}
		}
	}
}
