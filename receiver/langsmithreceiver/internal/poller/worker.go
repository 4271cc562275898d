package poller

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/translate"
)

const (
	// maxEmptyPages bounds pages without a row that still point to a next one.
	maxEmptyPages = 20
)

var (
	errRepeatedCursor = errors.New("the server sent the same page cursor twice: its paging does not advance")
	errEmptyPages     = errors.New("the server keeps sending empty pages that are not the last")
)

// worker reads one project. Its goroutine owns the cursor and everything without a lock.
type worker struct {
	*Poller
	id     langsmith.UUID
	name   atomic.Pointer[string]
	cursor *cursor.Project
	batch  batch

	urgent, background backoff
	// urgentAt and backgroundAt are when reading goes on after a failure.
	urgentAt, backgroundAt time.Time

	// Owned by the goroutine that discovers projects.
	absent int
	stop   context.CancelFunc
	done   chan struct{}

	running                atomic.Bool
	safe, pending, windows atomic.Int64
}

func newWorker(p *Poller, project langsmith.Project, state *cursor.Project) *worker {
	w := &worker{
		Poller: p, id: project.ID, cursor: state, done: make(chan struct{}),
		urgent:     backoff{first: time.Second, most: 5 * time.Minute},
		background: backoff{first: 5 * time.Second, most: 5 * time.Minute},
	}
	w.name.Store(&project.Name)
	w.batch = newBatch(translate.New(p.Translate), p.Consumer.Capabilities().MutatesData)
	w.publish()
	return w
}

// key names the project among the problems of health.
func (w *worker) key() string { return "project " + w.id.String() }

func (w *worker) publish() {
	windows, _ := w.cursor.Behind()
	w.safe.Store(int64(w.cursor.Safe()))
	w.pending.Store(int64(w.cursor.Waiting()))
	w.windows.Store(int64(windows))
}

// loop reads until the context ends.
func (w *worker) loop(ctx context.Context) {
	defer close(w.done)
	w.running.Store(true)
	defer w.running.Store(false)
	sleep(ctx, time.Duration(rand.Float64()*float64(min(time.Second, w.Cursor.Interval/2))))
	for ctx.Err() == nil {
		now := time.Now()
		if now.Before(w.urgentAt) {
			sleep(ctx, w.urgentAt.Sub(now))
			continue
		}
		resting := now.Before(w.backgroundAt)
		task := w.next(langsmith.TimeOf(now), resting)
		if task == nil {
			sleep(ctx, w.idle(now, resting))
			continue
		}
		err := w.read(ctx, task)
		w.save(ctx)
		w.publish()
		if ctx.Err() == nil {
			w.settle(task, err)
		}
	}
}

func (w *worker) next(now langsmith.Time, resting bool) *cursor.Task {
	if resting {
		return w.cursor.Urgent(now)
	}
	return w.cursor.Next(now)
}

// idle is how long nothing has to be read.
func (w *worker) idle(now time.Time, resting bool) time.Duration {
	t := langsmith.TimeOf(now)
	d := time.Duration(w.cursor.Due(t) - t)
	if resting {
		d = min(time.Duration(w.cursor.UrgentDue(t)-t), w.backgroundAt.Sub(now))
	}
	return max(d, 10*time.Millisecond)
}

// settle draws the consequences of how a task ended.
func (w *worker) settle(task *cursor.Task, err error) {
	background := task.Kind == cursor.KindBackfill || task.Kind == cursor.KindSweep
	if err == nil {
		if background {
			w.background.reset()
		} else {
			w.urgent.reset()
		}
		w.health.resolved(w.key(), "project can be read again", zap.String("project", *w.name.Load()))
		w.health.resolved("api", "LangSmith can be read again")
		return
	}
	wait, at := &w.urgent, &w.urgentAt
	if background {
		wait, at = &w.background, &w.backgroundAt
	}
	key := w.key()
	switch classify(err) {
	case transient:
		wait.first, key = time.Second, "api"
	case refused:
		wait.first, key = 30*time.Second, "api"
	default:
		wait.first = 30 * time.Second
	}
	*at = time.Now().Add(wait.next(retryAfter(err)))
	if throttled(err) { // normal weather: the request metrics and the lag show it
		w.Logger.Debug("LangSmith asks to slow down", zap.Duration("retry_after", retryAfter(err)))
		return
	}
	w.complain(key, *w.name.Load(), "reading a LangSmith project failed; trying again", err, zap.String("project", *w.name.Load()),
		zap.Stringer("task", task.Kind))
}

// read reads a task page by page. More urgent ones go in between.
func (w *worker) read(ctx context.Context, task *cursor.Task) error {
	err := w.readPages(ctx, task)
	now := langsmith.TimeOf(time.Now())
	switch {
	case err == nil:
		gone := w.cursor.Finish(task, now)
		w.Meters.addWith(w.Meters.builder.LangsmithReceiverRunsGivenUp, gone, "reason", "gone")
	case errors.Is(err, errCut), pagingFailed(err) && task.Advanced():
		// What was read is kept, and the rest begins without a page cursor.
		w.cursor.Stop(task, now)
		err = nil
	default:
		w.cursor.Stop(task, now)
	}
	return err
}

// pagingFailed reports whether the server refused its own page cursor, or does not advance.
func pagingFailed(err error) bool {
	var e *langsmith.Error
	return errors.Is(err, errRepeatedCursor) || (errors.As(err, &e) && e.Cursor())
}

// errCut ends a task whose rest is read as another one.
var errCut = errors.New("window is cut")

func (w *worker) readPages(ctx context.Context, task *cursor.Task) error {
	interruptible := task.Kind == cursor.KindBackfill || task.Kind == cursor.KindSweep
	seen := map[string]bool{}
	next, empty := "", 0
	for {
		page, err := w.page(ctx, task, next)
		if err != nil {
			return err
		}
		task.PageDone()
		if page.NextCursor == "" {
			return nil
		}
		if empty++; page.Runs > 0 || len(page.Skipped) > 0 {
			empty = 0
		}
		switch {
		case seen[page.NextCursor]:
			return errRepeatedCursor
		case empty >= maxEmptyPages:
			return errEmptyPages
		case w.cursor.Long(task):
			return errCut
		}
		seen[page.NextCursor], next = true, page.NextCursor
		if !interruptible {
			continue
		}
		w.save(ctx)
		w.publish()
		for urgent := w.cursor.Urgent(langsmith.TimeOf(time.Now())); urgent != nil; urgent = w.cursor.Urgent(langsmith.TimeOf(time.Now())) {
			err := w.read(ctx, urgent)
			w.save(ctx)
			if err != nil {
				return err
			}
		}
	}
}

// page reads one page and hands its runs to the pipeline.
func (w *worker) page(ctx context.Context, task *cursor.Task, next string) (langsmith.Page, error) {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return langsmith.Page{}, ctx.Err()
	}
	q := langsmith.RunQuery{
		ProjectID: w.id, IDs: task.IDs, MinStart: task.Window.From, MaxStart: task.Window.To,
		Fields: w.batch.translator.Fields(), Cursor: next,
	}
	if task.Kind == cursor.KindSweep {
		q.Fields = langsmith.FieldsIdentity
	}
	if task.Kind != cursor.KindRecheck {
		q.Filter, q.TraceFilter, q.TreeFilter = w.Filter, w.TraceFilter, w.TreeFilter
	}
	now := langsmith.TimeOf(time.Now())
	var c counts
	page, err := w.Source.QueryRuns(ctx, q, func(run *langsmith.Run) error {
		c.fetched++
		return w.row(ctx, task, run, now, &c)
	})
	for _, s := range page.Skipped {
		w.Meters.addWith(w.Meters.builder.LangsmithReceiverRunsSkipped, s.Count, "reason", s.Reason)
	}
	c.record(w.Meters)
	// What was read in full goes out even if the page broke off.
	if flushed := w.flush(ctx); flushed != nil {
		return page, flushed
	}
	var e *langsmith.Error
	if errors.As(err, &e) && e.ShrinkPage() { // the client asks for less the next time
		w.Meters.add(w.Meters.builder.LangsmithReceiverPageShrinks, 1)
	}
	return page, err
}

// row decides about one run of a page.
func (w *worker) row(ctx context.Context, task *cursor.Task, run *langsmith.Run, now langsmith.Time, c *counts) error {
	decision := w.cursor.Observe(task, run, now)
	if decision.Late {
		c.late++
	}
	switch decision.Action {
	case cursor.Emit:
		w.batch.add(run, w.target(), decision.Entry, w.Meters)
	case cursor.EmitUnfinished:
		c.unfinished++
		w.batch.addUnfinished(run, w.target(), decision.Entry, w.Meters)
	case cursor.Duplicate:
		c.duplicate++
	case cursor.Updated:
		c.updated++
	case cursor.NoID:
		c.noID++
	case cursor.NoStart:
		c.noStart++
	}
	if w.batch.full() {
		return w.flush(ctx)
	}
	return nil
}

func (w *worker) target() translate.Target {
	return translate.Target{ProjectID: w.id, ProjectName: *w.name.Load(), Lineage: &w.batch.lineage}
}

// counts collects what is counted of a page, so that metrics are touched once a page and not once a run.
type counts struct {
	fetched, duplicate, updated, late, unfinished, noID, noStart int
}

func (c *counts) record(m *Meters) {
	m.add(m.builder.LangsmithReceiverRunsFetched, c.fetched)
	m.add(m.builder.LangsmithReceiverRunsDuplicate, c.duplicate)
	m.add(m.builder.LangsmithReceiverRunsUpdated, c.updated)
	m.add(m.builder.LangsmithReceiverRunsLate, c.late)
	m.addWith(m.builder.LangsmithReceiverRunsGivenUp, c.unfinished, "reason", "unfinished")
	m.addWith(m.builder.LangsmithReceiverRunsSkipped, c.noID, "reason", langsmith.SkipNoID)
	m.addWith(m.builder.LangsmithReceiverRunsSkipped, c.noStart, "reason", "no_start")
}
