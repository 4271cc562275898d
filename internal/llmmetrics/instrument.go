package llmmetrics

import "math"

// Names of the metrics.
const (
	MetricOperationDuration = "gen_ai.client.operation.duration"
	MetricTokenUsage        = "gen_ai.client.token.usage"
	MetricTimeToFirstChunk  = "gen_ai.client.operation.time_to_first_chunk"
	MetricOperationErrors   = "gen_ai.client.operation.errors"
	MetricCost              = "gen_ai.usage.cost"
	MetricToolDuration      = "gen_ai.execute_tool.duration"
	MetricAgentDuration     = "gen_ai.invoke_agent.duration"
	MetricWorkflowDuration  = "gen_ai.invoke_workflow.duration"

	MetricCacheReadTokens    = "gen_ai.client.inference.usage.cache_read.input_tokens"
	MetricCacheWriteTokens   = "gen_ai.client.inference.usage.cache_write.input_tokens"
	MetricReasoningTokens    = "gen_ai.client.inference.usage.reasoning.output_tokens"
	MetricOutputSpeed        = "gen_ai.client.operation.output_speed"
	MetricTimePerOutputToken = "gen_ai.client.operation.average_time_per_output_token"
	MetricStreamed           = "gen_ai.client.operation.streamed"
	MetricFinishReasons      = "gen_ai.client.operation.finish_reasons"
	MetricEstimated          = "gen_ai.client.operation.estimated"

	MetricTraceDuration = "gen_ai.trace.duration"
	MetricTraceTokens   = "gen_ai.trace.token.usage"
	MetricTraceCost     = "gen_ai.trace.cost"
	MetricTraceCalls    = "gen_ai.trace.inference_calls"
	MetricTraceTools    = "gen_ai.trace.tool_calls"
	MetricTraceDepth    = "gen_ai.trace.depth"

	MetricThreadDuration = "gen_ai.conversation.duration"
	MetricThreadTokens   = "gen_ai.conversation.token.usage"
	MetricThreadCost     = "gen_ai.conversation.cost"
	MetricThreadTurns    = "gen_ai.conversation.turns"

	MetricEvaluationScore   = "gen_ai.evaluation.score"
	MetricEvaluationResults = "gen_ai.evaluation.results"
)

// Names of the metrics of the second generation of the conventions.
const (
	MetricInferenceDuration     = "gen_ai.client.inference.duration"
	MetricInferenceFirstChunk   = "gen_ai.client.inference.time_to_first_chunk"
	MetricInferenceInput        = "gen_ai.client.inference.operation.input_tokens"
	MetricInferenceOutput       = "gen_ai.client.inference.operation.output_tokens"
	MetricInferenceInputTokens  = "gen_ai.client.inference.usage.input_tokens"
	MetricInferenceOutputTokens = "gen_ai.client.inference.usage.output_tokens"
)

// Names of the attributes of data points.
const (
	AttrOperationName  = "gen_ai.operation.name"
	AttrProviderName   = "gen_ai.provider.name"
	AttrRequestModel   = "gen_ai.request.model"
	AttrResponseModel  = "gen_ai.response.model"
	AttrTokenType      = "gen_ai.token.type"
	AttrToolName       = "gen_ai.tool.name"
	AttrAgentName      = "gen_ai.agent.name"
	AttrWorkflowName   = "gen_ai.workflow.name"
	AttrDataSource     = "gen_ai.data_source.id"
	AttrErrorType      = "error.type"
	AttrOverflow       = "otel.metric.overflow"
	AttrTokenModality  = "gen_ai.token.modality"
	AttrFinishReason   = "gen_ai.response.finish_reason"
	AttrEvaluationName = "gen_ai.evaluation.name"
	AttrScoreLabel     = "gen_ai.evaluation.score.label"
	AttrFeedbackSource = "langsmith.feedback.source.type"
	// AttrErrorClass groups error types into few classes.
	AttrErrorClass = "llm_metrics.error.class"
)

// Values of AttrTokenType.
const (
	TokenTypeInput  = "input"
	TokenTypeOutput = "output"
)

// modalityUnknown is the value of AttrTokenModality, which is required: no span tells tokens by modality.
const modalityUnknown = "unknown"

// FinishReasons are the values of AttrFinishReason, in the order of [Observation.Finish].
var FinishReasons = [...]string{"_OTHER", "stop", "length", "content_filter", "tool_call", "error", "compaction"}

// InstrumentKind is the shape of a metric.
type InstrumentKind uint8

const (
	// KindHistogram is a histogram.
	KindHistogram InstrumentKind = iota
	// KindSum is a monotonic sum of integers.
	KindSum
)

// Instrument describes a metric. Unit and description never change for a name: backends refuse a metric that
// comes with two of either.
type Instrument struct {
	Name        string
	Description string
	Unit        string
	Kind        InstrumentKind
	Attributes  []string  // of data points, besides the configured dimensions and AttrOverflow
	Bounds      []float64 // explicit buckets, upper inclusive, in Unit; nil for a sum

	scale scale
}

// scale tells how a measured value is kept as an integer.
type scale uint8

const (
	scaleOne   scale = iota // integers in the metric's unit
	scaleNano               // nanoseconds, of a metric in seconds
	scaleFemto              // float64, summed in units of 1e-15
)

// Bucket boundaries of the OpenTelemetry GenAI conventions, except those of cost, speed, depth, threads and scores, which no convention has.
var (
	durationBounds = []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	tokenBounds    = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
	agentBounds    = []float64{0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6}
	workflowBounds = []float64{1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200}
	// People think between turns, and come back after lunch.
	threadBounds = []float64{1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400}
	callBounds   = []float64{1, 2, 4, 8, 16, 32, 64, 128}
	turnBounds   = []float64{1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 200}
	depthBounds  = []float64{1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100}
	// Most scores are shares or yes and no; others are marks.
	scoreBounds    = []float64{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 5, 10, 100}
	perTokenBounds = []float64{0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5}
	// Models write between some tens and some hundreds of tokens a second.
	speedBounds = []float64{1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000}
	// A cheap embedding costs a millionth of a dollar, a long reasoning call some dollars. Two buckets a decade
	// are enough to see which; the sum is exact anyway.
	costBounds = []float64{1e-6, 1e-5, 1e-4, 3e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10}
)

// Indexes into instruments.
const (
	insDuration = iota
	insTokens
	insFirstChunk
	insErrors
	insCost
	insTool
	insAgent
	insWorkflow
	insCacheRead
	insCacheWrite
	insReasoning
	insSpeed
	insPerToken
	insStreamed
	insFinish
	insEstimated
	insTraceDuration
	insTraceTokens
	insTraceCost
	insTraceCalls
	insTraceTools
	insTraceDepth
	insThreadDuration
	insThreadTokens
	insThreadCost
	insThreadTurns
	insScore
	insResults

	insInferenceDuration
	insInferenceFirstChunk
	insInferenceInput
	insInferenceOutput
	insInferenceInputTokens
	insInferenceOutputTokens

	instrumentCount
)

var (
	clientAttributes      = []string{AttrOperationName, AttrProviderName, AttrRequestModel, AttrResponseModel}
	clientErrorAttributes = append(append([]string{}, clientAttributes...), AttrErrorType)
	clientLabels          = append(append([]string{}, clientAttributes...), AttrDataSource) // the last one of retrievals only
	durationAttributes    = append(append([]string{}, clientLabels...), AttrErrorType)
	errorsAttributes      = append(append([]string{}, durationAttributes...), AttrErrorClass)
	tokenAttributes       = append(append([]string{}, clientAttributes...), AttrTokenType)
	modalityAttributes    = append(append([]string{}, clientAttributes...), AttrTokenModality)
	evaluationAttributes  = []string{AttrEvaluationName, AttrFeedbackSource}
	resultAttributes      = []string{AttrEvaluationName, AttrFeedbackSource, AttrScoreLabel}
	traceAttributes       = []string{AttrWorkflowName, AttrAgentName}
	finishAttributes      = append(append([]string{}, clientAttributes...), AttrFinishReason)
)

var instruments = [instrumentCount]Instrument{
	insDuration: {
		Name: MetricOperationDuration, Unit: "s", Kind: KindHistogram, Bounds: durationBounds, scale: scaleNano,
		Description: "Duration of GenAI client operations: model calls, embeddings, retrievals and other named operations.",
		Attributes:  durationAttributes,
	},
	insTokens: {
		Name: MetricTokenUsage, Unit: "{token}", Kind: KindHistogram, Bounds: tokenBounds, scale: scaleOne,
		Description: "Input and output tokens of model calls.",
		Attributes:  tokenAttributes,
	},
	insFirstChunk: {
		Name: MetricTimeToFirstChunk, Unit: "s", Kind: KindHistogram, Bounds: durationBounds, scale: scaleFemto,
		Description: "Time from the start of a streamed model call to its first chunk.",
		Attributes:  clientAttributes,
	},
	insErrors: {
		Name: MetricOperationErrors, Unit: "{error}", Kind: KindSum,
		Description: "GenAI client operations that failed.",
		Attributes:  errorsAttributes,
	},
	insCost: {
		Name: MetricCost, Unit: "USD", Kind: KindHistogram, Bounds: costBounds, scale: scaleFemto,
		Description: "Cost of model calls in US dollars.",
		Attributes:  clientAttributes,
	},
	insTool: {
		Name: MetricToolDuration, Unit: "s", Kind: KindHistogram, Bounds: durationBounds, scale: scaleNano,
		Description: "Duration of tool executions.",
		Attributes:  []string{AttrToolName, AttrAgentName, AttrErrorType},
	},
	insAgent: {
		Name: MetricAgentDuration, Unit: "s", Kind: KindHistogram, Bounds: agentBounds, scale: scaleNano,
		Description: "Duration of agent invocations.",
		Attributes:  []string{AttrAgentName, AttrRequestModel, AttrErrorType},
	},
	insWorkflow: {
		Name: MetricWorkflowDuration, Unit: "s", Kind: KindHistogram, Bounds: workflowBounds, scale: scaleNano,
		Description: "Duration of workflow invocations.",
		Attributes:  []string{AttrWorkflowName, AttrErrorType},
	},
	insCacheRead: {
		Name: MetricCacheReadTokens, Unit: "{token}", Kind: KindSum,
		Description: "Input tokens of model calls that were read from a cache of the provider.",
		Attributes:  modalityAttributes,
	},
	insCacheWrite: {
		Name: MetricCacheWriteTokens, Unit: "{token}", Kind: KindSum,
		Description: "Input tokens of model calls that were written to a cache of the provider.",
		Attributes:  modalityAttributes,
	},
	insReasoning: {
		Name: MetricReasoningTokens, Unit: "{token}", Kind: KindSum,
		Description: "Output tokens of model calls that were spent on reasoning.",
		Attributes:  modalityAttributes,
	},
	insSpeed: {
		Name: MetricOutputSpeed, Unit: "{token}/s", Kind: KindHistogram, Bounds: speedBounds, scale: scaleFemto,
		Description: "Output tokens of a model call divided by its whole duration.",
		Attributes:  clientAttributes,
	},
	insPerToken: {
		Name: MetricTimePerOutputToken, Unit: "s", Kind: KindHistogram, Bounds: perTokenBounds, scale: scaleFemto,
		Description: "Time after the first chunk of a streamed model call, divided by the output tokens after the first: an approximation.",
		Attributes:  clientAttributes,
	},
	insStreamed: {
		Name: MetricStreamed, Unit: "{operation}", Kind: KindSum,
		Description: "Model calls that streamed their answer.",
		Attributes:  clientAttributes,
	},
	insFinish: {
		Name: MetricFinishReasons, Unit: "{choice}", Kind: KindSum,
		Description: "Answers of model calls, by why the model stopped.",
		Attributes:  finishAttributes,
	},
	insEstimated: {
		Name: MetricEstimated, Unit: "{operation}", Kind: KindSum,
		Description: "GenAI client operations that are counted although a sampler left them out: those that came stand for them.",
		Attributes:  clientAttributes,
	},
	insTraceDuration: {
		Name: MetricTraceDuration, Unit: "s", Kind: KindHistogram, Bounds: workflowBounds, scale: scaleNano,
		Description: "Duration of whole traces that have GenAI operations.",
		Attributes:  append(append([]string{}, traceAttributes...), AttrErrorType),
	},
	insTraceTokens: {
		Name: MetricTraceTokens, Unit: "{token}", Kind: KindHistogram, Bounds: tokenBounds, scale: scaleOne,
		Description: "Input and output tokens of all model calls of a trace.",
		Attributes:  append(append([]string{}, traceAttributes...), AttrTokenType),
	},
	insTraceCost: {
		Name: MetricTraceCost, Unit: "USD", Kind: KindHistogram, Bounds: costBounds, scale: scaleFemto,
		Description: "Cost of all model calls of a trace in US dollars.",
		Attributes:  traceAttributes,
	},
	insTraceCalls: {
		Name: MetricTraceCalls, Unit: "{inference_call}", Kind: KindHistogram, Bounds: callBounds, scale: scaleOne,
		Description: "Model calls of a trace, failed ones included.",
		Attributes:  traceAttributes,
	},
	insTraceTools: {
		Name: MetricTraceTools, Unit: "{tool_call}", Kind: KindHistogram, Bounds: callBounds, scale: scaleOne,
		Description: "Tool executions of a trace, failed ones included.",
		Attributes:  traceAttributes,
	},
	insTraceDepth: {
		Name: MetricTraceDepth, Unit: "{span}", Kind: KindHistogram, Bounds: depthBounds, scale: scaleOne,
		Description: "Spans of a trace from its root to its deepest one.",
		Attributes:  traceAttributes,
	},
	insThreadDuration: {
		Name: MetricThreadDuration, Unit: "s", Kind: KindHistogram, Bounds: threadBounds, scale: scaleNano,
		Description: "Time from the start of the first turn of a conversation to the end of the last one.",
		Attributes:  traceAttributes,
	},
	insThreadTokens: {
		Name: MetricThreadTokens, Unit: "{token}", Kind: KindHistogram, Bounds: tokenBounds, scale: scaleOne,
		Description: "Input and output tokens of all model calls of a conversation.",
		Attributes:  append(append([]string{}, traceAttributes...), AttrTokenType),
	},
	insThreadCost: {
		Name: MetricThreadCost, Unit: "USD", Kind: KindHistogram, Bounds: costBounds, scale: scaleFemto,
		Description: "Cost of all model calls of a conversation in US dollars.",
		Attributes:  traceAttributes,
	},
	insThreadTurns: {
		Name: MetricThreadTurns, Unit: "{turn}", Kind: KindHistogram, Bounds: turnBounds, scale: scaleOne,
		Description: "Turns of a conversation: traces that have GenAI operations.",
		Attributes:  traceAttributes,
	},
	insScore: {
		Name: MetricEvaluationScore, Unit: "1", Kind: KindHistogram, Bounds: scoreBounds, scale: scaleFemto,
		Description: "Scores that evaluations gave.",
		Attributes:  evaluationAttributes,
	},
	insResults: {
		Name: MetricEvaluationResults, Unit: "{result}", Kind: KindSum,
		Description: "Results of evaluations, by label.",
		Attributes:  append(append([]string{}, resultAttributes...), AttrErrorType),
	},
	insInferenceDuration: {
		Name: MetricInferenceDuration, Unit: "s", Kind: KindHistogram, Bounds: durationBounds, scale: scaleNano,
		Description: "Duration of inference operations.",
		Attributes:  clientErrorAttributes,
	},
	insInferenceFirstChunk: {
		Name: MetricInferenceFirstChunk, Unit: "s", Kind: KindHistogram, Bounds: durationBounds, scale: scaleFemto,
		Description: "Time from the start of a streamed inference operation to its first chunk.",
		Attributes:  clientAttributes,
	},
	insInferenceInput: {
		Name: MetricInferenceInput, Unit: "{token}", Kind: KindHistogram, Bounds: tokenBounds, scale: scaleOne,
		Description: "Input tokens of one model call.",
		Attributes:  clientAttributes,
	},
	insInferenceOutput: {
		Name: MetricInferenceOutput, Unit: "{token}", Kind: KindHistogram, Bounds: tokenBounds, scale: scaleOne,
		Description: "Output tokens of one model call.",
		Attributes:  clientAttributes,
	},
	insInferenceInputTokens: {
		Name: MetricInferenceInputTokens, Unit: "{token}", Kind: KindSum,
		Description: "Input tokens of model calls.",
		Attributes:  modalityAttributes,
	},
	insInferenceOutputTokens: {
		Name: MetricInferenceOutputTokens, Unit: "{token}", Kind: KindSum,
		Description: "Output tokens of model calls.",
		Attributes:  modalityAttributes,
	},
}

// Instruments lists every metric that an engine may emit, in the order of its output. The caller must not
// change what it points to.
func Instruments() []Instrument { return instruments[:] }

// IsAttribute reports whether a metric uses the attribute by itself, so that it cannot be a dimension.
func IsAttribute(name string) bool {
	if name == AttrOverflow {
		return true
	}
	for i := range instruments {
		for _, a := range instruments[i].Attributes {
			if a == name {
				return true
			}
		}
	}
	return false
}

// families maps a family to its metrics and to the attributes at the head of a series' key.
var families = [familyCount]struct {
	duration     int
	tokens, cost int // of those that have usage
	counter      int
	labels       []string
}{
	FamilyClient:   {insDuration, insTokens, insCost, insErrors, clientLabels},
	FamilyTool:     {duration: insTool, labels: []string{AttrToolName, AttrAgentName}},
	FamilyAgent:    {duration: insAgent, labels: []string{AttrAgentName, AttrRequestModel}},
	FamilyWorkflow: {duration: insWorkflow, labels: []string{AttrWorkflowName}},
	FamilyTrace:    {duration: insTraceDuration, tokens: insTraceTokens, cost: insTraceCost, labels: traceAttributes},
	FamilyThread:   {duration: insThreadDuration, tokens: insThreadTokens, cost: insThreadCost, labels: traceAttributes},
	FamilyScore:    {cost: insScore, labels: evaluationAttributes},
	FamilyVerdict:  {counter: insResults, labels: resultAttributes},
}

// ordered maps a boundary to an integer that compares as the kept values do.
func (s scale) ordered(bound float64) uint64 {
	switch s {
	case scaleNano:
		return uint64(math.Round(bound * 1e9))
	case scaleFemto:
		return math.Float64bits(bound) // the bits of positive numbers are in the order of the numbers
	default:
		return uint64(bound)
	}
}

// value is the inverse of ordered.
func (s scale) value(ordered uint64) float64 {
	switch s {
	case scaleNano:
		return float64(ordered) / 1e9
	case scaleFemto:
		return math.Float64frombits(ordered)
	default:
		return float64(ordered)
	}
}
