package translate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// textOf is the text of an attribute, "" when the span has none.
func textOf(span ptrace.Span, key string) string {
	if v, ok := span.Attributes().Get(key); ok {
		return v.AsString()
	}
	return ""
}

// TestInputShapes holds what becomes of messages in the shapes that the golden cases do not have.
func TestInputShapes(t *testing.T) {
	text := func(role, content string) string {
		return `{"role":"` + role + `","parts":[{"type":"text","content":"` + content + `"}]}`
	}
	for _, c := range []struct{ name, inputs, want string }{
		{"a text", `{"input":"hi"}`, text("user", "hi")},
		{"texts", `{"messages":["hi","ho"]}`, text("user", "hi") + "," + text("user", "ho")},
		{"pairs", `{"messages":[["human","hi"],["ai","ho"]]}`, text("user", "hi") + "," + text("assistant", "ho")},
		{"a pair of texts that is none", `{"messages":["one two","three"]}`, text("user", "one two") + "," + text("user", "three")},
		{"type and data", `{"messages":[{"type":"human","data":{"content":"hi","additional_kwargs":{}}}]}`, text("user", "hi")},
		{"flat langchain", `{"messages":[{"type":"system","content":"hi"},{"type":"ai","content":"ho","tool_calls":[]}]}`, text("system", "hi") + "," + text("assistant", "ho")},
		{"gemini text", `{"contents":"hi"}`, text("user", "hi")},
		{"gemini texts", `{"contents":["hi"]}`, text("user", "hi")},
		{"class name only", `{"messages":[[{"lc":1,"type":"constructor","id":["langchain_core","messages","AIMessageChunk"],"kwargs":{"content":"hi"}}]]}`, text("assistant", "hi")},
		{"named", `{"messages":[{"role":"user","name":"bob","content":"hi"}]}`, `{"role":"user","parts":[{"type":"text","content":"hi"}],"name":"bob"}`},
		{"escapes stay", `{"input":"a\n\"b\" \u00e9"}`, text("user", `a\n\"b\" \u00e9`)},
		{
			"legacy call", `{"messages":[{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}}]}`,
			`{"role":"assistant","parts":[{"type":"tool_call","name":"f","arguments":{"a":1}}]}`,
		},
		{
			"call in additional_kwargs", `{"messages":[{"type":"ai","content":"","additional_kwargs":{"tool_calls":[{"id":"1","function":{"name":"f","arguments":"broken {"}}]}}]}`,
			`{"role":"assistant","parts":[{"type":"tool_call","id":"1","name":"f","arguments":"broken {"}]}`,
		},
		{
			"calls named twice", `{"messages":[{"type":"ai","content":[{"type":"text","text":"hi"},{"type":"tool_use","id":"1","name":"f","input":{}}],"tool_calls":[{"id":"1","name":"f","args":{}}]}]}`,
			`{"role":"assistant","parts":[{"type":"text","content":"hi"},{"type":"tool_call","id":"1","name":"f","arguments":{}}]}`,
		},
		{
			"data url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}`,
			`{"role":"user","parts":[{"type":"blob","mime_type":"image/png","modality":"image","content":"AAAA"}]}`,
		},
		{
			"audio", `{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]}`,
			`{"role":"user","parts":[{"type":"blob","mime_type":"wav","modality":"audio","content":"AAAA"}]}`,
		},
		{
			"file id", `{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}`,
			`{"role":"user","parts":[{"type":"file","modality":"document","file_id":"file-1"}]}`,
		},
		{
			"block of a new kind", `{"messages":[{"role":"user","content":[{"type":"hologram","depth":3}]}]}`,
			`{"role":"user","parts":[{"type":"hologram","depth":3}]}`,
		},
		{"no shape", `{"messages":[{"foo":1}]}`, ""},
		{"no shape either", `{"messages":[1,2]}`, ""},
		{"nothing", `{}`, ""},
	} {
		spans, _ := spansOf(t, Settings{Capture: CaptureFull}, runJSON(`,"inputs":`+c.inputs))
		got := textOf(spans.At(0), keyInputMessages)
		want := c.want
		if want != "" {
			want = "[" + want + "]"
		}
		if assert.Equal(t, want, got, c.name); want == "" && c.inputs != "{}" {
			assert.Equal(t, c.inputs, textOf(spans.At(0), keyInputs), c.name)
		}
	}
}

// TestOutputShapes holds what becomes of answers in the shapes that the golden cases do not have.
func TestOutputShapes(t *testing.T) {
	hi := `{"role":"assistant","parts":[{"type":"text","content":"hi"}]`
	for _, c := range []struct{ name, outputs, want string }{
		{"plain message", `{"role":"assistant","content":"hi"}`, hi + `}`},
		{"message", `{"message":{"role":"assistant","content":"hi"}}`, hi + `}`},
		{"wrapped message", `{"output":{"role":"assistant","content":"hi"}}`, hi + `}`},
		{"wrapped by javascript", `{"outputs":{"content":"hi","finish_reason":"stop"}}`, hi + `,"finish_reason":"stop"}`},
		{"messages", `{"messages":[{"role":"assistant","content":"hi"}]}`, hi + `}`},
		{"delta", `{"choices":[{"delta":{"content":"hi"},"finish_reason":"length"}]}`, hi + `,"finish_reason":"length"}`},
		{"completion", `{"choices":[{"text":"hi","finish_reason":"stop"}]}`, hi + `,"finish_reason":"stop"}`},
		{
			"ai sdk", `{"text":"hi","finishReason":"stop","toolCalls":[{"toolCallId":"1","toolName":"f","args":{"a":1}}]}`,
			strings.TrimSuffix(hi, "]") + `,{"type":"tool_call","id":"1","name":"f","arguments":{"a":1}}],"finish_reason":"stop"}`,
		},
		{"flat generations", `{"generations":[{"text":"hi"}]}`, hi + `}`},
		{"langchain dump", `{"output":{"lc":1,"id":["langchain","schema","messages","AIMessage"],"kwargs":{"content":"hi"}}}`, hi + `}`},
		{"pair", `{"output":["assistant","hi"]}`, hi + `}`},
		{"refusal", `{"choices":[{"message":{"role":"assistant","content":null,"refusal":"no"}}]}`, `{"role":"assistant","parts":[{"type":"refusal","content":"no"}]}`},
		{"no shape", `{"result":"[Circular]"}`, ""},
	} {
		spans, _ := spansOf(t, Settings{Capture: CaptureFull}, runJSON(`,"outputs":`+c.outputs))
		got := textOf(spans.At(0), keyOutputMessages)
		want := c.want
		if want != "" {
			want = "[" + want + "]"
		}
		assert.Equal(t, want, got, c.name)
	}
}
