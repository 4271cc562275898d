package genai

import "go.opentelemetry.io/collector/pdata/ptrace"

// CacheName chooses the name under which tokens written to a cache are written to a span.
type CacheName uint8

const (
	// CacheCreation writes [AttrCacheCreationTokens], which most tools read.
	CacheCreation CacheName = iota
	// CacheWrite writes [AttrCacheWriteTokens].
	CacheWrite
	// CacheBoth writes both.
	CacheBoth
)

// WriteOptions says how a [Call] is written. The zero value is the default.
type WriteOptions struct {
	CacheName CacheName
	// System also writes the provider as [AttrSystem], for tools that read only the old name.
	System bool
}

// Write writes what a call says onto its span with the default options. See [WriteOptions.Write].
func Write(call *Call, span ptrace.Span) int { return WriteOptions{}.Write(call, span) }

// written is a set of names that Write knows.
type written uint32

const (
	writesOperation written = 1 << iota
	writesProvider
	writesSystem
	writesRequestModel
	writesResponseModel
	writesResponseID
	writesConversation
	writesAgent
	writesTool
	writesWorkflow
	writesInput
	writesOutput
	writesCacheRead
	writesCacheCreation
	writesCacheWrite
	writesReasoning
	writesCost
	writesCostAmount
	writesCostSource
	writesFirstChunk
	writesStream
	writesError
)

// writtenKeys are the names in the order of their bits.
var writtenKeys = [...]string{
	AttrOperationName, AttrProviderName, AttrSystem, AttrRequestModel, AttrResponseModel, AttrResponseID,
	AttrConversationID, AttrAgentName, AttrToolName, AttrWorkflowName, AttrInputTokens, AttrOutputTokens,
	AttrCacheReadTokens, AttrCacheCreationTokens, AttrCacheWriteTokens, AttrReasoningTokens, AttrUsageCost,
	attrCostAmount, AttrCostSource, AttrTimeToFirstChunk, AttrRequestStream, AttrErrorType,
}

// Write writes what a call says onto its span in the current conventions and returns how many attributes it
// added. It only adds: an attribute that is there stays as it is, whatever its type or value. Tokens and cost
// are written to calls of a model only, since those of agents and workflows are sums of their calls. A span
// that is no GenAI operation is left alone.
//
// Writing twice is writing once, and reading what was written gives the same call.
func (o WriteOptions) Write(call *Call, span ptrace.Span) int {
	if call.Kind == KindNone {
		return 0
	}
	attributes := span.Attributes()
	var there written
	for key := range attributes.All() {
		if e := names.find(key); e != nil {
			there |= e.writes
		}
	}
	added := 0
	text := func(flag written, key, value string) {
		if value != "" && there&flag == 0 {
			attributes.PutStr(key, value)
			added++
		}
	}
	count := func(flag written, key string, value int64) {
		if value != Absent && there&flag == 0 {
			attributes.PutInt(key, value)
			added++
		}
	}

	text(writesOperation, AttrOperationName, call.Operation)
	if call.Kind != KindTool && call.Kind != KindWorkflow {
		// Some tools take a span with a model for a call of it.
		text(writesProvider, AttrProviderName, call.Provider)
		if o.System {
			text(writesSystem, AttrSystem, legacySystem(call.Provider))
		}
		text(writesRequestModel, AttrRequestModel, call.RequestModel)
		text(writesResponseModel, AttrResponseModel, call.ResponseModel)
	}
	text(writesResponseID, AttrResponseID, call.ResponseID)
	text(writesConversation, AttrConversationID, call.ConversationID)
	text(writesAgent, AttrAgentName, call.AgentName)
	text(writesError, AttrErrorType, call.ErrorType)
	switch call.Kind {
	case KindTool:
		text(writesTool, AttrToolName, call.ToolName)
	case KindWorkflow:
		text(writesWorkflow, AttrWorkflowName, call.WorkflowName)
	}
	if !call.Kind.ModelCall() {
		return added
	}

	count(writesInput, AttrInputTokens, call.InputTokens)
	count(writesOutput, AttrOutputTokens, call.OutputTokens)
	count(writesCacheRead, AttrCacheReadTokens, call.CacheReadTokens)
	count(writesReasoning, AttrReasoningTokens, call.ReasoningTokens)
	switch either := writesCacheCreation | writesCacheWrite; o.CacheName {
	case CacheCreation:
		count(either, AttrCacheCreationTokens, call.CacheWriteTokens)
	case CacheWrite:
		count(either, AttrCacheWriteTokens, call.CacheWriteTokens)
	case CacheBoth:
		count(writesCacheCreation, AttrCacheCreationTokens, call.CacheWriteTokens)
		count(writesCacheWrite, AttrCacheWriteTokens, call.CacheWriteTokens)
	}
	if call.CostSource != CostNone {
		// A store that nests names cannot hold both gen_ai.usage.cost and gen_ai.usage.cost.amount.
		if there&(writesCost|writesCostAmount) == 0 {
			attributes.PutDouble(AttrUsageCost, call.Cost)
			added++
			text(writesCostSource, AttrCostSource, call.CostSource.String())
		} else if call.CostSource != CostTable {
			// A cost that is there but cannot be used, such as one in another currency, is not the table's.
			text(writesCostSource, AttrCostSource, call.CostSource.String())
		}
	}
	if call.TimeToFirstChunk > 0 && there&writesFirstChunk == 0 {
		attributes.PutDouble(AttrTimeToFirstChunk, call.TimeToFirstChunk)
		added++
	}
	if call.Streaming && there&writesStream == 0 {
		attributes.PutBool(AttrRequestStream, true)
		added++
	}
	return added
}

// legacySystem is the value of gen_ai.system where it differs from that of gen_ai.provider.name.
func legacySystem(provider string) string {
	if provider == "x_ai" {
		return "xai"
	}
	return provider
}
