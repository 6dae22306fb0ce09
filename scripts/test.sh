#!/usr/bin/env bash
# All that CI runs. Every phase runs, also when one before it failed; the exit code and the last lines tell the sum.
# PHASES="lint unit" narrows it. The lab `ci` and the engine, if this run started it, are taken away at the end.
# Unit tests and sanity need no engine: they run beside the engine tests, on what processor time those leave. Their output
# is shown at the end (build/beside.log tells earlier).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

phases=" ${PHASES:-lint unit integration molecule sanity} "
rm -rf build/junit build/timings.txt build/beside.log
mkdir -p build/junit
export STOWAGE_LAB=${STOWAGE_LAB:-ci}
engine_was_there=no
if docker info >/dev/null 2>&1; then engine_was_there=yes; fi
failed=()
beside=

wanted() { [[ $phases == *" $1 "* ]]; }

phase() {
  local name=$1
  shift
  wanted "$name" || return 0
  "$@" || failed+=("$name")
}

# Runs phases in the background, with a low priority; `join_beside` waits for them.
run_beside() {
  say 'Unit tests and sanity run beside what follows'
  set -m  # a process group of its own, so that an interrupted run can end all of it
  (
    rc=0
    if wanted unit; then nice -n 10 scripts/timed.sh 'unit tests' scripts/matrix.sh unit || rc=1; fi
    if wanted sanity; then nice -n 10 scripts/timed.sh sanity scripts/matrix.sh sanity || rc=1; fi
    exit "$rc"
  ) > build/beside.log 2>&1 </dev/null &
  beside=$!
  set +m
}

join_beside() {
  [ -n "$beside" ] || return 0
  wait "$beside" || failed+=(unit-or-sanity)
  beside=
  cat build/beside.log
}

leave_nothing() {
  scripts/timed.sh "lab $STOWAGE_LAB down" scripts/lab.sh down "$STOWAGE_LAB" || failed+=(lab-down)
  local left
  left=$(docker ps -aq --filter "label=stowage.lab=$STOWAGE_LAB"; docker volume ls -q --filter "name=^$STOWAGE_LAB-";
    docker network ls -q --filter "name=^stowage-$STOWAGE_LAB\$"; ls -d "inventories/labs/$STOWAGE_LAB" 2>/dev/null;
    losetup -n -l -O BACK-FILE 2>/dev/null | grep -F "/$STOWAGE_LAB-" || true)
  if [ -n "$left" ]; then
    say "The lab left behind: $left"
    failed+=(leftovers)
  fi
  # An engine that this run started by hand is stopped again, by its own process id.
  if [ "$engine_was_there" = no ] && [ ! -d /run/systemd/system ] && [ -s /var/run/docker.pid ]; then
    as_root kill "$(cat /var/run/docker.pid)"
  fi
}

# A run that is interrupted takes its lab away too.
trap '[ -z "$beside" ] || kill -- "-$beside"; leave_nothing; exit 130' INT TERM

scripts/timed.sh 'virtual environments' sh -c 'scripts/venv.sh test && scripts/venv.sh lint' ||
  die 'The virtual environments could not be made'
phase lint scripts/timed.sh lint scripts/lint.sh
# What apt has to bring for them is brought now: two runs of apt at once would be in each other's way.
if wanted sanity; then need_packages shellcheck; fi
if wanted unit || wanted sanity; then run_beside; fi
if wanted integration || wanted molecule; then
  # The lab starts the engine where none answers; the engine tests and all scenarios share it.
  phase integration scripts/timed.sh "lab $STOWAGE_LAB up" scripts/lab.sh up "$STOWAGE_LAB" 3 "${RELEASES:-bookworm}"
  phase integration scripts/timed.sh 'engine tests' scripts/integration.sh
  phase molecule scripts/molecule.sh
  leave_nothing
fi
join_beside

[ "${#failed[@]}" -eq 0 ] || say "FAILED: ${failed[*]}"
python3 scripts/summary.py
counted=$?
[ "${#failed[@]}" -eq 0 ] && exit "$counted"
exit 1
