# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves of what runs, for a gain: hosts emptied, load levelled, or preferences repaired, within a budget or at a price.

A price is what one move must gain at least: hosts (consolidate), weight of broken preferences (preferences), or
hundredths of a host's load (balance).
"""

from __future__ import annotations

import math

from ..feasible.state import Placed
from ..model import ACTIVE, Rebalance
from ..numeric import Bools, Floats, np
from .draft import Draft, Slot
from .place import Placer
from .reconcile import KEEP, LEAVE

# A disk must be copied: what has one of its own moves only where that pays as much as so many other moves.
MOVE_WITH_DATA = 10


class Rebalancer:
    """Moves running instances on a draft in which all else is settled."""

    def __init__(self, draft: Draft, wish: Rebalance) -> None:
        self.draft = draft
        self.left = math.inf if wish.moves is None else wish.moves
        self.price = wish.price or 0.0
        self.placer = Placer(draft.state, draft.book, draft.sizes)
        running, hosts = draft.problem.running, draft.problem.hosts
        groups = draft.problem.groups
        known = np.array([g.known for g in groups], dtype=np.bool_)
        needed = {rule.target for g in groups for rule in g.rules.affinity if rule.required}
        free = np.array([g.id not in needed for g in groups], dtype=np.bool_)
        # What others must be near to stays: moving it would drag them along.
        self.movable: Bools = (draft.codes == KEEP) & (hosts.state[running.host] == ACTIVE)
        self.movable &= known[running.group] & free[running.group]

    def run(self, goal: str) -> None:
        """Move until the budget is used up or nothing more pays."""
        {"consolidate": self._consolidate, "balance": self._balance, "preferences": self._prefer}[goal]()

    def _try(self, rows: list[int], only: Bools, reason: str) -> list[Slot]:
        """Move all of these rows to hosts of ``only``, or none."""
        draft, running = self.draft, self.draft.problem.running
        moved: list[Slot] = []
        for row in rows:
            draft.state.release_running(row)
        for position, row in enumerate(rows):
            group = draft.problem.groups[running.group[row]]
            placed = Placed()
            if not self.placer.place(group, 1, placed, only=only):
                self._back(moved)
                for other in rows[position:]:
                    draft.state.restore_running(other)
                return []
            slot = Slot(group.id, int(running.index[row]), row, reason, placed.hosts[0], placed.nodes[0])
            moved.append(slot)
        return moved

    def _back(self, moved: list[Slot]) -> None:
        draft = self.draft
        for slot in moved:
            claims = draft.problem.groups[slot.group].claims
            draft.state.release(slot.group, claims, slot.host)
            if slot.nodes is not None:
                draft.state.give_nodes(claims, slot.host, np.array(slot.nodes[0]), np.array(slot.nodes[1]))
        for slot in moved:
            draft.state.restore_running(slot.row)

    def _keep(self, moved: list[Slot]) -> None:
        self.draft.slots.extend(moved)
        self.left -= self._price_of([slot.row for slot in moved])
        for slot in moved:
            self.draft.codes[slot.row] = LEAVE
            self.movable[slot.row] = False

    def _price_of(self, rows: list[int]) -> int:
        """How many moves these moves count as."""
        own = self.draft.problem.disks.own
        return sum(MOVE_WITH_DATA if row in own else 1 for row in rows)

    def _load(self) -> Floats:
        """Largest share of any amount in use, per host."""
        capacity = self.draft.problem.hosts.capacity
        used = (capacity - self.draft.state.free) / np.maximum(capacity, 1.0)
        return np.asarray(used.max(axis=0))

    def _consolidate(self) -> None:
        running, state = self.draft.problem.running, self.draft.state
        load = self._load()
        for host in np.lexsort((np.arange(len(load)), load)).tolist():
            rows = np.flatnonzero(self.movable & (running.host == host)).tolist()
            if not rows or len(rows) != state.instances[host] or self._price_of(rows) > self.left:
                continue
            if self._price_of(rows) * self.price > 1:
                continue
            only = state.instances > 0
            only[host] = False
            rows.sort(key=lambda row: (-self.draft.problem.demand[running.claims[row]].sum(), row))
            moved = self._try(rows, only, f"rebalance: empties host {self.draft.problem.hosts.names[host]}")
            self._keep(moved)

    def _balance(self) -> None:
        running = self.draft.problem.running
        active = self.draft.topology.active
        tired: set[int] = set()
        while self.left >= 1:
            load = np.where(active, self._load(), -1.0)
            source = next((h for h in np.lexsort((np.arange(len(load)), -load)).tolist() if h not in tired), None)
            if source is None or load[source] <= 0:
                return
            if not self._level(source, load, np.flatnonzero(self.movable & (running.host == source)).tolist()):
                tired.add(source)

    def _level(self, source: int, load: Floats, rows: list[int]) -> bool:
        """One move off the most loaded host, if that lowers the spread of loads enough."""
        before = float((load[load >= 0] ** 2).sum())
        only = load < load[source]
        for row in rows:
            group = self.draft.problem.groups[self.draft.problem.running.group[row]]
            cost = self._price_of([row])
            if cost > self.left:
                continue
            target = self._least_loaded(row, load, only)
            if target < 0:
                continue
            mask = np.zeros(len(only), dtype=np.bool_)
            mask[target] = True
            moved = self._try(
                [row], mask, f"rebalance: levels the load of host {self.draft.problem.hosts.names[source]}"
            )
            if not moved:
                continue
            after = self._load()[load >= 0]
            if before - float((after**2).sum()) > max(cost * self.price / 100.0, 1e-9) and group.known:
                self._keep(moved)
                return True
            self._back(moved)
        return False

    def _least_loaded(self, row: int, load: Floats, only: Bools) -> int:
        group = self.draft.problem.groups[self.draft.problem.running.group[row]]
        self.draft.state.release_running(row)
        limits = self.draft.book.limits(self.draft.state, group)
        limits.mask &= only
        rows, _room = self.placer.candidates(group, limits)
        self.draft.state.restore_running(row)
        return int(rows[np.lexsort((rows, load[rows]))[0]]) if len(rows) else -1

    def _prefer(self) -> None:
        """Instances whose host breaks a preference move to one that breaks less, the largest gain first."""
        draft, running = self.draft, self.draft.problem.running
        active = draft.topology.active
        while self.left >= 1:
            gains = []
            for row in np.flatnonzero(self.movable).tolist():
                group = draft.problem.groups[running.group[row]]
                draft.state.release_running(row)
                limits = draft.book.limits(draft.state, group)
                if limits.penalty is not None:
                    rows, _room = self.placer.candidates(group, limits)
                    here = float(limits.penalty[running.host[row]])
                    cost = self._price_of([row])
                    if len(rows) and cost <= self.left:
                        gains.append(((here - float(limits.penalty[rows].min())) / cost, row))
                draft.state.restore_running(row)
            gain, row = max(gains, key=lambda item: (item[0], -item[1]), default=(0.0, -1))
            if gain <= max(self.price, 1e-9):
                return
            moved = self._try([row], active, "rebalance: repairs a preference")
            if not moved or moved[0].host == running.host[row]:
                self._back(moved)
                self.movable[row] = False
                continue
            self._keep(moved)


def rebalance(draft: Draft) -> None:
    """Carry out ``options.rebalance`` where everything else has its place."""
    wish = draft.problem.options.rebalance
    if wish is None:
        return
    if draft.unplaced:
        draft.notes.append("nothing was rebalanced: some instances have no place")
        return
    before = int((draft.state.instances > 0).sum())
    slots = len(draft.slots)
    Rebalancer(draft, wish).run(wish.goal)
    moves = len(draft.slots) - slots
    after = int((draft.state.instances > 0).sum())
    draft.notes.append(
        f"rebalance ({wish.goal}): {moves} moves, hosts in use {before} -> {after}; without them nothing moves"
    )
