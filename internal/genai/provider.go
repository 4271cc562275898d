package genai

import "strings"

// FoldProvider returns the conventions' name of a provider, whatever the case and the spelling of name; empty for a name
// that is not known as one of a provider or a framework.
func FoldProvider(name string) string {
	folded, _ := foldProvider(name)
	if _, _, known := knownProvider(folded); !known {
		return ""
	}
	return folded
}

// foldProvider maps the name of a provider to the conventions'. Names that are not known are kept.
// framework is true for names of frameworks that are no provider.
func foldProvider(name string) (folded string, framework bool) {
	if folded, framework, ok := knownProvider(name); ok {
		return folded, framework
	}
	var buf [32]byte
	if trimmed := strings.TrimSpace(name); len(trimmed) <= len(buf) {
		lower := buf[:len(trimmed)]
		for i := range lower {
			c := trimmed[i]
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			lower[i] = c
		}
		if folded, framework, ok := knownProvider(string(lower)); ok { // does not escape, so does not allocate
			return folded, framework
		}
		// The Vercel AI SDK adds the API: openai.chat.
		for i, c := range lower {
			if c == '.' {
				if folded, _, ok := knownProvider(string(lower[:i])); ok && !reserved(name) {
					return folded, false
				}
				break
			}
		}
	}
	return name, false
}

// reserved reports names that look like a provider and its API but are names of their own.
func reserved(name string) bool {
	return strings.HasPrefix(name, "azure.") || strings.HasPrefix(name, "aws.") || strings.HasPrefix(name, "ibm.")
}

func knownProvider(name string) (folded string, framework, ok bool) {
	switch name {
	case "openai":
		folded = "openai"
	case "anthropic", "claude":
		folded = "anthropic"
	case "azure.ai.openai", "azure", "az.ai.openai", "azure_openai", "azure-openai", "azure.chat", "azure.responses",
		"azure-openai.chat", "azure-openai.responses":
		folded = "azure.ai.openai"
	case "azure.ai.inference", "az.ai.inference", "azure_ai", "azureai":
		folded = "azure.ai.inference"
	case "aws.bedrock", "aws", "bedrock", "aws_bedrock", "aws-bedrock", "amazon_bedrock", "amazon-bedrock",
		"bedrock_converse", "amazon_bedrock_converse":
		folded = "aws.bedrock"
	case "gcp.vertex_ai", "vertex_ai", "vertexai", "google_vertexai", "google_anthropic_vertex", "google.vertex",
		"google.vertex.chat":
		folded = "gcp.vertex_ai"
	case "gcp.gemini", "gemini", "google_genai", "google.generative-ai":
		folded = "gcp.gemini"
	case "gcp.gen_ai", "google":
		folded = "gcp.gen_ai"
	case "mistral_ai", "mistralai", "mistral":
		folded = "mistral_ai"
	case "x_ai", "xai", "grok":
		folded = "x_ai"
	case "ibm.watsonx.ai", "watsonx", "ibm":
		folded = "ibm.watsonx.ai"
	case "cohere":
		folded = "cohere"
	case "groq":
		folded = "groq"
	case "deepseek":
		folded = "deepseek"
	case "perplexity", "perplexity-ai", "sonar":
		folded = "perplexity"
	case "moonshot_ai", "moonshot", "moonshotai", "kimi":
		folded = "moonshot_ai"
	case "langchain":
		folded, framework = "langchain", true
	case "llamaindex":
		folded, framework = "llamaindex", true
	case "crewai":
		folded, framework = "crewai", true
	case "strands-agents":
		folded, framework = "strands-agents", true
	case "agno":
		folded, framework = "agno", true
	case "haystack":
		folded, framework = "haystack", true
	case "pi":
		folded, framework = "pi", true
	case "litellm":
		folded, framework = "litellm", true
	default:
		return "", false, false
	}
	return folded, framework, true
}

// modelFamilies are beginnings of model names that only one provider uses.
var modelFamilies = []struct{ prefix, provider string }{
	{"gpt-", "openai"},
	{"chatgpt-", "openai"},
	{"o1", "openai"},
	{"o3", "openai"},
	{"o4", "openai"},
	{"text-embedding-3", "openai"},
	{"text-embedding-ada", "openai"},
	{"claude-", "anthropic"},
	{"gemini-", "gcp.gemini"},
	{"models/gemini-", "gcp.gemini"},
	{"command-", "cohere"},
	{"embed-english-", "cohere"},
	{"embed-multilingual-", "cohere"},
	{"mistral-", "mistral_ai"},
	{"ministral-", "mistral_ai"},
	{"codestral-", "mistral_ai"},
	{"magistral-", "mistral_ai"},
	{"deepseek-", "deepseek"},
	{"grok-", "x_ai"},
	{"sonar", "perplexity"},
	{"kimi-", "moonshot_ai"},
	{"moonshot-", "moonshot_ai"},
	{"anthropic.", "aws.bedrock"},
	{"amazon.", "aws.bedrock"},
	{"meta.llama", "aws.bedrock"},
	{"cohere.", "aws.bedrock"},
	{"us.", "aws.bedrock"},
	{"eu.", "aws.bedrock"},
	{"apac.", "aws.bedrock"},
	{"global.", "aws.bedrock"},
	{"arn:aws:bedrock:", "aws.bedrock"},
}

// providerOfModel guesses the provider by the name of the model; empty when there is no safe guess.
func providerOfModel(model string) string {
	for i := range modelFamilies {
		if strings.HasPrefix(model, modelFamilies[i].prefix) {
			return modelFamilies[i].provider
		}
	}
	// Gateways write provider/model.
	if at := strings.IndexByte(model, '/'); at > 0 {
		if folded, framework, ok := knownProvider(model[:at]); ok && !framework {
			return folded
		}
	}
	return ""
}

// provider decides who served the call.
func (s *scan) provider(kind Kind) string {
	if s.textAt(slotProvider) != "" {
		return s.textAt(slotProvider)
	}
	if system, vendor := s.textAt(slotSystem), s.textAt(slotVendor); system != "" || vendor != "" {
		return foldPair(system, vendor)
	}
	if kind.ModelCall() {
		if guess := providerOfModel(s.textAt(slotRequestModel)); guess != "" {
			return guess
		}
		if guess := providerOfModel(s.textAt(slotResponseModel)); guess != "" {
			return guess
		}
	}
	return s.textAt(slotFramework)
}

// foldPair maps OpenInference's pair, where the system is the maker of the API and the vendor is who hosts it.
// Both are folded already.
func foldPair(system, vendor string) string {
	switch {
	case vendor == "azure.ai.openai" && (system == "openai" || system == ""):
		return "azure.ai.openai"
	case vendor == "aws.bedrock":
		return "aws.bedrock"
	case vendor == "gcp.gen_ai" && system != "gcp.gemini":
		return "gcp.vertex_ai"
	case system != "":
		return system
	}
	return vendor
}
