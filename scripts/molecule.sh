#!/usr/bin/env bash
# Molecule scenarios, all on one lab: molecule.sh [SCENARIO...]. The lab `ci` is started when it is not there, and stays:
# make lab-down LAB=ci takes it away.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

export STOWAGE_LAB=${STOWAGE_LAB:-ci}
export STOWAGE_INVENTORY=$PWD/inventories/labs/$STOWAGE_LAB
present=$(docker ps -q --filter "label=stowage.lab=$STOWAGE_LAB" 2>/dev/null | wc -l)
mkdir -p build/junit
scripts/timed.sh "lab $STOWAGE_LAB up" scripts/lab.sh up "$STOWAGE_LAB" 3 "${RELEASES:-bookworm}" | tee build/lab-up.log
if [ "$present" -eq 3 ] && ! grep -q ' changed=0 ' build/lab-up.log; then
  die "The lab $STOWAGE_LAB was up, and bringing it up again changed it: build/lab-up.log"
fi

scenarios=("$@")
if [ "${#scenarios[@]}" -eq 0 ]; then
  # The main job first: what breaks it breaks the others too.
  scenarios=(default)
  for file in molecule/*/molecule.yml; do
    name=$(basename "$(dirname "$file")")
    [ "$name" = default ] || scenarios+=("$name")
  done
fi
export ANSIBLE_CONFIG=$PWD/ansible.cfg PATH=$PWD/.venv/bin:$PATH ANSIBLE_FORCE_COLOR=false NO_COLOR=1
failed=()
for scenario in "${scenarios[@]}"; do
  [ -e "molecule/$scenario/molecule.yml" ] || die "There is no scenario '$scenario' in molecule/"
  # A run begins anew: molecule's own notes of an earlier one would make it skip the preparation.
  export MOLECULE_EPHEMERAL_DIRECTORY=$PWD/build/molecule/$scenario
  rm -rf "$MOLECULE_EPHEMERAL_DIRECTORY"
  mkdir -p "$MOLECULE_EPHEMERAL_DIRECTORY"
  export PYTEST_ADDOPTS="--junitxml=$PWD/build/junit/molecule-$scenario.xml --rootdir=$PWD"
  scripts/timed.sh "molecule $scenario" molecule test --scenario-name "$scenario" --destroy never ||
    failed+=("$scenario")
done
[ "${#failed[@]}" -eq 0 ] || die "molecule failed: ${failed[*]}"
