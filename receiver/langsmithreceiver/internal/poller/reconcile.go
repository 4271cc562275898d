package poller

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
)

const (
	// reconcileShare is how much of the request budget the comparison with LangSmith may take.
	reconcileShare = 0.05
	// reconcileTries is how often the runs of an hour are read because its sums of tokens or cost differ. LangSmith
	// fills them in late, and its sums later still.
	reconcileTries = 3
	// askTimeout bounds the wait for an answer about one hour. LangSmith allows few such questions; where there are more
	// projects than these suffice for, each would be behind by more with every hour, and keep the ids of all hours since.
	askTimeout = time.Hour
	// doubtFor is how long sums are left alone after those of an hour were no sums of its runs: they may never be.
	doubtFor = 24 * time.Hour
)

// comparison is what a worker knows about comparing, beside what its cursor does. It needs the worker's lock.
type comparison struct {
	// from is the window that was read already, and tries how often.
	from  langsmith.Time
	tries int
	// doubted is until when sums are left alone.
	doubted time.Time
}

// reconcile compares a window that nothing changes any more with LangSmith's own count of runs, and its sums of tokens
// and cost. When they differ, or when LangSmith does not count, the ids of the window are read, with tokens and cost if
// it is those that differ; runs that turn out to be missing are read in full afterwards, like any that came late.
func (l *lane) reconcile(ctx context.Context, task *cursor.Task) error {
	l.mu.Lock()
	known, used := l.cursor.Known(task.Window)
	l.mu.Unlock()
	asking, stop := context.WithTimeout(ctx, askTimeout)
	theirs, counted, err := l.count(asking, task.Window)
	var sum langsmith.UsageSum
	if err == nil && counted && !used.Unknown && l.sums() {
		sum, err = l.sum(asking, task.Window)
	}
	stop()
	if err != nil { // a count that fails does not hold up the reading
		l.compared("failed")
		l.stopTask(task)
		return nil
	}
	otherRuns, otherUsage := counted && theirs != known, !sameUsage(sum, used, theirs)
	if counted && !otherRuns && !otherUsage {
		l.compared("equal")
		return l.finishTask(task)
	}
	if counted {
		l.Logger.Info("LangSmith has other runs, tokens or cost than were read", zap.String("project", *l.name.Load()), zap.Stringer("project_id", l.id),
			zap.Time("from", task.Window.From.AsTime()), zap.Time("to", task.Window.To.AsTime()), zap.Int64("langsmith", theirs), zap.Int64("read", known),
			zap.Int64("langsmith_tokens", sum.Tokens.Value), zap.Int64("read_tokens", used.Tokens),
			zap.Float64("langsmith_cost", sum.Cost.Value), zap.Float64("read_cost", used.Cost))
	}
	if now, ever := l.affordable(max(theirs, known)); !now {
		if ever && l.patient(task) {
			l.stopTask(task)
			return nil
		}
		if counted {
			l.differ("missing", "surplus", theirs-known)
		}
		l.differUsage("missing", "surplus", sum, used)
		l.compared("skipped")
		return l.finishTask(task)
	}
	if otherUsage {
		task.Measure()
	}
	err = l.readPages(ctx, task)
	// What was found is read in full later, however this ends.
	found := int64(task.Found())
	l.differ("missing", "surplus", found)
	if err != nil {
		l.compared("failed")
		l.stopTask(task)
		return err
	}
	explained, changed := true, false
	if otherUsage {
		explained, changed = l.explain(task, sum, used, theirs)
		if !explained && l.patient(task) && l.retries(task) {
			l.stopTask(task)
			return nil
		}
	}
	if counted {
		// What the count says beyond the ids is nothing that could be read.
		l.differ("unexplained", "surplus", theirs-known-found)
	}
	if !explained {
		read, _ := task.Read()
		l.differUsage("unexplained", "unexplained", sum, read)
		l.doubt()
	}
	if otherRuns || found > 0 || changed || !explained {
		l.compared("different")
	} else {
		l.compared("equal")
	}
	return l.finishTask(task)
}

// patient reports whether a window can be compared later.
func (l *lane) patient(task *cursor.Task) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cursor.Patient(task, l.now())
}

// explain tells by how much the runs that were read differ from those that went out. It reports whether LangSmith's sums
// are those of the runs that were read, and whether these are others than what went out.
func (l *lane) explain(task *cursor.Task, sum langsmith.UsageSum, used cursor.Usage, runs int64) (explained, changed bool) {
	read, unsent := task.Read()
	theirs := read.Minus(unsent)
	rows := langsmith.UsageSum{
		Tokens: langsmith.Count{Value: theirs.Tokens, Valid: sum.Tokens.Valid}, Cost: langsmith.Number{Value: theirs.Cost, Valid: sum.Cost.Valid},
	}
	l.differUsage("missing", "surplus", rows, used)
	changed = !sameUsage(rows, used, runs)
	l.mu.Lock()
	l.cursor.Measured(task)
	l.mu.Unlock()
	if sameUsage(sum, read, runs) {
		return true, changed
	}
	if sameUsage(sum, read.Minus(task.Wrapping()), runs) {
		l.doubt() // such hours would all have to be read
		return true, changed
	}
	return false, changed
}

// sameUsage reports whether LangSmith's sums, as far as it has any, are what is known.
func sameUsage(sum langsmith.UsageSum, used cursor.Usage, runs int64) bool {
	return (!sum.Tokens.Valid || sum.Tokens.Value == used.Tokens) && (!sum.Cost.Valid || cursor.SameCost(sum.Cost.Value, used.Cost, runs))
}

// retries counts the attempts at a window, and reports whether there is another one.
func (l *lane) retries(task *cursor.Task) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.comparison
	if c.from != task.Window.From {
		c.from, c.tries = task.Window.From, 0
	}
	c.tries++
	return c.tries < reconcileTries
}

func (l *lane) doubt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.comparison.doubted = time.Now().Add(doubtFor)
}

// differ counts runs that LangSmith has more (positive) or less.
func (l *lane) differ(more, less string, runs int64) {
	counter := l.Meters.builder.ReceiverLangsmithReconcileDifference
	l.Meters.addWith(counter, int(runs), "reason", more)
	l.Meters.addWith(counter, int(-runs), "reason", less)
}

// differUsage counts by how much LangSmith's sums, as far as it has any, are above or below what is known.
func (l *lane) differUsage(more, less string, sum langsmith.UsageSum, used cursor.Usage) {
	if sum.Tokens.Valid {
		counter, n := l.Meters.builder.ReceiverLangsmithReconcileTokenDifference, int(sum.Tokens.Value-used.Tokens)
		l.Meters.addWith(counter, n, "reason", more)
		l.Meters.addWith(counter, -n, "reason", less)
	}
	if sum.Cost.Valid && !cursor.SameCost(sum.Cost.Value, used.Cost, 0) {
		counter, usd := l.Meters.builder.ReceiverLangsmithReconcileCostDifference, sum.Cost.Value-used.Cost
		l.Meters.addFloatWith(counter, usd, "reason", more)
		l.Meters.addFloatWith(counter, -usd, "reason", less)
	}
}

// count asks LangSmith for its count; counted is false when it has none to offer.
func (l *lane) count(ctx context.Context, w cursor.Window) (n int64, counted bool, err error) {
	if l.uncounted.Load() {
		return 0, false, nil
	}
	n, err = l.Source.CountRuns(ctx, l.question(w))
	if noStats(err) {
		if !l.uncounted.Swap(true) {
			l.Logger.Info("this LangSmith server does not count runs for this key; the ids of each hour are read instead", zap.Error(err))
		}
		return 0, false, nil
	}
	return n, err == nil, err
}

// sum asks LangSmith for its sums, which are not valid when it has none to offer.
func (l *lane) sum(ctx context.Context, w cursor.Window) (langsmith.UsageSum, error) {
	sum, err := l.Source.SumUsage(ctx, l.question(w))
	if noStats(err) {
		if !l.unsummed.Swap(true) {
			l.Logger.Info("this LangSmith server does not sum tokens and cost for this key; only the number of runs is compared", zap.Error(err))
		}
		return langsmith.UsageSum{}, nil
	}
	return sum, err
}

func (l *lane) question(w cursor.Window) langsmith.CountQuery {
	return langsmith.CountQuery{
		ProjectID: l.id, MinStart: w.From, MaxStart: w.To, Filter: l.Filter, TraceFilter: l.TraceFilter, TreeFilter: l.TreeFilter,
	}
}

func noStats(err error) bool {
	var e *langsmith.Error
	return errors.As(err, &e) && e.NoStats()
}

// sums reports whether LangSmith is to be asked for its sums. They cost a second request of a kind of which few are
// allowed: when there are many projects, their runs are counted only.
func (l *lane) sums() bool {
	l.mu.Lock()
	doubted := time.Now().Before(l.comparison.doubted)
	l.mu.Unlock()
	if doubted || l.unsummed.Load() {
		return false
	}
	if l.Budget == nil {
		return true
	}
	hourly := l.Budget().Rate(langsmith.ClassStats) * time.Hour.Seconds()
	return float64(4*len(l.snapshot())) <= hourly // half of it stays free
}

// affordable takes the requests for the ids of so many runs out of the share that the comparison has of the budget. It
// tells whether there are as many now, and else whether there ever are.
func (l *lane) affordable(runs int64) (now, ever bool) {
	if l.Budget == nil {
		return true, true
	}
	class, pageSize := langsmith.ClassRunsV2, int64(1000)
	if l.deprecated.Load() != 0 {
		class, pageSize = langsmith.ClassRunsV1, 100
	}
	return l.allowance.take(float64(runs/pageSize+1), l.Budget().Rate(class), time.Now())
}

// allowance is how many requests the comparisons of all projects may still make together. It comes back with time, up
// to that of an hour. It is safe for concurrent use.
type allowance struct {
	mu       sync.Mutex
	requests float64
	at       time.Time
}

// take spends requests if there are as many; ever is false if there never will be. Rate is how many requests a second
// the budget allows at present, zero while it is suspended.
func (a *allowance) take(requests, rate float64, now time.Time) (ok, ever bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	share := reconcileShare * rate
	most := share * time.Hour.Seconds()
	if a.at.IsZero() {
		a.requests, a.at = most, now
	}
	if rate > 0 {
		a.requests = min(a.requests+share*now.Sub(a.at).Seconds(), most)
	}
	a.at = now
	if requests > a.requests {
		return false, rate == 0 || requests <= most
	}
	a.requests -= requests
	return true, true
}

func (l *lane) compared(outcome string) {
	l.Meters.addWith(l.Meters.builder.ReceiverLangsmithReconcileHours, 1, "outcome", outcome)
}
