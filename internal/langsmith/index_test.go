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

// indexOf scans a copy of r, and returns an index of it and the copy without the space around the value.
func indexOf(s *scanner, r []byte) (*Index, Raw) {
	s.set(append(bytes.Clone(r), make([]byte, padding)...)[:len(r)])
	s.tokens = s.tokens[:0]
	start := s.space(0)
	end := s.noted(start)
	if end < 0 {
		return nil, nil
	}
	return &Index{base: s.b[:s.n], tokens: s.tokens}, s.b[start:end:end]
}

func assertIndexed(t *testing.T, s *scanner, text []byte) {
	x, r := indexOf(s, text)
	require.NotNil(t, r, "%q", text)
	for _, backwards := range []bool{false, true} {
		var plain, indexed strings.Builder
		walkAll(nil, r, backwards, 0, &plain)
		walkAll(x, r, backwards, 0, &indexed)
		require.Equal(t, plain.String(), indexed.String(), "%q", r)
	}
}

func TestIndex(t *testing.T) {
	var s scanner
	for _, text := range []string{
		`null`, `1`, `"x"`, `{}`, `[]`, `[[]]`, `[[],[]]`, `{"a":{"b":[1,{"c":"}]"},"\\"]},"d":[]}`,
		` { "a" : [ { } , [ 1 , 2 ] ] , "a" : { "b" : "\"{" } } `, `[1,[2,[3,[4]],5],6]`,
	} {
		assertIndexed(t, &s, []byte(text))
	}
	for _, class := range langsmithtest.Classes {
		assertIndexed(t, &s, langsmithtest.Page(class, 1, 3))
	}

	x, r := indexOf(&s, []byte(`{"a":{"b":[7]},"n":null}`))
	assert.Equal(t, "[7]", string(x.Get(r, "a", "b")))
	assert.Nil(t, x.Get(r, "a", "c"))
	assert.Nil(t, x.Get(r, "n"))
	assert.Len(t, x.tokens, 8)
}

// Values that are not in the index are walked all the same, and an index that has no room is none.
func TestIndexOfOthers(t *testing.T) {
	var s scanner
	x, r := indexOf(&s, []byte(`{"a":[1,[2]]}`))
	assert.Equal(t, "[2]", string(x.Get(Raw(`{"b":[2]}`), "b")))
	part := r[5:8] // not the whole of the array that begins there
	n := 0
	for range x.Elements(part) {
		n++
	}
	assert.Equal(t, 1, n)
	assert.Nil(t, x.Get(nil, "a"))

	for name, many := range map[string]string{
		"arrays":  "[" + strings.Repeat("[1],", maxTokens/2) + "[2]]",
		"numbers": "[" + strings.Repeat("1,", maxTokens) + "2]",
		"members": `{"a":[` + strings.Repeat(`{"b":"c"},`, maxTokens/3) + `2]}`,
		"depth":   "[" + strings.Repeat("1,", maxTokens-9) + strings.Repeat("[", 20) + strings.Repeat("]", 20) + "]",
	} {
		x, r = indexOf(&s, []byte(many))
		require.Len(t, r, len(many), name)
		assert.Empty(t, x.tokens, name)
		n = 0
		for range x.Elements(r) {
			n++
		}
		for range x.Members(r) {
			n++
		}
		assert.Positive(t, n, name)
	}
}

// Whoever reads a run finds its large values in the index.
func TestRunIndex(t *testing.T) {
	for _, class := range langsmithtest.Classes {
		_, err := NewDecoder(0).Decode(bytes.NewReader(langsmithtest.Page(class, 1, 50)), func(run *Run) error {
			for _, v := range []Raw{run.Inputs, run.Outputs, run.InvocationParams} {
				var plain, indexed strings.Builder
				walkAll(nil, v, true, 0, &plain)
				walkAll(run.Index(), v, true, 0, &indexed)
				require.Equal(t, plain.String(), indexed.String())
				require.Equal(t, v != nil, run.Index().find(v) >= 0)
			}
			return nil
		})
		require.NoError(t, err)
	}
}

func TestIndexDoesNotAllocate(t *testing.T) {
	var s scanner
	x, r := indexOf(&s, []byte(`{"a":{"b":[7,8]},"c":[{"d":"e"}]}`))
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		for _, v := range x.Members(r) {
			for range x.Elements(v) {
			}
		}
	}))
}

// FuzzIndex holds that an index never changes what is found in valid values, and that walking never fails in others.
func FuzzIndex(f *testing.F) {
	for _, seed := range []string{`{"a":x{"long long long"},"b":[]}`, `{"a":1 [}]`, `[{]}`, `{"a":[1,{"b":"\""}],"c":{}}`, `[[[`, `"`, `{"a":"\`} {
		f.Add([]byte(seed))
	}
	var s scanner
	f.Fuzz(func(t *testing.T, data []byte) {
		if accepts(&s, bytes.Clone(data)) {
			assertIndexed(t, &s, data)
			return
		}
		walkAll(nil, data, false, 0, &strings.Builder{})
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
