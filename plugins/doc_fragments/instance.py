# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of an instance and of a link; module_utils/containers/options.py and network/links/wanted.py specify them."""

from __future__ import annotations

from textwrap import indent

_LINK = r"""
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
dhcp:
  description:
    - Whether a DHCP server gives its IPv4 address. The container starts when it has one, and systemd keeps a client
      that renews it (C(journalctl -u 'stowage-dhcp-*')). Needs C(udhcpc), see the role C(network).
    - The client calls itself C(container/link) (option 61, of type 0), beside the MAC. C(resolv.conf) is left alone.
  type: bool
dhcp_take:
  description: What it takes of its lease beside the address. Nothing else if not set.
  type: list
  elements: str
  choices: [gateway, routes, mtu]
dhcp_timeout:
  description: Seconds to wait for an address before the container is held back. 20 if not set.
  type: int
"""

_INSTANCE = r"""
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
      links:
        description: All links that it shall have beside its network; see M(stowage.fleet.link). Needs that runtime.
        type: list
        elements: dict
        suboptions:
"""


class ModuleDocFragment:
    """Instances, each with its links, and links alone."""

    # Annotated, since sanity takes a plain assignment for a literal text.
    DOCUMENTATION: str = _INSTANCE + indent(_LINK, " " * 10)

    LINKS: str = r"""
options:
  links:
    description: All links that the container shall have.
    type: list
    elements: dict
    default: []
    suboptions:
""" + indent(_LINK, " " * 6)
