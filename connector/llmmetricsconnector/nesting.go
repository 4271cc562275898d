package llmmetricsconnector

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// nesting remembers recent spans, so that a call which two instrumentations traced, one inside the other, is counted
// once. The inner span wins; but when the outer one came first and was counted already, the inner one is left out.
// It also knows a span that comes again, as it does when an exporter beside the connector refused the batch and the
// receiver repeats it.
//
// It holds a fixed number of marks, the oldest are forgotten. A race between two batches can at worst
// overlook a mark.
type nesting struct {
	sets [nestingSets]nestingSet
}

const nestingSets = 1 << 14 // of 8 marks each, a megabyte: after an outage many spans come between a call and its twin

// nestingSet is one cache line: the marks whose hashes fall here, replaced in turn. Whose turn it is, the marks
// tell themselves: each round over the places writes the other value of the bit lap.
type nestingSet [8]atomic.Uint64

func newNesting() *nesting { return &nesting{} }

// The lowest bits of a mark: so both marks of a span are in one set.
const (
	roleHasChild uint64 = 1 // the span has a model call as its child
	roleCovered  uint64 = 2 // the span is a model call that was counted, or is inside one
	roleSeen     uint64 = 4 // the span is another operation, and came: model calls inside it are calls of their own
	roleMask     uint64 = roleHasChild | roleCovered | roleSeen

	lapBit   = 3
	markBits = roleMask | 1<<lapBit // what does not identify the span
)

// hasChild tells that a model call has this parent.
func (n *nesting) hasChild(trace pcommon.TraceID, parent pcommon.SpanID) {
	if parent.IsEmpty() {
		return
	}
	f := fingerprint(trace, parent)
	set := n.set(f)
	if set.roles(f)&roleHasChild == 0 {
		set.put(f | roleHasChild)
	}
}

// verdict is what nesting says of a span.
type verdict uint8

const (
	verdictCounts   verdict = iota
	verdictNested           // another span of the same call stands for it
	verdictRepeated         // it came before
)

// first decides whether a span that is no model call counts: the first time it comes.
func (n *nesting) first(trace pcommon.TraceID, span pcommon.SpanID) verdict {
	if span.IsEmpty() {
		return verdictCounts
	}
	f := fingerprint(trace, span)
	set := n.set(f)
	if set.roles(f)&roleSeen != 0 {
		return verdictRepeated
	}
	set.put(f | roleSeen)
	return verdictCounts
}

// modelCall decides whether a model call counts, and tells that it has this parent.
func (n *nesting) modelCall(trace pcommon.TraceID, span, parent pcommon.SpanID) verdict {
	// Both sets are read before either is written: the processor then waits for memory once, not twice.
	var around, own *nestingSet
	var aroundMark, ownMark, aroundRoles, ownRoles uint64
	if !parent.IsEmpty() {
		aroundMark = fingerprint(trace, parent)
		around = n.set(aroundMark)
		aroundRoles = around.roles(aroundMark)
	}
	if !span.IsEmpty() {
		ownMark = fingerprint(trace, span)
		own = n.set(ownMark)
		ownRoles = own.roles(ownMark)
	}
	if around != nil && aroundRoles&roleHasChild == 0 {
		around.put(aroundMark | roleHasChild)
	}
	covered := verdictCounts
	if aroundRoles&roleCovered != 0 {
		covered = verdictNested
	}
	switch {
	case own == nil:
		return covered
	case ownRoles&roleHasChild != 0 || ownMark == aroundMark:
		return verdictNested
	case ownRoles&roleCovered != 0:
		return verdictRepeated
	}
	own.put(ownMark | roleCovered)
	return covered
}

// appendTo appends all marks.
func (n *nesting) appendTo(to []byte) []byte {
	for i := range n.sets {
		for j := range n.sets[i] {
			to = binary.LittleEndian.AppendUint64(to, n.sets[i][j].Load())
		}
	}
	return to
}

// restore takes the marks from the front and returns what follows them.
func (n *nesting) restore(from []byte) (rest []byte, ok bool) {
	if len(from) < 8*8*nestingSets {
		return nil, false
	}
	for i := range n.sets {
		for j := range n.sets[i] {
			n.sets[i][j].Store(binary.LittleEndian.Uint64(from))
			from = from[8:]
		}
	}
	return from, true
}

func (n *nesting) set(fingerprint uint64) *nestingSet { return &n.sets[fingerprint>>4%nestingSets] }

// roles are those that are marked.
func (s *nestingSet) roles(fingerprint uint64) (roles uint64) {
	for i := range s {
		if m := s[i].Load(); m&^markBits == fingerprint {
			roles |= m
		}
	}
	return roles & roleMask
}

// put replaces the mark whose turn it is: the first of another lap than place 0, or place 0 when all are of one
// lap. Places of one lap are together, so the last of them is found in three steps.
func (s *nestingSet) put(mark uint64) {
	first := s[0].Load()
	step := func(last uint64, by int) uint64 {
		return last | (^(s[(last+1<<by)%8].Load()^first)>>lapBit&1)<<by
	}
	place := &s[(step(step(step(0, 2), 1), 0)+1)%8]
	place.Store(mark | ^place.Load()&(1<<lapBit))
}

// fingerprint stands for a span, with the low bits free. The ids are random already, they only need
// to be brought together.
func fingerprint(trace pcommon.TraceID, span pcommon.SpanID) uint64 {
	h := binary.LittleEndian.Uint64(trace[:8]) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(trace[8:]), 29)
	hi, lo := bits.Mul64(h^0x9ae16a3b2f90404f, spanKey(span)^0xa0761d6478bd642f)
	return (hi ^ lo) &^ markBits
}

func spanKey(id pcommon.SpanID) uint64 { return binary.LittleEndian.Uint64(id[:]) }

// spanSet is a set of span ids of one batch that keeps its memory. The empty id is never in it.
type spanSet struct {
	slots []uint64
	shift int
}

// reset empties the set and makes room for n ids.
func (s *spanSet) reset(n int) {
	size := bits.Len(uint(2*n + 1))
	s.shift = 64 - size
	if 1<<size > cap(s.slots) {
		s.slots = make([]uint64, 1<<size)
		return
	}
	s.slots = s.slots[:1<<size]
	clear(s.slots)
}

func (s *spanSet) add(id uint64) {
	if id != 0 {
		s.slots[s.slot(id)] = id
	}
}

func (s *spanSet) has(id uint64) bool { return id != 0 && s.slots[s.slot(id)] == id }

// slot is where id is or would be.
func (s *spanSet) slot(id uint64) uint64 {
	// Ids of hostile spans need not be random.
	for i := id * 0x9e3779b97f4a7c15 >> s.shift; ; i = (i + 1) & uint64(len(s.slots)-1) {
		if at := s.slots[i]; at == 0 || at == id {
			return i
		}
	}
}
