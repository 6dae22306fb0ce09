#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plan, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: plan
short_description: Plan which container runs on which host
version_added: 0.1.0
author: The stowage.fleet maintainers (@stowage)
description:
  - Reads the desired state from the variables C(stowage_grades), C(stowage_types), C(stowage_clusters),
    C(stowage_networks) and C(stowage_placement), takes what M(stowage.fleet.host_info) observed of each host, and
    decides what runs where, with which cores and address, and what has to change to get there.
  - Runs on the controller, once for the whole fleet (C(run_once)), and touches no host.
  - Hosts of the fleet that the play does not hold, because of C(--limit), are observed too, so that the plan sees the
    truth about all of them. What would change there is shown as not now, and so is what builds on it.
  - Hosts that do not answer are remembered from the newest ledger that another host holds. Nothing of theirs is
    replaced.
  - Everything that is wrong with the desired state is named at once, each complaint with the path of the value.
options:
  operation:
    description:
      - V(check) reads the desired state and refuses a wrong one. It needs no observation.
      - V(plan) plans, shows the plan (as a diff where one is asked for), and puts what each host has to do where
        M(stowage.fleet.apply) finds it. In check mode it says C(changed) when the plan changes something.
      - V(conclude) says what was not done, draws the fleet, and fails where what runs is not as planned, naming each
        difference.
      - V(map) draws the fleet.
    type: str
    choices: [check, plan, conclude, map]
    default: plan
  cluster:
    description: Cluster of the group whose count is given by O(count).
    type: str
  group:
    description: Group whose count is given by O(count).
    type: str
  count:
    description:
      - Count of O(group) of O(cluster) in this run, instead of what C(stowage_clusters) says.
      - It is not kept. The next run without it returns to what the variables say.
    type: raw
  fleet_group:
    description:
      - Inventory group that holds the hosts of the fleet.
      - The variable C(stowage_fleet), or V(fleet), if not set.
    type: str
  observed:
    description:
      - Name of the variable in which each host has the registered result of M(stowage.fleet.host_info), where
        M(stowage.fleet.observe) was not used.
    type: str
    default: stowage_observed
  topology:
    description: Host label that the map groups hosts by.
    type: str
    default: zone
  pull:
    description:
      - When engines fetch images, as O(stowage.fleet.containers#module:pull) says it.
      - With V(never), a plan that needs an image on a host that lacks it is refused. Else check mode warns of it.
    type: str
    choices: [missing, never, always]
    default: missing
  brought:
    description: Images that something else brings to the hosts, which in check mode has not happened yet.
    type: list
    elements: str
    default: []
  to:
    description: File on the controller that the whole plan is written to, as JSON; see C(docs/contracts.md).
    type: path
extends_documentation_fragment:
  - stowage.fleet.attributes
attributes:
  check_mode:
    details: Nothing is touched in any mode. In check mode RV(ignore:changed) of O(operation=plan) says whether the plan
      changes something.
  diff_mode:
    details: Names every change, and what an update changes inside a container. Values of variables are not shown.
seealso:
  - module: stowage.fleet.host_info
  - module: stowage.fleet.containers
"""

EXAMPLES = r"""
- name: Observe every host
  stowage.fleet.observe:
    labels: "{{ stowage_host_labels }}"
  register: stowage_observed

- name: Decide what runs where
  stowage.fleet.plan:
  register: stowage_plan
  run_once: true

- name: Decide what runs where with five instances
  stowage.fleet.plan:
    cluster: acme
    group: kafka
    count: 5
  register: stowage_plan
  run_once: true
  diff: true

- name: Write the plan to a file
  stowage.fleet.plan:
    to: plan.json
  run_once: true
  check_mode: true
"""

RETURN = r"""
msg:
  description: The plan in one sentence, or everything that is wrong.
  returned: always
  type: str
  sample: 2 to create, 1 to remove, 12 to keep
needs:
  description:
    - What hosts need for the types, such as V(dhcp), a DHCP client. For the role P(stowage.fleet.network#role).
  returned: O(operation=check)
  type: list
  elements: str
images:
  description: Names of the images of the desired state, for O(stowage.fleet.host_info#module:images).
  returned: O(operation=check)
  type: list
  elements: str
changes:
  description: Whether applying the plan changes something.
  returned: O(operation=plan)
  type: bool
workers:
  description: The hosts that have work in the plan's waves, each between blanks.
  returned: O(operation=plan)
  type: str
waves:
  description: What is done at once, in order.
  returned: O(operation=plan)
  type: list
  elements: dict
  contains:
    index:
      description: Number of the wave, from 0.
      type: int
    steps:
      description: What is done, as an operator would say it.
      type: list
      elements: str
      sample: [Start group zookeeper of acme]
    hosts:
      description: How many hosts take part in it.
      type: int
held:
  description: Why an instance is not changed now, by name.
  returned: O(operation=plan)
  type: dict
notes:
  description: What an operator should know.
  returned: O(operation=plan)
  type: list
  elements: str
serial:
  description: Serial number that the plan has in the hosts' ledgers.
  returned: O(operation=plan)
  type: int
plan_id:
  description: Digest of the plan.
  returned: O(operation=plan)
  type: str
map:
  description: The lines of the map.
  returned: O(operation=map)
  type: list
  elements: str
"""
