package translate

import (
	"bytes"
	"unicode/utf8"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// maxEscape is how many bytes one byte of text may take on the wire, as in \u0041.
const maxEscape = 6

// clipText cuts t on the wire to at most limit bytes, between characters and never inside an escape.
func clipText(t langsmith.Text, limit int) langsmith.Text {
	if len(t) <= limit {
		return t
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(t[cut]) {
		cut--
	}
	// Walk the escapes up to the cut: only the walk from the left tells a backslash that escapes from one that
	// is escaped.
	for at := 0; ; {
		i := bytes.IndexByte(t[at:cut], '\\')
		if i < 0 {
			return t[:cut]
		}
		at += i
		size := escapeLen(t[at:])
		if at+size > cut {
			return t[:at]
		}
		at += size
	}
}

// escapeLen is how long the escape at the start of t is, both halves of a surrogate pair included.
func escapeLen(t []byte) int {
	if len(t) < 2 || t[1] != 'u' {
		return min(2, len(t))
	}
	if len(t) >= 12 && isSurrogate(t, 0, "89abAB") && t[6] == '\\' && t[7] == 'u' && isSurrogate(t, 6, "cdefCDEF") {
		return 12
	}
	return min(6, len(t))
}

// isSurrogate reports whether the escape at i is \udXnn with X among the given digits.
func isSurrogate(t []byte, i int, third string) bool {
	return t[i+2]|0x20 == 'd' && bytes.IndexByte([]byte(third), t[i+3]) >= 0
}

// appendClipped appends at most limit bytes of the unescaped text, and reports whether it left some out.
func appendClipped(dst []byte, t langsmith.Text, limit int) ([]byte, bool) {
	start := len(dst)
	wire := clipText(t, limit*maxEscape)
	dst = wire.Append(dst)
	if len(dst)-start <= limit {
		return dst, len(wire) < len(t)
	}
	cut := start + limit
	for cut > start && !utf8.RuneStart(dst[cut]) {
		cut--
	}
	return dst[:cut], true
}

// short is the text as a string of at most limit bytes that is likely to repeat.
func (t *Translator) short(text langsmith.Text, limit int) string {
	var notes Notes
	return t.shortNoted(text, limit, &notes)
}

// shortNoted is short, and notes when it had to cut.
func (t *Translator) shortNoted(text langsmith.Text, limit int, notes *Notes) string {
	if len(text) <= limit {
		return t.strings.intern(text)
	}
	b, clipped := appendClipped(nil, text, limit)
	if clipped {
		*notes |= NameTruncated
	}
	return t.strings.internBytes(b)
}

// once is short for a text that is as likely to be of this run alone.
func (t *Translator) once(text langsmith.Text, limit int) string {
	if len(text) <= limit {
		return t.strings.text(text)
	}
	return t.short(text, limit)
}

// cleanToken returns text in lower case if asked for, when it is a short word of letters, digits and a few
// marks; else "". It is for values that become attributes even when content must stay out.
func cleanToken(text langsmith.Text, lower bool) string {
	if len(text) == 0 || len(text) > 64 {
		return ""
	}
	for _, c := range text {
		if !isWord(c) && c != '.' && c != '-' && c != ':' && c != '/' {
			return ""
		}
	}
	if lower {
		return string(bytes.ToLower(text))
	}
	return string(text)
}

func isWord(c byte) bool {
	return c-'a' < 26 || c-'A' < 26 || c-'0' < 10 || c == '_'
}
