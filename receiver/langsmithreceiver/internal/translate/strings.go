package translate

import (
	"bytes"
	"strings"

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
	chunk    strings.Builder // unlike make, it does not clear its memory first
	interned map[string]string
	scratch  []byte
}

// bytes copies b as it is.
func (p *stringPool) bytes(b []byte) string {
	switch {
	case len(b) == 0:
		return ""
	case len(b) > chunkSize/4:
		return string(b)
	case p.chunk.Cap()-p.chunk.Len() < len(b):
		p.chunk = strings.Builder{}
		p.chunk.Grow(chunkSize)
	}
	start := p.chunk.Len()
	p.chunk.Write(b)
	return p.chunk.String()[start:]
}

// text copies and unescapes t.
func (p *stringPool) text(t langsmith.Text) string {
	if bytes.IndexByte(t, '\\') < 0 {
		return p.bytes(t)
	}
	p.scratch = t.Append(keepScratch(p.scratch))
	return p.bytes(p.scratch)
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
	p.scratch = u.Append(keepScratch(p.scratch))
	return p.bytes(p.scratch)
}
