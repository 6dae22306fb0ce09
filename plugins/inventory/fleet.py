# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet as inventory: hosts with what they have, containers as hosts to talk to."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
short_description: Hosts and containers of a fleet, from its engines
version_added: 0.1.0
author: The stowage.fleet maintainers (@stowage)
description:
  - Asks every engine of a fleet in parallel, and offers its hosts with their capacity and its containers, named as the
    instances are, as inventory.
  - A container is reached through P(stowage.fleet.container#connection).
  - Groups are C(cluster_NAME), C(group_NAME), C(group_CLUSTER_NAME), C(grade_NAME), C(type_NAME), C(host_NAME),
    C(zone_NAME), C(fleet_hosts) and C(fleet_containers).
  - Its file ends in C(.stowage.yml) or C(.stowage.yaml). Keep it outside a directory that is itself an inventory,
    or each use of that one asks all engines.
  - It may follow the inventory of the hosts (C(-i inventories/production -i fleet.stowage.yml)). Then it adds what runs
    there, and leaves the variables of hosts as they are.
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: Says that the file is for this plugin.
    type: str
    required: true
    choices: [stowage.fleet.fleet]
  sources:
    description: Inventory files or directories that hold the hosts, relative to this file.
    type: list
    elements: str
    required: true
  group:
    description: Group of O(sources) that holds the hosts of the fleet.
    type: str
    default: fleet
  become:
    description: Whether to become root on the hosts. As O(sources) and the command line say if not set.
    type: bool
  placement:
    description:
      - Compute the plan, and offer instances where they would go instead of where they are. Touches nothing.
      - What would change has its C(stowage_action) set to what would be done, and is in the group C(action_ACTION).
    type: bool
    default: false
"""

EXAMPLES = r"""
# fleet.stowage.yml
plugin: stowage.fleet.fleet
sources:
  - inventories/production
keyed_groups:
  - key: stowage_instance.state
    prefix: state
compose:
  owner: stowage_instance.cluster

# what-if.stowage.yml: ansible-inventory -i what-if.stowage.yml --graph
#
# plugin: stowage.fleet.fleet
# sources:
#   - inventories/production
# placement: true
"""

import os
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.inventory.manager import InventoryManager
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.template import Templar
from ansible.vars.manager import VariableManager

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.plugin_utils.controller import first_line, read_and_check, solve
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.folding import fold_unplaced
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.planning import make_plan
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.values import plain
from ansible_collections.stowage.fleet.plugins.plugin_utils.remote.observer import observe
from ansible_collections.stowage.fleet.plugins.plugin_utils.rendering import Renderer

# How to reach a host; what else the sources say of it stays with them.
_REACH = (
    *("ansible_host", "ansible_port", "ansible_user", "ansible_password", "ansible_connection"),
    *("ansible_ssh_private_key_file", "ansible_private_key_file", "ansible_ssh_common_args", "ansible_ssh_extra_args"),
    *("ansible_become", "ansible_become_user", "ansible_become_method", "ansible_become_password"),
    "ansible_python_interpreter",
)
_NOT_FOR_CONTAINERS = ("ansible_become", "ansible_connection", "ansible_python_interpreter")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Reads other inventory, observes its hosts, and adds what runs there."""

    NAME = "stowage.fleet.fleet"

    def verify_file(self, path: str) -> bool:
        """Accept files named after this collection."""
        return bool(super().verify_file(path)) and path.endswith((".stowage.yml", ".stowage.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add hosts, containers and groups; every error becomes a parser error with a sentence."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        sources = [os.path.join(os.path.dirname(os.path.abspath(path)), item) for item in self.get_option("sources")]
        missing = [source for source in sources if not os.path.exists(source)]
        if missing:
            raise AnsibleParserError(f"{path}: sources: there is no {missing[0]}; expected a file or a directory")
        if os.path.abspath(path) in sources:
            raise AnsibleParserError(f"{path}: sources: the file names itself; expected the inventory with the hosts")
        hosts = InventoryManager(loader=loader, sources=sources)
        variables = VariableManager(loader=loader, inventory=hosts)
        if self.get_option("group") not in hosts.groups:
            raise AnsibleParserError(f"{path}: group: {', '.join(sources)} have no group {self.get_option('group')}")
        names = sorted(host.name for host in hosts.groups[self.get_option("group")].get_hosts())
        self._reach = {name: variables.get_vars(host=hosts.get_host(name)) for name in names}
        try:
            self._populate(names, self._observe(path, names, sources, cache))
        except StowageError as error:
            raise AnsibleParserError(f"{path}: {error}") from error

    def _observe(self, path: str, names: list[str], sources: list[str], cache: bool) -> dict[str, Any]:
        self.load_cache_plugin()
        key = self.get_cache_key(path)
        wanted = cache and self.get_option("cache")
        if wanted and key in self._cache:
            return dict(self._cache[key])
        results = observe(names, sources=sources, become=self.get_option("become"), loader=self.loader)
        if self.get_option("cache"):
            self._cache[key] = results
        return results

    def _populate(self, names: list[str], results: dict[str, Any]) -> None:
        observations: dict[str, Any] = {}
        missing: dict[str, str] = {}
        for name in names:
            result = results.get(name) or {}
            if result.get("host"):
                observations[name] = plain(result["host"])
            else:
                missing[name] = first_line(result.get("msg")) or "it does not answer"
                self.display.warning(f"host {name}: {missing[name]}")
            self._add_host(name, observations.get(name))
        containers = [
            {**container, "host": host}
            for host, observation in observations.items()
            for container in observation.get("containers") or []
        ]
        if self.get_option("placement"):
            containers = self._plan(observations, missing)
        for container in containers:
            self._add_container(container, observations.get(container["host"], {}))

    def _plan(self, observations: dict[str, Any], missing: dict[str, str]) -> list[dict[str, Any]]:
        variables = next(iter(self._reach.values()), {})
        render = Renderer(Templar(loader=self.loader, variables=variables), variables)
        labels: dict[str, Any] = {}
        for observation in observations.values():
            labels.update(observation.get("labels") or {})
        desired = read_and_check(variables, render, None, labels=labels)
        plan = make_plan(desired, observations, missing, render, solve).plan
        for unplaced in fold_unplaced(plan.get("unplaced") or []):
            self.display.warning(unplaced["text"])
        return [item for item in plan["instances"] if item["action"] != "remove"]

    def _group(self, name: str, member: str) -> None:
        group = self.inventory.add_group(self._sanitize_group_name(name))
        self.inventory.add_child(group, member)

    def _add_host(self, name: str, observation: dict[str, Any] | None) -> None:
        # Another inventory of the same run has it: what that says of it is what a plan is to be made from.
        known = name in self.inventory.hosts
        self.inventory.add_host(name)
        self._group("fleet_hosts", name)
        for key in _REACH:
            if key in self._reach[name]:
                self.inventory.set_variable(name, key, self._reach[name][key])
        facts = observation or {}
        self.inventory.set_variable(name, "stowage_answers", observation is not None)
        for key in ("engine", "cpus", *(() if known else ("resources", "reserved", "labels", "state"))):
            self.inventory.set_variable(name, f"stowage_host_{key}", facts.get(key))
        if (facts.get("labels") or {}).get("zone"):
            self._group(f"zone_{facts['labels']['zone']}", name)
        self._construct(name)

    def _add_container(self, container: dict[str, Any], observation: dict[str, Any]) -> None:
        name, host = container["name"], container["host"]
        self.inventory.add_host(name)
        for key in _REACH:
            if key in self._reach.get(host, {}) and key not in _NOT_FOR_CONTAINERS:
                self.inventory.set_variable(name, key, self._reach[host][key])
        if "ansible_host" not in self._reach.get(host, {}):
            self.inventory.set_variable(name, "ansible_host", host)
        self.inventory.set_variable(name, "ansible_connection", "stowage.fleet.container")
        self.inventory.set_variable(name, "stowage_container", name)
        # Ansible would take the home directory of the user that it logs in to the host as, whom a container hasn't.
        self.inventory.set_variable(name, "ansible_remote_tmp", "/tmp")
        if self._needs_sudo(host):
            self.inventory.set_variable(name, "stowage_docker_command", "sudo -n docker")
        if container.get("action"):
            self.inventory.set_variable(name, "stowage_action", container["action"])
            self._group(f"action_{container['action']}", name)
        self.inventory.set_variable(name, "stowage_instance", container)
        self._group("fleet_containers", name)
        self._group(f"cluster_{container['cluster']}", name)
        self._group(f"group_{container['group']}", name)
        self._group(f"group_{container['cluster']}_{container['group']}", name)
        self._group(f"host_{host}", name)
        zone = (observation.get("labels") or {}).get("zone")
        for kind, value in (("grade", container.get("grade")), ("type", container.get("type")), ("zone", zone)):
            if value:
                self._group(f"{kind}_{value}", name)
        self._construct(name)

    def _needs_sudo(self, host: str) -> bool:
        become = self.get_option("become")
        if become is None:
            become = self._reach.get(host, {}).get("ansible_become")
        return bool(become) and self._reach.get(host, {}).get("ansible_user") != "root"

    def _construct(self, name: str) -> None:
        variables = self.inventory.get_host(name).get_vars()
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)
