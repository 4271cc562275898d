package genai

import (
	"unsafe"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Session reads spans one after another, faster than [Reader.Read] with the same result: spans of one source
// list their attributes in one order, so what the last span had at a place is mostly what this one has there,
// and one comparison confirms it. It is not safe for concurrent use.
type Session struct {
	reader *Reader
	scan   scan
	used   uint8 // layouts in use, one bit each
	hints  [layouts]layout
}

// A layout is the order of the attributes of a span. Chats, tools and agents of one source have their own; the
// number of attributes tells them apart well enough.
type layout [layoutPlaces]hint

const (
	layouts      = 8
	layoutPlaces = 64
)

// hint is the key at some place and what is known about it: nil for nothing.
type hint struct {
	key   string // aliases the span
	entry *entry
}

// Session starts a session.
func (r *Reader) Session() *Session { return &Session{reader: r} }

// Read is [Reader.Read]. The spans must stay as they are until [Session.Forget] is called.
func (s *Session) Read(span ptrace.Span, scopeName string, resource pcommon.Map, call *Call) {
	s.reader.begin(&s.scan, span, call)
	attributes := span.Attributes()
	which := attributes.Len() % layouts
	s.used |= 1 << which
	hints := &s.hints[which]
	at := 0
	for key, value := range attributes.All() {
		h := &hints[at%layoutPlaces]
		at++
		if !same(h.key, key) {
			h.key, h.entry = key, s.reader.names.find(key)
		}
		e := h.entry
		if e == nil {
			continue
		}
		if s.scan.wants(e) {
			s.scan.take(e, value)
		}
		if e.extra != 0 {
			call.keep(e.extra, value)
		}
	}
	s.scan.conclude(span, scopeName, resource, call)
}

// Forget drops what the session remembers of the spans it read, so that they can be freed.
func (s *Session) Forget() {
	for i := range s.hints {
		if s.used>>i&1 != 0 {
			s.hints[i] = layout{}
		}
	}
	s.used = 0
	s.scan = scan{}
}

// same is a == b, faster for strings as long as keys are, whose lengths differ from place to place: no loop, no
// call. What is compared twice, in the middle, costs less than to know where it is.
func same(a, b string) bool {
	n := len(a)
	if n != len(b) {
		return false
	}
	switch {
	case n < 4 || n > 32:
		return a == b
	case n >= 16:
		return (word(a, 0)^word(b, 0))|(word(a, 8)^word(b, 8))|
			(word(a, n-16)^word(b, n-16))|(word(a, n-8)^word(b, n-8)) == 0
	case n >= 8:
		return (word(a, 0)^word(b, 0))|(word(a, n-8)^word(b, n-8)) == 0
	default:
		return (half(a, 0)^half(b, 0))|(half(a, n-4)^half(b, n-4)) == 0
	}
}

// word is the eight bytes of s at this place, which must be inside.
func word(s string, at int) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), at))
}

// half is the four bytes of s at this place, which must be inside.
func half(s string, at int) uint32 {
	return *(*uint32)(unsafe.Add(unsafe.Pointer(unsafe.StringData(s)), at))
}
