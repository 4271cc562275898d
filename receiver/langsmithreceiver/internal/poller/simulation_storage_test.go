package poller

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
)

// disk is a storage that survives its clients.
type disk struct {
	mu     sync.Mutex
	values map[string][]byte
}

// size is how many values there are, and how large they are with their keys.
func (d *disk) size() (values, bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key, value := range d.values {
		bytes += len(key) + len(value)
	}
	return len(d.values), bytes
}

// client writes to a disk until it is frozen, which is how a process looks from outside that was killed.
type client struct {
	*disk
	*ledger // may be nil
	frozen  bool
	fault   func() error
	unread  func() error // decides about what only reads
	wrote   func()
	writes  int
	held    chan struct{}
}

var _ storage.Client = (*client)(nil)

func (c *client) freeze() {
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	c.frozen = true
}

func (c *client) breaks(fault func() error) {
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	c.fault = fault
}

func (c *client) breaksReads(fault func() error) {
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	c.unread = fault
}

// holdWrite has the next write wait before it is carried out, as that of a process that is paused.
func (c *client) holdWrite(until chan struct{}) {
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	c.held = until
}

func (c *client) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := c.Batch(ctx, op)
	return op.Value, err
}

func (c *client) Set(ctx context.Context, key string, value []byte) error {
	return c.Batch(ctx, storage.SetOperation(key, value))
}

func (c *client) Delete(ctx context.Context, key string) error {
	return c.Batch(ctx, storage.DeleteOperation(key))
}

func (c *client) Close(context.Context) error { return nil }

func (c *client) Batch(ctx context.Context, ops ...*storage.Operation) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	write := slices.ContainsFunc(ops, func(op *storage.Operation) bool { return op.Type != storage.Get })
	c.disk.mu.Lock()
	defer c.disk.mu.Unlock()
	if held := c.held; write && held != nil {
		c.disk.mu.Unlock()
		<-held
		c.disk.mu.Lock()
	}
	if !write && c.unread != nil {
		if err := c.unread(); err != nil {
			return err
		}
	}
	if write {
		c.writes++
		if c.frozen {
			return errors.New("killed")
		}
		if c.fault != nil {
			if err := c.fault(); err != nil {
				return err
			}
		}
	}
	wrote := map[string]string{}
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = slices.Clone(c.values[op.Key])
		case storage.Set:
			c.values[op.Key] = slices.Clone(op.Value)
			c.counts(op.Key, wrote)
		case storage.Delete:
			delete(c.values, op.Key)
		}
	}
	for project, key := range wrote {
		c.stored(project, c.holds(key))
	}
	if write && c.wrote != nil {
		c.wrote()
	}
	return nil
}

// counts adds the projects whose checkpoint counts from the write of a key on: its own if there is a header beside it, and
// all if the key is that of the header. It needs the disk's lock.
func (c *client) counts(key string, wrote map[string]string) {
	if c.ledger == nil {
		return
	}
	if space, ok := strings.CutSuffix(key, headerKey); ok {
		for other := range c.values {
			if project, ok := strings.CutPrefix(other, space+"project/"); ok && !strings.Contains(project, "/") {
				wrote[project] = other
			}
		}
		return
	}
	space, project, ok := strings.Cut(key, "project/")
	if _, begun := c.values[space+headerKey]; ok && begun && !strings.Contains(project, "/") {
		wrote[project] = key
	}
}

// holds returns whether a run is among those that the project stored under a key remembers. It needs the disk's lock.
func (d *disk) holds(key string) func(id string, start langsmith.Time) bool {
	p, err := cursor.Load(cursor.Config{}, key, func(keys []string) ([][]byte, error) {
		values := make([][]byte, len(keys))
		for i, key := range keys {
			values[i] = d.values[key]
		}
		return values, nil
	})
	return func(id string, start langsmith.Time) bool {
		u, wrong := langsmith.ParseUUID(id)
		if p == nil || err != nil || wrong != nil {
			return false
		}
		switch p.Observe(&cursor.Task{Kind: cursor.KindRecheck}, &langsmith.Run{ID: u, Start: start}, start).Action {
		case cursor.Duplicate, cursor.Updated:
			return true
		}
		return false
	}
}
