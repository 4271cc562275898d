package llmmetricsconnector

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// keeper keeps totals in a storage, so that they continue after a restart or a kill. Every batch is noted there before
// it is acknowledged: what it adds and the ids of its spans in one value, so that a batch that comes again after a
// kill is known. Now and then all totals are saved, and the notes deleted.
type keeper struct {
	client storage.Client
	memory kept

	// mu is held while a batch is counted and noted: notes are in the order of what they tell. What a batch counts depends
	// on the batches before it, so a kill between the two notes must never leave the later one.
	mu sync.Mutex

	// Notes have numbers that never come again, and the saved totals hold the number of the first note that is not in them.
	// So it makes no difference whether a write that failed was done all the same.
	first     uint64   // the oldest note that may be in the storage
	next      uint64   // the number of the next note
	size      int      // of the notes in the storage
	room      int      // size from which totals should be saved
	unwritten [][]byte // the notes before the next one that may not be there

	crowded chan struct{} // told when there is no room left

	// Of the save under way.
	saves   uint64   // the number of the last one
	pieces  []string // keys of what may be the totals
	garbage []string // keys to delete
}

// kept is what a keeper keeps beside the totals of an engine. Nothing else changes it while one of these is called, and no
// method but restore and replay takes as long as a millisecond, unless it says otherwise.
type kept interface {
	// prepare makes room for a copy. Making room may take long, so others may change what is kept meanwhile.
	prepare()
	// cut begins a copy of all of it as it is now, which changes in between do not change.
	cut()
	// step goes on with the copy and reports whether it is complete.
	step() bool
	// copied hands over the complete copy, in parts which follow one another. It may take long, so others may change what is
	// kept meanwhile.
	copied() [][]byte
	// restore continues what was copied, and reports whether it is sound. It is called before anything is added.
	restore(from []byte) bool
	// replay does again what the memory of a note says, and reports whether it is sound.
	replay(memory []byte) bool
	// noted is told each note that is written, one after another.
	noted(n *note)
	// resume is called when everything is restored.
	resume(now pcommon.Timestamp)
}

const (
	// minRoom is what notes may have at least before totals are saved: about as much as is written then. Where totals are
	// larger, notes may be as large as they, so that all saves together write no more than all notes do.
	minRoom = 1 << 20
	// maxNotes is how many there may be at a flush, however small: reading them takes time at the next start.
	maxNotes = 1000
	// noteKeySize is about what a note takes in a storage beside its content.
	noteKeySize = 64

	// maxUnwritten bounds what could not be noted: so few spans that nesting knows them all when they come again.
	maxUnwritten = 1 << 20
)

func newKeeper(client storage.Client, memory kept) *keeper {
	return &keeper{client: client, memory: memory, room: minRoom, crowded: make(chan struct{}, 1)}
}

// openStorage returns a client of the storage extension.
func openStorage(ctx context.Context, host component.Host, connector, id component.ID, name string) (storage.Client, error) {
	extension, ok := host.GetExtensions()[id]
	if !ok {
		return nil, fmt.Errorf("storage: there is no extension %q: define it under extensions and list it in service::extensions", id)
	}
	s, ok := extension.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage: extension %q does not store anything: use one such as file_storage", id)
	}
	client, err := s.GetClient(ctx, component.KindConnector, connector, name)
	if err != nil {
		return nil, fmt.Errorf("storage: cannot open extension %q: %w", id, err)
	}
	return client, nil
}

func noteKey(n uint64) string { return "note/" + strconv.FormatUint(n, 10) }

var errDamaged = errors.New("the saved totals are damaged: delete them from the storage, or name another one, to begin at zero")

// load brings engine and memory, both new, to where they were. It returns [llmmetrics.ErrOtherConfig] when the totals
// cannot be continued; the engine must then be replaced.
func (k *keeper) load(ctx context.Context, engine *llmmetrics.Engine, now pcommon.Timestamp) error {
	defer k.memory.resume(now)
	memory, state, next, err := k.loadState(ctx)
	switch {
	case errors.Is(err, errDamaged):
		return err
	case err != nil:
		return fmt.Errorf("reading the saved totals: %w", err)
	case state == nil:
		return nil
	case !k.memory.restore(memory):
		return errDamaged
	}
	other := engine.RestoreState(state)
	if other != nil && !errors.Is(other, llmmetrics.ErrOtherConfig) {
		return errDamaged
	}
	// Totals may have been saved and their notes not deleted.
	for k.first = next; k.first > 0; k.first-- {
		if note, err := k.client.Get(ctx, noteKey(k.first-1)); err != nil {
			return fmt.Errorf("reading notes: %w", err)
		} else if note == nil {
			break
		}
	}
	for k.next = next; ; k.next++ {
		note, err := k.client.Get(ctx, noteKey(k.next))
		if err != nil {
			return fmt.Errorf("reading notes: %w", err)
		}
		if note == nil {
			return other
		}
		if other == nil && !k.replay(note, engine) {
			return errDamaged
		}
	}
}

// replay does again what a note says.
func (k *keeper) replay(note []byte, engine *llmmetrics.Engine) bool {
	c := codec{buf: note, reading: true}
	var memory, journal []byte
	c.bytes(&memory)
	c.bytes(&journal)
	return !c.failed && len(c.buf) == 0 && k.memory.replay(memory) && engine.Replay(journal) == nil
}

// count counts something and notes it. When the storage has failed for long, nothing is counted: what comes would fill
// the memory.
func (k *keeper) count(ctx context.Context, count func(*note)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.unwrittenSize() >= maxUnwritten {
		if err := k.write(ctx, &note{}); err != nil {
			return err
		}
	}
	var n note
	count(&n)
	return k.write(ctx, &n)
}

// write writes a note; it needs the lock. When it fails, the note is written with the next one: its batch is counted
// already, and known when it comes again.
func (k *keeper) write(ctx context.Context, n *note) error {
	if !n.empty() {
		k.memory.noted(n)
		k.unwritten = append(k.unwritten, n.appendTo(nil))
		k.next++
	}
	var err error
	switch at := k.next - uint64(len(k.unwritten)); len(k.unwritten) {
	case 0:
		return nil
	case 1:
		err = k.client.Set(ctx, noteKey(at), k.unwritten[0])
	default:
		operations := make([]*storage.Operation, len(k.unwritten))
		for i, note := range k.unwritten {
			operations[i] = storage.SetOperation(noteKey(at+uint64(i)), note)
		}
		err = k.client.Batch(ctx, operations...)
	}
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	k.size += k.unwrittenSize() + noteKeySize*len(k.unwritten)
	k.unwritten = nil
	if k.size >= k.room {
		select {
		case k.crowded <- struct{}{}:
		default: // it was told already
		}
	}
	return nil
}

func (k *keeper) unwrittenSize() (size int) {
	for _, note := range k.unwritten {
		size += len(note)
	}
	return size
}

// full reports whether notes are so large that totals should be saved at once.
func (k *keeper) full() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.size >= k.room
}

// due reports whether there are so many notes that totals should be saved with a flush.
func (k *keeper) due() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next-k.first >= maxNotes || k.size >= k.room || len(k.unwritten) > 0
}
