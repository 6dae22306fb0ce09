#!/usr/bin/env bash
# A lab up or down: lab.sh up NAME HOSTS RELEASES | lab.sh down NAME. KEEP_IMAGES=1 leaves the host images.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

# One lab at a time: each looks for a subnet that nobody has, and the first of a release builds its image. Whoever holds the
# lock gives it to none of its children: one of them may be the engine.
locked() { flock --close build/labs.lock "$@"; }
mkdir -p build

export ANSIBLE_CONFIG=$PWD/ansible.cfg PATH=$PWD/.venv/bin:$PATH
arguments=(-i "localhost," -e "lab_name=$2")
# Who is not root is asked for the password of sudo, unless sudo asks for none.
if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then arguments+=(--ask-become-pass); fi
case $1 in
  up)
    command -v ssh >/dev/null || need_packages openssh-client
    locked ansible-playbook "${arguments[@]}" -e "lab_hosts=$3" -e "lab_releases=$4" playbooks/lab_up.yml
    # Every lab gets the desired state of the example: what runs on `lab` runs on the others.
    [ "$2" = lab ] || ln -sfn ../../lab/group_vars "inventories/labs/$2/group_vars" ;;
  down)
    [ -z "${KEEP_IMAGES:-}" ] || arguments+=(-e lab_keep_images=true)
    [ ! -L "inventories/labs/$2/group_vars" ] || rm "inventories/labs/$2/group_vars"
    locked ansible-playbook "${arguments[@]}" playbooks/lab_down.yml ;;
  *) die "lab.sh knows up and down, not '$1'" ;;
esac
