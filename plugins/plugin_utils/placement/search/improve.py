# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer hosts for what is new: guided restarts, then hosts are emptied by taking a few apart and packing them anew.

What runs is never touched. Without OR-Tools there are no prices to guide the restarts; hosts are emptied all the same.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable

from ..feasible.state import Placed
from ..numeric import Bools, np
from .draft import Draft, Slot
from .lp_prices import Guide, guide
from .place import Placer

# Where no search is asked for, so many attempts are made all the same: they cost next to nothing.
ATTEMPTS = 60
RESTARTS = 2
# A "second" of search is work that a usual core does in about a second: so many instances taken up and put down again.
# It is counted, never measured, so that the plan is a function of the problem alone.
WORK_PER_SECOND = 8_000
RESTARTS_SHARE = 0.25
# The wall clock stops the search only where the machine is so much slower than the count; the plan then says so.
BRAKE_FACTOR, BRAKE_SECONDS = 8.0, 60.0
MAX_NEW = 20_000
# What the restarts try: (more hosts opened, weight of regret, regret of what the program leaves unused).
SETTINGS = (
    (0.0, 20.0, 0.01),
    (0.05, 20.0, 0.03),
    (0.02, 4.0, 0.0),
    (0.02, 20.0, 0.02),
    (0.05, 20.0, 0.06),
    (0.08, 20.0, 0.03),
    (0.0, 20.0, 0.015),
    (0.05, 40.0, 0.02),
    (0.05, 20.0, 0.01),
    (0.02, 20.0, 0.1),
)


def worth_improving(draft: Draft) -> bool:
    """Whether new instances are packed onto more hosts than one, and few enough of them to pack them again."""
    if not 2 <= len(draft.slots) <= MAX_NEW or len(draft.problem.hosts) > MAX_NEW:
        return False
    if not draft.problem.options.improve_seconds and len(draft.problem.running) > len(draft.slots):
        # A few more on a fleet at work: packing these again gains little, and the answer should come at once.
        return False
    modes = {draft.problem.groups[slot.group].mode for slot in draft.slots}
    fresh = {slot.host for slot in draft.slots if slot.row < 0}
    return modes == {"binpack"} and len(fresh) > 1


def cost(draft: Draft) -> tuple[int, int]:
    """What a draft is judged by: what has no place, then the hosts in use."""
    return len(draft.unplaced), int((draft.state.instances > 0).sum())


def improve(rough: Draft, seconds: float, again: Callable[[Guide], Draft]) -> Draft:
    """A better draft, or the same.

    :param seconds: how much work to put into it, see ``WORK_PER_SECOND``; 0 for a few attempts.
    """
    work = Work(seconds)
    best = rough
    for number, better in enumerate(_guided(rough, again)):
        work.spend(len(better.slots) // 2)
        if cost(better) < cost(best):
            best = better
        if (number + 1 >= RESTARTS and not seconds) or (seconds and work.share() > RESTARTS_SHARE):
            break
    consolidator = Consolidator(best)
    turn = 0
    while turn < ATTEMPTS or seconds:
        if work.used_up() or not consolidator.attempt(work):
            break
        turn += 1
    consolidator.finish()
    if work.braked:
        best.braked.add("the search for fewer hosts")
    return best


class Work:
    """A budget of work: instances taken up and put down. Without ``seconds`` it has no end."""

    def __init__(self, seconds: float) -> None:
        self.most = seconds * WORK_PER_SECOND
        self.done = 0
        self.braked = False
        self.end = time.monotonic() + max(BRAKE_SECONDS, BRAKE_FACTOR * seconds)

    def spend(self, instances: int) -> None:
        """Count work; looking for places costs something even for one instance."""
        self.done += instances + 4

    def share(self) -> float:
        """The part of the budget that is spent."""
        return self.done / self.most if self.most else 0.0

    def used_up(self) -> bool:
        """Whether to stop: the work is done, or, on a machine that is far too slow, time is up."""
        self.braked = self.braked or time.monotonic() > self.end
        return self.braked or (self.most > 0 and self.done >= self.most)


def _guided(rough: Draft, again: Callable[[Guide], Draft]) -> Iterator[Draft]:
    problem = rough.problem
    wanted: dict[int, int] = {}
    for slot in [*rough.slots, *rough.unplaced]:
        if slot.row < 0:
            claims = problem.groups[slot.group].claims
            wanted[claims] = wanted.get(claims, 0) + 1
    if len(problem.hosts) < 32 or not wanted or any(slot.row >= 0 for slot in rough.slots):
        return
    fresh = rough.fresh_state()
    usable = np.flatnonzero(rough.topology.active)
    for slack, weight, unused in SETTINGS:
        found = guide(problem, fresh, wanted, usable, slack, weight, unused)
        if found is None:
            return
        yield again(found)


@dataclass
class Spot:
    """Where a slot was before an attempt."""

    slot: Slot
    host: int
    nodes: tuple[tuple[float, ...], tuple[float, ...]] | None


class Consolidator:
    """Empties hosts one after the other."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.random = random.Random(1)
        self.by_host: dict[int, list[Slot]] = {}
        for slot in draft.slots:
            if slot.row < 0 and slot.disk < 0:
                self.by_host.setdefault(slot.host, []).append(slot)
        instances = draft.state.instances
        # A host with something that stays is never emptied.
        self.open = [host for host, slots in sorted(self.by_host.items()) if len(slots) == instances[host]]
        capacity = np.maximum(draft.problem.hosts.capacity.max(axis=1), 1.0)
        share = draft.problem.demand / capacity[np.newaxis, :]
        self.size = share.max(axis=1) if share.size else np.zeros(0)
        racks = [labels.get("rack", labels.get("zone", "")) for labels in draft.problem.hosts.labels]
        self.rack: dict[str, list[int]] = {}
        for host in self.open:
            self.rack.setdefault(racks[host], []).append(host)
        self.rack_of = racks
        self.tired = np.zeros(len(draft.problem.hosts), dtype=np.int64)
        self.loads = np.array([self._load(host) for host in range(len(draft.problem.hosts))])

    def _load(self, host: int) -> float:
        groups = self.draft.problem.groups
        return float(sum(self.size[groups[slot.group].claims] for slot in self.by_host.get(host, ())))

    def _emptiest(self) -> int:
        """The host with the least load; one that resisted many attempts comes later."""
        rows = np.array(self.open, dtype=np.int64)
        return int(rows[np.lexsort((rows, self.loads[rows], self.tired[rows] // 12))[0]])

    def attempt(self, work: Work) -> bool:
        """One try; false where there is nothing left to try."""
        if len(self.open) < 2:
            return False
        target = self._emptiest()
        self.tired[target] += 1
        others = self._partners(target, 0 if self.tired[target] == 1 else 2 + int(self.random.random() * 6))
        work.spend(sum(len(self.by_host.get(host, ())) for host in [target, *others]))
        self._repack(target, others)
        return True

    def _partners(self, target: int, number: int) -> list[int]:
        near = self.rack.get(self.rack_of[target], [])
        pool = near if self.random.random() < 0.3 and len(near) > number else self.open
        chosen: list[int] = []
        for _turn in range(4 * number):
            host = pool[int(self.random.random() * len(pool))]
            if host != target and host not in chosen and self.by_host.get(host):
                chosen.append(host)
            if len(chosen) == number:
                break
        return chosen

    def _repack(self, target: int, others: list[int]) -> None:
        """Take these hosts apart; keep the new packing if it takes load off the target."""
        touched = {target, *others}
        before = self._load(target)
        spots = [Spot(slot, slot.host, slot.nodes) for host in [target, *others] for slot in self.by_host[host]]
        for spot in spots:
            self._lift(spot.slot)
        allowed = self.draft.state.instances > 0
        opened = allowed.copy()
        allowed[[target, *others]] = True
        opened[others] = True
        opened[target] = False
        if not self._pack(spots, allowed, opened) or self._load(target) > before:
            for spot in spots:
                self._lift(spot.slot)
            for spot in spots:
                self._put(spot.slot, spot.host, spot.nodes)
            return
        touched.update(spot.slot.host for spot in spots)
        for host in sorted(touched):
            self.loads[host] = self._load(host)
        if not self.by_host.get(target):
            self.open.remove(target)
            self.rack[self.rack_of[target]].remove(target)
        elif self._load(target) < before:
            self.tired[target] = 1

    def _pack(self, spots: list[Spot], allowed: Bools, opened: Bools) -> bool:
        problem, state = self.draft.problem, self.draft.state
        waiting: dict[int, list[Slot]] = {}
        for spot in spots:
            waiting.setdefault(spot.slot.group, []).append(spot.slot)
        regret = (
            self.draft.guide.regret if self.draft.guide is not None else np.zeros((len(problem.claims), len(opened)))
        )
        weight = self.draft.guide.weight if self.draft.guide is not None else 0.0
        placer = Placer(state, self.draft.book, self.draft.sizes, Guide(regret, opened, 0.0, weight))
        sizes = {g: self.size[problem.groups[g].claims] * (0.8 + 0.4 * self.random.random()) for g in sorted(waiting)}
        for number in sorted(sizes, key=lambda g: (-sizes[g], g)):
            slots = waiting[number]
            placed = Placed()
            placer.place(problem.groups[number], len(slots), placed, only=allowed)
            for slot, host, nodes in zip(slots, placed.hosts, placed.nodes):
                slot.host, slot.nodes = host, nodes
                self.by_host.setdefault(host, []).append(slot)
            if len(placed.hosts) < len(slots):
                return False
        return self._near_enough(waiting)

    def _near_enough(self, waiting: dict[int, list[Slot]]) -> bool:
        """Whether what follows the moved ones is still near to them."""
        draft = self.draft
        for number in waiting:
            for follower in draft.book.followers.get(number, ()):
                hosts = draft.state.hosts_of(follower)
                for rule in draft.problem.groups[follower].rules.affinity:
                    if rule.required and rule.target == number and len(hosts):
                        domains = draft.topology.domains(rule.topology)
                        holds = np.append(domains.count(draft.state.hosts_of(number)) > 0, False)
                        if not holds[domains.of[hosts]].all():
                            return False
        return True

    def _lift(self, slot: Slot) -> None:
        if slot.host < 0:
            return
        claims = self.draft.problem.groups[slot.group].claims
        self.draft.state.release(slot.group, claims, slot.host)
        if slot.nodes is not None:
            self.draft.state.give_nodes(claims, slot.host, np.array(slot.nodes[0]), np.array(slot.nodes[1]))
        self.by_host[slot.host].remove(slot)
        slot.host, slot.nodes = -1, None

    def _put(self, slot: Slot, host: int, nodes: tuple[tuple[float, ...], tuple[float, ...]] | None) -> None:
        claims = self.draft.problem.groups[slot.group].claims
        self.draft.state.place_as(slot.group, claims, host, nodes)
        slot.host, slot.nodes = host, nodes
        self.by_host[host].append(slot)

    def finish(self) -> None:
        """Members of a group are alike: the lower index takes the host that comes first, as it would have."""
        by_group: dict[int, list[Slot]] = {}
        for slot in self.draft.slots:
            if slot.row < 0 and slot.disk < 0:
                by_group.setdefault(slot.group, []).append(slot)
        for slots in by_group.values():
            spots = sorted(((slot.host, slot.nodes) for slot in slots), key=lambda spot: spot[0])
            for slot, (host, nodes) in zip(sorted(slots, key=lambda s: s.index), spots):
                slot.host, slot.nodes = host, nodes
