#!/usr/bin/env bash
# The main job, from nothing: a lab, the desired state of inventories/lab on it, and the map. LAB, HOSTS and RELEASES
# come from the Makefile.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

inventory=inventories/lab
[ "$LAB" = lab ] || inventory=inventories/labs/$LAB
scripts/timed.sh "lab $LAB up" scripts/lab.sh up "$LAB" "$HOSTS" "$RELEASES"
export ANSIBLE_CONFIG=$PWD/ansible.cfg PATH=$PWD/.venv/bin:$PATH
scripts/timed.sh 'site.yml' ansible-playbook -i "$inventory" playbooks/site.yml
ansible-playbook -i "$inventory" playbooks/map.yml
cat <<EOF

The fleet is up, and two tenants run on it. Now you:

  source .venv/bin/activate
  # Scale, see what that changes, and the new map:
  ansible-playbook -i $inventory stowage.fleet.scale --diff -e cluster=acme -e group=web -e count=4
  # What the next run would change, and why:
  ansible-playbook -i $inventory stowage.fleet.site --check --diff
  # Take it all away:
  make lab-down$([ "$LAB" = lab ] || echo " LAB=$LAB")
EOF
