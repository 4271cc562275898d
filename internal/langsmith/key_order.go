package langsmith

import "slices"

// keyOrder is in which order the members of an object came so far. A server writes the members of every run in the
// same order and form, so the next key is mostly known: to compare it costs less than to scan it and look it up.
type keyOrder struct {
	keys []knownKey
	at   int // the key to expect next
}

// knownKey is a key as it stood on the wire.
type knownKey struct {
	text string // from the brace or comma before it up to its value
	key  memberKey
}

// memberKey is where a key and its value stand, from the same place on.
type memberKey struct {
	start, end int // the content of the key
	value      int
	field      field
}

const (
	// maxKnownKeys bounds the memory for a server, or users' metadata, without any order.
	maxKnownKeys = 128
	// maxKnownKey is the longest text of a key worth knowing.
	maxKnownKey = 64
)

// next returns the key at i if it is the one to expect. separator is what must stand before it.
func (o *keyOrder) next(b []byte, i int, separator byte) (k memberKey, ok bool) {
	if o.at >= len(o.keys) {
		return k, false
	}
	known := &o.keys[o.at]
	end := i + len(known.text)
	if b[i] != separator || end > len(b) || string(b[i:end]) != known.text {
		return k, false
	}
	o.at++
	k = known.key
	k.start, k.end, k.value = i+k.start, i+k.end, i+k.value
	return k, true
}

// learn takes a key at i that was not expected. What comes behind keys that are missing in this object is expected
// again from there on.
func (o *keyOrder) learn(b []byte, i int, k memberKey) {
	text := b[i:k.value]
	for n := o.at; n < len(o.keys); n++ {
		if o.keys[n].text == string(text) {
			o.at = n + 1
			return
		}
	}
	if len(o.keys) == maxKnownKeys || len(text) > maxKnownKey {
		return
	}
	k.start, k.end, k.value = k.start-i, k.end-i, k.value-i
	o.keys = slices.Insert(o.keys, o.at, knownKey{string(text), k})
	o.at++
}

// restart begins a page, and makes room when there is none.
func (o *keyOrder) restart() {
	if len(o.keys) == maxKnownKeys {
		*o = keyOrder{}
	}
}
