#!/usr/bin/env bash
# Unit tests and sanity on the oldest, the usual and the newest ansible-core: matrix.sh unit|sanity [CORE...]
#   matrix.sh unit               on all of them
#   matrix.sh sanity 2.19        on one; PYTHONS=3.11 narrows the compile and import tests to one Python,
#                                TESTS="--test validate-modules" narrows the tests
# Each core has its own virtual environment (.venv-CORE) and works on a copy of the files that git knows or would take,
# laid as ansible-test wants it: build/tree-unit/ansible_collections/stowage/fleet, and tree-sanity. Both may run side by
# side.
# An interpreter that is missing is an error, unless ABSENT_PYTHONS ("3.10 3.13") says that this machine has none.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

declare -A python_of=([2.16]=3.10 [2.19]=3.11 [2.21]=3.13)
planner=tests/unit/plugins/plugin_utils/placement

copy_tree() {
  rm -rf "build/tree-$what"
  mkdir -p "$tree" build/junit
  # Files that are deleted in the working tree but still in the index are left out.
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' path; do
    [ -e "$path" ] || [ -L "$path" ] && printf '%s\0' "$path"
  done | tar --null --files-from=- --create | tar --extract --directory "$tree"
  # ansible-test takes the list of files from git.
  git -C "$tree" init --quiet
  git -C "$tree" add --all
}

prepare_core() {
  local core=$1 wanted=${python_of[$1]} python
  if ! python=$(find_python "$wanted"); then
    case " ${ABSENT_PYTHONS:-} " in
      *" $wanted "*)
        say "!!!! NOT TESTED: ansible-core $core, because this machine has no Python $wanted (ABSENT_PYTHONS names it)"
        return 1 ;;
    esac
    die "ansible-core $core is tested with Python $wanted, and there is none on PATH. Install it, or say that it is" \
      "missing here: ABSENT_PYTHONS=$wanted make ..."
  fi
  make_venv ".venv-$core" "$python" "ansible-core==$core.*" -r requirements-unit.txt
  # ansible-test finds the collection by where it runs.
  [ "$what" = sanity ] || link_collection ".venv-$core" "$tree"
}

unit() {
  local core=$1 narrower=() file
  say "---- unit tests on ansible-core $core, Python ${python_of[$core]}"
  # The planner knows nothing of Ansible: its own tests run once, with the usual core. That every Python makes the same
  # plans, byte by byte, is what the golden plans show, on each.
  if [ "$core" != 2.19 ]; then
    say "     (of the planner's own tests only the golden plans; the others run on 2.19)"
    while IFS= read -r file; do narrower+=(--ignore="$file"); done \
      < <(cd "$tree" && find "$planner" -name 'test_*.py' ! -name test_determinism.py)
    narrower+=(-k 'not test_determinism or golden')
  fi
  (cd "$tree" && "$OLDPWD/.venv-$core/bin/python" -m pytest -q -n 2 -p no:cacheprovider "${narrower[@]}" \
    --junitxml="$OLDPWD/build/junit/unit-$core.xml" tests/unit) || return 1
  grep -q 'test_determinism.*golden' "build/junit/unit-$core.xml" || die "The golden plans were not among the tests"
}

sanity() {
  local core=$1 python version versions=() tests=()
  python=$PWD/.venv-$core/bin/python
  read -ra tests <<< "${TESTS:-}"
  say "---- sanity on ansible-core $core, Python ${python_of[$core]}"
  say '     (NOT RUN: pslint. It needs PowerShell, and there is no PowerShell code here to look at)'
  # Without a list, the compile and import tests run on every Python on PATH that this core supports.
  for version in ${PYTHONS:-}; do versions+=(--python "$version"); done
  "$python" scripts/ansible_test_bootstrap.py
  (cd "$tree" && PATH=$(sanity_path "$core") "$python" "$OLDPWD/.venv-$core/bin/ansible-test" sanity \
    --color no --requirements --skip-test pslint "${versions[@]}" "${tests[@]}")
}

# The virtual environment first, then every Python that is found, so that hosts' code is imported on each of theirs.
sanity_path() {
  local folders="$PWD/.venv-$1/bin" version found
  for version in 3.9 3.10 3.11 3.12 3.13 3.14; do
    if found=$(find_python "$version"); then folders+=":$(dirname "$found")"; fi
  done
  say "$folders:$PATH"
}

what=${1:-}
case $what in unit|sanity) shift ;; *) die "matrix.sh knows unit and sanity, not '$what'" ;; esac
tree=$PWD/build/tree-$what/ansible_collections/stowage/fleet
cores=("$@")
# The usual core last: its tests of the planner ask the Pythons of the others.
[ "${#cores[@]}" -gt 0 ] || cores=(2.16 2.21 2.19)
if [ "$what" = sanity ]; then need_packages shellcheck; fi
copy_tree
failed=()
for core in "${cores[@]}"; do
  [ -n "${python_of[$core]:-}" ] || die "The matrix has ansible-core ${!python_of[*]}, not $core"
  if prepare_core "$core"; then "$what" "$core" || failed+=("$core"); fi
done
[ "${#failed[@]}" -eq 0 ] || die "$what failed on ansible-core ${failed[*]}"
