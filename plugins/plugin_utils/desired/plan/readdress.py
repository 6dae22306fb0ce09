# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances that run with an address which their network no longer gives: why, and which one they get instead.

The planner keeps the address of whatever stays. So these count as outdated before it is asked, which makes them updates
in batches, and what it says of their addresses is put right afterwards.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from ....module_utils.common.errors import InvalidInput
from ....module_utils.common.naming import instance_name
from ..read.addresses import address6_of, ends
from ..read.state import Desired
from .last_known import Observation

# What the planner says of everything that is outdated; true of these only when their type or grade changed as well.
_OUTDATED = "its type or grade changed"
_PLACED = ("create", "update", "move", "start", "stop")
_SHOWN = 3
Span = tuple[int, int]


class _Pool:
    """The addresses that a network gives, as numbers."""

    def __init__(self, name: str, network: Mapping[str, Any], kept_away: Iterable[str] = ()) -> None:
        """``kept_away`` are further addresses that nobody new may have."""
        self.name = name
        self._network = network
        self._spans = [_as_numbers(text) for text in network["pool"]]
        self._holes = [_as_numbers(text) for text in network["exclude"]]
        self._taken = [*self._holes, *map(_as_numbers, kept_away)]
        # An engine gives nobody the first and the last one, which a pool written as a CIDR may hold.
        subnet = ipaddress.ip_network(network["subnet"])
        self._edges = {int(subnet[0]), int(subnet[-1])} if subnet.num_addresses > 2 else set()

    def why_not(self, address: str | None) -> str | None:
        """Return why an instance can't have an address; None when it can."""
        if not address:
            return f"it has no address on network {self.name}"
        number = int(ipaddress.IPv4Address(address))
        if address == self._network.get("gateway"):
            return f"its address {address} is the gateway of network {self.name}"
        if not _within(number, self._spans) or number in self._edges:
            return f"its address {address} is outside the pool of network {self.name}"
        if _within(number, self._holes):
            return f"its address {address} is kept from instances of network {self.name}"
        return None

    def free(self, used: set[str], only: set[str] | None = None) -> Iterator[str]:
        """Yield what nobody has, lowest first; with ``only`` no others than these."""
        for low, high in sorted(self._spans):
            for number in range(low, high + 1):
                address = str(ipaddress.IPv4Address(number))
                if address in used or (only is not None and address not in only):
                    continue
                if number not in self._edges and not _within(number, self._taken):
                    yield address


def _as_numbers(text: str) -> Span:
    low, high = ends(text)
    return int(low), int(high)


def _within(number: int, spans: Iterable[Span]) -> bool:
    return any(low <= number <= high for low, high in spans)


def find_misaddressed(desired: Desired, observations: Mapping[str, Observation]) -> dict[str, str]:
    """Return why observed instances can't keep their addresses, by name; none of those that change their network."""
    wanted = {(cluster, group): spec["network"] for cluster, group, spec in desired.groups()}
    pools = {name: _Pool(name, network) for name, network in desired.networks.items()}
    found: dict[str, str] = {}
    for observation in observations.values():
        for container in observation.get("containers") or []:
            name = container.get("network")
            if name not in pools or wanted.get((container["cluster"], container["group"])) != name:
                continue
            why = pools[name].why_not(container.get("address")) or _other_six(desired.networks[name], container)
            if why:
                found[container["name"]] = why
    return found


def _other_six(network: Mapping[str, Any], container: Mapping[str, Any]) -> str | None:
    six, address = container.get("address6"), container["address"]
    if not six or six == address6_of(network, address):
        return None
    return f"its address {six} is not the one that goes with {address} on network {container['network']}"


def give_addresses(plan: Mapping[str, Any], problem: Mapping[str, Any], desired: Desired) -> None:
    """Give those of a plan another address who can't have the one that it says, the lowest free one of the pool.

    :raises InvalidInput: when a pool has none left.
    """
    before = {instance_name(run["cluster"], run["group"], run["index"]): run for run in problem["running"]}
    pools = {
        name: _Pool(name, network, problem["networks"][name]["exclude"]) for name, network in desired.networks.items()
    }
    wanting = [item for item in _placed(plan) if item.get("network") in pools
               and _needs_another(item, before.get(item["name"]), pools[item["network"]])]
    if not wanting:
        return
    kept = {(item.get("network"), item.get("address")) for item in plan["instances"] if item["action"] != "remove"}
    used = kept | {(run.get("network"), run.get("address")) for run in before.values()}
    gone = {(item.get("network"), item.get("address")) for item in plan["instances"] if item["action"] == "remove"}
    short: dict[str, list[str]] = {}
    sources: dict[str, Iterator[str]] = {}
    for item in wanting:
        name = item["network"]
        if name not in sources:
            # What is removed goes first, but its address is only taken where there is no other.
            sources[name] = chain(pools[name].free(_on(name, used)), pools[name].free(_on(name, kept), _on(name, gone)))
        item["address"] = next(sources[name], None)
        if item["address"] is None:
            short.setdefault(name, []).append(item["name"])
    if short:
        raise InvalidInput([_shortage(name, names) for name, names in sorted(short.items())])


def _placed(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    unplaced = {item["name"] for item in plan.get("unplaced") or []}
    return [item for item in plan["instances"] if item["action"] in _PLACED and item["name"] not in unplaced]


def _needs_another(item: Mapping[str, Any], run: Mapping[str, Any] | None, pool: _Pool) -> bool:
    """Whether a planned instance can't have its address, or has brought it from another network."""
    moved = run is not None and run.get("network") != pool.name and item.get("address") == run.get("address")
    return moved or pool.why_not(item.get("address")) is not None


def _on(network: str, addresses: Iterable[tuple[Any, Any]]) -> set[str]:
    return {address for name, address in addresses if name == network and address}


def _shortage(network: str, names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        f"stowage_networks.{network}.pool: has no free address for {', '.join(names[:_SHOWN])}{more}, which can't keep "
        f"what they run with; expected {len(names)} more"
    )


def give_reasons(plan: Mapping[str, Any], misaddressed: Mapping[str, str], outdated: Iterable[str]) -> None:
    """Say of those that get another address why, and of those that wait for it.

    :param outdated: names of those whose type or grade changed too.
    """
    changed = set(outdated)
    for item in plan["instances"]:
        why = misaddressed.get(item["name"])
        if why and (item["action"] in _PLACED or item.get("waits")):
            said = [reason for reason in item["reasons"] if reason != _OUTDATED or item["name"] in changed]
            item["reasons"] = [*said, why]
