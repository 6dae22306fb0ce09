# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other fleets hold on the same engines: it is not ours to plan, and what it holds is nobody else's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def others(observation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the containers of other fleets on an observed host."""
    return list(observation.get("others") or [])


def owned_cores(observation: Mapping[str, Any]) -> dict[int, str]:
    """Return which of a host's CPUs belong to containers of other fleets, and to which."""
    return {core: item["name"] for item in others(observation) for core in item.get("cores") or []}


def claimed(observation: Mapping[str, Any]) -> dict[str, float]:
    """Return the sums of what other fleets claim on a host, but for the cores that they own."""
    sums: dict[str, float] = {}
    for item in others(observation):
        for name, amount in (item.get("claims") or {}).items():
            if name != "cores" and amount:
                sums[name] = sums.get(name, 0) + amount
    return sums


def without_others(host: Mapping[str, Any], observation: Mapping[str, Any]) -> dict[str, Any]:
    """Return a host of the problem less what other fleets hold there: their cores are gone, the rest is reserved."""
    if not others(observation):
        return dict(host)
    taken = owned_cores(observation)
    reserved = dict(host.get("reserved") or {})
    for name, amount in claimed(observation).items():
        reserved[name] = (reserved.get(name) or 0) + amount
    return {**host, "cpus": [cpu for cpu in host.get("cpus") or [] if cpu["id"] not in taken], "reserved": reserved}


def taken_addresses(observations: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the addresses that containers of other fleets have, by the name of their network."""
    taken: dict[str, list[str]] = {}
    for observation in observations:
        for item in others(observation):
            if item.get("network") and item.get("address"):
                taken.setdefault(item["network"], []).append(item["address"])
    return taken
