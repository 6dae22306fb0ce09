#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of containers: image files with a file system of their own, mounted through loop devices."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume
short_description: Give containers disks of a fixed size, and never lose what is on them
version_added: 0.1.0
author:
  - The stowage.fleet maintainers (@stowage)
description:
  - Each volume is a sparse image file in a pool, with a file system of its own, mounted through a loop device. So a
    container that fills its disk fills its own and nobody else's, on any host, without project quotas.
  - A volume belongs to its instance. It is kept when the container stops, is updated or removed; V(released) marks it
    with a date and keeps it, and V(present) takes it up again. Only V(absent) and O(keep_days) delete.
  - A damaged file system is checked, repaired where that is safe, and otherwise named; the other volumes go on.
  - Mount RV(volumes[].data) into the container, never RV(volumes[].mountpoint). The former exists on the volume only,
    so that a container can't start on an empty folder when its volume is not mounted.
extends_documentation_fragment:
  - stowage.fleet.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: O(volumes[].rollback) and O(volumes[].restore) replace the content with every run.
options:
  volumes:
    description: The volumes to bring about. Others in the pool are left as they are.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the volume, usually that of its instance.
        type: str
        required: true
      state:
        description:
          - V(present) is there, mounted, and at least as large as asked for.
          - V(released) is not mounted and kept.
          - V(absent) is deleted with all its snapshots.
        type: str
        choices: [present, released, absent]
        default: present
      size:
        description:
          - Size of the file system in bytes or such as V(10g). Needed for a new volume.
          - A larger size grows it, while it is used where the kernel allows that. A smaller one is refused.
        type: str
      shrink:
        description: Make it smaller when O(volumes[].size) says so. ext4 only, while nothing uses it.
        type: bool
        default: false
      fs:
        description: File system of a new volume. V(ext4) if not set.
        type: str
        choices: [ext4, xfs]
      instance:
        description: The instance it belongs to. Its name if not set.
        type: str
      path:
        description: Where the container has it. Noted only.
        type: str
      owner:
        description: Owner of its folder, as a number or a name on the host. Set once, and when this option changes.
        type: str
      group:
        description: Group of its folder, like O(volumes[].owner).
        type: str
      mode:
        description: Mode of its folder in octal, such as V("0700"), like O(volumes[].owner).
        type: str
      options:
        description: Mount options, from the next mount on. V(noatime), V(nodev) and V(nosuid) if not set.
        type: list
        elements: str
      snapshot:
        description: A snapshot of this name shall exist. Writers wait while it is taken.
        type: str
      keep_snapshots:
        description: Keep at most this many snapshots; the oldest go.
        type: int
      rollback:
        description: Go back to the snapshot of this name. Nothing may use the volume.
        type: str
      backup:
        description:
          - A file on the host, such as V(/backup/acme_db_0.tar.zst), that shall hold a copy. One that exists is kept.
          - A sparse tar archive, compressed by its ending (V(.zst), V(.gz) or not), its checksum in C(FILE.sha256).
          - How far it got is shown while it runs, and so it is for O(volumes[].restore).
        type: path
      restore:
        description: Take the content from the backup in this file, after checking it. Nothing may use the volume.
        type: path
  pool:
    description: Folder of the pool.
    type: path
    default: /var/lib/stowage/pool
  fleet:
    description: The fleet that works here. Volumes of another one are refused.
    type: str
    default: fleet
  pool_size:
    description: What the pool may use, in bytes or such as V(500g). The size of its file system if not set.
    type: str
  reserve:
    description: What of the pool is left to the host.
    type: str
    default: "0"
  thin_ratio:
    description: How many bytes may be promised for each that the pool has. With V(1) a promise is always kept.
    type: float
    default: 1.0
  warn_percent:
    description: Warn from this filling of the pool's file system on.
    type: float
    default: 90.0
  keep_days:
    description: Delete released volumes of this fleet after this many days. For ever kept if not set.
    type: float
  keep_instances:
    description: Instances whose volumes O(keep_days) does not delete.
    type: list
    elements: str
    default: []
  repair:
    description:
      - What to do with a damaged file system. V(none) names it, V(safe) does what its checker calls safe.
      - V(force) lets the checker decide, after keeping a way back among the snapshots.
    type: str
    choices: [none, safe, force]
    default: safe
  mend:
    description: Clean up after interrupted runs, see RV(strays). Otherwise they are listed only.
    type: bool
    default: true
  parallel:
    description: How many volumes are worked on side by side.
    type: int
    default: 4
  lock_timeout:
    description: Seconds to wait for somebody else who works on this pool.
    type: int
    default: 60
  boot_program:
    description: Write the program that mounts all volumes at boot to this file. The role C(storage) has it run.
    type: path
requirements:
  - e2fsprogs for ext4, xfsprogs for xfs
  - root
"""

EXAMPLES = r"""
- name: Give two databases their disks
  stowage.fleet.volume:
    reserve: 10g
    volumes:
      - {name: acme_db_0, size: 20g, owner: "999", group: "999", mode: "0700"}
      - {name: acme_db_1, size: 20g, fs: xfs}

- name: Keep a snapshot before an update
  stowage.fleet.volume:
    volumes:
      - {name: acme_db_0, snapshot: before-3.9, keep_snapshots: 3}

- name: Keep the disk of an instance that went away, and delete what has been kept for a month
  stowage.fleet.volume:
    volumes:
      - {name: acme_db_1, state: released}
    keep_days: 30

- name: Look for strays without touching them
  stowage.fleet.volume:
    mend: false
"""

RETURN = r"""
volumes:
  description: One entry for each volume that was asked for, and for each that was deleted for its age.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: Name of the volume.
      type: str
      sample: acme_db_0
    action:
      description: The most important of RV(volumes[].actions), C(keep) for none.
      type: str
      sample: create
    actions:
      description: All that was done, or would be in check mode.
      type: list
      elements: str
      sample: [create, mount]
    changed:
      description: Whether anything was done.
      type: bool
    failed:
      description: Whether it failed.
      type: bool
    msg:
      description: What went wrong, or what was noticed on the way.
      type: str
    state:
      description: C(attached), C(released), C(absent), or on the way to another host C(leaving), C(incoming), C(moved).
      type: str
    size:
      description: Size in bytes.
      type: int
    fs:
      description: Its file system.
      type: str
    uuid:
      description: UUID of the file system.
      type: str
    path:
      description: Where the container has it.
      type: str
    instance:
      description: The instance it belongs to.
      type: str
    image:
      description: Its image file.
      type: str
    mountpoint:
      description: Where it is mounted.
      type: str
    data:
      description: The folder to mount into the container.
      type: str
      sample: /var/lib/stowage/pool/mounts/acme_db_0/data
    mounted:
      description: Whether it is mounted.
      type: bool
    released_at:
      description: When it was released.
      type: str
    diff:
      description: The volume before and after.
      type: dict
pool:
  description: The pool, in bytes.
  type: dict
  returned: always
  sample: {"path": "/var/lib/stowage/pool", "size": 107374182400, "reserve": 0, "thin_ratio": 1.0,
           "allowed": 107374182400, "promised": 42949672960, "allocated": 1073741824, "free": 90000000000,
           "warnings": []}
strays:
  description: What lay about in the pool although no volume accounts for it, and whether it was mended.
  type: list
  elements: dict
  returned: always
  sample: [{"kind": "image", "what": "/var/lib/stowage/pool/images/.new-acme_db_0.img",
            "msg": "making it was interrupted; it was never used", "mended": true}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.disks.options import (
    argument_spec,
    settings_from,
    wanted_from,
)
from ansible_collections.stowage.fleet.plugins.module_utils.disks.program import install
from ansible_collections.stowage.fleet.plugins.module_utils.disks.runner import converge


def main():
    """Read the options, converge, and name each volume that failed."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        outcome = converge(settings_from(module.params, module.check_mode), wanted_from(module.params))
    except StowageError as exc:
        module.fail_json(msg=exc.message, volumes=[])
    for text in outcome.warnings + [stray.msg for stray in outcome.strays if not stray.mended]:
        module.warn(text)
    result = outcome.to_dict()
    if module.params["boot_program"] and install(module.params["boot_program"], module.check_mode):
        result["changed"] = True
    result["diff"] = [{"before": entry["diff"]["before"], "after": entry["diff"]["after"],
                       "before_header": entry["name"], "after_header": entry["name"]}
                      for entry in outcome.volumes if entry["changed"]]
    if outcome.failures:
        module.fail_json(msg="\n".join(outcome.failures), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
