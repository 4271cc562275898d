package genai

import "math/bits"

// table finds what is known about an attribute by its key, once for every attribute of every span. It is an
// open-addressed hash table over a fixed set of keys: most keys of a foreign span end at an empty place without
// a comparison, which a search by key name, or a general map, cannot offer.
type table struct {
	places  [1 << tableBits]uint16 // index into entries; 0 is empty
	entries []entry
}

const tableBits = 10

// An entry is what is known about one key.
type entry struct {
	key    string
	slot   slot
	rank   uint8 // of the keys with one slot the highest rank wins
	decode decoder
	marks  marks
	writes written
}

// find returns the entry of a key, or nil.
func (t *table) find(key string) *entry {
	for place := hash(key); ; place = (place + 1) & (1<<tableBits - 1) {
		i := t.places[place]
		if i == 0 {
			return nil
		}
		if e := &t.entries[i]; e.key == key {
			return e
		}
	}
}

// at returns the entry of a key and adds it when it is new.
func (t *table) at(key string) *entry {
	if e := t.find(key); e != nil {
		return e
	}
	if len(t.entries) == 0 {
		t.entries = append(t.entries, entry{}) // so that index 0 can mean empty
	}
	place := hash(key)
	for t.places[place] != 0 {
		place = (place + 1) & (1<<tableBits - 1)
	}
	t.places[place] = uint16(len(t.entries))
	t.entries = append(t.entries, entry{key: key})
	return &t.entries[len(t.entries)-1]
}

// hash looks at the length, the end and the middle of a key, where the names of the conventions differ most.
func hash(key string) uint64 {
	h := uint64(len(key))
	if len(key) >= 8 {
		h ^= load(key[len(key)-8:]) ^ bits.RotateLeft64(load(key[len(key)/2-4:]), 29)
	} else {
		for i := range len(key) {
			h = h<<8 ^ uint64(key[i])
		}
	}
	return h * 0x9E3779B97F4A7C15 >> (64 - tableBits)
}

func load(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
