package genai

import (
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// spanOf makes a span of two seconds.
func spanOf(t testing.TB, attributes map[string]any) ptrace.Span {
	t.Helper()
	span := ptrace.NewSpan()
	span.SetStartTimestamp(1_000_000_000)
	span.SetEndTimestamp(3_000_000_000)
	require.NoError(t, span.Attributes().FromRaw(attributes))
	return span
}

func read(span ptrace.Span, scope string) Call {
	var call Call
	NewReader(ReaderConfig{}).Read(span, scope, pcommon.Map{}, &call)
	return call
}

func TestReadOverwritesAllOfTheCall(t *testing.T) {
	reader := NewReader(ReaderConfig{})
	var call Call
	full := readTraces(t, "testdata/dialects/otel.json").ResourceSpans().At(1).ScopeSpans().At(0).Spans().At(0)
	reader.Read(full, "", pcommon.Map{}, &call)
	require.Equal(t, int64(2050), call.InputTokens)
	reader.Read(ptrace.NewSpan(), "", pcommon.Map{}, &call)
	assert.Equal(t, Call{
		InputTokens: Absent, OutputTokens: Absent, CacheReadTokens: Absent, CacheWriteTokens: Absent,
		ReasoningTokens: Absent,
	}, call)
}

func TestTokensOfEveryType(t *testing.T) {
	for name, test := range map[string]struct {
		value any
		want  int64
	}{
		"integer":            {int64(7), 7},
		"zero":               {int64(0), 0},
		"double":             {7.0, 7},
		"text":               {"7", 7},
		"padded text":        {" 7 ", 7},
		"largest":            {int64(maxCount), maxCount},
		"negative":           {int64(-7), Absent},
		"negative double":    {-7.0, Absent},
		"fraction":           {7.5, Absent},
		"not a number":       {math.NaN(), Absent},
		"infinite":           {math.Inf(1), Absent},
		"absurd":             {int64(maxCount + 1), Absent},
		"absurd double":      {1e300, Absent},
		"absurd text":        {"99999999999999999999999", Absent},
		"text with fraction": {"7.5", Absent},
		"signed text":        {"+7", Absent},
		"words":              {"seven", Absent},
		"empty":              {"", Absent},
		"bool":               {true, Absent},
		"list":               {[]any{int64(7)}, Absent},
		"map":                {map[string]any{"a": int64(7)}, Absent},
		"bytes":              {[]byte("7"), Absent},
		"nothing":            {nil, Absent},
	} {
		t.Run(name, func(t *testing.T) {
			call := read(spanOf(t, map[string]any{AttrOperationName: "chat", AttrInputTokens: test.value}), "")
			assert.Equal(t, test.want, call.InputTokens)
		})
	}
}

func TestCanonicalNamesWinInAnyOrder(t *testing.T) {
	for _, keys := range [][]string{
		{AttrInputTokens, "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"},
		{"llm.token_count.prompt", "gen_ai.usage.prompt_tokens", AttrInputTokens},
		{"gen_ai.usage.prompt_tokens", AttrInputTokens, "llm.token_count.prompt"},
	} {
		values := map[string]int64{AttrInputTokens: 1, "gen_ai.usage.prompt_tokens": 2, "llm.token_count.prompt": 3}
		span := spanOf(t, map[string]any{AttrOperationName: "chat"})
		for _, key := range keys {
			span.Attributes().PutInt(key, values[key])
		}
		assert.Equal(t, int64(1), read(span, "").InputTokens)
		span.Attributes().PutStr(AttrInputTokens, "not a count")
		assert.Equal(t, int64(2), read(span, "").InputTokens, "the first alias stands in for a bad value")
	}
}

func TestCacheInsideInput(t *testing.T) {
	const chat = "chat"
	for name, test := range map[string]struct {
		attributes map[string]any
		scope      string
		want       int64
	}{
		"inclusive":                {map[string]any{AttrInputTokens: 100, AttrCacheReadTokens: 80}, "", 100},
		"all of it cached":         {map[string]any{AttrInputTokens: 100, AttrCacheReadTokens: 100}, "", 100},
		"more cached than counted": {map[string]any{AttrInputTokens: 100, AttrCacheReadTokens: 101}, "", 201},
		"read and written": {
			map[string]any{AttrInputTokens: 100, AttrCacheReadTokens: 60, AttrCacheWriteTokens: 60}, "", 220,
		},
		"total tells": {
			map[string]any{
				AttrInputTokens: 100, AttrOutputTokens: 10, AttrCacheReadTokens: 50, "gen_ai.usage.total_tokens": 160,
			}, "", 150,
		},
		"Strands": {map[string]any{AttrInputTokens: 100, AttrCacheReadTokens: 50}, "strands.telemetry.tracer", 150},
		"Strands, corrected": {
			map[string]any{AttrInputTokens: 150, "gen_ai.usage.prompt_tokens": 100, AttrCacheReadTokens: 50},
			"strands.telemetry.tracer", 150,
		},
		"botocore": {
			map[string]any{AttrSystem: "aws.bedrock", AttrInputTokens: 100, AttrCacheReadTokens: 50},
			"opentelemetry.instrumentation.botocore.bedrock-runtime", 150,
		},
		"cache without input": {map[string]any{AttrCacheReadTokens: 50}, "", Absent},
		"total alone":         {map[string]any{"gen_ai.usage.total_tokens": 50}, "", Absent},
		"total and output":    {map[string]any{"gen_ai.usage.total_tokens": 50, AttrOutputTokens: 20}, "", 30},
		"output above total":  {map[string]any{"gen_ai.usage.total_tokens": 50, AttrOutputTokens: 60}, "", Absent},
	} {
		t.Run(name, func(t *testing.T) {
			test.attributes[AttrOperationName] = chat
			assert.Equal(t, test.want, read(spanOf(t, test.attributes), test.scope).InputTokens)
		})
	}
}

func TestReasoningInsideOutput(t *testing.T) {
	call := read(spanOf(t, map[string]any{
		AttrOperationName: "chat", AttrOutputTokens: 10, AttrReasoningTokens: 25,
	}), "")
	assert.Equal(t, int64(35), call.OutputTokens)
	assert.Equal(t, int64(25), call.ReasoningTokens)
}

func TestTimeToFirstChunk(t *testing.T) {
	for name, test := range map[string]struct {
		attributes map[string]any
		scope      string
		want       float64
	}{
		"seconds":                {map[string]any{AttrTimeToFirstChunk: 0.5}, "", 0.5},
		"whole seconds":          {map[string]any{AttrTimeToFirstChunk: 1}, "", 1},
		"as long as the span":    {map[string]any{AttrTimeToFirstChunk: 2.0}, "", 2},
		"longer than the span":   {map[string]any{AttrTimeToFirstChunk: 2.1}, "", 0},
		"zero":                   {map[string]any{AttrTimeToFirstChunk: 0.0}, "", 0},
		"negative":               {map[string]any{AttrTimeToFirstChunk: -0.5}, "", 0},
		"not a number":           {map[string]any{AttrTimeToFirstChunk: math.NaN()}, "", 0},
		"bad, with an alias":     {map[string]any{AttrTimeToFirstChunk: 9.0, "ai.response.msToFirstChunk": 500}, "", 0.5},
		"milliseconds":           {map[string]any{"ai.stream.msToFirstChunk": 250.0}, "", 0.25},
		"SigNoz":                 {map[string]any{"gen_ai.server.ttft": 0.3}, "", 0.3},
		"OpenLIT":                {map[string]any{"gen_ai.server.time_to_first_token": 1.5}, "openlit.x", 1.5},
		"OpenLIT, whole":         {map[string]any{"gen_ai.server.time_to_first_token": 1}, "openlit.x", 1},
		"Strands":                {map[string]any{"gen_ai.server.time_to_first_token": 1}, "strands.telemetry.tracer", 0.001},
		"unknown, integer":       {map[string]any{"gen_ai.server.time_to_first_token": 450}, "", 0.45},
		"unknown, double":        {map[string]any{"gen_ai.server.time_to_first_token": 0.45}, "", 0.45},
		"unknown, large double":  {map[string]any{"gen_ai.server.time_to_first_token": 450.0}, "", 0.45},
		"not streamed":           {map[string]any{"gen_ai.server.time_to_first_token": 2.0, "gen_ai.request.is_stream": false}, "openlit.x", 0},
		"a time":                 {map[string]any{"langfuse.observation.completion_start_time": "1970-01-01T00:00:01.5Z"}, "", 0.5},
		"a time before the span": {map[string]any{"langfuse.observation.completion_start_time": "1970-01-01T00:00:00.5Z"}, "", 0},
		"no time":                {map[string]any{"langfuse.observation.completion_start_time": "soon"}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			test.attributes[AttrOperationName] = "chat"
			call := read(spanOf(t, test.attributes), test.scope)
			assert.InDelta(t, test.want, call.TimeToFirstChunk, 1e-12)
			assert.Equal(t, test.want > 0, call.Streaming)
		})
	}
	agent := read(spanOf(t, map[string]any{AttrOperationName: "invoke_agent", AttrTimeToFirstChunk: 0.5}), "")
	assert.Zero(t, agent.TimeToFirstChunk, "only an inference streams")
}

func TestCostOrder(t *testing.T) {
	sources := []struct {
		key   string
		value any
		cost  float64
	}{
		{"gen_ai.usage.cost.amount", 1.0, 1},
		{"gen_ai.usage.cost", 2, 2},
		{"operation.cost", "3.0", 3},
		{"llm.cost.total", 4.0, 4},
		{"llm.cost.prompt", 5.0, 5},
		{"langfuse.observation.cost_details", `{"input": 1, "total": 6}`, 6},
		{"langsmith.cost.total", 7.0, 7},
		{"langsmith.usage_metadata", `{"input_tokens": 3, "total_cost": 8}`, 8},
	}
	attributes := map[string]any{AttrOperationName: "chat"}
	for i := len(sources) - 1; i >= 0; i-- {
		attributes[sources[i].key] = sources[i].value
		call := read(spanOf(t, attributes), "")
		assert.InDelta(t, sources[i].cost, call.Cost, 0, sources[i].key)
		want := CostInstrumentation
		if sources[i].key == "langsmith.cost.total" {
			want = CostLangSmith
		}
		assert.Equal(t, want, call.CostSource, sources[i].key)
	}
	attributes["gen_ai.usage.cost.currency"] = "EUR"
	assert.InDelta(t, 2, read(spanOf(t, attributes), "").Cost, 0, "another currency is no cost in USD")
	for _, bad := range []any{-1.0, math.NaN(), math.Inf(1), 1e7, "much", true} {
		call := read(spanOf(t, map[string]any{AttrOperationName: "chat", AttrUsageCost: bad}), "")
		assert.Equal(t, CostNone, call.CostSource, "%v", bad)
	}
}

func TestErrorType(t *testing.T) {
	for name, test := range map[string]struct {
		attributes map[string]any
		exception  string
		status     ptrace.StatusCode
		message    string
		want       string
	}{
		"none":                {want: ""},
		"ok":                  {status: ptrace.StatusCodeOk, want: ""},
		"attribute":           {attributes: map[string]any{AttrErrorType: "timeout"}, status: ptrace.StatusCodeError, want: "timeout"},
		"attribute only":      {attributes: map[string]any{AttrErrorType: "500"}, want: "500"},
		"attribute, sentence": {attributes: map[string]any{AttrErrorType: "the user said no"}, want: ErrorOther},
		"exception":           {exception: "openai.APIError", status: ptrace.StatusCodeError, want: "openai.APIError"},
		"exception, handled":  {exception: "openai.APIError", want: ""},
		"alias":               {attributes: map[string]any{"gen_ai.error.type": "quota"}, status: ptrace.StatusCodeError, want: "quota"},
		"alias, no failure":   {attributes: map[string]any{"gen_ai.error.type": "quota"}, want: ""},
		"code":                {attributes: map[string]any{"error.code": 503}, status: ptrace.StatusCodeError, want: "503"},
		"code, absurd":        {attributes: map[string]any{"error.code": 70}, status: ptrace.StatusCodeError, want: ErrorOther},
		"message":             {status: ptrace.StatusCodeError, message: "RateLimitError: slow down", want: "RateLimitError"},
		"message, call":       {status: ptrace.StatusCodeError, message: "ValueError('x')", want: "ValueError"},
		"message, module":     {status: ptrace.StatusCodeError, message: "openai.APITimeout: x", want: "openai.APITimeout"},
		"message, class only": {status: ptrace.StatusCodeError, message: "RecursionError", want: "RecursionError"},
		"message, sentence":   {status: ptrace.StatusCodeError, message: "Prompt: tell me a secret", want: ErrorOther},
		"message, words":      {status: ptrace.StatusCodeError, message: "Error while reading secret", want: ErrorOther},
		"nothing":             {status: ptrace.StatusCodeError, want: ErrorOther},
		"code in message": {
			exception: "openai.BadRequestError", status: ptrace.StatusCodeError,
			message: "Error code: 400 - {'error': {'message': 'too long', 'code': 'context_length_exceeded'}}", want: "context_length_exceeded",
		},
		"code in message, class known": {
			exception: "openai.RateLimitError", status: ptrace.StatusCodeError, message: "Error code: 429 - insufficient_quota", want: "openai.RateLimitError",
		},
		"code in message, attribute": {
			attributes: map[string]any{AttrErrorType: "BadRequestError"}, status: ptrace.StatusCodeError, message: "content_filter", want: "BadRequestError",
		},
		"code in message, attribute without a name": {
			attributes: map[string]any{AttrErrorType: ErrorOther}, status: ptrace.StatusCodeError, message: "rpc error: RESOURCE_EXHAUSTED", want: "RESOURCE_EXHAUSTED",
		},
		"code in message, class in front": {
			status: ptrace.StatusCodeError, message: "APIStatusError: {'type': 'overloaded_error'}", want: "overloaded_error",
		},
		"code too late in message": {status: ptrace.StatusCodeError, message: strings.Repeat("x", 510) + "content_filter", want: ErrorOther},
	} {
		t.Run(name, func(t *testing.T) {
			span := spanOf(t, test.attributes)
			span.Status().SetCode(test.status)
			span.Status().SetMessage(test.message)
			if test.exception != "" {
				event := span.Events().AppendEmpty()
				event.SetName("exception")
				event.Attributes().PutStr(AttrExceptionType, test.exception)
			}
			assert.Equal(t, test.want, read(span, "").ErrorType)
		})
	}
}

func TestProviders(t *testing.T) {
	for name, want := range map[string]string{
		"openai": "openai", "OpenAI": "openai", " OpenAI ": "openai", "openai.chat": "openai", "az.ai.openai": "azure.ai.openai",
		"Azure": "azure.ai.openai", "azure.chat": "azure.ai.openai", "azure.ai.inference": "azure.ai.inference",
		"azure.ai.agents": "azure.ai.agents", "az.ai.agents": "az.ai.agents", "microsoft.foundry": "microsoft.foundry",
		"anthropic.messages": "anthropic", "AWS": "aws.bedrock", "amazon-bedrock": "aws.bedrock",
		"VertexAI": "gcp.vertex_ai", "google.vertex.chat": "gcp.vertex_ai", "google.generative-ai": "gcp.gemini",
		"Google": "gcp.gen_ai", "MistralAI": "mistral_ai", "xai": "x_ai", "Watsonx": "ibm.watsonx.ai",
		"in-house": "in-house", "a provider with a very long name that nobody knows": "a provider with a very long name that nobody knows",
	} {
		call := read(spanOf(t, map[string]any{AttrOperationName: "chat", AttrProviderName: name}), "")
		assert.Equal(t, want, call.Provider, name)
		again := read(spanOf(t, map[string]any{AttrOperationName: "chat", AttrProviderName: want}), "")
		assert.Equal(t, want, again.Provider, "folding is stable")
	}
	for model, want := range map[string]string{
		"gpt-4o": "openai", "o3-mini": "openai", "claude-3": "anthropic", "gemini-2.5": "gcp.gemini", "grok-3": "x_ai",
		"us.anthropic.claude-3": "aws.bedrock", "anthropic/claude-3": "anthropic", "langchain/x": "", "my-model": "", "": "",
	} {
		assert.Equal(t, want, read(spanOf(t, map[string]any{AttrOperationName: "chat", AttrRequestModel: model}), "").Provider, model)
	}
}

func TestOperationNames(t *testing.T) {
	for name, want := range map[string]struct {
		operation string
		kind      Kind
	}{
		"chat": {"chat", KindInference}, "completion": {"text_completion", KindInference},
		"responses.create": {"chat", KindInference}, "embedding": {"embeddings", KindEmbeddings},
		"agent": {"invoke_agent", KindAgent}, "create_agent": {"create_agent", KindOther},
		"our_own_step": {"our_own_step", KindOther}, "agent_step": {"", KindNone}, "chain": {"", KindNone},
	} {
		call := read(spanOf(t, map[string]any{AttrOperationName: name}), "")
		assert.Equal(t, want.operation, call.Operation, name)
		assert.Equal(t, want.kind, call.Kind, name)
	}
}

func TestDialectByProvider(t *testing.T) {
	for provider, want := range map[string]Dialect{
		"microsoft.foundry": DialectAzure, "az.ai.agents": DialectAzure, "strands-agents": DialectStrands, "openai": DialectOTel,
	} {
		assert.Equal(t, want, read(spanOf(t, map[string]any{AttrOperationName: "chat", AttrProviderName: provider}), "").Dialect)
	}
}

func TestWriteOptions(t *testing.T) {
	source := map[string]any{
		AttrOperationName: "chat", AttrProviderName: "x_ai", "gen_ai.usage.cache_creation_input_tokens": 5,
	}
	for name, test := range map[string]struct {
		options WriteOptions
		want    map[string]any
	}{
		"default":     {WriteOptions{}, map[string]any{AttrCacheCreationTokens: int64(5)}},
		"cache write": {WriteOptions{CacheName: CacheWrite}, map[string]any{AttrCacheWriteTokens: int64(5)}},
		"both": {
			WriteOptions{CacheName: CacheBoth},
			map[string]any{AttrCacheCreationTokens: int64(5), AttrCacheWriteTokens: int64(5)},
		},
		"system": {WriteOptions{System: true}, map[string]any{AttrCacheCreationTokens: int64(5), AttrSystem: "xai"}},
	} {
		t.Run(name, func(t *testing.T) {
			span := spanOf(t, source)
			call := read(span, "")
			assert.Equal(t, len(test.want), test.options.Write(&call, span))
			want := spanOf(t, source).Attributes().AsRaw()
			for key, value := range test.want {
				want[key] = value
			}
			assert.Equal(t, want, span.Attributes().AsRaw())
			assert.Equal(t, call, read(span, ""))
		})
	}
}

// TestCostTableRoundTrip holds that a price set after reading survives writing and reading.
func TestCostTableRoundTrip(t *testing.T) {
	span := spanOf(t, map[string]any{AttrOperationName: "chat", AttrInputTokens: 5})
	call := read(span, "")
	call.Cost, call.CostSource = 0.25, CostTable
	Write(&call, span)
	assert.Equal(t, call, read(span, ""))
}

func TestDurationOfOddSpans(t *testing.T) {
	for name, test := range map[string]struct{ start, end pcommon.Timestamp }{
		"no end": {5, 0}, "ends before it starts": {5, 4},
	} {
		t.Run(name, func(t *testing.T) {
			span := spanOf(t, map[string]any{AttrOperationName: "chat", AttrTimeToFirstChunk: 0.5})
			span.SetStartTimestamp(test.start)
			span.SetEndTimestamp(test.end)
			call := read(span, "")
			_, ok := call.Duration()
			assert.False(t, ok)
			assert.InDelta(t, 0.5, call.TimeToFirstChunk, 0)
		})
	}
}

// TestNamesTable checks the table against itself: every key is found under its own name, and no key is a near
// miss of another.
func TestNamesTable(t *testing.T) {
	for i := 1; i < len(names.entries); i++ {
		e := &names.entries[i]
		require.Same(t, e, names.find(e.key), e.key)
		assert.Nil(t, names.find(e.key+"x"), e.key)
		assert.Nil(t, names.find(e.key[:len(e.key)-1]+"\x00"), e.key)
	}
	assert.Nil(t, names.find(""))
	assert.Less(t, len(names.entries), len(names.places)/3, "the table is getting full")
	for i, key := range writtenKeys {
		assert.Equal(t, written(1)<<i, names.find(key).writes, key)
	}
	assert.Equal(t, writesError, written(1)<<(len(writtenKeys)-1))
}

func TestReadAllocatesNothing(t *testing.T) {
	content, err := os.ReadFile("testdata/dialects/otel.json")
	require.NoError(t, err)
	traces, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(content)
	require.NoError(t, err)
	reader := NewReader(ReaderConfig{})
	var call Call
	eachSpan(traces, func(span ptrace.Span, scope string, resource pcommon.Map) {
		assert.Zero(t, testing.AllocsPerRun(100, func() { reader.Read(span, scope, resource, &call) }), span.Name())
	})
}

func TestRunsThatWereGivenUpHaveNoDuration(t *testing.T) {
	span := ptrace.NewSpan()
	span.SetStartTimestamp(1_000_000_000)
	span.SetEndTimestamp(1_000_000_000)
	span.Attributes().PutStr(AttrOperationName, "chat")
	var call Call
	NewReader(ReaderConfig{}).Read(span, "", pcommon.Map{}, &call)
	_, ok := call.Duration()
	assert.True(t, ok)

	span.Attributes().PutBool(AttrLangSmithUnfinished, true)
	NewReader(ReaderConfig{}).Read(span, "", pcommon.Map{}, &call)
	_, ok = call.Duration()
	assert.False(t, ok)
	assert.Equal(t, KindInference, call.Kind)
}

// TestMessageCodesHaveAClass holds that a code that is read out of a message says more than other.
func TestMessageCodesHaveAClass(t *testing.T) {
	for _, m := range messageCodes {
		assert.NotEqual(t, ErrorClassOther, ErrorClass(m.code), m.code)
		assert.Equal(t, m.code, codeIn("Error: "+m.part), m.part)
	}
}
