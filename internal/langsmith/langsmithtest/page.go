// Package langsmithtest makes pages of runs as a LangSmith server would answer them, for tests and benchmarks.
package langsmithtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// Classes are the kinds of pages that [Page] makes:
//
//   - 1k: about 1 KB a run, without inputs, outputs and events, as a query for measures answers
//   - 5k: about 5 KB a run, whole runs with little content
//   - 50k: about 50 KB a run, whole runs with long content
//   - mix: sizes as found in the wild, most small and a few large
//   - cjk: like 5k, a quarter of the bytes not ASCII
//   - esc: the same text with \uXXXX for everything that is not ASCII
var Classes = []string{"1k", "5k", "50k", "mix", "cjk", "esc"}

// Page is a page of n runs as v1 answers it. The same arguments make the same page. An unknown class panics.
func Page(class string, seed int64, n int) []byte { return page(class, seed, n, false) }

// PageV2 is a page of n runs as v2 answers it.
func PageV2(class string, seed int64, n int) []byte { return page(class, seed, n, true) }

func page(class string, seed int64, n int, v2 bool) []byte {
	g := &generator{rnd: rand.New(rand.NewPCG(uint64(seed), 7)), class: class, v2: v2}
	open, end := `{"runs":[`, `],"cursors":{"next":null,"prev":null},"search_cursors":null,"parsed_query":null}`
	if v2 {
		open, end = `{"items":[`, `],"next_cursor":null}`
	}
	g.b = append(g.b, open...)
	for i := 0; i < n; {
		i += g.trace(i, n)
	}
	g.b = append(g.b, end...)
	if class == "esc" {
		return escape(g.b)
	}
	return g.b
}

// escape writes every rune above ASCII as JSON escapes.
func escape(b []byte) []byte {
	var out []byte
	for _, r := range string(b) {
		switch {
		case r < 0x80:
			out = append(out, byte(r))
		case r > 0xFFFF:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

type generator struct {
	rnd   *rand.Rand
	class string
	v2    bool
	b     []byte
}

type run struct {
	id, trace, parent string
	ancestors         []string
	order, kind, name string
	start, end        time.Time
	failed            bool
}

// trace writes one tree of runs, and returns how many.
func (g *generator) trace(at, limit int) int {
	size := min(4+g.rnd.IntN(8), limit-at)
	start := time.Date(2026, 11, 2, 9, 15, 30, 0, time.UTC).Add(time.Duration(g.rnd.IntN(3_600_000)) * time.Millisecond)
	project := "6f03675a-1600-435a-8999-50d836f675cc"
	var root run
	for i := range size {
		r := run{start: start.Add(time.Duration(i*137_003) * time.Microsecond)}
		r.id = g.uuid(r.start)
		r.end = r.start.Add(time.Duration(50_000+g.rnd.IntN(4_000_000)) * time.Microsecond)
		r.failed = g.rnd.IntN(25) == 0
		segment := r.start.Format("20060102T150405.000000")
		segment = strings.Replace(segment, ".", "", 1) + "Z" + r.id
		switch p := g.rnd.IntN(100); {
		case i == 0:
			r.kind, r.name = "chain", "support-agent"
		case p < 42:
			r.kind, r.name = "llm", "ChatOpenAI"
		case p < 67:
			r.kind, r.name = "chain", "RunnableSequence"
		case p < 93:
			r.kind, r.name = "tool", "inventory_lookup"
		default:
			r.kind, r.name = "retriever", "VectorStoreRetriever"
		}
		if i == 0 {
			r.trace, r.order = r.id, segment
			root = r
		} else {
			r.trace, r.parent, r.ancestors, r.order = root.id, root.id, []string{root.id}, root.order+"."+segment
		}
		if at+i > 0 {
			g.b = append(g.b, ',')
		}
		g.run(&r, project)
	}
	return size
}

func (g *generator) uuid(t time.Time) string {
	ms := uint64(t.UnixMilli())
	return fmt.Sprintf("%08x-%04x-7%03x-%04x-%012x", ms>>16, ms&0xffff, g.rnd.IntN(1<<12), 0x8000|g.rnd.IntN(1<<14), g.rnd.Uint64N(1<<48))
}

// sizes of inputs plus outputs in bytes.
func (g *generator) contentSize() int {
	switch g.class {
	case "1k":
		return 0
	case "5k", "cjk", "esc":
		return 1200 + g.rnd.IntN(1400)
	case "50k":
		return 40_000 + g.rnd.IntN(18_000)
	case "mix":
		return int(min(1700*math.Exp(1.4*g.rnd.NormFloat64()), 55_000))
	default:
		panic("langsmithtest: unknown class " + g.class)
	}
}

func (g *generator) f(format string, args ...any) { g.b = fmt.Appendf(g.b, format, args...) }

func (g *generator) str(key, value string) {
	g.b = append(g.b, '"')
	g.b = append(g.b, key...)
	g.b = append(g.b, `":"`...)
	g.b = append(g.b, value...)
	g.b = append(g.b, `",`...)
}

func (g *generator) null(keys ...string) {
	for _, key := range keys {
		g.f(`"%s":null,`, key)
	}
}

func (g *generator) time(key string, t time.Time) {
	layout := "2006-01-02T15:04:05.000000"
	if g.v2 {
		layout += "Z"
	}
	g.str(key, t.Format(layout))
}

func (g *generator) list(key string, items []string) {
	if len(items) == 0 {
		g.f(`"%s":[],`, key)
		return
	}
	g.f(`"%s":["%s"],`, key, strings.Join(items, `","`))
}

func (g *generator) run(r *run, project string) {
	llm := r.kind == "llm"
	status, kind := "success", r.kind
	if r.failed {
		status = "error"
	}
	if g.v2 {
		status, kind = strings.ToUpper(status), strings.ToUpper(kind)
	}
	whole := g.class != "1k"
	g.b = append(g.b, '{')
	g.str("id", r.id)
	g.str("trace_id", r.trace)
	g.str("dotted_order", r.order)
	g.str("name", r.name)
	g.str("run_type", kind)
	g.str("status", status)
	g.time("start_time", r.start)
	g.time("end_time", r.end)
	if g.v2 {
		g.str("project_id", project)
		g.f(`"latency_seconds":%.6f,"is_root":%t,`, r.end.Sub(r.start).Seconds(), r.parent == "")
	} else {
		g.str("session_id", project)
		if r.parent == "" {
			g.null("parent_run_id")
		} else {
			g.str("parent_run_id", r.parent)
		}
	}
	g.list("parent_run_ids", r.ancestors)
	thread := "conv-" + strconv.Itoa(g.rnd.IntN(9000))
	g.str("thread_id", thread)
	g.list("tags", []string{"prod", "seq:step:" + strconv.Itoa(g.rnd.IntN(9))})
	g.usage(llm)
	if llm {
		g.time("first_token_time", r.start.Add(r.end.Sub(r.start)/3))
	} else {
		g.null("first_token_time")
	}
	if r.failed {
		g.str("error", `TimeoutError('no answer in 2.0 s')Traceback (most recent call last):\n\n  File \"/app/tools.py\", line 31, in inventory_lookup\n    return client.get(part)\n\nTimeoutError: no answer in 2.0 s`)
	} else {
		g.null("error")
	}
	if g.v2 {
		g.metadata(r, thread, whole)
		g.b = append(g.b, ',')
	}
	g.extra(r, thread, whole)
	if whole {
		g.whole(r, project)
	}
	g.null("reference_example_id")
	g.b[len(g.b)-1] = '}'
}

func (g *generator) usage(llm bool) {
	in, out, cached := 0, 0, 0
	if llm {
		in, out = 200+g.rnd.IntN(3000), 10+g.rnd.IntN(600)
		cached = g.rnd.IntN(in)
	}
	inCost, outCost := float64(in)*4e-7, float64(out)*1.6e-6
	g.f(`"total_tokens":%d,"prompt_tokens":%d,"completion_tokens":%d,`, in+out, in, out)
	if !llm {
		g.null("total_cost", "prompt_cost", "completion_cost", "prompt_token_details", "completion_token_details", "prompt_cost_details", "completion_cost_details")
		return
	}
	if g.v2 {
		g.f(`"total_cost":%.7f,"prompt_cost":%.7f,"completion_cost":%.7f,`, inCost+outCost, inCost, outCost)
		g.f(`"prompt_token_details":{"raw":{"cache_read":%d}},"completion_token_details":{"raw":{"reasoning":0}},"prompt_cost_details":{"raw":{"cache_read":%.8f}},"completion_cost_details":{"raw":{}},`, cached, float64(cached)*1e-7)
		return
	}
	g.f(`"total_cost":"%.7f","prompt_cost":"%.7f","completion_cost":"%.7f",`, inCost+outCost, inCost, outCost)
	g.f(`"prompt_token_details":{"cache_read":%d},"completion_token_details":{"reasoning":0},"prompt_cost_details":{"cache_read":"%.8f"},"completion_cost_details":null,`, cached, float64(cached)*1e-7)
}

func (g *generator) metadata(r *run, thread string, whole bool) {
	g.b = append(g.b, `"metadata":{`...)
	if r.kind == "llm" {
		g.b = append(g.b, `"ls_provider":"openai","ls_model_name":"gpt-4.1-mini","ls_model_type":"chat","ls_temperature":0.2,"ls_max_tokens":512,`...)
	}
	if whole {
		g.b = append(g.b, `"env":"prod","revision_id":"v2.3.1-4-g9ac1d02","langgraph_node":"agent","langgraph_step":2,"langgraph_triggers":["branch:to:agent"],"langgraph_path":["__pregel_pull","agent"],"langgraph_checkpoint_ns":"agent:5d0bc2b5","ls_integration":"langchain_chat_model","LANGSMITH_TRACING":"true","tenant":"acme",`...)
	}
	g.f(`"thread_id":"%s","ls_run_depth":%d}`, thread, len(r.ancestors))
}

func (g *generator) extra(r *run, thread string, whole bool) {
	g.b = append(g.b, `"extra":{`...)
	if r.kind == "llm" && whole {
		g.b = append(g.b, `"invocation_params":{"model":"gpt-4.1-mini","model_name":"gpt-4.1-mini","stream":true,"temperature":0.2,"max_tokens":512,"_type":"openai-chat","stop":null,"tools":[{"type":"function","function":{"name":"inventory_lookup","description":"Stock of a part","parameters":{"type":"object","properties":{"part":{"type":"string"}}}}}]},"options":{"stop":null},"batch_size":1,`...)
	}
	if r.kind == "tool" {
		g.f(`"tool_call_id":"call_%x",`, g.rnd.Uint32())
	}
	g.metadata(r, thread, whole)
	if whole {
		g.b = append(g.b, `,"runtime":{"sdk":"langsmith-py","sdk_version":"0.11.1","library":"langchain-core","library_version":"1.0.4","platform":"Linux-6.1-x86_64","runtime":"python","runtime_version":"3.12.4","py_implementation":"CPython","langchain_core_version":"1.0.4"}`...)
	}
	g.b = append(g.b, `},`...)
}

// whole writes the rest of a whole run.
func (g *generator) whole(r *run, project string) {
	size := g.contentSize()
	g.inputs(r, size*2/3)
	g.outputs(r, size/3)
	g.str("inputs_preview", g.words(min(size/8, 100)))
	g.str("outputs_preview", g.words(min(size/8, 100)))
	at := r.start.Format("2006-01-02T15:04:05.000000+00:00")
	g.f(`"events":[{"name":"start","time":"%s"},{"name":"end","time":"%s"}],`, at, at)
	g.str("app_path", "/o/1738f7d9-3d9c-4724-91e2-0b8f6b0d549b/projects/p/"+project+"/r/"+r.id+"?trace_id="+r.trace)
	g.null("price_model_id", "reference_dataset_id", "last_queued_at")
	g.f(`"feedback_stats":{},`)
	if g.v2 {
		g.f(`"is_in_dataset":false,`)
		g.null("thread_evaluation_time")
		return
	}
	g.null("child_run_ids", "direct_child_run_ids", "manifest_id", "manifest_s3_id", "share_token", "inputs_s3_urls", "outputs_s3_urls", "s3_urls", "messages")
	if r.kind == "llm" {
		g.f(`"serialized":{"lc":1,"type":"constructor","id":["langchain","chat_models","openai","ChatOpenAI"],"kwargs":{"model_name":"gpt-4.1-mini"}},`)
	} else {
		g.null("serialized")
	}
	g.f(`"execution_order":1,"in_dataset":false,"trace_tier":"longlived","ttl_seconds":34560000,"trace_upgrade":false,`)
	g.time("trace_first_received_at", r.start)
	g.time("trace_min_start_time", r.start)
	g.time("trace_max_start_time", r.end)
}

func (g *generator) inputs(r *run, size int) {
	switch r.kind {
	case "llm":
		g.b = append(g.b, `"inputs":{"messages":[[`...)
		parts := 2 + size/2000
		for i := range parts {
			kind, class := "human", "HumanMessage"
			if i == 0 {
				kind, class = "system", "SystemMessage"
			}
			if i > 0 {
				g.b = append(g.b, ',')
			}
			g.f(`{"lc":1,"type":"constructor","id":["langchain","schema","messages","%s"],"kwargs":{"content":"%s","type":"%s"}}`, class, g.words(size/parts), kind)
		}
		g.b = append(g.b, `]]},`...)
	case "tool":
		g.f(`"inputs":{"input":"{\"part\": \"K-210\", \"note\": \"%s\"}"},`, g.words(size))
	case "retriever":
		g.f(`"inputs":{"query":"%s"},`, g.words(size))
	default:
		g.f(`"inputs":{"messages":[{"role":"user","content":"%s"}]},`, g.words(size))
	}
}

func (g *generator) outputs(r *run, size int) {
	if r.failed {
		g.null("outputs")
		return
	}
	switch r.kind {
	case "llm":
		g.f(`"outputs":{"generations":[[{"text":"","type":"ChatGeneration","generation_info":{"finish_reason":"tool_calls","model_name":"gpt-4.1-mini-2025-04-14"},"message":{"lc":1,"type":"constructor","id":["langchain","schema","messages","AIMessage"],"kwargs":{"content":"%s","type":"ai","id":"run-01a19b8a","tool_calls":[{"name":"inventory_lookup","args":{"part":"K-210"},"id":"call_9f2","type":"tool_call"}],"response_metadata":{"finish_reason":"tool_calls","model_name":"gpt-4.1-mini-2025-04-14","service_tier":"default"},"usage_metadata":{"input_tokens":412,"output_tokens":58,"total_tokens":470,"input_token_details":{"cache_read":128,"audio":0},"output_token_details":{"reasoning":0,"audio":0}}}}}]],"llm_output":null,"run":null,"type":"LLMResult"},`, g.words(size))
	case "retriever":
		g.b = append(g.b, `"outputs":{"documents":[`...)
		docs := 1 + size/1500
		for i := range docs {
			if i > 0 {
				g.b = append(g.b, ',')
			}
			g.f(`{"page_content":"%s","type":"Document","id":"doc-%d","metadata":{"source":"manual.pdf","page":%d,"score":0.83}}`, g.words(size/docs), i, i)
		}
		g.b = append(g.b, `]},`...)
	default:
		g.f(`"outputs":{"output":"%s"},`, g.words(size))
	}
}

var latin = strings.Fields("the a order stock part customer delivery of to in manual seal hydraulic please check whether standard item is available and can be shipped before friday answer question model weather invoice total number")

var ideographs = []rune("的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位入常文总次品式活设及管特件长求老头基资边流路级少图山统接知较将组见计别她手角期根论运农指几九区强放决西被干做必战先回则任取据处队南给色光门即保治北造百规热领七海口东导器压志世金增争济阶油思术极交受联什认六共权收证改清己美再采转更单风切打白教速花带安场身车例真务具万每目至达走积示议声报斗完类八离华名确才科张信马节话米整空元况今集温传土许步群广石记需段研界拉林律叫且究观越织装影算低持音众书布复容儿须际商非验连断深难近矿千周委素技备半办青省列习便响约支般史感劳便团往酸历市克何除消构府称太准精值号率族维划选标写存候毛亲快效斯院查江型眼王按格养易置派层片始却专状育厂京识适属圆包火住调满县局照参红细引听该铁价严")

// words is text of about size bytes, as the content of a JSON string.
func (g *generator) words(size int) string {
	cjk := g.class == "cjk" || g.class == "esc"
	var b strings.Builder
	for b.Len() < size {
		if cjk && g.rnd.IntN(3) > 0 {
			for range 2 + g.rnd.IntN(6) {
				b.WriteRune(ideographs[g.rnd.IntN(len(ideographs))])
			}
			b.WriteString("，")
			continue
		}
		b.WriteString(latin[g.rnd.IntN(len(latin))])
		switch g.rnd.IntN(24) {
		case 0:
			b.WriteString(`.\n`)
		case 1:
			b.WriteString(` \"`)
			b.WriteString(latin[g.rnd.IntN(len(latin))])
			b.WriteString(`\" `)
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}
