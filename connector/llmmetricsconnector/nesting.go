package llmmetricsconnector

import (
	"encoding/binary"
	"math/bits"
	"sync"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// nesting remembers recent spans, so that a call which two instrumentations traced, one inside the other, is counted
// once. The inner span wins; but when the outer one came first and was counted already, the inner one is left out.
// It also knows a span that comes again, as it does when an exporter beside the connector refused the batch and the
// receiver repeats it.
//
// It holds a fixed number of marks, the oldest are forgotten. Whoever calls a method that marks must hold mu, once
// for a whole batch: then a batch that comes twice at the same time is counted once too.
type nesting struct {
	sets nestingSets // first, so that each is one cache line
	mu   sync.Mutex
	read uint64
}

// nestingSets are a megabyte: after an outage many spans come between a call and its twin.
type nestingSets [1 << 14]nestingSet

// nestingSet is one cache line: the marks whose hashes fall here, replaced in turn. Whose turn it is, the marks
// tell themselves: each round over the places writes the other value of the bit lap.
type nestingSet [8]mark

// mark is the fingerprint of a span, a role of it, and the lap.
type mark uint64

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

// verdict is what nesting says of a span.
type verdict uint8

const (
	verdictCounts   verdict = iota
	verdictInner            // the span around it is of the same call and was counted
	verdictOuter            // the span inside it is of the same call and stands for it
	verdictRepeated         // it came before
)

// kin is what nesting needs to know of an operation: who it is, and of a model call, in whom it is.
type kin struct {
	own, around fingerprint
	model       bool
	verdict     verdict
}

func modelKin(trace pcommon.TraceID, span, parent pcommon.SpanID) kin {
	return kin{own: fingerprintOf(trace, span), around: fingerprintOf(trace, parent), model: true}
}

func otherKin(trace pcommon.TraceID, span pcommon.SpanID) kin {
	return kin{own: fingerprintOf(trace, span)}
}

// settle decides about operations that came together, whatever their order.
func (n *nesting) settle(all []stagedOperation) {
	n.mu.Lock()
	defer n.mu.Unlock()
	// The sets are all over the memory: asked for many at a time, they come while others are waited for.
	const some = 64
	inner := false
	for from := 0; from < len(all); from += some {
		next := all[from:min(from+some, len(all))]
		for i := range next {
			n.read += uint64(n.set(next[i].around)[0] ^ n.set(next[i].own)[0])
		}
		for i := range next {
			n.announce(&next[i].kin)
			inner = inner || next[i].verdict == verdictInner
		}
	}
	for level := 0; inner && level < maxLevels; level++ {
		inner = n.inherit(all)
	}
	for i := range all {
		n.decide(&all[i].kin)
	}
}

// maxLevels bounds the calls inside one another that came together and are told to be one: a call is hardly ever traced
// more often.
const maxLevels = 8

// inherit tells the model calls inside those that are inside a counted one that they are too. It reports whether there
// were any.
func (n *nesting) inherit(all []stagedOperation) (more bool) {
	for i := range all {
		if k := &all[i].kin; k.verdict == verdictInner && k.own != 0 {
			set := n.set(k.own)
			n.cover(set, k, set.roles(k.own))
		}
	}
	for i := range all {
		k := &all[i].kin
		if k.model && k.verdict == verdictCounts && k.around != 0 && n.set(k.around).roles(k.around)&roleCovered != 0 {
			k.verdict = verdictInner
			more = true
		}
	}
	return more
}

// cover remembers that a call with others inside it is itself inside a counted one.
func (*nesting) cover(set *nestingSet, k *kin, roles uint64) {
	if k.verdict == verdictInner && roles&(roleHasChild|roleCovered) == roleHasChild {
		set.put(k.own, roleCovered)
	}
}

// announce tells that a model call came, before it is decided about it or others that came with it: the order in which
// they came then makes no difference.
func (n *nesting) announce(k *kin) {
	if k.around == 0 {
		return
	}
	set := n.set(k.around)
	roles := set.roles(k.around)
	if roles&roleHasChild == 0 {
		set.put(k.around, roleHasChild)
	}
	if roles&roleCovered != 0 {
		k.verdict = verdictInner
	}
}

// decide says of an operation, which was announced if it is a model call, whether it counts. Without an id nothing
// is known of it.
func (n *nesting) decide(k *kin) {
	if k.own == 0 {
		return
	}
	set := n.set(k.own)
	roles := set.roles(k.own)
	switch {
	case !k.model && roles&roleSeen != 0:
		k.verdict = verdictRepeated
	case !k.model:
		set.put(k.own, roleSeen)
	case roles&roleHasChild != 0:
		n.cover(set, k, roles)
		k.verdict = verdictOuter
	case roles&roleCovered != 0:
		k.verdict = verdictRepeated
	default:
		set.put(k.own, roleCovered)
	}
}

// nestingSize is what all marks take.
const nestingSize = 8 * len(nestingSet{}) * len(nestingSets{})

// appendTo appends all marks, a megabyte at once: that takes a tenth of a millisecond.
func (n *nesting) appendTo(to []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.sets {
		for _, m := range &n.sets[i] {
			to = binary.LittleEndian.AppendUint64(to, uint64(m))
		}
	}
	return to
}

// restore takes the marks from the front and returns what follows them.
func (n *nesting) restore(from []byte) (rest []byte, ok bool) {
	if len(from) < nestingSize {
		return nil, false
	}
	for i := range n.sets {
		for j := range n.sets[i] {
			n.sets[i][j] = mark(binary.LittleEndian.Uint64(from))
			from = from[8:]
		}
	}
	return from, true
}

func (n *nesting) set(f fingerprint) *nestingSet { return &n.sets[f>>4%fingerprint(len(n.sets))] }

// roles are those that are marked.
func (s *nestingSet) roles(f fingerprint) uint64 {
	return (s[0].roles(f) | s[1].roles(f) | s[2].roles(f) | s[3].roles(f) |
		s[4].roles(f) | s[5].roles(f) | s[6].roles(f) | s[7].roles(f)) & roleMask
}

// roles are the lowest bits of a mark of this span; zero for one of another span.
func (m mark) roles(f fingerprint) uint64 {
	if difference := uint64(m) ^ uint64(f); difference <= markBits {
		return difference
	}
	return 0
}

// put replaces the mark whose turn it is: the first of another lap than place 0, or place 0 when all are of one
// lap. Places of one lap are together, so the last of them is found in three steps.
func (s *nestingSet) put(f fingerprint, role uint64) {
	first := s[0]
	step := func(last mark, by int) mark {
		return last | (^(s[(last+1<<by)%8]^first)>>lapBit&1)<<by
	}
	place := &s[(step(step(step(0, 2), 1), 0)+1)%8]
	*place = mark(uint64(f)|role) | ^*place&(1<<lapBit)
}

// fingerprint stands for a span, with the low bits free; zero for one without an id.
type fingerprint uint64

// The ids are random already, they only need to be brought together.
func fingerprintOf(trace pcommon.TraceID, span pcommon.SpanID) fingerprint {
	if span.IsEmpty() {
		return 0
	}
	h := binary.LittleEndian.Uint64(trace[:8]) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(trace[8:]), 29)
	hi, lo := bits.Mul64(h^0x9ae16a3b2f90404f, spanKey(span)^0xa0761d6478bd642f)
	return fingerprint((hi ^ lo) &^ markBits)
}

func spanKey(id pcommon.SpanID) uint64 { return binary.LittleEndian.Uint64(id[:]) }
