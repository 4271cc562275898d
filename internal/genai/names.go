package genai

import "strings"

// A slot holds what one or more attributes say about one thing.
type slot uint8

// Slots of text.
const (
	slotNone slot = iota
	slotOperation
	slotRunType   // LangSmith
	slotOIKind    // OpenInference
	slotCallType  // OpenLLMetry, model calls
	slotLoopKind  // OpenLLMetry, everything else
	slotAIKind    // Vercel AI SDK
	slotFuseKind  // Langfuse
	slotProvider  // folded
	slotFramework // a framework in the place of a provider, folded
	slotSystem    // OpenInference llm.system, folded
	slotVendor    // OpenInference llm.provider, folded
	slotRequestModel
	slotResponseModel
	slotResponseID
	slotConversation
	slotAgent
	slotTool
	slotWorkflow
	slotDataSource
	slotEntity     // OpenLLMetry: the name of a tool, agent or workflow
	slotFunction   // Vercel AI SDK: the name the user gave to an outer call
	slotRunName    // LangSmith
	slotError      // counts by itself
	slotErrorAlias // counts only when the status is an error
	slotCurrency
	slotCostSource
	slotUsage         // LangSmith usage_metadata, as JSON
	slotInputDetails  // LangSmith, as JSON or the text of a Python dict
	slotOutputDetails // the same
	slotCostDetails   // Langfuse, as JSON
	slotFirstTokenAt  // Langfuse, RFC 3339
	textSlots
)

// Slots of counts.
const (
	slotInput slot = textSlots + iota // the canonical name only
	slotInputAlias
	slotOutput
	slotTotal
	slotCacheRead
	slotCacheWrite
	slotReasoning
	countSlots
)

// Slots of numbers.
const (
	slotCostAmount slot = countSlots + iota
	slotCost
	slotCostPrompt
	slotCostCompletion
	slotCostLangSmith
	slotFirstChunk      // seconds
	slotServerToken     // gen_ai.server.time_to_first_token, unit by dialect
	slotFirstChunkAlias // seconds
	numberSlots
)

// Slots of switches.
const (
	slotStream slot = numberSlots + iota
	slotEvidence
	slotPrompts
	slotFinish
	slotUnfinished // only ever true
	slots
)

// A decoder says how the value of an attribute is read.
type decoder uint8

const (
	asNothing  decoder = iota // only the key matters
	asText                    // a string that is not empty
	asID                      // a string, or an integer written as one
	asProvider                // a string, folded
	asCode                    // a string, or an HTTP status as an integer
	asCount
	asCost
	asSeconds
	asMillis
	asServerToken
	asBool
	asReasons // a list of strings, or a string
)

// names is everything known about attribute keys: slotted by what they mean, in the order in which they win.
// The order and the names are those that instrumentations are seen to write.
var names = buildNames([]meaning{
	{slotOperation, asText, []string{AttrOperationName}},
	{slotRunType, asText, []string{AttrLangSmithRunType, AttrLangSmithSpanKind}},
	{slotOIKind, asText, []string{"openinference.span.kind"}},
	{slotCallType, asText, []string{"llm.request.type"}},
	{slotLoopKind, asText, []string{"traceloop.span.kind"}},
	{slotAIKind, asText, []string{"ai.operationId"}},
	{slotFuseKind, asText, []string{"langfuse.observation.type"}},

	{slotProvider, asProvider, []string{
		AttrProviderName, AttrSystem, "ai.model.provider", "gen_ai.request.provider", "langsmith.metadata.ls_provider",
	}},
	{slotSystem, asProvider, []string{"llm.system"}},
	{slotVendor, asProvider, []string{"llm.provider"}},
	{slotRequestModel, asText, []string{
		AttrRequestModel, "llm.request.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name",
		"llm.request.model", "ai.model.id", "langsmith.metadata.ls_model_name", "model", "model_name",
	}},
	{slotResponseModel, asText, []string{
		AttrResponseModel, "llm.response.model_name", "llm.response.model", "ai.response.model",
		"langfuse.observation.model.name",
	}},
	{slotResponseID, asText, []string{AttrResponseID, "llm.response.id", "ai.response.id"}},
	{slotConversation, asID, []string{
		AttrConversationID, "session.id", "langfuse.session.id", "gen_ai.thread.id",
		"traceloop.association.properties.session_id", "langsmith.metadata.session_id",
		"langsmith.metadata.thread_id", "langsmith.metadata.conversation_id", "ai.telemetry.metadata.sessionId",
		"lc.metadata.thread_id",
	}},
	{slotAgent, asText, []string{AttrAgentName, "agent.name", "agent_name"}},
	{slotTool, asText, []string{
		AttrToolName, "tool.name", "ai.toolCall.name", "gen_ai.tool.function.name", "mcp.tool.name",
	}},
	{slotWorkflow, asText, []string{AttrWorkflowName, "traceloop.workflow.name"}},
	{slotDataSource, asText, []string{AttrDataSource, "db.collection.name"}},
	{slotEntity, asText, []string{"traceloop.entity.name"}},
	{slotFunction, asText, []string{"ai.telemetry.functionId"}},
	{slotRunName, asText, []string{AttrLangSmithTraceName}},

	{slotInput, asCount, []string{AttrInputTokens}},
	{slotInputAlias, asCount, []string{
		"gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens", "ai.usage.inputTokens",
		"ai.usage.promptTokens", "ai.usage.tokens", "gen_ai.usage.embedding_tokens",
	}},
	{slotOutput, asCount, []string{
		AttrOutputTokens, "gen_ai.usage.completion_tokens", "llm.token_count.completion",
		"llm.usage.completion_tokens", "ai.usage.outputTokens", "ai.usage.completionTokens",
	}},
	{slotTotal, asCount, []string{
		"gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total", "ai.usage.totalTokens",
	}},
	{slotCacheRead, asCount, []string{
		AttrCacheReadTokens, "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cache_read_tokens",
		"gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cache_read_input_tokens",
		"gen_ai.usage.prompt_tokens_details.cached_tokens", "gen_ai.usage.prompt_details.cache_read",
		"gen_ai.usage.input_token_details.cached", "gen_ai.usage.cached_input_tokens",
		"gen_ai.usage.input_cached_tokens", "llm.token_count.prompt_details.cache_read",
		"llm.token_count.prompt_details.cache_input", "ai.usage.inputTokenDetails.cacheReadTokens",
		"ai.usage.cachedInputTokens",
	}},
	{slotCacheWrite, asCount, []string{
		AttrCacheWriteTokens, AttrCacheCreationTokens, "gen_ai.usage.cache_creation_input_tokens",
		"gen_ai.usage.cache_write_input_tokens", "gen_ai.usage.cache_write_tokens",
		"gen_ai.usage.details.cache_write_tokens", "gen_ai.usage.details.cache_creation_input_tokens",
		"gen_ai.usage.prompt_tokens_details.cache_creation_tokens",
		"gen_ai.usage.input_token_details.cache_creation", "llm.token_count.prompt_details.cache_write",
		"ai.usage.inputTokenDetails.cacheWriteTokens",
	}},
	{slotReasoning, asCount, []string{
		AttrReasoningTokens, "gen_ai.usage.reasoning_tokens", "gen_ai.usage.reasoning_output_tokens",
		"llm.usage.reasoning_tokens", "gen_ai.usage.details.reasoning_tokens",
		"gen_ai.usage.completion_tokens_details.reasoning_tokens", "gen_ai.usage.completion_details.reasoning",
		"llm.token_count.completion_details.reasoning", "ai.usage.outputTokenDetails.reasoningTokens",
		"ai.usage.reasoningTokens",
	}},
	{slotUsage, asText, []string{"langsmith.usage_metadata"}},
	{slotInputDetails, asText, []string{"gen_ai.usage.input_token_details"}},
	{slotOutputDetails, asText, []string{"gen_ai.usage.output_token_details"}},

	{slotCostAmount, asCost, []string{attrCostAmount}},
	{slotCurrency, asText, []string{attrCostCurrency}},
	{slotCost, asCost, []string{AttrUsageCost, "operation.cost", "llm.cost.total"}},
	{slotCostPrompt, asCost, []string{"llm.cost.prompt"}},
	{slotCostCompletion, asCost, []string{"llm.cost.completion"}},
	{slotCostDetails, asText, []string{"langfuse.observation.cost_details"}},
	{slotCostLangSmith, asCost, []string{"langsmith.cost.total"}},
	{slotCostSource, asText, []string{AttrCostSource}},

	{slotFirstChunk, asSeconds, []string{AttrTimeToFirstChunk, "gen_ai.client.operation.time_to_first_chunk"}},
	{slotServerToken, asServerToken, []string{"gen_ai.server.time_to_first_token"}},
	{slotFirstChunkAlias, asSeconds, []string{"gen_ai.server.ttft"}},
	{slotFirstChunkAlias, asMillis, []string{"ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"}},
	{slotFirstTokenAt, asText, []string{"langfuse.observation.completion_start_time"}},
	{slotStream, asBool, []string{
		AttrRequestStream, "gen_ai.is_streaming", "llm.is_streaming", "langsmith.request.streaming",
		"gen_ai.request.is_stream",
	}},

	{slotFinish, asReasons, []string{
		AttrFinishReasons, "gen_ai.response.finish_reason", "gen_ai.response.stop_reason", "llm.response.finish_reason",
		"llm.response.stop_reason", "llm.finish_reason", "ai.response.finishReason", "gen_ai.completion.0.finish_reason",
	}},

	{slotUnfinished, asBool, []string{AttrLangSmithUnfinished}},

	{slotError, asText, []string{AttrErrorType}},
	{slotErrorAlias, asCode, []string{"gen_ai.error.type", "error.code"}},

	{slotEvidence, asNothing, []string{
		"gen_ai.retrieval.query.text", "gen_ai.retrieval.documents", "gen_ai.retrieval.top_k",
	}},
	{slotPrompts, asNothing, []string{"llm.prompts", "llm.prompts.0.prompt.text"}},
})

// markers are keys that tell who wrote a span.
var markers = []struct {
	dialect Dialect
	keys    []string
}{
	{DialectLangSmith, []string{AttrLangSmithSpanKind, AttrLangSmithRunType, AttrLangSmithRunID}},
	{DialectOpenInference, []string{"openinference.span.kind"}},
	{DialectOpenLLMetry, []string{"traceloop.span.kind", "traceloop.workflow.name", "llm.request.type"}},
	{DialectVercel, []string{"ai.operationId"}},
	{DialectOpenLIT, []string{"gen_ai.sdk.version"}},
	{DialectPydantic, []string{"logfire.json_schema", "model_request_parameters", "operation.cost"}},
	{DialectStrands, []string{"gen_ai.event.start_time"}},
	{DialectAzure, []string{"az.namespace", "azure.resource_provider.namespace"}},
	{DialectLangfuse, []string{"langfuse.observation.type"}},
}

// topRank is the rank of the first key of a slot.
const topRank = 255

// A meaning lists the keys that mean one thing; the first that a span has wins.
type meaning struct {
	slot   slot
	decode decoder
	keys   []string
}

func buildNames(meanings []meaning) *table {
	t := newTable(288)
	rank := [slots]uint8{}
	for i := range rank {
		rank[i] = topRank
	}
	for _, m := range meanings {
		for _, key := range m.keys {
			e := t.at(key)
			e.slot, e.decode, e.rank = m.slot, m.decode, rank[m.slot]
			rank[m.slot]--
			if strings.HasPrefix(key, "gen_ai.") {
				e.marks |= 1 << DialectOTel
			}
		}
	}
	for _, m := range markers {
		for _, key := range m.keys {
			t.at(key).marks |= 1 << m.dialect
		}
	}
	for i, key := range writtenKeys {
		if key != "" {
			t.at(key).writes = 1 << i
		}
	}
	return t
}
