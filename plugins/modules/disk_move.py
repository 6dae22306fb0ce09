#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving disks between hosts; the work is done by the action plugin of the same name, on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: disk_move
short_description: Move the disks of containers from one host to another
version_added: 0.1.0
author:
  - The stowage.fleet maintainers (@stowage)
description:
  - Carries disks to the host that the task runs for, by way of the controller and with the connections of the
    inventory (jump hosts and become included). The hosts need not reach or trust each other.
  - Only what is not zero travels, compressed where that helps. Both ends must agree on a checksum before the new copy
    counts, and the old one is removed by V(forget) only, after the new one is in use.
  - Interrupted at any point, one good copy remains and is marked as such; V(carry) goes on where it stopped.
  - The role P(stowage.fleet.stowage#role) runs it as steps of a plan.
attributes:
  check_mode:
    support: full
    description: Touches nothing, and says what would be moved.
  diff_mode:
    support: none
    description: The plan shows what moves.
  idempotent:
    support: full
    description: What has arrived is not carried again.
extends_documentation_fragment:
  - stowage.fleet.attributes
options:
  operation:
    description:
      - V(reserve) keeps room for the disks on this host, or fails before anything is stopped.
      - V(carry) moves them here. Their containers must be stopped.
      - V(recall) takes disks back that were to leave this host.
      - V(forget) removes copies from this host that are no longer the good ones.
    type: str
    choices: [reserve, carry, recall, forget]
    required: true
  disks:
    description: The disks.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the volume.
        type: str
        required: true
      instance:
        description: The instance it belongs to. Disks of one instance are moved together.
        type: str
        required: true
      from_host:
        description: The host of the inventory where it is, for V(reserve) and V(carry).
        type: str
      uuid:
        description: UUID of its file system, for V(forget).
        type: str
      generation:
        description: Generation of the good copy, for V(forget).
        type: int
  fleet:
    description: The fleet that the disks belong to.
    type: str
    default: fleet
  pool:
    description:
      - Folder of the pool of this host.
      - The host that a disk comes from has its own where its variable C(storage_pool) says. Where neither host has that
        variable, it is the same folder there.
    type: path
    default: /var/lib/stowage/pool
  reserved:
    description: What of this host is left to itself; its C(disk) counts.
    type: dict
    default: {}
  disk_thin_ratio:
    description: How many bytes of disks may be promised for each that the pool has.
    type: float
    default: 1.0
  parallel:
    description: How many instances' disks are carried to this host side by side.
    type: int
    default: 2
  lock_timeout:
    description: Seconds to wait for somebody else who works on a pool.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Carry a disk here while its container is stopped
  stowage.fleet.disk_move:
    operation: carry
    disks:
      - {name: acme_db_0, instance: acme_db_0, from_host: h1}
"""

RETURN = r"""
moved:
  description: The instances whose disks were worked on.
  type: list
  elements: dict
  returned: always
  sample: [{"instance": "acme_db_0", "from_host": "h1", "bytes": 3328599654, "seconds": 41.2}]
"""
