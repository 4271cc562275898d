package genai

import "strings"

// usage fills in the token counts, with caches inside the input and reasoning inside the output whatever the
// dialect does.
func (s *scan) usage(call *Call, scopeName string) {
	input, alias := s.count(slotInput), s.count(slotInputAlias)
	output, total := s.count(slotOutput), s.count(slotTotal)
	read, write := s.count(slotCacheRead), s.count(slotCacheWrite)
	reasoning := s.count(slotReasoning)

	if s.has(slotUsage) || s.has(slotInputDetails) || s.has(slotOutputDetails) {
		var whole, parts details
		whole.scan(s.textAt(slotUsage))
		parts.scan(s.textAt(slotInputDetails))
		parts.scan(s.textAt(slotOutputDetails))
		alias = known(alias, whole.input())
		output = known(output, whole.output())
		total = known(total, whole.total())
		read = known(read, known(whole.cacheRead(), parts.cacheRead()))
		write = known(write, known(whole.cacheWrite(), parts.cacheWrite()))
		reasoning = known(reasoning, known(whole.reasoning(), parts.reasoning()))
	}

	if reasoning > output && output != Absent && output+reasoning <= maxCount {
		output += reasoning // more than the whole: it was left out
	}
	fromInput := known(input, alias)
	if fromInput == Absent && total != Absent {
		switch {
		case output != Absent && total >= output:
			fromInput = total - output
		case output == Absent && call.Kind == KindEmbeddings:
			fromInput = total
		}
		alias = fromInput
	}
	if cached := max(read, 0) + max(write, 0); fromInput != Absent && cached > 0 && fromInput+cached <= maxCount {
		spare := func(sum int64) bool { return total != Absent && output != Absent && sum+output == total }
		switch {
		case cached > fromInput, spare(fromInput + cached):
			fromInput += cached // certain
		case !exclusive(call.Dialect, call.Provider, scopeName):
		case input != Absent && alias != Absent && input == alias+cached, spare(fromInput):
			// The canonical count is the corrected one.
		default:
			fromInput += cached
		}
	}
	call.InputTokens, call.OutputTokens = fromInput, output
	call.CacheReadTokens, call.CacheWriteTokens, call.ReasoningTokens = read, write, reasoning
}

// exclusive reports sources whose input tokens are known to leave out what was read from or written to a cache:
// they copy the usage of Bedrock's Converse API.
func exclusive(dialect Dialect, provider, scopeName string) bool {
	return dialect == DialectStrands ||
		provider == "aws.bedrock" && strings.HasPrefix(scopeName, "opentelemetry.instrumentation.botocore")
}

func known(count, otherwise int64) int64 {
	if count != Absent {
		return count
	}
	return otherwise
}

// cost fills in the cost and who priced it.
func (s *scan) cost(call *Call) {
	var details, usage float64
	if s.has(slotCostDetails) {
		details = costIn(s.textAt(slotCostDetails), "total")
	}
	if s.has(slotUsage) {
		usage = costIn(s.textAt(slotUsage), "total_cost")
	}
	switch {
	case s.has(slotCostAmount) && (!s.has(slotCurrency) || is(s.textAt(slotCurrency), "USD")):
		call.Cost = s.number(slotCostAmount)
	case s.has(slotCost):
		call.Cost = s.number(slotCost)
	case s.has(slotCostPrompt) || s.has(slotCostCompletion):
		call.Cost = s.number(slotCostPrompt) + s.number(slotCostCompletion)
	case details > 0:
		call.Cost = details
	case s.has(slotCostLangSmith):
		call.Cost = s.number(slotCostLangSmith)
	case usage > 0:
		call.Cost = usage
	default:
		call.Cost, call.CostSource = 0, CostNone
		return
	}
	if call.Cost > maxCost {
		call.Cost, call.CostSource = 0, CostNone
		return
	}
	switch source := s.textAt(slotCostSource); {
	case source == costSources[CostLangSmith]:
		call.CostSource = CostLangSmith
	case source == costSources[CostTable]:
		call.CostSource = CostTable
	case source == costSources[CostInstrumentation]:
		call.CostSource = CostInstrumentation
	case call.Dialect == DialectLangSmith, s.has(slotCostLangSmith) && call.Cost == s.number(slotCostLangSmith):
		call.CostSource = CostLangSmith
	default:
		call.CostSource = CostInstrumentation
	}
}
