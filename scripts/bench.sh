#!/usr/bin/env bash
# Benchmarks, with all that they need brought first: bench.sh NAME [run.py's options...] | bench.sh smoke
#   smoke runs all of them at small sizes (SMOKE=1 does so for one); it fails when a benchmark does not work any more.
# A Docker engine that this run starts by hand is stopped at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

export ANSIBLE_CONFIG=$PWD/ansible.cfg PATH=$PWD/.venv-bench/bin:$PATH
# Byte code is kept, as it is for users.
unset PYTHONDONTWRITEBYTECODE
runner=(python tests/benchmarks/run.py)
engine_was_there=yes

names() {
  local file
  for file in tests/benchmarks/*/__init__.py; do basename "$(dirname "$file")"; done
}

# Brings what a benchmark says that it needs: packages, the engine, and packages that apt must be able to download.
bring() {
  local kind value packages=()
  while read -r kind value; do
    case $kind in
      package) packages+=("$value") ;;
      download) know_package "$value" ;;
      engine) start_engine ;;
    esac
  done < <("${runner[@]}" "$1" --needs)
  need_packages "${packages[@]}"
}

# The role that carries labs knows how to bring up an engine here.
start_engine() {
  if docker info >/dev/null 2>&1; then return 0; fi
  engine_was_there=no
  ansible-playbook -i localhost, tests/benchmarks/engine.yml
}

leave_nothing() {
  if [ "$engine_was_there" = no ]; then stop_engine; fi
}

trap leave_nothing EXIT
if [ "${1:-}" = smoke ]; then
  export SMOKE=1
  failed=()
  mapfile -t all < <(names)
  for name in "${all[@]}"; do
    scripts/timed.sh "benchmark $name, smoke" "$0" "$name" || failed+=("$name")
  done
  [ "${#failed[@]}" -eq 0 ] || die "Benchmarks that do not work: ${failed[*]}"
  exit 0
fi
if [ -z "${1:-}" ] || [ ! -e "tests/benchmarks/$1/__init__.py" ]; then
  die "There is no benchmark '${1:-}'; BENCH is one of: $(names | tr '\n' ' ')"
fi
bring "$1"
"${runner[@]}" "$@"
