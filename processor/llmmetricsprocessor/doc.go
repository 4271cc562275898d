//go:generate go tool -modfile=../../tools/go.mod mdatagen metadata.yaml

// Package llmmetricsprocessor is the llm_metrics processor: it derives the measures of GenAI spans, in whatever
// dialect they were written, and adds them in the current OpenTelemetry conventions.
package llmmetricsprocessor
