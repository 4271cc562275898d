package langsmith

import "encoding/binary"

// The states of the automaton of [validUTF8], each the place of its six bits in a row of utf8Rows.
const (
	utf8Bad     = 6 * iota
	utf8Start   // between characters
	utf8One     // one more byte to come
	utf8Two     // two more
	utf8Three   // three more
	utf8AfterE0 // two more, without what has a shorter form
	utf8AfterED // two more, without surrogates
	utf8AfterF0 // three more, without what has a shorter form
	utf8AfterF4 // three more, up to U+10FFFF
)

// utf8Rows has for every byte the next state of each state, at that state's place.
var utf8Rows = func() (rows [256]uint64) {
	add := func(state uint, low, high int, next uint64) {
		for c := low; c <= high; c++ {
			rows[c] |= next << state
		}
	}
	add(utf8Start, 0x00, 0x7F, utf8Start)
	add(utf8Start, 0xC2, 0xDF, utf8One)
	add(utf8Start, 0xE0, 0xE0, utf8AfterE0)
	add(utf8Start, 0xE1, 0xEC, utf8Two)
	add(utf8Start, 0xED, 0xED, utf8AfterED)
	add(utf8Start, 0xEE, 0xEF, utf8Two)
	add(utf8Start, 0xF0, 0xF0, utf8AfterF0)
	add(utf8Start, 0xF1, 0xF3, utf8Three)
	add(utf8Start, 0xF4, 0xF4, utf8AfterF4)
	add(utf8One, 0x80, 0xBF, utf8Start)
	add(utf8Two, 0x80, 0xBF, utf8One)
	add(utf8Three, 0x80, 0xBF, utf8Two)
	add(utf8AfterE0, 0xA0, 0xBF, utf8One)
	add(utf8AfterED, 0x80, 0x9F, utf8One)
	add(utf8AfterF0, 0x90, 0xBF, utf8Two)
	add(utf8AfterF4, 0x80, 0x8F, utf8Two)
	return rows
}()

// validUTF8 is utf8.Valid, and faster for text that is not all ASCII: where characters of different lengths
// follow each other, a table beats branches that the processor cannot foresee.
func validUTF8(b []byte) bool {
	state := uint64(utf8Start)
	for len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b)
		if x&highs == 0 && state&63 == utf8Start {
			b = b[8:]
			for len(b) >= 64 {
				x = binary.LittleEndian.Uint64(b) | binary.LittleEndian.Uint64(b[8:]) | binary.LittleEndian.Uint64(b[16:]) | binary.LittleEndian.Uint64(b[24:]) |
					binary.LittleEndian.Uint64(b[32:]) | binary.LittleEndian.Uint64(b[40:]) | binary.LittleEndian.Uint64(b[48:]) | binary.LittleEndian.Uint64(b[56:])
				if x&highs != 0 {
					break
				}
				b = b[64:]
			}
			continue
		}
		b = b[8:]
		state = utf8Rows[byte(x)] >> (state & 63)
		state = utf8Rows[byte(x>>8)] >> (state & 63)
		state = utf8Rows[byte(x>>16)] >> (state & 63)
		state = utf8Rows[byte(x>>24)] >> (state & 63)
		state = utf8Rows[byte(x>>32)] >> (state & 63)
		state = utf8Rows[byte(x>>40)] >> (state & 63)
		state = utf8Rows[byte(x>>48)] >> (state & 63)
		state = utf8Rows[byte(x>>56)] >> (state & 63)
	}
	for _, c := range b {
		state = utf8Rows[c] >> (state & 63)
	}
	return state&63 == utf8Start
}
