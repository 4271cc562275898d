#!/usr/bin/env bash
# Runs the distribution on otelcol-config.yaml: against LangSmith when LANGSMITH_API_KEY is set, else against the
# simulator, which it starts. Ctrl-C stops all of it.
set -euo pipefail
cd "$(dirname "$0")/.."

# Before anything of another run is touched. What is open to us is somebody else's.
ports='9464 8888 13133'
[ -n "${LANGSMITH_API_KEY:-}" ] || ports="1984 $ports"
for port in $ports; do
	if (exec 3<>"/dev/tcp/localhost/$port") 2>/dev/null; then
		echo "port $port is taken, perhaps by another make run: stop what listens there, then try again" >&2
		exit 1
	fi
done

# What was read of LangSmith and what was read of the simulator are kept apart.
state=${OTELCOL_LANGSMITH_STATE:-$PWD/state}/$([ -n "${LANGSMITH_API_KEY:-}" ] && echo langsmith || echo simulator)
export OTELCOL_LANGSMITH_STATE=$state
mkdir -p "$state"
log=$state/collector.log
simulator_log=$state/simulator.log

collector_pid='' simulator_pid=''
stop() {
	trap - INT TERM EXIT
	[ -z "$collector_pid" ] || { kill -TERM "$collector_pid" 2>/dev/null && wait "$collector_pid" 2>/dev/null; } || true
	[ -z "$simulator_pid" ] || { kill -TERM "$simulator_pid" 2>/dev/null && wait "$simulator_pid" 2>/dev/null; } || true
}
trap 'stop; echo; echo stopped.; exit 0' INT TERM
trap stop EXIT

if [ -n "${LANGSMITH_API_KEY:-}" ]; then
	source="LangSmith at ${LANGSMITH_ENDPOINT:-https://api.smith.langchain.com}"
else
	export LANGSMITH_ENDPOINT=http://127.0.0.1:1984 LANGSMITH_API_KEY=simulator
	source="the simulator at $LANGSMITH_ENDPOINT (set LANGSMITH_API_KEY to read your own runs)"
	# Its runs are new at every start, and so is what was read of them.
	rm -rf "$state/storage" "$state"/spans*.jsonl
	bin/langsmithsim --listen 127.0.0.1:1984 --rate 2 --history 1h >"$simulator_log" 2>&1 &
	simulator_pid=$!
	for _ in $(seq 50); do
		sleep 0.1
		kill -0 "$simulator_pid" 2>/dev/null || { echo "the simulator did not start:" >&2; tail -n 5 "$simulator_log" >&2; exit 1; }
		(exec 3<>/dev/tcp/127.0.0.1/1984) 2>/dev/null && break
	done
fi

bin/otelcol-langsmith --config otelcol-config.yaml >"$log" 2>&1 &
collector_pid=$!

cat <<TEXT
reading      $source
metrics      http://localhost:9464/metrics
spans        ${state#"$PWD"/}/spans.jsonl
collector    http://localhost:8888/metrics (its own metrics), http://localhost:13133 (health), ${log#"$PWD"/}
Ctrl-C stops all of it. First numbers in a few seconds:

TEXT

scripts/summary.sh "$collector_pid" || true
if ! kill -0 "$collector_pid" 2>/dev/null; then
	echo "the collector stopped:" >&2
	tail -n 5 "$log" >&2
	exit 1
fi
wait "$collector_pid"
