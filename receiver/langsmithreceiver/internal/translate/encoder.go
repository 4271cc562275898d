package translate

import (
	"bytes"
	"strconv"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// encoder builds JSON text by appending. Texts and values of a run are JSON already and are copied as they
// stand; none is longer than limit.
type encoder struct {
	index   *langsmith.Index // of the value that is being read; nil is fine
	buf     []byte
	limit   int
	clipped bool
}

// reset begins a new text in buf.
func (e *encoder) reset(buf []byte, limit int) {
	e.buf = buf
	e.limit = limit
	e.clipped = false
}

// comma separates from the element before, if there is one.
func (e *encoder) comma() {
	if n := len(e.buf); n > 0 && e.buf[n-1] != '[' && e.buf[n-1] != '{' {
		e.buf = append(e.buf, ',')
	}
}

func (e *encoder) raw(s string) { e.buf = append(e.buf, s...) }

// key begins a member. name must need no escaping.
func (e *encoder) key(name string) {
	e.comma()
	// One append to a statement: only so does the compiler leave the slice's pointer alone where nothing grows, which the
	// garbage collector would have to be told of.
	e.buf = append(e.buf, '"')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, '"', ':')
}

// word writes a member whose value needs no escaping.
func (e *encoder) word(name, value string) {
	e.key(name)
	e.buf = append(e.buf, '"')
	e.buf = append(e.buf, value...)
	e.buf = append(e.buf, '"')
}

// text writes a member that is a string.
func (e *encoder) text(name string, t langsmith.Text) {
	e.key(name)
	e.string(t)
}

// optional writes a member unless the text is empty.
func (e *encoder) optional(name string, t langsmith.Text) {
	if len(t) > 0 {
		e.text(name, t)
	}
}

func (e *encoder) string(t langsmith.Text) {
	e.buf = append(e.buf, '"')
	if len(t) <= e.limit {
		e.buf = append(e.buf, t...)
	} else {
		e.clipped = true
		e.buf = appendElided(e.buf, t, e.limit)
	}
	e.buf = append(e.buf, '"')
}

// value writes a member of any kind.
func (e *encoder) value(name string, v langsmith.Raw) {
	e.key(name)
	e.any(v)
}

func (e *encoder) any(v langsmith.Raw) {
	if v.Kind() == langsmith.KindAbsent {
		e.raw("null")
		return
	}
	if len(v) <= e.limit {
		e.buf = append(e.buf, v...)
		return
	}
	e.clipped = true
	e.buf = appendBounded(e.buf, v, e.limit)
}

// embedded writes a member from a string that holds JSON, as OpenAI writes arguments: as that JSON when it is an
// object, else as the string.
func (e *encoder) embedded(name string, v langsmith.Raw) {
	text := v.Text()
	if text == nil {
		e.value(name, v)
		return
	}
	e.key(name)
	if len(text) > 1 && text[0] == '{' && len(text) <= e.limit {
		start := len(e.buf)
		e.buf = text.Append(e.buf)
		if validJSON(e.buf[start:]) {
			return
		}
		e.buf = e.buf[:start]
	}
	e.string(text)
}

// elision tells in a shortened text how much is missing.
const elision = "…[%d bytes more]"

// appendElided appends at most limit bytes of t, and how many are missing.
func appendElided(dst []byte, t langsmith.Text, limit int) []byte {
	short := clipText(t, limit)
	dst = append(dst, short...)
	dst = append(dst, "…["...)
	dst = strconv.AppendInt(dst, int64(len(t)-len(short)), 10)
	return append(dst, " more bytes]"...)
}

const elisionSize = len(elision) + 20

// appendBounded appends v shortened to about limit bytes, still valid JSON: long strings are cut inside their
// quotes; when that is not enough, arrays and objects end early.
func appendBounded(dst []byte, v langsmith.Raw, limit int) []byte {
	start := len(dst)
	for share := 1; ; share *= 8 {
		b := bounder{limit: limit, longest: max(limit/share-elisionSize, 16)}
		dst = b.append(dst[:start], start, v, 0)
		if !b.full || b.longest == 16 || share > 256 {
			return dst
		}
	}
}

// bounder copies JSON within a limit.
type bounder struct {
	limit   int // bytes in all
	longest int // bytes of one string
	full    bool
}

// append copies v. What depth levels around v need to be closed is kept free.
func (b *bounder) append(dst []byte, start int, v langsmith.Raw, depth int) []byte {
	room := b.limit - (len(dst) - start) - depth
	switch v.Kind() {
	case langsmith.KindAbsent:
		return append(dst, "null"...)
	case langsmith.KindString:
		text := v.Text()
		if len(text) <= min(b.longest, room-2) {
			return append(dst, v...)
		}
		dst = append(dst, '"')
		dst = appendElided(dst, text, max(min(b.longest, room-2-elisionSize), 0))
		return append(dst, '"')
	case langsmith.KindArray:
		dst = append(dst, '[')
		n := 0
		for el := range v.Elements {
			if !b.fits(dst, start, depth+1) {
				break
			}
			if n++; n > 1 {
				dst = append(dst, ',')
			}
			dst = b.append(dst, start, el, depth+1)
		}
		return append(dst, ']')
	case langsmith.KindObject:
		dst = append(dst, '{')
		n := 0
		for k, member := range v.Members {
			if !b.fits(dst, start, depth+1+min(len(k), b.longest)) || len(k) > b.longest+elisionSize {
				b.full = true
				break
			}
			if n++; n > 1 {
				dst = append(dst, ',')
			}
			dst = append(append(append(dst, '"'), k...), '"', ':')
			dst = b.append(dst, start, member, depth+1)
		}
		return append(dst, '}')
	default:
		if len(v) > 64 { // a number of absurd length
			return append(dst, "null"...)
		}
		return append(dst, v...)
	}
}

// fits reports whether there is room for one more element of a little length.
func (b *bounder) fits(dst []byte, start, reserve int) bool {
	if len(dst)-start+reserve+elisionSize+64 > b.limit {
		b.full = true
		return false
	}
	return true
}

// boundedJSON is v as JSON text of about at most limit bytes.
func (t *Translator) boundedJSON(v langsmith.Raw, limit int, notes *Notes) string {
	if len(v) <= limit {
		return t.strings.bytes(v)
	}
	*notes |= ContentTruncated
	return t.strings.take(appendBounded(t.strings.room(limit), v, limit))
}

// finish returns what was built, shortened once more when many small parts have made it too long.
func (e *encoder) finish(notes *Notes) []byte {
	if len(e.buf) > e.limit {
		e.clipped = true
		n := len(e.buf)
		e.buf = append(e.buf[:0], appendBounded(e.buf, langsmith.Raw(e.buf[:n:n]), e.limit)[n:]...)
	}
	if e.clipped {
		*notes |= ContentTruncated
	}
	return e.buf
}

// isEmptyJSON reports whether v has nothing in it.
func isEmptyJSON(v langsmith.Raw) bool {
	if v.Kind() == langsmith.KindAbsent {
		return true
	}
	switch string(bytes.TrimSpace(v)) {
	case "{}", "[]", `""`:
		return true
	}
	return false
}
