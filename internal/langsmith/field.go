package langsmith

import "encoding/binary"

// field is a member of a run that has a place in [Run].
type field uint8

const (
	fieldUnknown field = iota
	fieldID
	fieldTraceID
	fieldParentRunID
	fieldParentRunIDs
	fieldProjectID
	fieldReferenceExampleID
	fieldName
	fieldRunType
	fieldStatus
	fieldStartTime
	fieldEndTime
	fieldFirstTokenTime
	fieldLatencySeconds
	fieldDottedOrder
	fieldThreadID
	fieldAppPath
	fieldError
	fieldErrorPreview
	fieldPromptTokens
	fieldCompletionTokens
	fieldTotalTokens
	fieldPromptCost
	fieldCompletionCost
	fieldTotalCost
	fieldPromptTokenDetails
	fieldCompletionTokenDetails
	fieldPromptCostDetails
	fieldCompletionCostDetails
	fieldMetadata
	fieldExtra
	fieldTags
	fieldInputs
	fieldOutputs
	fieldInputsPreview
	fieldOutputsPreview
	fieldEvents
	fieldSerialized
	fieldInputsURLs
	fieldOutputsURLs
	// Within extra.
	fieldInvocationParams
	fieldRuntime
	fieldToolCallID
)

// fieldNames maps the names of both API versions.
var fieldNames = map[string]field{
	"id": fieldID, "trace_id": fieldTraceID, "parent_run_id": fieldParentRunID, "parent_run_ids": fieldParentRunIDs,
	"session_id": fieldProjectID, "project_id": fieldProjectID, "reference_example_id": fieldReferenceExampleID,
	"name": fieldName, "run_type": fieldRunType, "status": fieldStatus,
	"start_time": fieldStartTime, "end_time": fieldEndTime, "first_token_time": fieldFirstTokenTime,
	"latency_seconds": fieldLatencySeconds, "dotted_order": fieldDottedOrder, "thread_id": fieldThreadID,
	"app_path": fieldAppPath, "error": fieldError, "error_preview": fieldErrorPreview,
	"prompt_tokens": fieldPromptTokens, "completion_tokens": fieldCompletionTokens, "total_tokens": fieldTotalTokens,
	"prompt_cost": fieldPromptCost, "completion_cost": fieldCompletionCost, "total_cost": fieldTotalCost,
	"prompt_token_details": fieldPromptTokenDetails, "completion_token_details": fieldCompletionTokenDetails,
	"prompt_cost_details": fieldPromptCostDetails, "completion_cost_details": fieldCompletionCostDetails,
	"metadata": fieldMetadata, "extra": fieldExtra, "tags": fieldTags, "inputs": fieldInputs, "outputs": fieldOutputs,
	"inputs_preview": fieldInputsPreview, "outputs_preview": fieldOutputsPreview, "events": fieldEvents,
	"serialized": fieldSerialized, "manifest": fieldSerialized,
	"inputs_s3_urls": fieldInputsURLs, "outputs_s3_urls": fieldOutputsURLs,
	"invocation_params": fieldInvocationParams, "runtime": fieldRuntime, "tool_call_id": fieldToolCallID,
}

// fieldTable is fieldNames as a hash table with open addressing: a run has about sixty members, so looking up
// their names counts.
var fieldTable = func() (table [256]struct {
	name  string
	field field
},
) {
	for name, f := range fieldNames {
		padded := append([]byte(name), make([]byte, padding)...)
		slot := fieldHash(padded, 0, len(name))
		for table[slot].name != "" {
			slot++
		}
		table[slot].name, table[slot].field = name, f
	}
	return table
}()

func fieldHash(b []byte, start, end int) uint8 {
	x := binary.LittleEndian.Uint64(b[start:])
	if n := end - start; n < 8 {
		x &= 1<<(8*uint(n)) - 1
	}
	if end > start {
		x ^= uint64(b[end-1]) << 56
	}
	return uint8((x + uint64(end-start)) * 0x9e3779b97f4a7c15 >> 56)
}

// fieldOf looks up the name in b[start:end], which padding or more data follows.
func fieldOf(b []byte, start, end int) field {
	for slot := fieldHash(b, start, end); ; slot++ {
		entry := &fieldTable[slot]
		if entry.name == string(b[start:end]) {
			return entry.field
		}
		if entry.name == "" {
			return fieldUnknown
		}
	}
}
