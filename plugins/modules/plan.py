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
      - V(plan) plans. What it returns holds the environment of containers, so callbacks get none of it; errors are
        shown, and the registered variable holds all.
      - V(show) shows a plan, as a diff too, without what containers are told. In check mode it says C(changed) when the
        plan changes something.
      - V(verify) compares observations with a plan, and fails naming each difference.
      - V(map) draws the fleet.
    type: str
    choices: [check, plan, show, verify, map]
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
    description: Name of the variable in which each host has the registered result of M(stowage.fleet.host_info).
    type: str
    default: stowage_observed
  planned:
    description: Name of the variable that holds the registered plan, for O(operation=show) and O(operation=verify).
    type: str
    default: stowage_plan
  topology:
    description: Host label that O(operation=map) groups hosts by.
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
extends_documentation_fragment:
  - stowage.fleet.attributes
attributes:
  check_mode:
    details: Nothing is touched in any mode. In check mode RV(ignore:changed) of O(operation=show) says whether the plan
      changes something.
  diff_mode:
    details: Names every change, and what an update changes inside a container. Values of variables are not shown.
seealso:
  - module: stowage.fleet.host_info
  - module: stowage.fleet.containers
"""

EXAMPLES = r"""
- name: Observe every host
  stowage.fleet.host_info:
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

- name: See what five instances would look like
  stowage.fleet.plan:
    operation: show
  run_once: true
  check_mode: true
  diff: true
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
  returned: O(operation=plan) and O(operation=show)
  type: bool
drawn:
  description: The diff as text, where one was asked for.
  returned: O(operation=plan)
  type: str
plan:
  description: The plan as the planner returned it, see C(docs/architecture.md).
  returned: O(operation=plan) and O(operation=show)
  type: dict
steps:
  description: What has to be done, in order.
  returned: O(operation=plan)
  type: list
  elements: dict
  contains:
    index:
      description: Number of the step, from 0.
      type: int
    name:
      description: The step as an operator would say it.
      type: str
      sample: Start group zookeeper of acme
    kind:
      description: Whether it removes or creates.
      type: str
    instances:
      description: Names of the instances that it works on.
      type: list
      elements: str
    waits_for:
      description: Numbers of the steps that must be done first.
      type: list
      elements: int
    hosts:
      description: For each host C(instances) and C(remove), as M(stowage.fleet.containers) takes them.
      type: dict
keep:
  description: For each host of the play what stays there, as M(stowage.fleet.containers) takes it.
  returned: O(operation=plan)
  type: dict
held:
  description: Why an instance is not changed now, by name.
  returned: O(operation=plan) and O(operation=show)
  type: dict
notes:
  description: What an operator should know.
  returned: O(operation=plan) and O(operation=show)
  type: list
  elements: str
networks:
  description: The networks, as M(stowage.fleet.containers) takes them.
  returned: O(operation=plan)
  type: list
  elements: dict
claim:
  description: Number of the plan, as M(stowage.fleet.containers) takes it.
  returned: O(operation=plan)
  type: dict
by:
  description: Who plans, as C(user@controller).
  returned: O(operation=plan)
  type: str
ledger:
  description: What every host remembers of the plan. Empty when nothing changes.
  returned: O(operation=plan)
  type: dict
map:
  description: The lines of the map.
  returned: O(operation=map)
  type: list
  elements: str
"""
