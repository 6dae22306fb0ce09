# shellcheck shell=bash
# What the scripts share: sentences, root, missing packages, and which Python to take.

say() { printf '%s\n' "$*"; }
die() { printf 'ERROR: %s\n' "$*" >&2; exit 1; }

# Runs a command as root: as it is for root, else through sudo.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "This needs root, and there is no sudo: $*"
  fi
}

# Installs Debian or Ubuntu packages that are missing; elsewhere names them.
need_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing+=("$name")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  command -v apt-get >/dev/null || die "Please install: ${missing[*]}"
  say "Installing ${missing[*]}"
  as_root apt-get -qq update
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# Prints the path of a working interpreter of the given version (3.11), from PATH or from the version manager's folder.
find_python() {
  local version=$1 candidate
  for candidate in "$(command -v "python$version" || true)" "${PYENV_ROOT:-/nonexistent}"/versions/"$version"*/bin/python; do
    # A version manager's shim may be on PATH although the version behind it is not chosen: only a run tells.
    if [ -n "$candidate" ] && [ -x "$candidate" ] && "$candidate" -c "
import sys
sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null; then
      say "$candidate"
      return 0
    fi
  done
  return 1
}

# make_venv FOLDER PYTHON REQUIREMENT...: makes or completes a virtual environment; does nothing when it is complete.
# Who comes while another one makes it waits.
make_venv() (
  local folder=$1 python=$2 wanted
  shift 2
  mkdir -p build
  exec 9> "build/$folder.lock"
  flock 9
  wanted=$({ "$python" --version; printf '%s\n' "$@"; cat -- *requirements*.txt; } | sha256sum)
  if [ "$(cat "$folder/.complete" 2>/dev/null)" = "$wanted" ] && "$folder/bin/python" -c '' 2>/dev/null; then
    exit 0
  fi
  "$folder/bin/python" -c '' 2>/dev/null || "$python" -m venv --clear "$folder"
  "$folder/bin/python" -m pip install -qq --disable-pip-version-check "$@"
  printf '%s' "$wanted" > "$folder/.complete"
)

# link_collection VENV TREE: lets Ansible in that virtual environment find the collection in TREE, wherever it lies.
link_collection() {
  local site
  site=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  mkdir -p "$site/ansible_collections/stowage"
  ln -sfn "$2" "$site/ansible_collections/stowage/fleet"
}

# know_package NAME: lets apt, where it is, know a package that is only downloaded.
know_package() {
  if command -v apt-get >/dev/null && ! apt-cache show "$1" >/dev/null 2>&1; then as_root apt-get -qq update; fi
}

# Stops an engine that was started by hand, by its own process id; one of the service manager's is left to it.
stop_engine() {
  if [ ! -d /run/systemd/system ] && [ -s /var/run/docker.pid ]; then
    as_root kill "$(cat /var/run/docker.pid)"
  fi
}
