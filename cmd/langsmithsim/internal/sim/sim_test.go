package sim

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/traffic"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// clock is a clock that a test moves.
type clock struct{ us atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMicro(c.us.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.us.Add(d.Microseconds()) }

type bench struct {
	*testing.T
	*Sim
	*clock
	handler http.Handler
}

func start(t *testing.T, change func(*Config)) *bench {
	c := &clock{}
	c.us.Store(noon.UnixMicro())
	cfg := Config{Traffic: traffic.DefaultConfig(), History: traffic.History{Runs: 600}, V1: true, V2: true, Now: c.now, Start: noon}
	if change != nil {
		change(&cfg)
	}
	s := New(cfg)
	return &bench{t, s, c, s.Handler()}
}

func (b *bench) do(method, path, body string, headers ...string) *http.Response {
	b.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-API-Key", "k")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w.Result()
}

// ok makes a request that must succeed and decodes its answer.
func (b *bench) ok(method, path, body string, into any) {
	b.Helper()
	resp := b.do(method, path, body)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	require.Less(b, resp.StatusCode, 300, "%s %s: %s", method, path, raw)
	if into != nil {
		require.NoError(b, json.Unmarshal(raw, into), "%s", raw)
	}
}

// refused makes a request that must fail and returns the answer.
func (b *bench) refused(status int, method, path, body string, headers ...string) string {
	b.Helper()
	resp := b.do(method, path, body, headers...)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	require.Equal(b, status, resp.StatusCode, "%s %s: %s", method, path, raw)
	return string(raw)
}

func (b *bench) project(name string) string {
	b.Helper()
	var list []struct{ ID string }
	b.ok("GET", "/api/v1/sessions?name="+name, "", &list)
	require.Len(b, list, 1)
	return list[0].ID
}

type object = map[string]any

type pageV1 struct {
	Runs    []object
	Cursors struct{ Next *string }
}

type pageV2 struct {
	Items []object
	Next  *string `json:"next_cursor"`
}

func (b *bench) allV2(query string) (out []object) {
	b.Helper()
	cursor := ""
	for range 1000 {
		var p pageV2
		b.ok("POST", "/api/v2/runs/query", strings.Replace(query, "{", `{"cursor":"`+cursor+`",`, 1), &p)
		out = append(out, p.Items...)
		if p.Next == nil || *p.Next == "" {
			return out
		}
		cursor = *p.Next
	}
	b.Fatal("pages without end")
	return nil
}

func (b *bench) allV1(query string) (out []object) {
	b.Helper()
	cursor := ""
	for range 1000 {
		var p pageV1
		b.ok("POST", "/runs/query", strings.Replace(query, "{", `{"cursor":"`+cursor+`",`, 1), &p)
		out = append(out, p.Runs...)
		if p.Cursors.Next == nil {
			return out
		}
		cursor = *p.Cursors.Next
	}
	b.Fatal("pages without end")
	return nil
}

func TestSameSeedSameBytes(t *testing.T) {
	read := func(seed uint64, at time.Time) string {
		b := start(t, func(c *Config) { c.Traffic.Seed, c.Start, c.Rate = seed, at, 20 })
		b.us.Store(at.UnixMicro())
		for range 20 {
			b.advance(time.Second)
			b.Advance()
		}
		b.advance(time.Hour)
		var out strings.Builder
		for _, name := range []string{"support-agent", "docs-rag", "chat-web", "invoice-pipeline", "research-team"} {
			id := b.project(name)
			for _, path := range []string{"/api/v1/runs/query", "/api/v2/runs/query"} {
				resp := b.do("POST", path, `{"session":["`+id+`"],"project_ids":["`+id+`"],"selects":["ID","NAME","INPUTS","OUTPUTS","EXTRA","EVENTS","ERROR","FEEDBACK_STATS"]}`)
				raw, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Equal(t, 200, resp.StatusCode)
				out.Write(raw)
			}
		}
		return out.String()
	}
	assert.Equal(t, read(1, noon), read(1, noon))
	assert.NotEqual(t, read(1, noon), read(2, noon))
}

func TestHistoryIsSettledAndAsLargeAsAsked(t *testing.T) {
	b := start(t, func(c *Config) {
		c.History = traffic.History{Runs: 3000, Span: 20 * time.Minute}
		c.Traffic.StuckShare = 0
	})
	totals := b.Totals()
	finished := 0
	for _, p := range totals.Projects {
		finished += p.Finished
		assert.Zero(t, p.Open+p.Unsettled+p.Stuck+p.Hidden, p.Name)
	}
	assert.GreaterOrEqual(t, finished, 3000)
	assert.Less(t, finished, 3100)
	first := noon
	for _, r := range b.Store.All {
		if at := time.UnixMicro(r.Start); at.Before(first) {
			first = at
		}
	}
	assert.InDelta(t, 20*60, noon.Sub(first).Seconds(), 5*60)
}

func TestDefaultsOfV2(t *testing.T) {
	b := start(t, nil)
	id := b.project("support-agent")
	var p pageV2
	b.ok("POST", "/api/v2/runs/query", `{"project_ids":["`+id+`"]}`, &p)
	require.Len(t, p.Items, 100, "the default page")
	for _, it := range p.Items {
		assert.Len(t, it, 1, "only the id is told by default")
	}
	require.NotNil(t, p.Next)

	b.ok("POST", "/api/v2/runs/query?cursor="+*p.Next, `{"project_ids":["`+id+`"]}`, &p)
	first := p.Items[0]["id"]
	b.ok("POST", "/api/v2/runs/query", `{"project_ids":["`+id+`"]}`, &p)
	assert.Equal(t, first, p.Items[0]["id"], "a cursor in the address does nothing")

	b.advance(25 * time.Hour)
	b.ok("POST", "/api/v2/runs/query", `{"project_ids":["`+id+`"]}`, &p)
	assert.Empty(t, p.Items, "the default window is a day")
	b.ok("POST", "/api/v2/runs/query", fmt.Sprintf(`{"project_ids":["%s"],"ids":["%s"]}`, id, first), &p)
	assert.Empty(t, p.Items, "also for ids")
	b.ok("POST", "/api/v2/runs/query", fmt.Sprintf(`{"project_ids":["%s"],"ids":["%s"],"min_start_time":"2026-11-01T00:00:00Z"}`, id, first), &p)
	assert.Len(t, p.Items, 1)
}

func TestBothGenerationsTellTheSameRunsInTheirOwnWords(t *testing.T) {
	b := start(t, nil)
	id := b.project("support-agent")
	selects := `"selects":["ID","NAME","RUN_TYPE","STATUS","START_TIME","END_TIME","PARENT_RUN_IDS","DOTTED_ORDER","TOTAL_TOKENS","PROMPT_TOKENS","TOTAL_COST","PROMPT_COST","PROMPT_TOKEN_DETAILS","PROMPT_COST_DETAILS","METADATA","EXTRA","THREAD_ID"]`
	v2 := b.allV2(`{"project_ids":["` + id + `"],"page_size":64,` + selects + `}`)
	v1 := b.allV1(`{"session":["` + id + `"],"limit":77}`)
	require.Len(t, v1, len(v2))
	sawCost, sawParentSum := false, false
	for i, old := range v1 {
		now := v2[i]
		require.Equal(t, old["id"], now["id"], "both are sorted by start, newest first")
		assert.Equal(t, strings.ToUpper(old["run_type"].(string)), now["run_type"])
		assert.Equal(t, strings.ToUpper(old["status"].(string)), now["status"])
		assert.NotContains(t, old["start_time"], "Z", "times without a zone")
		at, err := time.Parse(time.RFC3339Nano, now["start_time"].(string))
		require.NoError(t, err)
		naive, err := time.Parse("2006-01-02T15:04:05", old["start_time"].(string))
		require.NoError(t, err)
		assert.True(t, at.Equal(naive))
		parents := now["parent_run_ids"].([]any)
		if old["parent_run_id"] == nil {
			assert.Empty(t, parents)
		} else {
			assert.Equal(t, old["parent_run_id"], parents[len(parents)-1])
		}
		order := now["dotted_order"].(string)
		assert.True(t, strings.HasSuffix(order, old["id"].(string)))
		assert.Equal(t, len(parents), strings.Count(order, "."))
		if old["run_type"] == "llm" && old["total_cost"] != nil {
			sawCost = true
			assert.IsType(t, float64(0), old["total_cost"], "a number")
			assert.IsType(t, "", old["prompt_cost"], "text")
			assert.IsType(t, float64(0), now["prompt_cost"], "a number")
			assert.Equal(t, old["total_tokens"], now["total_tokens"])
			if d := old["prompt_token_details"]; d != nil {
				assert.Equal(t, d, now["prompt_token_details"].(object)["raw"])
				for _, c := range old["prompt_cost_details"].(object) {
					assert.IsType(t, "", c)
				}
			}
		}
		if old["run_type"] == "chain" && old["status"] != "pending" {
			assert.Equal(t, float64(0), now["total_tokens"], "chains have no usage of their own")
			sawParentSum = sawParentSum || old["total_tokens"] != float64(0)
		}
	}
	assert.True(t, sawCost)
	assert.True(t, sawParentSum)

	sums := map[any]any{}
	for _, r := range b.allV2(`{"project_ids":["` + id + `"],"include_subtree_usage":true,` + selects + `}`) {
		sums[r["id"]] = r["total_tokens"]
	}
	for _, old := range v1 {
		assert.Equal(t, old["total_tokens"], sums[old["id"]], "with subtree usage the newer API tells what the older does")
	}
}

func TestRefusals(t *testing.T) {
	b := start(t, func(c *Config) { c.Key = "k" })
	id := b.project("docs-rag")
	const v1, v2 = "/api/v1/runs/query", "/api/v2/runs/query"
	in := `"session":["` + id + `"]`
	p := `"project_ids":["` + id + `"]`
	assert.Contains(t, b.refused(400, "POST", v1, `{"filter":"eq(name,\"x\")"}`), "must be specified")
	assert.Equal(t, `{"detail":"Limit exceeds maximum allowed value of 100"}`, b.refused(400, "POST", v1, `{`+in+`,"limit":101}`))
	assert.Contains(t, b.refused(422, "POST", v1, `{`+in+`,"select":["id","nonsense"]}`), `"loc":["body","select",1]`)
	assert.Contains(t, b.refused(422, "POST", v1, `{"session":["x"]}`), "uuid")
	assert.Contains(t, b.refused(400, "POST", v1, `{`+in+`,"filter":"eq(trace_tier, \"longlived\")"}`), "unknown attribute")
	assert.Contains(t, b.refused(400, "POST", v1, `{`+in+`,"cursor":"nonsense"}`), "Invalid cursor")
	assert.Contains(t, b.refused(400, "POST", v2, `{}`), "project_ids")
	assert.Contains(t, b.refused(400, "POST", v2, `{`+p+`,"page_size":1001}`), "page_size")
	assert.Contains(t, b.refused(422, "POST", v2, `{`+p+`,"selects":["id"]}`), "unknown field")
	assert.Contains(t, b.refused(422, "POST", v2, `{"project_ids":["x"]}`), `"status":422`)
	assert.Contains(t, b.refused(404, "POST", v2, `{"project_ids":["00000000-0000-4000-8000-000000000000"]}`), "project not found")
	assert.Contains(t, b.refused(400, "POST", v2, `{`+p+`,"filter":"neq(error, null)"}`), "null")
	assert.Contains(t, b.refused(400, "POST", v2, `{`+p+`,"min_feedback_modified_at":"2026-11-02T00:00:00Z"}`), "feedback condition")
	assert.Contains(t, b.refused(401, "POST", v2, `{`+p+`}`, "X-API-Key", "wrong"), "Invalid token")
	assert.Contains(t, b.refused(401, "GET", "/api/v1/sessions", "", "X-API-Key", ""), "Invalid token")
	assert.Contains(t, b.refused(404, "GET", "/api/v1/nonsense", ""), "Not Found")
	assert.Contains(t, b.refused(400, "POST", "/api/v1/runs/stats", `{"id":["`+id+`"]}`), "session")
	b.ok("GET", "/info", "", nil)

	open := start(t, nil)
	assert.Contains(t, open.refused(403, "GET", "/sessions", "", "X-API-Key", "lsv2_sk_org_1"), "org_scoped_key_requires_workspace")
	assert.Equal(t, 200, open.do("GET", "/sessions", "", "X-API-Key", "lsv2_sk_org_1", "X-Tenant-Id", "w").StatusCode)
}

func TestGenerationsThatDoNotExist(t *testing.T) {
	old := start(t, func(c *Config) { c.V2 = false })
	old.refused(404, "POST", "/api/v2/runs/query", `{}`)
	var info struct {
		Version string
		Flags   map[string]bool `json:"instance_flags"`
	}
	old.ok("GET", "/api/v1/info", "", &info)
	assert.Equal(t, "0.13.5", info.Version)
	assert.NotContains(t, info.Flags, "sdb_query_enabled")
	resp := old.do("POST", "/api/v1/runs/query", `{"session":["`+old.project("docs-rag")+`"]}`)
	assert.Equal(t, "true", resp.Header.Get("Deprecation"))
	assert.NotEmpty(t, resp.Header.Get("Sunset"))

	young := start(t, func(c *Config) { c.V1 = false })
	young.refused(404, "POST", "/api/v1/runs/query", `{}`)
}

func TestLifeOfALiveRun(t *testing.T) {
	b := start(t, func(c *Config) {
		c.History, c.Rate, c.Traffic.LateShare, c.Traffic.StuckShare = traffic.History{}, 5, 0, 0
	})
	id := b.project("support-agent")
	seen := map[string]map[string]bool{}
	unpriced := 0
	for i := range 120 {
		if i == 40 {
			b.SetRate(0)
		}
		b.advance(500 * time.Millisecond)
		b.Advance()
		for _, r := range b.allV1(`{"session":["` + id + `"],"select":["end_time","outputs","total_tokens","events"]}`) {
			run, status := r["id"].(string), r["status"].(string)
			if seen[run] == nil {
				seen[run] = map[string]bool{}
			}
			if status == "pending" {
				assert.False(t, seen[run]["success"] || seen[run]["error"], "a run that has ended stays so")
				assert.Nil(t, r["end_time"])
				assert.Nil(t, r["outputs"])
			} else {
				assert.NotNil(t, r["end_time"])
				if r["run_type"] == "llm" && status == "success" && r["total_tokens"] == float64(0) {
					unpriced++
				}
			}
			seen[run][status] = true
		}
	}
	require.Greater(t, len(seen), 50)
	pending := 0
	for _, s := range seen {
		if s["pending"] {
			pending++
		}
	}
	assert.Positive(t, pending)
	assert.Positive(t, unpriced, "tokens come later than the end")
	b.advance(10 * time.Minute)
	for _, p := range b.Totals().Projects {
		assert.Zero(t, p.Open+p.Unsettled+p.Hidden, p.Name)
	}
}

func TestLateAndStuckTraces(t *testing.T) {
	b := start(t, func(c *Config) {
		c.History, c.Rate, c.Traffic.LateShare, c.Traffic.StuckShare = traffic.History{}, 10, 1, 1
	})
	b.advance(2 * time.Second)
	b.Advance()
	b.SetRate(0)
	b.advance(time.Minute)
	count := func() (seen, stuck int) {
		for _, p := range b.Totals().Projects {
			seen += p.Finished + p.Stuck + p.Open
			stuck += p.Stuck
		}
		return seen, stuck
	}
	seen, _ := count()
	assert.Zero(t, seen, "late traces are not there after a minute")
	b.advance(10 * time.Minute)
	seen, stuck := count()
	assert.Positive(t, seen)
	assert.Positive(t, stuck)
	b.advance(48 * time.Hour)
	_, still := count()
	assert.Equal(t, stuck, still, "what is stuck stays so")
}

func TestFiltersOnRuns(t *testing.T) {
	b := start(t, func(c *Config) { c.History.Runs = 3000 })
	id := b.project("support-agent")
	find := func(extra string) []object {
		return b.allV2(`{"project_ids":["` + id + `"],"page_size":1000,"selects":["ID","TRACE_ID","RUN_TYPE","STATUS","IS_ROOT","TAGS","METADATA","START_TIME","FEEDBACK_STATS"],` + extra + `}`)
	}
	all := find(`"page_size":1000`)
	failed := find(`"filter":"eq(status, \"error\")"`)
	require.NotEmpty(t, failed)
	want := 0
	for _, r := range all {
		if r["status"] == "ERROR" {
			want++
		}
	}
	assert.Len(t, failed, want)
	assert.Less(t, len(failed), len(all)/4)

	tree := find(`"tree_filter":"and(eq(run_type, \"tool\"), eq(status, \"error\"))"`)
	require.NotEmpty(t, tree)
	traces := map[any]bool{}
	for _, r := range find(`"filter":"and(eq(run_type, \"tool\"), eq(status, \"error\"))"`) {
		traces[r["trace_id"]] = true
	}
	for _, r := range tree {
		assert.True(t, traces[r["trace_id"]])
	}
	for _, r := range find(`"trace_filter":"has(tags, \"mail\")","is_root":true`) {
		assert.Contains(t, r["tags"], "mail")
	}
	staging := find(`"filter":"and(eq(metadata_key, \"env\"), eq(metadata_value, \"staging\"))"`)
	require.NotEmpty(t, staging)
	for _, r := range staging {
		assert.Equal(t, "staging", r["metadata"].(object)["env"])
	}
	down := find(`"filter":"and(eq(feedback_key, \"user_thumbs\"), lt(feedback_score, 0.5))"`)
	for _, r := range down {
		assert.Contains(t, r["feedback_stats"], "user_thumbs")
	}
	assert.NotEmpty(t, find(`"filter":"in(feedback_key, [\"correctness\"])","min_feedback_modified_at":"2026-11-01T00:00:00Z"`))
	assert.Empty(t, find(`"filter":"in(feedback_key, [\"correctness\"])","max_feedback_modified_at":"2026-11-01T00:00:00Z"`))
	var valid struct {
		Valid  bool
		Errors []struct{ Field, Message string }
	}
	b.ok("POST", "/api/v1/runs/query/validate", `{"filter":"eq(name, \"x\")","tree_filter":"nonsense"}`, &valid)
	assert.False(t, valid.Valid)
	require.Len(t, valid.Errors, 1)
	assert.Equal(t, "tree_filter", valid.Errors[0].Field)
}

func TestOtherReads(t *testing.T) {
	b := start(t, func(c *Config) { c.History.Runs = 4000 })
	id := b.project("docs-rag")
	var p pageV2
	b.ok("POST", "/api/v2/traces/query", `{"project_id":"`+id+`","selects":["ID","TOTAL_TOKENS","TOTAL_COST"]}`, &p)
	require.Len(t, p.Items, 20)
	root := p.Items[0]["root_run"].(object)
	var runs pageV2
	b.ok("GET", "/api/v2/traces/"+root["id"].(string)+"/runs?project_id="+id+"&selects=ID&selects=TOTAL_TOKENS&selects=START_TIME", "", &runs)
	require.NotEmpty(t, runs.Items)
	assert.Equal(t, root["id"], runs.Items[0]["id"], "in order of their start")
	var one object
	b.ok("GET", "/api/v2/runs/"+root["id"].(string)+"?project_id="+id, "", &one)
	assert.Equal(t, object{"id": root["id"]}, one)
	b.ok("GET", "/api/v1/runs/"+root["id"].(string), "", &one)
	assert.Equal(t, id, one["session_id"])

	var trace pageV1
	b.ok("POST", "/api/v1/runs/query", `{"trace":"`+root["id"].(string)+`","limit":1}`, &trace)
	assert.Len(t, trace.Runs, len(runs.Items), "a whole trace ignores the limit")

	var list []object
	b.ok("GET", "/api/v1/sessions?reference_free=true", "", &list)
	assert.Len(t, list, 5)
	b.ok("GET", "/api/v1/sessions?limit=2&offset=5&include_stats=true", "", &list)
	require.Len(t, list, 1)
	assert.Contains(t, list[0], "latency_p50")
	b.ok("GET", "/api/v1/feedback?session="+id+"&key=correctness&limit=5", "", &list)
	require.NotEmpty(t, list)
	assert.Equal(t, "auto_eval", list[0]["feedback_source"].(object)["type"])
	b.ok("GET", "/api/v1/feedback-configs?key=user_thumbs", "", &list)
	assert.Len(t, list, 1)
	b.ok("GET", "/api/v1/annotation-queues?name=quality-sample", "", &list)
	require.Len(t, list, 1)
	queue := list[0]["id"].(string)
	var count struct{ Count, Size int }
	b.ok("GET", "/api/v1/platform/annotation-queues/"+queue+"/items/count?status=all", "", &count)
	assert.Positive(t, count.Count)
	all := count.Count
	b.ok("GET", "/api/v1/annotation-queues/"+queue+"/total_size", "", &count)
	assert.Equal(t, all, count.Size)
	b.ok("GET", "/api/v1/annotation-queues/"+queue+"/runs", "", &list)
	b.ok("GET", "/api/v1/annotation-queues/"+queue, "", &one)
	b.ok("GET", "/api/v1/workspaces", "", &list)
	var stats object
	b.ok("POST", "/api/v1/runs/stats", `{"session":["`+id+`"],"run_type":"llm"}`, &stats)
	for _, p := range b.Totals().Projects {
		if p.Name == "docs-rag" {
			assert.InDelta(t, float64(p.Calls+p.OuterCalls), stats["run_count"].(float64)+float64(embeddings(b)), 0)
		}
	}
}

func embeddings(b *bench) (n int) {
	for p, r := range b.Store.All {
		if p.Name == "docs-rag" && r.Type == "embedding" && r.Finished(noon.UnixMicro()) {
			n++
		}
	}
	return n
}

func TestTotalsEqualWhatAClientAddsUp(t *testing.T) {
	b := start(t, func(c *Config) { c.History.Runs = 2000; c.Traffic.StuckShare = 0 })
	for _, p := range b.Totals().Projects {
		var input, output float64
		calls := 0
		outer := map[any]bool{}
		rows := b.allV2(`{"project_ids":["` + p.ID + `"],"page_size":1000,"selects":["ID","RUN_TYPE","PARENT_RUN_IDS","PROMPT_TOKENS","COMPLETION_TOKENS"]}`)
		types := map[any]any{}
		for _, r := range rows {
			types[r["id"]] = r["run_type"]
		}
		for _, r := range rows {
			for _, a := range r["parent_run_ids"].([]any) {
				if r["run_type"] == "LLM" && types[a] == "LLM" {
					outer[a] = true
				}
			}
		}
		for _, r := range rows {
			if (r["run_type"] == "LLM" || r["run_type"] == "EMBEDDING") && !outer[r["id"]] {
				calls++
				input += r["prompt_tokens"].(float64)
				output += r["completion_tokens"].(float64)
			}
		}
		assert.Equal(t, p.Finished, len(rows), p.Name)
		assert.Equal(t, p.Calls, calls, p.Name)
		assert.Equal(t, len(outer), p.OuterCalls, p.Name)
		assert.InDelta(t, float64(p.Input), input, 0)
		assert.InDelta(t, float64(p.Output), output, 0)
	}
}

func TestRateLimits(t *testing.T) {
	b := start(t, func(c *Config) { c.Limit = true })
	id := b.project("docs-rag")
	body := `{"session":["` + id + `"],"start_time":"2026-11-02T11:00:00Z","limit":1}`
	for range 10 {
		require.Equal(t, 200, b.do("POST", "/api/v1/runs/query", body).StatusCode)
	}
	with := b.do("POST", "/api/v1/runs/query", body)
	without := b.do("POST", "/api/v1/runs/query", body)
	assert.Equal(t, []int{429, 429}, []int{with.StatusCode, without.StatusCode})
	assert.NotEmpty(t, with.Header.Get("Retry-After"))
	assert.Empty(t, without.Header.Get("Retry-After"), "the header is not promised")
	assert.Equal(t, 200, b.do("POST", "/api/v2/runs/query", `{"project_ids":["`+id+`"]}`).StatusCode, "limits are by endpoint")
	assert.Equal(t, 200, b.do("POST", "/api/v1/runs/query", body, "X-API-Key", "another").StatusCode, "and by key")
	b.advance(10 * time.Second)
	for range 3 {
		require.Equal(t, 200, b.do("POST", "/api/v1/runs/query", `{"session":["`+id+`"]}`).StatusCode)
	}
	assert.Equal(t, 429, b.do("POST", "/api/v1/runs/query", `{"session":["`+id+`"]}`).StatusCode, "without start_time the tier is small")
}

func TestGzipWhenAsked(t *testing.T) {
	b := start(t, nil)
	id := b.project("docs-rag")
	resp := b.do("POST", "/api/v2/runs/query", `{"project_ids":["`+id+`"],"selects":["ID","INPUTS"]}`, "Accept-Encoding", "gzip")
	require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"))
	z, err := gzip.NewReader(resp.Body)
	require.NoError(t, err)
	raw, err := io.ReadAll(z)
	require.NoError(t, err)
	assert.True(t, json.Valid(raw))
	assert.False(t, bytes.Contains(raw, []byte("api_key")))
}
