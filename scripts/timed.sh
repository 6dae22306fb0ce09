#!/usr/bin/env bash
# timed.sh NAME COMMAND...: runs the command, says how long it took, and notes it in build/timings.txt.
set -uo pipefail
name=$1
shift
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$top/build"
printf '\n==> %s\n' "$name"
start=$(date +%s)
"$@"
rc=$?
verdict=ok
[ "$rc" -eq 0 ] || verdict="FAILED ($rc)"
line=$(printf '%-28s %5d s  %s' "$name" "$(($(date +%s) - start))" "$verdict")
printf '<== %s\n' "$line"
printf '%s\n' "$line" >> "$top/build/timings.txt"
exit "$rc"
