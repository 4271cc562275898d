//go:generate go tool -modfile=../../tools/go.mod mdatagen metadata.yaml

// Package langsmithreceiver reads the runs of LangSmith projects and turns them into traces.
package langsmithreceiver
