package llmmetrics

import "slices"

// Semconv selects the generation of the GenAI conventions whose metrics are emitted. What is measured is the
// same: only names and shapes differ.
type Semconv uint8

const (
	// SemconvG1 is the first generation, until v1.41 of the conventions: one histogram for all tokens.
	SemconvG1 Semconv = iota
	// SemconvG2 is the second one, of the conventions' own repository since 2026: inference apart from other
	// operations, and sums beside histograms of tokens.
	SemconvG2
	// SemconvBoth emits both.
	SemconvBoth
)

// naming lists the instruments under which the measures are emitted that have names in both generations.
type naming struct{ duration, firstChunk, input, output []int }

// namings are those of operations that are no inference, and of those that are. Embeddings are none, but their
// tokens have no other name; and only inference has a first chunk.
func namings(of Semconv) (other, inference naming) {
	first := naming{[]int{insDuration}, []int{insFirstChunk}, []int{insTokens}, []int{insTokens}}
	if of == SemconvG1 {
		return first, first
	}
	second := naming{
		duration:   []int{insInferenceDuration},
		firstChunk: []int{insInferenceFirstChunk},
		input:      []int{insInferenceInput, insInferenceInputTokens},
		output:     []int{insInferenceOutput, insInferenceOutputTokens},
	}
	if of == SemconvBoth {
		second.duration = slices.Concat(first.duration, second.duration)
		second.firstChunk = slices.Concat(first.firstChunk, second.firstChunk)
		second.input = slices.Concat(first.input, second.input)
		second.output = slices.Concat(first.output, second.output)
	}
	other = second
	other.duration = first.duration
	return other, second
}

// of lists the instruments of an emission; none means its own.
func (n *naming) of(m *emission) []int {
	switch {
	case m.instrument == insDuration:
		return n.duration
	case m.instrument == insFirstChunk:
		return n.firstChunk
	case m.instrument == insTokens && m.tokenType == TokenTypeInput:
		return n.input
	case m.instrument == insTokens:
		return n.output
	}
	return nil
}

// isInference reports whether the conventions count an operation as inference.
func isInference(operation string) bool {
	switch operation {
	case "chat", "generate_content", "text_completion":
		return true
	}
	return false
}
