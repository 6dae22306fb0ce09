#!/usr/bin/env bash
# Engine tests: modules against this machine's Docker engine, disks on a lab host of their own, networks with real packets
# and the role docker_engine on the hosts of the lab that STOWAGE_LAB names (the role: when it runs). Arguments go to
# pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
docker info >/dev/null 2>&1 || die 'No Docker engine answers here, and these tests need one: make lab starts it.'
export ANSIBLE_CONFIG=$PWD/ansible.cfg PATH=$PWD/.venv/bin:$PATH
mkdir -p build/junit
# The tests' image is made of a package that apt must know.
if command -v apt-get >/dev/null && ! apt-cache show busybox-static >/dev/null 2>&1; then as_root apt-get -qq update; fi
failed=0
python -m pytest -q --junitxml=build/junit/integration.xml tests/integration "$@" || failed=1
if [ -e "inventories/labs/${STOWAGE_LAB:-ci}/hosts.yml" ]; then
  ansible-playbook -i "inventories/labs/${STOWAGE_LAB:-ci}" tests/integration/roles/engine.yml || failed=1
else
  say "!!!! NOT TESTED: the role docker_engine on engines; its hosts are a lab's: make molecule, or make test"
fi
exit "$failed"
