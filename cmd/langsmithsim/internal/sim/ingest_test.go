package sim

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/traffic"
)

const (
	rootID  = "01a19b8a-d7cd-78b4-a652-e44da7f29e26"
	childID = "01a19b8a-d940-732f-8b12-24083fd22f89"
	innerID = "01a19b8a-e191-7504-990e-945de2e8e781"

	rootOrder  = "20261102T120000000001Z" + rootID
	childOrder = rootOrder + ".20261102T120000000002Z" + childID
)

func empty(t *testing.T) *bench {
	return start(t, func(c *Config) { c.History = traffic.History{}; c.Rate = 0 })
}

func (b *bench) run(id string) object {
	b.Helper()
	var r object
	b.ok("GET", "/api/v1/runs/"+id, "", &r)
	return r
}

type part struct{ name, body string }

func form(t *testing.T, parts ...part) (body []byte, contentType string) {
	t.Helper()
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q`, p.name))
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", fmt.Sprint(len(p.body)))
		out, err := w.CreatePart(h)
		require.NoError(t, err)
		_, err = out.Write([]byte(p.body))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return buf.Bytes(), w.FormDataContentType()
}

var multipartRun = []part{
	{"post." + rootID, `{"trace_id":"` + rootID + `","dotted_order":"` + rootOrder + `","name":"agent","run_type":"chain","start_time":"2026-11-02T12:00:00.000001","session_name":"mine","tags":["a"]}`},
	{"post." + rootID + ".inputs", `{"question":"Is \"K-210\" in stock?"}`},
	{"post." + rootID + ".extra", `{"metadata":{"thread_id":7781}}`},
	{"post." + childID, `{"id":"` + childID + `","trace_id":"` + rootID + `","parent_run_id":"` + rootID + `","dotted_order":"` + childOrder + `","name":"ChatOpenAI","run_type":"llm","start_time":1793620800000,"end_time":1793620801500,"session_name":"mine"}`},
	{"post." + childID + ".outputs", `{"generations":[[{"text":"x","message":{"lc":1,"kwargs":{"response_metadata":{"model_name":"gpt-4.1-mini-2025-04-14"},"usage_metadata":{"input_tokens":1000,"output_tokens":100,"total_tokens":1100,"input_token_details":{"cache_read":400}}}}}]]}`},
	{"post." + childID + ".extra", `{"metadata":{"ls_provider":"openai","ls_model_name":"gpt-4.1-mini"},"invocation_params":{"model":"gpt-4.1-mini"}}`},
	{"post." + childID + ".events", `[{"name":"start","time":"2026-11-02T12:00:00Z"},{"name":"new_token","time":"2026-11-02T12:00:00.5Z"},{"name":"new_token","time":"2026-11-02T12:00:00.9Z"}]`},
	{"attachment." + childID + ".picture", "not JSON"},
	{"feedback.0a", `{"key":"helpful","run_id":"` + rootID + `","trace_id":"` + rootID + `","score":1}`},
}

func TestMultipart(t *testing.T) {
	for _, encoding := range []string{"", "gzip", "zstd"} {
		t.Run("encoding "+encoding, func(t *testing.T) {
			b := empty(t)
			body, contentType := form(t, multipartRun...)
			var packed bytes.Buffer
			switch encoding {
			case "gzip":
				z := gzip.NewWriter(&packed)
				_, _ = z.Write(body)
				require.NoError(t, z.Close())
				body = packed.Bytes()
			case "zstd":
				z, err := zstd.NewWriter(&packed)
				require.NoError(t, err)
				_, _ = z.Write(body)
				require.NoError(t, z.Close())
				body = packed.Bytes()
			}
			resp := b.do("POST", "/runs/multipart", string(body), "Content-Type", contentType, "Content-Encoding", encoding)
			require.Equal(t, 202, resp.StatusCode)
			b.refused(404, "GET", "/api/v1/runs/"+rootID, "") // the queue holds it
			b.advance(time.Second)
			root := b.run(rootID)
			assert.Equal(t, "pending", root["status"])
			assert.Equal(t, "7781", root["thread_id"])
			assert.Equal(t, object{"question": `Is "K-210" in stock?`}, root["inputs"])
			assert.Equal(t, b.project("mine"), root["session_id"])
			child := b.run(childID)
			assert.Equal(t, "success", child["status"])
			assert.Equal(t, "2026-11-02T12:00:01.500000", child["end_time"])
			assert.Equal(t, "2026-11-02T12:00:00.500000", child["first_token_time"])
			assert.Equal(t, rootID, child["parent_run_id"])
			assert.Equal(t, float64(0), child["total_tokens"], "tokens come later")
			b.advance(time.Second)
			child = b.run(childID)
			assert.Equal(t, float64(1100), child["total_tokens"])
			assert.Equal(t, "0.00028", child["prompt_cost"], "600 tokens at 0.40 and 400 at 0.10 USD per million")
			assert.Equal(t, "0.00016", child["completion_cost"])

			b.ok("PATCH", "/runs/"+rootID, `{"end_time":"2026-11-02T12:00:02.000001Z","outputs":{"answer":"yes"},"error":null}`, nil)
			b.advance(time.Second)
			root = b.run(rootID)
			assert.Equal(t, "success", root["status"])
			assert.Equal(t, object{"answer": "yes"}, root["outputs"])
			assert.Equal(t, float64(1100), root["total_tokens"], "the sum of the subtree")
			assert.Contains(t, root["feedback_stats"], "helpful")
			totals := b.Totals()
			var op *OpTotal
			for _, o := range totals.Operations {
				op = o
			}
			require.NotNil(t, op)
			assert.Equal(t, []any{"chat", "openai", "gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", 1, int64(1000), int64(400), "0.00044"},
				[]any{op.Operation, op.Provider, op.RequestModel, op.ResponseModel, op.Calls, op.Input, op.CacheRead, op.Cost})
		})
	}
}

func TestBatch(t *testing.T) {
	b := empty(t)
	run := `{"id":"` + rootID + `","name":"f","run_type":"tool","start_time":"2026-11-02T12:00:00Z","trace_id":"` + rootID + `","dotted_order":"` + rootOrder + `"}`
	// A change may come before the run itself.
	b.ok("POST", "/api/v1/runs/batch", `{"patch":[{"id":"`+rootID+`","end_time":"2026-11-02T12:00:01Z","error":"boom\n\nRangeError: boom\n    at f"}]}`, nil)
	b.ok("POST", "/api/runs/batch", `{"post":[`+run+`]}`, nil)
	b.advance(2 * time.Second)
	r := b.run(rootID)
	assert.Equal(t, "error", r["status"])
	assert.Equal(t, b.project("default"), r["session_id"], "without a name the project is called default")
	assert.Equal(t, "RangeError", b.Totals().Operations[0].errorNames()[0])
	assert.Contains(t, b.refused(409, "POST", "/runs", run), "taken")
	b.refused(409, "POST", "/runs/batch", `{"post":[`+run+`]}`)
	b.refused(422, "POST", "/runs/batch", `{"post":[{"id":"x"}]}`)
	b.refused(422, "POST", "/runs/batch", `{`)
	b.refused(422, "POST", "/runs", `{"id":"`+childID+`","name":"no start"}`)
	b.refused(400, "POST", "/runs/multipart", `x`)
	b.refused(422, "POST", "/runs/multipart", `x`, "Content-Type", "multipart/form-data; boundary=b")
}

func (t *OpTotal) errorNames() (out []string) {
	for k := range t.Errors {
		out = append(out, k)
	}
	return append(out, "")
}

func TestNestedCallsFromAnSDKCountOnce(t *testing.T) {
	b := empty(t)
	llm := func(id, order, usage string) string {
		return `{"id":"` + id + `","name":"m","run_type":"llm","trace_id":"` + rootID + `","dotted_order":"` + order + `","start_time":"2026-11-02T12:00:00Z","end_time":"2026-11-02T12:00:01Z","outputs":{"usage_metadata":` + usage + `}}`
	}
	b.ok("POST", "/runs/batch", `{"post":[`+llm(rootID, rootOrder, `{"input_tokens":5,"output_tokens":2,"total_tokens":7}`)+`,`+
		llm(innerID, rootOrder+".20261102T120000000003Z"+innerID, `{"input_tokens":5,"output_tokens":2,"total_tokens":7}`)+`]}`, nil)
	b.advance(3 * time.Second)
	var p *ProjectTotal
	for _, x := range b.Totals().Projects {
		if x.Name == "default" {
			p = x
		}
	}
	require.NotNil(t, p)
	assert.Equal(t, []int{1, 1, 2}, []int{p.Calls, p.OuterCalls, p.Finished})
	assert.Equal(t, int64(5), p.Input)
}

func TestFeedbackLife(t *testing.T) {
	b := empty(t)
	b.ok("POST", "/runs", `{"id":"`+rootID+`","name":"f","run_type":"chain","start_time":"2026-11-02T12:00:00Z","end_time":"2026-11-02T12:00:01Z"}`, nil)
	b.advance(time.Second)
	var f object
	b.ok("POST", "/api/v1/feedback", `{"key":"helpful","run_id":"`+rootID+`","score":0.25,"comment":"meh"}`, &f)
	id := f["id"].(string)
	assert.Equal(t, rootID, f["trace_id"])
	b.advance(time.Minute)
	b.ok("PATCH", "/api/v1/feedback/"+id, `{"score":1}`, &f)
	assert.NotEqual(t, f["created_at"], f["modified_at"])
	assert.Equal(t, float64(1), f["score"])
	var list []object
	b.ok("GET", "/api/v1/feedback?run="+rootID, "", &list)
	assert.Len(t, list, 1)
	b.ok("DELETE", "/api/v1/feedback/"+id, "", nil)
	b.ok("GET", "/api/v1/feedback?run="+rootID, "", &list)
	assert.Empty(t, list)
	b.refused(404, "PATCH", "/api/v1/feedback/"+id, `{}`)
	b.refused(422, "POST", "/api/v1/feedback", `{"score":1}`)
}

func TestInsertedRunsComeBackInBothForms(t *testing.T) {
	b := empty(t)
	const v2 = `{"items":[{"id":"` + rootID + `","name":"chat","run_type":"LLM","status":"SUCCESS","start_time":"2026-11-02T11:59:00.5Z","end_time":"2026-11-02T11:59:02Z","project_id":"6f03675a-1600-435a-8999-50d836f675cc","trace_id":"` + rootID + `",
		"inputs":{"messages":[]},"metadata":{"ls_provider":"openai","ls_model_name":"gpt-4.1-mini","thread_id":"c1"},"prompt_tokens":300,"completion_tokens":12,"prompt_token_details":{"raw":{"cache_read":256}},
		"prompt_cost":0.0000432,"completion_cost":0.0000192,"total_cost":0.0000624,"prompt_cost_details":{"raw":{"cache_read":0.0000256}}},
		{"id":"` + childID + `","name":"later","run_type":"TOOL","status":"SUCCESS","start_time":"2026-11-02T11:59:01Z","end_time":"2026-11-02T11:59:02Z","project_id":"6f03675a-1600-435a-8999-50d836f675cc","trace_id":"` + rootID + `","parent_run_ids":["` + rootID + `"],"sim":{"seen_after":"5s","done_after":"10s"}}]}`
	b.ok("POST", "/admin/runs", v2, nil)
	r := b.run(rootID)
	assert.Equal(t, []any{"llm", "success", "2026-11-02T11:59:00.500000", "0.0000432", object{"cache_read": float64(256)}, "c1"},
		[]any{r["run_type"], r["status"], r["start_time"], r["prompt_cost"], r["prompt_token_details"], r["thread_id"]})
	assert.Equal(t, "openai", r["extra"].(object)["metadata"].(object)["ls_provider"])
	b.refused(404, "GET", "/runs/"+childID, "")
	b.advance(6 * time.Second)
	assert.Equal(t, "pending", b.run(childID)["status"])
	b.advance(6 * time.Second)
	assert.Equal(t, "success", b.run(childID)["status"])
	assert.Equal(t, "0.0000624", b.Totals().Projects[0].Cost)
	b.refused(400, "POST", "/admin/runs", `[{"id":"x"}]`)
	var answer map[string]int
	b.ok("POST", "/admin/runs", v2, &answer)
	assert.Equal(t, 2, answer["refused"])
	b.ok("DELETE", "/admin/traces/"+rootID, "", &answer)
	assert.Equal(t, 2, answer["deleted"])
	b.refused(404, "GET", "/runs/"+rootID, "")
}

func TestTrafficRate(t *testing.T) {
	b := empty(t)
	b.advance(time.Hour)
	b.ok("POST", "/admin/traffic", `{"rate":10}`, nil)
	b.advance(10 * time.Second)
	b.Advance()
	runs := 0
	for range b.Store.All {
		runs++
	}
	assert.InDelta(t, 1000, runs, 500, "traffic starts now and not an hour ago")
	b.ok("POST", "/admin/traffic", `{"rate":0}`, nil)
	b.advance(time.Hour)
	b.Advance()
	still := 0
	for range b.Store.All {
		still++
	}
	assert.Equal(t, runs, still)
	b.refused(400, "POST", "/admin/traffic", `{"rate":-1}`)
}
