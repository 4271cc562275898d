package cursor

import (
	"encoding/binary"
	"math"
)

const (
	// segmentEntries bounds what one acknowledgement has to write again in a bucket that many runs started in.
	segmentEntries = 512
	// recentEntrySize is a hash, a revision and a usage.
	recentEntrySize = 8 + 4 + 4 + 4
)

// recent is runs that went out, with the revision and the usage that they had, in a form to which more can be added.
// It takes about 30 bytes for each: the entries are kept in the form in which they are stored, and found by a table of
// their positions.
type recent struct {
	segments []segment
	n        int
	// table holds positions, counted over all segments and from 1 on, where the hash says, or behind. Its length is a
	// power of two, and 0 is a free place.
	table []uint32
}

// segment is a run of entries in the form in which they are stored.
type segment struct {
	data  []byte
	dirty bool
}

func (r *recent) entry(position int) []byte {
	return r.segments[position/segmentEntries].data[position%segmentEntries*recentEntrySize:][:recentEntrySize]
}

func (r *recent) hash(position int) uint64 { return binary.LittleEndian.Uint64(r.entry(position)) }

func (r *recent) revision(position int) uint32 {
	return binary.LittleEndian.Uint32(r.entry(position)[8:])
}

func (r *recent) usage(position int) usage {
	entry := r.entry(position)
	return usage{binary.LittleEndian.Uint32(entry[12:]), math.Float32frombits(binary.LittleEndian.Uint32(entry[16:]))}
}

// find returns the position of a run, or -1.
func (r *recent) find(hash uint64) int {
	if r.n == 0 {
		return -1
	}
	mask := len(r.table) - 1
	for at := int(hash) & mask; r.table[at] != 0; at = (at + 1) & mask {
		if position := int(r.table[at]) - 1; r.hash(position) == hash {
			return position
		}
	}
	return -1
}

// put notes a run, or what changed of it, and reports whether it is new here.
func (r *recent) put(hash uint64, revision uint32, usage usage) bool {
	position := r.find(hash)
	fresh := position < 0
	if fresh {
		position = r.append(hash)
	}
	entry := r.entry(position)
	binary.LittleEndian.PutUint32(entry[8:], revision)
	binary.LittleEndian.PutUint32(entry[12:], usage.tokens)
	binary.LittleEndian.PutUint32(entry[16:], math.Float32bits(usage.cost))
	r.segments[position/segmentEntries].dirty = true
	return fresh
}

func (r *recent) append(hash uint64) (position int) {
	if 4*(r.n+1) > 3*len(r.table) {
		r.grow()
	}
	position = r.n
	if position == len(r.segments)*segmentEntries {
		var data []byte
		if position > 0 { // it will be full, too
			data = make([]byte, 0, segmentEntries*recentEntrySize)
		}
		r.segments = append(r.segments, segment{data: data})
	}
	s := &r.segments[len(r.segments)-1]
	s.data = binary.LittleEndian.AppendUint64(s.data, hash)
	s.data = append(s.data, make([]byte, recentEntrySize-8)...)
	r.n++
	r.place(hash, position)
	return position
}

// place notes in the table where a run is.
func (r *recent) place(hash uint64, position int) {
	mask := len(r.table) - 1
	at := int(hash) & mask
	for r.table[at] != 0 {
		at = (at + 1) & mask
	}
	r.table[at] = uint32(position) + 1
}

func (r *recent) grow() {
	r.table = make([]uint32, max(8, 2*len(r.table)))
	for position := range r.n {
		r.place(r.hash(position), position)
	}
}
