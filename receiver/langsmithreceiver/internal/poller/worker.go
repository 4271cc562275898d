package poller

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/translate"
)

// worker reads one project: what is urgent by itself, and the rest in lanes beside it.
type worker struct {
	*Poller
	id   langsmith.UUID
	name atomic.Pointer[string]

	// mu guards what the lanes share.
	mu         sync.Mutex
	cursor     *cursor.Project
	translator *translate.Translator
	lineage    translate.Lineage
	comparison comparison
	// urgentAt and backgroundAt are when reading goes on after a failure.
	urgent, background     backoff
	urgentAt, backgroundAt time.Time
	throttling             throttling

	// delivery is the place of the one batch that is on its way to the pipeline.
	delivery chan struct{}
	// wake tells the worker that there may be more to read beside what the lanes do.
	wake  chan struct{}
	lanes atomic.Int64

	// Owned by the goroutine that discovers projects.
	absent int
	stop   context.CancelFunc
	done   chan struct{}

	// losses is how many losses of the storage have been made good. It needs mu.
	losses int

	running                atomic.Bool
	safe, pending, windows atomic.Int64
	// unstored is since when something is to be stored, zero when all is.
	unstored atomic.Int64
}

func newWorker(p *Poller, project langsmith.Project, state *cursor.Project) *worker {
	w := &worker{
		Poller: p, id: project.ID, cursor: state, translator: translate.New(p.Translate), done: make(chan struct{}), delivery: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		urgent:     backoff{first: time.Second, most: 5 * time.Minute},
		background: backoff{first: 5 * time.Second, most: 5 * time.Minute},
	}
	w.name.Store(&project.Name)
	state.WaitFor(w.lineage.MissesParent)
	w.publish()
	return w
}

// key names the project among the problems of health, apiKey the API as this project sees it.
func (w *worker) key() string    { return "project " + w.id.String() }
func (w *worker) apiKey() string { return "api/" + w.id.String() }

// publish makes the state visible to the gauges. It needs mu once the worker runs.
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
	var lanes sync.WaitGroup
	defer lanes.Wait()
	sleep(ctx, time.Duration(w.chance()*float64(min(time.Second, w.Cursor.Interval/2))))
	for ctx.Err() == nil {
		urgent, background, rest := w.next()
		switch {
		case urgent != nil:
			w.run(ctx, urgent)
		case background != nil:
			w.lanes.Add(1)
			lanes.Go(func() {
				defer w.awake()
				defer w.lanes.Add(-1)
				w.run(ctx, background)
			})
		default:
			w.sleep(ctx, rest)
		}
	}
}

// next is what to read now, or how long there is nothing.
func (w *worker) next() (urgent, background *cursor.Task, rest time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	t := w.now()
	if !now.Before(w.urgentAt) {
		if urgent = w.cursor.Urgent(t); urgent != nil {
			return urgent, nil, 0
		}
	}
	rest = max(time.Duration(w.cursor.UrgentDue(t)-t), w.urgentAt.Sub(now))
	switch {
	case w.lanes.Load() >= int64(cap(w.bulk)): // the end of one wakes us up
	case now.Before(w.backgroundAt):
		rest = min(rest, w.backgroundAt.Sub(now))
	default:
		if background = w.cursor.Background(t); background != nil {
			return nil, background, 0
		}
		rest = min(rest, time.Duration(w.cursor.SweepDue(t)-t))
	}
	return nil, nil, max(rest, 10*time.Millisecond)
}

func (w *worker) awake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// sleep waits until something may be due.
func (w *worker) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-timer.C:
	}
}

// run reads a task to its end and draws the consequences.
func (w *worker) run(ctx context.Context, task *cursor.Task) {
	l := &lane{worker: w, batch: batch{keep: w.Consumer.Capabilities().MutatesData}, fresh: task.Kind != cursor.KindBackfill}
	err := l.read(ctx, task)
	w.save(ctx)
	if ctx.Err() == nil {
		w.settle(task, err)
	}
}

// settle draws the consequences of how a task ended.
func (w *worker) settle(task *cursor.Task, err error) {
	w.mu.Lock()
	wait, at := &w.urgent, &w.urgentAt
	if inBackground(task) {
		wait, at = &w.background, &w.backgroundAt
	}
	normal := w.throttling.ended(err, time.Now())
	if err == nil {
		wait.reset()
		w.mu.Unlock()
		w.health.resolved(w.key(), "project can be read again", zap.String("project", *w.name.Load()))
		w.health.resolved(w.apiKey(), "LangSmith can be read again")
		return
	}
	key := w.key()
	switch classify(err) {
	case transient:
		wait.first, key = time.Second, w.apiKey()
	case refused:
		wait.first, key = 30*time.Second, w.apiKey()
	default:
		wait.first = 30 * time.Second
	}
	*at = time.Now().Add(wait.next(retryAfter(err), w.chance()))
	if throttled(err) { // the same limit holds for both
		end := time.Now().Add(retryAfter(err))
		w.urgentAt, w.backgroundAt = later(w.urgentAt, end), later(w.backgroundAt, end)
	}
	w.mu.Unlock()
	if normal { // the request metrics and the lag show it
		return
	}
	w.complain(key, *w.name.Load(), "reading a LangSmith project failed; trying again", err, zap.String("project", *w.name.Load()),
		zap.Stringer("task", task.Kind))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// inBackground reports whether a task can wait for others.
func inBackground(task *cursor.Task) bool {
	return task.Kind != cursor.KindLive && task.Kind != cursor.KindRecheck
}
