package genai

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// FinishReason is why a model stopped, in the words of the conventions: the words of providers are many.
type FinishReason uint8

const (
	// FinishOther is a reason that is none of those below.
	FinishOther FinishReason = iota
	// FinishStop is a natural end, or a stop sequence.
	FinishStop
	// FinishLength is the end of the budget of tokens.
	FinishLength
	// FinishContentFilter is an answer that was withheld, or a refusal.
	FinishContentFilter
	// FinishToolCall is a wish to call a tool.
	FinishToolCall
	// FinishError is a failure.
	FinishError
	// FinishCompaction is the compaction of the conversation.
	FinishCompaction

	finishReasons
)

// FinishReasons is the number of values of [FinishReason]: each is below it.
const FinishReasons = int(finishReasons)

var finishNames = [finishReasons]string{
	ErrorOther, "stop", "length", "content_filter", "tool_call", "error", "compaction",
}

// String returns the reason as the conventions spell it; _OTHER for FinishOther.
func (r FinishReason) String() string {
	if r < finishReasons {
		return finishNames[r]
	}
	return finishNames[FinishOther]
}

// foldFinish maps what providers and instrumentations write, in upper or lower case.
func foldFinish(text string) FinishReason {
	switch text {
	case "stop", "end_turn", "STOP", "stop_sequence", "COMPLETE", "complete", "completed", "finished", "eos", "STOP_SEQUENCE":
		return FinishStop
	case "length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length", "model_context_window_exceeded", "incomplete":
		return FinishLength
	case "tool_calls", "tool_call", "tool_use", "tool-calls", "function_call", "TOOL_CALL", "TOOL_CALLS":
		return FinishToolCall
	case "content_filter", "content-filter", "content_filtered", "guardrail_intervened", "refusal", "SAFETY", "RECITATION",
		"BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "ERROR_TOXIC":
		return FinishContentFilter
	case "error", "ERROR", "failed", "MALFORMED_FUNCTION_CALL", "malformed_model_output", "malformed_tool_use":
		return FinishError
	case "compaction":
		return FinishCompaction
	}
	return FinishOther
}

// finish counts the reasons of all answers of a call: there is one for each answer.
func (s *scan) finish(call *Call) {
	call.Finish = [FinishReasons]uint8{}
	if !s.has(slotFinish) || call.Kind != KindInference {
		return
	}
	if s.reasons.Type() == pcommon.ValueTypeSlice {
		all := s.reasons.Slice()
		for i := range all.Len() {
			call.finished(all.At(i).Str())
		}
		return
	}
	// Several in one text are a list of words, or one in JSON.
	for word := range strings.FieldsFuncSeq(s.reasons.Str(), func(r rune) bool {
		return r == ',' || r == ' ' || r == '[' || r == ']' || r == '"' || r == '\''
	}) {
		call.finished(word)
	}
}

func (c *Call) finished(word string) {
	if at := &c.Finish[foldFinish(word)]; word != "" && *at < 255 {
		*at++
	}
}
