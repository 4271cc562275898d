package cursor

import (
	"encoding/binary"
	"hash/maphash"
	"math"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

const (
	// segmentEntries bounds what one acknowledgement has to write again in a bucket that many runs started in.
	segmentEntries = 2048
	// seenEntrySize is an id, a revision and a usage.
	seenEntrySize = seenEntrySizeV1 + 4 + 4
	// seenEntrySizeV1 is an id and a revision, which is what version 1 stored.
	seenEntrySizeV1 = 16 + 4
)

// emitted is the ids of runs that went out, with the revision and the usage that they had. It takes about 36 bytes for
// each: the entries are kept in the form in which they are stored, and found by a table of their positions.
type emitted struct {
	segments []segment
	n        int
	// table holds positions, counted over all segments and from 1 on, where the hash of their id says, or behind. Its
	// length is a power of two, and 0 is a free place.
	table []uint32
}

// segment is a run of entries in the form in which they are stored.
type segment struct {
	data  []byte
	dirty bool
}

// seed keeps ids that somebody chose from falling on one place.
var seed = maphash.MakeSeed()

func (e *emitted) entry(position int) []byte {
	return e.segments[position/segmentEntries].data[position%segmentEntries*seenEntrySize:][:seenEntrySize]
}

// find returns the position of an id, or -1.
func (e *emitted) find(id langsmith.UUID) int {
	if e.n == 0 {
		return -1
	}
	mask := len(e.table) - 1
	for at := int(maphash.Bytes(seed, id[:])) & mask; e.table[at] != 0; at = (at + 1) & mask {
		if position := int(e.table[at]) - 1; langsmith.UUID(e.entry(position)[:16]) == id {
			return position
		}
	}
	return -1
}

// revision of a run, if it is known.
func (e *emitted) revision(id langsmith.UUID) (uint32, bool) {
	position := e.find(id)
	if position < 0 {
		return 0, false
	}
	return binary.LittleEndian.Uint32(e.entry(position)[16:]), true
}

// put notes a run, or what changed of it, and reports whether it is new.
func (e *emitted) put(id langsmith.UUID, revision uint32, usage usage) bool {
	position := e.find(id)
	fresh := position < 0
	if fresh {
		position = e.append(id)
	}
	entry := e.entry(position)
	binary.LittleEndian.PutUint32(entry[16:], revision)
	binary.LittleEndian.PutUint32(entry[20:], usage.tokens)
	binary.LittleEndian.PutUint32(entry[24:], math.Float32bits(usage.cost))
	e.segments[position/segmentEntries].dirty = true
	return fresh
}

func (e *emitted) append(id langsmith.UUID) (position int) {
	if 4*(e.n+1) > 3*len(e.table) {
		e.grow()
	}
	position = e.n
	if position == len(e.segments)*segmentEntries {
		e.segments = append(e.segments, segment{})
	}
	s := &e.segments[len(e.segments)-1]
	s.data = append(s.data, id[:]...)
	s.data = append(s.data, make([]byte, seenEntrySize-len(id))...)
	e.n++
	e.place(id, position)
	return position
}

// place notes in the table where an id is.
func (e *emitted) place(id langsmith.UUID, position int) {
	mask := len(e.table) - 1
	at := int(maphash.Bytes(seed, id[:])) & mask
	for e.table[at] != 0 {
		at = (at + 1) & mask
	}
	e.table[at] = uint32(position) + 1
}

func (e *emitted) grow() {
	e.table = make([]uint32, max(8, 2*len(e.table)))
	for position := range e.n {
		e.place(langsmith.UUID(e.entry(position)[:16]), position)
	}
}

// usages sums what the calls of models used.
func (e *emitted) usages(sum *Usage) {
	for position := range e.n {
		sum.add(e.usage(position))
	}
}

func (e *emitted) usage(position int) usage {
	entry := e.entry(position)
	return usage{binary.LittleEndian.Uint32(entry[20:]), math.Float32frombits(binary.LittleEndian.Uint32(entry[24:]))}
}
