package poller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/otelcol-langsmith/otelcol-langsmith/receiver/langsmithreceiver/internal/cursor"
)

// ownerKey is where storage says who may write to it.
const ownerKey = "owner"

// confirmAfter is how long a poller trusts that nobody has succeeded it, before it hands on what it has read.
const confirmAfter = 5 * time.Second

var (
	errSuperseded = errors.New("another collector has taken over the storage")
	errDisowned   = errors.New("somebody emptied the storage or reset it to an older state; storing everything again")
)

// owner is who may write: the poller that started last. A storage has no locks, and no write that depends on what is
// there. So a poller that was paused and wakes up has to find out by itself that it must not go on, and a write that it
// had begun must do no harm: each owner writes under keys of its own, and nobody reads those of a former one any more.
type owner struct {
	Term   uint64 `json:"term"`
	Writer string `json:"writer"`
	// Space begins the keys that the owner writes.
	Space string `json:"space,omitempty"`
	// From are the spaces of former owners, the last first. As long as there is no header in this one's, the state counts
	// that is in the first of them that has one.
	From []string `json:"from,omitempty"`
	// Continues says that one of them has.
	Continues bool `json:"continues,omitempty"`
}

func (o owner) is(other owner) bool { return o.Term == other.Term && o.Writer == other.Writer }

// ownership is a poller's right to write to storage. It is safe for concurrent use.
type ownership struct {
	// space begins the keys that this poller writes, former those that earlier ones wrote, and from, which is one of
	// these, those of the state that counts. They are set before anything is written.
	space, from string
	former      []string

	mu   sync.Mutex
	self owner
	held bool // storage said so
	lost bool // for good
	// losses is how often storage lost what was written to it.
	losses int
	// confirmed is when storage said last that this is the owner.
	confirmed time.Time
}

// candidate prepares to succeed the owner.
func (o *ownership) candidate(ctx context.Context, client storage.Client) error {
	before, err := readOwner(ctx, client)
	if err != nil {
		return err
	}
	o.self = owner{Term: before.Term + 1, Writer: strconv.FormatUint(rand.Uint64(), 36), Continues: before.Continues}
	o.space = strconv.FormatUint(o.self.Term, 10) + "-" + o.self.Writer + "/"
	o.self.Space = o.space
	o.former = append([]string{before.Space}, before.From...)
	header, err := o.header(ctx, client)
	if header != nil { // what was before that one will not count again
		o.former = o.former[:slices.Index(o.former, o.from)+1]
		o.self.Continues = true
	}
	o.self.From = o.former
	return err
}

// header returns the header that counts, nil when nothing is stored.
func (o *ownership) header(ctx context.Context, client storage.Client) ([]byte, error) {
	for _, o.from = range o.former {
		if header, err := client.Get(ctx, o.from+headerKey); err != nil || header != nil {
			return header, err
		}
	}
	if o.self.Continues {
		return nil, fmt.Errorf("%w: key %q", cursor.ErrCorrupt, o.from+headerKey)
	}
	return nil, nil
}

// claim takes the storage over, or takes it back when somebody reset it. It fails when another poller was faster.
func (o *ownership) claim(ctx context.Context, client storage.Client) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost {
		return errSuperseded
	}
	current, err := readOwner(ctx, client)
	if err != nil {
		return err
	}
	switch {
	case o.held && current.is(o.self):
		return nil
	case current.Term > o.self.Term, !o.held && current.Term == o.self.Term && !current.is(o.self):
		o.lost = true
		return errSuperseded
	case o.held && current.Term == o.self.Term:
		// Another poller had read the owner before this one took over, and was paused until now: it knows nothing of
		// what was read since.
		o.self.Term++
	}
	if o.held {
		o.losses++
		// All is stored again. Until it is, what is there counts: the state that this poller began with, and what the
		// storage was reset to, or the other poller made of it.
		o.self.From = o.alternatives(current)
		o.self.Continues = false
	}
	value, err := json.Marshal(o.self)
	if err != nil {
		return err
	}
	if err := client.Set(ctx, ownerKey, value); err != nil {
		return err
	}
	if current, err = readOwner(ctx, client); err != nil {
		return err
	}
	if !current.is(o.self) {
		o.lost = true
		return errSuperseded
	}
	o.held, o.confirmed = true, time.Now()
	return nil
}

// alternatives are the spaces of another owner and of former ones, without this poller's own. It needs the lock.
func (o *ownership) alternatives(other owner) (spaces []string) {
	for _, space := range slices.Concat([]string{other.Space}, other.From, o.self.From) {
		if space != o.space && !slices.Contains(spaces, space) {
			spaces = append(spaces, space)
		}
	}
	return spaces
}

// forgo says that nothing was written, so that owners who come and go before they have a state leave no spaces behind
// that all later ones have to look into.
func (o *ownership) forgo(ctx context.Context, client storage.Client) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.held || o.lost || o.losses > 0 {
		return nil
	}
	current, err := readOwner(ctx, client)
	if err != nil || !current.is(o.self) {
		return err
	}
	o.self.Space, o.self.From = o.former[0], o.former[1:]
	value, err := json.Marshal(o.self)
	if err != nil {
		return err
	}
	return client.Set(ctx, ownerKey, value)
}

// confirm judges what storage holds as its owner.
func (o *ownership) confirm(value []byte) error {
	current, err := decodeOwner(value)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.lost:
		return errSuperseded
	case current.is(o.self):
		o.confirmed = time.Now()
		return nil
	case current.Term > o.self.Term:
		o.lost = true
		return errSuperseded
	}
	return errDisowned
}

// state returns whether the storage is held, how often it lost what was written, and when it said last who the owner is.
func (o *ownership) state() (held bool, losses int, confirmed time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.held, o.losses, o.confirmed
}

// readOwner returns the zero owner when there is none.
func readOwner(ctx context.Context, client storage.Client) (owner, error) {
	value, err := client.Get(ctx, ownerKey)
	if err != nil {
		return owner{}, err
	}
	return decodeOwner(value)
}

func decodeOwner(value []byte) (owner, error) {
	if value == nil {
		return owner{}, nil
	}
	var o owner
	if err := json.Unmarshal(value, &o); err != nil {
		return owner{}, fmt.Errorf("%w: key %q", cursor.ErrCorrupt, ownerKey)
	}
	return o, nil
}

// write stores what belongs together, unless another poller has taken over. It may find that out afterwards; what it
// wrote then is where nobody reads.
func (p *Poller) write(ctx context.Context, ops []*storage.Operation) error {
	owner := storage.GetOperation(ownerKey)
	err := p.Storage.Batch(ctx, append(ops, owner)...)
	if err == nil {
		err = p.owner.confirm(owner.Value)
	}
	if errors.Is(err, errDisowned) {
		if err := p.claim(ctx); err != nil {
			return err
		}
	}
	return p.noticed(err)
}

// claim makes this poller the owner, if it is not yet.
func (p *Poller) claim(ctx context.Context) error { return p.noticed(p.owner.claim(ctx, p.Storage)) }

// forgo leaves the storage as it was found, as far as possible. It is for a poller that has written no state and will not.
func (p *Poller) forgo(ctx context.Context) {
	if p.Storage == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer stop()
	_ = p.owner.forgo(ctx, p.Storage) // the next owner looks into one more space then
}

// owns reports whether nobody has succeeded this poller. A storage that does not answer says nothing against it.
func (p *Poller) owns(ctx context.Context) bool {
	if p.Storage == nil {
		return true
	}
	if held, _, confirmed := p.owner.state(); held && time.Since(confirmed) > confirmAfter {
		if value, err := p.Storage.Get(ctx, ownerKey); err == nil {
			return !errors.Is(p.noticed(p.owner.confirm(value)), errSuperseded)
		}
	}
	return true
}

// noticed has a poller stop that another one has succeeded.
func (p *Poller) noticed(err error) error {
	if errors.Is(err, errSuperseded) {
		p.superseded.Do(func() {
			p.health.problem("owner", "this collector stops reading: a newer one uses the same storage, and only one may", err, !p.Elected,
				zap.String("storage", p.StorageID))
			p.health.settled() // the end of reading silences it
			p.giveUp()
		})
	}
	return err
}
