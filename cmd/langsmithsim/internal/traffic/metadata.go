package traffic

import (
	"encoding/hex"
	"fmt"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

const temperature = 0.2

func (n *node) metadata(w *jsonw.W, r *store.Run, v store.View) {
	t := n.t
	w.Obj()
	if t.threadBy != "" && (n.parent == nil || r.Thread != "") {
		w.KV(t.threadBy, t.thread)
	}
	w.KV("env", t.env).KV("revision_id", "v2.3.1-4-g9ac1d02").KV("user_id", t.user)
	if n.parent == nil {
		w.KInt("ls_run_depth", 0)
		w.KV("ls_agent_type", "root")
	} else {
		depth := int64(0)
		for p := n.parent; p != nil; p = p.parent {
			depth++
		}
		w.KInt("ls_run_depth", depth)
		if t.js && n.typ == "chain" && n.seed%4 == 0 {
			w.KV("ls_agent_type", "root")
		}
	}
	if n.agent != "" {
		w.KV("lc_agent_name", n.agent)
	}
	if n.graph != "" {
		w.KV("langgraph_node", n.graph).KInt("langgraph_step", int64(n.step)).
			KStrs("langgraph_triggers", []string{"branch:to:" + n.graph}).KStrs("langgraph_path", []string{"__pregel_pull", n.graph}).
			KV("langgraph_checkpoint_ns", fmt.Sprintf("%s:%016x", n.graph, n.seed))
	}
	switch n.shape {
	case shapeFunction, shapeTraceableChat, shapeTraceableRetriever, shapeTraceableTool, shapeOpenAI, shapeAnthropic, shapeGemini:
		w.KV("ls_method", "traceable")
	}
	n.modelMetadata(w)
	if n.shape == shapeRetriever {
		w.KV("ls_retriever_name", "vectorstore").KV("ls_vector_store_provider", n.tags[0]).KV("ls_embedding_provider", "OpenAIEmbeddings")
	}
	if n.shape == shapeGuardrail {
		// Numbers for ids and half of a surrogate pair, as applications send them.
		w.KInt("request_id", int64(n.seed%100_000)).KRaw("note", `"cut \ud83d"`)
	}
	if n.shape == shapePrompt {
		w.KV("lc_hub_owner", "acme").KV("lc_hub_repo", t.project.Name).KV("lc_hub_commit_hash", "9f3c2ab1d0e4")
	}
	if !t.js && n.parent == nil {
		w.KV("LANGSMITH_TRACING", "true").KV("LANGSMITH_PROJECT", t.project.Name)
	}
	if t.otlp {
		span := r.ID[8:]
		if n.parent == nil {
			span = t.otlpRootSpan()
		}
		w.KV("OTEL_TRACE_ID", hex.EncodeToString(t.otelT[:])).KV("OTEL_SPAN_ID", hex.EncodeToString(span))
	}
	if n.usage != nil && n.fail == nil && !n.stuck && !v.Pending && n.seed%3 != 0 {
		w.Key("usage_metadata")
		n.usageMetadata(w)
	}
	w.End()
}

// otlpRootSpan is the span id of a root that came in over OTLP. Its run id is the trace id, so only its metadata tells.
func (t *trace) otlpRootSpan() []byte {
	id := make([]byte, 8)
	fill(id, newRNG(t.seed, 5).Uint64())
	return id
}

func (n *node) modelMetadata(w *jsonw.W) {
	m := n.model
	if m == nil {
		return
	}
	kind := "chat"
	switch {
	case m.embedding:
		kind = "embedding"
	case n.shape == shapeLangChainCompletion:
		kind = "llm"
	}
	switch n.shape {
	case shapeAISDK: // names the model but not its vendor
		w.KV("ls_model_name", m.request)
		return
	case shapeTraceableChat:
		w.KV("ls_provider", m.provider).KV("ls_model_name", m.request)
		return
	}
	w.KV("ls_provider", m.provider).KV("ls_model_name", m.request).KV("ls_model_type", kind)
	if !m.embedding {
		w.KFloat("ls_temperature", temperature)
	}
	if m.cacheWrite > 0 {
		w.KInt("ls_max_tokens", 2048)
	}
	if n.shape == shapeOpenAI && n.stream {
		w.Key("ls_invocation_params").Obj().Key("stream_options").Obj().KBool("include_usage", true).End().End()
	}
}

func (n *node) extra(w *jsonw.W, r *store.Run, v store.View) {
	t := n.t
	w.Obj().Key("metadata")
	n.metadata(w, r, v)
	switch n.shape {
	case shapeLangChainChat, shapeLangChainCompletion, shapeEmbedding:
		n.invocation(w)
	case shapeTool:
		w.KV("tool_call_id", t.callID(n.rounds))
	}
	library := "langsmith"
	switch n.shape {
	case shapeLangChainChat, shapeLangChainCompletion, shapeEmbedding, shapeGraph, shapeGraphNode, shapeSequence, shapePrompt, shapeParser, shapeTool, shapeRetriever:
		library = "langchain-core"
	}
	w.Key("runtime").Obj()
	if t.js {
		if library != "langsmith" {
			library = "langchain-js"
		}
		w.KV("library", library).KV("runtime", "node").KV("sdk", "langsmith-js").KV("sdk_version", "0.12.0").KV("platform", "linux")
	} else {
		w.KV("sdk", "langsmith-py").KV("sdk_version", "0.11.1").KV("library", library).KV("platform", "Linux-6.1-x86_64").
			KV("runtime", "python").KV("runtime_version", "3.12.4").KV("py_implementation", "CPython").KNull("langchain_version").KV("langchain_core_version", "1.0.4")
	}
	w.End().End()
}

func (n *node) invocation(w *jsonw.W) {
	m := n.model
	w.Key("invocation_params").Obj()
	switch {
	case m.embedding:
		w.KV("model", m.request)
	case m.semconv == "aws.bedrock":
		w.KV("model_id", m.request).KV("_type", "amazon_bedrock_converse_chat").KFloat("temperature", temperature)
	default:
		w.KV("model", m.request)
		if m.semconv == "openai" || m.semconv == "azure.ai.openai" {
			w.KV("model_name", m.request).KV("_type", "openai-chat")
		}
		w.KFloat("temperature", temperature).KBool("stream", n.stream)
	}
	if !m.embedding {
		w.KInt("max_tokens", 2048).KFloat("top_p", 0.95).KNull("stop")
	}
	if n.shape == shapeLangChainChat && (n.rounds > 0 || n.calls != nil) {
		w.Key("tools").Arr()
		for _, tl := range n.t.domain.tools {
			w.Obj().KV("type", "function").Key("function").Obj().KV("name", tl.name).KV("description", tl.describe).
				Key("parameters").Obj().KV("type", "object").Key("properties").Obj().Key(tl.arg).Obj().KV("type", "string").End().End().
				KStrs("required", []string{tl.arg}).End().End().End()
		}
		w.EndArr()
	}
	w.End().Key("options").Obj().KNull("stop").End().KInt("batch_size", 1)
}
