package llmmetricsconnector

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// suspects are spans that are counted and may come again, and those that are around them or inside them and may be their
// twins: those of the last batch of each source when the collector was killed, because that batch may not have been
// acknowledged. They may come much later, and kills may come in
// between: what a receiver reads first after a start is its own affair. So they are remembered for longer than nesting
// remembers spans.
//
// A source is a resource: the LangSmith receiver has one batch of a project on its way at a time.
type suspects struct {
	last  map[uint64]*lastBatch // by source
	order order[lastBatch, *lastBatch]
	batch uint64 // number of the last one
	size  int    // marks in last

	kept []uint64            // marks of suspects, the oldest first
	set  map[uint64]struct{} // the same; not written after the start

	copy    []byte // of last, of a cut
	sources uint64 // in it
}

type lastBatch struct {
	source, batch uint64
	spans         []uint64 // marks: fingerprints with a role, without a lap

	place place[lastBatch]
}

func (b *lastBatch) placed() *place[lastBatch] { return &b.place }

// Bounds of marks. A call of a model has two, any other operation one.
const (
	maxLastSpans = 1 << 17
	maxSuspects  = 1 << 18 // two megabytes in the storage
)

// any reports whether there are any.
func (s *suspects) any() bool { return len(s.set) > 0 }

// has reports whether a span is one of them.
func (s *suspects) has(f fingerprint) bool {
	_, is := s.set[uint64(f)]
	return is
}

// appendSourced appends what has to be known of an operation that came: that it did, and of a model call whether it counts,
// and in whom it is. The other half of a call that two instrumentations traced may be in the batch that a kill held up.
func appendSourced(to []sourced, source uint64, k *kin) []sourced {
	switch {
	case k.own == 0:
	case k.model && k.verdict == verdictCounts:
		to = append(to, sourced{source, uint64(k.own) | roleCovered})
	default:
		to = append(to, sourced{source, uint64(k.own)})
	}
	if k.model && k.around != 0 {
		to = append(to, sourced{source, uint64(k.around) | roleHasChild})
	}
	return to
}

// judge corrects what nesting says of an operation that would count.
func (s *suspects) judge(k *kin) {
	has := func(f fingerprint, role uint64) bool { return s.has(fingerprint(uint64(f) | role)) }
	switch {
	case k.verdict != verdictCounts || k.own == 0:
	case has(k.own, 0) || has(k.own, roleCovered):
		k.verdict = verdictRepeated
	case k.model && has(k.own, roleHasChild):
		k.verdict = verdictOuter
	case k.model && k.around != 0 && has(k.around, roleCovered):
		k.verdict = verdictInner
	}
}

// sourceOf stands for a resource in notes.
func sourceOf(resource pcommon.Map) uint64 {
	h := fnv.New64a()
	for key, value := range resource.All() {
		_, _ = h.Write([]byte(key))
		_, _ = h.Write([]byte{0})
		_, _ = h.Write([]byte(value.AsString()))
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// came tells the calls of one batch.
func (s *suspects) came(calls []sourced) {
	s.batch++
	for _, c := range calls {
		s.add(c.source, c.span)
	}
	for s.size > maxLastSpans {
		s.forgetOldest()
	}
}

func (s *suspects) add(source, span uint64) {
	b := s.last[source]
	switch {
	case b == nil:
		if s.last == nil {
			s.last = map[uint64]*lastBatch{}
		}
		b = &lastBatch{source: source, batch: s.batch}
		s.last[source] = b
		s.order.push(b)
	case b.batch != s.batch:
		s.order.remove(b)
		s.order.push(b)
		s.size -= len(b.spans)
		b.batch, b.spans = s.batch, b.spans[:0]
	}
	b.spans = append(b.spans, span)
	s.size++
}

// forgetOldest forgets the batch that is the last one for the longest time.
func (s *suspects) forgetOldest() {
	b := s.order.front
	s.order.remove(b)
	s.size -= len(b.spans)
	delete(s.last, b.source)
}

// started makes suspects of the last batches, after a start.
func (s *suspects) started() {
	s.set = map[uint64]struct{}{}
	for b := s.order.front; b != nil; b = b.place.next {
		s.kept = append(s.kept, b.spans...)
	}
	s.last, s.size = nil, 0
	s.order = order[lastBatch, *lastBatch]{}
	// The same span may be there from several lives: its newest place counts.
	kept := make([]uint64, 0, min(len(s.kept), maxSuspects))
	for _, span := range slices.Backward(s.kept) {
		if _, known := s.set[span]; !known && len(kept) < maxSuspects {
			s.set[span] = struct{}{}
			kept = append(kept, span)
		}
	}
	slices.Reverse(kept)
	s.kept = kept
}

// cut begins a copy of all that has to outlast the collector, as it is now.
func (s *suspects) cut() {
	s.copy, s.sources = nil, 0
	s.order.cut(func(b *lastBatch) {
		s.copy = binary.LittleEndian.AppendUint64(s.copy, b.source)
		s.copy = binary.AppendUvarint(s.copy, b.place.at)
		s.copy = appendWords(s.copy, b.spans)
		s.sources++
	})
}

// step goes on with the copy and reports whether it is complete.
func (s *suspects) step() bool { return s.order.step(stepSize) }

// appendTo appends the copy.
func (s *suspects) appendTo(to []byte) []byte {
	to = appendWords(to, s.kept)
	to = append(binary.AppendUvarint(to, s.sources), s.copy...)
	s.copy = nil
	return to
}

func appendWords(to []byte, words []uint64) []byte {
	to = binary.AppendUvarint(to, uint64(len(words)))
	for _, word := range words {
		to = binary.LittleEndian.AppendUint64(to, word)
	}
	return to
}

// restore takes them from the front and returns what follows them.
func (s *suspects) restore(from []byte) (rest []byte, ok bool) {
	ok = true
	number := func() (n uint64) {
		n, used := binary.Uvarint(from)
		if ok = ok && used > 0; ok {
			from = from[used:]
		}
		return n
	}
	word := func() (v uint64) {
		if ok = ok && len(from) >= 8; ok {
			v, from = binary.LittleEndian.Uint64(from), from[8:]
		}
		return v
	}
	words := func() (list []uint64) {
		for n := number(); n > 0 && ok; n-- {
			list = append(list, word())
		}
		return list
	}
	s.kept = words()
	var batches []*lastBatch
	for n := number(); n > 0 && ok; n-- {
		b := &lastBatch{source: word()}
		b.place.at = number()
		b.spans = words()
		batches = append(batches, b)
	}
	slices.SortFunc(batches, func(a, b *lastBatch) int { return cmp.Compare(a.place.at, b.place.at) })
	for _, b := range batches {
		s.batch++
		for _, span := range b.spans {
			s.add(b.source, span)
		}
	}
	return from, ok
}
