package llmmetricsconnector

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
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

	// mu is held while a batch is counted and noted: notes are in the order of what they tell. What a batch counts depends on the batches before it, so a kill between the two notes must never leave the later one.
	mu sync.Mutex

	// Notes have numbers that never come again, and the saved totals hold the number of the first note that is not in them.
	// So it makes no difference whether a write that failed was done all the same.
	first     uint64   // the oldest note that may be in the storage
	next      uint64   // the number of the next note
	size      int      // of the notes in the storage
	unwritten [][]byte // the notes before the next one that may not be there

	// What the last save took.
	memorySize, stateSize int
}

// kept is what a keeper keeps beside the totals of an engine. Nothing else changes it while one of these is called, and no
// method but restore and replay takes as long as a millisecond.
type kept interface {
	// cut begins a copy of all of it as it is now, which changes in between do not change.
	cut()
	// step goes on with the copy and reports whether it is complete.
	step() bool
	// appendTo appends the complete copy, which nothing else looks at any more. It may take long, so others may change
	// what is kept meanwhile.
	appendTo(to []byte) []byte
	// restore continues what was appended, and reports whether it is sound. It is called before anything is added.
	restore(from []byte) bool
	// replay does again what the memory of a note says, and reports whether it is sound.
	replay(memory []byte) bool
	// noted is told each note that is written, one after another.
	noted(n *note)
	// resume is called when everything is restored.
	resume(now pcommon.Timestamp)
}

const (
	stateKey     = "state"
	stateVersion = 5

	// Bounds of the notes: reading them takes time at the next start.
	maxNotes     = 1000
	maxNotesSize = 4 << 20

	// maxUnwritten bounds what could not be noted: so few spans that nesting knows them all when they come again.
	maxUnwritten = 1 << 20
)

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
	state, err := k.client.Get(ctx, stateKey)
	if err != nil {
		return fmt.Errorf("reading the saved totals: %w", err)
	}
	if state == nil {
		return nil
	}
	if len(state) == 0 {
		return errDamaged
	}
	if state[0] != stateVersion {
		return fmt.Errorf("the saved totals have format %d, which this version does not know: use the version that saved them, or delete them from the storage to begin at zero", state[0])
	}
	next, used := binary.Uvarint(state[1:])
	if used <= 0 {
		return errDamaged
	}
	c := codec{buf: state[1+used:], reading: true}
	var memory []byte
	if c.bytes(&memory); c.failed || !k.memory.restore(memory) {
		return errDamaged
	}
	other := engine.RestoreState(c.buf)
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
	k.size += k.unwrittenSize()
	k.unwritten = nil
	return nil
}

func (k *keeper) unwrittenSize() (size int) {
	for _, note := range k.unwritten {
		size += len(note)
	}
	return size
}

// due reports whether there are so many notes that totals should be saved.
func (k *keeper) due() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next-k.first >= maxNotes || k.size >= maxNotesSize || len(k.unwritten) > 0
}

// save saves all totals and deletes the notes that are in them, in one write. Batches are counted and noted meanwhile. It
// must not run beside another one or a flush of the engine.
func (k *keeper) save(ctx context.Context, engine *llmmetrics.Engine) error {
	s := k.begin(engine)
	for !s.step() {
		runtime.Gosched() // to whoever waits for the lock
	}
	return s.commit(ctx)
}

// saving is a save under way: of all totals as they were when it began.
type saving struct {
	keeper *keeper
	totals *llmmetrics.Cut

	first, next uint64 // the notes that are in them
	unwritten   int    // the last ones of these, which may be written later
	size        int    // of the others
}

func (k *keeper) begin(engine *llmmetrics.Engine) *saving {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.memory.cut()
	return &saving{
		keeper: k, totals: engine.Cut(),
		first: k.first, next: k.next, unwritten: len(k.unwritten), size: k.size,
	}
}

// step goes on with the copy and reports whether it is complete. Whoever waits for the lock waits for one step.
func (s *saving) step() bool {
	s.keeper.mu.Lock()
	defer s.keeper.mu.Unlock()
	return s.keeper.memory.step()
}

// commit writes what was copied.
func (s *saving) commit(ctx context.Context) error {
	k := s.keeper
	// Grown step by step, a state of megabytes would leave several times its size as garbage.
	memory := k.memory.appendTo(make([]byte, 0, k.memorySize+k.memorySize/8))
	k.memorySize = len(memory)
	state := append(make([]byte, 0, max(k.stateSize+k.stateSize/8, len(memory)+1024)), stateVersion)
	state = binary.AppendUvarint(state, s.next)
	c := codec{buf: state}
	c.bytes(&memory)
	state = s.totals.AppendTo(c.buf)
	k.stateSize = len(state)
	operations := []*storage.Operation{storage.SetOperation(stateKey, state)}
	for n := s.first; n < s.next; n++ {
		operations = append(operations, storage.DeleteOperation(noteKey(n)))
	}
	if err := k.client.Batch(ctx, operations...); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.first = s.next - uint64(s.unwritten) // these may have been written after they were deleted
	k.size -= s.size
	// What is left of them is in the totals.
	if oldest := k.next - uint64(len(k.unwritten)); oldest < s.next {
		k.unwritten = k.unwritten[s.next-oldest:]
	}
	return nil
}
