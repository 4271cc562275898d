package translate

import (
	"bytes"
	"unsafe"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

const (
	// chunkSize is how many bytes of small strings share one allocation. A chunk lives as long as any string in
	// it, so it must stay small beside a batch of spans.
	chunkSize = 16 << 10
	// maxInterned bounds the table of repeated strings; when it is full it starts over.
	maxInterned = 2048
	// maxInternedLen is the longest string worth a place in that table.
	maxInternedLen = 96
)

// stringPool turns texts that alias a page into strings of their own. Small ones share chunks, repeated ones
// are kept once. It is not safe for concurrent use.
type stringPool struct {
	chunk    []byte
	interned map[string]string
}

// room makes sure that n more bytes fit into the chunk.
func (p *stringPool) room(n int) {
	if cap(p.chunk)-len(p.chunk) < n {
		p.chunk = make([]byte, 0, chunkSize)
	}
}

// since returns what was appended to the chunk from start on. The chunk is only ever appended to and its bytes
// are never written twice, so the string may alias it.
func (p *stringPool) since(start int) string {
	b := p.chunk[start:]
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// bytes copies b as it is.
func (p *stringPool) bytes(b []byte) string {
	if len(b) > chunkSize/4 {
		return string(b)
	}
	p.room(len(b))
	start := len(p.chunk)
	p.chunk = append(p.chunk, b...)
	return p.since(start)
}

// text copies and unescapes t.
func (p *stringPool) text(t langsmith.Text) string {
	if len(t) > chunkSize/4 {
		return t.String()
	}
	if bytes.IndexByte(t, '\\') < 0 {
		return p.bytes(t)
	}
	p.room(len(t)) // unescaping never grows a text
	start := len(p.chunk)
	p.chunk = t.Append(p.chunk)
	return p.since(start)
}

// intern copies and unescapes t, which is likely to repeat.
func (p *stringPool) intern(t langsmith.Text) string {
	if len(t) == 0 {
		return ""
	}
	if len(t) > maxInternedLen || bytes.IndexByte(t, '\\') >= 0 {
		return p.text(t)
	}
	if s, ok := p.interned[string(t)]; ok {
		return s
	}
	return p.remember(string(t))
}

// internBytes is intern for bytes that are no JSON text.
func (p *stringPool) internBytes(b []byte) string {
	if s, ok := p.interned[string(b)]; ok {
		return s
	}
	if len(b) > maxInternedLen {
		return p.bytes(b)
	}
	return p.remember(string(b))
}

func (p *stringPool) remember(s string) string {
	if p.interned == nil || len(p.interned) >= maxInterned {
		p.interned = make(map[string]string, 64)
	}
	p.interned[s] = s
	return s
}

// uuid writes u in its usual form with hyphens.
func (p *stringPool) uuid(u langsmith.UUID) string {
	p.room(36)
	start := len(p.chunk)
	p.chunk = u.Append(p.chunk)
	return p.since(start)
}
