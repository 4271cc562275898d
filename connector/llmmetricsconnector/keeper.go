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

	// batches is held for reading while a batch is counted and noted, and for writing while totals are saved.
	batches sync.RWMutex

	mu         sync.Mutex // one note after another, so that there is never a gap
	generation uint64     // of the saved totals
	notes      uint64     // since they were saved
	size       int        // of the notes
	unwritten  []byte     // what could not be noted
}

// note is what a batch adds.
type note struct {
	calls   []byte // what nesting was told
	journal []byte // of the engine
}

const (
	stateKey     = "state"
	stateVersion = 1

	// Bounds of the notes: reading them takes time at the next start.
	maxNotes     = 1000
	maxNotesSize = 4 << 20
)

// Kinds of calls in a note.
const (
	noteFirst byte = iota
	noteModelCall
	noteChild
)

const noteCallSize = 1 + 16 + 8 + 8

func (n *note) call(kind byte, trace pcommon.TraceID, span, parent pcommon.SpanID) {
	n.calls = append(n.calls, kind)
	n.calls = append(n.calls, trace[:]...)
	n.calls = append(n.calls, span[:]...)
	n.calls = append(n.calls, parent[:]...)
}

// appendTo appends the note in a form that can be followed by others.
func (n *note) appendTo(to []byte) []byte {
	to = binary.AppendUvarint(to, uint64(len(n.calls)))
	to = append(to, n.calls...)
	to = binary.AppendUvarint(to, uint64(len(n.journal)))
	return append(to, n.journal...)
}

// openStorage returns a client of the storage extension.
func openStorage(ctx context.Context, host component.Host, connector, id component.ID) (storage.Client, error) {
	extension, ok := host.GetExtensions()[id]
	if !ok {
		return nil, fmt.Errorf("storage: there is no extension %q: define it under extensions and list it in service::extensions", id)
	}
	s, ok := extension.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage: extension %q does not store anything: use one such as file_storage", id)
	}
	client, err := s.GetClient(ctx, component.KindConnector, connector, "")
	if err != nil {
		return nil, fmt.Errorf("storage: cannot open extension %q: %w", id, err)
	}
	return client, nil
}

func (k *keeper) noteKey(n uint64) string {
	return "note/" + strconv.FormatUint(k.generation, 10) + "/" + strconv.FormatUint(n, 10)
}

var errDamaged = errors.New("the saved totals are damaged: delete them from the storage, or name another one, to begin at zero")

// load brings engine and nesting, both new, to where they were. It returns [llmmetrics.ErrOtherConfig] when the totals
// cannot be continued; the engine must then be replaced.
func (k *keeper) load(ctx context.Context, engine *llmmetrics.Engine, nesting *nesting) error {
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
		return fmt.Errorf("the saved totals have version %d, which this version does not know: use a newer version", state[0])
	}
	generation, used := binary.Uvarint(state[1:])
	if used <= 0 {
		return errDamaged
	}
	k.generation = generation
	rest, ok := nesting.restore(state[1+used:])
	if !ok {
		return errDamaged
	}
	other := engine.RestoreState(rest)
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
		if other == nil && !replay(notes, engine, nesting) {
			return errDamaged
		}
	}
}

// replay does again what notes say.
func replay(notes []byte, engine *llmmetrics.Engine, nesting *nesting) bool {
	part := func() []byte {
		n, used := binary.Uvarint(notes)
		if used <= 0 || n > uint64(len(notes)-used) {
			notes = nil
			return nil
		}
		p := notes[used : used+int(n)]
		notes = notes[used+int(n):]
		return p
	}
	for len(notes) > 0 {
		calls := part()
		if calls == nil || len(calls)%noteCallSize != 0 {
			return false
		}
		for ; len(calls) > 0; calls = calls[noteCallSize:] {
			trace, span, parent := pcommon.TraceID(calls[1:17]), pcommon.SpanID(calls[17:25]), pcommon.SpanID(calls[25:33])
			switch calls[0] {
			case noteFirst:
				nesting.first(trace, span)
			case noteModelCall:
				nesting.modelCall(trace, span, parent)
			case noteChild:
				nesting.hasChild(trace, parent)
			default:
				return false
			}
		}
		journal := part()
		if journal == nil || engine.Replay(journal) != nil {
			return false
		}
	}
	return true
}

// write writes a note. When it fails, the note goes with the next one: its batch is counted already, and known when it
// comes again.
func (k *keeper) write(ctx context.Context, n *note) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(n.calls) == 0 && len(n.journal) == 0 && len(k.unwritten) == 0 {
		return nil
	}
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
func (k *keeper) save(ctx context.Context, engine *llmmetrics.Engine, nesting *nesting) error {
	k.batches.Lock()
	defer k.batches.Unlock()
	state := []byte{stateVersion}
	state = binary.AppendUvarint(state, k.generation+1)
	state = nesting.appendTo(state)
	state = engine.AppendState(state)
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
