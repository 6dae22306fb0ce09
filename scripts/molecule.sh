#!/usr/bin/env bash
# Molecule scenarios on one lab: molecule.sh [--example | --own-fleet | SCENARIO...]; all of them without arguments.
#   --example     those that work on the example fleet (they have `converge` in their sequence), the main job first
#   --own-fleet   those that bring a fleet of their own, and need no more than hosts
# The lab STOWAGE_LAB (`ci`, HOSTS=3) is started when it is not there, and stays: make lab-down LAB=ci takes it away.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

export STOWAGE_LAB=${STOWAGE_LAB:-ci}
export STOWAGE_INVENTORY=$PWD/inventories/labs/$STOWAGE_LAB
export ANSIBLE_CONFIG=$PWD/ansible.cfg PATH=$PWD/.venv/bin:$PATH ANSIBLE_FORCE_COLOR=false NO_COLOR=1
hosts=${HOSTS:-3}
failed=()

# Prints the scenarios that work on the example fleet (example), or the others (own).
scenarios_of() {
  local file kind
  for file in molecule/default/molecule.yml molecule/*/molecule.yml; do
    kind=own
    if grep -qE '^ +- converge$' "$file"; then kind=example; fi
    [ "$kind" != "$1" ] || basename "$(dirname "$file")"
  done | awk '!seen[$0]++'
}

case ${1:-} in
  '')          mapfile -t scenarios < <(scenarios_of example; scenarios_of own) ;;
  --example)   mapfile -t scenarios < <(scenarios_of example) ;;
  --own-fleet) mapfile -t scenarios < <(scenarios_of own) ;;
  *)           scenarios=("$@") ;;
esac
for scenario in "${scenarios[@]}"; do
  [ -e "molecule/$scenario/molecule.yml" ] || die "There is no scenario '$scenario' in molecule/"
done

# No engine, no lab: it is started with the lab.
present=$({ docker ps -q --filter "label=stowage.lab=$STOWAGE_LAB" 2>/dev/null || true; } | wc -l)
mkdir -p build/junit
log=build/lab-up-$STOWAGE_LAB.log
scripts/timed.sh "lab $STOWAGE_LAB up" scripts/lab.sh up "$STOWAGE_LAB" "$hosts" "${RELEASES:-bookworm}" | tee "$log"
if [ "$present" -eq "$hosts" ] && ! grep -q ' changed=0 ' "$log"; then
  die "The lab $STOWAGE_LAB was up, and bringing it up again changed it: $log"
fi

# Whether site.yml has been here: every host has the images that it brings last.
prepared() {
  local host
  for host in $(docker ps --format '{{.Names}}' --filter "label=stowage.lab=$STOWAGE_LAB"); do
    docker exec "$host" docker image inspect stowage/{nginx,redis,zookeeper}:bookworm >/dev/null 2>&1 || return 1
  done
}

for scenario in "${scenarios[@]}"; do
  # The main job converges hosts and all. The others begin with their containers, on hosts that are as it left them.
  tags=containers
  if [ "$scenario" = default ] || ! prepared; then tags=all; fi
  export STOWAGE_TAGS=$tags
  # A run begins anew: molecule's own notes of an earlier one would make it skip the preparation.
  export MOLECULE_EPHEMERAL_DIRECTORY=$PWD/build/molecule/$scenario
  rm -rf "$MOLECULE_EPHEMERAL_DIRECTORY"
  mkdir -p "$MOLECULE_EPHEMERAL_DIRECTORY"
  export PYTEST_ADDOPTS="--junitxml=$PWD/build/junit/molecule-$scenario.xml --rootdir=$PWD --durations=5"
  scripts/timed.sh "molecule $scenario" molecule test --scenario-name "$scenario" --destroy never ||
    failed+=("$scenario")
done
[ "${#failed[@]}" -eq 0 ] || die "molecule failed: ${failed[*]}"
