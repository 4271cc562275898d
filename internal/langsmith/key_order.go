package langsmith

import (
	"encoding/binary"
	"slices"
)

// keyOrder is in which order the members of an object came so far. A server writes the members of every run in the
// same order and form, so the next key is mostly known: to compare it costs less than to scan it and look it up.
type keyOrder struct {
	keys []knownKey
	at   int // the key to expect next
}

// knownKey is a key as it stood on the wire, from the brace or comma before it up to its value.
type knownKey struct {
	text       keyText
	start, end uint8 // the content of the key
	value      uint8 // the value, which is how long the text is
	field      field
	// instead is a later key that has come where this one was expected, zero for none.
	instead uint8
}

// memberKey is where a key and its value stand.
type memberKey struct {
	start, end int // the content of the key
	value      int
	field      field
}

const (
	// maxKnownKeys bounds the memory for a server, or users' metadata, without any order.
	maxKnownKeys = 128
	// maxKnownKey is the longest text of a key that is known. There is as much padding behind the data.
	maxKnownKey = 32
)

// keyText is a text of up to maxKnownKey bytes, with zeros behind it. As a struct the compiler keeps it in registers.
type keyText struct{ a, b, c, d uint64 }

// keyMasks has for every length the bytes that count.
var keyMasks = func() (masks [maxKnownKey + 1]keyText) {
	for n := range masks {
		word := func(i int) uint64 { return 1<<(8*uint(min(max(n-i, 0), 8))) - 1 }
		masks[n] = keyText{word(0), word(8), word(16), word(24)}
	}
	return masks
}()

// keyTextOf takes the n bytes at b.
func keyTextOf(b []byte, n uint8) keyText {
	b = b[:maxKnownKey]
	mask := &keyMasks[n]
	return keyText{
		binary.LittleEndian.Uint64(b) & mask.a, binary.LittleEndian.Uint64(b[8:]) & mask.b,
		binary.LittleEndian.Uint64(b[16:]) & mask.c, binary.LittleEndian.Uint64(b[24:]) & mask.d,
	}
}

// stands reports whether b, which is maxKnownKey long, begins with the text of n bytes.
func (t *keyText) stands(b []byte, n uint8) bool {
	mask := &keyMasks[n]
	return (binary.LittleEndian.Uint64(b)^t.a)&mask.a|(binary.LittleEndian.Uint64(b[8:])^t.b)&mask.b == 0 &&
		(n <= 16 || (binary.LittleEndian.Uint64(b[16:])^t.c)&mask.c|(binary.LittleEndian.Uint64(b[24:])^t.d)&mask.d == 0)
}

// next returns the key at i if it is one to expect. separator is what must stand before it.
func (o *keyOrder) next(b []byte, i int, separator byte) (k memberKey, ok bool) {
	at := o.at
	if at >= len(o.keys) || b[i] != separator {
		return k, false
	}
	known := &o.keys[at]
	for !known.text.stands(b[i:i+maxKnownKey], known.value) {
		if at = int(known.instead); at == 0 {
			return k, false
		}
		known = &o.keys[at]
	}
	if b[i+int(known.value)] <= ' ' {
		return k, false
	}
	o.at = at + 1
	return memberKey{i + int(known.start), i + int(known.end), i + int(known.value), known.field}, true
}

// learn takes a key at i that was not expected. What comes behind keys that are missing in this object is expected
// again from there on.
func (o *keyOrder) learn(b []byte, i int, k memberKey) {
	n := k.value - i
	if n > maxKnownKey {
		return
	}
	text := keyTextOf(b[i:], uint8(n))
	for at := o.at; at < len(o.keys); at++ {
		if o.keys[at].text == text {
			o.allow(at)
			o.at = at + 1
			return
		}
	}
	if len(o.keys) < maxKnownKeys {
		for i := range o.keys {
			if known := &o.keys[i]; known.instead != 0 && int(known.instead) >= o.at {
				known.instead++
			}
		}
		o.keys = slices.Insert(o.keys, o.at, knownKey{
			text: text, start: uint8(k.start - i), end: uint8(k.end - i), value: uint8(n), field: k.field,
		})
		o.at++
	}
}

// allow puts a key among those that may come instead of the one to expect, in their order.
func (o *keyOrder) allow(at int) {
	before := o.at
	for before < at {
		known := &o.keys[before]
		if next := int(known.instead); next != 0 && next <= at {
			before = next
			continue
		}
		if key := &o.keys[at]; key.instead == 0 {
			key.instead = known.instead
		}
		known.instead = uint8(at)
		return
	}
}

// restart begins a page, and makes room when there is none.
func (o *keyOrder) restart() {
	if len(o.keys) == maxKnownKeys {
		*o = keyOrder{}
	}
}
