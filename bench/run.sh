#!/usr/bin/env bash
# Benchmarks beside peers, each comparison in one run. Arguments go to go test, for example: -bench Consume -count 5
set -euo pipefail
cd "$(dirname "$0")"
exec go test ./... -run '^$' -bench . -benchmem "$@"
