#!/usr/bin/env bash
# Makes the virtual environments of this checkout: venv.sh [run|test|lint|bench]
#   run    .venv with what the controller needs (the default)
#   test   the same, and what the tests need
#   lint   .venv-lint        bench  .venv-bench, with the peers
# The collection is linked into each, so that stowage.fleet.NAME works from a checkout anywhere.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

purpose=${1:-run}
python=${PYTHON:-python3}
command -v "$python" >/dev/null || need_packages python3
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
  die "$python is $("$python" --version), ansible-core needs Python 3.10 or newer: make PYTHON=python3.NN ..."
"$python" -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-venv

case $purpose in
  run)   folder=.venv;       wanted=(-r requirements.txt) ;;
  test)  folder=.venv;       wanted=(-r requirements-test.txt) ;;
  lint)  folder=.venv-lint;  wanted=(-r requirements-lint.txt) ;;
  # Ansible compiles collections by itself: byte code of the 45,000 files of its peers would be made for nothing.
  bench) folder=.venv-bench; wanted=(--no-compile -r requirements-bench.txt) ;;
  *) die "venv.sh knows run, test, lint and bench, not '$purpose'" ;;
esac
# An environment that has the tests' needs has the controller's too: a later `make demo` takes it as it is.
if [ "$purpose" = run ] && [ -e .venv/.has-test ]; then
  wanted=(-r requirements-test.txt)
fi
make_venv "$folder" "$python" "${wanted[@]}"
[ "$purpose" != test ] || touch .venv/.has-test
link_collection "$folder" "$PWD"
