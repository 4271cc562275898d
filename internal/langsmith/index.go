package langsmith

import (
	"iter"
	"unsafe"
)

// Index knows where every key and value stands within the inputs, outputs, tags and invocation parameters of a
// run, because the decoder came by when it checked them: walking them costs as much as there are values, however
// long those are. Its methods walk as those of [Raw] do, and take values from elsewhere as well. Nil is fine. It is
// valid as long as its run, and not safe for concurrent use.
type Index struct {
	base   Raw
	tokens []token
	// places tells by where a value begins which token it may be, because values that were yielded are likely to be walked.
	places [indexPlaces]uint32
}

const indexPlaces = 64

// token is a value, or the content of a key, of the base. Tokens stand in the order in which they begin: what an
// object or array holds follows it, each key before its value.
type token struct {
	start, end uint32
	next       uint32 // the first token behind everything within it
}

// maxTokens bounds the memory of an index. What goes beyond is walked without.
const maxTokens = 1 << 18

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
		if len(r) == 0 {
			return nil
		}
		r = x.member(r, key)
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
	k := x.find(r)
	if k < 0 {
		r.Members(yield)
		return
	}
	if r[0] != '{' {
		return
	}
	base, tokens := x.base, x.tokens
	for k, end := k+1, int(tokens[k].next); k+1 < end; {
		key, value := &tokens[k], &tokens[k+1]
		if int(value.next) > k+2 { // there is something to walk
			x.places[value.start%indexPlaces] = uint32(k + 1)
		}
		k = int(value.next)
		if !yield(Text(base[key.start:key.end:key.end]), Raw(base[value.start:value.end:value.end])) {
			return
		}
	}
}

func (x *Index) elements(r Raw, yield func(Raw) bool) {
	k := x.find(r)
	if k < 0 {
		r.Elements(yield)
		return
	}
	if r[0] != '[' {
		return
	}
	base, tokens := x.base, x.tokens
	for k, end := k+1, int(tokens[k].next); k < end; {
		value := &tokens[k]
		if int(value.next) > k+1 {
			x.places[value.start%indexPlaces] = uint32(k)
		}
		k = int(value.next)
		if !yield(Raw(base[value.start:value.end:value.end])) {
			return
		}
	}
}

// note keeps in mind that the token k begins at start.
func (x *Index) note(start, k int) { x.places[uint(start)%indexPlaces] = uint32(k) }

// find is the token that r is, -1 when there is none.
func (x *Index) find(r Raw) int {
	if x == nil || len(x.tokens) == 0 || len(r) == 0 {
		return -1
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(r))) - uintptr(unsafe.Pointer(unsafe.SliceData(x.base)))
	if at >= uintptr(len(x.base)) {
		return -1
	}
	start := uint32(at)
	k := int(x.places[start%indexPlaces])
	if k >= len(x.tokens) || x.tokens[k].start != start {
		low, high := 0, len(x.tokens)
		for low < high {
			if k = int(uint(low+high) >> 1); x.tokens[k].start < start {
				low = k + 1
			} else {
				high = k
			}
		}
		k = low
	}
	if k == len(x.tokens) || x.tokens[k].start != start || int(x.tokens[k].end-start) != len(r) {
		return -1
	}
	return k
}
