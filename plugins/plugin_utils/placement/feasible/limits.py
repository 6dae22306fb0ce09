# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules leave of the fleet for one group: which hosts, how many per host and domain, at what penalty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Optional

from ..model import AntiAffinity, Group, Problem, Spread
from ..numeric import Bools, Floats, Ints, np
from .state import NOBODY, State
from .topology import Domains


@dataclass(eq=False)
class Limits:
    """``mask`` says which hosts are allowed at all; ``quotas`` how many more a domain may take."""

    mask: Bools
    quotas: list[tuple[Domains, Floats]] = field(default_factory=list)
    spreads: list[tuple[Spread, Domains, Floats, Bools]] = field(default_factory=list)
    together: list[Domains] = field(default_factory=list)
    penalty: Optional[Floats] = None
    one_by_one: bool = False


class RuleBook:
    """Rules of all groups, with those of others that point at a group beside its own."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.incoming: dict[int, list[tuple[Group, AntiAffinity]]] = {}
        self.followers: dict[int, list[int]] = {}
        for group in problem.groups:
            for anti in group.rules.anti_affinity:
                if anti.target != group.id:
                    self.incoming.setdefault(anti.target, []).append((group, anti))
            for near in group.rules.affinity:
                if near.target != group.id and near.required:
                    self.followers.setdefault(near.target, []).append(group.id)

    def limits(self, state: State, group: Group) -> Limits:
        """Work out the limits of a group as things stand."""
        topology = state.topology
        limits = Limits(mask=topology.admitted(group.rules.constraints).copy())
        self._dedicated(state, group, limits)
        self._affinity(state, group, limits)
        self._anti_affinity(state, group, limits)
        self._spread(state, group, limits)
        self._constraints(state, group, limits)
        return limits

    def _dedicated(self, state: State, group: Group, limits: Limits) -> None:
        if not state.has_dedicated:
            return
        mine = group.cluster_id
        limits.mask &= (state.owner == NOBODY) | (state.owner == mine)
        if group.rules.dedicated:
            limits.mask &= (state.sole == NOBODY) | (state.sole == mine)

    def _affinity(self, state: State, group: Group, limits: Limits) -> None:
        for rule in group.rules.affinity:
            domains = state.topology.domains(rule.topology)
            members = state.hosts_of(rule.target)
            holds = np.append(domains.count(members) > 0, False)
            if not rule.required:
                self._penalize(limits, rule.weight * ~holds[domains.of])
                limits.one_by_one |= rule.target == group.id
            elif rule.target == group.id:
                limits.mask &= domains.of >= 0
                if len(members):
                    # Members in several domains break the rule already, and a new one would too, wherever it is.
                    limits.mask &= holds[domains.of] & (int(holds.sum()) == 1)
                limits.together.append(domains)
            elif len(members) or not self.waits(rule.target, group.id, state):
                limits.mask &= holds[domains.of]

    def waits(self, target: int, group: int, state: State) -> bool:
        """Whether two groups each need the other near (a cycle), and neither is there yet: then one goes ahead."""
        seen, stack = set(), [target]
        while stack:
            number = stack.pop()
            if number in seen or len(state.hosts_of(number)):
                continue
            seen.add(number)
            near = self.problem.groups[number].rules.affinity
            stack.extend(rule.target for rule in near if rule.required and rule.target != number)
        return group in seen

    def _anti_affinity(self, state: State, group: Group, limits: Limits) -> None:
        for rule in group.rules.anti_affinity:
            domains = state.topology.domains(rule.topology)
            counts = domains.count(state.hosts_of(rule.target))
            if not rule.required:
                above = np.append(np.maximum(counts - rule.max + 1, 0), 0)
                self._penalize(limits, rule.weight * above[domains.of])
                limits.one_by_one |= rule.target == group.id
            elif rule.target == group.id:
                limits.quotas.append((domains, np.maximum(rule.max - counts, 0.0)))
            else:
                limits.mask &= np.append(counts < rule.max, True)[domains.of]
        for owner, rule in self.incoming.get(group.id, ()):
            domains = state.topology.domains(rule.topology)
            theirs = domains.count(state.hosts_of(owner.id)) > 0
            mine = domains.count(state.hosts_of(group.id))
            if not rule.required:
                above = np.append(np.where(theirs, np.maximum(mine + 2 - rule.max, 0), 0), 0)
                self._penalize(limits, rule.weight * above[domains.of])
                limits.one_by_one |= rule.max > 1
            elif rule.max == 1:
                limits.mask &= np.append(~theirs, True)[domains.of]
            else:
                left = np.where(theirs, np.maximum(rule.max - 1 - mine, 0), np.inf)
                limits.quotas.append((domains, left))

    def _spread(self, state: State, group: Group, limits: Limits) -> None:
        for rule in group.rules.spread:
            domains = state.topology.domains(rule.topology)
            eligible = state.topology.eligible(rule.topology, group.rules.constraints)
            counts = domains.count(state.hosts_of(group.id)).astype(np.float64)
            if rule.required:
                limits.mask &= domains.of >= 0
                limits.spreads.append((rule, domains, counts, eligible))
            elif len(domains):
                least = counts[eligible].min() if eligible.any() else 0.0
                above = np.append(np.maximum(counts + 1 - least - rule.max_skew, 0.0), 1.0)
                self._penalize(limits, rule.weight * above[domains.of])
                limits.one_by_one = True

    def _constraints(self, state: State, group: Group, limits: Limits) -> None:
        for constraint in group.rules.constraints:
            if not constraint.required:
                self._penalize(limits, np.where(state.topology.satisfied(constraint), 0.0, constraint.weight))

    def _penalize(self, limits: Limits, penalty: Floats) -> None:
        limits.penalty = penalty if limits.penalty is None else limits.penalty + penalty

    def room_for_followers(self, group: Group, state: State) -> Optional[Floats]:
        """What must find room beside each instance of a group, on its host; None where nothing has to."""
        problem = self.problem
        extra = None
        for number in self.followers.get(group.id, ()):
            other = problem.groups[number]
            missing = other.count - len(state.hosts_of(number))
            beside = any(r.required and r.target == group.id and r.topology == "host" for r in other.rules.affinity)
            if beside and missing > 0 and group.count:
                more = problem.demand[other.claims] * float(-(-missing // group.count))
                extra = more if extra is None else extra + more
        return extra

    def partners(self, group: Group) -> Iterator[int]:
        """Groups that must be placed before this one: what it must be near to."""
        for rule in group.rules.affinity:
            if rule.target != group.id:
                yield rule.target


def spread_shares(counts: Floats, eligible: Bools, room: Floats, skew: int, wanted: int) -> Ints:
    """How many each domain gets: always the least filled one with room, as long as the skew allows it."""
    import heapq

    given = np.zeros(len(counts), dtype=np.int64)
    if not eligible.any():
        return given
    level = counts.tolist()
    left = room.tolist()
    inside = np.flatnonzero(eligible).tolist()
    heap = [(level[domain], domain) for domain in inside if left[domain] >= 1]
    heapq.heapify(heap)
    floor: dict[float, int] = {}
    for domain in inside:
        floor[level[domain]] = floor.get(level[domain], 0) + 1
    least = min(floor)
    for _turn in range(wanted):
        if not heap:
            break
        here, domain = heap[0]
        if here + 1 > least + skew:
            break
        given[domain] += 1
        left[domain] -= 1
        floor[here] -= 1
        floor[here + 1] = floor.get(here + 1, 0) + 1
        while not floor.get(least):
            least += 1
        if left[domain] >= 1:
            heapq.heapreplace(heap, (here + 1, domain))
        else:
            heapq.heappop(heap)
    return given


__all__ = ["Limits", "RuleBook", "spread_shares"]
