package genai

import "math/bits"

// table finds what is known about an attribute by its key, once for every attribute of every span. It is an
// open-addressed hash table over a fixed set of keys: most keys of a foreign span end at an empty place without
// a comparison, which a search by key name, or a general map, cannot offer.
type table struct {
	places  []uint16 // index into entries; 0 is empty
	shift   uint8    // turns a hash into a place
	entries []entry
}

// newTable makes room for so many keys at a third of the places.
func newTable(keys int) *table {
	size := bits.Len(uint(3 * keys))
	return &table{
		places:  make([]uint16, 1<<size),
		shift:   uint8(64 - size),
		entries: make([]entry, 1, keys+1), // index 0 means empty
	}
}

// with is the table with further keys, whose entries say at which place of the list they are.
func (t *table) with(extra []string) *table {
	more := newTable(len(t.entries) + len(extra))
	for _, e := range t.entries[1:] {
		*more.at(e.key) = e
	}
	for i, key := range extra {
		more.at(key).extra = uint16(i + 1)
	}
	return more
}

// An entry is what is known about one key.
type entry struct {
	key    string
	slot   slot
	rank   uint8 // of the keys with one slot the highest rank wins
	decode decoder
	marks  marks
	writes written
	extra  uint16 // 1 + index into ReaderConfig.Extra; 0 for none
}

// find returns the entry of a key, or nil.
func (t *table) find(key string) *entry {
	for place := t.place(key); ; place = t.next(place) {
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
	place := t.place(key)
	for t.places[place] != 0 {
		place = t.next(place)
	}
	t.places[place] = uint16(len(t.entries))
	t.entries = append(t.entries, entry{key: key})
	return &t.entries[len(t.entries)-1]
}

func (t *table) place(key string) int { return int(hash(key) >> (t.shift & 63)) }

func (t *table) next(place int) int { return (place + 1) & (len(t.places) - 1) }

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
	return h * 0x9E3779B97F4A7C15
}

func load(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
