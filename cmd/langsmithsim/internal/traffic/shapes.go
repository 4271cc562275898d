package traffic

import (
	"fmt"

	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/jsonw"
	"github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"
)

func (n *node) inputs(w *jsonw.W) {
	t := n.t
	w.Obj()
	switch n.shape {
	case shapeLangChainChat:
		w.Key("messages").Arr().Arr()
		n.conversation(w)
		w.EndArr().EndArr()
	case shapeLangChainCompletion:
		w.Key("prompts").Arr().Str(t.domain.system + "\n\n" + t.question + "\n\nAnswer:").EndArr()
	case shapeOpenAI:
		w.KV("model", n.model.request).KFloat("temperature", temperature).KBool("stream", n.stream).Key("messages")
		n.chatMessages(w, true)
		if n.stream {
			w.Key("stream_options").Obj().KBool("include_usage", true).End()
		}
	case shapeAnthropic:
		w.KV("model", n.model.request).KInt("max_tokens", 2048).KFloat("temperature", temperature).KBool("stream", n.stream).KV("system", t.domain.system).Key("messages")
		n.chatMessages(w, false)
	case shapeGemini:
		w.KV("model", n.model.request).Key("contents").Arr().Obj().KV("role", "user").Key("parts").Arr().
			Obj().KV("text", t.question+"\n\n"+t.excerpt()).End().EndArr().End().EndArr().
			Key("config").Obj().KV("system_instruction", t.domain.system).KFloat("temperature", temperature).End()
	case shapeAISDK, shapeAISDKOuter:
		w.Key("prompt").Arr().Obj().KV("role", "system").KV("content", t.domain.system).End().
			Obj().KV("role", "user").Key("content").Arr().Obj().KV("type", "text").KV("text", t.question).End().EndArr().End().EndArr().
			KFloat("temperature", temperature)
	case shapeTraceableChat:
		w.Key("messages")
		n.chatMessages(w, true)
	case shapeEmbedding:
		w.Key("input").Arr().Str(t.question).EndArr()
	case shapeRetriever, shapeTraceableRetriever:
		w.KV("query", t.question)
	case shapeTool:
		w.KV("input", fmt.Sprintf("{'%s': '%s'}", n.tool.arg, n.argument(n.tool)))
	case shapeTraceableTool:
		w.KV(n.tool.arg, n.argument(n.tool))
	case shapePrompt:
		w.KV("question", t.question).KV("context", t.excerpt())
	case shapeParser:
		w.KV("input", n.answer())
	case shapeGraph, shapeGraphNode:
		w.Key("messages").Arr()
		if n.parent == nil {
			w.Obj().KV("role", "user").KV("content", t.question).End()
		} else {
			n.conversation(w)
		}
		w.EndArr()
	case shapeSequence:
		w.KV("input", t.question)
	default:
		w.KV("question", t.question).Key("options").Obj().KBool("dry_run", false).KInt("limit", 20).End()
		if n.parent != nil {
			w.KV("text", t.excerpt())
		}
	}
	w.End()
}

func (n *node) outputs(w *jsonw.W, r *store.Run) {
	t := n.t
	w.Obj()
	switch n.shape {
	case shapeLangChainChat, shapeLangChainCompletion:
		n.generations(w, r)
	case shapeOpenAI:
		n.openAIOutput(w, r)
	case shapeAnthropic:
		w.KV("id", fmt.Sprintf("msg_%016x", n.seed)).KV("type", "message").KV("role", "assistant").KV("model", n.model.response).
			Key("content").Arr().Obj().KV("type", "text").KV("text", n.answer()).End().EndArr().
			KV("stop_reason", n.finish("end_turn", "tool_use")).KNull("stop_sequence")
		n.usageMember(w)
	case shapeGemini:
		w.Key("candidates").Arr().Obj().Key("content").Obj().KV("role", "model").Key("parts").Arr().
			Obj().KV("text", n.answer()).End().EndArr().End().KV("finishReason", "STOP").KInt("index", 0).End().EndArr().
			KV("modelVersion", n.model.response).KV("responseId", fmt.Sprintf("g%x", n.seed))
		n.usageMember(w)
	case shapeAISDK, shapeAISDKOuter:
		w.KV("role", "assistant").Key("content").Arr().Obj().KV("type", "text").KV("text", n.answer()).End().EndArr().KV("finishReason", "stop")
		if n.usage != nil {
			w.Key("usage").Obj().KInt("inputTokens", n.usage.Input).KInt("outputTokens", n.usage.Output).KInt("totalTokens", n.usage.Input+n.usage.Output).End()
			w.Key("response").Obj().KV("id", fmt.Sprintf("resp_%x", n.seed)).KV("modelId", n.model.response).End()
			n.usageMember(w)
		}
	case shapeTraceableChat:
		w.Key("choices").Arr().Obj().Key("message").Obj().KV("role", "assistant").KV("content", n.answer()).End().End().EndArr()
		n.usageMember(w)
	case shapeEmbedding:
	case shapeGuardrail:
		w.KBool("allowed", true).KNull("reason")
	case shapeRetriever:
		w.Key("documents")
		t.documents(w)
	case shapeTraceableRetriever:
		w.Key("output")
		t.documents(w)
	case shapeTool:
		w.Key("output")
		n.message(w, "ToolMessage", "tool", func(w *jsonw.W) {
			w.KV("content", n.toolResult(n.rounds)).KV("name", n.tool.name).KV("tool_call_id", t.callID(n.rounds)).KV("status", "success")
		})
	case shapePrompt:
		w.Key("output").Obj().KInt("lc", 1).KV("type", "constructor").KStrs("id", []string{"langchain", "prompts", "chat", "ChatPromptValue"}).
			Key("kwargs").Obj().Key("messages").Arr()
		n.conversation(w)
		w.EndArr().End().End()
	case shapeGraph, shapeGraphNode:
		w.Key("messages").Arr()
		if n.parent == nil {
			n.conversation(w)
		}
		n.message(w, "AIMessage", "ai", func(w *jsonw.W) { w.KV("content", n.answer()) })
		w.EndArr()
	case shapeParser, shapeSequence, shapeTraceableTool:
		w.KV("output", n.answer())
	default:
		if t.js {
			w.KV("outputs", n.answer())
		} else {
			w.KV("output", n.answer())
		}
	}
	w.End()
}

func (n *node) finish(stop, tool string) string {
	if n.calls != nil {
		return tool
	}
	return stop
}

func (n *node) usageMember(w *jsonw.W) {
	if n.usage != nil {
		w.Key("usage_metadata")
		n.usageMetadata(w)
	}
}

// generations is LangChain's answer of a model.
func (n *node) generations(w *jsonw.W, r *store.Run) {
	text := ""
	if n.calls == nil {
		text = n.answer()
	}
	reason := n.finish("stop", "tool_calls")
	reasonKey, infoKey, class := "finish_reason", "generation_info", "AIMessageChunk"
	if n.model.semconv == "anthropic" || n.model.semconv == "aws.bedrock" {
		reasonKey, reason = "stop_reason", n.finish("end_turn", "tool_use")
	}
	if n.t.js {
		infoKey = "generationInfo"
	}
	if !n.stream {
		class = "AIMessage"
	}
	w.Key("generations").Arr().Arr().Obj().KV("text", text)
	info := func() {
		w.KV(reasonKey, reason)
		if n.model.response != "" {
			if n.model.semconv == "anthropic" {
				w.KV("model", n.model.response)
			}
			w.KV("model_name", n.model.response)
		}
	}
	w.Key(infoKey).Obj()
	info()
	w.End()
	if n.shape == shapeLangChainChat {
		if !n.t.js {
			w.KV("type", map[bool]string{true: "ChatGenerationChunk", false: "ChatGeneration"}[n.stream])
		}
		w.Key("message")
		n.message(w, class, map[bool]string{true: "AIMessageChunk", false: "ai"}[n.stream], func(w *jsonw.W) {
			if n.model.semconv == "anthropic" && n.calls == nil {
				w.Key("content").Arr().Obj().KV("type", "text").KV("text", text).KInt("index", 0).End().EndArr()
			} else {
				w.KV("content", text)
			}
			w.KV("id", "run-"+r.ID.String())
			w.Key("tool_calls").Arr()
			if n.calls != nil {
				n.toolCall(w, n.calls, n.rounds)
			}
			w.EndArr().Key("response_metadata").Obj()
			info()
			if n.model.semconv == "openai" {
				w.KV("id", fmt.Sprintf("chatcmpl-%x", n.seed)).KV("service_tier", "default")
			}
			w.End()
			n.usageMember(w)
		})
	} else {
		w.KV("type", "Generation")
	}
	w.End().EndArr().EndArr()
	usage := func(key, input, output, total string) {
		if n.usage == nil {
			return
		}
		w.Key(key).Obj().KInt(input, n.usage.Input).KInt(output, n.usage.Output).KInt(total, n.usage.Input+n.usage.Output).End()
	}
	if n.t.js {
		w.Key("llmOutput").Obj()
		usage("tokenUsage", "promptTokens", "completionTokens", "totalTokens")
		w.End()
		return
	}
	if n.stream {
		w.KNull("llm_output")
	} else {
		w.Key("llm_output").Obj()
		usage("token_usage", "prompt_tokens", "completion_tokens", "total_tokens")
		w.KV("model_name", n.model.response).End()
	}
	w.KNull("run").KV("type", "LLMResult")
}

func (n *node) openAIOutput(w *jsonw.W, r *store.Run) {
	object := "chat.completion"
	if n.stream {
		object = "chat.completion.chunk"
	}
	w.KV("id", fmt.Sprintf("chatcmpl-%x", n.seed)).KV("object", object).KInt("created", r.Start/1_000_000).KV("model", n.model.response).
		KV("service_tier", "default").KV("system_fingerprint", "fp_44709d6fcb").
		Key("choices").Arr().Obj().KInt("index", 0).KV("finish_reason", n.finish("stop", "tool_calls")).Key("message").Obj().KV("role", "assistant")
	if n.calls != nil {
		w.KNull("content").Key("tool_calls").Arr()
		n.openAIToolCall(w, n.calls, n.rounds)
		w.EndArr()
	} else {
		w.KV("content", n.answer())
	}
	w.End().End().EndArr()
	n.usageMember(w)
}
