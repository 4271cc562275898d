package genai

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

func TestCandidates(t *testing.T) {
	for model, want := range map[string]string{
		"":                        "",
		"gpt-4.1":                 "gpt-4.1",
		"gpt-4-0613":              "gpt-4-0613",
		" GPT-4o ":                "gpt-4o",
		"gpt-4o-2024-05-13":       "gpt-4o-2024-05-13 gpt-4o",
		"claude-3-5-haiku-latest": "claude-3-5-haiku-latest claude-3-5-haiku",
		"us.anthropic.claude-3-5-sonnet-20241022-v2:0": "us.anthropic.claude-3-5-sonnet-20241022-v2:0 " +
			"anthropic.claude-3-5-sonnet-20241022-v2:0 claude-3-5-sonnet-20241022-v2:0 claude-3-5-sonnet-20241022-v2 " +
			"claude-3-5-sonnet-20241022 claude-3-5-sonnet",
		"arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0:300k": "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0:300k " +
			"amazon.nova-pro-v1:0:300k nova-pro-v1:0:300k nova-pro-v1 nova-pro",
		"global.anthropic.claude-haiku-4-5-20251001-v1:0": "global.anthropic.claude-haiku-4-5-20251001-v1:0 claude-haiku-4-5-20251001-v1:0 claude-haiku-4-5-20251001-v1 claude-haiku-4-5-20251001 claude-haiku-4-5",
		"claude-sonnet-4@20250514":                        "claude-sonnet-4@20250514 claude-sonnet-4",
		"anthropic/claude-3.7-sonnet":                     "anthropic/claude-3.7-sonnet claude-3.7-sonnet claude-3-7-sonnet",
		"models/gemini-2.0-flash-001":                     "models/gemini-2.0-flash-001 gemini-2.0-flash-001 gemini-2.0-flash",
		"deepseek/deepseek-chat:free":                     "deepseek/deepseek-chat:free deepseek-chat:free",
		"llama3.1:8b":                                     "llama3.1:8b",
		"text-embedding-ada-002":                          "text-embedding-ada-002 text-embedding-ada",
		"ft:gpt-4o-2024-08-06:acme::1":                    "ft:gpt-4o-2024-08-06:acme::1",
		"a/":                                              "a/",
		"-latest":                                         "-latest",
		"@":                                               "@",
	} {
		assert.Equal(t, want, strings.Join(candidates(model), " "), model)
	}
}

func TestPriceMatches(t *testing.T) {
	for _, test := range []struct {
		row             ModelPrice
		provider, model string
		want            bool
	}{
		{ModelPrice{Model: "M"}, "p", "m", true},
		{ModelPrice{Model: "m"}, "p", "m2", false},
		{ModelPrice{Model: "m", Providers: []string{"OpenAI", "q"}}, "openai", "m", true},
		{ModelPrice{Model: "m", Providers: []string{"openai", "q"}}, "p", "m", false},
		{ModelPrice{Model: "m", Providers: []string{"openai", "q"}}, "", "m", false},
		{ModelPrice{Model: "a*c"}, "p", "a/b/c", true},
		{ModelPrice{Model: "a*c"}, "p", "xa/b/c", false},
		{ModelPrice{Model: "a[bc]?"}, "p", "acd", true},
		{ModelPrice{Model: "*"}, "", "", true},
		{ModelPrice{Regex: "gpt-(4|5)"}, "p", "gpt-5", true},
		{ModelPrice{Regex: "GPT-5|x"}, "p", "gpt-5", true},
		{ModelPrice{Regex: "gpt-5|x"}, "p", "gpt-5-mini", false},
		{ModelPrice{Regex: "gpt-5"}, "p", "my-gpt-5", false},
	} {
		test.row.Input = usd(1)
		row, err := test.row.row()
		require.NoError(t, err)
		assert.Equal(t, test.want, row.matches(test.provider, test.model), "%+v %s", test.row, test.model)
	}
}

// FuzzCandidates holds that a name is always its own first candidate, and that the others are its parts.
func FuzzCandidates(f *testing.F) {
	for _, seed := range []string{"gpt-4o-2024-05-13", "arn:aws:bedrock:us-east-1:1:x/us.anthropic.claude-v2:1", "a/b@c:0-v1-latest-001", "-v", "//", ":::", "claude-3.5"} {
		f.Add(seed, "us."+seed)
	}
	table := priceTable(f, DefaultPriceConfig())
	f.Fuzz(func(t *testing.T, name, provider string) {
		names := candidates(name)
		require.LessOrEqual(t, len(names), 17)
		if lowered(name) != "" {
			require.Equal(t, lowered(name), names[0])
		}
		for i, candidate := range names {
			require.NotEmpty(t, candidate)
			require.False(t, slices.Contains(names[:i], candidate))
			require.True(t, strings.Contains(lowered(name), candidate) || strings.HasPrefix(candidate, "claude-"))
		}
		call := chat(provider, name, 10, 10)
		switch table.Price(&call, pcommon.Map{}) {
		case PricingTable:
			require.Positive(t, call.Cost)
		case PricingUnknownModel:
			require.Zero(t, call.Cost)
		default:
			t.Fatal("neither priced nor not")
		}
	})
}

// FuzzPriceFile holds that any content is either refused in one line or prices calls without nonsense.
func FuzzPriceFile(f *testing.F) {
	f.Add([]byte(`{"prices":[{"model":"m","input":1,"output":2,"tiers":[{"above":5,"input":3}]}]}`))
	f.Add([]byte("prices:\n- regex: 'm|n'\n  input: 0.5\n  output: 1e3\n  until: 2026-01-01\n"))
	f.Add([]byte("prices: [{model: 'm*', input: .nan}]"))
	f.Add([]byte("prices: &a [*a]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := parsePrices(content)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.NotEmpty(t, file.rows)
		call := chat("p", "m", 1000, 1000)
		call.CacheReadTokens, call.CacheWriteTokens, call.ReasoningTokens = 10, 20, 30
		for _, row := range file.rows {
			row.matches("p", "m")
			cost := row.cost(&call, usageParts{5, 5, 5})
			require.True(t, 0 <= cost && cost <= 1e3, "%v", cost)
		}
	})
}
