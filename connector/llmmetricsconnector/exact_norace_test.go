//go:build !race

package llmmetricsconnector

const exactSpans = 1_000_000
