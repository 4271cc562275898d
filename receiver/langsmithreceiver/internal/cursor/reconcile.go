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
	if !p.cfg.Reconcile || p.checked == 0 || p.comparing != 0 || now < p.reconcileDue {
		return nil
	}
	if !p.backlog.Empty() && p.checked >= p.backlog.From {
		p.checked, p.backlog, p.dirty = max(p.checked, p.backlog.To), Window{}, true
	}
	w := Window{p.checked, p.reconcileEnd()}
	if w.To > p.settled() || p.gaps.overlaps(w) {
		return nil
	}
	p.comparing = w.To
	return newTask(KindReconcile, w, now)
}

// reconcileEnd is the next full hour, or earlier when many runs started before it: until they are compared, their
// ids have to be remembered.
func (p *Project) reconcileEnd() langsmith.Time {
	end := p.checked - p.checked%reconcileLength + reconcileLength
	if !p.backlog.Empty() {
		end = min(end, p.backlog.From)
	}
	runs := 0
	for at := p.checked; at < end; at += bucketLength {
		if b := p.buckets[at]; b != nil {
			if runs += b.count(); runs >= p.cfg.ReconcileRuns {
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

// skipBacklog has a window not compared. What is before it, and was not compared yet, still is.
func (p *Project) skipBacklog(w Window) {
	w = Window{bucketStart(w.From), bucketStart(w.To-1) + bucketLength}
	if !p.backlog.Empty() {
		w.From = min(w.From, p.backlog.From)
	}
	if p.checked == 0 || p.checked >= w.From {
		p.backlog = Window{}
		p.skipReconcile(w.To)
		return
	}
	p.backlog, p.dirty = w, true
}

// Known is what is known of the runs of a window of [KindReconcile]: how many went out or are waiting, and what the
// calls of models among those that went out used.
func (p *Project) Known(w Window) (runs int64, used Usage) {
	for at := w.From; at < w.To; at += bucketLength {
		b := p.buckets[at]
		if b == nil {
			continue
		}
		runs += int64(b.count())
		b.usages(&used)
		for _, waiting := range b.waiting {
			if !waiting.changed { // it went out
				runs++
			}
		}
	}
	return runs, used
}

// tally is what a comparison by tokens and cost adds up of the rows that it reads.
type tally struct {
	measures bool
	// all is the usage of the calls of models, and unsent that of those which are known and did not go out yet.
	all, unsent Usage
	// calls are the calls of models, and callers the runs that made one.
	calls   map[langsmith.UUID]usage
	callers map[langsmith.UUID]struct{}
	// sealed is the usage of those runs that went out, are sealed and have not changed, by their bucket.
	sealed map[langsmith.Time]Usage
}

// Measure has a task of [KindReconcile] look at tokens, cost and all else that makes a revision; its rows must have them.
func (t *Task) Measure() { t.measures = true }

// measure adds up a row.
func (t *tally) measure(run *langsmith.Run, unsent bool) {
	if !callsModel(run) {
		return
	}
	used := usageOf(run)
	t.all.add(used)
	if unsent {
		t.unsent.add(used)
	}
	if t.calls == nil {
		t.calls, t.callers = map[langsmith.UUID]usage{}, map[langsmith.UUID]struct{}{}
	}
	t.calls[run.ID] = used
	if !run.ParentID.IsZero() {
		t.callers[run.ParentID] = struct{}{}
	}
}

// unchanged adds up a row that is sealed.
func (t *tally) unchanged(run *langsmith.Run) {
	if t.sealed == nil {
		t.sealed = map[langsmith.Time]Usage{}
	}
	used := t.sealed[bucketStart(run.Start)]
	used.add(usageOf(run))
	t.sealed[bucketStart(run.Start)] = used
}

// Read is what the calls of models used together that a task which measures has read, and which part of it did not go
// out yet.
func (t *Task) Read() (read, unsent Usage) { return t.all, t.unsent }

// Wrapping is the part of it that calls used which did nothing but make another call of a model. A server may count
// such a pair once.
func (t *Task) Wrapping() (used Usage) {
	for caller := range t.callers {
		if call, ok := t.calls[caller]; ok {
			used.add(call)
		}
	}
	return used
}

// Measured takes over from a task that measures, once it has read all of its window, what is not remembered of each run.
func (p *Project) Measured(t *Task) {
	for at := t.Window.From; at < t.Window.To; at += bucketLength {
		if b := p.buckets[at]; b != nil && b.used.Unknown && b.sealed.width == narrow {
			b.used, p.dirty = t.sealed[at], true
		}
	}
}

// Patient reports whether a window that cannot be compared now is worth another attempt. It is not once the ids of its
// runs have been kept for long.
func (p *Project) Patient(t *Task, now langsmith.Time) bool {
	return time.Duration(now-t.Window.To) <= reconcilePatience+p.cfg.Lookback
}

func (p *Project) reconciled(t *Task) {
	p.comparing = 0
	p.checked, p.dirty = t.Window.To, true
	p.prune()
}

// notReconciled tries again later, unless it is time to forget the window.
func (p *Project) notReconciled(t *Task, now langsmith.Time) {
	if !p.Patient(t, now) {
		p.reconciled(t)
		return
	}
	p.comparing = 0
	p.reconcileDue = now.Add(reconcileRetry)
}
