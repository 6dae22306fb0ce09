#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action observe, which runs host_info on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: observe
short_description: Observe a host for the plan
version_added: 0.2.0
author: The stowage.fleet maintainers (@stowage)
description:
  - Runs M(stowage.fleet.host_info) and keeps what it returns on the controller, where M(stowage.fleet.plan) finds it.
    No variable holds it, so that a large fleet costs no more than it must.
options:
  fleet:
    description: Value of the label C(stowage.fleet) of the fleet's own containers.
    type: str
    default: fleet
  labels:
    description: Labels of the host, as for M(stowage.fleet.host_info). So are all options below.
    type: dict
    default: {}
  reserved:
    description: What the host keeps for itself.
    type: dict
    default: {}
  resources:
    description: Further named resources of the host.
    type: dict
    default: {}
  state:
    description: Whether the host takes containers.
    type: str
    choices: [active, cordoned, drained]
    default: active
  pool:
    description: Folder of the host's disk pool.
    type: path
    default: /var/lib/stowage/pool
  disk_thin_ratio:
    description: How many bytes of disks may be promised for each that the pool has.
    type: float
    default: 1.0
  images:
    description: Names of images to look for.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - stowage.fleet.attributes.read_only
seealso:
  - module: stowage.fleet.host_info
  - module: stowage.fleet.plan
"""

EXAMPLES = r"""
- name: Observe this host
  stowage.fleet.observe:
    labels: "{{ stowage_host_labels }}"
    reserved: "{{ stowage_host_reserved }}"
"""

RETURN = r""" # """
