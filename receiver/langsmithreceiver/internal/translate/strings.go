package translate

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"unsafe"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

const (
	// chunkSize is how many bytes of small strings share one allocation. A chunk lives as long as any string in
	// it, so it must stay small beside a batch of spans.
	chunkSize = 64 << 10
	// maxShared is the longest string that shares an allocation with others.
	maxShared = 4 << 10
	// recentStrings is how many repeated strings are remembered.
	recentStrings = 512
	// maxInternedLen is the longest string worth remembering.
	maxInternedLen = 96
)

// stringPool turns texts that alias a page into strings of their own. Small ones share chunks, repeated ones
// are kept once. It is not safe for concurrent use.
type stringPool struct {
	// chunk is the memory that small strings share, up to its length. It stays in place while it fills, because the
	// garbage collector would have to be told of every pointer that is written.
	chunk []byte
	lent  int // how often room was called without take
	// recent holds each string at the place that its bytes give. A newer one takes the place of an older one, which
	// is cheaper than any table that grows, and bounded.
	recent [recentStrings]string
}

// room lends memory to append about n bytes to. What was appended goes to take, whatever it has become.
func (p *stringPool) room(n int) []byte {
	p.lent++
	if n > maxShared || p.lent > 1 { // what is left of the chunk is lent once
		return memory(max(n, 1))
	}
	if cap(p.chunk)-len(p.chunk) < n {
		p.chunk = memory(chunkSize)
	}
	return p.chunk[len(p.chunk):]
}

// memory allocates n bytes. Unlike make, a builder does not clear them first, which costs as much as filling them.
func memory(n int) []byte {
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0)
	return unsafe.Slice(unsafe.StringData(b.String()), n)[:0]
}

// take makes a string of b: what room lent, with more at its end, or moved to memory of its own. Nobody may write to b any
// more.
func (p *stringPool) take(b []byte) string {
	p.lent--
	used, rest := len(b), p.chunk[len(p.chunk):]
	switch {
	case cap(rest) > 0 && unsafe.SliceData(b) == unsafe.SliceData(rest):
		p.chunk = p.chunk[:len(p.chunk)+used]
	case cap(b)-used > used/4:
		// It would keep too much memory.
		return string(b)
	}
	return unsafe.String(unsafe.SliceData(b), used)
}

// bytes copies b as it is.
func (p *stringPool) bytes(b []byte) string {
	if len(b) > maxShared {
		return string(b)
	}
	return p.take(append(p.room(len(b)), b...))
}

// text copies and unescapes t.
func (p *stringPool) text(t langsmith.Text) string {
	if bytes.IndexByte(t, '\\') < 0 {
		return p.bytes(t)
	}
	return p.take(t.Append(p.room(len(t) + langsmith.AppendSlack)))
}

// intern copies and unescapes t, which is likely to repeat.
func (p *stringPool) intern(t langsmith.Text) string {
	if len(t) > maxInternedLen || bytes.IndexByte(t, '\\') >= 0 {
		return p.text(t)
	}
	return p.internBytes(t)
}

// internBytes is intern for bytes that are no JSON text.
func (p *stringPool) internBytes(b []byte) string {
	if len(b) > maxInternedLen {
		return p.bytes(b)
	}
	place := &p.recent[hash(b)%recentStrings]
	if *place != string(b) {
		*place = string(b)
	}
	return *place
}

// uuid writes u in its usual form with hyphens.
func (p *stringPool) uuid(u langsmith.UUID) string {
	return p.take(u.Append(p.room(langsmith.UUIDLen)))
}

// hash looks at the length and at both ends of b, where the strings that repeat in traces differ.
func hash(b []byte) uint32 {
	n := len(b)
	var x uint64
	switch {
	case n >= 8:
		x = binary.LittleEndian.Uint64(b) ^ binary.LittleEndian.Uint64(b[n-8:])<<1
	case n >= 4:
		x = uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
	case n > 0:
		x = uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16
	}
	high, low := bits.Mul64(x+uint64(n), 0x9e3779b97f4a7c15)
	return uint32(high ^ low>>32)
}
