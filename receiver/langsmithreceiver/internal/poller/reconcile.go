package poller

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
)

// reconcileShare is how much of the request budget the comparison with LangSmith may take.
const reconcileShare = 0.05

// reconcile compares a window that nothing changes any more with LangSmith's own count of runs. When they differ, or
// when LangSmith does not count, the ids of the window are read; runs that turn out to be missing are read in full
// afterwards, like any that came late.
func (l *lane) reconcile(ctx context.Context, task *cursor.Task) error {
	l.mu.Lock()
	known, _ := l.cursor.Known(task.Window)
	l.mu.Unlock()
	theirs, counted, err := l.count(ctx, task.Window)
	if err != nil {
		l.compared("failed")
		l.stopTask(task)
		return nil // a count that fails does not hold up the reading
	}
	if counted && theirs == known {
		l.compared("equal")
		return l.finishTask(task)
	}
	if counted {
		l.Logger.Info("LangSmith counts other runs than were read", zap.String("project", *l.name.Load()), zap.Stringer("project_id", l.id),
			zap.Time("from", task.Window.From.AsTime()), zap.Time("to", task.Window.To.AsTime()), zap.Int64("langsmith", theirs), zap.Int64("read", known))
	}
	if !l.affordable(task.Window, max(theirs, known)) {
		if counted {
			l.differ("missing", theirs-known)
			l.differ("surplus", known-theirs)
		}
		l.compared("skipped")
		return l.finishTask(task)
	}
	if err := l.readPages(ctx, task); err != nil {
		l.compared("failed")
		l.stopTask(task)
		return err
	}
	found := int64(task.Found())
	l.differ("missing", found)
	if counted {
		// What the count says beyond the ids is nothing that could be read.
		l.differ("unexplained", theirs-known-found)
		l.differ("surplus", known+found-theirs)
	}
	if counted || found > 0 {
		l.compared("different")
	} else {
		l.compared("equal")
	}
	return l.finishTask(task)
}

func (l *lane) differ(reason string, runs int64) {
	l.Meters.addWith(l.Meters.builder.ReceiverLangsmithReconcileDifference, int(runs), "reason", reason)
}

// count asks LangSmith for its count; counted is false when it has none to offer.
func (l *lane) count(ctx context.Context, w cursor.Window) (n int64, counted bool, err error) {
	if l.uncounted.Load() {
		return 0, false, nil
	}
	n, err = l.Source.CountRuns(ctx, langsmith.CountQuery{
		ProjectID: l.id, MinStart: w.From, MaxStart: w.To, Filter: l.Filter, TraceFilter: l.TraceFilter, TreeFilter: l.TreeFilter,
	})
	var e *langsmith.Error
	if errors.As(err, &e) && e.NoStats() {
		if !l.uncounted.Swap(true) {
			l.Logger.Info("this LangSmith server does not count runs for this key; the ids of each hour are read instead", zap.Error(err))
		}
		return 0, false, nil
	}
	return n, err == nil, err
}

// affordable reports whether the ids of a window can be read within the share of the budget that this has.
func (l *lane) affordable(w cursor.Window, runs int64) bool {
	if l.Budget == nil {
		return true
	}
	class, pageSize := langsmith.ClassRunsV2, int64(1000)
	if l.deprecated.Load() != 0 {
		class, pageSize = langsmith.ClassRunsV1, 100
	}
	pages := float64(runs/pageSize + 1)
	return pages <= 1 || pages <= reconcileShare*l.Budget().Rate(class)*w.Length().Seconds()
}

func (l *lane) compared(outcome string) {
	l.Meters.addWith(l.Meters.builder.ReceiverLangsmithReconcileHours, 1, "outcome", outcome)
}
