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
	ToolName      string // FamilyTool
	AgentName     string // FamilyTool, FamilyAgent
	WorkflowName  string // FamilyWorkflow

	// ErrorType is empty when the operation succeeded.
	ErrorType string

	// Dimensions are the values of [Config.Dimensions], in that order. Missing ones count as empty.
	Dimensions []string

	Duration         int64   // nanoseconds, or Absent
	InputTokens      int64   // or Absent; FamilyClient
	OutputTokens     int64   // or Absent; FamilyClient
	TimeToFirstChunk float64 // seconds; not positive is absent; FamilyClient
	Cost             float64 // USD, valid when HasCost; FamilyClient
	HasCost          bool

	// For exemplars.
	Time    pcommon.Timestamp
	TraceID pcommon.TraceID
	SpanID  pcommon.SpanID
}
