# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what runs where, with which cores and address, what changes, in what steps. Dicts are made on demand."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Optional

from ....module_utils.common.naming import instance_name
from ..feasible.cores import node_numbers
from ..feasible.state import usable_cores
from ..model import NANO, Claims, Group
from ..read.pools import format_address
from ..search.draft import Draft, Slot
from ..search.reconcile import ACTIONS, FOREIGN, HELD, LEAVE, REMOVE, START, STOP, STUCK, UNKNOWN, UPDATE
from ..steps.steps import Step
from .explain import Unplaced

REASONS = {
    UPDATE: "its type or grade changed",
    START: "it is to run and does not",
    STOP: "its cluster is not to run",
    UNKNOWN: "its host does not answer; what ran there is remembered",
    FOREIGN: "it belongs to no cluster or group of the desired state",
}


class Plan:
    """What ``solve`` returns; ``to_dict`` turns it into plain JSON (docs/plan.schema.json)."""

    def __init__(
        self,
        draft: Draft,
        cores: tuple[tuple[int, ...], ...],
        addresses: tuple[Optional[int], ...],
        unplaced: tuple[Unplaced, ...],
        steps: tuple[Step, ...],
    ) -> None:
        self._draft = draft
        self._cores = cores
        self._addresses = addresses
        self.unplaced = unplaced
        self.steps = steps
        self.notes: tuple[str, ...] = tuple(draft.notes)

    @property
    def complete(self) -> bool:
        """Whether every desired instance has its place."""
        return not self.unplaced

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.steps)

    @property
    def hosts_used(self) -> int:
        """How many hosts hold something once the plan is carried out."""
        return int((self._draft.state.instances > 0).sum())

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain JSON; ``id`` is derived from all the rest."""
        instances = self._instances()
        draft = self._draft
        actions = [instance["action"] for instance in instances]
        kinds = ("create", "keep", "update", "move", "start", "stop", "remove", "unknown", "foreign")
        summary: dict[str, int] = {kind: actions.count(kind) for kind in kinds}
        summary["unplaced"] = len(self.unplaced)
        summary["hosts_used"] = self.hosts_used
        result = {
            "version": 1,
            "complete": self.complete,
            "changed": self.changed,
            "instances": instances,
            "unplaced": [entry.to_dict(draft.problem.groups[entry.slot.group]) for entry in self.unplaced],
            "steps": [step.to_dict() for step in self.steps],
            "hosts": self._hosts(),
            "summary": summary,
            "notes": list(self.notes),
        }
        canonical = json.dumps(result, sort_keys=True, separators=(",", ":"))
        return {"version": 1, "id": hashlib.sha256(canonical.encode()).hexdigest()[:16], **result}

    def _shared(self) -> list[list[int]]:
        problem = self._draft.problem
        free = usable_cores(problem) & ~self._draft.state.owned
        shapes = [problem.hosts.shapes[number] for number in problem.hosts.shape.tolist()]
        return [shape.ids[free[row, : len(shape.ids)]].tolist() for row, shape in enumerate(shapes)]

    def _instances(self) -> list[dict[str, Any]]:
        draft = self._draft
        running = draft.problem.running
        shared = self._shared()
        found: list[tuple[tuple[int, int, int], dict[str, Any]]] = []
        slots = {slot.row: number for number, slot in enumerate(draft.slots) if slot.row >= 0}
        for number, slot in enumerate(draft.slots):
            found.append(((slot.group, slot.index, 0), self._slot(number, slot, shared)))
        for row, code in enumerate(draft.codes.tolist()):
            if row not in slots and code != LEAVE:
                key = (int(running.group[row]), int(running.index[row]), 1 + row)
                found.append((key, self._standing(row, code, shared)))
        found.sort(key=lambda item: item[0])
        return [entry for _key, entry in found]

    def _slot(self, number: int, slot: Slot, shared: list[list[int]]) -> dict[str, Any]:
        draft = self._draft
        problem = draft.problem
        group = problem.groups[slot.group]
        before = None if slot.row < 0 else int(problem.running.host[slot.row])
        action = "create" if before is None else "update" if before == slot.host else "move"
        address = self._addresses[number]
        version = problem.networks[group.network].version if group.network else 4
        entry = self._entry(group, slot.index, problem.claims[group.claims], slot.host, self._cores[number], shared)
        if slot.nodes is not None and problem.hosts.counts_memory_by_node and entry["cores"]:
            nodes = problem.hosts.shapes[problem.hosts.shape[slot.host]].nodes
            extra = {nodes[i] for i, amount in enumerate(slot.nodes[1][: len(nodes)]) if amount > 0}
            entry["mems"] = sorted(extra | set(entry["mems"]))
        entry.update(
            action=action,
            from_host=None if before is None else problem.hosts.names[before],
            address=None if address is None else format_address(address, version),
            data_host=self._data_host(slot.row, slot.group, slot.index),
            reasons=[slot.reason] if slot.reason else [],
        )
        return entry

    def _standing(self, row: int, code: int, shared: list[list[int]]) -> dict[str, Any]:
        draft = self._draft
        problem, running = draft.problem, draft.problem.running
        group = problem.groups[running.group[row]]
        claims = problem.claims[running.claims[row]]
        host = int(running.host[row])
        cores = tuple(running.cores[row]) if claims.cores else ()
        entry = self._entry(group, int(running.index[row]), claims, host, cores, shared)
        name = problem.hosts.names[host]
        reasons = [REASONS[code]] if code in REASONS else []
        if row in draft.waits:
            reasons = [draft.waits[row]]
        elif code == STUCK:
            reasons = ["it should move, but there is no place for it"]
        elif code == REMOVE:
            reasons = [_why_removed(group, int(running.index[row]), bool(running.surplus[row]))]
        entry.update(
            action=ACTIONS[code],
            host=None if code == REMOVE else name,
            from_host=name,
            network=running.network[row] if code in (REMOVE, FOREIGN, UNKNOWN, STUCK, HELD) else group.network,
            address=running.address[row],
            data_host=self._data_host(row, group.id, int(running.index[row])),
            reasons=reasons,
        )
        if not group.known or code in (UNKNOWN, STUCK, HELD):
            entry.update(grade=running.grade[row] or group.grade, type=running.type[row] or group.type)
        if row in draft.waits:
            entry["waits"] = draft.paces[group.id].text
        if not group.known or code == FOREIGN:
            entry["state"] = "started" if running.up[row] else "stopped"
        return entry

    def _data_host(self, row: int, group: int, index: int) -> Optional[str]:
        """The host on which the instance's newest data disk lies now."""
        problem = self._draft.problem
        if not len(problem.disks):
            return None
        disk = problem.disks.own.get(row) if row >= 0 else problem.disks.released.get((group, index))
        return None if disk is None else problem.hosts.names[int(problem.disks.host[disk])]

    def _entry(
        self, group: Group, index: int, claims: Claims, host: int, cores: tuple[int, ...], shared: list[list[int]]
    ) -> dict[str, Any]:
        hosts = self._draft.problem.hosts
        shape = hosts.shapes[hosts.shape[host]]
        owns = bool(claims.cores)
        valid = owns and all(core < len(shape.position) and shape.position[core] >= 0 for core in cores)
        return {
            "name": instance_name(group.cluster, group.name, index),
            "cluster": group.cluster,
            "group": group.name,
            "index": index,
            "type": group.type,
            "grade": group.grade,
            "state": group.state,
            "action": "",
            "host": hosts.names[host],
            "from_host": None,
            "cores": list(cores),
            "cpuset": list(cores) if owns else shared[host],
            "mems": node_numbers(shape, cores) if valid and cores else list(shape.nodes),
            "cpus": claims.nanocpus / NANO if claims.nanocpus else None,
            "memory": claims.memory,
            "disk": claims.disk,
            "resources": dict(claims.resources),
            "network": group.network,
            "address": None,
            "data_host": None,
            "reasons": [],
        }

    def _hosts(self) -> dict[str, Any]:
        draft = self._draft
        problem, state = draft.problem, draft.state
        shared = self._shared()
        result = {}
        for row, name in enumerate(problem.hosts.names):
            room = max(0, int(state.free[0, row] // NANO))
            free = {key: int(state.free[d, row]) for d, key in enumerate(problem.dimensions) if d}
            cores = shared[row][len(shared[row]) - room :] if room else []
            result[name] = {
                "shared_cores": shared[row],
                "free_cores": cores,
                "free": free,
                "instances": int(state.instances[row]),
            }
        return result


def _why_removed(group: Group, index: int, surplus: bool) -> str:
    if surplus:
        return "it runs twice; the other one stays"
    if group.state == "absent":
        return f"cluster {group.cluster} is absent"
    return f"count of {group.label} is {group.count}"


__all__ = ["Plan"]
