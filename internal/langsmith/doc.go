// Package langsmith is a client for the parts of the LangSmith API that a pulling receiver needs.
//
// It speaks v2 (POST /api/v2/runs/query) and, for self-hosted servers before 0.16, v1. Pages are decoded as a
// stream, one [Run] at a time, so memory is bounded by the largest run and not by the page. The package knows
// nothing of OpenTelemetry and of components.
package langsmith
