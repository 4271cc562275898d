package translate

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// plainPage is a page of either version as one would usually read it in Go: into structs that name just what is
// used, content kept as the JSON it is.
type plainPage struct {
	Runs  []plainRun `json:"runs"`
	Items []plainRun `json:"items"`
}

type plainRun struct {
	ID                string          `json:"id"`
	TraceID           string          `json:"trace_id"`
	ParentRunIDs      []string        `json:"parent_run_ids"`
	ReferenceExample  *string         `json:"reference_example_id"`
	DottedOrder       string          `json:"dotted_order"`
	Name              string          `json:"name"`
	RunType           string          `json:"run_type"`
	Status            string          `json:"status"`
	AppPath           string          `json:"app_path"`
	StartTime         string          `json:"start_time"`
	EndTime           *string         `json:"end_time"`
	FirstTokenTime    *string         `json:"first_token_time"`
	Error             *string         `json:"error"`
	Inputs            json.RawMessage `json:"inputs"`
	Outputs           json.RawMessage `json:"outputs"`
	Tags              []string        `json:"tags"`
	ThreadID          *string         `json:"thread_id"`
	PromptTokens      int64           `json:"prompt_tokens"`
	CompletionTokens  int64           `json:"completion_tokens"`
	PromptCost        *json.Number    `json:"prompt_cost"` // also takes v1's strings
	CompletionCost    *json.Number    `json:"completion_cost"`
	TotalCost         *json.Number    `json:"total_cost"`
	PromptDetails     *plainDetails   `json:"prompt_token_details"`
	CompletionDetails *plainDetails   `json:"completion_token_details"`
	Metadata          plainMetadata   `json:"metadata"`
	Extra             struct {
		Metadata   plainMetadata `json:"metadata"`
		ToolCallID string        `json:"tool_call_id"`
		Invocation struct {
			Model       string          `json:"model"`
			Temperature *float64        `json:"temperature"`
			MaxTokens   *int64          `json:"max_tokens"`
			Stream      bool            `json:"stream"`
			Tools       json.RawMessage `json:"tools"`
		} `json:"invocation_params"`
	} `json:"extra"`
}

type plainDetails struct {
	CacheRead int64 `json:"cache_read"`
	Reasoning int64 `json:"reasoning"`
	Raw       struct {
		CacheRead int64 `json:"cache_read"`
		Reasoning int64 `json:"reasoning"`
	} `json:"raw"` // v2
}

// plainMetadata is a map because the keys are the user's own, and any of them may be asked for.
type plainMetadata map[string]json.RawMessage

func (m plainMetadata) text(key string) (s string) {
	_ = json.Unmarshal(m[key], &s)
	return s
}

// plainTranslate is the peer of decoder and translator. It writes the same attributes when content stays out;
// else it has less to do, because inputs and outputs go out as the JSON they are.
func plainTranslate(page []byte, content, metadata bool) (ptrace.Traces, error) {
	traces := ptrace.NewTraces()
	var p plainPage
	if err := json.Unmarshal(page, &p); err != nil {
		return traces, err
	}
	runs := p.Runs
	if runs == nil {
		runs = p.Items
	}
	spans := traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	spans.EnsureCapacity(len(runs))
	for i := range runs {
		span := spans.AppendEmpty()
		plainSpan(&runs[i], span, content)
		if metadata {
			plainMetadataAttributes(&runs[i], span.Attributes())
		}
	}
	return traces, nil
}

func plainSpan(run *plainRun, span ptrace.Span, content bool) {
	kind := strings.ToLower(run.RunType)
	span.SetTraceID(plainUUID(run.TraceID))
	span.SetSpanID(plainSpanID(run.ID))
	if n := len(run.ParentRunIDs); n > 0 {
		span.SetParentSpanID(plainSpanID(run.ParentRunIDs[n-1]))
	}
	start := plainTime(run.StartTime)
	span.SetStartTimestamp(start)
	if run.EndTime != nil {
		span.SetEndTimestamp(plainTime(*run.EndTime))
	}
	attrs := span.Attributes()
	attrs.EnsureCapacity(32)
	attrs.PutStr(keyRunID, run.ID)
	attrs.PutStr(keyTraceID, run.TraceID)
	attrs.PutStr(keyTraceName, run.Name)
	attrs.PutStr(keyRunType, kind)
	attrs.PutStr(keyDottedOrder, run.DottedOrder)
	if run.AppPath != "" {
		attrs.PutStr(keyRunURL, uiBase+run.AppPath)
	}
	if run.ReferenceExample != nil {
		attrs.PutStr(keyReferenceExampleID, *run.ReferenceExample)
	}
	if run.ThreadID != nil {
		attrs.PutStr(keyConversationID, *run.ThreadID)
	}
	tags := attrs.PutEmptySlice(keyTags)
	for _, tag := range run.Tags {
		tags.AppendEmpty().SetStr(tag)
	}
	span.SetName(run.Name)
	switch kind {
	case "llm":
		plainModel(run, span, attrs, start, content)
	case "tool":
		span.SetName("execute_tool " + run.Name)
		attrs.PutStr(keyOperation, "execute_tool")
		attrs.PutStr(keyToolName, run.Name)
		attrs.PutStr(keyToolType, "function")
		attrs.PutStr(keyToolCallID, run.Extra.ToolCallID)
	case "retriever":
		span.SetName("retrieval")
		attrs.PutStr(keyOperation, "retrieval")
	}
	if strings.EqualFold(run.Status, "error") && run.Error != nil {
		plainError(*run.Error, span, attrs, content)
	}
	if content {
		if run.Inputs != nil {
			attrs.PutStr(keyInputs, string(run.Inputs))
		}
		if run.Outputs != nil {
			attrs.PutStr(keyOutputs, string(run.Outputs))
		}
	}
}

func (run *plainRun) metadata() plainMetadata {
	if run.Metadata != nil {
		return run.Metadata
	}
	return run.Extra.Metadata
}

func plainMetadataAttributes(run *plainRun, attrs pcommon.Map) {
	for key, raw := range run.metadata() {
		name := keyMetadataPrefix + key
		if raw[0] == '[' || raw[0] == '{' {
			attrs.PutStr(name, string(raw))
			continue
		}
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			attrs.PutInt(name, n)
			continue
		}
		var v any
		_ = json.Unmarshal(raw, &v)
		switch v := v.(type) {
		case string:
			attrs.PutStr(name, v)
		case bool:
			attrs.PutBool(name, v)
		case float64:
			attrs.PutDouble(name, v)
		}
	}
}

func plainModel(run *plainRun, span ptrace.Span, attrs pcommon.Map, start pcommon.Timestamp, content bool) {
	meta := run.metadata()
	invocation := &run.Extra.Invocation
	model, temperature, maxTokens := invocation.Model, invocation.Temperature, invocation.MaxTokens
	if model == "" {
		model = meta.text("ls_model_name")
	}
	if temperature == nil {
		_ = json.Unmarshal(meta["ls_temperature"], &temperature)
	}
	if maxTokens == nil {
		_ = json.Unmarshal(meta["ls_max_tokens"], &maxTokens)
	}
	span.SetName("chat " + model)
	span.SetKind(ptrace.SpanKindClient)
	attrs.PutStr(keyOperation, "chat")
	attrs.PutStr(keyProvider, meta.text("ls_provider"))
	attrs.PutStr(keyRequestModel, model)
	if temperature != nil {
		attrs.PutDouble(keyRequestTemperature, *temperature)
	}
	if maxTokens != nil {
		attrs.PutInt(keyRequestMaxTokens, *maxTokens)
	}
	if run.FirstTokenTime != nil {
		attrs.PutBool(keyRequestStream, true)
		attrs.PutDouble(keyTimeToFirstChunk, float64(plainTime(*run.FirstTokenTime)-start)/1e9)
	}
	attrs.PutInt(keyInputTokens, run.PromptTokens)
	attrs.PutInt(keyOutputTokens, run.CompletionTokens)
	if d := run.PromptDetails; d != nil && d.CacheRead+d.Raw.CacheRead > 0 {
		attrs.PutInt(keyCacheReadTokens, d.CacheRead+d.Raw.CacheRead)
	}
	if d := run.CompletionDetails; d != nil && d.Reasoning+d.Raw.Reasoning > 0 {
		attrs.PutInt(keyReasoningTokens, d.Reasoning+d.Raw.Reasoning)
	}
	plainCost(attrs, keyUsageCost, run.TotalCost)
	plainCost(attrs, keyCostTotal, run.TotalCost)
	plainCost(attrs, keyCostPrompt, run.PromptCost)
	plainCost(attrs, keyCostCompletion, run.CompletionCost)
	if content && invocation.Tools != nil {
		attrs.PutStr(keyToolDefinitions, string(invocation.Tools))
	}
}

func plainError(text string, span ptrace.Span, attrs pcommon.Map, content bool) {
	class, _, _ := strings.Cut(text, "(")
	attrs.PutStr(keyErrorType, class)
	span.Status().SetCode(ptrace.StatusCodeError)
	event := span.Events().AppendEmpty()
	event.SetName(eventException)
	event.SetTimestamp(span.EndTimestamp())
	event.Attributes().PutStr(keyExceptionType, class)
	if content {
		message, _, _ := strings.Cut(text, traceback)
		span.Status().SetMessage(message)
		event.Attributes().PutStr(keyExceptionMessage, message)
		event.Attributes().PutStr(keyExceptionStacktrace, text)
	}
}

func plainCost(attrs pcommon.Map, key string, cost *json.Number) {
	if cost != nil {
		if v, err := cost.Float64(); err == nil {
			attrs.PutDouble(key, v)
		}
	}
}

func plainTime(text string) pcommon.Timestamp {
	at, err := time.Parse(time.RFC3339Nano, strings.TrimSuffix(text, "Z")+"Z")
	if err != nil {
		return 0
	}
	return pcommon.NewTimestampFromTime(at)
}

func plainUUID(text string) (id pcommon.TraceID) {
	_, _ = hex.Decode(id[:], []byte(strings.ReplaceAll(text, "-", "")))
	return id
}

func plainSpanID(text string) pcommon.SpanID {
	id := plainUUID(text)
	return pcommon.SpanID(id[8:])
}
