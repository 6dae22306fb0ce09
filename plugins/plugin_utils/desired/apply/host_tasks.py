# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a plan's steps into the work of each host: options of the module containers, per step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ....module_utils.common.naming import instance_name
from ..plan.planning import Planned
from .disk_moves import Travel

Work = dict[str, dict[str, list[Any]]]
_GONE = {"action": "remove"}


class _Required:
    """Adds a step that waits for a required group which is not well, although nothing about it changes."""

    def __init__(self, planned: Planned, requires: Mapping[tuple[str, str], Collection[str]], steps: list[Any]) -> None:
        self._requires = requires
        self._options = planned.options
        self._steps = steps
        self._made: dict[tuple[str, str], int] = {}
        unwell = {
            instance_name(run["cluster"], run["group"], run["index"])
            for run in planned.problem["running"]
            if run["healthy"] is False
        }
        self._unwell: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for item in planned.plan["instances"]:
            if item["action"] == "keep" and item["name"] in unwell and item.get("state") == "started":
                self._unwell.setdefault((item["cluster"], item["group"]), []).append(item)

    def wait_for(self, instances: Iterable[Mapping[str, Any]]) -> list[int]:
        """Return the numbers of the steps that wait for what these instances require."""
        groups = {(item["cluster"], item["group"]) for item in instances}
        needed = sorted({(cluster, other) for cluster, group in groups for other in self._requires[cluster, group]})
        return [self._step_for(group) for group in needed if group in self._unwell]

    def _step_for(self, group: tuple[str, str]) -> int:
        if group not in self._made:
            work: Work = {}
            for item in self._unwell[group]:
                _on(work, item["host"])["instances"].append(self._options[item["name"]])
            names = [item["name"] for item in self._unwell[group]]
            self._made[group] = len(self._steps)
            self._steps.append(_step(f"Wait for group {group[1]} of {group[0]}", "wait", work, [], names))
        return self._made[group]


def build_steps(
    planned: Planned,
    held: Mapping[str, str],
    requires: Mapping[tuple[str, str], Collection[str]],
    travels: Mapping[str, Travel] | None = None,
) -> list[dict[str, Any]]:
    """Return the steps to run, each with ``hosts``: what every host has to converge and to remove.

    A step that moves becomes two, since an address may not exist twice, and more where disks travel: room for them is
    kept before anything is stopped, they are carried while nothing uses them, and their old copies go when the
    instance is well. Superfluous copies that a dead run left behind go first. Steps of which nothing is left to do are
    dropped; ``waits_for`` follows the new numbers.

    :param held: why an instance is not changed now, by name.
    :param requires: names of the groups of the same cluster that each (cluster, group) requires.
    :param travels: what travels of the disks of an instance, by its name.
    """
    steps = []
    travels = travels or {}
    if planned.strays:
        steps.append(_step("Remove superfluous copies", "remove", _stray_work(planned), [], sorted(planned.strays)))
    becomes: dict[int, list[int]] = {}
    by_name = {item["name"]: item for item in planned.plan["instances"]}
    stops: dict[str, str] = {}
    required = _Required(planned, requires, steps)
    for step in planned.plan["steps"]:
        instances = [by_name[name] for name in step["instances"] if name not in held]
        waits = sorted(
            {
                *(new for old in step.get("waits_for") or [] for new in becomes.get(old, [])),
                *required.wait_for(instances if step["kind"] != "remove" else []),
            }
        )
        instances, options = _by_way(step.get("via") or {}, instances, planned.options, stops)
        for part in _parts(step, instances, options, waits, travels):
            part["waits_for"] = sorted({*waits, *becomes.get(step["index"], [])})
            part["index"] = len(steps)
            if part["kind"] != "forget":
                becomes.setdefault(step["index"], []).append(part["index"])
            steps.append(part)
        if step["index"] not in becomes:
            # Nothing of it is left to do, so who waits for it waits for what it waited for.
            becomes[step["index"]] = waits
    settled = [
        name for name in travels if name not in held and by_name.get(name, _GONE)["action"] in ("keep", "remove")
    ]
    if settled:
        work = _outdated(settled, travels)
        steps.append(_step("Remove copies of disks that have moved", "forget", work, [], settled))
    for index, step in enumerate(steps):
        step["index"] = index
    return steps


def _by_way(
    via: Mapping[str, Mapping[str, Any]],
    instances: list[Mapping[str, Any]],
    options: Mapping[str, Mapping[str, Any]],
    stops: dict[str, str],
) -> tuple[list[Mapping[str, Any]], Mapping[str, Mapping[str, Any]]]:
    """Return instances and options of a step with stops on the way: each leaves where the step before has put it.

    :param via: the stops of this step, by name. :param stops: where instances have stopped so far; extended.
    """
    moved: list[Mapping[str, Any]] = []
    changed = dict(options)
    for item in instances:
        name = item["name"]
        if name in stops:
            item = {**item, "from_host": stops.pop(name)}
        if name in via:
            item = {**item, "host": via[name]["host"]}
            changed[name] = {**options[name], **{key: via[name][key] for key in ("cores", "cpuset", "mems")}}
            stops[name] = via[name]["host"]
        moved.append(item)
    return moved, changed


def _outdated(names: Iterable[str], travels: Mapping[str, Travel]) -> Work:
    work: Work = {}
    for name in names:
        for host, disks in travels[name].forget.items():
            _on(work, host)["disks"].extend(disks)
    return work


def _arriving(names: Iterable[str], travels: Mapping[str, Travel], what: str) -> Work:
    """Return the work of the hosts that disks of these instances come to (``carry``) or come back to (``recall``)."""
    work: Work = {}
    for name in names:
        disks = getattr(travels[name], what)
        if disks:
            _on(work, travels[name].host)["disks"].extend(disks)
    return work


def _parts(
    step: Mapping[str, Any],
    instances: list[Mapping[str, Any]],
    options: Mapping[str, Any],
    waits: list[int],
    travels: Mapping[str, Travel],
) -> Iterable[dict[str, Any]]:
    leaving: Work = {}
    coming: Work = {}
    gone, come = [], []
    removing = step["kind"] == "remove"
    for item in instances:
        if item["action"] == "remove" or removing or item["action"] == "move":
            work = _on(leaving, item.get("from_host") or item["host"])
            work["remove"].append(item["name"])
            if item["name"] in travels and travels[item["name"]].carry:
                work["keep_disks"].append(item["name"])
            gone.append(item["name"])
        if item["action"] != "remove" and not removing:
            _on(coming, item["host"])["instances"].append(options[item["name"]])
            come.append(item["name"])
    travelling = [name for name in come if name in travels]
    carried = _arriving(travelling, travels, "carry")
    if carried:
        yield _step(f"{step['name']}: make room for disks", "reserve", carried, waits, travelling)
    if leaving and coming:
        yield _step(f"{step['name']}: clear the old place", "remove", leaving, waits, gone, moves=True)
    elif leaving:
        yield _step(step["name"], "remove", leaving, waits, gone)
    recalled = _arriving(travelling, travels, "recall")
    if recalled:
        yield _step(f"{step['name']}: take disks back", "recall", recalled, waits, travelling)
    if carried:
        yield _step(f"{step['name']}: carry disks", "carry", carried, waits, travelling)
    if coming:
        yield _step(step["name"], "create" if leaving else "apply", coming, waits, come)
    outdated = _outdated(travelling, travels)
    if outdated:
        yield _step(f"{step['name']}: remove the old copies of disks", "forget", outdated, waits, travelling)


def _step(
    name: str, kind: str, hosts: Work, waits: list[int], instances: list[str], moves: bool = False
) -> dict[str, Any]:
    """Return a step; ``moves`` says of a removal that what is removed comes back elsewhere."""
    return {"index": 0, "name": name, "kind": kind, "waits_for": waits, "instances": instances, "hosts": hosts,
            "moves": moves}


def _on(work: Work, host: str) -> dict[str, list[Any]]:
    return work.setdefault(host, {"instances": [], "remove": [], "keep_disks": [], "disks": []})


def _stray_work(planned: Planned) -> Work:
    work: Work = {}
    for name, hosts in sorted(planned.strays.items()):
        for host in hosts:
            _on(work, host)["remove"].append(name)
    return work


def build_keep(planned: Planned, hosts: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Return what stays on each of ``hosts``, as container options, so that drift is seen and undone.

    What waits is left out: its options are those that it will have.
    """
    keep: dict[str, list[dict[str, Any]]] = {host: [] for host in hosts}
    for item in planned.plan["instances"]:
        stays = item["action"] == "keep" and not item.get("waits")
        if stays and item["host"] in keep and item["name"] in planned.options:
            keep[item["host"]].append(planned.options[item["name"]])
    return keep


def build_ledger(planned: Planned, held: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of the ledger: where the plan puts instances, where they were seen, and all hosts.

    A change that is held is remembered as it is, not as it will be.
    """
    running = {instance_name(run["cluster"], run["group"], run["index"]): run for run in planned.problem["running"]}
    instances = []
    for item in planned.plan["instances"]:
        name = item["name"]
        if name in held and name in running:
            kept = {key: running[name].get(key) for key in ("host", "cores", "address", "network", "grade")}
            instances.append({**item, **kept, "digest": None})
        elif name not in held and item["action"] != "remove":
            digest = planned.options.get(name, {}).get("digest", item.get("digest"))
            instances.append({**item, "digest": digest})
    seen = [{**run, "name": name} for name, run in running.items()]
    return {"instances": instances, "seen": seen, "hosts": planned.problem["hosts"]}
