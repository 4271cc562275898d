package translate

import (
	"strings"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/genai"
	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// hints tell a provider by a part of a class name or a model. The first that fits decides: a platform that
// serves models of others stands before those.
var hints = []struct{ part, provider string }{
	{"azurechatopenai", "azure.ai.openai"},
	{"azure_openai", "azure.ai.openai"},
	{"azureopenai", "azure.ai.openai"},
	{"azure", "azure.ai.inference"},
	{"bedrock", "aws.bedrock"},
	{"anthropic.claude", "aws.bedrock"},
	{"amazon.nova", "aws.bedrock"},
	{"amazon.titan", "aws.bedrock"},
	{"vertex", "gcp.vertex_ai"},
	{"groq", "groq"},
	{"watson", "ibm.watsonx.ai"},
	{"anthropic", "anthropic"},
	{"claude", "anthropic"},
	{"cohere", "cohere"},
	{"command-r", "cohere"},
	{"deepseek", "deepseek"},
	{"gemini", "gcp.gemini"},
	{"google", "gcp.gemini"},
	{"mistral", "mistral_ai"},
	{"mixtral", "mistral_ai"},
	{"perplexity", "perplexity"},
	{"sonar", "perplexity"},
	{"moonshot", "moonshot_ai"},
	{"kimi", "moonshot_ai"},
	{"grok", "x_ai"},
	{"xai", "x_ai"},
	{"openai", "openai"},
	{"gpt-", "openai"},
	{"text-embedding-", "openai"},
}

// provider is who serves the model, "" when nothing tells. Tracers that do not know write the class name of
// the model object, which says nothing to anybody, so that is only a hint.
func (t *translation) provider(run *langsmith.Run, model string) string {
	told := t.meta.provider.Text()
	if len(told) > 0 && len(told) <= 64 {
		if p := knownProvider(t.strings.intern(told)); p != "" {
			return p
		}
		if !isClassName(told) {
			if name := cleanToken(told, false); name != "" {
				return t.strings.internBytes([]byte(name))
			}
		}
	}
	if p := guessProvider(string(clipText(told, 128))); p != "" {
		return p
	}
	// The AI SDK names its calls "openai.chat".
	if name, _, ok := strings.Cut(string(clipText(run.Name, 64)), "."); ok {
		if p := knownProvider(name); p != "" {
			return p
		}
	}
	for id := range run.Serialized.Get("id").Elements {
		if p := guessProvider(string(clipText(id.Text(), 128))); p != "" {
			return p
		}
	}
	return guessProvider(model)
}

// knownProvider maps what LangSmith's tracers write to gen_ai.provider.name; empty for what is not known.
func knownProvider(told string) string {
	if strings.EqualFold(told, "google-genai") {
		return "gcp.gemini"
	}
	folded := genai.FoldProvider(told)
	if folded == "gcp.gen_ai" && !strings.EqualFold(told, folded) {
		if strings.Contains(strings.ToLower(told), "vertex") {
			return "gcp.vertex_ai"
		}
		// Elsewhere "google" may be Vertex AI as well; LangSmith's wrappers mean Gemini and have another name for that.
		return "gcp.gemini"
	}
	return folded
}

// guessProvider tells a provider by hints.
func guessProvider(name string) string {
	if name == "" {
		return ""
	}
	name = strings.ToLower(name)
	for _, h := range hints {
		if strings.Contains(name, h.part) {
			return h.provider
		}
	}
	return ""
}

// isClassName reports whether a provider looks like the name of a class, such as FakeListChatModel.
func isClassName(s langsmith.Text) bool {
	if len(s) == 0 || s[0]-'A' >= 26 {
		return false
	}
	humps := 0
	for i, c := range s {
		if !isWord(c) {
			return false
		}
		if c-'A' < 26 && (i == 0 || s[i-1]-'a' < 26) {
			humps++
		}
	}
	return humps > 1
}
