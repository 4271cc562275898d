package poller

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/translate"
)

// maxEmptyPages bounds pages without a row that still point to a next one.
const maxEmptyPages = 20

var (
	errRepeatedCursor = errors.New("the server sent the same page cursor twice: its paging does not advance")
	errEmptyPages     = errors.New("the server keeps sending empty pages that are not the last")
	// errCut ends a task whose rest is read as another one.
	errCut = errors.New("window is cut")
)

// lane reads one task of a worker. Its goroutine owns the batch; what belongs to the worker needs its lock.
type lane struct {
	*worker
	batch batch
	// fresh says that the task is not about a backlog, so that the delay of its runs is ours.
	fresh bool
	// asked is the window of the first page's query, which the following ones have to repeat.
	asked cursor.Window
}

// read reads a task page by page.
func (l *lane) read(ctx context.Context, task *cursor.Task) error {
	if task.Kind == cursor.KindReconcile {
		return l.reconcile(ctx, task)
	}
	err := l.readPages(ctx, task)
	if err == nil {
		return l.finishTask(task)
	}
	// What was read is kept, and the rest begins without a page cursor.
	if errors.Is(err, errCut) || pagingFailed(err) && task.Advanced() {
		err = nil
	}
	l.stopTask(task)
	return err
}

func (l *lane) finishTask(task *cursor.Task) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	gone := l.cursor.Finish(task, l.now())
	l.Meters.addWith(l.Meters.builder.ReceiverLangsmithRunsGivenUp, gone, "reason", "gone")
	l.publish()
	return nil
}

func (l *lane) stopTask(task *cursor.Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursor.Stop(task, l.now())
	l.publish()
}

// pagingFailed reports whether the server refused its own page cursor, or does not advance.
func pagingFailed(err error) bool {
	var e *langsmith.Error
	return errors.Is(err, errRepeatedCursor) || (errors.As(err, &e) && e.Cursor())
}

func (l *lane) readPages(ctx context.Context, task *cursor.Task) error {
	if err := l.recall(ctx, task); err != nil {
		return err
	}
	seen := map[string]bool{}
	next, empty := "", 0
	for {
		page, err := l.page(ctx, task, next)
		if err != nil {
			return err
		}
		if empty++; page.Runs > 0 || len(page.Skipped) > 0 {
			empty = 0
		}
		done, long := l.pageDone(task)
		switch {
		case page.NextCursor == "" || done:
			return nil
		case seen[page.NextCursor]:
			return errRepeatedCursor
		case empty >= maxEmptyPages:
			return errEmptyPages
		case long:
			return errCut
		}
		seen[page.NextCursor], next = true, page.NextCursor
		if inBackground(task) {
			l.save(ctx)
			l.awake()
		}
	}
}

// pageDone notes that a page went out, and tells whether the task is done or too long.
func (l *lane) pageDone(task *cursor.Task) (done, long bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cursor.PageDone(task)
	l.throttling.ended(nil, time.Now()) // however the task ends
	l.publish()
	return task.Complete(), l.cursor.Long(task)
}

// page reads one page and hands its runs to the pipeline.
func (l *lane) page(ctx context.Context, task *cursor.Task, next string) (langsmith.Page, error) {
	background := inBackground(task)
	if background {
		if !enter(ctx, l.bulk) {
			return langsmith.Page{}, ctx.Err()
		}
		defer leave(l.bulk)
	}
	if !enter(ctx, l.slots) {
		return langsmith.Page{}, ctx.Err()
	}
	defer leave(l.slots)
	if !l.pipeline.open(ctx) {
		return langsmith.Page{}, ctx.Err()
	}
	q := l.query(task, next)
	now := l.now()
	var c counts
	page, err := l.Source.QueryRuns(ctx, q, func(run *langsmith.Run) error {
		c.fetched++
		l.row(task, run, now, &c)
		if l.batch.full() {
			return l.flush(ctx)
		}
		return nil
	})
	for _, s := range page.Skipped {
		l.Meters.addWith(l.Meters.builder.ReceiverLangsmithRunsSkipped, s.Count, "reason", s.Reason)
		l.health.notice("skipped "+s.Reason, "a run of LangSmith cannot be read and is left out; runs_skipped counts them", zap.String("reason", s.Reason),
			zap.String("run_id", s.ID.String()), zap.String("project", *l.name.Load()))
	}
	c.record(l.Meters)
	// What was read in full goes out even if the page broke off.
	if flushed := l.flush(ctx); flushed != nil {
		return page, flushed
	}
	var e *langsmith.Error
	if errors.As(err, &e) && e.ShrinkPage() { // the client asks for less the next time
		l.Meters.add(l.Meters.builder.ReceiverLangsmithPageShrinks, 1)
	}
	return page, err
}

// enter takes a place, or returns false when the context ends first.
func enter(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func leave(places chan struct{}) { <-places }

// query is the request for one page of a task.
func (l *lane) query(task *cursor.Task, next string) langsmith.RunQuery {
	l.mu.Lock() // another lane may take a part of the window
	defer l.mu.Unlock()
	if next == "" {
		l.asked = task.Window
	}
	q := langsmith.RunQuery{
		ProjectID: l.id, IDs: task.IDs, MinStart: l.asked.From, MaxStart: l.asked.To,
		Fields: l.translator.Fields(), Cursor: next, Background: inBackground(task),
	}
	if task.Kind == cursor.KindSweep || task.Kind == cursor.KindReconcile {
		q.Fields = langsmith.FieldsIdentity
		if l.cursor.Revises(task) { // what a revision is made of
			q.Fields |= langsmith.FieldStructure | langsmith.FieldUsage
		}
	}
	if task.Kind != cursor.KindRecheck {
		q.Filter, q.TraceFilter, q.TreeFilter = l.Filter, l.TraceFilter, l.TreeFilter
	}
	return q
}

// row decides about one run of a page, and translates it if it goes out.
func (l *lane) row(task *cursor.Task, run *langsmith.Run, now langsmith.Time, c *counts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	decision := l.cursor.Observe(task, run, now)
	if decision.Late {
		c.late++
	}
	if decision.Recovered {
		c.recovered++
	}
	switch decision.Action {
	case cursor.Emit:
		if l.fresh && run.End != 0 {
			l.batch.ends = append(l.batch.ends, run.End)
		}
		l.add(run, decision.Entry)
		return
	case cursor.EmitUnfinished:
		c.unfinished++
		l.addUnfinished(run, decision.Entry)
	case cursor.Duplicate:
		c.duplicate++
	case cursor.Updated:
		c.updated++
	case cursor.EmitUpdated:
		c.updated++
		l.add(run, decision.Entry)
	case cursor.NoID:
		c.noID++
	case cursor.NoStart:
		c.noStart++
	}
	// The children of a run that does not go out now may do so.
	l.translator.Learn(run, l.target())
}

func (l *lane) target() translate.Target {
	return translate.Target{ProjectID: l.id, ProjectName: *l.name.Load(), Lineage: &l.lineage}
}

// counts collects what is counted of a page, so that metrics are touched once a page and not once a run.
type counts struct {
	fetched, duplicate, updated, late, recovered, unfinished, noID, noStart int
}

func (c *counts) record(m *Meters) {
	m.add(m.builder.ReceiverLangsmithRunsFetched, c.fetched)
	m.add(m.builder.ReceiverLangsmithRunsDuplicate, c.duplicate)
	m.add(m.builder.ReceiverLangsmithRunsUpdated, c.updated)
	m.add(m.builder.ReceiverLangsmithRunsLate, c.late)
	m.add(m.builder.ReceiverLangsmithRunsRecovered, c.recovered)
	m.addWith(m.builder.ReceiverLangsmithRunsGivenUp, c.unfinished, "reason", "unfinished")
	m.addWith(m.builder.ReceiverLangsmithRunsSkipped, c.noID, "reason", langsmith.SkipNoID)
	m.addWith(m.builder.ReceiverLangsmithRunsSkipped, c.noStart, "reason", "no_start")
}
