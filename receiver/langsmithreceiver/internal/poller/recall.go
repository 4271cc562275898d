package poller

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
)

// recall reads from storage what is remembered of the window of a task and not in memory.
func (l *lane) recall(ctx context.Context, task *cursor.Task) error {
	if l.Storage == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recalled(l.cursor.Recall(task, projectKey(l.owner.space, l.id), l.getFor(ctx)))
}

// recallAll is recall for all that is remembered. It needs the lock.
func (w *worker) recallAll(ctx context.Context) error {
	return w.recalled(w.cursor.RecallAll(projectKey(w.owner.space, w.id), w.getFor(ctx)))
}

func (p *Poller) getFor(ctx context.Context) func([]string) ([][]byte, error) {
	return func(keys []string) ([][]byte, error) { return p.get(ctx, keys) }
}

func (w *worker) recalled(lost int, err error) error {
	if lost > 0 {
		w.health.notice("lost ids/"+w.id.String(), "the storage lost ids of runs that went out; runs of their time that are not read yet are left out, since nobody can tell them apart",
			zap.Int("ids", lost), zap.String("project", *w.name.Load()), zap.String("storage", w.StorageID))
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("storage: cannot read what was stored in %s: %w", w.StorageID, err)
	}
	return err
}
