#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action apply, which has hosts carry out their part of a plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apply
short_description: Carry out a host's part of the plan
version_added: 0.2.0
author: The stowage.fleet maintainers (@stowage)
description:
  - Takes what M(stowage.fleet.plan) has put on the controller for this host, and has the host do it with
    M(stowage.fleet.containers) and M(stowage.fleet.disk_move). A host is sent its own part only.
  - Parts of a plan are done as soon as what they wait for is done, on whatever host. Where Ansible has fewer processes
    (C(forks)) than hosts have work, a host may have to be asked again, see RV(pending).
  - The role P(stowage.fleet.stowage#role) uses it; its handlers show how.
options:
  phase:
    description:
      - V(start) has the host check the plan against its ledger and record it there. Where the plan changes nothing, and
        in check mode, it does what V(settle) does.
      - V(work) does what the host has to do in the plan's waves.
      - V(settle) brings what stays, and all packet filters, to what is wanted.
    type: str
    choices: [start, work, settle]
    required: true
  fleet:
    description: Value of the label C(stowage.fleet) of the fleet's own containers.
    type: str
    default: fleet
  reserved:
    description: What the host keeps for itself, as for M(stowage.fleet.containers). So are all options without more.
    type: dict
    default: {}
  resources:
    description: Further named resources of the host.
    type: dict
    default: {}
  pull:
    description: When engines fetch images.
    type: str
    choices: [missing, never, always]
    default: missing
  parallel:
    description: Containers worked on side by side.
    type: int
    default: 8
  parallel_moves:
    description: Instances whose disks are carried to this host side by side.
    type: int
    default: 2
  pool:
    description: Folder of the host's disk pool.
    type: path
    default: /var/lib/stowage/pool
  disk_thin_ratio:
    description: How many bytes of disks may be promised for each that the pool has.
    type: float
    default: 1.0
  disk_warn_percent:
    description: Warn when the file system of the pool is this full, in percent.
    type: float
    default: 90.0
  keep_disks_days:
    description: With V(settle), delete disks that were released this many days ago and that no planned instance has.
    type: float
  release_disks:
    description: Delete the disks of instances that the plan removes.
    type: bool
    default: false
  wait_timeout:
    description: Seconds that a container has to become healthy.
    type: int
    default: 120
  lock_timeout:
    description: Seconds to wait for somebody else who works on the host.
    type: int
    default: 60
extends_documentation_fragment:
  - stowage.fleet.attributes
attributes:
  check_mode:
    details: Compares what stays with what is wanted.
  diff_mode:
    details: What was changed in containers, disks and packet filters.
seealso:
  - module: stowage.fleet.plan
  - module: stowage.fleet.containers
"""

EXAMPLES = r"""
- name: Take the plan
  stowage.fleet.apply:
    phase: start
    reserved: "{{ stowage_host_reserved }}"
"""

RETURN = r"""
pending:
  description: Whether the host waits for another one that Ansible has no process free for.
  returned: O(phase=work)
  type: bool
"""
