package translate

import (
	"bytes"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// response is what the outputs of a model call say about the answer, apart from its text.
type response struct {
	index                *langsmith.Index
	model, id, messageID langsmith.Text
	reasons              [maxFinishReasons]langsmith.Text
	finishes             int
}

// maxFinishReasons bounds the list: there is one reason per choice.
const maxFinishReasons = 16

// responseFacts writes the model, the id and the finish reasons of the answer.
func (t *translation) responseFacts(run *langsmith.Run, op operation, attrs *attributes) {
	if !t.readsOutputs() || op.class != classModel && op.class != classEmbedding {
		return
	}
	r := &t.response
	r.index = t.index
	r.read(run.Outputs, 0)
	// Outputs are content, so only what has the form of a name gets out of them.
	if model := idToken(r.model); model != nil {
		attrs.PutStr(keyResponseModel, t.strings.intern(model))
	}
	id := r.id
	if len(id) == 0 {
		id = r.messageID
	}
	if v := idToken(id); v != nil {
		attrs.PutStr(keyResponseID, t.strings.bytes(v))
	}
	var list pcommon.Slice
	for i, reason := range r.reasons[:r.finishes] {
		if i == 0 {
			list = attrs.PutEmptySlice(keyResponseFinishReasons)
		}
		list.AppendEmpty().SetStr(t.finishReason(reason))
	}
}

// read collects the facts from any of the known shapes of outputs.
func (r *response) read(outputs langsmith.Raw, depth int) {
	if depth > 4 {
		return
	}
	responsesAPI := false
	var status, incomplete langsmith.Raw
	for k, v := range r.index.Members(outputs) {
		switch string(k) {
		case "generations":
			r.generations(v)
		case "choices", "candidates":
			r.choices(v)
		case "model", "model_name", "modelName", "model_version", "modelVersion", "modelId", "model_id":
			r.setModel(v)
		case "id":
			r.setMessageID(v)
		case "response_id", "responseId":
			r.setID(v)
		case "stop_reason", "finish_reason", "finishReason", "stopReason":
			r.addFinish(v)
		case "llm_output", "llmOutput":
			r.setModel(v.Get("model_name"))
			r.setModel(v.Get("modelName"))
			r.setModel(v.Get("model"))
			r.setID(v.Get("id"))
		case "response_metadata", "responseMetadata":
			r.responseMetadata(v)
		case "message", "kwargs", "response":
			if v.Kind() == langsmith.KindObject {
				r.read(v, depth+1)
			}
		case "output", "outputs":
			if v.Kind() == langsmith.KindObject {
				r.read(v, depth+1)
			}
		case "messages":
			if v.Kind() == langsmith.KindArray {
				var last langsmith.Raw
				for m := range r.index.Elements(v) {
					last = m
				}
				r.read(last, depth+1)
			}
		case "object":
			responsesAPI = string(v.Text()) == "response"
		case "status":
			status = v
		case "incomplete_details":
			incomplete = v.Get("reason")
		}
	}
	if responsesAPI && r.finishes == 0 {
		if incomplete != nil {
			r.addFinish(incomplete)
		} else {
			r.addFinish(status)
		}
	}
}

// choices reads the alternatives of OpenAI and Gemini.
func (r *response) choices(list langsmith.Raw) {
	for choice := range r.index.Elements(list) {
		for k, v := range r.index.Members(choice) {
			if string(k) == "finish_reason" || string(k) == "finishReason" {
				r.addFinish(v)
			}
		}
	}
}

func (r *response) generations(generations langsmith.Raw) {
	for prompt := range r.index.Elements(generations) {
		for v := range (alternatives{r.index, prompt}).all {
			before := r.finishes
			g := readGeneration(r.index, v)
			if g.message.Kind() == langsmith.KindObject {
				r.read(g.message, 3)
			}
			for k, v := range r.index.Members(g.info) {
				switch string(k) {
				case "finish_reason", "stop_reason":
					if r.finishes == before {
						r.addFinish(v)
					}
				case "model_name":
					r.setModel(v)
				}
			}
		}
	}
}

// generation is one of LangChain's answers: the text of a completion, or a message.
type generation struct {
	message, info, text langsmith.Raw
}

func readGeneration(x *langsmith.Index, v langsmith.Raw) (g generation) {
	for k, v := range x.Members(v) {
		switch string(k) {
		case "message":
			first(&g.message, v)
		case "generation_info", "generationInfo":
			first(&g.info, v)
		case "text":
			first(&g.text, v)
		}
	}
	return g
}

func (r *response) responseMetadata(object langsmith.Raw) {
	before := r.finishes
	for k, v := range r.index.Members(object) {
		switch string(k) {
		case "model_name", "model", "model_version", "modelName", "modelId", "model_id":
			r.setModel(v)
		case "id":
			r.setID(v)
		case "finish_reason", "stop_reason", "finishReason", "stopReason":
			if r.finishes == before {
				r.addFinish(v)
			}
		}
	}
}

func (r *response) setModel(v langsmith.Raw) {
	if text := v.Text(); len(r.model) == 0 && len(text) > 0 {
		r.model = text
	}
}

func (r *response) setID(v langsmith.Raw) {
	if text := v.Text(); len(r.id) == 0 && len(text) > 0 {
		r.id = text
	}
}

// setMessageID keeps an id unless LangChain made it up itself.
func (r *response) setMessageID(v langsmith.Raw) {
	text := v.Text()
	if len(text) == 0 || len(r.messageID) > 0 || bytes.HasPrefix(text, []byte("run-")) || bytes.HasPrefix(text, []byte("lc_run")) {
		return
	}
	r.messageID = text
}

// addFinish adds a reason.
func (r *response) addFinish(v langsmith.Raw) {
	if reason := reasonOf(v); reason != nil && r.finishes < maxFinishReasons {
		r.reasons[r.finishes] = reason
		r.finishes++
	}
}

// reasonOf reads a reason; nil when it might be content. The JavaScript wrapper puts the whole choice, and the AI
// SDK an object, where the reason belongs.
func reasonOf(v langsmith.Raw) langsmith.Text {
	if v.Kind() == langsmith.KindObject {
		for _, key := range [...]string{"finish_reason", "unified", "type"} {
			if inner := v.Get(key); inner.Kind() == langsmith.KindString {
				v = inner
				break
			}
		}
	}
	if text := v.Text(); len(text) > 0 && cleanReason(text) {
		return text
	}
	return nil
}

// cleanReason reports whether text is one word, and so no content.
func cleanReason(text langsmith.Text) bool {
	if len(text) > 64 {
		return false
	}
	for _, c := range text {
		if !isWord(c) && c != '-' {
			return false
		}
	}
	return true
}

// finishReason is the reason in the words of the conventions; the provider's own where they have none.
func (t *Translator) finishReason(reason langsmith.Text) string {
	switch string(reason) {
	case "stop", "STOP", "end_turn", "stop_sequence", "completed", "COMPLETE", "eos", "eos_token":
		return "stop"
	case "tool_calls", "tool_call", "tool_use", "tool-calls", "function_call":
		return "tool_call"
	case "length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "incomplete", "model_length":
		return "length"
	case "content_filter", "content-filter", "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "content_filtered", "guardrail_intervened", "refusal":
		return "content_filter"
	case "error", "failed", "ERROR":
		return "error"
	default:
		return t.strings.intern(reason)
	}
}

// idToken is an id or a model that consists of word characters and a few marks only; nil for anything else, which might
// be content.
func idToken(id langsmith.Text) langsmith.Text {
	if len(id) == 0 || len(id) > 128 {
		return nil
	}
	for _, c := range id {
		if !isWord(c) && c != '-' && c != '.' && c != ':' && c != '/' && c != '=' && c != '@' {
			return nil
		}
	}
	return id
}

// alternatives are the generations for one prompt: a list, or the one that some tracers write without a list.
type alternatives struct {
	index  *langsmith.Index
	prompt langsmith.Raw
}

func (a alternatives) all(yield func(langsmith.Raw) bool) {
	if a.prompt.Kind() == langsmith.KindObject {
		yield(a.prompt)
		return
	}
	for v := range a.index.Elements(a.prompt) {
		if !yield(v) {
			return
		}
	}
}
