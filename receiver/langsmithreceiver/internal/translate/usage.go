package translate

import (
	"bytes"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// usage is what one model call used, as tracers write it.
type usage struct {
	input, output                langsmith.Count
	cacheRead, cacheWrite        int64
	reasoning                    int64
	audioInput, audioOutput      int64
	inputCost, outputCost, costs langsmith.Number
	inputDetails, outputDetails  bool
	// Counts that the provider gives beside input and output instead of as parts of them.
	exclusiveRead, exclusiveWritten, exclusiveReasoning int64
}

// usage writes tokens and cost of a model call. LangSmith's own columns come first: what tracers wrote is only
// the fallback. Parents never get here: their columns hold the sums of their children.
func (t *translation) usage(run *langsmith.Run, op operation, attrs *attributes, notes *Notes) {
	var u usage
	read := false
	told := func() *usage {
		if !read {
			read = true
			u.readObject(t.index, t.meta.usage)
			if !u.known() && t.readsOutputs() {
				u.find(t.index, run.Outputs, 0)
			}
			u.finish()
		}
		return &u
	}

	input, output := run.PromptTokens, run.CompletionTokens
	if input.Value == 0 && output.Value == 0 {
		// LangSmith writes 0 for "not known".
		input, output = told().input, told().output
	}
	putTokens(attrs, keyInputTokens, input, notes)
	if op.class == classModel || output.Value != 0 { // an embedding has no output
		putTokens(attrs, keyOutputTokens, output, notes)
	}

	var details usage
	details.readInputDetails(t.index, run.PromptTokenDetails)
	details.readOutputDetails(t.index, run.CompletionTokenDetails)
	if !details.inputDetails {
		u := told()
		details.cacheRead, details.cacheWrite, details.audioInput = u.cacheRead, u.cacheWrite, u.audioInput
	}
	if !details.outputDetails {
		u := told()
		details.reasoning, details.audioOutput = u.reasoning, u.audioOutput
	}
	putDetail(attrs, keyCacheReadTokens, details.cacheRead, notes)
	putDetail(attrs, keyCacheCreationTokens, details.cacheWrite, notes)
	putDetail(attrs, keyReasoningTokens, details.reasoning, notes)
	putDetail(attrs, keyAudioInputTokens, details.audioInput, notes)
	putDetail(attrs, keyAudioOutputTokens, details.audioOutput, notes)

	prompt, completion, total := run.PromptCost, run.CompletionCost, run.TotalCost
	if !prompt.Valid && !completion.Valid && !total.Valid {
		prompt, completion, total = told().inputCost, told().outputCost, told().costs
	}
	if !total.Valid && (prompt.Valid || completion.Valid) {
		total = langsmith.Number{Value: prompt.Value + completion.Value, Valid: true}
	}
	if total.Value == 0 && prompt.Value == 0 && completion.Value == 0 && input.Value == 0 && output.Value == 0 {
		// Nothing used that is known of: zero means that nobody has put a price on it.
		return
	}
	if putCost(attrs, keyUsageCost, total, notes) {
		putCost(attrs, keyCostTotal, total, notes)
	}
	putCost(attrs, keyCostPrompt, prompt, notes)
	putCost(attrs, keyCostCompletion, completion, notes)
}

// maxTokens is a count that no call reaches: more is an error of the tracer.
const maxTokens = 1 << 40

func putTokens(attrs *attributes, key string, n langsmith.Count, notes *Notes) {
	if !n.Valid {
		return
	}
	if n.Value < 0 || n.Value > maxTokens {
		*notes |= InvalidUsage
		return
	}
	attrs.PutInt(key, n.Value)
}

// putDetail writes a part of the tokens. Zero says nothing that the absence does not say.
func putDetail(attrs *attributes, key string, n int64, notes *Notes) {
	if n != 0 {
		putTokens(attrs, key, langsmith.Count{Value: n, Valid: true}, notes)
	}
}

func putCost(attrs *attributes, key string, n langsmith.Number, notes *Notes) bool {
	if !n.Valid {
		return false
	}
	if n.Value < 0 {
		*notes |= InvalidUsage
		return false
	}
	attrs.PutDouble(key, n.Value)
	return true
}

// known reports whether anything was found.
func (u *usage) known() bool { return u.input.Valid || u.output.Valid }

// readObject reads one usage object of any tracer: LangSmith's usage_metadata, and what OpenAI, Anthropic,
// Gemini, LangChain.js and the AI SDK call usage.
func (u *usage) readObject(x *langsmith.Index, object langsmith.Raw) {
	for k, v := range x.Members(object) {
		switch string(k) {
		case "input_tokens", "prompt_tokens", "inputTokens", "promptTokens", "promptTokenCount", "prompt_token_count":
			u.input = tokenCount(v)
		case "output_tokens", "completion_tokens", "outputTokens", "completionTokens", "candidatesTokenCount", "candidates_token_count":
			u.output = tokenCount(v)
		case "input_token_details", "inputTokenDetails", "prompt_tokens_details", "promptTokensDetails", "input_tokens_details":
			u.readInputDetails(x, v)
		case "output_token_details", "outputTokenDetails", "completion_tokens_details", "completionTokensDetails", "output_tokens_details":
			u.readOutputDetails(x, v)
		case "cachedInputTokens", "cachedContentTokenCount", "cached_content_token_count":
			u.cacheRead = v.Count().Value
		case "reasoningTokens":
			u.reasoning = v.Count().Value
		case "thoughtsTokenCount", "thoughts_token_count":
			u.exclusiveReasoning = v.Count().Value
		case "cache_read_input_tokens":
			u.exclusiveRead = v.Count().Value
		case "cache_creation_input_tokens":
			u.exclusiveWritten = v.Count().Value
		case "input_cost":
			u.inputCost = v.Number()
		case "output_cost":
			u.outputCost = v.Number()
		case "total_cost":
			u.costs = v.Number()
		}
	}
}

// finish folds in what other counts do not include: the cache in Anthropic's own usage object, the thoughts in
// Gemini's.
func (u *usage) finish() {
	if u.exclusiveReasoning > 0 && u.output.Valid {
		u.output.Value += u.exclusiveReasoning
		u.reasoning = u.exclusiveReasoning
	}
	read, written := max(u.exclusiveRead, 0), max(u.exclusiveWritten, 0)
	if read+written > 0 && u.input.Valid && !u.inputDetails {
		u.input.Value += read + written
		u.cacheRead, u.cacheWrite = read, written
	}
}

// tokenCount reads a count, or the total of the AI SDK's breakdown.
func tokenCount(v langsmith.Raw) langsmith.Count {
	if v.Kind() == langsmith.KindObject {
		return v.Get("total").Count()
	}
	return v.Count()
}

// readInputDetails sums the buckets of the input. A service tier or a context tier is part of a bucket's name,
// as in flex_cache_read or cache_read_over_200k, and its tokens are in no other bucket.
func (u *usage) readInputDetails(x *langsmith.Index, details langsmith.Raw) {
	var ephemeral int64
	for k, v := range x.Members(details) {
		n := v.Count().Value
		switch {
		case bytes.Contains(k, []byte("cache_read")), bytes.Contains(k, []byte("cached")), string(k) == "cacheReadTokens", string(k) == "cacheRead":
			u.cacheRead += n
		case bytes.Contains(k, []byte("cache_creation")), bytes.Contains(k, []byte("cache_write")), string(k) == "cacheWriteTokens", string(k) == "cacheWrite":
			u.cacheWrite += n
		case bytes.Contains(k, []byte("ephemeral")):
			ephemeral += n
		case bytes.Contains(k, []byte("audio")):
			u.audioInput += n
		}
		u.inputDetails = true
	}
	if u.cacheWrite == 0 {
		// Split by lifetime instead of in one sum.
		u.cacheWrite = ephemeral
	}
}

// readOutputDetails sums the buckets of the output.
func (u *usage) readOutputDetails(x *langsmith.Index, details langsmith.Raw) {
	for k, v := range x.Members(details) {
		n := v.Count().Value
		switch {
		case bytes.Contains(k, []byte("reasoning")):
			u.reasoning += n
		case bytes.Contains(k, []byte("audio")):
			u.audioOutput += n
		}
		u.outputDetails = true
	}
}

// find looks for a usage object in the places where tracers leave it in the outputs.
func (u *usage) find(x *langsmith.Index, outputs langsmith.Raw, depth int) {
	var plain, wrapped, generations langsmith.Raw
	for k, v := range x.Members(outputs) {
		switch string(k) {
		case "usage_metadata", "usageMetadata":
			if v.Kind() == langsmith.KindObject {
				u.readObject(x, v)
				return
			}
		case "usage", "totalUsage":
			plain = v
		case "llm_output", "llmOutput":
			for _, key := range [...]string{"token_usage", "tokenUsage", "usage", "estimatedTokenUsage"} {
				if found := x.Get(v, key); found != nil {
					plain = found
					break
				}
			}
		case "generations":
			generations = v
		case "message", "kwargs", "output", "outputs", "response":
			if v.Kind() == langsmith.KindObject {
				wrapped = v
			}
		}
	}
	u.addGenerations(x, generations)
	if !u.known() && wrapped != nil && depth < 4 {
		u.find(x, wrapped, depth+1)
	}
	if !u.known() {
		u.readObject(x, plain)
	}
}

// addGenerations sums the usage of each prompt of a batch; the alternatives of one prompt share theirs.
func (u *usage) addGenerations(x *langsmith.Index, generations langsmith.Raw) {
	for prompt := range x.Elements(generations) {
		for generation := range (alternatives{x, prompt}).all {
			message := x.Get(generation, "message")
			found := x.Get(message, "kwargs", "usage_metadata")
			if found == nil {
				found = x.Get(message, "usage_metadata")
			}
			if found == nil {
				continue
			}
			var one usage
			one.readObject(x, found)
			one.finish()
			u.add(&one)
			break
		}
	}
}

func (u *usage) add(o *usage) {
	u.input.Value += o.input.Value
	u.input.Valid = u.input.Valid || o.input.Valid
	u.output.Value += o.output.Value
	u.output.Valid = u.output.Valid || o.output.Valid
	u.cacheRead += o.cacheRead
	u.cacheWrite += o.cacheWrite
	u.reasoning += o.reasoning
	u.audioInput += o.audioInput
	u.audioOutput += o.audioOutput
	u.inputDetails = u.inputDetails || o.inputDetails
	u.outputDetails = u.outputDetails || o.outputDetails
}

// readsOutputs reports whether the outputs may be looked at.
func (t *Translator) readsOutputs() bool {
	return t.settings.ResponseDetails || t.settings.Capture == CaptureFull
}
