// Package jsonw appends JSON to a buffer. It exists because the simulator writes thousands of runs a second
// whose fields it knows by heart, and because it must be able to write them oddly.
package jsonw

import (
	"strconv"
	"unicode/utf8"
)

// W is a JSON document under construction. It places commas by looking at the last byte. The zero value is
// ready to use.
type W struct{ B []byte }

func (w *W) sep() {
	if n := len(w.B); n > 0 {
		switch w.B[n-1] {
		case '{', '[', ':', '\n':
		default:
			w.B = append(w.B, ',')
		}
	}
}

// Obj opens an object.
func (w *W) Obj() *W { w.sep(); w.B = append(w.B, '{'); return w }

// End closes an object.
func (w *W) End() *W { w.B = append(w.B, '}'); return w }

// Arr opens an array.
func (w *W) Arr() *W { w.sep(); w.B = append(w.B, '['); return w }

// EndArr closes an array.
func (w *W) EndArr() *W { w.B = append(w.B, ']'); return w }

// Key writes a member's key.
func (w *W) Key(k string) *W {
	w.sep()
	w.B = AppendString(w.B, k)
	w.B = append(w.B, ':')
	return w
}

// Str writes a string.
func (w *W) Str(s string) *W { w.sep(); w.B = AppendString(w.B, s); return w }

// Int writes a whole number.
func (w *W) Int(n int64) *W { w.sep(); w.B = strconv.AppendInt(w.B, n, 10); return w }

// Float writes a number in its shortest form.
func (w *W) Float(f float64) *W { w.sep(); w.B = strconv.AppendFloat(w.B, f, 'f', -1, 64); return w }

// Bool writes true or false.
func (w *W) Bool(b bool) *W { w.sep(); w.B = strconv.AppendBool(w.B, b); return w }

// Null writes null.
func (w *W) Null() *W { w.sep(); w.B = append(w.B, "null"...); return w }

// Raw writes a JSON value as it is.
func (w *W) Raw(b []byte) *W {
	if len(b) == 0 {
		return w.Null()
	}
	w.sep()
	w.B = append(w.B, b...)
	return w
}

// RawString writes a JSON value as it is.
func (w *W) RawString(s string) *W { w.sep(); w.B = append(w.B, s...); return w }

// KV writes a member whose value is a string.
func (w *W) KV(k, v string) *W { return w.Key(k).Str(v) }

// KInt writes a member whose value is a whole number.
func (w *W) KInt(k string, n int64) *W { return w.Key(k).Int(n) }

// KFloat writes a member whose value is a number.
func (w *W) KFloat(k string, f float64) *W { return w.Key(k).Float(f) }

// KBool writes a member whose value is true or false.
func (w *W) KBool(k string, b bool) *W { return w.Key(k).Bool(b) }

// KNull writes a member whose value is null.
func (w *W) KNull(k string) *W { return w.Key(k).Null() }

// KRaw writes a member whose value is JSON text.
func (w *W) KRaw(k, v string) *W { return w.Key(k).RawString(v) }

// KStrs writes a member whose value is an array of strings.
func (w *W) KStrs(k string, vs []string) *W {
	w.Key(k).Arr()
	for _, v := range vs {
		w.Str(v)
	}
	return w.EndArr()
}

const hex = "0123456789abcdef"

// AppendString appends s as a JSON string; bytes that are no UTF-8 become the replacement character.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\t':
				dst = append(dst, '\\', 't')
			case '\r':
				dst = append(dst, '\\', 'r')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\ufffd"...)
			i++
			start = i
			continue
		}
		i += n
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
