# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts' own side of networks: bridges that they need, and shims with an address of the pool for each host."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from ....module_utils.common.errors import InvalidInput
from .addresses import ends
from .complaints import Complaints, join, show

INHIBIT = "com.docker.network.bridge.inhibit_ipv4"
BRIDGE_OPTIONS = {INHIBIT: "true"}
BRIDGE_NAME = "com.docker.network.bridge.name"


def read_host_side(path: str, given: Mapping[str, Any], network: dict[str, Any], complaints: Complaints) -> None:
    """Read ``bridge`` and ``shim`` into a network."""
    if given.get("bridge") is not None:
        if network["driver"] != "bridge":
            complaints.add(join(path, "bridge"), f"is given with driver {network['driver']}; expected driver bridge")
        network["bridge"] = complaints.text(join(path, "bridge"), given["bridge"])
    elif network["driver"] == "bridge" and network.get("parent"):
        complaints.add(join(path, "parent"), f"{network['parent']} is given without a bridge over it; expected bridge, "
                       "such as br0")
    if given.get("shim") in (None, False):
        return
    where = join(path, "shim")
    if network["driver"] != "macvlan":
        complaints.add(where, f"is given with driver {network['driver']}; expected driver macvlan, where a host can't "
                       "reach its own containers otherwise")
    if isinstance(given["shim"], Mapping):
        network["shim"] = _read_addresses(where, given["shim"], network, complaints)
    else:
        network["shim"] = complaints.boolean(where, given["shim"], False)


def _read_addresses(
    path: str, value: Mapping[str, Any], network: Mapping[str, Any], complaints: Complaints
) -> dict[str, str]:
    found: dict[str, str] = {}
    for host, text in value.items():
        where = join(path, str(host))
        try:
            address = ipaddress.IPv4Address(text)
        except ValueError:
            complaints.add(where, f"{show(text)} is not an address; expected one such as 172.30.0.250")
            continue
        if network.get("subnet") and address not in ipaddress.ip_network(network["subnet"]):
            complaints.add(where, f"{address} lies outside the subnet; expected an address in {network['subnet']}")
        if str(address) in found.values():
            complaints.add(where, f"{address} is given twice; expected an address for each host")
        found[str(host)] = str(address)
    return found


def shims(network: Mapping[str, Any], hosts: Sequence[str]) -> dict[str, str]:
    """Return {host: address of its shim}: as given, or from the end of the pool, the first host the last address.

    :param hosts: all hosts of the fleet in the inventory's order, so that a further one at the end changes no other.
    """
    given = network.get("shim")
    if isinstance(given, Mapping):
        return dict(given)
    if not given:
        return {}
    found: dict[str, str] = {}
    left_out = [ends(text) for text in network.get("exclude") or []]
    spans = sorted((ends(text) for text in network["pool"]), reverse=True)
    free = (number for low, high in spans for number in range(int(high), int(low) - 1, -1))
    for host in hosts:
        for number in free:
            address = ipaddress.IPv4Address(number)
            if not any(low <= address <= high for low, high in left_out):
                found[host] = str(address)
                break
    return found


def reserve(networks: Mapping[str, dict[str, Any]], hosts: Sequence[str]) -> None:
    """Keep the addresses of shims from instances.

    :raises InvalidInput: when a pool has too few addresses for the shims of all hosts.
    """
    _refuse_shortage(networks, hosts)
    for network in networks.values():
        network["exclude"] = [*network["exclude"], *sorted(shims(network, hosts).values())]


def _refuse_shortage(networks: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> None:
    short = {name: len(shims(network, hosts)) for name, network in networks.items() if network.get("shim") is True}
    problems = [f"stowage_networks.{name}.pool: has addresses for the shims of {count} of {len(hosts)} hosts; expected "
                "one for each host, and those of instances" for name, count in short.items() if count < len(hosts)]
    if problems:
        raise InvalidInput(problems)


def for_host(networks: Mapping[str, Mapping[str, Any]], host: str, hosts: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the module host_network is told on one host.

    :raises InvalidInput: when a pool has too few addresses for the shims of all hosts.
    """
    _refuse_shortage(networks, hosts)
    found = []
    for name, network in sorted(networks.items()):
        shim = shims(network, hosts).get(host)
        if not network.get("parent") or not (network.get("bridge") or shim):
            continue
        entry = {"name": name, "parent": network["parent"], "bridge": network.get("bridge"), "shim": shim,
                 "pool": network["pool"] if shim else None, "mtu": network.get("mtu")}
        found.append({key: value for key, value in entry.items() if value is not None})
    return found


def for_engine(network: Mapping[str, Any]) -> dict[str, Any]:
    """Return a network without its host side; one on a host's bridge with the engine's options for that."""
    told = {key: value for key, value in network.items() if key not in ("bridge", "shim")}
    if network.get("bridge"):
        told.pop("parent", None)
        told["options"] = {BRIDGE_NAME: network["bridge"], **BRIDGE_OPTIONS, **network["options"]}
    return told
