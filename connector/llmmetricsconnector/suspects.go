package llmmetricsconnector

import (
	"encoding/binary"
	"hash/fnv"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// suspects are spans that are counted and may come again: those of the last batch of each source when the collector
// was killed, because that batch may not have been acknowledged. They may come much later, and kills may come in
// between: what a receiver reads first after a start is its own affair. So they are remembered for longer than nesting
// remembers spans.
//
// A source is a resource: the LangSmith receiver has one batch of a project on its way at a time.
type suspects struct {
	last  map[uint64]*lastBatch // by source
	order order[lastBatch, *lastBatch]
	batch uint64 // number of the last one
	size  int    // spans in last

	kept []uint64            // fingerprints of suspects, the oldest first
	set  map[uint64]struct{} // the same; not written after the start
}

type lastBatch struct {
	source, batch uint64
	spans         []uint64 // fingerprints

	place place[lastBatch]
}

func (b *lastBatch) placed() *place[lastBatch] { return &b.place }

const (
	maxLastSpans = 1 << 16
	maxSuspects  = 1 << 17 // a megabyte in the storage
)

// any reports whether there are any.
func (s *suspects) any() bool { return len(s.set) > 0 }

// has reports whether a span is one of them.
func (s *suspects) has(f fingerprint) bool {
	_, is := s.set[uint64(f)]
	return is
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

// appendTo appends all that has to outlast the collector.
func (s *suspects) appendTo(to []byte) []byte {
	list := func(spans []uint64) {
		to = binary.AppendUvarint(to, uint64(len(spans)))
		for _, span := range spans {
			to = binary.LittleEndian.AppendUint64(to, span)
		}
	}
	list(s.kept)
	to = binary.AppendUvarint(to, uint64(len(s.last)))
	for b := s.order.front; b != nil; b = b.place.next {
		to = binary.LittleEndian.AppendUint64(to, b.source)
		list(b.spans)
	}
	return to
}

// restore takes them from the front and returns what follows them.
func (s *suspects) restore(from []byte) (rest []byte, ok bool) {
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
	ok = true
	for n := number(); n > 0 && ok; n-- {
		s.kept = append(s.kept, word())
	}
	for sources := number(); sources > 0 && ok; sources-- {
		s.batch++
		source := word()
		for n := number(); n > 0 && ok; n-- {
			s.add(source, word())
		}
	}
	return from, ok
}
