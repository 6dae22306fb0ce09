#!/usr/bin/env bash
# Engine tests: integration.sh [PART...], all parts without arguments. PYTEST_ADDOPTS goes to pytest.
#   modules   modules against this machine's Docker engine
#   disks     disks and power cuts, on a lab host of their own
#   network   networks with real packets, on two hosts of the lab that STOWAGE_LAB names, or of a lab of their own
#   roles     the role docker_engine on the hosts of the lab STOWAGE_LAB (`ci`), when it runs
#   lists     nothing but the package lists that `modules` needs, where apt has none
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
docker info >/dev/null 2>&1 || die 'No Docker engine answers here, and these tests need one: make lab starts it.'
export ANSIBLE_CONFIG=$PWD/ansible.cfg PATH=$PWD/.venv/bin:$PATH
mkdir -p build/junit
failed=()

# The tests' image is made of a package that apt must know.
lists() {
  know_package busybox-static
}

tests() {
  python -m pytest -q --durations=10 --junitxml="build/junit/integration-$1.xml" "tests/integration/$1"
}

roles() {
  local inventory=inventories/labs/${STOWAGE_LAB:-ci}
  if [ -e "$inventory/hosts.yml" ]; then
    ansible-playbook -i "$inventory" tests/integration/roles/engine.yml
  else
    say "!!!! NOT TESTED: the role docker_engine on engines; its hosts are a lab's: make molecule, or make test"
  fi
}

parts=("$@")
[ "${#parts[@]}" -gt 0 ] || parts=(modules disks network roles)
for part in "${parts[@]}"; do
  case $part in
    modules) { lists && tests modules; } || failed+=(modules) ;;
    disks | network) tests "$part" || failed+=("$part") ;;
    roles) roles || failed+=(roles) ;;
    lists) lists || failed+=(lists) ;;
    *) die "integration.sh knows modules, disks, network, roles and lists, not '$part'" ;;
  esac
done
[ "${#failed[@]}" -eq 0 ] || die "engine tests failed: ${failed[*]}"
