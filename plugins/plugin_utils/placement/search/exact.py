# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact search with CP-SAT: finds the placement of what is pending, or proves that not all of it can be placed.

Identical instances are one whole-number variable per group and host, so that the search sees no symmetries among them.
OR-Tools is optional. The search is deterministic: one worker, a fixed seed, and a limit in deterministic time (the
wall clock is but a brake, see ``BRAKE_FACTOR``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ..model import MEMORY, Group
from ..numeric import np
from .draft import Draft
from .solvers import cp_model

# A rule is named by (group, kind, number in the group's list of that kind).
RuleKey = tuple[int, str, int]
# The wall clock stops a search only where the machine is this much slower than the solver's count of its work.
BRAKE_FACTOR, BRAKE_SECONDS = 10.0, 60.0
# An amount, and how many times it counts.
Term = tuple[int, Any]
Shares = list[tuple[tuple[float, ...], tuple[float, ...]]]


@dataclass
class Answer:
    """``placed[group]`` lists hosts (with repetitions); ``nodes`` runs beside it. ``best`` is proven if ``proven``."""

    placed: dict[int, list[int]]
    nodes: dict[int, list[Any]]
    total: int
    proven: bool


@dataclass
class Model:
    """The model of what is pending, on the free room of a draft."""

    draft: Draft
    pending: Mapping[int, int]
    without: frozenset[RuleKey] = frozenset()
    dimensions: Optional[frozenset[int]] = None
    model: Any = None
    count: dict[tuple[int, int], Any] = field(default_factory=dict)
    parts: dict[tuple[int, int, int], Any] = field(default_factory=dict)

    def build(self) -> Model:
        """Add variables, room and rules."""
        self.start()
        for number, wanted in sorted(self.pending.items()):
            group = self.draft.problem.groups[number]
            for host in self.hosts(group).tolist():
                self.count[number, host] = self.model.NewIntVar(0, wanted, "")
            self.model.Add(sum(v for (g, _h), v in self.count.items() if g == number) <= wanted)
        self.room()
        if self.draft.state.nodes is not None and self.dimensions is None:
            self.nodes()
        for group in self.draft.problem.groups:
            self._rules(group)
        if self.draft.state.has_dedicated:
            self._dedicated()
        return self

    def start(self) -> None:
        """An empty model."""
        self.model = cp_model().CpModel()

    def held(self, host: int, dimension: int) -> tuple[list[Term], int]:
        """What is held of an amount beside what is counted: (amount, how many), and at most. Nothing, here."""
        return [], 0

    def held_cores(self, host: int, node: int) -> tuple[list[Term], list[Term], list[Term]]:
        """What is held of a node: cores, whole physical cores, memory of what is bound to it."""
        return [], [], []

    def limit(self, terms: list[Term], room: int, switch: Any = None) -> None:
        """A sum of amounts never exceeds the room (where a switch is on); small numbers keep the search quick."""
        if terms:
            scale = math.gcd(*(amount for amount, _number in terms))
            bound = self.model.Add(sum(amount // scale * number for amount, number in terms) <= room // scale)
            if switch is not None:
                bound.OnlyEnforceIf(switch)

    def hosts(self, group: Group) -> Any:
        """The hosts that a group may come to."""
        topology = self.draft.topology
        hard = tuple(
            rule
            for i, rule in enumerate(group.rules.constraints)
            if rule.required and (group.id, "constraints", i) not in self.without
        )
        return np.flatnonzero(topology.admitted(hard))

    def room(self) -> None:
        """No amount of a host is overcommitted."""
        problem, free = self.draft.problem, self.draft.state.free
        for host in range(len(problem.hosts)):
            mine = [(problem.groups[g].claims, var) for (g, h), var in self.count.items() if h == host]
            for dimension in range(len(problem.dimensions)):
                if self.dimensions is not None and dimension not in self.dimensions:
                    continue
                terms = [(int(problem.demand[c, dimension]), var) for c, var in mine if problem.demand[c, dimension]]
                if terms:
                    room = max(0, int(free[dimension, host]))
                    held, most = self.held(host, dimension)
                    # Where it is too much already, what is there may stay, but nothing may come.
                    self.limit([*terms, *held], room, self._coming(host) if most > room else None)

    def nodes(self) -> None:
        """No NUMA node is overcommitted."""
        problem, nodes = self.draft.problem, self.draft.state.nodes
        if nodes is None:
            return
        width = nodes.cores.shape[0]
        for host in range(len(problem.hosts)):
            coming = self._coming(host)
            if coming is None:
                continue
            cores: list[list[Term]] = [[] for _turn in range(width)]
            whole: list[list[Term]] = [[] for _turn in range(width)]
            memory: list[list[Term]] = [[] for _turn in range(width)]
            bounded = nodes.counts_memory and bool(np.isfinite(nodes.memory[:, host]).all())
            for (number, where), var in self.count.items():
                if where == host:
                    self._spread_over_nodes(number, host, var, cores, whole, memory)
            for node in range(width):
                held_cores, held_whole, held_memory = self.held_cores(host, node)
                self.limit([*cores[node], *held_cores], max(0, int(nodes.cores[node, host])), coming)
                if whole[node]:
                    self.limit([*whole[node], *held_whole], max(0, int(nodes.whole[node, host])), coming)
                if bounded and memory[node]:
                    self.limit([*memory[node], *held_memory], max(0, int(nodes.memory[node, host])), coming)
            if bounded:
                # What is not bound to nodes draws its memory wherever there is some: all of them must have enough.
                mine = [(int(problem.demand[problem.groups[g].claims, MEMORY]), v) for g, v in self._at(host)]
                total = max(0, int(nodes.memory[:, host].sum()))
                self.limit([term for term in [*mine, *self.held(host, MEMORY)[0]] if term[0]], total, coming)

    def _at(self, host: int) -> list[tuple[int, Any]]:
        return [(number, var) for (number, where), var in self.count.items() if where == host]

    def _coming(self, host: int) -> Any:
        """A switch that is on where anything comes to a host; None where nothing can."""
        mine = [var for _group, var in self._at(host)]
        if not mine:
            return None
        on = self.model.NewBoolVar("")
        self.model.Add(sum(mine) == 0).OnlyEnforceIf(on.Not())
        return on

    def _spread_over_nodes(self, number: int, host: int, var: Any, cores: Any, whole: Any, memory: Any) -> None:
        problem, nodes = self.draft.problem, self.draft.state.nodes
        claims = problem.claims[problem.groups[number].claims]
        if nodes is None or not claims.cores:
            return
        threads = int(nodes.threads[host])
        strict = claims.numa
        unit = claims.cores // strict if strict else threads if claims.whole else 1
        if claims.whole and (claims.cores % threads or unit % threads):
            self.model.Add(var == 0)
            return
        total = 0
        most = strict * self.pending[number] if strict else claims.cores * self.pending[number]
        for node in range(nodes.cores.shape[0]):
            part = self.model.NewIntVar(0, most, "")
            self.parts[number, host, node] = part
            total = total + part
            cores[node].append((unit, part))
            if claims.whole:
                whole[node].append((unit // threads, part))
            if strict:
                self.model.Add(part <= var)
                if claims.memory:
                    memory[node].append((math.ceil(claims.memory / strict), part))
        self.model.Add(total * unit == claims.cores * var)

    def _sums(self, number: int, topology: str) -> tuple[list[Any], list[int]]:
        """Per domain: members that are there plus those to come, and those that are there."""
        domains = self.draft.topology.domains(topology)
        there = domains.count(self.draft.state.hosts_of(number)).tolist()
        sums: list[Any] = list(there)
        for (group, host), var in self.count.items():
            if group == number and domains.of[host] >= 0:
                sums[domains.of[host]] = sums[domains.of[host]] + var
        return sums, there

    def _rules(self, group: Group) -> None:
        if not group.known and not len(self.draft.state.hosts_of(group.id)):
            return
        rules = group.rules
        for i, away in enumerate(rules.anti_affinity):
            if away.required and (group.id, "anti_affinity", i) not in self.without:
                self._apart(group, away.target, away.topology, away.max)
        for i, near in enumerate(rules.affinity):
            if near.required and (group.id, "affinity", i) not in self.without and group.id in self.pending:
                self._near(group, near.target, near.topology)
        for i, even in enumerate(rules.spread):
            if even.required and (group.id, "spread", i) not in self.without and group.id in self.pending:
                self._even(group, even.topology, even.max_skew)

    def _apart(self, group: Group, target: int, topology: str, most: int) -> None:
        if group.id not in self.pending and target not in self.pending:
            return
        mine, there = self._sums(group.id, topology)
        theirs, before = self._sums(target, topology)
        for domain, total in enumerate(theirs):
            if isinstance(total, int) and isinstance(mine[domain], int):
                continue
            if target == group.id:
                self.model.Add(total <= max(most, before[domain]))
            elif there[domain]:
                self.model.Add(total <= max(most - 1, before[domain]))
            else:
                some = self.model.NewBoolVar("")
                self.model.Add(mine[domain] == 0).OnlyEnforceIf(some.Not())
                self.model.Add(total <= most - 1).OnlyEnforceIf(some)

    def _near(self, group: Group, target: int, topology: str) -> None:
        domains = self.draft.topology.domains(topology)
        theirs, there = self._sums(target, topology)
        if target == group.id and any(there):
            for (number, host), var in self.count.items():
                if number == group.id and (domains.of[host] < 0 or not there[domains.of[host]]):
                    self.model.Add(var == 0)
            return
        holds = []
        for domain in range(len(domains)):
            some = self.model.NewBoolVar("")
            self.model.Add(theirs[domain] >= 1).OnlyEnforceIf(some)
            if target == group.id and not there[domain]:
                self.model.Add(theirs[domain] == 0).OnlyEnforceIf(some.Not())
            holds.append(some)
        if target == group.id:
            self.model.Add(sum(holds) <= 1)
        for (number, host), var in self.count.items():
            if number == group.id:
                domain = int(domains.of[host])
                if domain < 0:
                    self.model.Add(var == 0)
                else:
                    self.model.Add(var == 0).OnlyEnforceIf(holds[domain].Not())

    def _even(self, group: Group, topology: str, skew: int) -> None:
        domains = self.draft.topology.domains(topology)
        eligible = self.draft.topology.eligible(topology, group.rules.constraints)
        sums, there = self._sums(group.id, topology)
        for (number, host), var in self.count.items():
            if number == group.id and domains.of[host] < 0:
                self.model.Add(var == 0)
        inside = np.flatnonzero(eligible).tolist()
        if not inside:
            return
        least = self.model.NewIntVar(0, 10**7, "")
        for domain in inside:
            self.model.Add(least <= sums[domain])
        for domain in inside:
            if not isinstance(sums[domain], int):
                # What is overfull already may stay so, but gets nothing more.
                over = self.model.NewBoolVar("")
                self.model.Add(sums[domain] <= least + skew).OnlyEnforceIf(over.Not())
                self.model.Add(sums[domain] == there[domain]).OnlyEnforceIf(over)

    def _dedicated(self) -> None:
        groups, state = self.draft.problem.groups, self.draft.state
        for host in range(len(self.draft.problem.hosts)):
            mine = [(groups[g], var) for (g, h), var in self.count.items() if h == host]
            clusters = {group.cluster_id for group, _var in mine}
            tenants = {c for c, n in state.tenants[host].items() if n > 0}
            owners = {c for c, n in state.dedicated[host].items() if n > 0}
            for cluster in sorted(clusters):
                exclusive = [var for group, var in mine if group.cluster_id == cluster and group.rules.dedicated]
                own = [var for group, var in mine if group.cluster_id == cluster]
                if owners - {cluster}:
                    self.model.Add(sum(own) == 0)
                if not exclusive:
                    continue
                if tenants - {cluster}:
                    self.model.Add(sum(exclusive) == 0)
                    continue
                taken = self.model.NewBoolVar("")
                self.model.Add(sum(exclusive) == 0).OnlyEnforceIf(taken.Not())
                others = [var for group, var in mine if group.cluster_id != cluster]
                if others:
                    self.model.Add(sum(others) == 0).OnlyEnforceIf(taken)

    def addresses(self, pools: Mapping[str, int], moving: Mapping[int, int]) -> None:
        """No more new instances on a network than it has addresses."""
        groups = self.draft.problem.groups
        for network, left in pools.items():
            new = []
            for number, wanted in self.pending.items():
                if groups[number].network == network:
                    above = self.model.NewIntVar(0, wanted, "")
                    total = sum(var for (g, _h), var in self.count.items() if g == number)
                    self.model.Add(above >= total - moving.get(number, 0))
                    new.append(above)
            self.model.Add(sum(new) <= left)

    def solve(self, work: float, all_of_it: bool = False) -> Optional[Answer]:
        """Place as many as possible (or, with ``all_of_it``, all or nothing); None where no answer came in time."""
        total = sum(self.count.values())
        wanted = sum(self.pending.values())
        if all_of_it:
            self.model.Add(total == wanted)
        elif self.count:
            self.model.Maximize(total)
        status, solver = self.search(work)
        if status == cp_model().INFEASIBLE:
            return Answer({}, {}, 0, True)
        if status not in (cp_model().OPTIMAL, cp_model().FEASIBLE):
            return None
        return self.answer(solver, status == cp_model().OPTIMAL or self._too_much())

    def search(self, work: float) -> tuple[Any, Any]:
        """Let the solver loose; its work is counted, so that a busy machine finds the same as an idle one.

        :param work: in the solver's own deterministic seconds. The wall clock is an emergency brake far beyond.
        """
        brake = max(BRAKE_SECONDS, BRAKE_FACTOR * work)
        solver = cp_model().CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 1
        solver.parameters.max_deterministic_time = work
        solver.parameters.max_time_in_seconds = brake
        status = solver.Solve(self.model)
        done = solver.ResponseProto().deterministic_time
        self.draft.work += done
        # The solver stops a little before a limit of the clock that it could not keep otherwise, but never before its
        # work.
        if status in (cp_model().UNKNOWN, cp_model().FEASIBLE) and done < 0.9 * work:
            self.draft.braked.add("the exact search")
        return status, solver

    def answer(self, solver: Any, proven: bool) -> Answer:
        """Where the solver puts what is pending."""
        answer = Answer({}, {}, 0, proven)
        for (number, host), var in sorted(self.count.items()):
            times = solver.Value(var)
            if times:
                answer.placed.setdefault(number, []).extend([host] * times)
                answer.nodes.setdefault(number, []).extend(self._shares(solver, number, host, times))
                answer.total += times
        return answer

    def _too_much(self) -> bool:
        """Whether the sums alone prove that not all can be placed."""
        problem, state = self.draft.problem, self.draft.state
        need = sum(problem.demand[problem.groups[g].claims] * n for g, n in self.pending.items())
        room = np.maximum(state.free[:, self.draft.topology.active], 0.0).sum(axis=1)
        return bool((need > room).any())

    def _shares(self, solver: Any, number: int, host: int, times: int) -> list[Any]:
        """What each of ``times`` instances takes of each node."""
        state = self.draft.state
        if state.nodes is None:
            return [None] * times
        claims = self.draft.problem.claims[self.draft.problem.groups[number].claims]
        width = state.nodes.cores.shape[0]
        parts = [self._value(solver, self.parts.get((number, host, node))) for node in range(width)]
        unit, per_node = state.nodes.share(claims)
        result = []
        for _turn in range(times):
            if claims.numa:
                chosen = sorted(range(width), key=lambda node: (-parts[node], node))[: claims.numa]
                for node in chosen:
                    parts[node] -= 1
                cores = tuple(unit if node in chosen else 0.0 for node in range(width))
                counted = state.nodes.counts_memory
                memory = tuple(per_node if node in chosen and counted else 0.0 for node in range(width))
            else:
                step = int(state.nodes.threads[host]) if claims.whole else 1
                cores = _draw(parts, claims.cores // step, step)
                # Where it draws its memory is settled when it is placed.
                memory = (0.0,) * width
            result.append((cores, memory))
        return result

    def _value(self, solver: Any, var: Any) -> int:
        return 0 if var is None else int(solver.Value(var))


def _draw(parts: list[int], amount: int, step: int) -> tuple[float, ...]:
    """Take an amount from the fullest parts first."""
    taken = [0.0] * len(parts)
    for node in sorted(
        range(len(parts)), key=lambda n: (parts[n] < amount, parts[n] if parts[n] >= amount else -parts[n], n)
    ):
        part = min(parts[node], amount)
        parts[node] -= part
        amount -= part
        taken[node] = float(part * step)
    return tuple(taken)


def place_exactly(
    draft: Draft, pending: Mapping[int, int], work: float, pools: Mapping[str, int], moving: Mapping[int, int]
) -> Optional[Answer]:
    """The best placement of what is pending on the free room of a draft.

    :param pools: how many new instances each network has addresses for.
    :param moving: how many of what is pending run already (and have an address), by group.
    """
    model = Model(draft, pending).build()
    model.addresses(pools, moving)
    return model.solve(work)
