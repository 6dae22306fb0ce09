# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact search over all of a small problem: what stays, what is updated in place, what moves, what is new.

Instances that run and are alike (group, host, claims) form a kind, of which so many stay, leave, or are stuck: they
stay because there is no better, and are reported. Rules bind three sorts of members in two ways:

- what arrives (new, or moved there) keeps every rule against all that is there then, what is stuck included;
- what stays keeps every rule, but not against what is stuck (that is reported in its stead), nor against what is
  remembered on a host that doesn't answer.

The cost is, in this order: instances stuck, moves of what could stay (with data: ten), new ones without a place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..feasible.state import covered
from ..model import ACTIVE, CORDONED, DISK, Group
from ..numeric import np
from .draft import Draft
from .exact import Model, Term
from .rebalance import MOVE_WITH_DATA
from .reconcile import KEEP, LEAVE, START, STOP, UNKNOWN, UPDATE, placed_anew


@dataclass
class Kind:
    """Running instances that are alike, and how many of them stay, leave or are stuck."""

    group: Group
    home: int
    claims: int
    changed: bool
    forced: bool
    can_stay: bool
    disk: int
    rows: list[int] = field(default_factory=list)
    stay: Any = 0
    stuck: Any = 0
    leave: Any = 0


class Census:
    """Members of a group by domain, as sums: fixed numbers, then what the search decides."""

    def __init__(self, fixed: list[int], silent: list[int]) -> None:
        self.fixed = fixed
        self.silent = silent
        self.stay: list[list[Any]] = [[] for _turn in fixed]
        self.stuck: list[list[Any]] = [[] for _turn in fixed]
        self.arrive: list[list[Any]] = [[] for _turn in fixed]

    def all(self, domain: int) -> Any:
        """Everything that is there in the end."""
        return self.fixed[domain] + sum(self.stay[domain] + self.stuck[domain] + self.arrive[domain])

    def well(self, domain: int) -> Any:
        """The same without what is stuck, or on a host that doesn't answer."""
        return self.fixed[domain] - self.silent[domain] + sum(self.stay[domain] + self.arrive[domain])


class FateModel(Model):
    """``draft`` has all that might move taken off its hosts; ``pending`` is what is new."""

    kinds: list[Kind]
    arrive: dict[tuple[int, int], Any]
    placed_new: dict[int, Any]

    def __init__(self, draft: Draft, pending: dict[int, int], rows: list[int]) -> None:
        super().__init__(draft, pending)
        self.rows = rows
        self.kinds = []
        self.arrive = {}
        self.placed_new = {}
        self._seen: dict[tuple[int, str], Census] = {}
        self._tested: dict[tuple[int, ...], Any] = {}

    def build(self) -> FateModel:
        """Add variables, room and rules."""
        self.start()
        self._sort_kinds()
        new = dict(self.pending)
        for kind in self.kinds:
            self.pending = {**self.pending, kind.group.id: self.pending.get(kind.group.id, 0) + len(kind.rows)}
        for number, most in sorted(self.pending.items()):
            self._arrivals(self.draft.problem.groups[number], most, new.get(number, 0))
        self.room()
        if self.draft.state.nodes is not None:
            self.nodes()
        for group in self.draft.problem.groups:
            self._keep_rules(group)
        if self.draft.state.has_dedicated:
            self._keep_tenants()
        self.new = new
        return self

    def _sort_kinds(self) -> None:
        """Rows into kinds; each row is its own where NUMA nodes count, as no two own the same cores."""
        problem, codes = self.draft.problem, self.draft.codes
        running, own = problem.running, problem.disks.own
        anew = placed_anew(problem, codes)
        found: dict[tuple[Any, ...], Kind] = {}
        for row in self.rows:
            group = problem.groups[running.group[row]]
            home, claims, disk = int(running.host[row]), int(running.claims[row]), own.get(row, -1)
            changed = bool(anew[row])
            forced = bool(codes[row] == LEAVE)
            apart = row if self.draft.state.nodes is not None or disk >= 0 else -1
            key = (group.id, home, claims, changed, forced, apart)
            if key not in found:
                topology = self.draft.topology
                hard = [topology.satisfied(rule)[home] for rule in group.rules.constraints if rule.required]
                fine = not forced and problem.hosts.state[home] in (ACTIVE, CORDONED) and all(hard)
                found[key] = Kind(group, home, claims, changed, forced, bool(fine), disk)
            found[key].rows.append(row)
        self.kinds = list(found.values())
        for kind in self.kinds:
            most = len(kind.rows)
            kind.stay = self.model.NewIntVar(0, most if kind.can_stay else 0, "")
            kind.stuck = self.model.NewIntVar(0, most, "")
            kind.leave = self.model.NewIntVar(0, most, "")
            self.model.Add(kind.stay + kind.stuck + kind.leave == most)

    def _arrivals(self, group: Group, most: int, new: int) -> None:
        """``arrive`` is what comes from elsewhere, ``count`` also what is updated in place."""
        mine = [kind for kind in self.kinds if kind.group.id == group.id]
        for host in self.hosts(group).tolist():
            self.arrive[group.id, host] = self.count[group.id, host] = self.model.NewIntVar(0, most, "")
        for home in sorted({kind.home for kind in mine if kind.changed and kind.can_stay}):
            updated = sum(kind.stay for kind in mine if kind.changed and kind.home == home)
            total = self.model.NewIntVar(0, most, "")
            self.model.Add(total == updated + self.arrive.get((group.id, home), 0))
            self.count[group.id, home] = total
        placed = self.model.NewIntVar(0, new, "")
        coming = sum(var for (number, _host), var in self.arrive.items() if number == group.id)
        self.model.Add(coming == placed + sum(kind.leave for kind in mine))
        self.placed_new[group.id] = placed

    # --- room ---

    def _holding(self, host: int) -> list[tuple[Kind, Any]]:
        """Kinds that hold what they have on a host, and how many of each."""
        return [
            (kind, kind.stuck if kind.changed else kind.stay + kind.stuck) for kind in self.kinds if kind.home == host
        ]

    def held(self, host: int, dimension: int) -> tuple[list[Term], int]:
        """What stays holds of an amount: as terms of a sum, and at most."""
        problem = self.draft.problem
        terms: list[Term] = []
        most = 0
        for kind, number in self._holding(host):
            amount = int(problem.demand[kind.claims, dimension])
            if dimension == DISK and kind.disk >= 0:
                amount = max(0, amount - int(problem.disks.size[kind.disk]))
                if kind.changed:
                    # Updated in place, it is counted in full elsewhere; its disk covers a part of that.
                    terms.append((-int(covered(problem, kind.disk, kind.group.claims)), kind.stay))
            if amount:
                terms.append((amount, number))
                most += amount * len(kind.rows)
        return terms, most

    def held_cores(self, host: int, node: int) -> tuple[list[Term], list[Term], list[Term]]:
        """What stays holds of a node: cores, whole physical cores, memory of what is bound to it."""
        problem, state = self.draft.problem, self.draft.state
        cores: list[Term] = []
        memory: list[Term] = []
        split: dict[int, Any] = {}
        shape = problem.hosts.shapes[problem.hosts.shape[host]]
        for kind, number in self._holding(host):
            row = kind.rows[0]
            own, bytes_ = state.running_share(row)
            if own[node]:
                cores.append((int(own[node]), number))
            if problem.claims[kind.claims].numa and bytes_[node]:
                memory.append((int(bytes_[node]), number))
            if not problem.claims[kind.claims].cores or not problem.running.cores_valid[row]:
                continue
            for core in problem.running.cores[row]:
                seat = int(shape.position[core])
                if shape.node[seat] == node and shape.full[seat]:
                    physical = int(shape.physical[seat])
                    broken = split.setdefault(physical, self.model.NewBoolVar(""))
                    self.model.Add(broken >= number)
        return cores, [(1, broken) for broken in split.values()], memory

    # --- rules ---

    def _census(self, group: int, topology: str) -> Census:
        key = (group, topology)
        if key not in self._seen:
            domains = self.draft.topology.domains(topology)
            running = self.draft.problem.running
            silent = running.host[(self.draft.codes == UNKNOWN) & (running.group == group)]
            there = domains.count(self.draft.state.hosts_of(group))
            found = Census(there.tolist(), domains.count(silent).tolist())
            for kind in self.kinds:
                domain = int(domains.of[kind.home])
                if kind.group.id == group and domain >= 0:
                    found.stay[domain].append(kind.stay)
                    found.stuck[domain].append(kind.stuck)
            for (number, host), var in self.arrive.items():
                if number == group and domains.of[host] >= 0:
                    found.arrive[int(domains.of[host])].append(var)
            self._seen[key] = found
        return self._seen[key]

    def _some(self, terms: list[Any]) -> Any:
        """A switch that is on where any of these is; None where there are none."""
        if not terms:
            return None
        key = tuple(sorted({term.Index() for term in terms}))
        if key not in self._tested:
            on = self.model.NewBoolVar("")
            self.model.Add(sum(terms) == 0).OnlyEnforceIf(on.Not())
            self._tested[key] = on
        return self._tested[key]

    def _present(self, total: Any) -> Any:
        """A switch that is on where a sum is above 0."""
        on = self.model.NewBoolVar("")
        if isinstance(total, int):
            self.model.Add(on == int(total > 0))
        else:
            self.model.Add(total == 0).OnlyEnforceIf(on.Not())
        return on

    def _keep_rules(self, group: Group) -> None:
        rules = group.rules
        for away in rules.anti_affinity:
            if away.required:
                self._keep_apart(group, away.target, away.topology, away.max)
        if not any(number == group.id for number in self.pending):
            return
        for near in rules.affinity:
            if near.required:
                self._only_labelled(group, near.topology)
                if near.target == group.id:
                    self._keep_together(group, near.topology)
                else:
                    self._keep_near(group, near.target, near.topology)
        for even in rules.spread:
            if even.required:
                self._only_labelled(group, even.topology)
                self._keep_even(group, even.topology, even.max_skew)

    def _only_labelled(self, group: Group, topology: str) -> None:
        of = self.draft.topology.domains(topology).of
        for kind in self.kinds:
            if kind.group.id == group.id and of[kind.home] < 0:
                self.model.Add(kind.stay == 0)
        for (number, host), var in self.arrive.items():
            if number == group.id and of[host] < 0:
                self.model.Add(var == 0)

    def _keep_apart(self, group: Group, target: int, topology: str, most: int) -> None:
        mine, theirs = self._census(group.id, topology), self._census(target, topology)
        for domain in range(len(mine.fixed)):
            arrived = self._some(mine.arrive[domain] + theirs.arrive[domain])
            stayed = self._some(mine.stay[domain] + theirs.stay[domain])
            for switch, own, other in (
                (arrived, mine.all(domain), theirs.all(domain)),
                (stayed, mine.well(domain), theirs.well(domain)),
            ):
                if switch is None:
                    continue
                if target == group.id:
                    self.model.Add(own <= most).OnlyEnforceIf(switch)
                else:
                    self._limit(other, most - 1, [switch, self._present(own)])

    def _limit(self, total: Any, most: int, switches: list[Any]) -> None:
        """A sum is bounded where all switches are on."""
        if not isinstance(total, int):
            self.model.Add(total <= most).OnlyEnforceIf(switches)
        elif total > most:
            self.model.AddBoolOr([switch.Not() for switch in switches])

    def _keep_near(self, group: Group, target: int, topology: str) -> None:
        mine, theirs = self._census(group.id, topology), self._census(target, topology)
        for domain in range(len(mine.fixed)):
            switch = self._some(mine.stay[domain] + mine.arrive[domain])
            if switch is not None:
                total = theirs.all(domain)
                if isinstance(total, int):
                    self.model.Add(switch <= int(total > 0))
                else:
                    self.model.Add(total >= 1).OnlyEnforceIf(switch)

    def _keep_together(self, group: Group, topology: str) -> None:
        mine = self._census(group.id, topology)
        domains = range(len(mine.fixed))
        for switch, totals in (
            (self._some([v for domain in domains for v in mine.arrive[domain]]), [mine.all(d) for d in domains]),
            (self._some([v for domain in domains for v in mine.stay[domain]]), [mine.well(d) for d in domains]),
        ):
            if switch is not None:
                self.model.Add(sum(self._present(total) for total in totals) <= 1).OnlyEnforceIf(switch)

    def _keep_even(self, group: Group, topology: str, skew: int) -> None:
        mine = self._census(group.id, topology)
        eligible = np.flatnonzero(self.draft.topology.eligible(topology, group.rules.constraints)).tolist()
        if not eligible:
            return
        least_of_all, least_well = (self.model.NewIntVar(0, 10**7, "") for _turn in range(2))
        for domain in eligible:
            self.model.Add(least_of_all <= mine.all(domain))
            self.model.Add(least_well <= mine.well(domain))
        for domain in range(len(mine.fixed)):
            arrived, stayed = self._some(mine.arrive[domain]), self._some(mine.stay[domain])
            if arrived is not None:
                self.model.Add(mine.all(domain) <= least_of_all + skew).OnlyEnforceIf(arrived)
            if stayed is not None:
                # What stays may count what is stuck, where that makes it even.
                way = self.model.NewBoolVar("")
                self.model.Add(mine.all(domain) <= least_of_all + skew).OnlyEnforceIf([stayed, way])
                self.model.Add(mine.well(domain) <= least_well + skew).OnlyEnforceIf([stayed, way.Not()])

    def _keep_tenants(self) -> None:
        groups = self.draft.problem.groups
        owners = sorted({group.cluster_id for group in groups if group.rules.dedicated})
        census = [self._census(group.id, "host") for group in groups]
        for host in range(len(self.draft.problem.hosts)):
            for owner in owners:
                dedicated = [census[g.id] for g in groups if g.cluster_id == owner and g.rules.dedicated]
                others = [census[g.id] for g in groups if g.cluster_id != owner]
                both = [*dedicated, *others]
                arrived = self._some([var for one in both for var in one.arrive[host]])
                stayed = self._some([var for one in both for var in one.stay[host]])
                if arrived is not None:
                    there = self._present(sum(one.all(host) for one in dedicated))
                    self._limit(sum(one.all(host) for one in others), 0, [arrived, there])
                if stayed is not None:
                    there = self._present(sum(one.well(host) for one in dedicated))
                    self._limit(sum(one.well(host) for one in others), 0, [stayed, there])

    # --- the answer ---

    def addresses_for_new(self, pools: dict[str, int]) -> None:
        """No more new instances on a network than it has addresses."""
        groups = self.draft.problem.groups
        for network, left in pools.items():
            self.model.Add(sum(var for g, var in self.placed_new.items() if groups[g].network == network) <= left)

    def cost(self) -> Any:
        """Stuck before moves before new ones without a place."""
        new = sum(self.new.values())
        moves = sum(self.price(kind) * len(kind.rows) for kind in self.kinds if not kind.forced)
        missing = new - sum(self.placed_new.values())
        moved = sum(self.price(kind) * kind.leave for kind in self.kinds if not kind.forced)
        return missing + (new + 1) * moved + (new + 1) * (moves + 1) * sum(kind.stuck for kind in self.kinds)

    def price(self, kind: Kind) -> int:
        """How many moves its move counts as."""
        return MOVE_WITH_DATA if kind.disk >= 0 else 1


def rows_to_decide(draft: Draft) -> list[int]:
    """What runs and is wanted, on hosts that answer (or are to be replaced)."""
    codes = draft.codes
    movable = (codes == KEEP) | (codes == UPDATE) | (codes == START) | (codes == STOP) | (codes == LEAVE)
    return [int(row) for row in np.flatnonzero(movable)]
