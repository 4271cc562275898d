package genai

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// usageParts are parts of a call's tokens that few models price apart. They are read only for those.
type usageParts struct {
	cacheWrite1h int64 // of the cache writes
	audioInput   int64 // of the input
	audioOutput  int64 // of the output
}

// readParts finds the parts. What is not told is zero. Where several attributes tell the same, the largest
// counts: a zero says as little as an absence.
func readParts(attributes pcommon.Map) usageParts {
	var p usageParts
	if attributes == (pcommon.Map{}) {
		return p
	}
	for key, value := range attributes.All() {
		switch key {
		case "gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio",
			"gen_ai.usage.prompt_tokens_details.audio_tokens", "gen_ai.usage.details.input_audio_tokens",
			"gen_ai.usage.input_audio_tokens":
			p.audioInput = max(p.audioInput, countOr0(value))
		case "gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio",
			"gen_ai.usage.completion_tokens_details.audio_tokens", "gen_ai.usage.details.output_audio_tokens",
			"gen_ai.usage.output_audio_tokens":
			p.audioOutput = max(p.audioOutput, countOr0(value))
		case "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens", "gen_ai.usage.details.ephemeral_1h_input_tokens",
			"gen_ai.usage.cache_creation.ephemeral_1h.input_tokens":
			p.cacheWrite1h = max(p.cacheWrite1h, countOr0(value))
		case "langsmith.usage_metadata":
			if value.Type() == pcommon.ValueTypeStr {
				p.input(within(value.Str(), "input_token_details"))
				p.output(within(value.Str(), "output_token_details"))
			}
		case "gen_ai.usage.input_token_details":
			if value.Type() == pcommon.ValueTypeStr {
				p.input(value.Str())
			}
		case "gen_ai.usage.output_token_details":
			if value.Type() == pcommon.ValueTypeStr {
				p.output(value.Str())
			}
		}
	}
	return p
}

func (p *usageParts) input(text string) {
	for key, number := range members(text) {
		switch {
		case !(0 <= number && number <= maxCount):
		case key == "audio":
			p.audioInput = max(p.audioInput, int64(number))
		case key == "ephemeral_1h_input_tokens":
			p.cacheWrite1h = max(p.cacheWrite1h, int64(number))
		}
	}
}

func (p *usageParts) output(text string) {
	for key, number := range members(text) {
		if key == "audio" && 0 <= number && number <= maxCount {
			p.audioOutput = max(p.audioOutput, int64(number))
		}
	}
}

// within returns the object that a text has under a key, up to its first closing brace: details are flat.
func within(text, key string) string {
	_, rest, _ := strings.Cut(text, key)
	_, rest, _ = strings.Cut(rest, "{")
	object, _, _ := strings.Cut(rest, "}")
	return object
}

func countOr0(value pcommon.Value) int64 {
	n, _ := countOf(value)
	return n
}
