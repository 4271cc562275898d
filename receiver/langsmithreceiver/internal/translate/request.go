package translate

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// params holds the parameters of a request, collected from wherever a tracer writes them. The first place that
// names one decides.
type params struct {
	model, modelName, deployment, modelID                  langsmith.Raw
	temperature, maxTokens, topP, topK                     langsmith.Raw
	frequencyPenalty, presencePenalty, seed, stop, choices langsmith.Raw
	stream, responseFormat, reasoning, previousResponse    langsmith.Raw
	dimensions, encodingFormat, tools                      langsmith.Raw
}

func (p *params) read(x *langsmith.Index, object langsmith.Raw) {
	for k, v := range x.Members(object) {
		p.set(x, k, v)
	}
}

// set keeps a parameter, and reports false when the member is none.
func (p *params) set(x *langsmith.Index, k langsmith.Text, v langsmith.Raw) bool {
	switch string(k) {
	case "model":
		first(&p.model, v)
	case "model_name", "modelName":
		first(&p.modelName, v)
	case "deployment_name", "deploymentName", "azure_deployment":
		first(&p.deployment, v)
	case "model_id", "modelId":
		first(&p.modelID, v)
	case "temperature":
		first(&p.temperature, v)
	case "max_tokens", "max_completion_tokens", "max_output_tokens", "maxTokens", "maxOutputTokens", "maxCompletionTokens":
		first(&p.maxTokens, v)
	case "top_p", "topP":
		first(&p.topP, v)
	case "top_k", "topK":
		first(&p.topK, v)
	case "frequency_penalty", "frequencyPenalty":
		first(&p.frequencyPenalty, v)
	case "presence_penalty", "presencePenalty":
		first(&p.presencePenalty, v)
	case "seed":
		first(&p.seed, v)
	case "stop", "stop_sequences", "stopSequences":
		first(&p.stop, v)
	case "n", "candidate_count", "candidateCount":
		first(&p.choices, v)
	case "stream", "streaming":
		first(&p.stream, v)
	case "response_format", "responseFormat":
		first(&p.responseFormat, v)
	case "reasoning_effort", "reasoningEffort":
		first(&p.reasoning, v)
	case "reasoning":
		first(&p.reasoning, v.Get("effort"))
	case "previous_response_id", "previousResponseId":
		first(&p.previousResponse, v)
	case "dimensions":
		first(&p.dimensions, v)
	case "encoding_format", "encodingFormat":
		first(&p.encodingFormat, v)
	case "tools", "functions":
		first(&p.tools, v)
	case "config", "generation_config", "generationConfig":
		// Gemini keeps its parameters one level down.
		p.read(x, v)
	default:
		return false
	}
	return true
}

// first keeps a value unless there is one.
func first(dst *langsmith.Raw, v langsmith.Raw) {
	if *dst == nil && v.Kind() != langsmith.KindAbsent {
		*dst = v
	}
}

// maxModel is the most bytes of a model's name.
const maxModel = 256

// request writes the provider, the model and the parameters of a model call, and returns the model.
func (t *translation) request(run *langsmith.Run, op operation, attrs *attributes) string {
	p := &t.params
	p.read(t.index, run.InvocationParams)
	p.read(t.index, t.meta.invocationParams)
	// The model must not depend on how much is captured, so the inputs come last.
	model := t.requestModel(op)
	if t.settings.Capture == CaptureFull {
		t.input.read(t.index, run.Inputs, p)
		if model == "" {
			model = t.requestModel(op)
		}
	}
	if provider := t.provider(run, model); provider != "" {
		attrs.PutStr(keyProvider, provider)
	}
	if model != "" {
		attrs.PutStr(keyRequestModel, model)
	}

	first(&p.temperature, t.meta.temperature)
	first(&p.maxTokens, t.meta.maxTokens)
	first(&p.stop, t.meta.stop)
	putDouble(attrs, keyRequestTemperature, p.temperature)
	putDouble(attrs, keyRequestTopP, p.topP)
	putCount(attrs, keyRequestTopK, p.topK)
	putCount(attrs, keyRequestMaxTokens, p.maxTokens)
	putDouble(attrs, keyRequestFrequencyPenalty, p.frequencyPenalty)
	putDouble(attrs, keyRequestPresencePenalty, p.presencePenalty)
	if v := p.seed.Count(); v.Valid {
		attrs.PutInt(keyRequestSeed, v.Value)
	}
	if v := p.choices.Count(); v.Valid && v.Value > 1 {
		attrs.PutInt(keyRequestChoiceCount, v.Value)
	}
	putCount(attrs, keyEmbeddingsDimension, p.dimensions)
	t.putStrings(attrs, keyRequestStopSequences, p.stop)
	t.putStrings(attrs, keyRequestEncodingFormats, p.encodingFormat)
	if stream, _ := p.stream.Bool(); stream || (run.FirstToken != 0 && op.class == classModel) {
		attrs.PutBool(keyRequestStream, true)
	}
	if v := outputType(p.responseFormat); v != "" {
		attrs.PutStr(keyOutputType, v)
	}
	if v := cleanToken(p.reasoning.Text(), false); v != "" {
		attrs.PutStr(keyRequestReasoningLevel, t.strings.internBytes([]byte(v)))
	}
	t.putText(attrs, keyRequestPreviousResponse, p.previousResponse.Text(), maxModel)
	return model
}

// requestModel is the model that was asked for.
func (t *translation) requestModel(op operation) string {
	p := &t.params
	candidates := [...]langsmith.Raw{p.model, p.modelName, p.deployment, t.meta.modelName, p.modelID, nil}
	if op.class == classEmbedding {
		candidates[len(candidates)-1] = t.meta.embeddingModel
	}
	for _, v := range candidates {
		name := v.Text()
		if v.Kind() == langsmith.KindObject {
			// The AI SDK passes the model as an object.
			name = v.Get("modelId").Text()
		}
		if model := t.modelName(name); model != "" {
			return model
		}
	}
	return ""
}

// modelName is a name on one line, fit for a span name.
func (t *Translator) modelName(name langsmith.Text) string {
	if len(name) == 0 {
		return ""
	}
	for i, c := range name {
		if c <= 0x20 || c >= 0x7f || c == '\\' || i >= maxModel {
			var notes Notes
			return t.strings.internBytes(appendName(nil, name, &notes))
		}
	}
	return t.strings.intern(name)
}

// outputType folds the many ways to ask for JSON.
func outputType(format langsmith.Raw) string {
	kind := format.Text()
	if kind == nil {
		kind = format.Get("type").Text()
	}
	switch string(kind) {
	case "json", "json_object", "json_schema":
		return "json"
	case "text":
		return "text"
	default:
		return ""
	}
}

func putDouble(attrs *attributes, key string, v langsmith.Raw) {
	if n := v.Number(); n.Valid {
		attrs.PutDouble(key, n.Value)
	}
}

// putCount writes a count of something; negative ones are meaningless.
func putCount(attrs *attributes, key string, v langsmith.Raw) {
	if n := v.Count(); n.Valid && n.Value >= 0 {
		attrs.PutInt(key, n.Value)
	}
}

const maxListLen = 32

// putStrings writes a string, or an array of strings, as a list.
func (t *Translator) putStrings(attrs *attributes, key string, v langsmith.Raw) {
	if one := v.Text(); len(one) > 0 {
		attrs.PutEmptySlice(key).AppendEmpty().SetStr(t.short(one, maxModel))
		return
	}
	var list pcommon.Slice
	n := 0
	for e := range v.Elements {
		text := e.Text()
		if len(text) == 0 {
			continue
		}
		if n == 0 {
			list = attrs.PutEmptySlice(key)
		}
		if n++; n > maxListLen {
			return
		}
		list.AppendEmpty().SetStr(t.short(text, maxModel))
	}
}
