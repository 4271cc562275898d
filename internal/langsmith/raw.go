package langsmith

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// ValueKind is what a [Raw] holds.
type ValueKind uint8

const (
	// KindAbsent is nil or null: LangSmith uses both for "not set".
	KindAbsent ValueKind = iota
	// KindBool is true or false.
	KindBool
	// KindNumber is a number.
	KindNumber
	// KindString is a string.
	KindString
	// KindArray is an array.
	KindArray
	// KindObject is an object.
	KindObject
)

// kinds tells a value by its first byte.
var kinds = func() (kinds [256]ValueKind) {
	for i := range kinds {
		kinds[i] = KindNumber
	}
	kinds['{'], kinds['['], kinds['"'] = KindObject, KindArray, KindString
	kinds['t'], kinds['f'], kinds['n'] = KindBool, KindBool, KindAbsent
	return kinds
}()

// Kind tells what r holds.
func (r Raw) Kind() ValueKind {
	if len(r) > 0 && r[0] > ' ' {
		return kinds[r[0]]
	}
	return r.kindBehindSpace()
}

func (r Raw) kindBehindSpace() ValueKind {
	i := skipSpace(r, 0)
	if i >= len(r) {
		return KindAbsent
	}
	return kinds[r[i]]
}

// Members walks the members of an object in wire order: for k, v := range r.Members. It yields nothing for any
// other kind. A duplicate key is yielded each time.
func (r Raw) Members(yield func(Text, Raw) bool) {
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
		end = endOfValue(r, i)
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

// Elements walks the elements of an array: for v := range r.Elements. It yields nothing for any other kind.
func (r Raw) Elements(yield func(Raw) bool) {
	i := skipSpace(r, 0)
	if i >= len(r) || r[i] != '[' {
		return
	}
	i = skipSpace(r, i+1)
	for i < len(r) && r[i] != ']' {
		end := endOfValue(r, i)
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

// Get returns the value under the keys of nested objects, the first one where a key is repeated. It is nil when
// a key is absent, its value is null, or something on the way is no object.
func (r Raw) Get(keys ...string) Raw { return (*Index)(nil).Get(r, keys...) }

// Text returns the content of a string, nil for any other kind. The content of "" is empty and not nil.
func (r Raw) Text() Text {
	if len(r) < 2 {
		return nil
	}
	if end := len(r) - 1; r[0] == '"' && r[end] == '"' {
		return Text(r[1:end:end])
	}
	return r.textInSpace()
}

func (r Raw) textInSpace() Text {
	i := skipSpace(r, 0)
	if i >= len(r) || r[i] != '"' {
		return nil
	}
	end := closingQuote(r, i+1)
	return Text(r[i+1 : end : end])
}

// Number reads a number, or a string that holds one.
func (r Raw) Number() Number {
	switch r.Kind() {
	case KindNumber:
		return parseNumber(trimSpace(r))
	case KindString:
		return parseNumber(trimSpace(r.Text()))
	default:
		return Number{}
	}
}

// Count reads a whole number, or a string that holds one. Fractions are cut off.
func (r Raw) Count() Count {
	switch r.Kind() {
	case KindNumber:
		return parseCount(trimSpace(r))
	case KindString:
		return parseCount(trimSpace(r.Text()))
	default:
		return Count{}
	}
}

// Bool reads true or false; ok is false for any other kind.
func (r Raw) Bool() (v, ok bool) {
	i := skipSpace(r, 0)
	if i >= len(r) {
		return false, false
	}
	return r[i] == 't', r[i] == 't' || r[i] == 'f'
}

// Meta returns the member of Metadata with that key, nil when it is absent or null. Of a key that is there twice the last
// counts, as in every JSON parser.
func (r *Run) Meta(key string) Raw {
	for i := len(r.Metadata) - 1; i >= 0; i-- {
		if r.Metadata[i].Key.Equal(key) {
			if v := r.Metadata[i].Value; v.Kind() != KindAbsent {
				return v
			}
			return nil
		}
	}
	return nil
}

// closingQuote returns the index of the quote that ends the string whose content begins at i, len(b) when there
// is none. The content need not be valid.
func closingQuote(b []byte, i int) int {
	// Most strings are keys and short words, for which a call costs more than the search.
	if i+16 <= len(b) {
		w, at := b[i:i+16], i
		m := quotes(binary.LittleEndian.Uint64(w))
		if m == 0 {
			m, at = quotes(binary.LittleEndian.Uint64(w[8:])), i+8
		}
		if at += bits.TrailingZeros64(m) >> 3; m != 0 && b[at] == '"' {
			return at
		}
	}
	for at := i; at < len(b); at++ {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return len(b)
		}
		at += n
		// An even number of backslashes before the quote escape each other.
		back := at
		for back > i && b[back-1] == '\\' {
			back--
		}
		if (at-back)&1 == 0 {
			return at
		}
	}
	return len(b)
}

// quotes has the high bit set of the lowest byte of x that is a quote or a backslash; bits above that one may be
// wrong.
func quotes(x uint64) uint64 {
	y, z := x^'"'*ones, x^'\\'*ones
	return ((y-ones)&^y | (z-ones)&^z) & highs
}

// endOfValue returns the index behind the value that begins at i. The value must be valid.
func endOfValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = min(closingQuote(b, i+1)+1, len(b))
			if depth == 0 {
				return i
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
			if depth == 0 {
				return i
			}
		case ',', ':', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i
			}
			i++
		default:
			i++
		}
	}
	return i
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

func trimSpace(b []byte) []byte {
	i := skipSpace(b, 0)
	end := len(b)
	for end > i && (b[end-1] == ' ' || b[end-1] == '\n' || b[end-1] == '\r' || b[end-1] == '\t') {
		end--
	}
	return b[i:end]
}
