package genai

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strconv"
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
	for n := range 500 {
		program := make([]byte, rng.IntN(300))
		for i := range program {
			program[i] = byte(rng.Uint32())
		}
		span := spanOf(t, map[string]any{"tenant": rng.IntN(3)})
		fill(span.Attributes(), program)
		for i := range n % 3 * 40 { // more than a layout has room for
			span.Attributes().PutInt(strings.Repeat("x", i%50)+strconv.Itoa(rng.IntN(1000)), 1)
		}
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
			require.Equal(t, scan{}, session.scan, "a session that forgot keeps nothing alive")
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

// TestSessionTellsKeysApart reads one key after another at the same place: each differs in one byte from the one before it,
// or is a byte longer.
func TestSessionTellsKeysApart(t *testing.T) {
	const text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
	for n := 1; n < len(text); n++ {
		known := text[:n]
		session := NewReader(ReaderConfig{Extra: []string{known}}).Session()
		read := func(key string) int64 {
			var call Call
			session.Read(spanOf(t, map[string]any{strings.Clone(key): 7}), "", pcommon.Map{}, &call)
			return call.Extra[0].Int()
		}
		for i := range n {
			other := []byte(known)
			other[i] ^= 0x20
			require.Zero(t, read(string(other)))
			require.Equal(t, int64(7), read(known), "after %q", other)
			require.Zero(t, read(string(other)))
		}
		require.Zero(t, read(text[:n+1]))
		require.Equal(t, int64(7), read(known))
	}
}

// TestSessionReadsUsualValues gives every known key values that are usual for it, values that are not, and the same from a
// better and a worse name of the same thing.
func TestSessionReadsUsualValues(t *testing.T) {
	reader := NewReader(ReaderConfig{Extra: []string{AttrRequestModel, "tenant"}})
	session := reader.Session()
	values := []any{"text", "", "12", "chat", 7, 0, -1, int64(maxCount), int64(maxCount + 1), 0.5, 0.0, -0.5, maxCost + 1.0, math.NaN(), true, []any{"x"}}
	rng := rand.New(rand.NewPCG(8, 8))
	for _, e := range append(reader.names.entries[1:], entry{key: "tenant"}, entry{key: "unknown"}) {
		var same []string
		for _, other := range reader.names.entries[1:] {
			if other.slot == e.slot && other.key != e.key {
				same = append(same, other.key)
			}
		}
		for i := range len(values) * len(values) {
			span := ptrace.NewSpan()
			put := func(key string, value any) {
				require.NoError(t, span.Attributes().PutEmpty(key).FromRaw(value))
			}
			put(AttrOperationName, "chat")
			put(e.key, values[i%len(values)])
			if len(same) > 0 {
				put(same[rng.IntN(len(same))], values[i/len(values)])
			}
			var want, got Call
			reader.Read(span, "", pcommon.Map{}, &want)
			for range 2 { // the second time as it is known
				session.Read(span, "", pcommon.Map{}, &got)
				require.Equal(t, want, got, "%v", span.Attributes().AsRaw())
			}
		}
	}
}

// TestReadSetsEveryField reads into a call that is full of something else.
func TestReadSetsEveryField(t *testing.T) {
	reader := NewReader(ReaderConfig{})
	for _, operation := range []string{"chat", "embeddings", "retrieval", "execute_tool", "invoke_agent", "invoke_workflow", "other", "chain"} {
		span := spanOf(t, map[string]any{AttrOperationName: operation})
		var want Call
		reader.Read(span, "", pcommon.Map{}, &want)
		var got Call
		fields := reflect.ValueOf(&got).Elem()
		for i := range fields.NumField() {
			switch f := fields.Field(i); f.Kind() {
			case reflect.String:
				f.SetString("before")
			case reflect.Bool:
				f.SetBool(true)
			case reflect.Float64:
				f.SetFloat(3)
			case reflect.Int64:
				f.SetInt(3)
			case reflect.Uint8, reflect.Uint64:
				f.SetUint(3)
			case reflect.Array:
				f.Index(0).SetUint(3)
			default:
				require.Equal(t, "Extra", fields.Type().Field(i).Name)
			}
		}
		reader.Read(span, "", pcommon.Map{}, &got)
		require.Equal(t, want, got, operation)
	}
}

// TestHintsHoldNothing keeps a session from holding on to the spans it read.
func TestHintsHoldNothing(t *testing.T) {
	fields := reflect.TypeFor[hint]()
	for i := range fields.NumField() {
		if f := fields.Field(i); f.Name != "entry" {
			require.NotContains(t, []reflect.Kind{reflect.String, reflect.Slice, reflect.Pointer, reflect.Struct}, f.Type.Kind(), f.Name)
		}
	}
}
