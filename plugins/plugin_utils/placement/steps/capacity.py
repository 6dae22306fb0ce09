# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room as the steps are carried out: what each change takes and gives up, and whether it fits at that moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from ..feasible.state import lying, owned_cores
from ..model import DISK, MEMORY, Problem
from ..numeric import Bools, Floats, np
from ..search.draft import Draft, Slot
from ..search.reconcile import REMOVE


@dataclass
class Change:
    """What one instance takes and gives up: hosts (-1: nowhere), claims classes and core numbers."""

    slot: Slot
    to: int
    claims: int
    cores: tuple[int, ...]
    off: int
    old_claims: int
    old_cores: tuple[int, ...]
    # Amounts it needs where it comes, and frees where it goes: a disk of its own lies there before and after.
    takes: Floats
    frees: Floats
    nodes: Optional[tuple[tuple[float, ...], tuple[float, ...]]] = None
    # Whether it has taken a detour.
    via: bool = False


@dataclass
class Room:
    """Free amounts [dimension, host] and owned cores [host, position] as the steps are carried out."""

    draft: Draft
    free: Floats
    owned: Bools
    notes: list[str] = field(default_factory=list)

    def copy(self) -> Room:
        """A copy to try something on."""
        return Room(self.draft, self.free.copy(), self.owned.copy())

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


def amounts_of(problem: Problem, claims: int, disk: int, memory: Floats | None) -> Floats:
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


def room_before(draft: Draft) -> Room:
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
            amounts = amounts_of(problem, int(running.claims[row]), -1, draft.state.running_share(row)[1])
            free[len(problem.dimensions) :, running.host[row]] -= amounts[len(problem.dimensions) :]
    if len(problem.disks):
        free[DISK] -= lying(problem, draft.codes != REMOVE)
    return Room(draft, free, owned_cores(problem, rows))
