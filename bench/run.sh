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

# Reading: a page of LangSmith's API to spans, on one processor, and how many times longer peers are at work in the same round
# (median): structs and encoding/json from the same page, OTLP JSON and OTLP protobuf to the same spans. Behind each
# ratio stands its goal, with a ! where it is missed; protobuf's is the stretch goal.
# Size of a run, version of the API, capture: none, full, all (full and every key of the metadata). Our page and their
# OTLP JSON in bytes a run: with none, the spans lack the content that the page has all the same, so there the OTLP
# peers read a much smaller document, and have no goal.
EOF
(
	cd ..
	GOMAXPROCS=1 "${pinned[@]}" go test ./receiver/langsmithreceiver/internal/translate -run '^$' -bench '^BenchmarkRatios$' -benchtime 21x
) | awk '
	function beside(value, goal) {
		return goal ? sprintf("%7.2f >=%-4s%s", value, goal, value < goal ? "!" : " ") : sprintf("%7.2f        ", value)
	}
	BEGIN { printf "%-12s %7s %6s %7s %6s  %-16s%-16s%-16s\n", "", "ns/run", "allocs", "page B", "OTLP B", "  encoding/json", "  OTLP JSON", "  OTLP protobuf" }
	/^BenchmarkRatios\// {
		split($1, name, "/"); sub(/-[0-9]+$/, "", name[4])
		for (i = 3; i < NF; i += 2) value[$(i + 1)] = $i
		alike = name[4] != "none" || name[2] == "1k"
		printf "%-12s %7.0f %6.1f %7.0f %6.0f  %s  %s  %s\n", name[2] " " name[3] " " name[4], value["ns/run"], value["allocs/run"], value["page-B/run"], value["otlp-B/run"], \
			beside(value["x-encoding-json"], name[2] == "5k" ? 5 : 4), beside(value["x-otlp-json"], alike ? 2.5 : 0), beside(value["x-otlp-proto"], alike && name[2] == "5k" ? 1 : 0)
		next
	}
	/^(FAIL|---|panic)/ { print; failed = 1 }
	END { exit failed }
'

echo
echo "# Metrics: the connector beside others that derive metrics from spans."
go test ./... -run '^$' -bench . -benchmem "$@"
