package traffic

import (
	"fmt"
	"strconv"
	"time"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

// Append renders a large field of a run. It implements [store.Body].
func (n *node) Append(dst []byte, r *store.Run, p store.Part, v store.View) []byte {
	w := jsonw.W{}
	switch p {
	case store.PartInputs:
		n.inputs(&w)
	case store.PartOutputs:
		if n.fail != nil || n.stuck {
			w.Null()
		} else {
			n.outputs(&w, r)
		}
	case store.PartMetadata:
		n.metadata(&w, r, v)
	case store.PartExtra:
		n.extra(&w, r, v)
	case store.PartEvents:
		n.events(&w, r, v)
	case store.PartSerialized:
		n.serialized(&w)
	case store.PartError:
		if n.fail == nil {
			w.Null()
		} else {
			w.Str(n.fail.text(n))
		}
	case store.PartInputsPreview:
		w.Str(n.t.question)
	case store.PartOutputsPreview:
		if n.fail != nil || n.stuck {
			w.Null()
		} else {
			w.Str(clip(n.answer(), 120))
		}
	default:
		w.Null()
	}
	return append(dst, w.B...)
}

func clip(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n]) + "…"
}

// answer is what the run says in prose, as long as its tokens tell.
func (n *node) answer() string {
	length := 500
	if n.usage != nil {
		length = int(min(n.usage.Output*4, 2400))
	}
	return n.t.domain.prose(newRNG(n.seed, 1), length)
}

// documents are what the trace's retriever found.
func (t *trace) documents(w *jsonw.W) {
	r := newRNG(t.seed, 2)
	w.Arr()
	for i := range r.between(3, 5) {
		w.Obj().KV("page_content", t.domain.prose(r, 420)).KV("type", "Document").
			KV("id", fmt.Sprintf("doc-%d", r.between(1, 5000))).Key("metadata").Obj().
			KV("source", t.domain.docs+".pdf").KInt("page", r.between(1, 180)).KFloat("score", float64(90-7*i)/100).End().End()
	}
	w.EndArr()
}

func (t *trace) excerpt() string { return t.domain.prose(newRNG(t.seed, 3), 1500) }

// argument is what a tool is called with.
func (n *node) argument(tl *tool) string {
	switch tl.arg {
	case "order_id":
		return fmt.Sprintf("SO-%06d", n.t.seed%1_000_000)
	case "postcode":
		return fmt.Sprintf("%05d", n.t.seed%99_999)
	case "code":
		return "import pandas as pd\ndf = pd.read_csv(\"figures.csv\")\nprint(df.groupby('year').sum())"
	case "url":
		return "https://example.com/articles/" + strconv.FormatUint(n.t.seed%9999, 10)
	case "path":
		return fmt.Sprintf("/data/inbox/%d.pdf", n.t.seed%99_999)
	}
	return clip(n.t.question, 60)
}

func (t *trace) callID(round int) string { return fmt.Sprintf("call_%x%d", t.seed>>40, round) }

func (n *node) toolResult(round int) string {
	return n.t.domain.prose(newRNG(n.t.seed, 100+uint64(round)), 160)
}

// message writes a LangChain message as its constructor dump.
func (n *node) message(w *jsonw.W, class, typ string, body func(*jsonw.W)) {
	w.Obj().KInt("lc", 1).KV("type", "constructor")
	if n.t.js {
		w.KStrs("id", []string{"langchain_core", "messages", class})
	} else {
		w.KStrs("id", []string{"langchain", "schema", "messages", class})
	}
	w.Key("kwargs").Obj()
	body(w)
	if !n.t.js {
		w.KV("type", typ)
	}
	w.End().End()
}

// conversation writes the messages that a model has before it, as LangChain dumps them.
func (n *node) conversation(w *jsonw.W) {
	t := n.t
	text := func(s string) func(*jsonw.W) { return func(w *jsonw.W) { w.KV("content", s) } }
	n.message(w, "SystemMessage", "system", text(t.domain.system))
	r := newRNG(t.seed, 4)
	for range r.between(0, 2) {
		n.message(w, "HumanMessage", "human", text(t.domain.question(r)))
		n.message(w, "AIMessage", "ai", text(t.domain.prose(r, 420)))
	}
	if t.domain == &handbook {
		n.message(w, "SystemMessage", "system", text(t.excerpt()))
	}
	n.message(w, "HumanMessage", "human", text(t.question))
	for i := range n.rounds {
		n.message(w, "AIMessage", "ai", func(w *jsonw.W) {
			w.KV("content", "").Key("tool_calls").Arr()
			n.toolCall(w, t.rounds[i], i)
			w.EndArr()
		})
		n.message(w, "ToolMessage", "tool", func(w *jsonw.W) {
			w.KV("content", n.toolResult(i)).KV("name", t.rounds[i].name).KV("tool_call_id", t.callID(i)).KV("status", "success")
		})
	}
}

func (n *node) toolCall(w *jsonw.W, tl *tool, round int) {
	w.Obj().KV("name", tl.name).Key("args").Obj().KV(tl.arg, n.argument(tl)).End().KV("id", n.t.callID(round)).KV("type", "tool_call").End()
}

// chatMessages writes role and content pairs as the vendors' own clients take them.
func (n *node) chatMessages(w *jsonw.W, system bool) {
	t := n.t
	pair := func(role, content string) { w.Obj().KV("role", role).KV("content", content).End() }
	w.Arr()
	if system {
		pair("system", t.domain.system)
	}
	r := newRNG(t.seed, 4)
	for range r.between(0, 2) {
		pair("user", t.domain.question(r))
		pair("assistant", t.domain.prose(r, 420))
	}
	if t.domain == &invoices {
		pair("user", t.question+"\n\n"+t.excerpt())
	} else {
		pair("user", t.question)
	}
	for i := range n.rounds {
		w.Obj().KV("role", "assistant").KNull("content").Key("tool_calls").Arr()
		n.openAIToolCall(w, t.rounds[i], i)
		w.EndArr().End()
		w.Obj().KV("role", "tool").KV("tool_call_id", t.callID(i)).KV("content", n.toolResult(i)).End()
	}
	w.EndArr()
}

func (n *node) openAIToolCall(w *jsonw.W, tl *tool, round int) {
	args := jsonw.W{}
	args.Obj().KV(tl.arg, n.argument(tl)).End()
	w.Obj().KV("id", n.t.callID(round)).KV("type", "function").Key("function").Obj().
		KV("name", tl.name).KV("arguments", string(args.B)).End().End()
}

func (n *node) usageMetadata(w *jsonw.W) {
	u := n.usage
	w.Obj().KInt("input_tokens", u.Input).KInt("output_tokens", u.Output).KInt("total_tokens", u.Input+u.Output)
	for _, d := range []struct {
		key string
		of  []store.Detail
	}{{"input_token_details", u.InputDetails}, {"output_token_details", u.OutputDetails}} {
		if len(d.of) == 0 && n.t.seed%2 == 0 {
			continue
		}
		w.Key(d.key).Obj()
		for _, e := range d.of {
			w.KInt(e.Key, e.Tokens)
		}
		w.End()
	}
	w.End()
}

func (n *node) events(w *jsonw.W, r *store.Run, v store.View) {
	event := func(name string, us int64) {
		at := time.UnixMicro(us).UTC()
		format := "2006-01-02T15:04:05.000000-07:00"
		if v.V2 {
			format = "2006-01-02T15:04:05.000Z07:00"
		}
		w.Obj().KV("name", name).KV("time", at.Format(format)).End()
	}
	w.Arr()
	langchain := n.shape != shapeFunction && n.shape != shapeOpenAI && n.shape != shapeAnthropic && n.shape != shapeGemini &&
		n.shape != shapeAISDK && n.shape != shapeAISDKOuter && n.shape != shapeTraceableChat && n.shape != shapeTraceableRetriever && n.shape != shapeTraceableTool && n.shape != shapeGuardrail
	if langchain {
		event("start", r.Start)
	}
	if v.Pending {
		w.EndArr()
		return
	}
	if r.FirstToken != 0 {
		event("new_token", r.FirstToken)
	}
	if langchain && r.End != 0 {
		if n.fail != nil {
			event("error", r.End)
		} else {
			event("end", r.End)
		}
	}
	w.EndArr()
}

func (n *node) serialized(w *jsonw.W) {
	switch n.shape {
	case shapeLangChainChat, shapeLangChainCompletion:
		w.Obj().KInt("lc", 1).KV("type", "constructor").KStrs("id", []string{"langchain", "chat_models", n.model.provider, n.model.class})
		w.Key("kwargs").Obj().KV("model_name", n.model.request).KFloat("temperature", 0.2).Key("api_key").Obj().KInt("lc", 1).KV("type", "secret").KStrs("id", []string{"MODEL_API_KEY"}).End().End().KV("name", n.model.class).End()
	case shapePrompt:
		w.Obj().KInt("lc", 1).KV("type", "constructor").KStrs("id", []string{"langchain", "prompts", "chat", "ChatPromptTemplate"}).
			Key("kwargs").Obj().KStrs("input_variables", []string{"question", "messages"}).End().End()
	default:
		w.Null()
	}
}
