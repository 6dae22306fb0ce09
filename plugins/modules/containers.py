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
extends_documentation_fragment:
  - stowage.fleet.engine
  - stowage.fleet.attributes
options:
  instances:
    description: The containers that this host shall have, with everything decided.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the container, C(<cluster>_<group>_<index>).
        type: str
        required: true
      cluster:
        description: Its cluster.
        type: str
        required: true
      group:
        description: Its group.
        type: str
        required: true
      index:
        description: Its index in the group, from 0.
        type: int
        required: true
      state:
        description: Running, created and stopped, or created and never started.
        type: str
        choices: [started, stopped, reserved]
        default: started
      grade:
        description: Name of its grade, kept in the label C(stowage.spec).
        type: str
      type:
        description: Name of its type, kept in the label C(stowage.spec).
        type: str
      digest:
        description: Digest of type and grade as desired, kept in the label C(stowage.spec).
        type: str
      claims:
        description:
          - What the grade promises and the host counts. Keys are C(cores) or C(cpus), C(memory), C(disk),
            and any further named resource; sizes in bytes or such as V(512m).
          - Taken from O(instances[].cores), O(instances[].cpus), O(instances[].memory), O(instances[].disk)
            and O(instances[].resources) when not given.
        type: dict
      cores:
        description: Cores that it owns, exclusively; it is confined to them.
        type: list
        elements: int
      cpus:
        description: Its share of the cores that nobody owns, such as V(0.25). Guaranteed, and its limit.
        type: float
      cpuset:
        description: Cores that it is confined to. Defaults to O(instances[].cores).
        type: list
        elements: int
      mems:
        description: NUMA nodes that its memory comes from.
        type: list
        elements: int
      memory:
        description: Memory limit in bytes or such as V(512m), without swap on top.
        type: str
      disk:
        description:
          - Disk promised to it in bytes or such as V(2g). Counted, and with O(instances[].data) it is a file system of
            that size, which is there before its container is made and stays when that goes.
        type: str
      data:
        description: Where the container has its disk of the size O(instances[].disk). Without it, it gets none.
        type: dict
        suboptions:
          path:
            description: Absolute path in the container.
            type: str
            required: true
          fs:
            description: File system of a new disk. V(ext4) if not set.
            type: str
            choices: [ext4, xfs]
          owner:
            description: Owner of its folder, best as a number. Set once, and when this option changes.
            type: str
          group:
            description: Group of its folder, like O(instances[].data.owner).
            type: str
          mode:
            description: Mode of its folder in octal, such as V("0700"), like O(instances[].data.owner).
            type: str
          snapshots:
            description: Take a snapshot before each update of the container, and keep so many. None if not set.
            type: int
      volumes:
        description:
          - Further disks of its own, each a file system of its own size that lives, stays and moves like the first.
          - The host calls it C(<instance>.<name>). One that is no longer listed is kept and marked as released.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name of the volume within the instance, such as V(logs).
            type: str
            required: true
          size:
            description: Its size in bytes or such as V(1g). A larger one grows it.
            type: str
            required: true
          path:
            description: Absolute path in the container.
            type: str
            required: true
          fs:
            description: File system of a new volume. V(ext4) if not set.
            type: str
            choices: [ext4, xfs]
          owner:
            description: Owner of its folder, like O(instances[].data.owner).
            type: str
          group:
            description: Group of its folder, like O(instances[].data.owner).
            type: str
          mode:
            description: Mode of its folder, like O(instances[].data.mode).
            type: str
          snapshots:
            description: Snapshots before updates, like O(instances[].data.snapshots).
            type: int
      resources:
        description: Further named resources promised to it, with their amounts.
        type: dict
      network:
        description: Network that it is attached to. The engine's default network if not set.
        type: str
      address:
        description: Its IPv4 address on O(instances[].network).
        type: str
      address6:
        description: Its IPv6 address there, for a network with O(networks[].subnet6).
        type: str
      image:
        description: Image to run. When the name points to another image than the container has, it is recreated.
        type: str
        required: true
      command:
        description: Command to run, as a list, or as a string that is split as a shell would. Image's if not set.
        type: raw
      entrypoint:
        description: Entry point, as a list, or as a string that is split as a shell would. Image's if not set.
        type: raw
      env:
        description: Environment variables. Values are strings or whole numbers; quote anything else.
        type: dict
      labels:
        description: Further labels. C(stowage.) is reserved.
        type: dict
      mounts:
        description: Volumes, directories of the host and memory file systems in the container.
        type: list
        elements: dict
        suboptions:
          target:
            description: Absolute path in the container.
            type: str
            required: true
          source:
            description: Path on the host, or name of a volume. Without it, an anonymous volume.
            type: str
          type:
            description: Kind of mount. Defaults to V(bind) when O(instances[].mounts[].source) is a path.
            type: str
            choices: [bind, volume, tmpfs]
          read_only:
            description: Whether the container may only read it.
            type: bool
            default: false
          propagation:
            description: How mounts below it propagate (V(bind) only).
            type: str
            choices: [private, rprivate, shared, rshared, slave, rslave]
          no_copy:
            description: Do not fill an empty volume with what the image has at the target (V(volume) only).
            type: bool
            default: false
          tmpfs_size:
            description: Size limit, such as V(64m) (V(tmpfs) only).
            type: str
          tmpfs_mode:
            description: File mode in octal, such as V("1777") (V(tmpfs) only).
            type: str
      tmpfs:
        description: Memory file systems, each C(path) or C(path:options) such as V("/run:size=16m,mode=755").
        type: list
        elements: str
      ports:
        description:
          - Ports to publish on the host, each C([[address:]host port:]container port[/protocol]), also as ranges.
          - Without a host port the engine takes a free one.
        type: list
        elements: str
      capabilities:
        description:
          - Capabilities to add to and to drop from the engine's default set.
          - C(NET_RAW) is always dropped unless it is added here.
        type: dict
        suboptions:
          add:
            description: Capabilities to add.
            type: list
            elements: str
          drop:
            description: Capabilities to drop.
            type: list
            elements: str
      no_new_privileges:
        description: Whether its processes can't gain privileges, such as by a setuid program.
        type: bool
        default: true
      security_opts:
        description: Further security options, such as V(seccomp=unconfined) or V(apparmor=PROFILE).
        type: list
        elements: str
      privileged:
        description: Whether it has all capabilities and devices of the host. Undoes most other protection.
        type: bool
        default: false
      ulimits:
        description: Limits of its processes.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name of the limit, such as V(nofile).
            type: str
            required: true
          soft:
            description: Soft limit, V(-1) for none.
            type: int
            required: true
          hard:
            description: Hard limit, V(-1) for none. Defaults to O(instances[].ulimits[].soft).
            type: int
      sysctls:
        description: Kernel parameters of its namespaces.
        type: dict
      user:
        description: User, as name or number, also V(user:group). Image's if not set.
        type: str
      groups:
        description: Further groups of its user.
        type: list
        elements: str
      working_dir:
        description: Working directory. Image's if not set.
        type: str
      health:
        description: How to find out whether it works. What is not set is taken from the image.
        type: dict
        suboptions:
          test:
            description:
              - A list is run as it is, a string by a shell. V(NONE) turns the image's check off.
            type: raw
          interval:
            description: Time between two checks, such as V(10s) or V(1m30s); a bare number is seconds.
            type: str
          timeout:
            description: Time after which a check has failed.
            type: str
          start_period:
            description: Time to start up, in which failed checks do not count.
            type: str
          retries:
            description: How many checks in a row must fail.
            type: int
      restart_policy:
        description: When the engine starts it again by itself.
        type: str
        choices: ["no", always, on-failure, unless-stopped]
        default: unless-stopped
      restart_retries:
        description: How often at most, with V(on-failure). V(0) is without end.
        type: int
        default: 0
      stop_signal:
        description: Signal that asks it to stop. Image's, or V(SIGTERM), if not set.
        type: str
      stop_timeout:
        description: Grace period in seconds between O(instances[].stop_signal) and the kill.
        type: int
        default: 10
      log_driver:
        description: Log driver. The engine's default if not set.
        type: str
      log_options:
        description: Options of the log driver. The engine's defaults apply where not set.
        type: dict
      devices:
        description: Devices of the host, each C(path[:path in the container[:rwm]]).
        type: list
        elements: str
      read_only:
        description: Whether its root file system is read-only.
        type: bool
        default: false
      shm_size:
        description: Size of C(/dev/shm), such as V(128m). The engine's default if not set.
        type: str
      storage_opt:
        description:
          - A limit on what it writes outside of its disks, where the engine's storage driver can (btrfs, zfs,
            devicemapper, or overlay2 on xfs with pquota). Refused before the first change where it can't.
        type: dict
        suboptions:
          size:
            description: Size of its writable layer in bytes or such as V(5g).
            type: str
      pids_limit:
        description: How many processes and threads it may have. V(-1) is without limit, also the default.
        type: int
      init:
        description: Whether the engine's small init runs as process 1. The engine's default if not set.
        type: bool
      runtime:
        description: Name of the engine's runtime that runs it. C(stowage) is the one that filters its network.
        type: str
      links:
        description: All links that it shall have beside its network; see M(stowage.fleet.link). Needs that runtime.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name of the interface in the container. The engine's own are C(eth0) and so on.
            type: str
            required: true
          kind:
            description:
              - V(bridge) is a pair of interfaces, one end of which is a port of a bridge.
              - V(macvlan) and V(ipvlan) put a further interface on a NIC. The host itself can't reach it.
              - V(nic) gives the NIC itself, also a function of one (SR-IOV).
            type: str
            choices: [bridge, macvlan, ipvlan, nic]
            default: bridge
          parent:
            description: The host's bridge or NIC.
            type: str
            required: true
          host_name:
            description: Name of the end on the host, with V(bridge). Follows from the names if not set.
            type: str
          mac:
            description:
              - MAC. Follows from the names of container and link if not set, so that it stays.
              - A NIC keeps its own, and ipvlan has that of its parent.
            type: str
          addresses:
            description: Addresses with their prefix lengths, such as V(192.0.2.7/24).
            type: list
            elements: str
          gateway:
            description: Router for all that no other route is for.
            type: str
          mtu:
            description: MTU in bytes. The parent's if not set.
            type: int
          vlan:
            description:
              - VLAN. A bridge has to filter VLANs.
              - With V(macvlan) and V(ipvlan), the interface of the VLAN is made where it is not there.
            type: int
          routes:
            description: Further routes, each with C(to), a network, and perhaps C(via), a router.
            type: list
            elements: dict
          rate:
            description:
              - How much it may carry, such as V(10mbit), out of the container, and with V(bridge) into it as well.
            type: str
      tty:
        description: Whether it gets a terminal.
        type: bool
        default: false
      interactive:
        description: Whether its standard input is kept open.
        type: bool
        default: false
      hostname:
        description: Its host name. Defaults to its name with hyphens for underscores.
        type: str
      extra_hosts:
        description: Further lines of its C(/etc/hosts), names with their addresses.
        type: dict
      dns:
        description: Name servers. The engine's default if not set.
        type: list
        elements: str
      dns_search:
        description: Domains to search.
        type: list
        elements: str
      dns_options:
        description: Resolver options.
        type: list
        elements: str
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
        description: Largest packet in bytes. The driver's default if not set.
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
    description: What the ledger keeps beside the plan's numbers, usually C(instances) and C(hosts). Used by O(claim).
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

from ansible_collections.stowage.fleet.plugins.module_utils.container_spec import MODULE_SPEC
from ansible_collections.stowage.fleet.plugins.module_utils.converge import converge_host
from ansible_collections.stowage.fleet.plugins.module_utils.errors import StowageError


def main():
    """Read the options, converge, and turn errors into a failure once."""
    module = AnsibleModule(argument_spec=MODULE_SPEC, supports_check_mode=True)
    try:
        result = converge_host(module.params, check=module.check_mode)
    except StowageError as error:
        module.fail_json(msg=error.message, containers=[], networks=[], volumes=[], claimed=0, seconds=0.0)
    if not module._diff:
        result.pop("diff", None)
    for text in result.pop("warnings", []):
        module.warn(text)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
