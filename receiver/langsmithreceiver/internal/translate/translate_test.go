package translate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// spansOf translates runs of v1 given as JSON.
func spansOf(t testing.TB, settings Settings, runs ...string) (ptrace.SpanSlice, []Notes) {
	tr := New(settings)
	spans := ptrace.NewSpanSlice()
	var notes []Notes
	decode(t, []byte("["+strings.Join(runs, ",")+"]"), false, func(run *langsmith.Run) {
		notes = append(notes, tr.Append(run, Target{}, spans))
	})
	return spans, notes
}

const (
	traceUUID = "01a2c4d0-1f00-7b10-8a01-3c5e7f901a01"
	runUUID   = "01a2c4d0-1f01-7b10-8a01-3c5e7f901a02"
)

// a run with everything that every run has, and more members.
func runJSON(more string) string {
	return `{"id":"` + runUUID + `","trace_id":"` + traceUUID + `","name":"n","run_type":"llm","status":"success",` +
		`"start_time":"2026-11-03T10:15:00.1","end_time":"2026-11-03T10:15:01.1"` + more + `}`
}

func TestSpanIDs(t *testing.T) {
	uuid := func(s string) langsmith.UUID {
		u, err := langsmith.ParseUUID(s)
		require.NoError(t, err)
		return u
	}
	assert.Equal(t, "8a013c5e7f901a02", spanIDOf(uuid(runUUID)).String(), "the last 8 bytes")
	assert.Equal(t, "01a2c4d01f017b10", spanIDOf(uuid("01a2c4d0-1f01-7b10-0000-000000000000")).String(), "the first 8, as the last are zero")
	assert.NotEqual(t, pcommon.SpanID{}, spanIDOf(langsmith.UUID{}), "never all zero")

	for text, want := range map[string]string{
		"53ce929d0e0e4736":   "53ce929d0e0e4736",
		"53CE929D0E0E4736":   "53ce929d0e0e4736",
		"0000000000000000":   "8a013c5e7f901a02",
		"53ce929d0e0e473":    "8a013c5e7f901a02",
		"53ce929d0e0e473x":   "8a013c5e7f901a02",
		"0x53ce929d0e0e4736": "8a013c5e7f901a02",
		"":                   "8a013c5e7f901a02",
	} {
		assert.Equal(t, want, spanID(uuid(runUUID), langsmith.Text(text)).String(), text)
	}

	run := &langsmith.Run{ID: uuid(runUUID)}
	assert.Equal(t, "01a2c4d01f017b108a013c5e7f901a02", TraceID(run).String(), "a root without a trace id")
	assert.True(t, ParentSpanID(run).IsEmpty())
	run.Metadata = []langsmith.Member{{Key: langsmith.Text(metaOTelSpanID), Value: langsmith.Raw(`"53ce929d0e0e4736"`)}}
	assert.Equal(t, "53ce929d0e0e4736", SpanID(run).String())
}

func TestLineageForgets(t *testing.T) {
	var g generations[int, int]
	for i := range 3 * lineageSize {
		g.put(i, i)
	}
	_, old := g.get(0)
	_, young := g.get(3*lineageSize - 1)
	assert.False(t, old)
	assert.True(t, young)
	assert.LessOrEqual(t, len(g.young)+len(g.old), 2*lineageSize)
}

func TestErrorType(t *testing.T) {
	for text, want := range map[string]string{
		`ValueError('x')Traceback (most recent call last):\n  File\n\nValueError: x`: "ValueError",
		`Boom('x')Traceback (most recent call last):\n  File\n\napp.Boom: x`:         "Boom",
		`ValueError: something`:                    "ValueError",
		`openai.RateLimitError: slow`:              "RateLimitError",
		`KeyboardInterrupt()`:                      "KeyboardInterrupt",
		`asyncio.exceptions.CancelledError`:        "CancelledError",
		`Cancelled`:                                "Cancelled",
		`Cancelled by the user`:                    "_OTHER",
		`Error`:                                    "Error",
		`undefined`:                                "_OTHER",
		`[object Object]`:                          "_OTHER",
		`Password: hunter2`:                        "_OTHER",
		`Note(to self)`:                            "_OTHER",
		`oh no\n\nRangeError: oh no\n    at f (a)`: "RangeError",
		`line one\nline two\n\nTypeError [ERR_X]: line one\nline two\n    at f (a)`:                                       "TypeError",
		`it broke\nTraceback (most recent call last):\n  File \"x\"\nfoo.BarError: it`:                                    "BarError",
		`Error: 429 You exceeded your quota`:                                                                              "429",
		`429 {\"type\":\"rate_limit_error\"}\n\nError: 429\n    at f (a)`:                                                 "rate_limit_error",
		`Error code: 404 - not there`:                                                                                     "404",
		`openai.APIError: 503 later`:                                                                                      "503",
		`Error: 4290 widgets`:                                                                                             "Error",
		`Exception('{\"code\": \"context_length_exceeded\"}')`:                                                            "context_length_exceeded",
		`connect ECONNREFUSED 127.0.0.1:80\n\nError: connect ECONNREFUSED\n    at f`:                                      "ECONNREFUSED",
		`BadRequestError(\"Error code: 400 - {'code': 'context_length_exceeded'}\")`:                                      "context_length_exceeded",
		`BadRequestError: Error code: 400 - {'type': 'invalid_request_error', 'message': 'prompt is too long: 9 tokens'}`: "context_length_exceeded",
		`BadRequestError: Error code: 400 - {'type': 'invalid_request_error'}`:                                            "BadRequestError",
		`my_content_filter_list is long`:                                                                                  "_OTHER",
		strings.Repeat("A", 65) + `Error: x`:                                                                              "_OTHER",
		strings.Repeat(`x`, 40<<10) + `\n\nSyntaxError: y\n    at f (a)`:                                                  "SyntaxError",
		``: "_OTHER",
	} {
		got, _ := errorType(langsmith.Text(text), nil)
		assert.Equal(t, want, got, "%.80s", text)
	}
}

func TestProvider(t *testing.T) {
	tr := New(Settings{})
	for _, c := range []struct{ told, model, name, serialized, want string }{
		{told: "openai", want: "openai"},
		{told: "OpenAI", want: "openai"},
		{told: "azure", want: "azure.ai.openai"},
		{told: "google_vertexai", want: "gcp.vertex_ai"},
		{told: "google", want: "gcp.gemini"},
		{told: "Google-GenAI", want: "gcp.gemini"},
		{told: "google.vertex.embedding", want: "gcp.vertex_ai"},
		{told: "gcp.gen_ai", want: "gcp.gen_ai"},
		{told: "aws", want: "aws.bedrock"},
		{told: "aws_bedrock", want: "aws.bedrock"},
		{told: "perplexity-ai", want: "perplexity"},
		{told: "azure.chat", want: "azure.ai.openai"},
		{told: "openai.responses", want: "openai"},
		{told: "anthropic.messages", want: "anthropic"},
		{told: "google.generative-ai", want: "gcp.gemini"},
		{told: "langchain", want: "langchain"},
		{name: "google.chat", want: "gcp.gemini"},
		{told: "Amazon_Bedrock", want: "aws.bedrock"},
		{told: "my_gateway", want: "my_gateway"},
		{told: "My Company's Gateway", want: ""},
		{told: "FakeListChatModel", want: ""},
		{told: "ChatAnthropicMessages", want: "anthropic"},
		{told: "FakeListChatModel", model: "gpt-4o", want: "openai"},
		{model: "anthropic.claude-3-sonnet-20240229-v1:0", want: "aws.bedrock"},
		{model: "claude-sonnet-4-5", want: "anthropic"},
		{name: "mistral.chat", want: "mistral_ai"},
		{serialized: `{"id":["langchain","chat_models","azure_openai","AzureChatOpenAI"]}`, model: "gpt-4o", want: "azure.ai.openai"},
		{want: ""},
	} {
		one := &translation{Translator: tr}
		if c.told != "" {
			one.meta.provider = langsmith.Raw(`"` + c.told + `"`)
		}
		run := &langsmith.Run{Name: langsmith.Text(c.name), Serialized: langsmith.Raw(c.serialized)}
		assert.Equal(t, c.want, one.provider(run, c.model), "%+v", c)
	}
}

// TestTokenDetails holds the sums over buckets of service tiers and context sizes.
func TestTokenDetails(t *testing.T) {
	spans, notes := spansOf(t, Settings{},
		runJSON(`,"prompt_tokens":1000,"completion_tokens":200,
		  "prompt_token_details":{"cache_read":100,"cache_read_over_200k":50,"flex_cache_read":25,"cache_creation":0,"ephemeral_5m_input_tokens":7,"ephemeral_1h_input_tokens":3,"audio":4,"over_200k":500},
		  "completion_token_details":{"reasoning":60,"priority_reasoning":20,"audio":2}`),
		runJSON(`,"prompt_tokens":10,"completion_tokens":2,"prompt_token_details":{"cache_write":6,"flex_cache_write":1,"ephemeral_5m_input_tokens":6}`),
		runJSON(`,"prompt_tokens":0,"completion_tokens":0,"total_cost":"0"`),
		runJSON(`,"prompt_tokens":0,"completion_tokens":0,"extra":{"metadata":{"usage_metadata":{"input_tokens":0,"output_tokens":3}}}`),
		runJSON(`,"prompt_tokens":9,"completion_tokens":1,"prompt_cost":"0.5","completion_cost":0.25`),
		strings.Replace(runJSON(`,"prompt_tokens":9,"completion_tokens":1,"total_cost":"0.5"`), `"llm"`, `"chain"`, 1),
	)
	usage := make([]map[string]any, spans.Len())
	for i, span := range spans.All() {
		usage[i] = map[string]any{}
		for k, v := range span.Attributes().All() {
			if strings.HasPrefix(k, "gen_ai.usage.") {
				usage[i][strings.TrimPrefix(k, "gen_ai.usage.")] = v.AsRaw()
			}
		}
		assert.Zero(t, notes[i])
	}
	assert.Equal(t, []map[string]any{
		{
			"input_tokens": int64(1000), "output_tokens": int64(200), "cache_read.input_tokens": int64(175), "cache_creation.input_tokens": int64(10),
			"audio.input_tokens": int64(4), "reasoning.output_tokens": int64(80), "audio.output_tokens": int64(2),
		},
		{"input_tokens": int64(10), "output_tokens": int64(2), "cache_creation.input_tokens": int64(7)},
		{},
		{"input_tokens": int64(0), "output_tokens": int64(3)},
		{"input_tokens": int64(9), "output_tokens": int64(1), "cost": 0.75},
		{},
	}, usage)
}

// TestUsagePlaces holds every place where a tracer may leave the usage when LangSmith's columns are empty.
func TestUsagePlaces(t *testing.T) {
	for name, outputs := range map[string]string{
		"usage_metadata":    `{"usage_metadata":{"input_tokens":7,"output_tokens":3}}`,
		"generations":       `{"generations":[[{"message":{"kwargs":{"usage_metadata":{"input_tokens":7,"output_tokens":3}}}},{"message":{"kwargs":{"usage_metadata":{"input_tokens":7,"output_tokens":3}}}}]]}`,
		"flat":              `{"generations":[{"message":{"kwargs":{"usage_metadata":{"input_tokens":7,"output_tokens":3}}}}]}`,
		"batch":             `{"generations":[[{"message":{"kwargs":{"usage_metadata":{"input_tokens":4,"output_tokens":1}}}}],[{"message":{"usage_metadata":{"input_tokens":3,"output_tokens":2}}}]]}`,
		"message":           `{"message":{"kwargs":{"usage_metadata":{"input_tokens":7,"output_tokens":3}}}}`,
		"llm_output":        `{"generations":[[{"text":"x"}]],"llm_output":{"token_usage":{"prompt_tokens":7,"completion_tokens":3}}}`,
		"llmOutput":         `{"generations":[[{"text":"x"}]],"llmOutput":{"tokenUsage":{"promptTokens":7,"completionTokens":3}}}`,
		"usage":             `{"usage":{"prompt_tokens":7,"completion_tokens":3}}`,
		"anthropic":         `{"usage":{"input_tokens":4,"cache_read_input_tokens":2,"cache_creation_input_tokens":1,"output_tokens":3}}`,
		"gemini":            `{"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":1,"thoughtsTokenCount":2}}`,
		"ai sdk":            `{"usage":{"inputTokens":{"total":7,"noCache":6},"outputTokens":{"total":3}}}`,
		"wrapped in output": `{"output":{"usage_metadata":{"input_tokens":7,"output_tokens":3}}}`,
	} {
		spans, _ := spansOf(t, Settings{ResponseDetails: true}, runJSON(`,"prompt_tokens":0,"completion_tokens":0,"outputs":`+outputs))
		input, _ := spans.At(0).Attributes().Get(keyInputTokens)
		output, _ := spans.At(0).Attributes().Get(keyOutputTokens)
		assert.Equal(t, []any{int64(7), int64(3)}, []any{input.AsRaw(), output.AsRaw()}, name)
	}
}

// TestContentLimit holds that a huge prompt is cut inside its text and noted, and that the rest stays.
func TestContentLimit(t *testing.T) {
	long := strings.Repeat(`word \"quoted\" \\ \u00e9 `, 1<<14)
	spans, notes := spansOf(t, Settings{Capture: CaptureFull, ContentLimit: 4 << 10},
		runJSON(`,"inputs":{"messages":[{"role":"user","content":"`+long+`"},{"role":"user","content":"the end"}]},"outputs":{"choices":[{"message":{"role":"assistant","content":"`+long+`"}}]},"error":"`+long+`"`))
	assert.True(t, notes[0].Has(ContentTruncated))
	checkSpan(t, spans.At(0), 4<<10)
	messages, _ := spans.At(0).Attributes().Get(keyInputMessages)
	assert.Greater(t, len(messages.Str()), 400)
	assert.Contains(t, messages.Str(), `more bytes]"`)
	assert.Contains(t, messages.Str(), `"the end"`)
}

// TestNothingLingers holds that a span does not depend on the run before, whose memory the run has: both are of
// one shape from outside and of another within.
func TestNothingLingers(t *testing.T) {
	two := `{"role":"user","content":"a"},{"role":"user","content":"b"}`
	one := `{"role":"user","content":"` + strings.Repeat("a", len(two)-len(`{"role":"user","content":""}`)) + `"}`
	translate := func(tr *Translator, decoder *langsmith.Decoder, messages string) string {
		spans := ptrace.NewSpanSlice()
		page := `{"runs":[` + runJSON(`,"inputs":{"messages":[`+messages+`]},"outputs":{"messages":[`+messages+`]}`) + `]}`
		_, err := decoder.Decode(strings.NewReader(page), func(run *langsmith.Run) error {
			tr.Append(run, Target{}, spans)
			return nil
		})
		require.NoError(t, err)
		return textOf(spans.At(0), keyInputMessages) + textOf(spans.At(0), keyOutputMessages)
	}
	settings := Settings{Capture: CaptureFull}
	shared, decoder := New(settings), langsmith.NewDecoder(0)
	for _, messages := range []string{one, two, one} {
		want := translate(New(settings), langsmith.NewDecoder(0), messages)
		assert.Equal(t, 2*strings.Count(messages, "role"), strings.Count(want, "user"), want)
		assert.Equal(t, want, translate(shared, decoder, messages))
	}
}

// TestLink holds that a link leads to LangSmith or is not there.
func TestLink(t *testing.T) {
	link := func(base, path string) string {
		spans, _ := spansOf(t, Settings{UIBase: base}, runJSON(`,"app_path":"`+path+`"`))
		return textOf(spans.At(0), "langsmith.run.url")
	}
	const base = "https://ls.example.com/ui"
	assert.Equal(t, base+"/o/1/r/2?trace_id=3", link(base, `/o/1/r/2?trace_id=3`))
	assert.Equal(t, base+"/o/1", link(base, `\/o\/1`))
	assert.Empty(t, link("", "/o/1"))
	assert.Empty(t, link(base, ""))
	assert.Empty(t, link(base, ".example.org/o/1"))
	assert.Empty(t, link(base, "/"+strings.Repeat("o", maxPathLen)))
}

// TestResponseDetails holds that nothing but names gets out of the outputs when content must stay out.
func TestResponseDetails(t *testing.T) {
	spans, _ := spansOf(t, Settings{ResponseDetails: true},
		runJSON(`,"outputs":{"model":"models/gpt-4o@2024:1","id":"resp_1","choices":[{"finish_reason":"tool_calls","message":{"content":"a secret"}},{"finish_reason":"a secret reason"}]}`),
		runJSON(`,"outputs":{"model":"a secret model","id":"a secret id","finish_reason":"END_OF_IT"}`))
	got := func(i int) []string {
		span := spans.At(i)
		return []string{textOf(span, keyResponseModel), textOf(span, keyResponseID), textOf(span, keyResponseFinishReasons)}
	}
	assert.Equal(t, []string{"models/gpt-4o@2024:1", "resp_1", `["tool_call"]`}, got(0))
	assert.Equal(t, []string{"", "", `["END_OF_IT"]`}, got(1))
}

// TestFields holds that content is asked for at no lower level than it goes out.
func TestFields(t *testing.T) {
	content := langsmith.FieldInputs | langsmith.FieldOutputs | langsmith.FieldEvents | langsmith.FieldPreviews | langsmith.FieldSerialized
	assert.Zero(t, New(Settings{}).Fields()&content)
	assert.Equal(t, langsmith.FieldOutputs, New(Settings{ResponseDetails: true}).Fields()&content)
	assert.Equal(t, langsmith.FieldPreviews, New(Settings{Capture: CapturePreview}).Fields()&content)
	assert.Equal(t, langsmith.FieldInputs|langsmith.FieldOutputs, New(Settings{Capture: CaptureFull}).Fields()&content)
	for _, level := range levels {
		assert.NotZero(t, New(level.settings).Fields()&langsmith.FieldError, level.name)
	}
}

func TestGlobs(t *testing.T) {
	set, err := NewGlobSet([]string{"env", "team_*", "*_id", "a?c*e"})
	require.NoError(t, err)
	for key, want := range map[string]bool{
		"env": true, "environment": false, "team_": true, "team_a": true, "tea": false, "user_id": true, "id": false,
		"abce": true, "abcdde": true, "ace": false, "abcdd": false, "": false,
	} {
		assert.Equal(t, want, set.Match(key), key)
	}
	none, err := NewGlobSet(nil)
	require.NoError(t, err)
	assert.False(t, none.Match("env"))
	_, err = NewGlobSet([]string{"a", ""})
	require.Error(t, err)
	for _, p := range []string{"team_[ab]", `a\*`} { // the syntax of projects.include
		_, err = NewGlobSet([]string{"a", p})
		require.ErrorContains(t, err, p[:1])
	}
}

// TestRepeatedMetadata holds that of a key which is there twice the last counts, for attributes and for what is read out of
// the metadata.
func TestRepeatedMetadata(t *testing.T) {
	run := runJSON(`,"run_type":"llm","extra":{"metadata":{"ls_provider":"openai","env":"first","gone":1,"late":null,"n":1,` +
		`"\u0065nv":true,"gone":null,"late":"here","ls_provider":"anthropic","env":"last","OTEL_SPAN_ID":"0102030405060708","OTEL_SPAN_ID":"1112131415161718"}}`)
	spans, _ := spansOf(t, Settings{Metadata: everyKey}, run)
	span := spans.At(0)
	got := map[string]any{}
	for key, value := range span.Attributes().AsRaw() {
		if name, ok := strings.CutPrefix(key, keyMetadataPrefix); ok {
			got[name] = value
		}
	}
	assert.Equal(t, map[string]any{"ls_provider": "anthropic", "env": "last", "late": "here", "n": int64(1), "OTEL_SPAN_ID": "1112131415161718"}, got)
	assert.Equal(t, "anthropic", textOf(span, keyProvider))
	assert.Equal(t, "1112131415161718", span.SpanID().String())
	decode(t, []byte(`[`+run+`]`), false, func(run *langsmith.Run) {
		assert.Equal(t, span.SpanID(), SpanID(run))
	})
}

// TestBoundedMetadata holds that metadata beyond the bounds of a span is left out and noted, and nothing else is.
func TestBoundedMetadata(t *testing.T) {
	members := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"key_%d":%d`, i, i)
		}
		return b.String()
	}
	team, err := NewGlobSet([]string{"team*"})
	require.NoError(t, err)
	long := strings.Repeat("x", maxMetadataKey+1)
	for name, test := range map[string]struct {
		metadata *GlobSet
		members  string
		kept     int
		notes    Notes
	}{
		"as many as there may be":      {everyKey, `"first":0` + members(maxMetadataKeys-1), maxMetadataKeys, 0},
		"one more":                     {everyKey, `"first":0` + members(maxMetadataKeys), maxMetadataKeys, MetadataLeftOut},
		"one more that is null":        {everyKey, `"first":0` + members(maxMetadataKeys-1) + `,"last":null`, maxMetadataKeys, 0},
		"the same one again":           {everyKey, `"first":0` + members(maxMetadataKeys-1) + `,"f\u0069rst":1`, maxMetadataKeys, 0},
		"more that nobody wants":       {team, `"team":"a"` + members(maxMetadataKeys), 1, 0},
		"a long key":                   {everyKey, `"first":0,"` + long + `":1`, 1, MetadataLeftOut},
		"a long one that nobody wants": {team, `"team":"a","` + long + `":1`, 1, 0},
		"none is wanted":               {nil, `"first":0` + members(maxMetadataKeys), 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			spans, notes := spansOf(t, Settings{Metadata: test.metadata}, runJSON(`,"extra":{"metadata":{`+test.members+`}}`))
			kept := 0
			for key := range spans.At(0).Attributes().All() {
				if strings.HasPrefix(key, keyMetadataPrefix) {
					kept++
				}
			}
			assert.Equal(t, test.kept, kept)
			assert.Equal(t, []Notes{test.notes}, notes)
		})
	}
}

func TestBoundedTags(t *testing.T) {
	for n, want := range map[int]Notes{maxTags: 0, maxTags + 1: TagsLeftOut} {
		tags := strings.Repeat(`"x",`, n) + `"",null`
		spans, notes := spansOf(t, Settings{}, runJSON(`,"tags":[`+tags+`]`))
		list, _ := spans.At(0).Attributes().Get(keyTags)
		assert.Equal(t, maxTags, list.Slice().Len())
		assert.Equal(t, []Notes{want}, notes)
	}
}

func TestNotes(t *testing.T) {
	var got []string
	for reason := range (ClampedEnd | UnknownShape | MetadataLeftOut).Reasons {
		got = append(got, reason)
	}
	assert.Equal(t, []string{"clamped_end", "unknown_shape", "metadata_left_out"}, got)
}

func TestResource(t *testing.T) {
	res := pcommon.NewResource()
	id, err := langsmith.ParseUUID(traceUUID)
	require.NoError(t, err)
	New(Settings{}).Resource(Target{ProjectID: id, ProjectName: "shop"}, res)
	assert.Equal(t, map[string]any{"service.name": "shop", "langsmith.project.id": traceUUID, "langsmith.project.name": "shop"}, res.Attributes().AsRaw())
}

// TestSpansOwnTheirMemory holds that a span keeps nothing of the page, which is overwritten by the next one.
func TestSpansOwnTheirMemory(t *testing.T) {
	for _, level := range levels {
		tr := New(level.settings)
		spans := ptrace.NewSpanSlice()
		page := []byte(`{"runs":[` + runJSON(`,"tags":["one"],"thread_id":"thread","error":"x","inputs":{"messages":[{"role":"user","content":"hello"}]},"inputs_preview":"pre","app_path":"/o"`) + `]}`)
		decode(t, page[8:len(page)-1], false, func(r *langsmith.Run) {
			tr.Append(r, Target{}, spans)
			var before strings.Builder
			dump(&before, spans.At(0), "")
			for _, b := range [][]byte{r.Name, r.Tags, r.ThreadID, r.Inputs, r.InputsPreview, r.AppPath, r.Error} {
				for i := range b {
					b[i] = '#'
				}
			}
			var after strings.Builder
			dump(&after, spans.At(0), "")
			assert.Equal(t, before.String(), after.String())
		})
	}
}

func TestLearnFromARootThatIsStillRunning(t *testing.T) {
	root := `[{"id":"5b8aa5a2-d2c8-72e8-321c-f37308d69df2","trace_id":"5b8aa5a2-d2c8-72e8-321c-f37308d69df2","name":"root",
		"run_type":"chain","status":"pending","start_time":"2026-11-02T09:15:30.125043","end_time":null,
		"extra":{"metadata":{"OTEL_TRACE_ID":"5b8aa5a2d2c872e8321cf37308d69df2","OTEL_SPAN_ID":"00f067aa0ba902b7","thread_id":"conv-7"}}}]`
	child := `[{"id":"00000000-0000-0000-53ce-929d0e0e4736","trace_id":"5b8aa5a2-d2c8-72e8-321c-f37308d69df2","name":"child",
		"parent_run_id":"5b8aa5a2-d2c8-72e8-321c-f37308d69df2","run_type":"llm","status":"success",
		"start_time":"2026-11-02T09:15:30.225043","end_time":"2026-11-02T09:15:31","extra":{"metadata":{
		"OTEL_TRACE_ID":"5b8aa5a2d2c872e8321cf37308d69df2","OTEL_SPAN_ID":"53ce929d0e0e4736"}}}]`

	var lineage Lineage
	target := Target{ProjectName: "p", Lineage: &lineage}
	translator := New(Settings{})
	misses := func() (missing bool) {
		decode(t, []byte(child), false, func(run *langsmith.Run) { missing = lineage.MissesParent(run) })
		return missing
	}
	assert.True(t, misses(), "its parent's span id is told by the parent only")
	decode(t, []byte(root), false, func(run *langsmith.Run) { assert.False(t, lineage.MissesParent(run), "a root has no parent") })
	decode(t, []byte(root), false, func(run *langsmith.Run) { translator.Learn(run, target) })
	spans := ptrace.NewSpanSlice()
	decode(t, []byte(child), false, func(run *langsmith.Run) { translator.Append(run, target, spans) })

	assert.False(t, misses())
	require.Equal(t, 1, spans.Len())
	assert.Equal(t, "00f067aa0ba902b7", spans.At(0).ParentSpanID().String(), "the root's own span id, not one made of its run id")
	conversation, _ := spans.At(0).Attributes().Get("gen_ai.conversation.id")
	assert.Equal(t, "conv-7", conversation.AsString())
}
