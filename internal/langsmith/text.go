package langsmith

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// String returns an unescaped copy.
func (t Text) String() string {
	if bytes.IndexByte(t, '\\') < 0 {
		return string(t)
	}
	return string(t.Append(make([]byte, 0, len(t)+AppendSlack)))
}

// AppendSlack is how much more room than the length of a text [Text.Append] wants, so as not to allocate.
const AppendSlack = 16

// Append appends the unescaped text to dst. A surrogate without its partner becomes U+FFFD.
func (t Text) Append(dst []byte) []byte {
	// No text is longer without its escapes. The slack lets sixteen bytes be written at a time.
	n := len(dst)
	dst = slices.Grow(dst, len(t)+AppendSlack)[:n+len(t)+AppendSlack]
	i := 0
	for {
		for ; i+16 <= len(t); i, n = i+16, n+16 {
			from, to := t[i:i+16], dst[n:n+16]
			x, y := binary.LittleEndian.Uint64(from), binary.LittleEndian.Uint64(from[8:])
			binary.LittleEndian.PutUint64(to, x)
			binary.LittleEndian.PutUint64(to[8:], y)
			if first, second := backslashes(x), backslashes(y); first|second != 0 {
				k := bits.TrailingZeros64(first) >> 3
				k += bits.TrailingZeros64(second) >> 3 & -(k >> 3)
				i, n = i+k, n+k
				break
			}
		}
		for ; i < len(t) && t[i] != '\\'; i, n = i+1, n+1 {
			dst[n] = t[i]
		}
		// Text that is escaped for ASCII comes as a run of escapes.
		for i < len(t) && t[i] == '\\' {
			if i+1 < len(t) && meanings[t[i+1]] != 0 {
				dst[n] = meanings[t[i+1]]
				i, n = i+2, n+1
				continue
			}
			if size := putUnicode(dst[n:], t[i:]); size > 0 {
				i, n = i+6, n+size
				continue
			}
			r, size := unescape(t[i:])
			if size < 3 { // no escape at all, whose replacement is longer
				dst = append(dst, 0, 0)
			}
			n += utf8.EncodeRune(dst[n:], r)
			i += size
		}
		if i >= len(t) {
			return dst[:n]
		}
	}
}

// putUnicode writes what the escape \uXXXX at the beginning of t means, unless that is ASCII or half of a surrogate
// pair. It returns how many bytes that took, zero for anything else.
func putUnicode(dst, t []byte) int {
	if len(t) < 6 || len(dst) < 3 || t[1] != 'u' {
		return 0
	}
	a, b, c, d := hexValue[t[2]], hexValue[t[3]], hexValue[t[4]], hexValue[t[5]]
	r := uint32(a)<<12 | uint32(b)<<8 | uint32(c)<<4 | uint32(d)
	switch {
	case a|b|c|d > 15:
		return 0
	case r >= 0x800 && r-0xD800 >= 0x800:
		dst[0], dst[1], dst[2] = 0xE0|a, 0x80|b<<2|c>>2, 0x80|c&3<<4|d
		return 3
	case r-0x80 < 0x780:
		dst[0], dst[1] = 0xC0|b<<2|c>>2, 0x80|c&3<<4|d
		return 2
	default:
		return 0
	}
}

// backslashes has the high bit set of the lowest byte of x that is a backslash; bits above that one may be wrong.
func backslashes(x uint64) uint64 { return (x ^ '\\'*ones - ones) &^ x & highs }

// meanings has what a byte behind a backslash means, zero where more than that byte counts.
var meanings = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// Equal compares the unescaped text with s.
func (t Text) Equal(s string) bool {
	if len(t) == len(s) {
		// An escape is longer than what it means, so equal lengths mean equal bytes.
		return string(t) == s && bytes.IndexByte(t, '\\') < 0
	}
	if len(t) < len(s) {
		return false
	}
	for {
		i := bytes.IndexByte(t, '\\')
		if i < 0 {
			return string(t) == s
		}
		if i > len(s) || string(t[:i]) != s[:i] {
			return false
		}
		r, n := unescape(t[i:])
		t, s = t[i+n:], s[i:]
		got, size := utf8.DecodeRuneInString(s)
		if got != r || (r == utf8.RuneError && size != 3) {
			return false
		}
		s = s[size:]
	}
}

// unescape reads the escape that t begins with, and returns what it means and how long it is.
func unescape(t []byte) (rune, int) {
	if len(t) < 2 {
		return utf8.RuneError, len(t)
	}
	switch t[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r := hex4(t)
		if r < 0 {
			return utf8.RuneError, 2
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(t) >= 12 && t[6] == '\\' && t[7] == 'u' {
			if full := utf16.DecodeRune(r, hex4(t[6:])); full != utf8.RuneError {
				return full, 12
			}
		}
		return utf8.RuneError, 6
	default:
		return rune(t[1]), 2
	}
}

// hex4 reads the four digits of \uXXXX, -1 when they are none.
func hex4(t []byte) rune {
	if len(t) < 6 {
		return -1
	}
	a, b, c, d := hexValue[t[2]], hexValue[t[3]], hexValue[t[4]], hexValue[t[5]]
	if a|b|c|d > 15 {
		return -1
	}
	return rune(a)<<12 | rune(b)<<8 | rune(c)<<4 | rune(d)
}

// hexValue maps a hexadecimal digit to its value, anything else to 255.
var hexValue = func() (v [256]uint8) {
	for i := range v {
		v[i] = 255
	}
	for i := range uint8(10) {
		v['0'+i] = i
	}
	for i := range uint8(6) {
		v['a'+i], v['A'+i] = 10+i, 10+i
	}
	return v
}()
