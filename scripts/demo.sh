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
  ansible-playbook -i $inventory stowage.fleet.scale -e cluster=acme -e group=web -e count=4    # scale, then look again
  ansible-playbook -i $inventory stowage.fleet.map
  ansible-playbook -i $inventory stowage.fleet.site --check --diff    # what the next run would change, and why
  make lab-down$([ "$LAB" = lab ] || echo " LAB=$LAB")                                                   # takes it all away
EOF
