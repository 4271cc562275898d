package translate

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// plainPage is a page as one would usually read it in Go: into structs, content kept as it is.
type plainPage struct {
	Items []plainRun `json:"items"`
}

type plainRun struct {
	ID               string          `json:"id"`
	TraceID          string          `json:"trace_id"`
	ParentRunIDs     []string        `json:"parent_run_ids"`
	ProjectID        string          `json:"project_id"`
	DottedOrder      string          `json:"dotted_order"`
	Name             string          `json:"name"`
	RunType          string          `json:"run_type"`
	Status           string          `json:"status"`
	AppPath          string          `json:"app_path"`
	StartTime        time.Time       `json:"start_time"`
	EndTime          *time.Time      `json:"end_time"`
	FirstTokenTime   *time.Time      `json:"first_token_time"`
	Error            *string         `json:"error"`
	Inputs           json.RawMessage `json:"inputs"`
	Outputs          json.RawMessage `json:"outputs"`
	Events           json.RawMessage `json:"events"`
	Manifest         json.RawMessage `json:"manifest"`
	Tags             []string        `json:"tags"`
	ThreadID         *string         `json:"thread_id"`
	PromptTokens     int64           `json:"prompt_tokens"`
	CompletionTokens int64           `json:"completion_tokens"`
	TotalTokens      int64           `json:"total_tokens"`
	PromptCost       *float64        `json:"prompt_cost"`
	CompletionCost   *float64        `json:"completion_cost"`
	TotalCost        *float64        `json:"total_cost"`
	PromptDetails    json.RawMessage `json:"prompt_token_details"`
	Extra            struct {
		Metadata   map[string]json.RawMessage `json:"metadata"`
		Invocation struct {
			Model       string   `json:"model"`
			Temperature *float64 `json:"temperature"`
			MaxTokens   *int64   `json:"max_tokens"`
		} `json:"invocation_params"`
	} `json:"extra"`
}

// plainTranslate is the peer of decoder and translator, with fewer attributes than they write.
func plainTranslate(t testing.TB, page []byte) ptrace.Traces {
	var p plainPage
	require.NoError(t, json.Unmarshal(page, &p))
	traces := ptrace.NewTraces()
	spans := traces.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	spans.EnsureCapacity(len(p.Items))
	for i := range p.Items {
		run, span := &p.Items[i], spans.AppendEmpty()
		var trace [16]byte
		_, _ = hex.Decode(trace[:], []byte(strings.ReplaceAll(run.TraceID, "-", "")))
		span.SetTraceID(trace)
		span.SetName(run.Name)
		attrs := span.Attributes()
		attrs.EnsureCapacity(24)
		attrs.PutStr(keyRunID, run.ID)
		attrs.PutStr(keyTraceID, run.TraceID)
		attrs.PutStr(keyTraceName, run.Name)
		attrs.PutStr(keyRunType, strings.ToLower(run.RunType))
		attrs.PutStr(keyDottedOrder, run.DottedOrder)
		attrs.PutStr(keyRunPath, run.AppPath)
		if run.RunType == "LLM" {
			attrs.PutStr(keyOperation, "chat")
			attrs.PutStr(keyRequestModel, run.Extra.Invocation.Model)
			attrs.PutInt(keyInputTokens, run.PromptTokens)
			attrs.PutInt(keyOutputTokens, run.CompletionTokens)
			if run.TotalCost != nil {
				attrs.PutDouble(keyUsageCost, *run.TotalCost)
			}
			if run.Extra.Invocation.Temperature != nil {
				attrs.PutDouble(keyRequestTemperature, *run.Extra.Invocation.Temperature)
			}
		}
		if run.ThreadID != nil {
			attrs.PutStr(keyConversationID, *run.ThreadID)
		}
		tags := attrs.PutEmptySlice(keyTags)
		for _, tag := range run.Tags {
			tags.AppendEmpty().SetStr(tag)
		}
	}
	return traces
}
