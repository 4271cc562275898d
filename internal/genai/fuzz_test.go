package genai

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// FuzzReadWrite makes spans of known and unknown keys with values of every type, and holds that reading never
// panics nor lets nonsense through, that writing only adds, and that what was written reads as it was.
func FuzzReadWrite(f *testing.F) {
	f.Add([]byte{1, 0, 4, 'c', 'h', 'a', 't', 20, 1, 0, 0, 0, 0, 0, 0, 0, 9}, "strands.telemetry.tracer", "ValueError: x", uint8(2))
	f.Add([]byte{2, 4, 3, 5, 0xff, 0xff}, "openlit.x", "", uint8(0))
	f.Fuzz(func(t *testing.T, program []byte, scope, message string, status uint8) {
		span := ptrace.NewSpan()
		span.SetStartTimestamp(1_000_000_000)
		span.SetEndTimestamp(3_000_000_000)
		span.Status().SetCode(ptrace.StatusCode(status % 3))
		span.Status().SetMessage(message)
		span.SetName(message)
		fill(span.Attributes(), program)
		if len(program) > 3 {
			event := span.Events().AppendEmpty()
			event.SetName([]string{"exception", "new_token", "First Token", "x"}[program[0]%4])
			event.SetTimestamp(pcommon.Timestamp(1_000_000_000 + uint64(program[1])*10_000_000))
			event.Attributes().PutStr(AttrExceptionType, scope)
		}
		resource := pcommon.NewMap()
		if status > 100 {
			resource.PutStr("telemetry.sdk.name", "openlit")
		}

		reader := NewReader(ReaderConfig{})
		var before, after Call
		reader.Read(span, scope, resource, &before)
		sane(t, &before)

		original := pcommon.NewMap()
		span.Attributes().CopyTo(original)
		options := WriteOptions{CacheName: CacheName(status % 3), System: status%2 == 0}
		added := options.Write(&before, span)
		require.Equal(t, original.Len()+added, span.Attributes().Len())
		reader.Read(span, scope, resource, &after)
		require.Equal(t, before, after, "original %v, written %v", original.AsRaw(), span.Attributes().AsRaw())
		require.Zero(t, options.Write(&after, span))
	})
}

func sane(t *testing.T, call *Call) {
	t.Helper()
	for _, n := range []int64{
		call.InputTokens, call.OutputTokens, call.CacheReadTokens, call.CacheWriteTokens, call.ReasoningTokens,
	} {
		require.GreaterOrEqual(t, n, Absent)
		require.LessOrEqual(t, n, int64(maxCount))
	}
	require.False(t, math.IsNaN(call.Cost) || call.Cost < 0 || call.Cost > maxCost, "%v", call.Cost)
	d, _ := call.Duration()
	require.False(t, math.IsNaN(call.TimeToFirstChunk) || call.TimeToFirstChunk < 0 || call.TimeToFirstChunk > d)
	require.LessOrEqual(t, len(call.ErrorType), maxErrorName)
	require.False(t, strings.ContainsAny(call.ErrorType, " \n\t"), "%q", call.ErrorType)
	require.Equal(t, call.Kind == KindNone, call.Operation == "")
	require.NotEmpty(t, call.Dialect.String())
}

// fill turns bytes into attributes: a key, a type, a value, and again.
func fill(attributes pcommon.Map, program []byte) {
	take := func(n int) []byte {
		n = min(n, len(program))
		taken := program[:n]
		program = program[n:]
		return taken
	}
	one := func() int {
		if b := take(1); len(b) == 1 {
			return int(b[0])
		}
		return 0
	}
	words := []string{
		"chat", "llm", "LLM", "tool", "agent", "retriever", "prompt", "chain", "openai", "langchain", "Azure", "google",
		"gpt-4o", "USD", "EUR", "12", "0.5", "table", "langsmith", "{\"input_tokens\": 5, \"cache_read\": 9}",
		"{'reasoning': 3, 'cache_creation': 70}", "1970-01-01T00:00:01.5Z", "true", "ai.generateText", "aws",
	}
	for len(program) > 0 && attributes.Len() < 40 {
		key := names.entries[1+one()%(len(names.entries)-1)].key
		if _, ok := attributes.Get(key); ok {
			continue
		}
		switch kind := one(); kind % 9 {
		case 0:
			attributes.PutStr(key, words[one()%len(words)])
		case 1:
			attributes.PutInt(key, int64(one()))
		case 2:
			attributes.PutDouble(key, float64(one())/16)
		case 3:
			attributes.PutBool(key, kind > 100)
		case 4:
			attributes.PutStr(key, string(take(one()%50)))
		case 5:
			attributes.PutDouble(key, math.Float64frombits(binary.LittleEndian.Uint64(append(make([]byte, 8), take(8)...)[len(program)&1:])))
		case 6:
			attributes.PutInt(key, int64(binary.LittleEndian.Uint64(append(append([]byte{}, take(8)...), make([]byte, 8)...))))
		case 7:
			attributes.PutEmptySlice(key).AppendEmpty().SetInt(1)
		case 8:
			attributes.PutEmptyMap(key).PutStr("a", "b")
		}
	}
}

// FuzzMembers holds that the scanner of JSON and dicts ends, and yields only numbers.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{"a": 1, "b": {"c": -2.5e3}}`, `{'a': 1}`, `{"a`, `"`, `{"a": "b\"", "c": [1, 2]}`, `{"a":1e999}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		for key := range members(text) {
			require.NotEmpty(t, key)
			n++
		}
		require.LessOrEqual(t, n, len(text))
		var d details
		d.scan(text)
		costIn(text, "total")
	})
}

func TestMembers(t *testing.T) {
	for text, want := range map[string]map[string]float64{
		`{"a": 1, "b": {"c": -2.5e3, "d": "5"}, "e": [1, 2], "f": null, "g": 7}`: {"a": 1, "c": -2500, "g": 7},
		`{'a': 1, 'b': None, 'c': 3}`:                                            {"a": 1, "c": 3},
		`{"s": "x\", \"t\": 9", "u": 2}`:                                         {"u": 2},
		`not json 12`:                                                            {},
		``:                                                                       {},
		`{"a": `:                                                                 {},
	} {
		got := map[string]float64{}
		for key, number := range members(text) {
			got[key] = number
		}
		require.Equal(t, want, got, text)
	}
}

func BenchmarkRead(b *testing.B) {
	for _, dialect := range []string{"otel", "langsmith", "openinference", "vercel"} {
		content, err := os.ReadFile(filepath.Join("testdata/dialects", dialect+".json"))
		require.NoError(b, err)
		traces, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(content)
		require.NoError(b, err)
		ss := traces.ResourceSpans().At(traces.ResourceSpans().Len() / 2)
		span, scope := ss.ScopeSpans().At(0).Spans().At(0), ss.ScopeSpans().At(0).Scope().Name()
		resource := ss.Resource().Attributes()
		b.Run(dialect+"/read", func(b *testing.B) {
			reader := NewReader(ReaderConfig{})
			var call Call
			b.ReportAllocs()
			for b.Loop() {
				reader.Read(span, scope, resource, &call)
			}
		})
		b.Run(dialect+"/iterate", func(b *testing.B) { // the floor: looking at every attribute, doing nothing
			var n int
			b.ReportAllocs()
			for b.Loop() {
				for key, value := range span.Attributes().All() {
					n += len(key) + int(value.Type())
				}
			}
			_ = n
		})
		b.Run(dialect+"/find", func(b *testing.B) { // and finding every key
			var n int
			b.ReportAllocs()
			for b.Loop() {
				for key := range span.Attributes().All() {
					if e := names.find(key); e != nil {
						n++
					}
				}
			}
			_ = n
		})
		b.Run(dialect+"/get", func(b *testing.B) { // the alternative: asking for each of twelve canonical keys
			keys := []string{
				AttrOperationName, AttrProviderName, AttrRequestModel, AttrResponseModel, AttrInputTokens, AttrOutputTokens,
				AttrCacheReadTokens, AttrCacheCreationTokens, AttrReasoningTokens, AttrTimeToFirstChunk, AttrUsageCost, AttrErrorType,
			}
			var n int
			b.ReportAllocs()
			for b.Loop() {
				for _, key := range keys {
					if v, ok := span.Attributes().Get(key); ok {
						n += int(v.Type())
					}
				}
			}
			_ = n
		})
	}
}
