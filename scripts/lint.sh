#!/usr/bin/env bash
# Everything that can be said about the files without running them; every check runs, the failed ones are named last.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
. scripts/lib.sh
need_packages shellcheck || exit 1
bin=$PWD/.venv-lint/bin
export PATH=$bin:$PATH
failed=()

check() {
  local name=$1
  shift
  say "---- $name"
  "$@" || failed+=("$name")
}

# mypy finds the collection below a folder named as Ansible names it.
types() {
  mkdir -p .cache/tree/ansible_collections/stowage
  ln -sfn "$PWD" .cache/tree/ansible_collections/stowage/fleet
  MYPYPATH=$PWD/.cache/tree .venv/bin/mypy --cache-dir .cache/mypy \
    -p ansible_collections.stowage.fleet.plugins.plugin_utils.placement
}

# What a Galaxy server would say of the tarball that this checkout makes.
tarball() {
  rm -rf build/galaxy
  mkdir -p build/galaxy
  ansible-galaxy collection build --output-path build/galaxy >/dev/null || return 1
  # The names that must not be inside: what belongs to work in this checkout only.
  if tar -tzf build/galaxy/*.tar.gz | grep -E '(^|/)(\.venv|\.git/|\.cache|build/|__pycache__|inventories/labs)'; then
    say 'The tarball holds files that belong to the checkout only'
    return 1
  fi
  (cd build/galaxy && GALAXY_IMPORTER_CONFIG=$OLDPWD/tests/galaxy-importer.cfg \
    python -m galaxy_importer.main ./*.tar.gz) > build/galaxy/importer.log 2>&1
  local rc=$?
  grep -E 'ERROR|WARNING' build/galaxy/importer.log
  if [ "$rc" -ne 0 ] || grep -qE 'ERROR|WARNING' build/galaxy/importer.log; then
    tail -n 5 build/galaxy/importer.log
    return 1
  fi
}

check ruff ruff check .
check mypy types
check yamllint yamllint --strict .
check shellcheck sh -c 'git ls-files -co --exclude-standard "*.sh" .ci/run | xargs shellcheck -x'
check ansible-lint ansible-lint --nocolor -q
check antsibull-changelog antsibull-changelog lint
check antsibull-docs antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck .
check role-readmes python scripts/role_readme.py --check
check galaxy-importer tarball

[ "${#failed[@]}" -eq 0 ] || die "lint failed: ${failed[*]}"
say 'lint: all clean'
