#!/usr/bin/env bash
# Benchmarks beside peers, each comparison in one run, less than half an hour in all. Arguments go to go test of the
# connector's, for example: -benchtime 3x for three times as many rounds.
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

cat <<'EOF'

# Metrics: the connector, which makes six families of instruments of every model call, beside others that derive
# metrics from spans. Batches of 1,000 new spans, 8 dimensions. Times are of processors, garbage collection included, and
# factors the median of rounds in which the connectors take turns: how many times longer the others take. A ! is behind a
# goal that is missed.
EOF
{
	go test ./llmmetrics -run '^$' -bench '^Benchmark(Ratios|Retained|Blocked|TwoCores)$' -benchtime 1x "$@"
	cd .. && go test ./internal/llmmetrics -run '^$' -bench '^BenchmarkFlush$/^lock$/^series=10000$' -benchtime 300x
} | awk '
	/^Benchmark/ {
		delete name; split($1, name, "/"); sub(/-[0-9]+$/, "", name[1]); sub(/-[0-9]+$/, "", name[2])
		for (i = 3; i < NF; i += 2) value[substr(name[1], 10) " " name[2] " " $(i + 1)] = $i
		next
	}
	/^(FAIL|---|panic)/ { print; failed = 1 }
	function line(what, key, goal, beside) {
		if (key in value) printf "%-66s %8.4g   %-8s%s %s\n", what, value[key], goal, missed(value[key], goal), beside
	}
	function missed(v, goal) {
		return goal ~ /^>=/ && v < substr(goal, 4) + 0 || goal ~ /^<=/ && v > substr(goal, 4) + 0 ? "!" : " "
	}
	function other(key) { return key in value ? sprintf("spanmetrics %.4g", value[key]) : "" }
	END {
		printf "%-66s %8s   %s\n", "", "", "goal"
		n = split("100 10000 100000", series, " ")
		for (i = 1; i <= n; i++) {
			at = "Ratios series=" series[i] " "
			of = ", " series[i] " series"
			line("ns a span" of, at "ns/span", "")
			line("factor of spanmetrics, which makes two" of, at "x-spanmetrics", ">= 3")
			line("the same, further_metrics and exemplars on" of, at "default-x-spanmetrics", "")
			line("factor of signaltometrics, the same six" of, at "x-signaltometrics", ">= 12")
			line("factor of signaltometrics, exponential" of, at "x-signaltometrics-exp", ">= 10")
		}
		line("bytes a series, explicit", "Retained llm_metrics B/series", "<= 1600", other("Retained spanmetrics B/series"))
		line("bytes a series, explicit with exemplars", "Retained llm_metrics_exemplars B/series", "")
		line("bytes a series, further_metrics and exemplars on", "Retained llm_metrics_default B/series", "")
		line("bytes a series, exponential of 160", "Retained llm_metrics_exponential B/series", "<= 4000")
		line("ms that a flush of 10000 series blocks a consumer, median", "Blocked llm_metrics ms-blocked", "<= 1", other("Blocked spanmetrics ms-blocked"))
		line("the same with a storage, to which it saves the totals", "Blocked llm_metrics_storage ms-blocked", "<= 1", "")
		line("us that such a flush holds a lock at a time, at most", "Flush lock us-longest-hold", "<= 1000")
		line("ms that it holds locks in all", "Flush lock ms-held/flush", "")
		line("two cores, times one core", "TwoCores llm_metrics x-one-core", "near 2", other("TwoCores spanmetrics x-one-core"))
		exit failed
	}
'
echo
echo "# Allocations of a span once all series exist; a test of the connector holds them at none."
go test ./llmmetrics -run '^$' -bench '^BenchmarkConsume$/^series=100$' -benchmem -benchtime 128x "$@" | grep '^Benchmark'

cat <<'EOT'

# The whole collector: reading runs with their content, OTLP/HTTP out, metrics to Prometheus, both with storage; CPU time
# and memory are the collector's own. Beside it the official JavaScript SDK and prom-client, which only count, over the
# same rows in the same run. The memory of a large binary is mostly its file; anonymous is the rest. Slim is a collector that
# has these components and no others, which the goals of memory are about; the others are the distribution. 20 minutes later, all
# ids are there that lookback makes the receiver remember.
EOT
collector=$(mktemp -d)
trap 'rm -rf "$collector"' EXIT
go build -o "$collector/collector" ./collector
(cd collector && go tool -modfile=../../tools/go.mod builder --config builder-config.yaml) >"$collector/log" 2>&1 || { cat "$collector/log" >&2; exit 1; }
"$collector/collector" -repo ..
