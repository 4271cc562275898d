//go:generate go tool -modfile=../../tools/go.mod mdatagen metadata.yaml

// Package llmmetricsconnector is the llm_metrics connector: it turns spans of GenAI operations, in whatever
// dialect they were written, into metrics of latency, errors, tokens and cost.
package llmmetricsconnector
