# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from what runs to the plan: removals first, then groups in the order of what they require, in batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ....module_utils.common.naming import instance_name
from ..model import UNREACHABLE, Group
from ..numeric import np
from ..search.disruption_budget import batch_of
from ..search.draft import Draft
from ..search.reconcile import REMOVE, START, STOP, UPDATE


@dataclass
class Step:
    """Instances that are handled together, once all steps of ``waits_for`` are done and healthy."""

    name: str
    kind: str
    instances: list[str]
    waits_for: list[int] = field(default_factory=list)
    index: int = 0
    partial: bool = False
    after: list[int] = field(default_factory=list)
    # Where an instance goes in this step, if that is but a stop on its way.
    via: dict[str, dict[str, Any]] = field(default_factory=dict)
    change: Any = None

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the plan."""
        told = {
            "index": self.index,
            "name": self.name,
            "kind": self.kind,
            "instances": list(self.instances),
            "waits_for": list(self.waits_for),
        }
        return {**told, "via": self.via} if self.via else told


@dataclass
class Work:
    """What is to be done in one group, by index."""

    create: list[int] = field(default_factory=list)
    change: list[int] = field(default_factory=list)
    stop: list[int] = field(default_factory=list)
    moves: set[int] = field(default_factory=set)
    # Those of the moves that replace what is on a host that does not answer.
    replaced: set[int] = field(default_factory=set)


def order_steps(draft: Draft) -> list[Step]:
    """All steps in a valid order."""
    problem, running = draft.problem, draft.problem.running
    steps: list[Step] = []
    removed = [
        instance_name(problem.groups[running.group[row]].cluster, problem.groups[running.group[row]].name, index)
        for row, index in ((r, int(running.index[r])) for r in np.flatnonzero(draft.codes == REMOVE).tolist())
    ]
    if removed:
        name = f"Remove {removed[0]}" if len(removed) == 1 else f"Remove {len(removed)} instances"
        steps.append(Step(name, "remove", removed))
    last: dict[int, list[int]] = {}
    works = _works(draft)
    for group in in_required_order(problem.groups):
        before = sorted({i for name in group.requires for i in last.get(_id_of(draft, group, name), [])})
        waits = before or ([0] if removed else [])
        work = works.get(group.id)
        last[group.id] = _group_steps(steps, group, work, waits, batch_of(draft, group.id)) if work else before
    return steps


def _works(draft: Draft) -> dict[int, Work]:
    running = draft.problem.running
    works: dict[int, Work] = {}
    handled = {slot.row for slot in draft.slots}
    for slot in draft.slots:
        work = works.setdefault(slot.group, Work())
        if slot.row < 0:
            work.create.append(slot.index)
        else:
            work.change.append(slot.index)
            if slot.host != running.host[slot.row]:
                work.moves.add(slot.index)
                if draft.problem.hosts.state[running.host[slot.row]] == UNREACHABLE:
                    work.replaced.add(slot.index)
    for row in np.flatnonzero((draft.codes == UPDATE) | (draft.codes == START) | (draft.codes == STOP)).tolist():
        if row not in handled:
            work = works.setdefault(int(running.group[row]), Work())
            code = draft.codes[row]
            kind = work.create if code == START else work.stop if code == STOP else work.change
            kind.append(int(running.index[row]))
    return works


def _group_steps(steps: list[Step], group: Group, work: Work, waits: list[int], batch: int) -> list[int]:
    """Append the steps of one group; return those that others wait for.

    :param batch: how many may be changed at once.
    """
    ends: list[int] = list(waits)

    def add(name: str, kind: str, indices: list[int]) -> None:
        nonlocal ends
        names = [instance_name(group.cluster, group.name, index) for index in sorted(indices)]
        steps.append(Step(name, kind, names, list(ends), len(steps)))
        ends = [len(steps) - 1]

    if work.stop:
        add(f"Stop group {group.name} of {group.cluster}", "apply", work.stop)
    if work.create:
        add(f"Start group {group.name} of {group.cluster}", "apply", work.create)
    # What is down already comes back before anything else goes down.
    change = sorted(work.change, key=lambda index: (index not in work.replaced, index not in work.moves, index))
    for start in range(0, len(change), batch):
        part = change[start : start + batch]
        moved = [index for index in part if index in work.moves]
        verb = "Move" if len(moved) == len(part) else "Update"
        what = ", ".join(instance_name(group.cluster, group.name, index) for index in part[:3])
        add(f"{verb} {what}{', ...' if len(part) > 3 else ''}", "move" if moved else "apply", part)
    return ends


def _id_of(draft: Draft, group: Group, name: str) -> int:
    ids = draft.group_ids
    return ids.get((group.cluster, name), -1)


def in_required_order(groups: tuple[Group, ...]) -> list[Group]:
    """Groups so that each comes after those it requires (cycles were refused at the door)."""
    by_key = {(group.cluster, group.name): group for group in groups}
    done: set[int] = set()
    result: list[Group] = []
    for group in groups:
        stack = [(group, False)]
        while stack:
            current, ready = stack.pop()
            if ready:
                result.append(current)
            elif current.id not in done:
                done.add(current.id)
                stack.append((current, True))
                needed = (by_key.get((current.cluster, name)) for name in current.requires)
                stack.extend((other, False) for other in needed if other is not None)
    return result
