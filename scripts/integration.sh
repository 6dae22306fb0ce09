#!/usr/bin/env bash
# Engine tests: modules against this machine's Docker engine, and roles against the lab. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh
docker info >/dev/null 2>&1 || die 'No Docker engine answers here, and these tests need one: make lab starts it.'
export ANSIBLE_CONFIG=$PWD/ansible.cfg PATH=$PWD/.venv/bin:$PATH
mkdir -p build/junit
exec python -m pytest -q --junitxml=build/junit/integration.xml tests/integration "$@"
