package langsmith

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith/langsmithtest"
)

const (
	runID     = "01a19b8a-d940-732f-8b12-24083fd22f89"
	traceID   = "01a19b8a-d7cd-78b4-a652-e44da7f29e26"
	middleID  = "01a19b8a-d7d1-7e27-9365-50a4a3a65c0c"
	projectID = "6f03675a-1600-435a-8999-50d836f675cc"
)

func mustUUID(t testing.TB, s string) UUID {
	u, err := ParseUUID(s)
	require.NoError(t, err)
	return u
}

func mustTime(t testing.TB, s string) Time {
	v, ok := ParseTime(s)
	require.True(t, ok, s)
	return v
}

// clone copies a run out of the page's buffer.
func clone(r *Run) Run {
	c := *r
	c.index = nil
	for _, p := range []*Text{&c.Name, &c.RunTypeText, &c.StatusText, &c.DottedOrder, &c.ThreadID, &c.AppPath, &c.Error, &c.ErrorPreview, &c.ToolCallID, &c.InputsPreview, &c.OutputsPreview, &c.InputsURL, &c.OutputsURL} {
		*p = bytes.Clone(*p)
	}
	for _, p := range []*Raw{&c.PromptTokenDetails, &c.CompletionTokenDetails, &c.PromptCostDetails, &c.CompletionCostDetails, &c.InvocationParams, &c.Runtime, &c.Tags, &c.Inputs, &c.Outputs, &c.Events, &c.Serialized} {
		*p = bytes.Clone(*p)
	}
	c.Metadata = nil
	for _, m := range r.Metadata {
		c.Metadata = append(c.Metadata, Member{Key: bytes.Clone(m.Key), Value: bytes.Clone(m.Value)})
	}
	return c
}

func decodePage(t testing.TB, d *Decoder, page string) ([]Run, Page) {
	t.Helper()
	var runs []Run
	got, err := d.Decode(strings.NewReader(page), func(r *Run) error {
		runs = append(runs, clone(r))
		return nil
	})
	require.NoError(t, err)
	require.Len(t, runs, got.Runs)
	require.EqualValues(t, len(page), got.Bytes)
	return runs, got
}

// decodeOne reads a run with the given members besides its id.
func decodeOne(t testing.TB, members string) Run {
	t.Helper()
	if members != "" {
		members = "," + members
	}
	runs, page := decodePage(t, NewDecoder(0), `{"runs":[{"id":"`+runID+`"`+members+`}]}`)
	require.Empty(t, page.Skipped)
	require.Len(t, runs, 1)
	return runs[0]
}

func TestDecodeV1(t *testing.T) {
	order := "20261102T091530125043Z" + traceID + ".20261102T091530496249Z" + runID
	runs, page := decodePage(t, NewDecoder(0), `{"runs":[
 {"id":"`+runID+`","trace_id":"`+traceID+`","parent_run_id":"`+traceID+`","parent_run_ids":["`+traceID+`"],"dotted_order":"`+order+`",
 "name":"Chat\"OpenAI","run_type":"llm","status":"success","session_id":"`+projectID+`","start_time":"2026-11-02T09:15:30.496249","end_time":"2026-11-02T09:15:31.880102","first_token_time":"2026-11-02T09:15:31.002000","error":null,
 "inputs":{"messages":[["{\"x\":1}"]]},"outputs":{"generations":[[{"text":""}]]},"inputs_preview":"in","outputs_preview":"out",
 "extra":{"invocation_params":{"model":"gpt-4.1-mini","stop":null},"options":{"stop":null},"metadata":{"ls_provider":"openai","ls_temperature":0.2,"usage_metadata":{"input_tokens":412}},"runtime":{"sdk":"langsmith-py"},"tool_call_id":"call_9f2"},
 "serialized":{"lc":1},"events":[{"name":"start","time":"2026-11-02T09:15:30.496249+00:00"}],"tags":["seq:step:1"],
 "total_tokens":470,"prompt_tokens":412,"completion_tokens":58,"prompt_token_details":{"cache_read":128},"completion_token_details":{"reasoning":0},
 "total_cost":"0.0002192","prompt_cost":"0.0001264","completion_cost":"0.0000928","prompt_cost_details":{"cache_read":"0.0000128"},"completion_cost_details":null,
 "reference_example_id":"`+middleID+`","thread_id":"conv-7781","app_path":"/o/1/r/2","inputs_s3_urls":{"ROOT":{"presigned_url":"/blob?a=1\u0026b=2"}},"outputs_s3_urls":null,"future":{"a":[1,2]}}
 ],"cursors":{"next":"c\u0031","prev":null},"search_cursors":null,"parsed_query":null} `)
	assert.Equal(t, "c1", page.NextCursor)
	require.Len(t, runs, 1)
	assert.Equal(t, Run{
		ID: mustUUID(t, runID), TraceID: mustUUID(t, traceID), ParentID: mustUUID(t, traceID), ProjectID: mustUUID(t, projectID),
		ReferenceExampleID: mustUUID(t, middleID),
		Name:               Text(`Chat\"OpenAI`), RunType: RunTypeLLM, RunTypeText: Text("llm"), Status: StatusSuccess, StatusText: Text("success"),
		Start: mustTime(t, "2026-11-02T09:15:30.496249Z"), End: mustTime(t, "2026-11-02T09:15:31.880102Z"), FirstToken: mustTime(t, "2026-11-02T09:15:31.002Z"),
		DottedOrder: Text(order), ThreadID: Text("conv-7781"), AppPath: Text("/o/1/r/2"),
		PromptTokens: Count{412, true}, CompletionTokens: Count{58, true}, TotalTokens: Count{470, true},
		PromptCost: Number{0.0001264, true}, CompletionCost: Number{0.0000928, true}, TotalCost: Number{0.0002192, true},
		PromptTokenDetails: Raw(`{"cache_read":128}`), CompletionTokenDetails: Raw(`{"reasoning":0}`), PromptCostDetails: Raw(`{"cache_read":"0.0000128"}`),
		Metadata: []Member{
			{Text("ls_provider"), Raw(`"openai"`)}, {Text("ls_temperature"), Raw(`0.2`)}, {Text("usage_metadata"), Raw(`{"input_tokens":412}`)},
		},
		InvocationParams: Raw(`{"model":"gpt-4.1-mini","stop":null}`), Runtime: Raw(`{"sdk":"langsmith-py"}`), ToolCallID: Text("call_9f2"),
		Tags: Raw(`["seq:step:1"]`), Inputs: Raw(`{"messages":[["{\"x\":1}"]]}`), Outputs: Raw(`{"generations":[[{"text":""}]]}`),
		InputsPreview: Text("in"), OutputsPreview: Text("out"), Events: Raw(`[{"name":"start","time":"2026-11-02T09:15:30.496249+00:00"}]`),
		Serialized: Raw(`{"lc":1}`), InputsURL: Text(`/blob?a=1\u0026b=2`),
	}, runs[0])
	assert.True(t, runs[0].Meta("ls_provider").Text().Equal("openai"))
	assert.Nil(t, runs[0].Meta("nope"))
}

func TestDecodeV2(t *testing.T) {
	runs, page := decodePage(t, NewDecoder(0), `{"next_cursor":null,"items":[{"id":"`+runID+`","name":"ChatOpenAI","run_type":"LLM","status":"SUCCESS","start_time":"2026-11-02T09:15:32.625043Z","end_time":"2026-11-02T09:15:34.018Z","latency_seconds":1.392957,
 "project_id":"`+projectID+`","trace_id":"`+traceID+`","parent_run_ids":["`+traceID+`","`+middleID+`"],"is_root":false,"thread_id":"conv-7781",
 "metadata":{"ls_provider":"openai"},"extra":{"metadata":{"ls_provider":"older","more":1},"runtime":{"sdk":"langsmith-py"}},
 "manifest":{"lc":1},"error":null,"error_preview":"boom","prompt_tokens":300,"prompt_token_details":{"raw":{"cache_read":256}},"prompt_cost":0.0000432,"prompt_cost_details":{"raw":{"cache_read":0.0000256}},"completion_cost_details":{"raw":{}},"completion_token_details":{"raw":null}}]}`)
	assert.Empty(t, page.NextCursor)
	require.Len(t, runs, 1)
	assert.Equal(t, Run{
		ID: mustUUID(t, runID), TraceID: mustUUID(t, traceID), ParentID: mustUUID(t, middleID), ProjectID: mustUUID(t, projectID),
		Name: Text("ChatOpenAI"), RunType: RunTypeLLM, RunTypeText: Text("LLM"), Status: StatusSuccess, StatusText: Text("SUCCESS"),
		Start: mustTime(t, "2026-11-02T09:15:32.625043Z"), End: mustTime(t, "2026-11-02T09:15:34.018Z"), LatencySeconds: Number{1.392957, true},
		ThreadID: Text("conv-7781"), ErrorPreview: Text("boom"), PromptTokens: Count{300, true}, PromptCost: Number{0.0000432, true},
		PromptTokenDetails: Raw(`{"cache_read":256}`), PromptCostDetails: Raw(`{"cache_read":0.0000256}`), CompletionCostDetails: Raw(`{}`),
		Metadata: []Member{{Text("ls_provider"), Raw(`"openai"`)}}, Runtime: Raw(`{"sdk":"langsmith-py"}`), Serialized: Raw(`{"lc":1}`),
	}, runs[0])
}

func TestDecodeMetadataFallsBack(t *testing.T) {
	want := []Member{{Text("a"), Raw("1")}}
	assert.Equal(t, want, decodeOne(t, `"metadata":null,"extra":{"metadata":{"a":1}}`).Metadata)
	assert.Equal(t, want, decodeOne(t, `"extra":{"metadata":{"a":1}},"metadata":null`).Metadata)
	assert.Equal(t, want, decodeOne(t, `"extra":{"metadata":{"a":1}}`).Metadata)
	assert.Equal(t, want, decodeOne(t, `"extra":{"metadata":{"b":1}},"metadata":{"a":1}`).Metadata)
	assert.Empty(t, decodeOne(t, `"extra":{"metadata":{"b":1}},"metadata":{}`).Metadata)
	assert.Empty(t, decodeOne(t, `"extra":{"metadata":"x","invocation_params":[],"runtime":1,"tool_call_id":2},"metadata":[1]`).Metadata)
	assert.Empty(t, decodeOne(t, `"extra":"x"`).Metadata)
	assert.Empty(t, decodeOne(t, `"extra":{}`).Metadata)
}

// A run must not inherit anything of the one before it.
func TestDecodeResets(t *testing.T) {
	runs, _ := decodePage(t, NewDecoder(0), `{"runs":[{"id":"`+runID+`","metadata":{"a":1},"extra":{"metadata":{"b":2},"runtime":{}},"name":"x","end_time":"2026-11-02T09:15:30","parent_run_id":"`+traceID+`"},{"id":"`+middleID+`"},{"id":"`+middleID+`","extra":{}}]}`)
	require.Len(t, runs, 3)
	assert.Equal(t, Run{ID: mustUUID(t, middleID)}, runs[1])
	assert.Equal(t, Run{ID: mustUUID(t, middleID)}, runs[2])
}

func TestDecodeTimes(t *testing.T) {
	for text, want := range map[string]string{
		`"2026-11-02T09:15:30.125043"`: "2026-11-02T09:15:30.125043Z", `"2026-11-02T09:15:30.5+02:00"`: "2026-11-02T07:15:30.5Z",
		`1793610930125`: "2026-11-02T09:15:30.125Z", `"1793610930125"`: "2026-11-02T09:15:30.125Z",
	} {
		r := decodeOne(t, `"start_time":`+text)
		assert.Equal(t, mustTime(t, want), r.Start, text)
	}
	for _, text := range []string{`null`, `""`, `"soon"`, `"0001-01-01T00:00:00Z"`, `true`, `{}`, `[]`, `-1`, `"9999-12-31T23:59:59Z"`} {
		assert.Zero(t, decodeOne(t, `"end_time":`+text).End, text)
	}
}

func TestDecodeNumbers(t *testing.T) {
	for _, text := range []string{`0.25`, `"0.25"`, `"2.5e-1"`, `{"raw":0.25}`, `{"raw":"0.25"}`} {
		assert.Equal(t, Number{0.25, true}, decodeOne(t, `"total_cost":`+text).TotalCost, text)
	}
	for _, text := range []string{`12`, `"12"`, `12.0`, `{"raw":12}`} {
		assert.Equal(t, Count{12, true}, decodeOne(t, `"total_tokens":`+text).TotalTokens, text)
	}
	for _, text := range []string{`null`, `""`, `"x"`, `true`, `[]`, `{}`, `"NaN"`, `"Infinity"`} {
		assert.Equal(t, Number{}, decodeOne(t, `"total_cost":`+text).TotalCost, text)
		assert.Equal(t, Count{}, decodeOne(t, `"total_tokens":`+text).TotalTokens, text)
	}
	for _, text := range []string{`null`, `[]`, `"x"`, `{"raw":null}`} {
		assert.Nil(t, decodeOne(t, `"prompt_token_details":`+text).PromptTokenDetails, text)
	}
	// A kind of token that is called raw is no wrapper.
	assert.Equal(t, Raw(`{"raw":5}`), decodeOne(t, `"prompt_token_details":{"raw":5}`).PromptTokenDetails)
}

func TestDecodeEnums(t *testing.T) {
	for text, want := range map[string]Status{
		`null`: StatusUnknown, `""`: StatusUnknown, `1`: StatusUnknown, `"pending"`: StatusPending, `"PENDING"`: StatusPending, `"Success"`: StatusSuccess,
		`"ERROR"`: StatusError, `"interrupted"`: StatusInterrupted, `"paused"`: StatusOther, `"a status longer than any known"`: StatusOther,
	} {
		assert.Equal(t, want, decodeOne(t, `"status":`+text).Status, text)
	}
	for text, want := range map[string]RunType{
		`null`: RunTypeUnknown, `"llm"`: RunTypeLLM, `"LLM"`: RunTypeLLM, `"chain"`: RunTypeChain, `"TOOL"`: RunTypeTool, `"retriever"`: RunTypeRetriever,
		`"EMBEDDING"`: RunTypeEmbedding, `"prompt"`: RunTypePrompt, `"PARSER"`: RunTypeParser, `"agent"`: RunTypeOther,
	} {
		assert.Equal(t, want, decodeOne(t, `"run_type":`+text).RunType, text)
	}
	assert.Equal(t, Text("Paused"), decodeOne(t, `"status":"Paused"`).StatusText)
	assert.False(t, func() bool { r := decodeOne(t, `"status":"paused"`); return r.Finished() }())
}

func TestDecodeThreadID(t *testing.T) {
	assert.Equal(t, Text("user 7"), decodeOne(t, `"thread_id":"user 7"`).ThreadID)
	assert.Equal(t, Text("42"), decodeOne(t, `"thread_id":42`).ThreadID)
	assert.Empty(t, decodeOne(t, `"thread_id":null`).ThreadID)
	assert.Empty(t, decodeOne(t, `"thread_id":{}`).ThreadID)
}

func TestDecodeIdentity(t *testing.T) {
	segments := []string{"20261102T091530125043Z" + traceID, "20261102T091530129155Z" + middleID, "20261102T091530496249Z" + runID}
	order := strings.Join(segments, ".")
	run, trace, middle := mustUUID(t, runID), mustUUID(t, traceID), mustUUID(t, middleID)
	for _, c := range []struct {
		name, members string
		trace, parent UUID
	}{
		{"parent_run_id first", `"trace_id":"` + traceID + `","parent_run_ids":["` + traceID + `"],"parent_run_id":"` + middleID + `"`, trace, middle},
		{"last of parent_run_ids", `"trace_id":"` + traceID + `","parent_run_id":null,"parent_run_ids":["` + traceID + `","` + middleID + `"]`, trace, middle},
		{"dotted order", `"dotted_order":"` + order + `"`, trace, middle},
		{"dotted order with a dot at its end", `"dotted_order":"` + order + `."`, trace, middle},
		{"dotted order without dashes", `"dotted_order":"` + strings.ReplaceAll(order, "-", "") + `"`, trace, middle},
		{"two segments", `"dotted_order":"` + segments[0] + "." + segments[2] + `"`, trace, trace},
		{"root by dotted order", `"dotted_order":"` + segments[2] + `"`, run, UUID{}},
		{"root by parent_run_ids", `"parent_run_ids":[]`, run, UUID{}},
		{"root by null", `"parent_run_id":null`, run, UUID{}},
		{"nothing known", ``, UUID{}, UUID{}},
		{"its own parent", `"trace_id":"` + traceID + `","parent_run_id":"` + runID + `"`, trace, UUID{}},
		{"garbage", `"trace_id":7,"parent_run_id":"x","parent_run_ids":["y"],"dotted_order":"..Z.Zx."`, UUID{}, UUID{}},
	} {
		r := decodeOne(t, c.members)
		assert.Equal(t, c.parent, r.ParentID, c.name)
		if c.name != "garbage" {
			assert.Equal(t, c.trace, r.TraceID, c.name)
		}
	}
	assert.Equal(t, mustTime(t, "2026-11-02T09:15:30.496249Z"), decodeOne(t, `"dotted_order":"`+order+`"`).Start)
	assert.Equal(t, mustTime(t, "2026-11-02T09:15:30.125Z"), decodeOne(t, `"dotted_order":"20261102T091530125Z`+runID+`"`).Start)
}

func TestDecodeCursors(t *testing.T) {
	for page, want := range map[string]string{
		`{"runs":[],"cursors":{"next":"a","prev":"b"}}`: "a", `{"cursors":{"next":"a"},"runs":[]}`: "a", `{"runs":[],"cursors":{"next":null}}`: "",
		`{"runs":[],"cursors":null}`: "", `{"runs":[]}`: "", `{"runs":[],"cursors":{}}`: "", `{"items":[],"next_cursor":"a"}`: "a",
		`{"next_cursor":"a","items":[]}`: "a", `{"items":[],"next_cursor":""}`: "", `{"items":[],"next_cursor":null,"has_more":true}`: "",
		`{"items":null}`: "", `{"items":[],"count":12}`: "",
	} {
		_, got := decodePage(t, NewDecoder(0), page)
		assert.Equal(t, want, got.NextCursor, page)
	}
}

func TestDecodeNoPage(t *testing.T) {
	for text, want := range map[string]error{
		``: errTruncated, ` `: errTruncated, `[]`: errNotPage, `<html>`: errNotPage, `"x"`: errNotPage, `{"detail":"x"}`: errNotPage, `{}`: errNotPage,
		`{"runs":{}}`: errNotPage, `{"runs":[`: errTruncated, `{"runs":[]`: errTruncated, `{"runs":[{"id":"` + runID: errTruncated,
		`{"runs":[{"id":"` + runID + `"}`: errTruncated, `{"runs":[]} x`: errSyntax, `{"runs":[];}`: errSyntax, `{"runs" []}`: errSyntax,
		`{runs:[]}`: errSyntax, `{"runs":[],"x":tru}`: errSyntax, `{"runs":[{}{}]}`: errSyntax, `{"runs":[],}`: errSyntax, `{,"runs":[]}`: errSyntax,
		`{"runs":[],"x":12`: errTruncated, `{"runs":[{"id":"` + runID + `"},`: errTruncated,
	} {
		_, err := NewDecoder(0).Decode(strings.NewReader(text), func(*Run) error { return nil })
		assert.ErrorIs(t, err, want, text)
	}
}

// A run that cannot be read costs that run only.
func TestDecodeHostileRuns(t *testing.T) {
	good := func(n int) string { return fmt.Sprintf(`{"id":"00000000-0000-0000-0000-%012d","name":"good"}`, n) }
	bad := `{"id":"` + runID + `","name":`
	for text, reason := range map[string]string{
		bad + `tru}`: SkipMalformed, bad + `NaN}`: SkipMalformed, bad + `"a\x"}`: SkipMalformed, bad + `"a` + "\n" + `b}"}`: SkipMalformed,
		bad + `"\u12g4"}`: SkipMalformed, bad + `01}`: SkipMalformed, bad + `1.}`: SkipMalformed, bad + `-}`: SkipMalformed, bad + `1e}`: SkipMalformed,
		bad + `[1,]}`: SkipMalformed, bad + `{"a":1,}}`: SkipMalformed, bad + `{"a" 1}}`: SkipMalformed, bad + `{a:1}}`: SkipMalformed,
		bad + `"x",}`: SkipMalformed, bad + `[1}`: SkipMalformed, bad + "\"\x00\"}": SkipMalformed, bad + "\xff}": SkipMalformed,
		bad + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + "}": SkipTooDeep,
		`{"name":"x"}`: SkipNoID, `{"id":null}`: SkipNoID, `{"id":7}`: SkipNoID, `{"id":"x"}`: SkipNoID, `{}`: SkipNoID,
		`null`: SkipMalformed, `7`: SkipMalformed, `"x"`: SkipMalformed, `[{"id":1}]`: SkipMalformed, `NaN`: SkipMalformed,
	} {
		runs, page := decodePage(t, NewDecoder(0), `{"runs":[`+good(1)+","+text+","+good(2)+`],"cursors":{"next":"c"}}`)
		if assert.Len(t, runs, 2, text) {
			assert.Equal(t, "00000000-0000-0000-0000-000000000001", runs[0].ID.String())
			assert.Equal(t, "00000000-0000-0000-0000-000000000002", runs[1].ID.String())
		}
		if assert.Len(t, page.Skipped, 1, text) {
			want := Skip{Reason: reason, Count: 1}
			if strings.HasPrefix(text, bad) {
				want.ID = mustUUID(t, runID)
			}
			assert.Equal(t, want, page.Skipped[0], text)
		}
		assert.Equal(t, "c", page.NextCursor, text)
	}
	deep := bad + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + "}"
	_, page := decodePage(t, NewDecoder(0), `{"runs":[`+deep+`]}`)
	assert.Equal(t, 1, page.Runs)
}

func TestDecodeRepairsUTF8(t *testing.T) {
	runs, page := decodePage(t, NewDecoder(0), `{"runs":[{"id":"`+runID+`","name":"a`+"\xff\xe4"+`b","inputs":{"x":"`+"\xed\xa0\x80"+`"}},{"id":"`+middleID+`","name":"é"}]}`)
	require.Len(t, runs, 2)
	assert.Empty(t, page.Skipped)
	assert.Equal(t, 1, page.Repaired)
	assert.Equal(t, "a\ufffdb", runs[0].Name.String())
	assert.Equal(t, "{\"x\":\"\ufffd\"}", string(runs[0].Inputs))
	assert.Equal(t, "é", runs[1].Name.String())
}

func TestDecodeLargeRuns(t *testing.T) {
	large := func(n int) string {
		return `{"id":"` + runID + `","inputs":{"x":"` + strings.Repeat(`}{\"`, n/4) + `"}}`
	}
	page := `{"runs":[{"id":"` + middleID + `"},` + large(3<<20) + `,{"id":"` + traceID + `"}],"cursors":{"next":"c"}}`
	runs, got := decodePage(t, NewDecoder(0), page)
	require.Len(t, runs, 3)
	assert.Equal(t, large(3 << 20)[len(`{"id":"`+runID+`","inputs":`):], string(runs[1].Inputs)+"}")
	assert.Empty(t, got.Skipped)

	for _, size := range []int{2000, 3 << 20, 20 << 20} {
		d := NewDecoder(1000)
		runs, got = decodePage(t, d, `{"runs":[{"id":"`+middleID+`"},`+large(size)+`,{"id":"`+traceID+`"}],"cursors":{"next":"c"}}`)
		require.Len(t, runs, 2, size)
		assert.Equal(t, []Skip{{SkipTooLarge, mustUUID(t, runID), 1}}, got.Skipped)
		assert.Equal(t, "c", got.NextCursor)
		assert.LessOrEqual(t, len(d.buf), 2*firstBuffer, "memory is bounded by the limit, not by the run")
	}

	d := NewDecoder(0)
	decodePage(t, d, `{"runs":[`+large(2*keptBuffer)+`]}`)
	assert.Len(t, d.buf, firstBuffer, "a huge buffer is not kept")
	runs, _ = decodePage(t, d, page)
	assert.Len(t, runs, 3)
}

// A page of any length is read in the same memory.
func TestDecodeLongPage(t *testing.T) {
	whole := langsmithtest.Page("5k", 3, 100)
	begin, end := bytes.IndexByte(whole, '[')+1, bytes.LastIndex(whole, []byte(`],"cursors"`))
	runs := append(bytes.Clone(whole[begin:end]), ',')
	parts := []io.Reader{bytes.NewReader(whole[:begin])}
	for range 50 {
		parts = append(parts, bytes.NewReader(runs))
	}
	parts = append(parts, bytes.NewReader(whole[begin:]))
	d := NewDecoder(0)
	page, err := d.Decode(io.MultiReader(parts...), func(*Run) error { return nil })
	require.NoError(t, err)
	assert.Equal(t, 5100, page.Runs)
	assert.Greater(t, page.Bytes, int64(25<<20))
	assert.Len(t, d.buf, firstBuffer)
}

// However the bytes arrive, the runs are the same.
func TestDecodeInPieces(t *testing.T) {
	for _, class := range []string{"5k", "esc"} {
		for _, page := range [][]byte{langsmithtest.Page(class, 5, 30), langsmithtest.PageV2(class, 5, 30)} {
			want, _ := decodePage(t, NewDecoder(0), string(page))
			for size := firstBuffer / 8; size > 64; size = size*2/3 - 1 {
				// A small buffer ends within runs at many places.
				d := NewDecoder(0)
				d.buf = make([]byte, size)
				var runs []Run
				_, err := d.Decode(iotest.HalfReader(bytes.NewReader(page)), func(r *Run) error {
					runs = append(runs, clone(r))
					return nil
				})
				require.NoError(t, err)
				require.Equal(t, want, runs)
			}
		}
	}
}

func TestDecodeReadErrors(t *testing.T) {
	broken := errors.New("broken")
	page := `{"runs":[{"id":"` + runID + `"}`
	n := 0
	got, err := NewDecoder(0).Decode(io.MultiReader(strings.NewReader(page), iotest.ErrReader(broken)), func(*Run) error { n++; return nil })
	require.ErrorIs(t, err, broken)
	assert.Equal(t, 1, n)
	assert.Equal(t, 1, got.Runs)
	// An error behind the page, such as a wrong checksum, counts too.
	_, err = NewDecoder(0).Decode(io.MultiReader(strings.NewReader(page+"]}"), iotest.ErrReader(broken)), func(*Run) error { return nil })
	require.ErrorIs(t, err, broken)

	stop := errors.New("stop")
	d := NewDecoder(0)
	got, err = d.Decode(strings.NewReader(page+`,{"id":"`+middleID+`"}]}`), func(*Run) error { return stop })
	require.ErrorIs(t, err, stop)
	assert.Equal(t, 1, got.Runs)
	runs, _ := decodePage(t, d, page+"]}")
	assert.Len(t, runs, 1, "usable after an error")
}

// The decoder agrees with encoding/json on the whole corpus.
func TestDecodeCorpus(t *testing.T) {
	for _, class := range langsmithtest.Classes {
		page := langsmithtest.Page(class, 11, 60)
		runs, got := decodePage(t, NewDecoder(0), string(page))
		require.Empty(t, got.Skipped)
		var want structPage
		require.NoError(t, json.Unmarshal(page, &want))
		require.Len(t, runs, len(want.Runs))
		for i, r := range runs {
			w := want.Runs[i]
			require.Equal(t, w.ID, r.ID.String())
			require.Equal(t, w.TraceID, r.TraceID.String())
			if w.ParentRunID != nil {
				require.Equal(t, *w.ParentRunID, r.ParentID.String())
			}
			require.Equal(t, w.Name, r.Name.String())
			require.Equal(t, w.StartTime, r.Start.AsTime().Format("2006-01-02T15:04:05.000000"))
			require.Equal(t, w.TotalTokens, r.TotalTokens.Value)
			require.Equal(t, string(w.Inputs), string(r.Inputs))
			if string(w.Outputs) != "null" {
				require.Equal(t, string(w.Outputs), string(r.Outputs))
			}
			require.Equal(t, string(w.Extra.InvocationParams), string(r.InvocationParams))
			require.Len(t, r.Metadata, len(w.Extra.Metadata))
			for _, m := range r.Metadata {
				require.Equal(t, string(w.Extra.Metadata[m.Key.String()]), string(m.Value))
			}
			if w.Error != nil {
				require.Equal(t, *w.Error, r.Error.String())
			}
		}
	}
}

// FuzzDecode holds the decoder against encoding/json: a run is yielded as it stands exactly when it is valid
// JSON in valid UTF-8 and an object with an id.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`"name":"x","extra":{"metadata":{"a":[1,{"b":null}]}},"tags":["a"],"total_cost":"1e-5"`))
	f.Add([]byte(`"name":"\ud83d\ude00\n","start_time":"2026-11-02T09:15:30.125043","dotted_order":"20261102T091530125043Z` + traceID + `"`))
	f.Add([]byte("\"name\":\"\xff\""))
	f.Add([]byte(`"a":-0.5e+10,"b":01`))
	f.Add([]byte(`"a":{"b":[[[[]]]]}}`))
	d := NewDecoder(0)
	f.Fuzz(func(t *testing.T, members []byte) {
		text := append(append([]byte(`{"id":"`+runID+`",`), members...), '}')
		page := append(append([]byte(`{"runs":[`), text...), []byte(`]}`)...)
		var runs []Run
		got, err := d.Decode(bytes.NewReader(page), func(r *Run) error {
			walk(t, r)
			runs = append(runs, clone(r))
			return nil
		})
		if !json.Valid(text) {
			// The fuzzer may close the run and open another, so only what is no JSON by itself is clear.
			if err == nil && len(got.Skipped) == 0 && !json.Valid(page) {
				t.Fatalf("accepted %q", page)
			}
			return
		}
		if strings.Contains(string(members), `"id"`) || strings.Contains(string(members), `\u`) {
			return
		}
		if len(got.Skipped) == 1 && got.Skipped[0].Reason == SkipTooDeep {
			return
		}
		require.NoError(t, err)
		require.Len(t, runs, 1)
		if got.Repaired == 0 != utf8.Valid(text) {
			t.Fatalf("UTF-8 of %q", text)
		}
	})
}

// walk reads everything of a run that others may read.
func walk(t *testing.T, r *Run) {
	for _, v := range []Raw{r.Inputs, r.Outputs, r.Tags, r.Events, r.Serialized, r.InvocationParams, r.Runtime, r.PromptTokenDetails} {
		if v != nil && (!json.Valid(v) || !utf8.Valid(v)) {
			t.Fatalf("invalid %q", v)
		}
	}
	for _, m := range r.Metadata {
		if !json.Valid(m.Value) || !utf8.Valid(m.Key) {
			t.Fatalf("invalid %q", m)
		}
	}
	for _, v := range []Text{r.Name, r.Error, r.ThreadID, r.DottedOrder} {
		if !utf8.Valid(v) || !json.Valid([]byte(`"`+string(v)+`"`)) {
			t.Fatalf("invalid %q", v)
		}
	}
	for range r.Tags.Elements { //nolint:revive // walking is the test
	}
	r.Inputs.Get("a", "b")
	_ = r.Start.AsTime().Add(time.Second)
}

// FuzzPage reads anything as a page, at once and in small pieces: the result must be the same.
func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"runs":[{"id":"` + runID + `","name":"x"},{"id":"` + runID + `","n":tru},7,NaN],"cursors":{"next":"a"}}`))
	f.Add([]byte(`{"next_cursor":"\u0061","items":[{"id":"` + runID + `","extra":{"metadata":{"a":1.5e3}}}],"x":12 } `))
	f.Add([]byte("{\"runs\":[{\"id\":\"" + runID + "\",\"name\":\"\xff\"}]}"))
	whole, pieces := NewDecoder(2000), NewDecoder(2000)
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(d *Decoder, r io.Reader) ([]Run, Page, error) {
			var runs []Run
			page, err := d.Decode(r, func(r *Run) error {
				walk(t, r)
				runs = append(runs, clone(r))
				return nil
			})
			return runs, page, err
		}
		runs, page, err := read(whole, bytes.NewReader(data))
		pieces.buf = make([]byte, 2*padding)
		runsInPieces, pageInPieces, errInPieces := read(pieces, iotest.OneByteReader(bytes.NewReader(data)))
		require.Equal(t, err, errInPieces)
		if err == nil {
			require.Equal(t, page, pageInPieces)
			require.EqualValues(t, len(data), page.Bytes)
		}
		require.Equal(t, runs, runsInPieces)
		if json.Valid(data) && utf8.Valid(data) && err != nil && !errors.Is(err, errNotPage) && !tooDeep(data) && len(data) < 2000 {
			t.Fatalf("%v for the valid page %q", err, data)
		}
	})
}

// TestDecodePauses holds that others get the processor while a page is read, even when there is only one: the garbage
// collector's worker would wait for it otherwise.
func TestDecodePauses(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	page := langsmithtest.Page("5k", 1, 200)
	turns := 0
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
				turns++
				runtime.Gosched()
			}
		}
	}()
	_, err := NewDecoder(0).Decode(bytes.NewReader(page), func(*Run) error { return nil })
	close(done)
	<-stopped
	require.NoError(t, err)
	require.GreaterOrEqual(t, turns, len(page)/pauseAfter/2)
}
