#!/usr/bin/env bash
# All that CI runs. Every phase runs, also when another one failed; the exit code and the last lines tell the sum.
# PHASES="lint unit" narrows it. The labs, and the engine if this run started it, are taken away at the end.
#
# Most of what needs a lab waits, and the rest computes. So four lanes run side by side, each with hosts of its own:
#   scenarios   molecule, on the lab `ci`: what the example fleet is for                      (shown as it runs)
#   networks    engine tests of networks and roles on the lab `cinet`, then the scenarios with a fleet of their own
#   engines     engine tests of modules, on this machine's engine, and of disks, on a lab host of their own
#   computing   lint, unit tests, sanity: what processor time the others leave
# The output of the last three is shown when they are over (build/lanes/NAME.log tells earlier).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh

phases=" ${PHASES:-lint unit integration bench molecule sanity} "
failed=build/lanes/failed # a line for each phase that failed, whichever lane it ran in
export STOWAGE_LAB=${STOWAGE_LAB:-ci} RELEASES=${RELEASES:-bookworm}
networks_lab=${STOWAGE_LAB}net disks_lab=${STOWAGE_LAB}disk
declare -A lanes=()

wanted() {
  local name
  for name in "$@"; do [[ $phases == *" $name "* ]] && return 0; done
  return 1
}

# phase PHASE NAME COMMAND...: runs a part of a phase and notes when it fails.
phase() {
  local name=$1
  shift
  wanted "$name" || return 0
  scripts/timed.sh "$@" || printf '%s: %s\n' "$name" "$1" >> "$failed"
}

# begin LANE: runs the function of that name in the background, in a session of its own: an interrupted run can end all of
# it, and kernels that weigh sessions against each other weigh lanes.
begin() {
  env --default-signal=INT setsid scripts/test.sh --lane "$1" > "build/lanes/$1.log" 2>&1 </dev/null &
  lanes[$1]=$!
}

# Waits for all lanes and shows what they said.
join() {
  local lane
  for lane in networks engines computing; do
    [ -n "${lanes[$lane]:-}" ] || continue
    wait "${lanes[$lane]}"
    unset "lanes[$lane]"
    printf '\n######## lane %s\n' "$lane"
    cat "build/lanes/$lane.log"
  done
}

# What has to wait for a moment on a host comes first: this lane takes what is left.
computing() {
  renice -n 19 -p "$$" >/dev/null
  { printf 19 > /proc/self/autogroup; } 2>/dev/null
  phase lint 'virtual environment, lint' scripts/venv.sh lint
  phase lint lint scripts/lint.sh
  # The two are in each other's way nowhere, and neither keeps two cores busy all the time.
  phase sanity sanity scripts/matrix.sh sanity > build/lanes/sanity.log 2>&1 &
  phase unit 'unit tests' scripts/matrix.sh unit
  wait
  cat build/lanes/sanity.log
}

networks() {
  export STOWAGE_LAB=$networks_lab HOSTS=2
  scripts/timed.sh "lab $STOWAGE_LAB up" scripts/lab.sh up "$STOWAGE_LAB" "$HOSTS" "$RELEASES"
  phase integration 'engine tests: networks' scripts/integration.sh network
  phase integration 'engine tests: roles' scripts/integration.sh roles
  phase molecule 'scenarios, own fleets' scripts/molecule.sh --own-fleet
}

engines() {
  export STOWAGE_OWN_DISK_LAB=$disks_lab
  phase integration 'engine tests: modules' scripts/integration.sh modules
  phase integration 'engine tests: disks' scripts/integration.sh disks
  # Not what they measure, only that they do: their hosts are simulated, or made by themselves.
  phase bench 'virtual environment, peers' scripts/venv.sh bench
  phase bench 'benchmarks, smoke' scripts/bench.sh smoke
}

leave_nothing() {
  local lab left
  # The first lab last, for it takes the hosts' images away, which the others use.
  for lab in "$disks_lab" "$networks_lab" "$STOWAGE_LAB"; do
    [ "$lab" = "$STOWAGE_LAB" ] || [ -e "inventories/labs/$lab" ] || continue
    KEEP_IMAGES=$([ "$lab" = "$STOWAGE_LAB" ] || echo 1) scripts/timed.sh "lab $lab down" scripts/lab.sh down "$lab" ||
      echo "lab-down: $lab" >> "$failed"
  done
  left=$(for lab in "$STOWAGE_LAB" "$networks_lab" "$disks_lab"; do
      docker ps -aq --filter "label=stowage.lab=$lab"
      docker volume ls -q --filter "name=^$lab-"
      docker network ls -q --filter "name=^stowage-$lab\$"
      ls -d "inventories/labs/$lab" 2>/dev/null
      losetup -n -l -O BACK-FILE 2>/dev/null | grep -F "/$lab-"
    done)
  if [ -n "$left" ]; then
    say "The labs left behind: $left"
    echo leftovers >> "$failed"
  fi
  # An engine that this run started by hand is stopped again, by its own process id.
  if [ "$engine_was_there" = no ]; then stop_engine; fi
}

# A run that is interrupted takes its labs away too. Lanes that clean up after themselves are given the time.
# shellcheck disable=SC2317  # the trap calls it
interrupted() {
  trap '' INT TERM
  local lane
  for lane in "${lanes[@]}"; do kill -INT -- "-$lane" 2>/dev/null; done
  for lane in "${lanes[@]}"; do timeout 60 tail --pid="$lane" -f /dev/null; kill -- "-$lane" 2>/dev/null; done
  leave_nothing
  exit 130
}

if [ "${1:-}" = --lane ]; then
  trap 'exit 130' INT # and begin nothing more
  case $2 in
    computing) computing ;;
    networks) networks ;;
    engines) engines ;;
  esac
  exit
fi

rm -rf build/junit build/lanes build/timings.txt
mkdir -p build/junit build/lanes
engine_was_there=no
if docker info >/dev/null 2>&1; then engine_was_there=yes; fi
trap 'interrupted' INT TERM
scripts/timed.sh 'virtual environment, tests' scripts/venv.sh test || die 'The virtual environment could not be made'
# What apt has to bring is brought now: two runs of apt at once would be in each other's way.
if wanted lint sanity; then need_packages shellcheck; fi
if wanted lint unit sanity; then begin computing; fi
if wanted integration bench molecule; then
  # The first lab starts the engine where none answers, and builds the image that the others' hosts are made of too.
  scripts/timed.sh "lab $STOWAGE_LAB up" scripts/lab.sh up "$STOWAGE_LAB" 3 "$RELEASES" || echo lab >> "$failed"
  # Package lists that the engine tests need are brought before lanes begin, for the same reason.
  phase integration 'package lists' scripts/integration.sh lists
  begin networks
  if wanted integration bench; then begin engines; fi
  HOSTS=3 phase molecule 'scenarios, example fleet' scripts/molecule.sh --example
fi
join
if wanted integration bench molecule; then leave_nothing; fi

[ ! -s "$failed" ] || { say 'FAILED:'; sed 's/^/  /' "$failed"; }
python3 scripts/summary.py
counted=$?
[ ! -s "$failed" ] && exit "$counted"
exit 1
