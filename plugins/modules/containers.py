#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Converge all instances that a plan gives to one host, in one task."""

from __future__ import annotations

DOCUMENTATION = r"""
module: containers
short_description: Converge all containers that a plan gives to one host
version_added: 0.1.0
author: The stowage.fleet maintainers (@stowage)
description:
  - Creates, starts, stops, updates, recreates and removes the containers of a fleet on one host, in one task,
    with a bounded number of engine calls side by side.
  - Compares every option with what the engine reports. What the engine can change in place (cores, memory, share,
    process limit, restart policy) is changed in place, anything else by a new container that takes over the volumes
    of the old one. Options that are not set are compared with the defaults of the image and of the engine, so
    removing an option from a type is seen.
  - Decides nothing about placement. It re-checks on the host that nothing is promised twice, and refuses before the
    first change otherwise.
  - When one container fails the others go on; the task fails at the end and names each failure.
  - The values of O(instances[].env) are in no result and no diff. Ansible writes what a module was told to the host's
    log, though, unless the task has the variable C(ansible_no_target_syslog), as those of the role
    P(stowage.fleet.stowage#role) do.
extends_documentation_fragment:
  - stowage.fleet.engine
  - stowage.fleet.instance
  - stowage.fleet.attributes
options:
  remove:
    description:
      - Names of containers that this host shall not have (any more). They get their grace period to stop.
      - Their anonymous volumes are removed too; named volumes and directories of the host stay.
    type: list
    elements: str
    default: []
  networks:
    description:
      - Networks that this host shall have, made by the engine's own drivers.
      - One that exists with other settings is made anew when it is ours and nothing uses it, and refused otherwise.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the network.
        type: str
        required: true
      driver:
        description: Driver of the engine.
        type: str
        choices: [bridge, macvlan, ipvlan]
        default: bridge
      parent:
        description: The host's interface that V(macvlan) and V(ipvlan) stand on.
        type: str
      subnet:
        description: Its addresses, such as V(172.30.0.0/24).
        type: str
      gateway:
        description: Its gateway.
        type: str
      subnet6:
        description: Its addresses of IPv6, such as V(fd00:7::/64). Without it the network has no IPv6.
        type: str
      gateway6:
        description: Its gateway for IPv6.
        type: str
      ip_range:
        description: Part of O(networks[].subnet) from which the engine itself may choose.
        type: str
      internal:
        description: Whether it is cut off from the outside.
        type: bool
        default: false
      mtu:
        description:
          - Largest packet in bytes. The driver's default if not set.
          - Containers on macvlan and ipvlan have that of the parent, so another one is refused there.
        type: int
      options:
        description: Further options of the driver.
        type: dict
        default: {}
  isolation:
    description:
      - Who may talk to whom. The containers of the clusters named here get their packet filter before they start.
      - Such containers need O(instances[].runtime=stowage); see M(stowage.fleet.isolation).
    type: dict
    suboptions:
      clusters:
        description: The clusters that are isolated, as O(stowage.fleet.isolation#module:policy.clusters) has them.
        type: dict
        default: {}
      protected:
        description: Addresses that only a rule opens which names them.
        type: list
        elements: str
        default: []
      gateways:
        description: Routers of the networks.
        type: list
        elements: str
        default: []
      digests:
        description:
          - A digest of each cluster's part, and of the rest as C(:common). A part that the host remembers with the same
            digest need not be given again; what is given is remembered.
        type: dict
        default: {}
  prune_networks:
    description: Remove networks of this fleet that O(networks) does not list and that no container uses.
    type: bool
    default: false
  plan:
    description:
      - The plan that this work belongs to. A host whose ledger is newer than O(plan.base_serial) and of another plan
        refuses before anything changes.
    type: dict
    suboptions:
      id:
        description: The plan's id.
        type: str
        required: true
      serial:
        description: Serial number that the plan becomes in the ledger.
        type: int
        required: true
      base_serial:
        description: Highest serial number of any ledger when the plan was made; V(0) if there was none.
        type: int
        required: true
  claim:
    description: Only check O(plan) against the host's ledger and record it there. Converges nothing.
    type: bool
    default: false
  ledger:
    description: What the ledger keeps beside the plan's numbers, see docs/contracts.md. Used by O(claim).
    type: dict
    default: {}
  by:
    description: Who works here, as C(user@controller). Shown to others who find the host locked, and in the ledger.
    type: str
    default: unknown
  host_name:
    description: The host's name in messages. Its own name if not set.
    type: str
  pool:
    description:
      - Directory of the disk pool, whose file system the sum of all disks must fit.
      - The engine's own directory counts while it does not exist.
    type: path
    default: /var/lib/stowage/pool
  release_disks:
    description: Delete the disks of what O(remove) names. Otherwise they are kept and marked as released.
    type: bool
    default: false
  keep_disks:
    description:
      - Of what O(remove) names, those whose disks are kept whatever O(release_disks) says, for they move elsewhere.
    type: list
    elements: str
    default: []
  keep_instances:
    description: Names of instances whose disks are not deleted for their age.
    type: list
    elements: str
    default: []
  keep_disks_days:
    description: Delete disks that were released this many days ago. For ever kept if not set.
    type: float
  disk_thin_ratio:
    description: How many bytes of disks may be promised for each that the pool has.
    type: float
    default: 1.0
  disk_warn_percent:
    description: Warn from this filling of the pool's file system on.
    type: float
    default: 90.0
  state_dir:
    description: Directory of the ledger and of what labels can't say any more, in one directory per fleet.
    type: path
    default: /var/lib/stowage
  reserved:
    description: What the host keeps for itself. Keys are C(cores), C(memory), C(disk) and named resources.
    type: dict
    default: {}
  resources:
    description: Named resources of the host with their amounts, such as C(gpus). Claims on others are refused.
    type: dict
    default: {}
  pull:
    description: When to fetch images.
    type: str
    choices: [missing, never, always]
    default: missing
  parallel:
    description: How many containers are worked on side by side.
    type: int
    default: 8
  wait:
    description: Wait until all started instances run, and are healthy where they have a health check.
    type: bool
    default: true
  wait_timeout:
    description: Seconds to wait for that, after the last one was started.
    type: int
    default: 120
  wait_groups:
    description:
      - Lists of names of instances. Once all of one list run and are healthy, the others are not waited for any longer.
      - Those are returned as RV(containers[].waiting), and waited for again when they are given again.
    type: list
    elements: list
    default: []
  wait_patience:
    description: Seconds after which those that are not healthy yet are returned as RV(containers[].waiting).
    type: float
  filters:
    description:
      - Whether packet filters of containers that run here are brought to O(isolation) too.
      - V(changed) looks only at those whose text changes, V(all) also at whether the kernel still has them.
    type: str
    choices: [none, changed, all]
    default: none
  observe:
    description: Whether to return what runs here now, as RV(host).
    type: str
    choices: [never, changed, always]
    default: never
  lock_timeout:
    description: Seconds to wait for somebody else who works on this host.
    type: int
    default: 60
seealso:
  - module: stowage.fleet.host_info
"""

EXAMPLES = r"""
- name: Converge the containers of this host
  stowage.fleet.containers:
    networks:
      - name: lan
        driver: macvlan
        parent: eth0
        subnet: 172.30.0.0/24
        gateway: 172.30.0.1
    instances:
      - name: acme_zookeeper_0
        cluster: acme
        group: zookeeper
        index: 0
        image: zookeeper:3.9
        cores: [1]
        memory: 512m
        network: lan
        address: 172.30.0.130
        env:
          ZOO_MY_ID: "1"
        mounts:
          - source: acme_zookeeper_0_data
            target: /data
        health:
          test: [CMD, zkServer.sh, status]
          interval: 5s

- name: Remove two containers with their anonymous volumes
  stowage.fleet.containers:
    remove:
      - acme_web_1
      - acme_web_2

- name: Claim a plan on this host before anything changes
  stowage.fleet.containers:
    claim: true
    plan:
      id: 8c1f0f7a52d3b9e4
      serial: 5
      base_serial: 4
    by: alice@control
"""

RETURN = r"""
containers:
  description: What was done, one entry for each of O(remove) and O(instances), ordered by name.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the container.
      type: str
      sample: acme_zookeeper_0
    action:
      description:
        - What was done, or would be done in check mode.
        - V(recorded) means that the container is as wanted and only the note of what it is was renewed.
      type: str
      sample: created
      choices: [none, created, started, stopped, updated, recreated, removed, recorded]
    changed:
      description: Whether anything was changed.
      type: bool
    failed:
      description: Whether it failed.
      type: bool
    waiting:
      description: Whether it was left before it was known to be healthy; see O(wait_groups) and O(wait_patience).
      type: bool
    msg:
      description: Why it was changed, or how it failed.
      type: str
      sample: recreated because env differs
    id:
      description: Its id, empty when there is none.
      type: str
    state:
      description: Its state as the engine says, V(absent) when there is none.
      type: str
      sample: running
    health:
      description: Its health as the engine says, empty without a health check.
      type: str
      sample: healthy
    diff:
      description: Options that differ, as C(before) and C(after).
      type: dict
volumes:
  description: The disks that were looked after, each like an entry of what M(stowage.fleet.volume) returns.
  returned: always
  type: list
  elements: dict
host:
  description: C(containers) and C(volumes) of this host as M(stowage.fleet.host_info) returns them.
  returned: when O(observe) asks for it
  type: dict
networks:
  description: What was done to networks, one entry each.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the network.
      type: str
    action:
      description: What was done.
      type: str
      choices: [none, created, recreated, removed]
    changed:
      description: Whether anything was changed.
      type: bool
    failed:
      description: Whether it failed.
      type: bool
    msg:
      description: Why, or how it failed.
      type: str
claimed:
  description: Serial number of the host's ledger after the run, V(0) without one.
  returned: always
  type: int
seconds:
  description: How long the work on the host took, without the start of the module.
  returned: always
  type: float
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.containers.argspec import MODULE_SPEC, without_env
from ansible_collections.stowage.fleet.plugins.module_utils.containers.run import converge_host
from ansible_collections.stowage.fleet.plugins.module_utils.engine.client import Engine
from ansible_collections.stowage.fleet.plugins.module_utils.observation.facts import see_again


def main():
    """Read the options, converge, and turn errors into a failure once."""
    module = AnsibleModule(argument_spec=MODULE_SPEC, supports_check_mode=True)
    wanted = module.params
    # What a module was told is part of each answer.
    module.params = without_env(wanted)
    try:
        result = converge_host(wanted, check=module.check_mode)
    except StowageError as error:
        module.fail_json(msg=error.message, containers=[], networks=[], volumes=[], claimed=0, seconds=0.0)
    if not module._diff:
        result.pop("diff", None)
    if wanted["observe"] == "always" or (wanted["observe"] == "changed" and result["changed"]):
        result["host"] = see_again(wanted, Engine(wanted["docker_host"], wanted["engine_timeout"]))
    for text in result.pop("warnings", []):
        module.warn(text)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
