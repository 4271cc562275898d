#!/usr/bin/env bash
# Benchmarks beside peers, each comparison in one run, a few minutes in all. Arguments go to the connector's
# go test, for example: -bench Consume -count 5
set -euo pipefail
cd "$(dirname "$0")"

modules() { # of the peers, as this module resolves them
	go list -m -f '{{.Path}} {{.Version}}' "$@"
}

pinned=()
if command -v taskset >/dev/null; then
	last=$(taskset -cp $$ | sed 's/.*[:,-] *//')
	pinned=(taskset -c "$last")
fi

echo "# $(date -u +%Y-%m-%dT%H:%MZ), $(go version)"
modules go.opentelemetry.io/collector/pdata \
	github.com/open-telemetry/opentelemetry-collector-contrib/connector/spanmetricsconnector \
	github.com/open-telemetry/opentelemetry-collector-contrib/connector/signaltometricsconnector

cat <<'EOF'

# Reading: a page of LangSmith's API to spans, on one processor, and how many times longer peers take in the same
# round (median): structs and encoding/json from the same page; OTLP JSON and OTLP protobuf to the same spans.
# Size of a run, version of the API, capture: none, full, all (full and every key of the metadata). With none, the
# OTLP peers read spans without the content that we have to pass over, so only full and all compare like with like.
EOF
(
	cd ..
	GOMAXPROCS=1 "${pinned[@]}" go test ./receiver/langsmithreceiver/internal/translate -run '^$' -bench '^BenchmarkRatios$' -benchtime 31x
) | awk '
	BEGIN { printf "%-14s %9s %15s %10s %11s\n", "", "ns/run", "encoding/json", "otlp json", "otlp proto" }
	/^BenchmarkRatios\// {
		split($1, name, "/"); sub(/-[0-9]+$/, "", name[4])
		for (i = 3; i < NF; i += 2) value[$(i + 1)] = $i
		printf "%-14s %9.0f %15.1f %10.1f %11.2f\n", name[2] " " name[3] " " name[4], value["ns/run"], value["x-encoding-json"], value["x-otlp-json"], value["x-otlp-proto"]
		next
	}
	/^(FAIL|---|panic)/ { print; failed = 1 }
	END { exit failed }
'

echo
echo "# Metrics: the connector beside others that derive metrics from spans."
go test ./... -run '^$' -bench . -benchmem "$@"
