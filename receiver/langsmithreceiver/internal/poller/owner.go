package poller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
)

// ownerKey is where storage says who may write to it.
const ownerKey = "owner"

var errSuperseded = errors.New("another collector has taken over the storage")

// owner is who may write: the poller that started last. A storage has no locks, so one that was paused and wakes up
// has to find out by itself that it must not go on.
type owner struct {
	Term   uint64 `json:"term"`
	Writer string `json:"writer"`
}

// ownership is a poller's right to write to storage. It is safe for concurrent use.
type ownership struct {
	mu   sync.Mutex
	self owner
	held bool // storage said so
	lost bool // for good
}

// candidate reads who owns the storage, and prepares to succeed them.
func (o *ownership) candidate(ctx context.Context, client storage.Client) error {
	before, err := readOwner(ctx, client)
	if err != nil {
		return err
	}
	o.self = owner{Term: before.Term + 1, Writer: strconv.FormatUint(rand.Uint64(), 36)}
	return nil
}

// check fails unless the storage may be written to. The first call takes it over.
func (o *ownership) check(ctx context.Context, client storage.Client) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost {
		return errSuperseded
	}
	current, err := readOwner(ctx, client)
	switch {
	case err != nil:
		return err
	case current == o.self:
		o.held = true
		return nil
	case current.Term >= o.self.Term:
		o.lost = true
		return errSuperseded
	case o.held && current.Term != 0:
		// Somebody restored an older state of the storage while it was in use.
		o.lost = true
		return errSuperseded
	}
	value, err := json.Marshal(o.self)
	if err != nil {
		return err
	}
	if err := client.Set(ctx, ownerKey, value); err != nil {
		return err
	}
	o.held = true
	return nil
}

// readOwner returns the zero owner when there is none.
func readOwner(ctx context.Context, client storage.Client) (owner, error) {
	value, err := client.Get(ctx, ownerKey)
	if err != nil || value == nil {
		return owner{}, err
	}
	var o owner
	if err := json.Unmarshal(value, &o); err != nil {
		return owner{}, fmt.Errorf("%w: key %q", cursor.ErrCorrupt, ownerKey)
	}
	return o, nil
}

// mayWrite reports whether the storage may be written to. A poller that another one has succeeded stops.
func (p *Poller) mayWrite(ctx context.Context) error {
	err := p.owner.check(ctx, p.Storage)
	if errors.Is(err, errSuperseded) {
		p.superseded.Do(func() {
			p.health.problem("owner", "this collector stops reading: a newer one uses the same storage, and only one may", err, !p.Elected,
				zap.String("storage", p.StorageID))
			p.cancel()
		})
	}
	return err
}
