package langsmith

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth is how deep the values of a run may nest.
const maxDepth = 512

// padding is how many zero bytes stand behind the data, so that as many can be loaded anywhere. A zero byte is valid
// nowhere in JSON, so every loop stops there by itself.
const padding = maxKnownKey

// Words for looking at eight bytes at a time.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// What a scan returns instead of a position.
const (
	scanShort = -1 // the data ends within the value
	scanBad   = -2 // the grammar is broken
	scanDeep  = -3 // deeper than maxDepth
)

// scanner walks JSON strictly by the grammar of RFC 8259, in one pass and without allocating. Its methods take
// the index of a value's first byte and return the index behind its last, or one of the scan codes. UTF-8 is
// checked by the caller over whole runs, which is cheaper than per string: all bytes above 0x7F stand inside of
// strings, or the grammar is broken.
type scanner struct {
	b []byte // data, then padding
	n int    // length of the data
	// tokens is what stands in the objects and arrays that were scanned while noting was set.
	tokens []token
	noting bool
	// stack has for every open object or array the one around it: its token, and in the lowest bit whether it is an object.
	stack [maxDepth]uint32
}

// set makes the scanner look at b, whose capacity must leave room for the padding.
func (s *scanner) set(b []byte) {
	s.n = len(b)
	s.b = b[: s.n+padding : cap(b)]
	clear(s.b[s.n:])
}

// fail tells whether what went wrong at i is that the data ended.
func (s *scanner) fail(i int) int {
	if i >= s.n {
		return scanShort
	}
	return scanBad
}

func (s *scanner) space(i int) int {
	for s.b[i] <= ' ' && (s.b[i] == ' ' || s.b[i] == '\n' || s.b[i] == '\r' || s.b[i] == '\t') {
		i++
	}
	return i
}

// str takes the index behind the opening quote.
func (s *scanner) str(i int) int {
	b := s.b
	for i+16 <= len(b) {
		w := b[i : i+16]
		m := special(binary.LittleEndian.Uint64(w))
		if m == 0 {
			if m = special(binary.LittleEndian.Uint64(w[8:])); m == 0 {
				i += 16
				continue
			}
			i += 8
		}
		i += bits.TrailingZeros64(m) >> 3
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c != '\\':
			return s.fail(i)
		case escapes[b[i+1]]:
			i += 2
		case b[i+1] == 'u':
			// Text that is escaped for ASCII comes as one run of these.
			t := b[i:]
			for len(t) > 6 && t[0] == '\\' && t[1] == 'u' {
				if hexValue[t[2]]|hexValue[t[3]]|hexValue[t[4]]|hexValue[t[5]] > 15 {
					return s.fail(i + 5)
				}
				i, t = i+6, t[6:]
			}
		default:
			return s.fail(i + 1)
		}
	}
	return scanShort
}

// special has the high bit set of the lowest byte of x that is a quote, a backslash or a control character; bits
// above that one may be wrong.
func special(x uint64) uint64 {
	// Flipping bit 1 moves the quote right above the control characters, so one comparison finds both.
	return ((x ^ 0x02*ones - 0x21*ones) | (x ^ '\\'*ones - ones)) &^ x & highs
}

// escapes holds what may follow a backslash, but for the u.
var escapes = [256]bool{'"': true, '\\': true, '/': true, 'b': true, 'f': true, 'n': true, 'r': true, 't': true}

// number takes the index of the sign or first digit.
func (s *scanner) number(i int) int {
	b := s.b
	if b[i] == '-' {
		i++
	}
	switch {
	case b[i] == '0':
		i++
	case b[i]-'1' <= 8:
		for b[i]-'0' <= 9 {
			i++
		}
	default:
		return s.fail(i)
	}
	if b[i] == '.' {
		i++
		if b[i]-'0' > 9 {
			return s.fail(i)
		}
		for b[i]-'0' <= 9 {
			i++
		}
	}
	if b[i]|0x20 == 'e' {
		i++
		if b[i] == '+' || b[i] == '-' {
			i++
		}
		if b[i]-'0' > 9 {
			return s.fail(i)
		}
		for b[i]-'0' <= 9 {
			i++
		}
	}
	return i
}

const (
	wordTrue = 't' | 'r'<<8 | 'u'<<16 | 'e'<<24
	wordAlse = 'a' | 'l'<<8 | 's'<<16 | 'e'<<24
	wordNull = 'n' | 'u'<<8 | 'l'<<16 | 'l'<<24
)

func (s *scanner) literal(i int) int {
	end, want := i+4, uint32(wordTrue)
	switch s.b[i] {
	case 't':
	case 'n':
		want = wordNull
	default:
		end, want, i = i+5, wordAlse, i+1
	}
	if binary.LittleEndian.Uint32(s.b[i:]) == want {
		return end
	}
	if end > s.n {
		return scanShort
	}
	return scanBad
}

// value takes the index of any value's first byte.
func (s *scanner) value(i int) int {
	switch c := s.b[i]; {
	case c == '"':
		return s.str(i + 1)
	case c == '{' || c == '[':
		return s.container(i)
	case c == '-' || c-'0' <= 9:
		return s.number(i)
	case c == 't' || c == 'f' || c == 'n':
		return s.literal(i)
	default:
		return s.fail(i)
	}
}

// noted scans a value and notes the tokens in it. What has too many of them is left out.
func (s *scanner) noted(i int) int {
	before := len(s.tokens)
	s.noting = true
	i = s.value(i)
	if s.noting = false; len(s.tokens) > maxTokens {
		s.tokens = s.tokens[:before]
	}
	return i
}

// container takes the index of the opening brace or bracket.
func (s *scanner) container(i int) int {
	b := s.b
	tokens, noting := s.tokens, s.noting
	start, depth := 0, -1
	current := uint32(0) // the open object or array, as on the stack
	object := false

open:
	if depth++; depth == maxDepth {
		return scanDeep
	}
	s.stack[depth] = current
	current = 0
	if object = b[i] == '{'; object {
		current = 1
	}
	if noting {
		current |= uint32(len(tokens)) << 1
		if tokens = append(tokens, token{start: uint32(i)}); len(tokens) > maxTokens {
			s.tokens, noting = tokens, false
		}
	}
	i++
	if b[i] <= ' ' {
		i = s.space(i)
	}
	if object {
		if b[i] == '}' {
			i++
			goto closed
		}
		goto key
	}
	if b[i] == ']' {
		i++
		goto closed
	}
	goto element

key:
	if b[i] != '"' {
		return s.fail(i)
	}
	start = i + 1
	if i = s.str(start); i < 0 {
		return i
	}
	if noting {
		if tokens = append(tokens, token{start: uint32(start), end: uint32(i - 1), next: uint32(len(tokens) + 1)}); len(tokens) > maxTokens {
			s.tokens, noting = tokens, false
		}
	}
	if b[i] <= ' ' {
		i = s.space(i)
	}
	if b[i] != ':' {
		return s.fail(i)
	}
	i++
	if b[i] <= ' ' {
		i = s.space(i)
	}

element:
	start = i
	switch c := b[i]; {
	case c == '"':
		i = s.str(i + 1)
	case c == '{' || c == '[':
		goto open
	case c == '-' || c-'0' <= 9:
		i = s.number(i)
	case c == 't' || c == 'f' || c == 'n':
		i = s.literal(i)
	default:
		return s.fail(i)
	}
	if i < 0 {
		return i
	}
	if noting {
		if tokens = append(tokens, token{start: uint32(start), end: uint32(i), next: uint32(len(tokens) + 1)}); len(tokens) > maxTokens {
			s.tokens, noting = tokens, false
		}
	}

after:
	if b[i] <= ' ' {
		i = s.space(i)
	}
	if b[i] == ',' {
		i++
		if b[i] <= ' ' {
			i = s.space(i)
		}
		if object {
			goto key
		}
		goto element
	}
	if object && b[i] != '}' || !object && b[i] != ']' {
		return s.fail(i)
	}
	i++

closed:
	if noting {
		t := &tokens[current>>1]
		t.end, t.next = uint32(i), uint32(len(tokens))
	}
	current = s.stack[depth]
	object = current&1 != 0
	if depth--; depth >= 0 {
		goto after
	}
	if noting {
		s.tokens = tokens
	}
	return i
}
