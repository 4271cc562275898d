package langsmith

// UUID is the 16 bytes of a run, trace, project or feedback id. The zero value means absent.
type UUID [16]byte

// IsZero reports whether the id is absent.
func (u UUID) IsZero() bool { return u == UUID{} }

// Time is a point in time in nanoseconds since the Unix epoch, UTC. Zero means absent. LangSmith's clock has
// microseconds; v1 sends times without a zone, which mean UTC.
type Time int64

// Text is the content of a JSON string as it stands on the wire: without the quotes, possibly with escapes.
// It is valid UTF-8 and follows the JSON grammar. It aliases the page's buffer.
type Text []byte

// Raw is a complete JSON value as it stands on the wire: valid UTF-8 and valid JSON. It aliases the page's
// buffer. Nil means absent or null.
type Raw []byte

// Member is one key and value of a JSON object.
type Member struct {
	Key   Text
	Value Raw
}

// Number is a JSON number, or a number inside a JSON string, as LangSmith writes costs and counts.
// Valid is false when the field was absent, null or no number.
type Number struct {
	Value float64
	Valid bool
}

// Count is a whole number. Valid is false when the field was absent, null or no number.
type Count struct {
	Value int64
	Valid bool
}

// Status is a run's state. LangSmith writes it in lower case (v1) or upper case (v2), and servers may know
// more states than this client: those are [StatusOther], with the text kept in [Run.StatusText].
type Status uint8

const (
	// StatusUnknown means that the field was absent, null or empty.
	StatusUnknown Status = iota
	// StatusPending is a run that has not ended.
	StatusPending
	// StatusSuccess is a run that ended well.
	StatusSuccess
	// StatusError is a run that ended with an error.
	StatusError
	// StatusInterrupted is a run that was stopped on purpose, such as a graph that waits for a human.
	StatusInterrupted
	// StatusOther is a state that this client does not know.
	StatusOther
)

// RunType is the kind of a run. Unknown kinds are [RunTypeOther], with the text kept in [Run.RunTypeText].
type RunType uint8

const (
	// RunTypeUnknown means that the field was absent, null or empty.
	RunTypeUnknown RunType = iota
	// RunTypeChain is a step that calls others.
	RunTypeChain
	// RunTypeLLM is a call of a model.
	RunTypeLLM
	// RunTypeTool is a call of a tool.
	RunTypeTool
	// RunTypeRetriever is a search for documents.
	RunTypeRetriever
	// RunTypeEmbedding is a call of an embedding model.
	RunTypeEmbedding
	// RunTypePrompt is the rendering of a prompt template.
	RunTypePrompt
	// RunTypeParser is the parsing of a model's answer.
	RunTypeParser
	// RunTypeOther is a kind that this client does not know.
	RunTypeOther
)

// Run is one run as a page of the API holds it, v1 and v2 folded into one shape. A page reader reuses one Run:
// its slices are valid only until the next run is read, so keep copies. Large parts stay raw until somebody
// asks for them.
//
// Which fields are present depends on what the query selected.
type Run struct {
	ID                 UUID
	TraceID            UUID
	ParentID           UUID // zero for a root
	ProjectID          UUID // v1 session_id, v2 project_id
	ReferenceExampleID UUID

	Name        Text
	RunType     RunType
	RunTypeText Text // as sent, any case
	Status      Status
	StatusText  Text // as sent, any case

	Start      Time
	End        Time // zero while the run is pending
	FirstToken Time
	// LatencySeconds is v2's own measure of end minus start.
	LatencySeconds Number

	DottedOrder Text
	// ThreadID is the conversation; LangSmith takes any string or number here.
	ThreadID Text
	AppPath  Text

	// Error is the whole text of the failure: content.
	Error        Text
	ErrorPreview Text

	PromptTokens     Count
	CompletionTokens Count
	TotalTokens      Count
	PromptCost       Number // USD
	CompletionCost   Number // USD
	TotalCost        Number // USD

	// Objects of token counts and USD by kind, such as cache_read or reasoning, v2's wrapper {"raw":…} removed.
	PromptTokenDetails     Raw
	CompletionTokenDetails Raw
	PromptCostDetails      Raw
	CompletionCostDetails  Raw

	// Metadata holds the members of v2's metadata, or of extra.metadata where that is absent or null.
	Metadata []Member
	// InvocationParams is extra.invocation_params.
	InvocationParams Raw
	// Runtime is extra.runtime.
	Runtime Raw
	// ToolCallID is extra.tool_call_id.
	ToolCallID Text

	Tags           Raw // array of strings
	Inputs         Raw
	Outputs        Raw
	InputsPreview  Text
	OutputsPreview Text
	Events         Raw // array of {name, time, kwargs}
	Serialized     Raw // v1 serialized, v2 manifest

	// InputsURL and OutputsURL are the signed links to offloaded bodies (v1), perhaps relative to the API.
	InputsURL  Text
	OutputsURL Text

	index *Index
}

// Index is of the run's InvocationParams, Tags, Inputs and Outputs.
func (r *Run) Index() *Index { return r.index }

// Finished reports whether the run has ended: it has an end time, or a final status.
func (r *Run) Finished() bool {
	if r.End != 0 {
		return true
	}
	return r.Status == StatusSuccess || r.Status == StatusError || r.Status == StatusInterrupted
}
