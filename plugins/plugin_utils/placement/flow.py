# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders steps so that none overcommits: what frees room comes before what takes it.

A step may start when every host it touches has the room (amounts, and the very cores) for what the step brings there;
what it leaves is counted as free once the step is done. Where all that is left waits for each other, a step is split
into its instances; where even these wait in a circle, one of them gives up its old place first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .draft import Draft
from .model import DISK, MEMORY, Problem
from .numeric import Bools, Floats, np
from .standing import REMOVE
from .state import lying, owned_cores
from .steps import Step


@dataclass
class Change:
    """What one instance takes and gives up: hosts (-1: nowhere), claims classes and core numbers."""

    to: int
    claims: int
    cores: tuple[int, ...]
    off: int
    old_claims: int
    old_cores: tuple[int, ...]
    # Amounts it needs where it comes, and frees where it goes: a disk of its own lies there before and after.
    takes: Floats
    frees: Floats
    needs_restart: bool = True


@dataclass
class Room:
    """Free amounts [dimension, host] and owned cores [host, position] as the steps are carried out."""

    draft: Draft
    free: Floats
    owned: Bools
    notes: list[str] = field(default_factory=list)

    def fits(self, changes: list[Change]) -> bool:
        """Whether all of them can come, in place where they stay on their host, before any other goes."""
        need: dict[int, Floats] = {}
        cores: set[tuple[int, int]] = set()
        for change in changes:
            if change.to < 0:
                continue
            more = change.takes - (change.frees if change.off == change.to else 0)
            need[change.to] = need.get(change.to, 0.0) + more
            own = set(self._seats(change.to, change.old_cores)) if change.off == change.to else set()
            for seat in self._seats(change.to, change.cores):
                if (change.to, seat) in cores or (self.owned[change.to, seat] and seat not in own):
                    return False
                cores.add((change.to, seat))
        return all((self.free[:, host] - amounts >= 0)[amounts > 0].all() for host, amounts in need.items())

    def carry_out(self, changes: list[Change]) -> None:
        """Let them go and come."""
        self.clear(changes)
        for change in changes:
            if change.to >= 0:
                self.free[:, change.to] -= change.takes
                self.owned[change.to, self._seats(change.to, change.cores)] = True

    def clear(self, changes: list[Change]) -> None:
        """Let them go."""
        for change in changes:
            if change.off >= 0:
                self.free[:, change.off] += change.frees
                self.owned[change.off, self._seats(change.off, change.old_cores)] = False

    def _seats(self, host: int, cores: tuple[int, ...]) -> list[int]:
        shape = self.draft.problem.hosts.shapes[self.draft.problem.hosts.shape[host]]
        return [int(shape.position[core]) for core in cores if core < len(shape.position) and shape.position[core] >= 0]


def changes_by_name(draft: Draft, names: dict[tuple[int, int], str], cores: list[tuple[int, ...]]) -> dict[str, Change]:
    """What each instance that gets a place takes and gives up."""
    problem, running = draft.problem, draft.problem.running
    found = {}
    for slot, own in zip(draft.slots, cores):
        claims = problem.groups[slot.group].claims
        takes = _amounts(problem, claims, slot.disk, None if slot.nodes is None else np.array(slot.nodes[1]))
        change = Change(slot.host, claims, own, -1, -1, (), takes, takes)
        if slot.row >= 0:
            change.off = int(running.host[slot.row])
            change.old_claims = int(running.claims[slot.row])
            disk = problem.disks.own.get(slot.row, -1)
            share = draft.state.running_share(slot.row)[1] if draft.state.nodes is not None else None
            change.frees = _amounts(problem, change.old_claims, disk, share)
            change.old_cores = running.cores[slot.row] if running.cores_valid[slot.row] else ()
            if not problem.claims[change.old_claims].cores:
                change.old_cores = ()
        found[names[slot.group, slot.index]] = change
    return found


def _amounts(problem: Problem, claims: int, disk: int, memory: Floats | None) -> Floats:
    """What an instance takes of each dimension, then, where NUMA nodes' memory counts, of each node and of all.

    A disk that lies on the host covers a part of what is claimed of it. Memory per node counts only where the claims
    are bound to nodes; else it lies wherever there is some.
    """
    amounts: Floats = problem.demand[claims]
    if disk >= 0:
        amounts = amounts.copy()
        amounts[DISK] = max(0.0, amounts[DISK] - float(problem.disks.size[disk]))
    if not problem.hosts.counts_memory_by_node:
        return amounts
    nodes = np.zeros(len(problem.hosts.memory_by_node))
    if memory is not None and problem.claims[claims].numa:
        nodes += memory[: len(nodes)]
    return np.concatenate((amounts, nodes, problem.demand[claims][[MEMORY]]))


def order_by_room(draft: Draft, steps: list[Step], changes: dict[str, Change]) -> list[Step]:
    """The same steps in an order in which none overcommits; ``waits_for`` is extended accordingly."""
    if not any(change.off >= 0 for change in changes.values()) and not any(step.kind == "remove" for step in steps):
        return steps
    room = _start(draft)
    waiting: list[Step] = []
    done: list[Step] = []
    replaced: dict[int, list[int]] = {}
    for step in steps:
        if step.kind == "remove":
            _finish(step, done, replaced)
        else:
            waiting.append(step)
    freed: dict[int, list[int]] = {}
    while waiting:
        ready = [step for step in waiting if all(number in replaced for number in step.waits_for)]
        chosen = next((step for step in ready if room.fits([changes[n] for n in step.instances if n in changes])), None)
        if chosen is None:
            chosen = _split(waiting, ready, room, changes)
        if chosen is None:
            way = _make_way([*ready, *waiting], room, changes)
            if way is not None:
                _finish(way, done, replaced)
                continue
            chosen = (ready or waiting)[0]
        if chosen in waiting:
            waiting.remove(chosen)
        mine = [changes[name] for name in chosen.instances if name in changes]
        room.carry_out(mine)
        _wait_for_room(chosen, mine, freed)
        _finish(chosen, done, replaced)
        for change in mine:
            if change.off >= 0:
                freed.setdefault(change.off, []).append(chosen.index)
    draft.notes.extend(room.notes)
    return done


def _start(draft: Draft) -> Room:
    """Before the first step, less what is removed, which goes first."""
    running, problem = draft.problem.running, draft.problem
    rows = np.flatnonzero(draft.codes != REMOVE)
    free = problem.hosts.capacity.copy()
    for dimension in range(len(problem.dimensions)):
        weights = problem.demand[running.claims[rows], dimension] if len(rows) else None
        free[dimension] -= np.bincount(running.host[rows], weights=weights, minlength=len(problem.hosts))
    if problem.hosts.counts_memory_by_node:
        nodes = problem.hosts.memory_by_node
        free = np.concatenate((free, nodes, nodes.sum(axis=0)[np.newaxis, :]), axis=0)
        for row in rows.tolist():
            amounts = _amounts(problem, int(running.claims[row]), -1, draft.state.running_share(row)[1])
            free[len(problem.dimensions) :, running.host[row]] -= amounts[len(problem.dimensions) :]
    if len(problem.disks):
        free[DISK] -= lying(problem, draft.codes != REMOVE)
    return Room(draft, free, owned_cores(problem, rows))


def _finish(step: Step, done: list[Step], replaced: dict[int, list[int]]) -> None:
    """Number a step; ``waits_for`` follows the new numbers."""
    before, step.index = step.index, len(done)
    step.waits_for = sorted({new for old in step.waits_for for new in replaced.get(old, [])} | set(step.after))
    done.append(step)
    if not step.partial:
        replaced[before] = [*replaced.pop(-1 - before, []), step.index]
    else:
        replaced.setdefault(-1 - before, []).append(step.index)


def _wait_for_room(step: Step, changes: list[Change], freed: dict[int, list[int]]) -> None:
    step.after = sorted({number for change in changes for number in freed.get(change.to, []) if change.to >= 0})


def _split(waiting: list[Step], ready: list[Step], room: Room, changes: dict[str, Change]) -> Step | None:
    """The instances of a step that have room already, as a step of their own; the others follow."""
    for step in ready:
        fitting: list[str] = []
        for name in step.instances:
            if room.fits([changes[n] for n in [*fitting, name] if n in changes]):
                fitting.append(name)
        if fitting:
            part = Step(step.name, step.kind, fitting, list(step.waits_for), step.index, partial=True)
            step.instances = [name for name in step.instances if name not in fitting]
            step.name = f"{step.name} (the rest)" if not step.name.endswith("(the rest)") else step.name
            return part
    return None


def _make_way(candidates: list[Step], room: Room, changes: dict[str, Change]) -> Step | None:
    """Nothing fits: the first instance that runs gives up its place before its new one is free."""
    for step in candidates:
        for name in step.instances:
            change = changes.get(name)
            if change is not None and change.off >= 0:
                room.clear([change])
                change.off = -1
                room.notes.append(f"{name} is removed before its new place is free: the moves form a circle")
                return Step(
                    f"Remove {name} to make way", "remove", [name], list(step.waits_for), step.index, partial=True
                )
    return None
