#!/usr/bin/env bash
# Writes cmd/otelcol-langsmith (main.go, components.go, go.mod, go.sum) from builder-config.yaml.
#
# The builder ends with `go mod tidy`, which also wants the modules that only tests of dependencies use. Where some
# of those cannot be had it stops there; its sources and go.mod are complete by then, and `go mod tidy -e` does the rest.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! go tool -modfile=tools/go.mod builder --config builder-config.yaml --skip-compilation >"$log" 2>&1; then
	grep -q 'failed to update go.mod' "$log" || { cat "$log" >&2; exit 1; }
fi
cd cmd/otelcol-langsmith
gofmt -w ./*.go # the builder leaves its imports unsorted
go mod edit -go=1.26.0
go mod tidy -e >"$log" 2>&1
go build -mod=readonly -o /dev/null . || { cat "$log" >&2; exit 1; }
