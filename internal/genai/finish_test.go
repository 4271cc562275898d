package genai

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

func TestFinishReasons(t *testing.T) {
	counts := func(reasons ...FinishReason) (want [FinishReasons]uint8) {
		for _, r := range reasons {
			want[r]++
		}
		return want
	}
	for name, test := range map[string]struct {
		attributes map[string]any
		want       [FinishReasons]uint8
	}{
		"list":            {map[string]any{AttrFinishReasons: []any{"stop", "tool_calls", "stop"}}, counts(FinishStop, FinishStop, FinishToolCall)},
		"text":            {map[string]any{AttrFinishReasons: "end_turn"}, counts(FinishStop)},
		"list as text":    {map[string]any{AttrFinishReasons: "stop, length"}, counts(FinishStop, FinishLength)},
		"JSON":            {map[string]any{AttrFinishReasons: `["MAX_TOKENS","weird"]`}, counts(FinishLength, FinishOther)},
		"alias":           {map[string]any{"llm.response.finish_reason": "content_filter"}, counts(FinishContentFilter)},
		"canonical first": {map[string]any{"ai.response.finishReason": "stop", AttrFinishReasons: []any{"length"}}, counts(FinishLength)},
		"odd":             {map[string]any{AttrFinishReasons: []any{"", 7}}, counts()},
		"wrong type":      {map[string]any{AttrFinishReasons: 7, "llm.finish_reason": "stop"}, counts(FinishStop)},
		"tool":            {map[string]any{AttrOperationName: "execute_tool", AttrFinishReasons: "stop"}, counts()},
	} {
		t.Run(name, func(t *testing.T) {
			attributes := map[string]any{AttrOperationName: "chat"}
			for k, v := range test.attributes {
				attributes[k] = v
			}
			span := spanOf(t, attributes)
			reader := NewReader(ReaderConfig{})
			var call Call
			reader.Read(span, "", pcommon.NewMap(), &call)
			assert.Equal(t, test.want, call.Finish)
			resource := pcommon.NewMap()
			assert.Zero(t, testing.AllocsPerRun(10, func() { reader.Read(span, "", resource, &call) }))
		})
	}
	for r := range FinishReason(FinishReasons) {
		if r != FinishOther {
			assert.Equal(t, r, foldFinish(r.String()), "the conventions' own words")
		}
	}
	assert.Equal(t, ErrorOther, FinishReason(200).String())
}

func TestErrorClasses(t *testing.T) {
	for class, types := range map[string][]string{
		ErrorClassRateLimit: {
			"429", "RateLimitError", "openai.RateLimitError", "rate_limit_error", "rate_limit_exceeded", "insufficient_quota",
			"ThrottlingException", "TooManyRequestsException", "google.api_core.exceptions.ResourceExhausted", "RESOURCE_EXHAUSTED",
		},
		ErrorClassTimeout: {
			"408", "504", "APITimeoutError", "APIConnectionTimeoutError", "httpx.ReadTimeout", "TimeoutError", "DEADLINE_EXCEEDED", "timeout", "ModelTimeoutException",
		},
		ErrorClassContextLength:  {"413", "context_length_exceeded", "ContextWindowExceededError", "ContextOverflowError", "request_too_large", "string_above_max_length"},
		ErrorClassContentFilter:  {"content_filter", "ContentPolicyViolationError", "ContentFilterFinishReasonError", "ResponsibleAIPolicyViolation", "StopCandidateException"},
		ErrorClassAuthentication: {"401", "403", "AuthenticationError", "PermissionDeniedError", "invalid_api_key", "AccessDeniedException", "UNAUTHENTICATED", "ExpiredTokenException"},
		ErrorClassServer: {
			"500", "503", "529", "InternalServerError", "overloaded_error", "ServiceUnavailableException", "UNAVAILABLE", "APIConnectionError",
			"java.net.ConnectException", "ECONNREFUSED", "server_error", "httpx.ConnectError",
		},
		ErrorClassCancelled: {"499", "asyncio.exceptions.CancelledError", "context.Canceled", "AbortError", "KeyboardInterrupt", "GeneratorExit"},
		ErrorClassTool:      {"ToolException", "langchain_core.tools.base.ToolException", "AI_NoSuchToolError", "ToolInvocationError"},
		ErrorClassOther:     {"", ErrorOther, "ValueError", "BadRequestError", "400", "5xx", "invalid_request_error", "…"},
	} {
		for _, name := range types {
			assert.Equal(t, class, ErrorClass(name), name)
		}
	}
}
