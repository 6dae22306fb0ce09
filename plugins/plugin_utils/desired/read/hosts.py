# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory says of each host, checked before any host is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....module_utils.common.errors import InvalidInput
from ....module_utils.host.capacity import host_amounts
from .complaints import Complaints, join, show

VARIABLES = ("stowage_host_labels", "stowage_host_reserved", "stowage_host_state", "stowage_host_resources")
STATES = ("active", "cordoned", "drained")


def check_hosts(hosts: Mapping[str, Mapping[str, Any]], complaints: Complaints) -> None:
    """Check the variables of hosts, and that no two names lead to one address.

    :param hosts: by name; ``address`` and ``port`` are where Ansible connects to, None when it does not say.
    """
    places: dict[tuple[str, str], str] = {}
    for name in sorted(hosts):
        variables = hosts[name]
        _check_host(f"host {name}", variables, complaints)
        address = variables.get("address")
        if address is None:
            continue
        place = (str(address), str(variables.get("port") or 22))
        if place in places:
            complaints.add(
                f"host {name}",
                f"has the address {':'.join(place)} of host {places[place]}; expected one name for each machine",
            )
        places.setdefault(place, name)


def check_machines(observations: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that each observation is of a machine of its own: one counted twice would be filled twice.

    :raises InvalidInput: with a sentence for each further name of a machine.
    """
    complaints = Complaints()
    names: dict[str, str] = {}
    for name in sorted(observations):
        machine = observations[name].get("machine")
        if machine and names.setdefault(machine, name) != name:
            complaints.add(f"host {name}", f"is the machine that host {names[machine]} is; expected one name for each")
    complaints.raise_if_any()


def _check_host(path: str, variables: Mapping[str, Any], complaints: Complaints) -> None:
    where = join(path, "stowage_host_labels")
    for key, value in complaints.mapping(where, variables.get("stowage_host_labels")).items():
        if isinstance(value, (Mapping, list)) or value is None:
            complaints.add(join(where, key), f"{show(value)} is not a plain value; expected one value")
    reserved = complaints.mapping(join(path, "stowage_host_reserved"), variables.get("stowage_host_reserved"))
    resources = complaints.mapping(join(path, "stowage_host_resources"), variables.get("stowage_host_resources"))
    try:
        host_amounts(resources, reserved)
    except InvalidInput as error:
        for problem in error.problems:
            where, _colon, what = problem.partition(": ")
            complaints.add(join(path, f"stowage_host_{where}"), what)
    if variables.get("stowage_host_state") is not None:
        complaints.choice(join(path, "stowage_host_state"), variables["stowage_host_state"], STATES)
