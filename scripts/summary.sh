#!/usr/bin/env bash
# Prints one line of totals every few seconds while a process lives: scripts/summary.sh PID [URL]
# It reads what Prometheus would read, so it also shows that the metrics are there.
set -euo pipefail
pid=$1
url=${2:-http://localhost:9464/metrics}
command -v curl >/dev/null || exit 0

printf '%-9s %9s %8s %9s %9s %11s %11s %12s\n' time calls errors p50 p95 'tokens in' 'tokens out' 'cost USD'
previous=''
while kill -0 "$pid" 2>/dev/null; do
	line=$(curl -fsS --max-time 2 "$url" 2>/dev/null | awk '
		function quantile(q,   i, rank, low, cum) {
			rank = q * count; low = 0; cum = 0
			for (i = 1; i <= n; i++) {
				if (bucket[bounds[i]] >= rank) {
					if (bounds[i] == "+Inf") return ">" low " s"
					if (bucket[bounds[i]] == cum) return bounds[i] " s"
					return sprintf("%.2f s", low + (bounds[i] - low) * (rank - cum) / (bucket[bounds[i]] - cum))
				}
				low = bounds[i]; cum = bucket[bounds[i]]
			}
		}
		function scaled(v) { return v >= 1e6 ? sprintf("%.2f M", v / 1e6) : v >= 1e4 ? sprintf("%.1f k", v / 1e3) : sprintf("%d", v) }
		{ sub(/ # .*/, "") }
		/^gen_ai_client_operation_duration_seconds_bucket/ && /gen_ai_operation_name="(chat|text_completion|generate_content)"/ {
			match($0, /le="[^"]*"/); le = substr($0, RSTART + 4, RLENGTH - 5)
			if (!(le in bucket)) bounds[++n] = le
			bucket[le] += $NF
		}
		/^gen_ai_client_operation_duration_seconds_count/ && /gen_ai_operation_name="(chat|text_completion|generate_content)"/ { count += $NF }
		/^gen_ai_client_operation_errors_total/ && /gen_ai_operation_name="(chat|text_completion|generate_content)"/ { errors += $NF }
		/^gen_ai_client_token_usage_sum/ && /gen_ai_token_type="input"/ { input += $NF }
		/^gen_ai_client_token_usage_sum/ && /gen_ai_token_type="output"/ { output += $NF }
		/^gen_ai_usage_cost_USD_sum/ { cost += $NF }
		END {
			if (count > 0) printf "%9d %6.1f %% %9s %9s %11s %11s %12.4f", count, 100 * errors / count, quantile(0.5), quantile(0.95), scaled(input), scaled(output), cost
		}') || true
	if [ -n "$line" ] && [ "$line" != "$previous" ]; then
		printf '%-9s %s\n' "$(date +%H:%M:%S)" "$line"
		previous=$line
	fi
	sleep 5
done
