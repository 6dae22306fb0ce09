#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe one host of the fleet."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Observe what a host of the fleet has, and what runs on it
version_added: 0.1.0
author: The stowage.fleet maintainers (@stowage)
description:
  - Returns the host's cores with their NUMA nodes, sockets and hardware threads, its memory, the disk of its pool, its
    engine, networks, ledger, and every container that the fleet owns on it, as the engine reports it.
  - One task, one connection. The planner takes the answer as it is.
extends_documentation_fragment:
  - stowage.fleet.engine
  - stowage.fleet.attributes
  - stowage.fleet.attributes.read_only
options:
  labels:
    description: Labels of the host, passed on for placement rules. Numbers stay numbers.
    type: dict
    default: {}
  reserved:
    description:
      - What the host keeps for itself. Keys are C(cores), C(memory), C(disk) and names of O(resources).
      - Sizes in bytes or such as V(1g).
    type: dict
    default: {}
  resources:
    description: Further named resources of the host with their amounts, such as C(gpus).
    type: dict
    default: {}
  state:
    description: Whether the host takes containers, takes no new ones, or is to be emptied.
    type: str
    choices: [active, cordoned, drained]
    default: active
  host_name:
    description: The host's name in the answer. Its own name if not set.
    type: str
  pool:
    description:
      - Directory of the disk pool. The size of its file system is the host's disk.
      - The engine's own directory counts while it does not exist.
    type: path
    default: /var/lib/stowage/pool
  disk_thin_ratio:
    description:
      - How many bytes of disks may be promised for each that the pool has beyond what is reserved.
      - The host's disk counts accordingly.
    type: float
    default: 1.0
  state_dir:
    description: Directory of the ledger, in one directory per fleet.
    type: path
    default: /var/lib/stowage
  parallel:
    description: How many containers are inspected side by side.
    type: int
    default: 8
  images:
    description: Names of images to look for.
    type: list
    elements: str
    default: []
  ledger:
    description: Whether to return the ledger's body too, where this host keeps it.
    type: str
    choices: [head, body]
    default: head
seealso:
  - module: stowage.fleet.containers
"""

EXAMPLES = r"""
- name: Observe this host
  stowage.fleet.host_info:
    labels: "{{ stowage_host_labels }}"
    reserved:
      cores: 1
      memory: 1g
  register: observed

- name: Show the containers of the fleet that do not run
  ansible.builtin.debug:
    msg: "{{ observed.host.containers | rejectattr('state', 'eq', 'running') | map(attribute='name') }}"
"""

RETURN = r"""
host:
  description: The observation. Sizes are in bytes.
  returned: success
  type: dict
  contains:
    version:
      description: Version of this shape.
      type: int
    name:
      description: The host's name.
      type: str
    engine:
      description:
        - Versions, drivers and directory of the engine.
        - C(layer_limit) says whether it can limit the writable layer of a container, and why not.
      type: dict
    machine:
      description: What tells this machine, while it is up, from all others.
      type: str
    addresses:
      description: All addresses of the host itself, which isolated containers are kept away from.
      type: list
      elements: str
    cpus:
      description:
        - The logical CPUs that are online and that the host may use, each with C(id), C(core), C(socket), C(node).
        - Hardware threads of one physical core have the same C(core).
      type: list
      elements: dict
    resources:
      description: Memory, disk and named resources.
      type: dict
    reserved:
      description: What the host keeps for itself.
      type: dict
    labels:
      description: Labels of the host.
      type: dict
    state:
      description: State of the host.
      type: str
    containers:
      description:
        - The containers that the fleet owns here, by cluster, group and index.
        - C(cores) are those that a container owns, C(cpuset) those that it is confined to.
        - C(settings) are positions in C(settings) of the host.
      type: list
      elements: dict
    settings:
      description:
        - Options of the containers, each once, as a list of its name, its value as a text, and where it comes from,
          V(own), V(image) or V(engine). Variables have no value, but a mark that differs when the value does.
      type: list
      elements: list
    images:
      description: The ids of O(images) by name, none for those that are not on the host.
      type: dict
    others:
      description:
        - What other fleets hold on this engine, each with C(name), C(fleet), C(claims), C(cores), C(network) and
          C(address).
      type: list
      elements: dict
    networks:
      description: Networks of the engine.
      type: list
      elements: dict
    volumes:
      description:
        - The disks that the fleet has here, released ones included, each with C(name), C(state) (C(attached),
          C(released), C(leaving), C(incoming) or C(moved) on the way to another host, or C(unreadable)), C(peer) (that
          host), C(generation), C(size), C(used), C(fs), C(uuid), C(mounted), C(missing), C(released_at),
          C(snapshots) and C(snapshot_bytes).
      type: list
      elements: dict
    pool:
      description: Directory of the disk pool.
      type: str
    ledger:
      description: The ledger of the fleet on this host, none if there is none yet.
      type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.observation.facts import HOST_INFO_SPEC, observe


def main():
    """Observe, and turn errors into a failure once."""
    module = AnsibleModule(argument_spec=HOST_INFO_SPEC, supports_check_mode=True)
    try:
        host, warnings = observe(module.params)
    except StowageError as error:
        module.fail_json(msg=error.message)
    for warning in warnings:
        module.warn(warning)
    module.exit_json(changed=False, host=host)


if __name__ == "__main__":
    main()
