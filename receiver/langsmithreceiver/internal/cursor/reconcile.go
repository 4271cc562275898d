package cursor

import (
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

const (
	// reconcileLength is how much time is compared at once, on the hour.
	reconcileLength = langsmith.Time(time.Hour)
	// reconcileRetry is how long a comparison that failed waits.
	reconcileRetry = 10 * time.Minute
	// reconcilePatience is how long a window that cannot be compared is kept: the ids of its runs are in memory.
	reconcilePatience = 3 * time.Hour
)

// reconcile is the next window that nothing changes any more: its late runs were looked for, and no gap is in it.
func (p *Project) reconcile(now langsmith.Time) *Task {
	if !p.cfg.Reconcile || p.checked == 0 || p.reconciling || now < p.reconcileDue {
		return nil
	}
	w := Window{p.checked, p.reconcileEnd()}
	if w.To > p.settled() || p.gaps.overlaps(w) {
		return nil
	}
	p.reconciling = true
	return newTask(KindReconcile, w, now)
}

// reconcileEnd is the next full hour, or earlier when many runs started before it: until they are compared, their
// ids have to be remembered.
func (p *Project) reconcileEnd() langsmith.Time {
	end := p.checked - p.checked%reconcileLength + reconcileLength
	runs := 0
	for at := p.checked; at < end; at += bucketLength {
		if b := p.buckets[at]; b != nil {
			if runs += b.n; runs >= p.cfg.ReconcileRuns {
				return at + bucketLength
			}
		}
	}
	return end
}

// settled is the time up to which no run is expected any more.
func (p *Project) settled() langsmith.Time {
	if p.cfg.Lookback == 0 {
		return p.head
	}
	return p.swept.Add(-p.cfg.Lookback)
}

// skipReconcile begins the comparisons at t, what is before is not compared.
func (p *Project) skipReconcile(t langsmith.Time) {
	if p.cfg.Reconcile {
		p.checked, p.dirty = bucketStart(t-1)+bucketLength, true
	}
}

// Known is what is known of the runs of a window of [KindReconcile]: how many went out or are waiting, and what the
// calls of models among those that went out used.
func (p *Project) Known(w Window) (runs int64, used Usage) {
	for at := w.From; at < w.To; at += bucketLength {
		b := p.buckets[at]
		if b == nil {
			continue
		}
		runs += int64(b.n)
		b.usages(&used)
		for id := range b.waiting {
			if b.find(id) < 0 {
				runs++
			}
		}
	}
	return runs, used
}

func (p *Project) reconciled(t *Task) {
	p.reconciling = false
	p.checked, p.dirty = t.Window.To, true
	p.prune()
}

// notReconciled tries again later, unless it is time to forget the window.
func (p *Project) notReconciled(t *Task, now langsmith.Time) {
	if time.Duration(now-t.Window.To) > reconcilePatience+p.cfg.Lookback {
		p.reconciled(t)
		return
	}
	p.reconciling = false
	p.reconcileDue = now.Add(reconcileRetry)
}
