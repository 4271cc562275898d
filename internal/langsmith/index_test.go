package langsmith

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith/langsmithtest"
)

// walkAll writes down all that is in r, found with an index or, when x is nil, without. The members of an object are
// walked only after all of them are known, and from the last to the first when backwards is set.
func walkAll(x *Index, r Raw, backwards bool, depth int, out *strings.Builder) {
	var keys []Text
	var values []Raw
	for k, v := range x.Members(r) {
		keys, values = append(keys, k), append(values, v)
	}
	for v := range x.Elements(r) {
		keys, values = append(keys, nil), append(values, v)
	}
	for i := range values {
		if backwards {
			i = len(values) - 1 - i
		}
		out.WriteString(string(keys[i]) + "=" + string(values[i]) + "\n")
		if depth < 20 {
			walkAll(x, values[i], backwards, depth+1, out)
		}
	}
}

func assertIndexed(t *testing.T, x *Index, r Raw) {
	x.Reset(r)
	for _, backwards := range []bool{false, true} {
		var plain, indexed strings.Builder
		walkAll(nil, r, backwards, 0, &plain)
		walkAll(x, r, backwards, 0, &indexed)
		require.Equal(t, plain.String(), indexed.String(), "%q", r)
	}
}

func TestIndex(t *testing.T) {
	var x Index
	for _, text := range []string{
		``, `null`, `1`, `"x"`, `{}`, `[]`, `[[]]`, `[[],[]]`, `{"a":{"b":[1,{"c":"}]"},"\\"]},"d":[]}`,
		` { "a" : [ { } , [ 1 , 2 ] ] , "a" : { "b" : "\"{" } } `, `[1,[2,[3,[4]],5],6]`,
	} {
		assertIndexed(t, &x, Raw(text))
	}
	for _, class := range langsmithtest.Classes {
		assertIndexed(t, &x, langsmithtest.Page(class, 1, 3))
	}

	x.Reset(Raw(`{"a":{"b":[7]},"n":null}`))
	assert.Equal(t, "[7]", string(x.Get(x.base, "a", "b")))
	assert.Nil(t, x.Get(x.base, "a", "c"))
	assert.Nil(t, x.Get(x.base, "n"))
	assert.NotNil(t, x.spans)
}

// Values that are not in the index are walked all the same, and an index that has no room is none.
func TestIndexOfOthers(t *testing.T) {
	var x Index
	x.Reset(Raw(`{"a":[1,[2]]}`))
	assert.Equal(t, "[2]", string(x.Get(Raw(`{"b":[2]}`), "b")))
	part := x.base[5:8] // not the whole of the array that begins there
	n := 0
	for range x.Elements(part) {
		n++
	}
	assert.Equal(t, 1, n)

	many := Raw("[" + strings.Repeat("[1],", maxSpans) + "[2]]")
	x.Reset(many)
	assert.Empty(t, x.spans)
	n = 0
	for range x.Elements(many) {
		n++
	}
	assert.Equal(t, maxSpans+1, n)
	x.Reset(nil)
	assert.Nil(t, x.Get(nil, "a"))
}

func TestIndexDoesNotAllocate(t *testing.T) {
	var x Index
	r := Raw(`{"a":{"b":[7,8]},"c":[{"d":"e"}]}`)
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		x.Reset(r)
		for _, v := range x.Members(r) {
			for range x.Elements(v) {
			}
		}
	}))
}

// FuzzIndex holds that an index never changes what is found, in valid values, and never fails, in any.
func FuzzIndex(f *testing.F) {
	for _, seed := range []string{`{"a":x{"long long long"},"b":[]}`, `{"a":1 [}]`, `[{]}`, `{"a":[1,{"b":"\""}],"c":{}}`, `[[[`, `"`, `{"a":"\`} {
		f.Add([]byte(seed))
	}
	var s scanner
	f.Fuzz(func(t *testing.T, data []byte) {
		var x Index
		if accepts(&s, bytes.Clone(data)) {
			assertIndexed(t, &x, data)
			return
		}
		x.Reset(data)
		walkAll(&x, data, false, 0, &strings.Builder{})
	})
}

func TestClosingQuote(t *testing.T) {
	for _, pad := range []int{0, 1, 7, 8, 15, 16, 40} {
		x := strings.Repeat("x", pad)
		for text, want := range map[string]int{
			`"`: 0, `\""`: 2, `\\"`: 2, `\\\""`: 4, `\\\\"`: 4, `\"\\"`: 4, ``: 0, `\`: 1, `\"`: 2, `\\`: 2,
		} {
			assert.Equal(t, pad+want, closingQuote([]byte(x+text), 0), "%d %s", pad, text)
			assert.Equal(t, 1+pad+want, closingQuote([]byte(`\`+x+text), 1), "%d %s behind a backslash", pad, text)
		}
	}
}
