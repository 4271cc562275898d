package langsmith

import (
	"iter"
	"math"
	"sort"
	"unsafe"
)

// Index knows where the objects and arrays within one value end. Walking a value level by level finds the end of
// everything nested at every level again; with an index that happens once. Its methods walk as those of [Raw] do,
// and take values from elsewhere as well. The zero Index is ready, and nil too. It is not safe for concurrent use.
type Index struct {
	base  Raw
	spans []span   // in the order in which they begin
	open  []uint32 // scratch: the spans around the place at hand
	last  int      // the span that was yielded last, which is likely to be walked next
}

// span is an object or array of the base.
type span struct {
	start, end uint32
	next       uint32 // the first span that begins behind it
}

// maxSpans bounds the memory of an index. A value with more objects and arrays is walked without.
const maxSpans = 1 << 16

// Reset makes x the index of r, which must stay as it is until the next Reset.
func (x *Index) Reset(r Raw) {
	x.base, x.spans, x.open, x.last = r, x.spans[:0], x.open[:0], 0
	if uint64(len(r)) > math.MaxUint32 || !x.scan(r) {
		x.spans = x.spans[:0]
	}
}

// scan reports false for what is too large or no valid JSON.
func (x *Index) scan(r Raw) bool {
	for i := 0; i < len(r); {
		switch r[i] {
		case '"':
			i = closingQuote(r, i+1)
		case '{', '[':
			if len(x.spans) == maxSpans {
				return false
			}
			x.open = append(x.open, uint32(len(x.spans)))
			x.spans = append(x.spans, span{start: uint32(i)})
		case '}', ']':
			n := len(x.open) - 1
			if n < 0 {
				return false
			}
			s := &x.spans[x.open[n]]
			s.end, s.next = uint32(i+1), uint32(len(x.spans))
			x.open = x.open[:n]
		}
		i++
	}
	return len(x.open) == 0
}

// Members walks r as [Raw.Members] does.
func (x *Index) Members(r Raw) iter.Seq2[Text, Raw] {
	return func(yield func(Text, Raw) bool) { x.members(r, yield) }
}

// Elements walks r as [Raw.Elements] does.
func (x *Index) Elements(r Raw) iter.Seq[Raw] {
	return func(yield func(Raw) bool) { x.elements(r, yield) }
}

// Get finds a member as [Raw.Get] does.
func (x *Index) Get(r Raw, keys ...string) Raw {
	for _, key := range keys {
		if r = x.member(r, key); r == nil {
			return nil
		}
	}
	if r.Kind() == KindAbsent {
		return nil
	}
	return r
}

func (x *Index) member(r Raw, key string) Raw {
	for k, v := range x.Members(r) {
		if k.Equal(key) {
			return v
		}
	}
	return nil
}

func (x *Index) members(r Raw, yield func(Text, Raw) bool) {
	from := x.find(r)
	child := from + 1
	i := skipSpace(r, 0)
	if i >= len(r) || r[i] != '{' {
		return
	}
	i = skipSpace(r, i+1)
	for i < len(r) && r[i] == '"' {
		end := closingQuote(r, i+1)
		key := Text(r[i+1 : end])
		i = skipSpace(r, end+1)
		if i >= len(r) || r[i] != ':' {
			return
		}
		i = skipSpace(r, i+1)
		end, child = x.endOfValue(r, i, from, child)
		if !yield(key, Raw(r[i:end:end])) {
			return
		}
		i = skipSpace(r, end)
		if i >= len(r) || r[i] != ',' {
			return
		}
		i = skipSpace(r, i+1)
	}
}

func (x *Index) elements(r Raw, yield func(Raw) bool) {
	from := x.find(r)
	child := from + 1
	i := skipSpace(r, 0)
	if i >= len(r) || r[i] != '[' {
		return
	}
	i = skipSpace(r, i+1)
	for i < len(r) && r[i] != ']' {
		var end int
		end, child = x.endOfValue(r, i, from, child)
		if end == i {
			return
		}
		if !yield(Raw(r[i:end:end])) {
			return
		}
		i = skipSpace(r, end)
		if i >= len(r) || r[i] != ',' {
			return
		}
		i = skipSpace(r, i+1)
	}
}

// endOfValue is the index behind the value that begins at i, and which span comes next. r is the span from, -1
// when it is none, and child the next span in it.
func (x *Index) endOfValue(r Raw, i, from, child int) (end, next int) {
	if from >= 0 && i < len(r) && (r[i] == '{' || r[i] == '[') && child < len(x.spans) {
		if s := &x.spans[child]; int(s.start-x.spans[from].start) == i {
			x.last = child
			return i + int(s.end-s.start), int(s.next)
		}
	}
	return endOfValue(r, i), child
}

// find is the span that r is, -1 when there is none.
func (x *Index) find(r Raw) int {
	if x == nil || len(x.spans) == 0 || len(r) == 0 {
		return -1
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(r))) - uintptr(unsafe.Pointer(unsafe.SliceData(x.base)))
	if at >= uintptr(len(x.base)) {
		return -1
	}
	k := x.last
	if x.spans[k].start != uint32(at) {
		k = sort.Search(len(x.spans), func(k int) bool { return x.spans[k].start >= uint32(at) })
	}
	if k == len(x.spans) || x.spans[k].start != uint32(at) || int(x.spans[k].end-x.spans[k].start) != len(r) {
		return -1
	}
	return k
}
