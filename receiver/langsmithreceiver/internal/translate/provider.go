package translate

import (
	"strings"

	"github.com/otelcol-langsmith/otelcol-langsmith/internal/langsmith"
)

// providers maps what LangSmith's tracers write, in lower case, to gen_ai.provider.name.
var providers = map[string]string{
	"openai":                  "openai",
	"openai.chat":             "openai",
	"openai.responses":        "openai",
	"azure":                   "azure.ai.openai",
	"azure_openai":            "azure.ai.openai",
	"azure-openai":            "azure.ai.openai",
	"azureai":                 "azure.ai.inference",
	"azure_ai":                "azure.ai.inference",
	"anthropic":               "anthropic",
	"anthropic.messages":      "anthropic",
	"google":                  "gcp.gemini",
	"google_genai":            "gcp.gemini",
	"google-genai":            "gcp.gemini",
	"google.generative-ai":    "gcp.gemini",
	"gemini":                  "gcp.gemini",
	"google_vertexai":         "gcp.vertex_ai",
	"google.vertex.chat":      "gcp.vertex_ai",
	"vertexai":                "gcp.vertex_ai",
	"vertex_ai":               "gcp.vertex_ai",
	"google_anthropic_vertex": "gcp.vertex_ai",
	"amazon_bedrock":          "aws.bedrock",
	"amazon-bedrock":          "aws.bedrock",
	"bedrock":                 "aws.bedrock",
	"bedrock_converse":        "aws.bedrock",
	"amazon_bedrock_converse": "aws.bedrock",
	"mistral":                 "mistral_ai",
	"mistralai":               "mistral_ai",
	"cohere":                  "cohere",
	"groq":                    "groq",
	"deepseek":                "deepseek",
	"perplexity":              "perplexity",
	"xai":                     "x_ai",
	"ibm":                     "ibm.watsonx.ai",
	"watsonx":                 "ibm.watsonx.ai",
	"moonshot":                "moonshot_ai",
	"moonshotai":              "moonshot_ai",
}

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
func (t *Translator) provider(run *langsmith.Run, model string) string {
	told := t.meta.provider.Text()
	if len(told) > 0 && len(told) <= 64 {
		if p, ok := knownProvider(told); ok {
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
		if p, ok := providers[strings.ToLower(name)]; ok {
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

// knownProvider looks a value up without caring about case.
func knownProvider(told langsmith.Text) (string, bool) {
	var lower [64]byte
	for i, c := range told {
		if c-'A' < 26 {
			c |= 0x20
		}
		lower[i] = c
	}
	p, ok := providers[string(lower[:len(told)])]
	return p, ok
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
