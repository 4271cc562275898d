package llmmetricsconnector

import (
	"context"
	"encoding/binary"
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

	// mu is held while a batch is counted and noted, and while totals are saved: notes are in the order of what they tell.
	// What a batch counts depends on the batches before it, so a kill between the two notes must never leave the later one.
	mu         sync.Mutex
	generation uint64 // of the saved totals
	notes      uint64 // since they were saved
	size       int    // of the notes
	unwritten  []byte // what could not be noted

	// What the last save took.
	memorySize, stateSize int
}

// kept is what a keeper keeps beside the totals of an engine. Nothing else changes it while one of these is called.
type kept interface {
	// appendTo appends all of it.
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
	stateVersion = 3

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

func (k *keeper) noteKey(n uint64) string {
	return "note/" + strconv.FormatUint(k.generation, 10) + "/" + strconv.FormatUint(n, 10)
}

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
	generation, used := binary.Uvarint(state[1:])
	if used <= 0 {
		return errDamaged
	}
	k.generation = generation
	c := codec{buf: state[1+used:], reading: true}
	var memory []byte
	if c.bytes(&memory); c.failed || !k.memory.restore(memory) {
		return errDamaged
	}
	other := engine.RestoreState(c.buf)
	if other != nil && !errors.Is(other, llmmetrics.ErrOtherConfig) {
		return errDamaged
	}
	for k.notes = 0; ; k.notes++ {
		notes, err := k.client.Get(ctx, k.noteKey(k.notes))
		if err != nil {
			return fmt.Errorf("reading notes: %w", err)
		}
		if notes == nil {
			return other
		}
		if other == nil && !k.replay(notes, engine) {
			return errDamaged
		}
	}
}

// replay does again what notes say.
func (k *keeper) replay(notes []byte, engine *llmmetrics.Engine) bool {
	c := codec{buf: notes, reading: true}
	for len(c.buf) > 0 {
		var memory, journal []byte
		c.bytes(&memory)
		if c.bytes(&journal); c.failed || !k.memory.replay(memory) || engine.Replay(journal) != nil {
			return false
		}
	}
	return !c.failed
}

// count counts something and notes it. When the storage has failed for long, nothing is counted: what comes would fill
// the memory.
func (k *keeper) count(ctx context.Context, count func(*note)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.unwritten) >= maxUnwritten {
		if err := k.write(ctx, &note{}); err != nil {
			return err
		}
	}
	var n note
	count(&n)
	return k.write(ctx, &n)
}

// write writes a note; it needs the lock. When it fails, the note goes with the next one: its batch is counted already,
// and known when it comes again.
func (k *keeper) write(ctx context.Context, n *note) error {
	if n.empty() && len(k.unwritten) == 0 {
		return nil
	}
	k.memory.noted(n)
	value := n.appendTo(k.unwritten)
	if err := k.client.Set(ctx, k.noteKey(k.notes), value); err != nil {
		k.unwritten = value
		return fmt.Errorf("storage: %w", err)
	}
	k.unwritten = nil
	k.notes++
	k.size += len(value)
	return nil
}

// due reports whether there are so many notes that totals should be saved.
func (k *keeper) due() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.notes >= maxNotes || k.size >= maxNotesSize || len(k.unwritten) > 0
}

// save saves all totals and deletes the notes, in one write.
func (k *keeper) save(ctx context.Context, engine *llmmetrics.Engine) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	// Grown step by step, a state of megabytes would leave several times its size as garbage.
	memory := k.memory.appendTo(make([]byte, 0, k.memorySize+k.memorySize/8))
	k.memorySize = len(memory)
	state := append(make([]byte, 0, max(k.stateSize+k.stateSize/8, len(memory)+1024)), stateVersion)
	state = binary.AppendUvarint(state, k.generation+1)
	c := codec{buf: state}
	c.bytes(&memory)
	state = engine.AppendState(c.buf)
	k.stateSize = len(state)
	operations := []*storage.Operation{storage.SetOperation(stateKey, state)}
	for n := range k.notes {
		operations = append(operations, storage.DeleteOperation(k.noteKey(n)))
	}
	if err := k.client.Batch(ctx, operations...); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	k.generation++
	k.notes, k.size, k.unwritten = 0, 0, nil
	return nil
}
