package traffic

import "github.com/otelcol-langsmith/otelcol-langsmith/cmd/langsmithsim/internal/store"

// model is a model as its users name it and as it answers, with list prices.
type model struct {
	provider string // ls_provider as LangChain and the SDK wrappers write it
	semconv  string // provider by the OpenTelemetry GenAI conventions
	request  string // as asked for
	response string // as the answer names it; empty when it does not
	class    string // LangChain class
	// Prices per token. A cached token costs cacheRead or cacheWrite in place of input.
	input, output, cacheRead, cacheWrite store.Money
	reasoning                            bool
	embedding                            bool
}

// usd is a price per million tokens in millionths of a dollar, which is the same number of [store.Money] units
// per token.
func usd(microPerMillion int64) store.Money { return store.Money(microPerMillion) }

var (
	gpt41mini  = &model{provider: "openai", semconv: "openai", request: "gpt-4.1-mini", response: "gpt-4.1-mini-2025-04-14", class: "ChatOpenAI", input: usd(400_000), output: usd(1_600_000), cacheRead: usd(100_000)}
	gpt41      = &model{provider: "openai", semconv: "openai", request: "gpt-4.1", response: "gpt-4.1-2025-04-14", class: "ChatOpenAI", input: usd(2_000_000), output: usd(8_000_000), cacheRead: usd(500_000)}
	gpt5       = &model{provider: "openai", semconv: "openai", request: "gpt-5", response: "gpt-5-2025-08-07", class: "ChatOpenAI", input: usd(1_250_000), output: usd(10_000_000), cacheRead: usd(125_000), reasoning: true}
	gpt5mini   = &model{provider: "openai", semconv: "openai", request: "gpt-5-mini", response: "gpt-5-mini-2025-08-07", class: "ChatOpenAI", input: usd(250_000), output: usd(2_000_000), cacheRead: usd(25_000), reasoning: true}
	gptInstr   = &model{provider: "openai", semconv: "openai", request: "gpt-3.5-turbo-instruct", response: "gpt-3.5-turbo-instruct", class: "OpenAI", input: usd(1_500_000), output: usd(2_000_000)}
	embedSmall = &model{provider: "openai", semconv: "openai", request: "text-embedding-3-small", class: "OpenAIEmbeddings", input: usd(20_000), embedding: true}
	azure4o    = &model{provider: "azure", semconv: "azure.ai.openai", request: "gpt-4o", response: "gpt-4o-2024-11-20", class: "AzureChatOpenAI", input: usd(2_500_000), output: usd(10_000_000), cacheRead: usd(1_250_000)}
	sonnet     = &model{provider: "anthropic", semconv: "anthropic", request: "claude-sonnet-4-5", response: "claude-sonnet-4-5-20250929", class: "ChatAnthropic", input: usd(3_000_000), output: usd(15_000_000), cacheRead: usd(300_000), cacheWrite: usd(3_750_000)}
	haiku      = &model{provider: "anthropic", semconv: "anthropic", request: "claude-haiku-4-5", response: "claude-haiku-4-5-20251001", class: "ChatAnthropic", input: usd(1_000_000), output: usd(5_000_000), cacheRead: usd(100_000), cacheWrite: usd(1_250_000)}
	flash      = &model{provider: "google_genai", semconv: "gcp.gemini", request: "gemini-2.5-flash", response: "gemini-2.5-flash", class: "ChatGoogleGenerativeAI", input: usd(300_000), output: usd(2_500_000), cacheRead: usd(30_000), reasoning: true}
	geminiPro  = &model{provider: "google_vertexai", semconv: "gcp.vertex_ai", request: "gemini-2.5-pro", response: "gemini-2.5-pro", class: "ChatVertexAI", input: usd(1_250_000), output: usd(10_000_000), cacheRead: usd(125_000), reasoning: true}
	flashNat   = &model{provider: "google", semconv: "gcp.gemini", request: "gemini-2.5-flash", response: "gemini-2.5-flash", class: "Gemini", input: usd(300_000), output: usd(2_500_000), cacheRead: usd(30_000), reasoning: true}
	bedrock    = &model{provider: "amazon_bedrock", semconv: "aws.bedrock", request: "anthropic.claude-sonnet-4-5-20250929-v1:0", class: "ChatBedrockConverse", input: usd(3_300_000), output: usd(16_500_000), cacheRead: usd(330_000), cacheWrite: usd(4_125_000)}
	mistral    = &model{provider: "mistralai", semconv: "mistral_ai", request: "mistral-large-latest", response: "mistral-large-2411", class: "ChatMistralAI", input: usd(2_000_000), output: usd(6_000_000)}
)

var allModels = []*model{gpt41mini, gpt41, gpt5, gpt5mini, gptInstr, embedSmall, azure4o, sonnet, haiku, flash, geminiPro, flashNat, bedrock, mistral}

// usage prices a call.
func (m *model) usage(input, output, cacheRead, cacheWrite, reasoning int64) *store.Usage {
	u := &store.Usage{Input: input, Output: output, Priced: true}
	u.InputCost = store.Money(input-cacheRead-cacheWrite)*m.input + store.Money(cacheRead)*m.cacheRead + store.Money(cacheWrite)*m.cacheWrite
	u.OutputCost = store.Money(output) * m.output
	if cacheRead > 0 {
		u.InputDetails = append(u.InputDetails, store.Detail{Key: "cache_read", Tokens: cacheRead, Cost: store.Money(cacheRead) * m.cacheRead})
	}
	if cacheWrite > 0 {
		u.InputDetails = append(u.InputDetails, store.Detail{Key: "cache_creation", Tokens: cacheWrite, Cost: store.Money(cacheWrite) * m.cacheWrite})
	}
	if reasoning > 0 {
		u.OutputDetails = append(u.OutputDetails, store.Detail{Key: "reasoning", Tokens: reasoning, Cost: store.Money(reasoning) * m.output})
	}
	return u
}

// Price prices a usage that an SDK reported without a cost, by the model's name as asked for or as answered. It
// leaves the usage alone when the model is not known.
func Price(name string, u *store.Usage) {
	for _, m := range allModels {
		if name != m.request && name != m.response {
			continue
		}
		priced := m.usage(u.Input, u.Output, u.CacheRead(), u.CacheWrite(), 0)
		u.InputCost, u.OutputCost, u.Priced = priced.InputCost, priced.OutputCost, true
		return
	}
}

// Provider is the name that the OpenTelemetry GenAI conventions have for what ls_provider says.
func Provider(ls string) string {
	for _, m := range allModels {
		if m.provider == ls {
			return m.semconv
		}
	}
	switch ls {
	case "azure_openai":
		return "azure.ai.openai"
	case "bedrock", "bedrock_converse", "amazon_bedrock_converse":
		return "aws.bedrock"
	case "vertexai":
		return "gcp.vertex_ai"
	case "mistral":
		return "mistral_ai"
	}
	return ls
}
