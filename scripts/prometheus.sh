#!/usr/bin/env bash
# Prints the path of a prometheus (or of promtool, when asked for that): the one on the PATH, else the one of Debian's
# package, which is unpacked into bin/ without being installed. Says why on standard error when there is neither.
#
#   scripts/prometheus.sh [prometheus|promtool]
set -euo pipefail
cd "$(dirname "$0")/.."

name=${1:-prometheus}
command -v "$name" && exit
dir=$PWD/bin/prometheus
[ -x "$dir/usr/bin/$name" ] && echo "$dir/usr/bin/$name" && exit

for tool in apt-get dpkg-deb; do
	command -v "$tool" >/dev/null || { echo "no $name on the PATH, and no $tool to fetch Debian's package with" >&2; exit 1; }
done
mkdir -p bin
work=$(mktemp -d "$PWD/bin/prometheus.XXXXXX") # of its own, so that two that fetch at once do not meet
trap 'rm -rf "$work"' EXIT
cd "$work"
if ! timeout 120 apt-get download prometheus >log 2>&1; then
	# The system has no list of packages, as in most containers: use one of our own, which needs no root.
	mkdir -p lists/partial cache/archives/partial
	own=(-o "Dir::State::Lists=$PWD/lists" -o "Dir::Cache=$PWD/cache" -o APT::Sandbox::User=)
	{ timeout 120 apt-get "${own[@]}" update && timeout 120 apt-get "${own[@]}" download prometheus; } >log 2>&1 ||
		{ echo "no $name on the PATH, and Debian's package cannot be fetched: $(grep -m 1 -E "^(Err:|W:|E:)" log)" >&2; exit 1; }
fi
dpkg-deb -x prometheus_*.deb unpacked
[ -x "$dir/usr/bin/$name" ] || mv -T unpacked "$dir" 2>/dev/null || true
[ -x "$dir/usr/bin/$name" ] || { echo "Debian's package holds no $name" >&2; exit 1; }
echo "$dir/usr/bin/$name"
