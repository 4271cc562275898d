package genai

import "go.opentelemetry.io/collector/pdata/pcommon"

// Kind groups operations by what is measured of them.
type Kind uint8

const (
	// KindNone is a span that is no GenAI operation, such as a chain, a prompt template or an HTTP call.
	KindNone Kind = iota
	// KindInference is one call of a model: chat, generate_content, text_completion.
	KindInference
	// KindEmbeddings is one call of an embedding model.
	KindEmbeddings
	// KindRetrieval is a search for documents.
	KindRetrieval
	// KindTool is the execution of a tool.
	KindTool
	// KindAgent is one invocation of an agent. Its usage, if any, repeats that of its calls.
	KindAgent
	// KindWorkflow is one invocation of a workflow. Its usage, if any, repeats that of its calls.
	KindWorkflow
	// KindOther is an operation that has a name but none of the kinds above.
	KindOther
)

var kindNames = [...]string{
	"none", "inference", "embeddings", "retrieval", "tool", "agent", "workflow", "other",
}

// String returns a short name in lower case.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[KindNone]
}

// ModelCall reports whether tokens and cost of the operation are its own. Agents, workflows and chains repeat
// the sums of their children and never count.
func (k Kind) ModelCall() bool { return k == KindInference || k == KindEmbeddings }

// CostSource says who priced a call.
type CostSource uint8

const (
	// CostNone means that the call has no known cost.
	CostNone CostSource = iota
	// CostLangSmith is LangSmith's own price of the run.
	CostLangSmith
	// CostInstrumentation is the price that the instrumentation wrote onto the span.
	CostInstrumentation
	// CostTable is a price from the price table.
	CostTable
)

var costSources = [...]string{"", "langsmith", "instrumentation", "table"}

// String returns the source as [AttrCostSource] spells it: langsmith, instrumentation or table; empty for
// CostNone.
func (s CostSource) String() string {
	if int(s) < len(costSources) {
		return costSources[s]
	}
	return ""
}

// Absent is the value of a token count that the span does not tell.
const Absent int64 = -1

// Call is what a span says about one GenAI operation, in the current conventions and their units, whatever
// dialect the span was written in. Its strings alias the span: a Call is valid as long as the span is.
type Call struct {
	Kind      Kind
	Operation string // gen_ai.operation.name; empty for KindNone
	Dialect   Dialect

	Provider      string // gen_ai.provider.name
	RequestModel  string // gen_ai.request.model
	ResponseModel string // gen_ai.response.model

	AgentName      string
	ToolName       string
	WorkflowName   string
	DataSource     string // what a retrieval searched, or the name of the retriever; empty for other operations
	ConversationID string
	ResponseID     string

	// Token counts, or Absent. InputTokens includes what was read from and written to a cache; OutputTokens
	// includes reasoning.
	InputTokens      int64
	OutputTokens     int64
	CacheReadTokens  int64
	CacheWriteTokens int64
	ReasoningTokens  int64

	Cost       float64 // USD, valid unless CostSource is CostNone
	CostSource CostSource

	TimeToFirstChunk float64 // seconds; zero when not known
	Streaming        bool

	// Finish counts the answers of the call by why the model stopped.
	Finish [FinishReasons]uint8

	// ErrorType is a low-cardinality name of the failure; empty when the operation succeeded.
	ErrorType string

	// Extra are the values of [ReaderConfig.Extra], in that order: scalars that are no empty text, and zero
	// Values for attributes that the span does not have. Read keeps using the memory of the slice.
	Extra []pcommon.Value

	Start pcommon.Timestamp
	End   pcommon.Timestamp
}

// Duration is the length of the operation in seconds, and whether the span tells it: a span without an end, or
// one that ends before it starts, does not.
func (c *Call) Duration() (seconds float64, ok bool) {
	if c.End == 0 || c.End < c.Start {
		return 0, false
	}
	return float64(c.End-c.Start) / 1e9, true
}
