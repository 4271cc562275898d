package genai

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// TestSessionReadsAsReader reads the spans of all dialects, and random ones, in random order through one
// session: nothing of one span may show in the next.
func TestSessionReadsAsReader(t *testing.T) {
	type input struct {
		span     ptrace.Span
		scope    string
		resource pcommon.Map
	}
	var inputs []input
	files, err := filepath.Glob("testdata/dialects/*.json")
	require.NoError(t, err)
	for _, file := range files {
		if !strings.Contains(strings.TrimSuffix(filepath.Base(file), ".json"), ".") {
			eachSpan(readTraces(t, file), func(span ptrace.Span, scope string, resource pcommon.Map) {
				inputs = append(inputs, input{span, scope, resource})
			})
		}
	}
	require.NotEmpty(t, inputs)
	rng := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		program := make([]byte, rng.IntN(300))
		for i := range program {
			program[i] = byte(rng.Uint32())
		}
		span := spanOf(t, map[string]any{"tenant": rng.IntN(3)})
		fill(span.Attributes(), program)
		inputs = append(inputs, input{span, "", pcommon.NewMap()})
	}

	reader := NewReader(ReaderConfig{Extra: []string{"tenant", AttrOperationName, "session.id", "nobody.has.this"}})
	session := reader.Session()
	var got Call
	for i := range 20 * len(inputs) {
		in := inputs[rng.IntN(len(inputs))]
		var want Call
		reader.Read(in.span, in.scope, in.resource, &want)
		session.Read(in.span, in.scope, in.resource, &got)
		require.Equal(t, want, got, "%v", in.span.Attributes().AsRaw())
		if i%1000 == 999 {
			session.Forget()
			require.Equal(t, Session{reader: reader}, *session, "a session that forgot keeps nothing alive")
		}
	}
}

func TestExtra(t *testing.T) {
	reader := NewReader(ReaderConfig{Extra: []string{"tenant", AttrOperationName, "empty", "list", "missing"}})
	span := spanOf(t, map[string]any{
		"tenant": 5, AttrOperationName: "chat", "empty": "", "list": []any{"x"}, AttrInputTokens: 7,
	})
	var call Call
	for range 2 { // the second time into the same memory
		reader.Read(span, "", pcommon.Map{}, &call)
		require.Len(t, call.Extra, 5)
		assert.Equal(t, int64(5), call.Extra[0].Int())
		assert.Equal(t, "chat", call.Extra[1].Str())
		for _, none := range call.Extra[2:] {
			assert.Equal(t, pcommon.Value{}, none)
		}
		assert.Equal(t, "chat", call.Operation, "what is wanted by name is still read")
		assert.Equal(t, int64(7), call.InputTokens)
	}
	reader.Read(spanOf(t, nil), "", pcommon.Map{}, &call)
	assert.Equal(t, make([]pcommon.Value, 5), call.Extra)
	assert.Nil(t, names.find("tenant"), "readers share the table of names, not what they add")
}

func TestSame(t *testing.T) {
	const text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
	for n := range text {
		a := text[:n]
		assert.True(t, same(a, strings.Clone(a)))
		assert.False(t, same(a, text[:n+1]))
		for i := range n {
			b := []byte(a)
			b[i] ^= 0x20
			assert.False(t, same(a, string(b)), "%q %q", a, b)
		}
	}
}
