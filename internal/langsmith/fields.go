package langsmith

// FieldSet is which fields a query asks for, a set of bits. The client turns it into the select list of the
// API version at hand. Links that anybody can open (share_url, share_token) are in no set.
type FieldSet uint32

const (
	// FieldsIdentity is id, project, start, end and status: enough to follow a run that is known already.
	FieldsIdentity FieldSet = 1 << iota
	// FieldStructure is name, type, trace, parents, dotted order, thread, tags, example and UI path.
	FieldStructure
	// FieldUsage is tokens, costs, their details and the time of the first token.
	FieldUsage
	// FieldMetadata is the metadata; on v1 that means the whole of extra.
	FieldMetadata
	// FieldExtra is extra with invocation parameters and runtime.
	FieldExtra
	// FieldErrorPreview is the beginning of the error text; on v1 the whole error, because there is no preview.
	FieldErrorPreview
	// FieldError is the whole error text.
	FieldError
	// FieldInputs is the inputs, on v1 also the links to offloaded ones.
	FieldInputs
	// FieldOutputs is the outputs, on v1 also the links to offloaded ones.
	FieldOutputs
	// FieldPreviews is the beginning of inputs and outputs.
	FieldPreviews
	// FieldEvents is the events.
	FieldEvents
	// FieldSerialized is the constructor dump of LangChain: v1 serialized, v2 manifest.
	FieldSerialized
)

// FieldsMeasures is everything but content.
const FieldsMeasures = FieldsIdentity | FieldStructure | FieldUsage | FieldMetadata | FieldExtra | FieldErrorPreview

// heavyFields make the server read offloaded bodies, so their pages are large and slow.
const heavyFields = FieldInputs | FieldOutputs | FieldEvents | FieldSerialized

// selects lists the names of both versions. Each version fails a whole query for one unknown name, so only
// names of the oldest servers that we support stand here.
var selects = []struct {
	set    FieldSet
	v1, v2 []string
}{
	{
		FieldsIdentity,
		[]string{"id", "session_id", "start_time", "end_time", "status"},
		[]string{"ID", "PROJECT_ID", "START_TIME", "END_TIME", "STATUS"},
	},
	{
		FieldStructure,
		[]string{"name", "run_type", "trace_id", "parent_run_id", "parent_run_ids", "dotted_order", "thread_id", "tags", "reference_example_id", "app_path"},
		[]string{"NAME", "RUN_TYPE", "TRACE_ID", "PARENT_RUN_IDS", "DOTTED_ORDER", "THREAD_ID", "TAGS", "REFERENCE_EXAMPLE_ID", "APP_PATH", "LATENCY_SECONDS"},
	},
	{
		FieldUsage,
		[]string{
			"total_tokens", "prompt_tokens", "completion_tokens", "total_cost", "prompt_cost", "completion_cost",
			"prompt_token_details", "completion_token_details", "prompt_cost_details", "completion_cost_details", "first_token_time",
		},
		[]string{
			"TOTAL_TOKENS", "PROMPT_TOKENS", "COMPLETION_TOKENS", "TOTAL_COST", "PROMPT_COST", "COMPLETION_COST",
			"PROMPT_TOKEN_DETAILS", "COMPLETION_TOKEN_DETAILS", "PROMPT_COST_DETAILS", "COMPLETION_COST_DETAILS", "FIRST_TOKEN_TIME",
		},
	},
	{FieldMetadata, []string{"extra"}, []string{"METADATA"}},
	{FieldExtra, []string{"extra"}, []string{"EXTRA"}},
	{FieldErrorPreview, []string{"error"}, []string{"ERROR_PREVIEW"}},
	{FieldError, []string{"error"}, []string{"ERROR"}},
	{FieldInputs, []string{"inputs", "inputs_s3_urls"}, []string{"INPUTS"}},
	{FieldOutputs, []string{"outputs", "outputs_s3_urls"}, []string{"OUTPUTS"}},
	{FieldPreviews, []string{"inputs_preview", "outputs_preview"}, []string{"INPUTS_PREVIEW", "OUTPUTS_PREVIEW"}},
	{FieldEvents, []string{"events"}, []string{"EVENTS"}},
	{FieldSerialized, []string{"serialized"}, []string{"MANIFEST"}},
}

// names lists what to select for a version, without those that the server is known to refuse. The id is always
// among them.
func (f FieldSet) names(version APIVersion, refused func(name string) bool) []string {
	var names []string
	seen := map[string]bool{}
	for _, s := range selects {
		if s.set != FieldsIdentity && f&s.set == 0 {
			continue
		}
		list := s.v2
		if version == VersionV1 {
			list = s.v1
		}
		for i, name := range list {
			if s.set == FieldsIdentity && f&s.set == 0 && i > 0 {
				break
			}
			if !seen[name] && !refused(name) {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}
