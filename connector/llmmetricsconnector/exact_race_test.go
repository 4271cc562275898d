//go:build race

package llmmetricsconnector

// exactSpans is smaller under the race detector: there is one goroutine, and the proof is run without it as well.
const exactSpans = 50_000
