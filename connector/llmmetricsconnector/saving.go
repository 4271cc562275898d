package llmmetricsconnector

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"runtime"
	"slices"
	"strconv"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/llmmetrics"
)

// saving is a save under way: of all totals as they were when it began.
type saving struct {
	keeper *keeper
	totals *llmmetrics.Cut

	number      uint64
	first, next uint64 // the notes that are in them
	unwritten   int    // the last ones of these, which may be written later
	size        int    // of the others
	saved       int    // size of what is saved
}

const (
	stateKey     = "state" // names the pieces of the totals
	stateVersion = 7

	// What a write of a save has at most, since batches wait for it that are noted meanwhile.
	pieceSize  = 128 << 10
	maxDeleted = 256

	// maxLost is how many numbers before and after that of the totals are searched for pieces that a kill left.
	maxLost = 8
)

// pieceKey is the key of one piece of the totals. The number is of the save, so no piece is ever written over.
func pieceKey(number uint64, piece int) string {
	return stateKey + "/" + strconv.FormatUint(number, 10) + "/" + strconv.Itoa(piece)
}

// checksum goes on with a checksum.
func checksum(sum uint32, piece []byte) uint32 {
	return crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), piece)
}

// save saves all totals and deletes the notes that are in them. Batches are counted and noted meanwhile. It must not run
// beside another one or a flush of the engine.
func (k *keeper) save(ctx context.Context, engine *llmmetrics.Engine) error {
	s := k.begin(engine)
	for !s.step() {
		runtime.Gosched() // to whoever waits for the lock
	}
	if err := s.commit(ctx); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

func (k *keeper) begin(engine *llmmetrics.Engine) *saving {
	k.memory.prepare()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.memory.cut()
	k.saves++
	return &saving{
		keeper: k, totals: engine.Cut(), number: k.saves,
		first: k.first, next: k.next, unwritten: len(k.unwritten), size: k.size,
	}
}

// step goes on with the copy and reports whether it is complete. Whoever waits for the lock waits for one step.
func (s *saving) step() bool {
	s.keeper.mu.Lock()
	defer s.keeper.mu.Unlock()
	return s.keeper.memory.step()
}

// commit writes what was copied, piece by piece, and then which pieces it is: only that makes them the totals.
func (s *saving) commit(ctx context.Context) error {
	k := s.keeper
	parts := k.memory.copied()
	memory := sizeOf(parts)
	parts = append(parts, s.totals.AppendTo(nil)) // which ends the copy
	s.saved = sizeOf(parts)
	if err := k.clean(ctx); err != nil {
		return err
	}
	var keys []string
	sum := uint32(0)
	for _, piece := range piecesOf(parts) {
		sum = checksum(sum, piece)
		keys = append(keys, pieceKey(s.number, len(keys)))
		if err := k.client.Set(ctx, keys[len(keys)-1], piece); err != nil {
			k.garbage = append(k.garbage, keys...)
			return err
		}
	}
	head := []byte{stateVersion}
	for _, n := range []uint64{s.next, s.number, uint64(len(keys)), uint64(sum), uint64(memory)} {
		head = binary.AppendUvarint(head, n)
	}
	former := k.pieces
	k.pieces = append(slices.Clip(former), keys...)
	if err := k.client.Set(ctx, stateKey, head); err != nil {
		return err // which may have been done all the same
	}
	k.pieces = keys
	for n := s.first; n < s.next; n++ {
		k.garbage = append(k.garbage, noteKey(n))
	}
	slices.Reverse(former)
	k.garbage = append(k.garbage, former...)
	s.forget()
	return k.clean(ctx)
}

// clean deletes what is of no use any more: of notes the first ones first, of pieces the last ones, so that what is left is
// found at the next start.
func (k *keeper) clean(ctx context.Context) error {
	for len(k.garbage) > 0 {
		some := k.garbage[:min(len(k.garbage), maxDeleted)]
		operations := make([]*storage.Operation, len(some))
		for i, key := range some {
			operations[i] = storage.DeleteOperation(key)
		}
		if err := k.client.Batch(ctx, operations...); err != nil {
			return err
		}
		k.garbage = k.garbage[len(some):]
	}
	k.garbage = nil
	return nil
}

// piecesOf cuts parts into pieces. What is large is not copied.
func piecesOf(parts [][]byte) (pieces [][]byte) {
	for _, part := range parts {
		for piece := range slices.Chunk(part, pieceSize) {
			if last := len(pieces) - 1; last >= 0 && len(pieces[last])+len(piece) <= pieceSize {
				pieces[last] = slices.Concat(pieces[last], piece)
			} else {
				pieces = append(pieces, piece)
			}
		}
	}
	return pieces
}

func sizeOf(parts [][]byte) (size int) {
	for _, part := range parts {
		size += len(part)
	}
	return size
}

// forget drops the notes that are in the totals.
func (s *saving) forget() {
	k := s.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	k.first = s.next - uint64(s.unwritten) // these may be written after they were deleted
	k.size -= s.size
	k.room = max(minRoom, s.saved)
	if oldest := k.next - uint64(len(k.unwritten)); oldest < s.next {
		k.unwritten = k.unwritten[s.next-oldest:]
	}
}

// loadState reads the pieces of the totals and of what is kept beside them, and the number of the first note that is not in
// them. It returns nil when there are none.
func (k *keeper) loadState(ctx context.Context) (memory, state []byte, next uint64, err error) {
	head, err := k.client.Get(ctx, stateKey)
	if err != nil || head == nil {
		return nil, nil, 0, err
	}
	if len(head) == 0 {
		return nil, nil, 0, errDamaged
	}
	if head[0] != stateVersion {
		return nil, nil, 0, fmt.Errorf("the saved totals have format %d, which this version does not know: use the version that saved them, or delete them from the storage to begin at zero", head[0])
	}
	c := codec{buf: head[1:], reading: true}
	var number, pieces, sum, size uint64
	for _, n := range []*uint64{&next, &number, &pieces, &sum, &size} {
		c.uint(n)
	}
	if c.failed || len(c.buf) > 0 {
		return nil, nil, 0, errDamaged
	}
	for n := number - min(number, maxLost); n <= number+maxLost; n++ {
		for i := 0; ; i++ {
			piece, err := k.client.Get(ctx, pieceKey(n, i))
			if err != nil {
				return nil, nil, 0, err
			}
			if piece == nil {
				break
			}
			if n == number {
				state = append(state, piece...)
				k.pieces = append(k.pieces, pieceKey(n, i))
			} else {
				k.garbage = append(k.garbage, pieceKey(n, i))
			}
		}
	}
	slices.Reverse(k.garbage)
	k.saves = number + maxLost
	if uint64(len(k.pieces)) != pieces || uint64(checksum(0, state)) != sum || size > uint64(len(state)) {
		return nil, nil, 0, errDamaged
	}
	return state[:size:size], state[size:], next, nil
}
