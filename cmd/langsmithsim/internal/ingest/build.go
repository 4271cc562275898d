package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/traffic"
)

// sent renders a run from the fields that were sent. It implements [store.Body].
type sent struct{ fields fields }

var partNames = map[store.Part]string{
	store.PartInputs: "inputs", store.PartOutputs: "outputs", store.PartExtra: "extra", store.PartEvents: "events",
	store.PartSerialized: "serialized", store.PartError: "error",
}

// Append implements [store.Body].
func (b *sent) Append(dst []byte, _ *store.Run, p store.Part, _ store.View) []byte {
	var v json.RawMessage
	switch p {
	case store.PartMetadata:
		v = get(b.fields["extra"], "metadata")
	case store.PartInputsPreview:
		v = preview(b.fields["inputs"])
	case store.PartOutputsPreview:
		v = preview(b.fields["outputs"])
	default:
		v = b.fields[partNames[p]]
	}
	if len(v) == 0 {
		return append(dst, "null"...)
	}
	return append(dst, bytes.ToValidUTF8(v, []byte("\ufffd"))...)
}

// preview is the first text of a value, cut short.
func preview(v json.RawMessage) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(v))
	key := false
	var stack []bool // whether each level is an object
	for {
		t, err := d.Token()
		if err != nil {
			return nil
		}
		switch t := t.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				stack = append(stack, t == '{')
				key = t == '{'
				continue
			default:
				stack = stack[:len(stack)-1]
			}
		case string:
			if key {
				key = false
				continue
			}
			if len(t) > 3 {
				runes := []rune(t)
				out, _ := json.Marshal(string(runes[:min(len(runes), 200)]))
				return out
			}
		}
		key = len(stack) > 0 && stack[len(stack)-1]
	}
}

// get walks into nested objects; nil when there is no such member or it is null.
func get(v json.RawMessage, keys ...string) json.RawMessage {
	for _, k := range keys {
		var m map[string]json.RawMessage
		if json.Unmarshal(v, &m) != nil {
			return nil
		}
		v = m[k]
	}
	if string(v) == "null" {
		return nil
	}
	return v
}

// text is a string or number as text; empty for anything else.
func text(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(v, &n) == nil {
		return n.String()
	}
	return ""
}

func (f fields) id(key string) (store.UUID, error) {
	id, err := store.ParseUUID(text(f[key]))
	if err != nil {
		return id, fmt.Errorf("%s: %w", key, err)
	}
	return id, nil
}

// timeOf reads a time: text with or without a zone, or milliseconds since the Unix epoch.
func timeOf(v json.RawMessage) int64 {
	var ms float64
	if json.Unmarshal(v, &ms) == nil && string(v) != "null" {
		return int64(ms * 1000)
	}
	s := text(v)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMicro()
		}
	}
	return 0
}

// build makes a run of the fields sent so far. It creates the run's project when there is none.
func build(f fields, st *store.Store, now int64) (*store.Run, error) {
	id, err := f.id("id")
	if err != nil {
		return nil, err
	}
	r := &store.Run{ID: id, Name: text(f["name"]), Type: strings.ToLower(text(f["run_type"])), Body: &sent{f}, Dotted: text(f["dotted_order"])}
	r.TraceID, _ = store.ParseUUID(text(f["trace_id"]))
	r.ParentID, _ = store.ParseUUID(text(f["parent_run_id"]))
	r.Example, _ = store.ParseUUID(text(f["reference_example_id"]))
	if r.Dotted != "" {
		above := r.Ancestors(nil)
		if r.ParentID.IsZero() && len(above) > 0 {
			r.ParentID = above[len(above)-1]
		}
		if r.TraceID.IsZero() && len(above) > 0 {
			r.TraceID = above[0]
		}
	}
	if r.TraceID.IsZero() {
		if !r.ParentID.IsZero() {
			return nil, errors.New("trace_id is missing")
		}
		r.TraceID = id
	}
	if r.Start = timeOf(f["start_time"]); r.Start == 0 {
		return nil, errors.New("start_time is missing or no time")
	}
	r.End = timeOf(f["end_time"])
	r.ProjectID = project(f, st, now)
	_ = json.Unmarshal(f["tags"], &r.Tags)

	failure := text(f["error"])
	r.Failed = failure != ""
	r.Status = strings.ToLower(text(f["status"]))
	if r.Status == "" {
		switch {
		case r.Failed:
			r.Status = "error"
		case r.End != 0:
			r.Status = "success"
		default:
			r.Status = "pending"
		}
	}
	metadata := get(f["extra"], "metadata")
	for _, k := range []string{"session_id", "conversation_id", "thread_id"} {
		if v := text(get(metadata, k)); v != "" {
			r.Thread = v
			break
		}
	}
	r.FirstToken = firstToken(f["events"])
	r.Truth = truth(f, r.Type, metadata, failure)
	if r.Usage = usage(f, r.Type, metadata); r.Usage != nil && !r.Usage.Priced {
		name := r.Truth.RequestModel
		if v := text(get(metadata, "ls_model_name")); v != "" {
			name = v
		}
		traffic.Price(name, r.Usage)
	}
	return r, nil
}

func project(f fields, st *store.Store, now int64) store.UUID {
	if id, err := f.id("session_id"); err == nil {
		if st.Project(id) == nil {
			st.AddProject(store.Project{ID: id, Name: id.String(), Created: now})
		}
		return id
	}
	name := text(f["session_name"])
	if name == "" {
		name = "default"
	}
	return projectNamed(name, st, now)
}

func firstToken(events json.RawMessage) int64 {
	var list []struct {
		Name string          `json:"name"`
		Time json.RawMessage `json:"time"`
	}
	_ = json.Unmarshal(events, &list)
	first := int64(0)
	for _, e := range list {
		if t := timeOf(e.Time); e.Name == "new_token" && t != 0 && (first == 0 || t < first) {
			first = t
		}
	}
	return first
}

var operations = map[string]string{"llm": "chat", "embedding": "embeddings", "retriever": "retrieval", "tool": "execute_tool"}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// truth derives what an observer should find out.
func truth(f fields, typ string, metadata json.RawMessage, failure string) *store.Truth {
	t := &store.Truth{Operation: operations[typ], Provider: traffic.Provider(text(get(metadata, "ls_provider")))}
	if typ == "llm" && (text(get(metadata, "ls_model_type")) == "llm" || get(f["inputs"], "prompts") != nil || get(f["inputs"], "prompt") != nil) {
		t.Operation = "text_completion"
	}
	params := get(f["extra"], "invocation_params")
	t.RequestModel = first(text(get(params, "model")), text(get(params, "model_name")), text(get(params, "model_id")), text(get(metadata, "ls_model_name")), text(get(f["inputs"], "model")))
	message := generation(f["outputs"])
	meta := get(message, "kwargs", "response_metadata")
	t.ResponseModel = first(text(get(meta, "model_name")), text(get(meta, "model")), text(get(f["outputs"], "model")))
	t.ErrorType = errorType(failure)
	return t
}

// generation is the message of LangChain's first generation.
func generation(outputs json.RawMessage) json.RawMessage {
	var list [][]struct {
		Message json.RawMessage `json:"message"`
	}
	_ = json.Unmarshal(get(outputs, "generations"), &list)
	if len(list) > 0 && len(list[0]) > 0 {
		return list[0][0].Message
	}
	return nil
}

var (
	leadingClass = regexp.MustCompile(`^([A-Za-z_][\w.]*)[(:]`)
	lineClass    = regexp.MustCompile(`(?m)^([A-Z]\w*(?:Error|Exception|Interrupt|Warning))(?::|$)`)
)

func errorType(s string) string {
	if s == "" {
		return ""
	}
	if m := leadingClass.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	if m := lineClass.FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return "_OTHER"
}

type usageMetadata struct {
	Input         *int64                 `json:"input_tokens"`
	Output        *int64                 `json:"output_tokens"`
	InputDetails  map[string]int64       `json:"input_token_details"`
	OutputDetails map[string]int64       `json:"output_token_details"`
	InputCost     json.Number            `json:"input_cost"`
	OutputCost    json.Number            `json:"output_cost"`
	TotalCost     json.Number            `json:"total_cost"`
	InputCosts    map[string]json.Number `json:"input_cost_details"`
	OutputCosts   map[string]json.Number `json:"output_cost_details"`
}

// usage finds what a run consumed. Runs other than model calls count only when they tell a cost of their own:
// chains repeat their children's tokens.
func usage(f fields, typ string, metadata json.RawMessage) *store.Usage {
	message := generation(f["outputs"])
	for _, v := range []json.RawMessage{
		get(metadata, "usage_metadata"), get(f["outputs"], "usage_metadata"), get(message, "kwargs", "usage_metadata"),
		get(f["outputs"], "message", "usage_metadata"), get(f["outputs"], "message", "kwargs", "usage_metadata"),
	} {
		var m usageMetadata
		if v == nil || json.Unmarshal(v, &m) != nil || m.Input == nil && m.Output == nil && m.TotalCost == "" {
			continue
		}
		if typ != "llm" && typ != "embedding" && m.TotalCost == "" {
			return nil
		}
		return m.usage()
	}
	if typ != "llm" {
		return nil
	}
	for _, v := range []json.RawMessage{get(f["outputs"], "llm_output", "token_usage"), get(f["outputs"], "llmOutput", "tokenUsage"), get(f["outputs"], "usage")} {
		input := first(text(get(v, "prompt_tokens")), text(get(v, "promptTokens")))
		output := first(text(get(v, "completion_tokens")), text(get(v, "completionTokens")))
		if input == "" && output == "" {
			continue
		}
		u := &store.Usage{}
		u.Input, _ = strconv.ParseInt(input, 10, 64)
		u.Output, _ = strconv.ParseInt(output, 10, 64)
		return u
	}
	return nil
}

func (m *usageMetadata) usage() *store.Usage {
	u := &store.Usage{}
	if m.Input != nil {
		u.Input = *m.Input
	}
	if m.Output != nil {
		u.Output = *m.Output
	}
	u.InputDetails = detailsOf(m.InputDetails, m.InputCosts)
	u.OutputDetails = detailsOf(m.OutputDetails, m.OutputCosts)
	in, okIn := store.ParseMoney(m.InputCost.String())
	out, okOut := store.ParseMoney(m.OutputCost.String())
	total, okTotal := store.ParseMoney(m.TotalCost.String())
	switch {
	case okIn || okOut:
		u.InputCost, u.OutputCost, u.Priced = in, out, true
	case okTotal:
		u.InputCost, u.Priced = total, true
	}
	return u
}

func detailsOf(tokens map[string]int64, costs map[string]json.Number) (out []store.Detail) {
	for _, k := range sortedKeys(tokens) {
		d := store.Detail{Key: k, Tokens: tokens[k]}
		d.Cost, _ = store.ParseMoney(costs[k].String())
		out = append(out, d)
	}
	return out
}
