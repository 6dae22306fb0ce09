# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that may not touch all hosts can do of a plan, and what has to wait."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ....module_utils.common.naming import instance_name

Instance = Mapping[str, Any]
CHANGES = ("create", "update", "move", "start", "stop", "remove")
# Shares of cores are sums of fractions.
_LITTLE = 1e-6


def hosts_of(instance: Instance) -> set[str]:
    """Return the hosts that a change of this instance touches; what is removed only has one that it leaves."""
    return {host for host in (instance.get("host"), instance.get("from_host")) if host}


def find_held(
    plan: Mapping[str, Any],
    problem: Mapping[str, Any],
    allowed: Collection[str],
    beforehand: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return why an instance is not changed now, by name: what waits in the plan, and what this run must leave.

    A change is held when its host is outside the limit, and when it builds on one that is: it would take cores, memory,
    disk or an address that is not free yet, exist twice, or start before what it requires.

    :param beforehand: instances that are held for other reasons.
    """
    changing = [item for item in plan["instances"] if item["action"] in CHANGES]
    allowed = frozenset(allowed)
    held = {**(beforehand or {}), **dict(_outside(changing, allowed))}
    for step in plan["steps"]:
        for name, stop in (step.get("via") or {}).items():
            if stop["host"] not in allowed:
                held.setdefault(name, f"moves by way of {stop['host']}, and that is outside --limit")
    # What the planner itself lets wait stays in place in its plan, so nothing builds on its leaving.
    waiting = {item["name"]: f"waits: {item['waits']}" for item in plan["instances"] if item.get("waits")}
    if not held:
        return waiting
    scope = _Scope(changing, plan["steps"], problem, held)
    while scope.hold_more():
        pass
    return {**waiting, **scope.held}


def _outside(changing: Iterable[Instance], allowed: frozenset[str]) -> Iterable[tuple[str, str]]:
    for item in changing:
        beyond = sorted(hosts_of(item) - allowed)
        if not beyond:
            continue
        if len(beyond) < len(hosts_of(item)):
            yield item["name"], f"moves from {item['from_host']} to {item['host']}, and {beyond[0]} is outside --limit"
        else:
            yield item["name"], f"{beyond[0]} is outside --limit"


class _Scope:
    """Follows what is held to what builds on it."""

    def __init__(
        self,
        changing: list[Instance],
        steps: Iterable[Mapping[str, Any]],
        problem: Mapping[str, Any],
        held: dict[str, str],
    ) -> None:
        self.held = held
        self._changing = changing
        self._steps = list(steps)
        self._facts = {host["name"]: host for host in problem["hosts"]}
        groups = {item["name"]: (item["cluster"], item["group"]) for item in changing}
        self._groups = {
            step["index"]: {groups[name] for name in step["instances"] if name in groups} for step in self._steps
        }
        self._before = {instance_name(run["cluster"], run["group"], run["index"]): run for run in problem["running"]}
        #: What runs on a host, and what comes to it or changes there, by host.
        self._there: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
        self._coming: dict[str, list[Instance]] = {}
        for name, run in self._before.items():
            self._there.setdefault(run["host"], []).append((name, run))
        for item in changing:
            self._coming.setdefault(str(item.get("host")), []).append(item)
        self._names = {item["name"] for item in changing}

    def hold_more(self) -> bool:
        """Hold what builds on something held; say whether there was any."""
        more = {**self._wait(), **self._lack_room(), **self._lack_address()}
        fresh = {name: reason for name, reason in more.items() if name not in self.held}
        self.held.update(fresh)
        return bool(fresh)

    def _groups_of(self, index: int) -> set[tuple[str, str]]:
        return self._groups.get(index, set())

    def _stuck(self) -> Iterable[tuple[str, Mapping[str, Any]]]:
        """Yield (name, how it runs) of everything that stays where it is because its change is held."""
        return ((name, self._before[name]) for name in self.held if name in self._before)

    def _lack_address(self) -> dict[str, str]:
        taken = {(run.get("network"), run["address"]): name for name, run in self._stuck() if run.get("address")}
        blocked = {}
        for item in self._changing:
            owner = taken.get((item.get("network"), item.get("address")))
            if owner and owner != item["name"] and item["action"] != "remove":
                blocked[item["name"]] = f"its address {item['address']} is still held by {owner}"
        return blocked

    def _lack_room(self) -> dict[str, str]:
        """Find what would land on something that stays in place."""
        stuck: dict[str, list[str]] = {}
        for name, run in self._stuck():
            stuck.setdefault(run["host"], []).append(name)
        blocked = {}
        for item in self._changing:
            owners = stuck.get(str(item.get("host")))
            if not owners or item["name"] in self.held or item["action"] not in ("create", "update", "move"):
                continue
            cores = {core: name for name in owners for core in self._before[name].get("cores") or []}
            shared = [core for core in item.get("cores") or [] if core in cores]
            if shared:
                blocked[item["name"]] = f"core {shared[0]} of {item['host']} is still held by {cores[shared[0]]}"
            elif not self._fits(item):
                blocked[item["name"]] = f"{item['host']} has no room for it while {', '.join(owners)} stays there"
        return blocked

    def _fits(self, newcomer: Instance) -> bool:
        """Say whether the sums of its host hold, with all that stays, all that is held, and all that is applied.

        What the host has is less what it reserves, and what other fleets hold there is part of that.
        """
        host = newcomer["host"]
        offered = _offered(self._facts[host])
        asked = _planned_amounts(newcomer)
        for dimension in asked.keys() & offered.keys():
            room = offered[dimension] - sum(
                _running_amounts(run).get(dimension, 0)
                for name, run in self._there.get(host, ())
                if not self._leaves(name)
            )
            room -= sum(
                _planned_amounts(item).get(dimension, 0)
                for item in self._coming.get(host, ())
                if self._leaves(item["name"]) and item["action"] != "remove"
            )
            if room < -_LITTLE:
                return False
        return True

    def _leaves(self, name: str) -> bool:
        """Say whether a change of this instance is applied, so that it is no longer what it was."""
        return name in self._names and name not in self.held

    def _wait(self) -> dict[str, str]:
        """Find what waits for a step that is not completed.

        The batches of one group's update only follow each other so that not all are down at once: they don't count.
        """
        stuck = {
            step["index"]: step["name"] for step in self._steps if any(name in self.held for name in step["instances"])
        }
        waiting = {}
        for step in self._steps:
            awaited = next(
                (
                    index
                    for index in step.get("waits_for") or []
                    if index in stuck and self._groups_of(index) != self._groups_of(step["index"])
                ),
                None,
            )
            if awaited is not None:
                stuck.setdefault(step["index"], step["name"])
                for name in step["instances"]:
                    waiting[name] = f"waits for '{stuck[awaited]}', which this run does not complete"
        return waiting


def _offered(host: Mapping[str, Any]) -> dict[str, float]:
    """Return what a host of the problem has of each amount less what it reserves; cores and shares are one sum."""
    reserved = host.get("reserved") or {}
    offered = {name: amount - (reserved.get(name) or 0) for name, amount in (host.get("resources") or {}).items()}
    cpus = host.get("cpus")
    if cpus is not None:
        cores = cpus if isinstance(cpus, int) else len(cpus)
        offered["cpus"] = cores - (reserved.get("cores") or 0) - (reserved.get("cpus") or 0)
    return offered


def _running_amounts(run: Mapping[str, Any]) -> dict[str, float]:
    claims = dict(run.get("claims") or {})
    cores = (claims.pop("cores", 0) or 0) + (claims.pop("cpus", 0) or 0)
    return {name: amount for name, amount in {**claims, "cpus": cores}.items() if amount}


def _planned_amounts(item: Instance) -> dict[str, float]:
    amounts = {"memory": item.get("memory"), "disk": item.get("disk"), **(item.get("resources") or {})}
    amounts["cpus"] = len(item.get("cores") or []) + (item.get("cpus") or 0)
    return {name: amount for name, amount in amounts.items() if amount}
