package langsmith

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

// TestValidUTF8 holds that what checks the pages is as strict as the standard library.
func TestValidUTF8(t *testing.T) {
	pieces := []string{
		"", "a", "abc", "0123456789abcdef", strings.Repeat("x", 70), "é", "中", "中文字", "ﬀ", "\uFFFD", "\u0800", "\u07FF", "\uD7FF", "\uE000", "😀",
		"\x80", "\xC0\x80", "\xC2", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE4\xB8", "\xE4\xB8\x41", "\xE4\x41\xAD", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xFF",
	}
	// It looks at 32 bytes at a time, so every piece stands at every place of them, and at 256 for what is no ASCII.
	for offset := range 34 {
		for _, a := range pieces {
			for _, b := range pieces {
				for _, end := range []int{0, 40, 300} {
					text := strings.Repeat("x", offset) + a + b + strings.Repeat("x", end)
					assert.Equal(t, utf8.ValidString(text), validUTF8([]byte(text)), "%q", text)
				}
			}
		}
	}
}

func FuzzValidUTF8(f *testing.F) {
	f.Add([]byte("中文 text \xE0\xA0\x80 and 😀 more"))
	f.Fuzz(func(t *testing.T, data []byte) {
		assert.Equal(t, utf8.Valid(data), validUTF8(data), "%q", data)
	})
}
