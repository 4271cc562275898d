package llmmetrics

import "go.opentelemetry.io/collector/pdata/pcommon"

// Family selects the metrics that an observation feeds.
type Family uint8

const (
	// FamilyClient is a client operation: a model call, a retrieval, or another named operation.
	FamilyClient Family = iota
	// FamilyTool is the execution of a tool.
	FamilyTool
	// FamilyAgent is the invocation of an agent.
	FamilyAgent
	// FamilyWorkflow is the invocation of a workflow.
	FamilyWorkflow
	// FamilyTrace is a whole trace.
	FamilyTrace
	// FamilyThread is a whole conversation.
	FamilyThread
	// FamilyScore is a score that an evaluation gave.
	FamilyScore
	// FamilyVerdict is the result of an evaluation, with or without a score.
	FamilyVerdict

	familyCount
)

// Absent is the value of a number that the span does not tell.
const Absent int64 = -1

// Observation is what one operation adds. Its strings need to live only as long as the call of
// [Recorder.Record], except ErrorType, which must live until the commit: a series owns copies. An empty string is
// an attribute that is absent.
type Observation struct {
	Family Family

	Operation     string // FamilyClient
	Provider      string // FamilyClient
	RequestModel  string // FamilyClient, FamilyAgent
	ResponseModel string // FamilyClient
	DataSource    string // FamilyClient, of retrievals
	ToolName      string // FamilyTool
	AgentName     string // FamilyTool, FamilyAgent, FamilyTrace, FamilyThread
	WorkflowName  string // FamilyWorkflow, FamilyTrace, FamilyThread

	EvaluationName   string // FamilyScore, FamilyVerdict
	EvaluationSource string // FamilyScore, FamilyVerdict
	EvaluationLabel  string // FamilyVerdict

	// ErrorType is empty when the operation succeeded.
	ErrorType string

	// Dimensions are the values of [Config.Dimensions], in that order. Missing ones count as empty.
	Dimensions []string

	Duration         int64   // nanoseconds, or Absent
	InputTokens      int64   // or Absent; FamilyClient, FamilyTrace, FamilyThread
	OutputTokens     int64   // or Absent; FamilyClient, FamilyTrace, FamilyThread
	TimeToFirstChunk float64 // seconds; not positive is absent; FamilyClient
	Cost             float64 // USD, valid when HasCost; FamilyClient, FamilyTrace, FamilyThread
	HasCost          bool

	// Of FamilyClient; zero is absent.
	CacheReadTokens    int64
	CacheWriteTokens   int64
	ReasoningTokens    int64
	OutputSpeed        float64 // tokens a second
	TimePerOutputToken float64 // seconds
	Streamed           bool
	Finish             [len(FinishReasons)]uint8 // answers by reason

	// Of FamilyTrace: zero is a value.
	InferenceCalls int64
	ToolCalls      int64
	Depth          int64 // spans from the root to the deepest one

	// Turns is of FamilyThread.
	Turns int64

	// Score is of FamilyScore, in the unit of the evaluation; negative ones are left out.
	Score float64

	// Weight is how many operations this one stands for, after sampling. Up to 1 is 1.
	Weight float64

	// For exemplars.
	Time    pcommon.Timestamp
	TraceID pcommon.TraceID
	SpanID  pcommon.SpanID
}

// OutputSpeed is the tokens a second of a call that took so many nanoseconds; zero when one of them is absent.
func OutputSpeed(outputTokens, duration int64) float64 {
	if outputTokens <= 0 || duration <= 0 {
		return 0
	}
	return float64(outputTokens) / (float64(duration) / nano)
}

// TimePerOutputToken is the seconds that each token took after the first one, which took firstChunk seconds of a duration
// in nanoseconds; zero when there is none or one of them is absent.
func TimePerOutputToken(outputTokens, duration int64, firstChunk float64) float64 {
	if outputTokens <= 1 || duration <= 0 || !(firstChunk > 0) {
		return 0
	}
	return (float64(duration)/nano - firstChunk) / float64(outputTokens-1)
}
