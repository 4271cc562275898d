package genai

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

func usd(v float64) *float64 { return &v }

func at(text string) pcommon.Timestamp {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return pcommon.NewTimestampFromTime(t)
}

// chat is a call of a model at the date of the built-in prices.
func chat(provider, model string, input, output int64) Call {
	end := at("2025-12-31T12:00:00Z")
	return Call{
		Kind: KindInference, Provider: provider, RequestModel: model, InputTokens: input, OutputTokens: output,
		CacheReadTokens: Absent, CacheWriteTokens: Absent, ReasoningTokens: Absent, Start: end - 1e9, End: end,
	}
}

func priceTable(t testing.TB, c PriceConfig) *PriceTable {
	t.Helper()
	table, err := NewPriceTable(c)
	require.NoError(t, err)
	return table
}

func only(models ...ModelPrice) PriceConfig { return PriceConfig{Enabled: true, Models: models} }

// TestBuiltinPrices prices calls whose cost was worked out by hand from the price pages.
func TestBuiltinPrices(t *testing.T) {
	table := priceTable(t, DefaultPriceConfig())
	assert.Equal(t, "2025-12-31", table.AsOf())
	with := func(c Call, change func(*Call)) Call { change(&c); return c }
	for name, test := range map[string]struct {
		call Call
		want float64
	}{
		"plain":        {chat("openai", "gpt-4o-2024-08-06", 1_000_000, 100_000), 3.5},
		"dated":        {chat("openai", "gpt-4o-2024-05-13", 1_000_000, 100_000), 6.5},
		"cached":       {with(chat("openai", "gpt-4.1-mini", 1000, 10), func(c *Call) { c.CacheReadTokens = 400 }), (600*0.4 + 400*0.1 + 10*1.6) / 1e6},
		"reasoning":    {with(chat("openai", "o3", 1000, 500), func(c *Call) { c.ReasoningTokens = 450 }), (1000*2 + 500*8) / 1e6},
		"before":       {with(chat("openai", "o3", 1000, 500), func(c *Call) { c.End = at("2025-06-09T23:59:59Z") }), (1000*10 + 500*40) / 1e6},
		"azure":        {with(chat("azure.ai.openai", "our-deployment", 1000, 500), func(c *Call) { c.ResponseModel = "gpt-4o-mini-2024-07-18" }), (1000*0.15 + 500*0.6) / 1e6},
		"anthropic":    {with(chat("anthropic", "claude-sonnet-4-5-20250929", 10_000, 100), func(c *Call) { c.CacheReadTokens, c.CacheWriteTokens = 8000, 1000 }), (1000*3 + 8000*0.3 + 1000*3.75 + 100*15) / 1e6},
		"long":         {chat("anthropic", "claude-sonnet-4-20250514", 200_001, 100), (200_001*6 + 100*22.5) / 1e6},
		"not long":     {chat("anthropic", "claude-sonnet-4-20250514", 200_000, 100), (200_000*3 + 100*15) / 1e6},
		"bedrock":      {chat("aws.bedrock", "us.anthropic.claude-3-5-sonnet-20241022-v2:0", 1000, 100), (1000*3 + 100*15) / 1e6},
		"bedrock arn":  {chat("aws.bedrock", "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/global.anthropic.claude-haiku-4-5-20251001-v1:0", 1000, 100), (1000*1 + 100*5) / 1e6},
		"regional":     {chat("aws.bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0", 1000, 100), (1000*1.1 + 100*5.5) / 1e6},
		"in region":    {chat("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", 1000, 100), (1000*3.3 + 100*16.5) / 1e6},
		"nova":         {chat("aws.bedrock", "amazon.nova-lite-v1:0", 1000, 100), (1000*0.06 + 100*0.24) / 1e6},
		"titan":        {with(chat("aws.bedrock", "amazon.titan-embed-text-v2:0", 1000, Absent), func(c *Call) { c.Kind = KindEmbeddings }), 1000 * 0.02 / 1e6},
		"vertex":       {chat("gcp.vertex_ai", "claude-3-5-sonnet-v2@20241022", 1000, 100), (1000*3 + 100*15) / 1e6},
		"gemini":       {chat("gcp.gemini", "models/gemini-2.0-flash-001", 1000, 100), (1000*0.1 + 100*0.4) / 1e6},
		"publisher":    {chat("gcp.vertex_ai", "projects/p/locations/l/publishers/google/models/gemini-2.5-pro", 200_001, 100), (200_001*2.5 + 100*15) / 1e6},
		"mistral":      {chat("mistral_ai", "mistral-large-latest", 1000, 100), (1000*0.5 + 100*1.5) / 1e6},
		"groq":         {chat("groq", "meta-llama/llama-4-scout-17b-16e-instruct", 1000, 100), (1000*0.11 + 100*0.34) / 1e6},
		"openrouter":   {chat("openrouter", "anthropic/claude-3.7-sonnet", 1000, 100), (1000*3 + 100*15) / 1e6},
		"framework":    {chat("litellm", "azure/gpt-4o", 1000, 100), (1000*2.5 + 100*10) / 1e6},
		"capitals":     {chat("OpenAI", "GPT-4o", 1000, 100), (1000*2.5 + 100*10) / 1e6},
		"night price":  {with(chat("deepseek", "deepseek-chat", 1000, 100), func(c *Call) { c.End = at("2025-09-05T15:59:59Z") }), (1000*0.27 + 100*1.1) / 1e6},
		"no end":       {with(chat("deepseek", "deepseek-chat", 1000, 100), func(c *Call) { c.Start, c.End = 0, 0 }), (1000*0.28 + 100*0.42) / 1e6},
		"only a start": {with(chat("openai", "o3", 1000, 0), func(c *Call) { c.Start, c.End = at("2025-01-01T00:00:00Z"), 0 }), 1000 * 10 / 1e6},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, PricingTable, table.Price(&test.call, pcommon.Map{}))
			assert.Equal(t, CostTable, test.call.CostSource)
			assert.InEpsilon(t, test.want, test.call.Cost, 1e-12)
		})
	}
}

// TestNotPriced holds that a price is not guessed.
func TestNotPriced(t *testing.T) {
	table := priceTable(t, DefaultPriceConfig())
	for name, test := range map[string]struct {
		change func(*Call)
		want   Pricing
	}{
		"successor":        {func(c *Call) { c.RequestModel = "gpt-4o-2" }, PricingUnknownModel},
		"preview":          {func(c *Call) { c.Provider, c.RequestModel = "gcp.gemini", "gemini-2.5-flash-preview-05-20" }, PricingUnknownModel},
		"fine-tuned":       {func(c *Call) { c.RequestModel = "ft:gpt-4o-mini-2024-07-18:org::id" }, PricingUnknownModel},
		"another provider": {func(c *Call) { c.Provider = "ollama" }, PricingUnknownModel},
		"free variant":     {func(c *Call) { c.Provider, c.RequestModel = "openrouter", "deepseek/deepseek-chat:free" }, PricingUnknownModel},
		"local size":       {func(c *Call) { c.Provider, c.RequestModel = "openai", "gpt-4o:8b" }, PricingUnknownModel},
		"no model":         {func(c *Call) { c.RequestModel = "" }, PricingUnknownModel},
		"before its time":  {func(c *Call) { c.Provider, c.RequestModel, c.End = "deepseek", "deepseek-chat", 1e18 }, PricingUnknownModel},
		"embedding chats":  {func(c *Call) { c.RequestModel = "text-embedding-3-small" }, PricingUnknownModel},
		"long name":        {func(c *Call) { c.RequestModel = strings.Repeat("a/", 400) + "gpt-4o" }, PricingUnknownModel},
		"no input":         {func(c *Call) { c.InputTokens = Absent }, PricingNoUsage},
		"no output":        {func(c *Call) { c.OutputTokens = Absent }, PricingNoUsage},
		"nothing used":     {func(c *Call) { c.InputTokens, c.OutputTokens = 0, 0 }, PricingNoUsage},
		"implausible":      {func(c *Call) { c.InputTokens = maxCount }, PricingNoUsage},
		"agent":            {func(c *Call) { c.Kind = KindAgent }, PricingOff},
		"no operation":     {func(c *Call) { c.Kind = KindNone }, PricingOff},
	} {
		t.Run(name, func(t *testing.T) {
			call := chat("openai", "gpt-4o", 1000, 100)
			test.change(&call)
			before := call
			assert.Equal(t, test.want, table.Price(&call, pcommon.Map{}))
			assert.Equal(t, before, call)
		})
	}
	call := chat("openai", "gpt-4o", 1000, 100)
	assert.Equal(t, PricingOff, (*PriceTable)(nil).Price(&call, pcommon.Map{}))
	assert.Empty(t, (*PriceTable)(nil).AsOf())
	off, err := NewPriceTable(PriceConfig{File: "does not matter"})
	require.NoError(t, err)
	assert.Nil(t, off)
}

// TestCostThatIsThereWins holds the order of sources: LangSmith, instrumentation, table; and that nothing is
// priced twice.
func TestCostThatIsThereWins(t *testing.T) {
	table := priceTable(t, DefaultPriceConfig())
	for source, want := range map[CostSource]Pricing{
		CostLangSmith: PricingLangSmith, CostInstrumentation: PricingInstrumentation, CostTable: PricingTable,
	} {
		for _, cost := range []float64{0, 0.25} {
			call := chat("openai", "gpt-4o", 1000, 100)
			call.Cost, call.CostSource = cost, source
			before := call
			assert.Equal(t, want, table.Price(&call, pcommon.Map{}))
			assert.Equal(t, before, call)
		}
	}
}

func TestSourcesInOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prices.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"as_of": "2026-01-01", "prices": [
		{"providers": ["openai"], "model": "gpt-4o*", "input": 20, "output": 20},
		{"model": "gpt-5", "input": 21, "output": 21}
	]}`), 0o600))
	c := DefaultPriceConfig()
	c.File = file
	c.Models = []ModelPrice{
		{Model: "our-deployment", ModelRates: ModelRates{Input: usd(1), Output: usd(1)}},
		{Regex: "gpt-4o-mini(-.*)?", Providers: []string{"Azure"}, ModelRates: ModelRates{Input: usd(2), Output: usd(2)}},
		{Model: "GPT-[4]o-mini", ModelRates: ModelRates{Input: usd(3), Output: usd(3)}},
	}
	price := func(c PriceConfig, provider, request, response string) float64 {
		call := chat(provider, request, 1e6, 0)
		call.ResponseModel = response
		priceTable(t, c).Price(&call, pcommon.Map{})
		return call.Cost
	}
	assert.Equal(t, 1., price(c, "azure.ai.openai", "our-deployment", "gpt-4.1"), "the configuration wins, whichever name it has")
	assert.Equal(t, 2., price(c, "azure.ai.openai", "x", "gpt-4o-mini-2024-07-18"))
	assert.Equal(t, 3., price(c, "openai", "gpt-4o-mini-2024-07-18", ""))
	assert.Equal(t, 20., price(c, "openai", "gpt-4o-2024-05-13", ""))
	assert.Equal(t, 2.5, price(c, "azure.ai.openai", "gpt-4o", ""))
	assert.Equal(t, 21., price(c, "anyone", "gpt-5-2025-08-07", ""))
	assert.Equal(t, 2., price(c, "openai", "x", "gpt-4.1"))
	c.Builtin = false
	assert.Zero(t, price(c, "openai", "x", "gpt-4.1"))
	assert.Empty(t, priceTable(t, c).AsOf())
}

func TestPricesInTime(t *testing.T) {
	model := func(input float64, from, until any) ModelPrice {
		return ModelPrice{Model: "m", From: from, Until: until, ModelRates: ModelRates{Input: usd(input), Output: usd(0)}}
	}
	table := priceTable(t, only(
		model(1, nil, "2026-01-01"),
		model(2, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "2026-02-01T12:00:00+01:00"),
		model(3, "2026-03-01", nil),
	))
	for end, want := range map[string]float64{
		"2001-01-01T00:00:00Z": 1, "2025-12-31T23:59:59Z": 1, "2026-01-01T00:00:00Z": 2, "2026-02-01T10:59:59Z": 2,
		"2026-02-01T11:00:00Z": 0, "2026-02-28T23:59:59Z": 0, "2026-03-01T00:00:00Z": 3,
	} {
		call := chat("", "m", 1e6, 0)
		call.Start, call.End = at("2020-01-01T00:00:00Z"), at(end)
		table.Price(&call, pcommon.Map{})
		assert.Equal(t, want, call.Cost, end)
	}
	assert.Equal(t, int64(2), table.missed(UnpricedModel{"", "m"}).Load(), "calls between two prices are missing one")
}

func TestPartsOfTheUsage(t *testing.T) {
	table := priceTable(t, only(ModelPrice{Model: "m", ModelRates: ModelRates{
		Input: usd(1), Output: usd(2), CacheRead: usd(0.1), CacheWrite: usd(1.25), CacheWrite1h: usd(3),
		AudioInput: usd(10), AudioOutput: usd(20), Reasoning: usd(5),
	}}))
	// 1000 in: 200 read, 300 written of which 100 for an hour, 50 audio; 500 out: 100 thought, 40 audio.
	want := (450*1 + 200*0.1 + 200*1.25 + 100*3 + 50*10 + 360*2 + 100*5 + 40*20) / 1e6
	for name, attributes := range map[string]map[string]any{
		"conventions": {
			"gen_ai.usage.audio.input_tokens": 50, "gen_ai.usage.audio.output_tokens": 40,
			"gen_ai.usage.cache_creation.ephemeral_1h_input_tokens": "100",
		},
		"openinference": {
			"llm.token_count.prompt_details.audio": 50, "llm.token_count.completion_details.audio": 40,
			"gen_ai.usage.details.ephemeral_1h_input_tokens": 100, "gen_ai.usage.audio.input_tokens": 0,
		},
		"langsmith": {
			"langsmith.usage_metadata": `{"input_tokens":1000,"input_token_details":{"audio":50,"ephemeral_1h_input_tokens":100},"output_token_details":{"audio":40}}`,
		},
		"details": {
			"gen_ai.usage.input_token_details":  `{'audio': 50, 'ephemeral_1h_input_tokens': 100}`,
			"gen_ai.usage.output_token_details": `{'audio': 40}`,
		},
		"nonsense too": {
			"gen_ai.usage.audio.input_tokens": 50, "gen_ai.usage.audio.output_tokens": 40,
			"gen_ai.usage.input_token_details": `{"audio": -3, "ephemeral_1h_input_tokens": 1e2, "x": 9}`,
			"langsmith.usage_metadata":         true, "gen_ai.usage.output_token_details": `[[[`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := pcommon.NewMap()
			require.NoError(t, m.FromRaw(attributes))
			call := chat("p", "m", 1000, 500)
			call.CacheReadTokens, call.CacheWriteTokens, call.ReasoningTokens = 200, 300, 100
			require.Equal(t, PricingTable, table.Price(&call, m))
			assert.InEpsilon(t, want, call.Cost, 1e-12)
		})
	}
}

// TestAgainstExactArithmetic prices random calls with random prices, and compares with rational numbers and the
// rule as the documentation puts it.
func TestAgainstExactArithmetic(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	maybe := func() *float64 {
		if random.IntN(2) == 0 {
			return nil
		}
		return usd(float64(random.IntN(100_000)) / 1000)
	}
	someRates := func() ModelRates {
		return ModelRates{
			Input: maybe(), Output: maybe(), CacheRead: maybe(), CacheWrite: maybe(), CacheWrite1h: maybe(),
			AudioInput: maybe(), AudioOutput: maybe(), Reasoning: maybe(),
		}
	}
	count := func(below int64) int64 {
		if random.IntN(4) == 0 {
			return Absent
		}
		return random.Int64N(below + 1)
	}
	for range 20_000 {
		model := ModelPrice{Model: "m", ModelRates: someRates()}
		model.Input, model.Output = usd(float64(random.IntN(1000))/8), usd(float64(random.IntN(1000))/10)
		for i := range random.IntN(3) {
			model.Tiers = append(model.Tiers, PriceTier{Above: int64(1+i) * 1000, ModelRates: someRates()})
		}
		random.Shuffle(len(model.Tiers), func(i, j int) { model.Tiers[i], model.Tiers[j] = model.Tiers[j], model.Tiers[i] })
		table := priceTable(t, only(model))

		call := chat("p", "m", 1+random.Int64N(4000), random.Int64N(4000))
		call.CacheReadTokens, call.CacheWriteTokens = count(call.InputTokens), count(call.InputTokens)
		call.ReasoningTokens = count(call.OutputTokens * 2)
		attributes := pcommon.NewMap()
		parts := usageParts{count(call.InputTokens), count(call.InputTokens), count(call.OutputTokens)}
		attributes.PutInt("gen_ai.usage.cache_creation.ephemeral_1h_input_tokens", parts.cacheWrite1h)
		attributes.PutInt("gen_ai.usage.audio.input_tokens", parts.audioInput)
		attributes.PutInt("gen_ai.usage.audio.output_tokens", parts.audioOutput)

		require.Equal(t, PricingTable, table.Price(&call, attributes))
		want, _ := exactCost(model, call, parts).Float64()
		require.False(t, call.Cost < 0 || math.IsNaN(call.Cost) || math.IsInf(call.Cost, 0))
		require.InDelta(t, want, call.Cost, 1e-12*max(want, 1e-3), "%+v %+v %+v", model, call, parts)
	}
}

func exactCost(model ModelPrice, call Call, parts usageParts) *big.Rat {
	pick := func(rate func(ModelRates) *float64) *big.Rat {
		chosen, above := rate(model.ModelRates), int64(-1)
		var highest *PriceTier
		for i := range model.Tiers {
			if tier := &model.Tiers[i]; call.InputTokens > tier.Above && tier.Above > above {
				highest, above = tier, tier.Above
			}
		}
		if highest != nil && rate(highest.ModelRates) != nil {
			chosen = rate(highest.ModelRates)
		}
		if chosen == nil {
			return nil
		}
		return new(big.Rat).SetFloat64(*chosen)
	}
	sum, input, output := new(big.Rat), call.InputTokens, call.OutputTokens
	bill := func(tokens int64, rate *big.Rat) {
		sum.Add(sum, new(big.Rat).Mul(big.NewRat(max(0, tokens), 1), rate))
	}
	written := max(0, call.CacheWriteTokens)
	hour := min(max(0, parts.cacheWrite1h), written)
	if rate := pick(func(r ModelRates) *float64 { return r.CacheWrite1h }); rate != nil {
		bill(hour, rate)
		input, written = input-hour, written-hour
	}
	if rate := pick(func(r ModelRates) *float64 { return r.CacheWrite }); rate != nil {
		bill(written, rate)
		input -= written
	}
	if rate := pick(func(r ModelRates) *float64 { return r.CacheRead }); rate != nil {
		bill(call.CacheReadTokens, rate)
		input -= max(0, call.CacheReadTokens)
	}
	if rate := pick(func(r ModelRates) *float64 { return r.AudioInput }); rate != nil {
		bill(parts.audioInput, rate)
		input -= max(0, parts.audioInput)
	}
	if rate := pick(func(r ModelRates) *float64 { return r.Reasoning }); rate != nil {
		bill(call.ReasoningTokens, rate)
		output -= max(0, call.ReasoningTokens)
	}
	if rate := pick(func(r ModelRates) *float64 { return r.AudioOutput }); rate != nil {
		bill(parts.audioOutput, rate)
		output -= max(0, parts.audioOutput)
	}
	bill(input, pick(func(r ModelRates) *float64 { return r.Input }))
	bill(output, pick(func(r ModelRates) *float64 { return r.Output }))
	return sum.Quo(sum, big.NewRat(1_000_000, 1))
}

// TestEveryBuiltinPriceIsUsed holds that no row hides behind another, and that the prices are of a plausible
// shape.
func TestEveryBuiltinPriceIsUsed(t *testing.T) {
	file, err := parsePrices(builtinPriceFile)
	require.NoError(t, err)
	table := priceTable(t, DefaultPriceConfig())
	for _, row := range table.sources[1] {
		name := row.name
		if row.regex != nil {
			name = strings.NewReplacer(`(?i)^(?:((us|eu|jp|au|apac)\.)?anthropic\.`, "jp.anthropic.", `-.*)$`, "-20251101-v1:0").Replace(row.regex.String())
		}
		require.NotEmpty(t, name, "no globs: new models have no known price")
		for _, provider := range row.providers {
			folded, framework := foldProvider(provider)
			assert.Equal(t, provider, folded)
			assert.False(t, framework)
			when := max(row.from, 1)
			if row.until != 0 {
				when = row.until - 1
			}
			entry := &priceEntry{rows: table.find(priceKey{provider: provider, request: name})}
			var used *priceRow
			for _, candidate := range entry.rows {
				if candidate.holds(when) {
					used = candidate
					break
				}
			}
			assert.Same(t, row, used, "%s %s", provider, name)
		}
		for _, tier := range row.tiers {
			assert.Positive(t, tier.input, name)
			assert.Less(t, tier.cacheRead, tier.input, name)
			if tier.cacheWrite != noRate {
				assert.InEpsilon(t, 1.25*tier.input, tier.cacheWrite, 0.05, name)
				assert.InEpsilon(t, 2*tier.input, tier.cacheWrite1h, 0.01, name)
			}
			if tier.output != noRate {
				assert.GreaterOrEqual(t, tier.output, tier.input, name)
				assert.LessOrEqual(t, tier.output, 10*tier.input, name)
			}
		}
	}
	assert.Len(t, table.sources[1], len(file.rows))
}

func TestPriceErrors(t *testing.T) {
	rated := func(change func(*ModelPrice)) PriceConfig {
		p := ModelPrice{Model: "m", ModelRates: ModelRates{Input: usd(1), Output: usd(1)}}
		change(&p)
		return only(ModelPrice{Model: "n", ModelRates: ModelRates{Input: usd(1)}}, p)
	}
	for want, c := range map[string]PriceConfig{
		"builtin: false leaves no prices; name a file, list models, or set enabled: false":          only(),
		"models[1].model: is missing; give the name of a model, a glob such as gpt-4o*, or a regex": rated(func(p *ModelPrice) { p.Model = "" }),
		`models[1].model: " " is blank; give the name of a model`:                                   rated(func(p *ModelPrice) { p.Model = " " }),
		`models[1].regex: "n" is beside model ("m"); remove one of them`:                            rated(func(p *ModelPrice) { p.Regex = "n" }),
		`models[1].model: "a[" is no glob; close the bracket, or write \[ for a literal one`:        rated(func(p *ModelPrice) { p.Model = "a[" }),
		"models[1].input: is missing; give USD per million tokens, or 0 when it is free":            rated(func(p *ModelPrice) { p.Input = nil }),
		"models[1].input: -1 is out of range; give USD per million tokens, 0 to 100000":             rated(func(p *ModelPrice) { p.Input = usd(-1) }),
		"models[1].reasoning: NaN is out of range; give USD per million tokens, 0 to 100000":        rated(func(p *ModelPrice) { p.Reasoning = usd(math.NaN()) }),
		"models[1].tiers[0].cache_read: +Inf is out of range; give USD per million tokens, 0 to 100000": rated(func(p *ModelPrice) {
			p.Tiers = []PriceTier{{Above: 1, ModelRates: ModelRates{CacheRead: usd(math.Inf(1))}}}
		}),
		"models[1].tiers[0].above: 0 is out of range; give the input tokens that a call must exceed, 1 to 1099511627776": rated(func(p *ModelPrice) { p.Tiers = []PriceTier{{}} }),
		"models[1].tiers[1].above: 5 is there twice; remove one":                                                         rated(func(p *ModelPrice) { p.Tiers = []PriceTier{{Above: 5}, {Above: 5}} }),
		`models[1].from: "soon" is no date; write 2025-09-29 or 2025-09-29T16:00:00Z`:                                    rated(func(p *ModelPrice) { p.From = "soon" }),
		`models[1].until: "5" is no date; write 2025-09-29 or 2025-09-29T16:00:00Z`:                                      rated(func(p *ModelPrice) { p.Until = 5 }),
		`models[1].until: 1999-12-31 is out of range; use the years 2000 to 2200`:                                        rated(func(p *ModelPrice) { p.Until = "1999-12-31" }),
		`models[1].until: 2026-01-01 is not after from (2026-01-01); a price holds from its first moment up to its last`: rated(func(p *ModelPrice) { p.From, p.Until = "2026-01-01", "2026-01-01" }),
		`models[1].providers[0]: is empty; name a provider such as openai, or leave providers out for any`:               rated(func(p *ModelPrice) { p.Providers = []string{""} }),
		`models[1].regex: "(" is no regular expression; use the RE2 syntax: https://github.com/google/re2/wiki/Syntax`:   rated(func(p *ModelPrice) { p.Model, p.Regex = "", "(" }),
	} {
		_, err := NewPriceTable(c)
		assert.EqualError(t, err, want)
	}
}

func TestPriceFileErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "prices.yaml")
	for content, want := range map[string]string{
		"":                                      `has no prices; write prices: and under it a list`,
		"prices: []":                            `has no prices; write prices: and under it a list`,
		"prices: [{model: m, inptu: 1}]":        `is no price file: line 1: field inptu is unknown; write prices: and under it a list`,
		"models: []":                            `is no price file: line 1: field models is unknown; write prices: and under it a list`,
		"prices: [{model: m, input: free}]":     "is no price file: line 1: cannot unmarshal !!str `free` into float64; write prices: and under it a list",
		"prices: [{model: m}]":                  `prices[0].input: is missing; give USD per million tokens, or 0 when it is free`,
		"\x00":                                  `is no price file: control characters are not allowed; write prices: and under it a list`,
		"#" + strings.Repeat(".", maxPriceFile): fmt.Sprintf(`is larger than %d bytes; split it, or leave out models that are not used`, maxPriceFile),
	} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := NewPriceTable(PriceConfig{Enabled: true, File: path})
		assert.EqualError(t, err, fmt.Sprintf("file: %q: %s", path, want))
	}
	_, err := NewPriceTable(PriceConfig{Enabled: true, File: "nowhere"})
	assert.EqualError(t, err, `file: "nowhere": no such file or directory; name a readable price file`)
}

// TestMissingModelsAreBounded sends more names than a table remembers, and holds that each call is counted once.
func TestMissingModelsAreBounded(t *testing.T) {
	table := priceTable(t, DefaultPriceConfig())
	const names = 3 * maxPriceNames
	for range 2 {
		for i := range names {
			call := chat("openai", fmt.Sprintf("model-%d", i), 1000, 100)
			require.Equal(t, PricingUnknownModel, table.Price(&call, pcommon.Map{}))
		}
	}
	known := chat("openai", "gpt-4o", 1000, 100)
	require.Equal(t, PricingTable, table.Price(&known, pcommon.Map{}))
	broken := chat("openai", "\xff", 1000, 100)
	require.Equal(t, PricingUnknownModel, table.Price(&broken, pcommon.Map{}))

	counts := map[string]int64{}
	for model, calls := range table.Unpriced {
		counts[model.Provider+" "+model.Name] = calls
	}
	assert.Len(t, counts, maxMissingNames+1)
	assert.Equal(t, int64(2), counts["openai model-0"])
	assert.Equal(t, int64(2*(names-maxMissingNames)+1), counts["_OTHER _OTHER"])
	assert.LessOrEqual(t, len(*table.found.Load()), maxPriceNames)
	assert.NotContains(t, counts, "openai gpt-4o")

	stopped := 0
	table.Unpriced(func(UnpricedModel, int64) bool { stopped++; return false })
	assert.Equal(t, 1, stopped)
	(*PriceTable)(nil).Unpriced(func(UnpricedModel, int64) bool { panic("nothing is missing") })
}

// TestPricesConcurrently is for the race detector, and for the counts.
func TestPricesConcurrently(t *testing.T) {
	table := priceTable(t, DefaultPriceConfig())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 2000 {
				call := chat("openai", "gpt-4o", 1_000_000, 0)
				if i%2 == 0 {
					call.RequestModel = fmt.Sprintf("m-%d", i%40)
				}
				table.Price(&call, pcommon.Map{})
				assert.Equal(t, i%2 == 1, call.Cost == 2.5)
			}
		})
	}
	all.Wait()
	var sum int64
	for _, calls := range table.Unpriced {
		sum += calls
	}
	assert.Equal(t, int64(4*1000), sum)
}

func TestPricingAllocatesNothing(t *testing.T) {
	table := priceTable(t, DefaultPriceConfig())
	audio := pcommon.NewMap()
	audio.PutInt("gen_ai.usage.audio.input_tokens", 10)
	for _, model := range []string{"gpt-4o", "gpt-realtime", "unknown"} {
		original := chat("openai", model, 1000, 100)
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			call := original
			table.Price(&call, audio)
		}), model)
	}
}

func TestPricingNames(t *testing.T) {
	seen := map[string]bool{}
	for p := range Pricings {
		assert.NotEmpty(t, Pricing(p).String())
		seen[Pricing(p).String()] = true
	}
	assert.Len(t, seen, Pricings)
	assert.Equal(t, "off", Pricing(200).String())
}

// TestCostInAnotherCurrencyStays holds that the table's cost, in USD, is not put beside a cost in another
// currency.
func TestCostInAnotherCurrencyStays(t *testing.T) {
	span := ptrace.NewSpan()
	require.NoError(t, span.Attributes().FromRaw(map[string]any{
		AttrOperationName: "chat", AttrProviderName: "openai", AttrRequestModel: "gpt-4o",
		AttrInputTokens: 1000, AttrOutputTokens: 100, attrCostAmount: 0.01, attrCostCurrency: "EUR",
	}))
	before := span.Attributes().AsRaw()
	var call Call
	NewReader(ReaderConfig{}).Read(span, "", pcommon.Map{}, &call)
	require.Equal(t, PricingTable, priceTable(t, DefaultPriceConfig()).Price(&call, span.Attributes()))
	assert.Zero(t, Write(&call, span))
	assert.Equal(t, before, span.Attributes().AsRaw())
}

func BenchmarkPrice(b *testing.B) {
	table := priceTable(b, DefaultPriceConfig())
	for _, model := range []string{"gpt-4o", "claude-sonnet-4-5", "unknown"} {
		b.Run(model, func(b *testing.B) {
			original := chat("anthropic", model, 1000, 100)
			if model == "gpt-4o" {
				original.Provider = "openai"
			}
			b.ReportAllocs()
			for b.Loop() {
				call := original
				table.Price(&call, pcommon.Map{})
			}
		})
	}
	b.Run("first sight", func(b *testing.B) {
		for b.Loop() {
			table.find(priceKey{"aws.bedrock", "us.anthropic.claude-9-20251101-v1:0", ""})
		}
	})
}
