package genai

// Names of attributes in the OpenTelemetry GenAI conventions, as this project writes them. Where two
// generations of the conventions differ, both names are here.
const (
	AttrOperationName  = "gen_ai.operation.name"
	AttrProviderName   = "gen_ai.provider.name"
	AttrSystem         = "gen_ai.system" // the provider, until v1.36
	AttrRequestModel   = "gen_ai.request.model"
	AttrResponseModel  = "gen_ai.response.model"
	AttrResponseID     = "gen_ai.response.id"
	AttrRequestStream  = "gen_ai.request.stream" // bool
	AttrConversationID = "gen_ai.conversation.id"
	AttrAgentName      = "gen_ai.agent.name"
	AttrToolName       = "gen_ai.tool.name"
	AttrWorkflowName   = "gen_ai.workflow.name"
	AttrDataSource     = "gen_ai.data_source.id"

	// AttrInputTokens includes the tokens read from and written to a cache.
	AttrInputTokens = "gen_ai.usage.input_tokens"
	// AttrOutputTokens includes reasoning tokens.
	AttrOutputTokens    = "gen_ai.usage.output_tokens"
	AttrCacheReadTokens = "gen_ai.usage.cache_read.input_tokens"
	// AttrCacheCreationTokens is the name of cache writes from v1.40 on, and AttrCacheWriteTokens that of the
	// conventions' own repository since 2026.
	AttrCacheCreationTokens = "gen_ai.usage.cache_creation.input_tokens"
	AttrCacheWriteTokens    = "gen_ai.usage.cache_write.input_tokens"
	AttrReasoningTokens     = "gen_ai.usage.reasoning.output_tokens"
	AttrTokenType           = "gen_ai.token.type" // of metrics: input, output

	// AttrTimeToFirstChunk is in seconds, as a double.
	AttrTimeToFirstChunk = "gen_ai.response.time_to_first_chunk"

	AttrFinishReasons = "gen_ai.response.finish_reasons" // one for each answer

	AttrErrorType     = "error.type"
	AttrExceptionType = "exception.type"
)

// Names outside the conventions.
const (
	// AttrUsageCost is the cost of a call in USD, as a double. The conventions have no name for it; this one is
	// what most dashboards read.
	AttrUsageCost = "gen_ai.usage.cost"
	// AttrCostSource says who priced the call: one of the values of [CostSource.String].
	AttrCostSource = "llm_metrics.cost.source"

	attrCostAmount   = "gen_ai.usage.cost.amount"
	attrCostCurrency = "gen_ai.usage.cost.currency"
)

// Attributes of spans that come from LangSmith.
const (
	AttrLangSmithRunID = "langsmith.run.id"
	// AttrLangSmithUnfinished marks a run that was given up: it has no end, so no duration.
	AttrLangSmithUnfinished  = "langsmith.run.unfinished"
	AttrLangSmithTraceID     = "langsmith.trace.id"
	AttrLangSmithRunType     = "langsmith.run_type"
	AttrLangSmithTraceName   = "langsmith.trace.name"
	AttrLangSmithSpanKind    = "langsmith.span.kind"
	AttrLangSmithProjectID   = "langsmith.project.id"
	AttrLangSmithProjectName = "langsmith.project.name"
	AttrLangSmithTags        = "langsmith.tags"
)

// Values of [AttrOperationName] that have a [Kind] of their own.
const (
	OperationChat            = "chat"
	OperationGenerateContent = "generate_content"
	OperationTextCompletion  = "text_completion"
	OperationEmbeddings      = "embeddings"
	OperationRetrieval       = "retrieval"
	OperationExecuteTool     = "execute_tool"
	OperationInvokeAgent     = "invoke_agent"
	OperationInvokeWorkflow  = "invoke_workflow"
)

// ErrorOther is the [AttrErrorType] of a failure that has no better name.
const ErrorOther = "_OTHER"
