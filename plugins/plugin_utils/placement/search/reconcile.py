# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of each running instance before anything new is placed: it stays unless a hard rule forces it."""

from __future__ import annotations

from typing import Optional

from ..feasible.limits import RuleBook
from ..feasible.state import State
from ..feasible.topology import Domains, Topology
from ..model import DRAINED, UNREACHABLE, AntiAffinity, Group, Problem
from ..numeric import Bools, Ints, np

KEEP, UPDATE, START, STOP, REMOVE, UNKNOWN, FOREIGN, LEAVE, STUCK, HELD = range(10)
ACTIONS = ("keep", "update", "start", "stop", "remove", "unknown", "foreign", "move", "keep", "keep")


def standing(problem: Problem, topology: Topology) -> Ints:
    """A code per running instance. LEAVE: its host is drained, or unreachable and to be replaced."""
    running, hosts, groups = problem.running, problem.hosts, problem.groups
    codes = np.full(len(running), KEEP, dtype=np.int64)
    if not len(running):
        return codes
    count = np.array([0 if g.state == "absent" else g.count for g in groups], dtype=np.int64)[running.group]
    known = np.array([g.known for g in groups], dtype=np.bool_)[running.group]
    target = np.array([g.state for g in groups])[running.group]
    down = (hosts.state == UNREACHABLE)[running.host]
    codes[~running.same_spec] = UPDATE
    plain = codes == KEEP
    codes[plain & (target == "started") & ~running.up] = START
    codes[plain & (target != "started") & running.up] = STOP
    gone = (running.index >= count) | running.surplus
    drained = (hosts.state == DRAINED)[running.host]
    replaced = down & replaceable(problem)[running.host]
    codes[drained | replaced] = LEAVE
    codes[down & ~replaced] = UNKNOWN
    codes[gone] = REMOVE
    codes[gone & down] = UNKNOWN
    codes[~known] = FOREIGN
    codes[~known & down] = UNKNOWN
    return codes


def placed_anew(problem: Problem, codes: Ints) -> Bools:
    """What must be placed anew even where it stays: it gets other claims, or its cores are not what these ask for."""
    running = problem.running
    if not len(running):
        return np.zeros(0, dtype=np.bool_)
    wanted = np.array([group.claims for group in problem.groups], dtype=np.int64)[running.group]
    updated = codes == UPDATE
    anew: Bools = (updated & (running.claims != wanted)) | ~running.cores_valid
    strict = np.array([bool(c.numa) or c.whole for c in problem.claims], dtype=np.bool_)
    for row in np.flatnonzero(updated & ~anew & strict[running.claims]).tolist():
        anew[row] = not cores_as_claimed(problem, row)
    return anew


def cores_as_claimed(problem: Problem, row: int) -> bool:
    """Whether the cores of a running instance lie as its claims say: in so many nodes, in whole physical cores."""
    running, hosts = problem.running, problem.hosts
    claims = problem.claims[running.claims[row]]
    shape = hosts.shapes[hosts.shape[running.host[row]]]
    seats = shape.position[np.array(running.cores[row], dtype=np.int64)]
    if claims.numa:
        parts = np.unique(shape.node[seats], return_counts=True)[1]
        if len(parts) != claims.numa or len(set(parts.tolist())) > 1:
            return False
    if claims.whole:
        threads = np.unique(shape.physical[seats], return_counts=True)[1]
        return bool(shape.full[seats].all() and (threads == shape.threads).all())
    return True


def replaceable(problem: Problem) -> Bools:
    """The hosts whose instances are created elsewhere while they don't answer."""
    names = problem.options.replace_unreachable
    if "*" in names:
        return np.ones(len(problem.hosts), dtype=np.bool_)
    return np.array([name in names for name in problem.hosts.names], dtype=np.bool_)


class Checker:
    """Finds running instances that break a hard rule where they are; reasons by row."""

    def __init__(self, problem: Problem, topology: Topology, book: RuleBook) -> None:
        self.problem = problem
        self.topology = topology
        self.book = book
        self.broken: dict[int, str] = {}
        self.final = False
        self.stuck: Bools = np.zeros(0, dtype=np.bool_)

    def check(self, state: State, codes: Ints, final: bool = False) -> dict[int, str]:
        """All that must leave, as far as each rule on its own can say.

        :param final: nothing more will be placed, which could make a spread even.
        """
        self.broken = {}
        self.final = final
        self.stuck = (codes == STUCK) | (codes == UNKNOWN)
        movable = (codes == KEEP) | (codes == UPDATE) | (codes == START) | (codes == STOP)
        bounds = np.searchsorted(self.problem.running.group, np.arange(len(self.problem.groups) + 1))
        for group in self.problem.groups:
            low, high = int(bounds[group.id]), int(bounds[group.id + 1])
            rules = group.rules
            bound = rules.constraints or rules.affinity or rules.anti_affinity or rules.spread
            if low < high and group.known and bound:
                rows = self._data_first(low + np.flatnonzero(movable[low:high]))
                if len(rows):
                    self._constraints(group, rows)
                    self._affinity(state, group, rows)
                    self._anti_affinity(state, group, rows)
                    self._spread(state, group, rows)
        if state.has_dedicated:
            self._dedicated(state, movable)
        self._overcommit(state, movable)
        return self.broken

    def _data_first(self, rows: Ints) -> Ints:
        """Where some must leave, the last ones do: those without a disk of their own come last."""
        own = self.problem.disks.own
        if not own:
            return rows
        return np.array(sorted(rows.tolist(), key=lambda row: (row not in own, row)), dtype=np.int64)

    def _say(self, rows: Ints, reason: str) -> None:
        for row in rows.tolist():
            self.broken.setdefault(row, reason)

    def _constraints(self, group: Group, rows: Ints) -> None:
        for constraint in group.rules.constraints:
            if constraint.required:
                bad = ~self.topology.satisfied(constraint)[self.problem.running.host[rows]]
                self._say(rows[bad], f"its host no longer satisfies the constraint on label {constraint.label}")

    def _affinity(self, state: State, group: Group, rows: Ints) -> None:
        for rule in group.rules.affinity:
            if not rule.required:
                continue
            domains = self.topology.domains(rule.topology)
            of = domains.of[self.problem.running.host[rows]]
            counts = domains.count(state.hosts_of(rule.target))
            target = self.problem.groups[rule.target].label
            if rule.target != group.id:
                bad = np.append(counts == 0, True)[of]
                self._say(rows[bad], f"affinity: no {target} in its {rule.topology}")
            elif (counts > 0).sum() > 1 or (of < 0).any():
                bad = of != int(np.argmax(counts)) if len(counts) else of < 0
                self._say(rows[bad], f"affinity: {target} is to lie in one {rule.topology}")

    def _anti_affinity(self, state: State, group: Group, rows: Ints) -> None:
        for rule in group.rules.anti_affinity:
            if rule.required:
                self._apart(state, group, rule, rows)

    def _apart(self, state: State, group: Group, rule: AntiAffinity, rows: Ints) -> None:
        if rule.target == group.id and rule.topology == "host":
            members = state.hosts_of(group.id).tolist()
            if len(set(members)) == len(members):
                return
        domains = self.topology.domains(rule.topology)
        of = domains.of[self.problem.running.host[rows]]
        counts = domains.count(state.hosts_of(rule.target))
        target = self.problem.groups[rule.target].label
        reason = f"anti-affinity with {target}: more than {rule.max} in one {rule.topology}"
        if rule.target != group.id:
            bad = np.append(counts >= rule.max, False)[of]
            reason = f"anti-affinity with {target} in its {rule.topology}"
            self._say(rows[bad], reason)
            return
        for domain in np.flatnonzero(counts > rule.max).tolist():
            here = rows[of == domain]
            surplus = int(counts[domain]) - rule.max
            self._say(here[max(0, len(here) - surplus) :], reason)

    def _spread(self, state: State, group: Group, rows: Ints) -> None:
        for rule in group.rules.spread:
            if not rule.required:
                continue
            domains = self.topology.domains(rule.topology)
            of = domains.of[self.problem.running.host[rows]]
            self._say(rows[of < 0], f"spread: its host has no {rule.topology}")
            counts = domains.count(state.hosts_of(group.id)).astype(np.int64)
            eligible = self.topology.eligible(rule.topology, group.rules.constraints)
            if self.final:
                uneven = self._uneven(group, domains, counts, eligible, rule.max_skew)
                self._say(rows[np.append(uneven, False)[of]], f"spread: its {rule.topology} holds too many")
                continue
            missing = group.count - len(state.hosts_of(group.id))
            for domain in _surplus(counts, eligible, rule.max_skew, missing):
                here = [row for row in rows[of == domain].tolist() if row not in self.broken]
                if here:
                    self.broken[here[-1]] = f"spread: its {rule.topology} holds too many of {group.label}"

    def _uneven(self, group: Group, domains: Domains, counts: Ints, eligible: Bools, skew: int) -> Bools:
        """The domains that are too full for what stays there, whether or not what is stuck counts."""
        if not eligible.any():
            return np.zeros(len(counts), dtype=np.bool_)
        running = self.problem.running
        well = counts - domains.count(running.host[self.stuck & (running.group == group.id)]).astype(np.int64)
        uneven: Bools = (counts > counts[eligible].min() + skew) & (well > well[eligible].min() + skew)
        return uneven

    def _dedicated(self, state: State, movable: Bools) -> None:
        running, groups = self.problem.running, self.problem.groups
        for row in np.flatnonzero(movable).tolist():
            group = groups[running.group[row]]
            host = int(running.host[row])
            others = [c for c, n in state.dedicated[host].items() if n > 0 and c != group.cluster_id]
            mixed = group.rules.dedicated and any(
                n > 0 and c != group.cluster_id for c, n in state.tenants[host].items()
            )
            if others and not group.rules.dedicated:
                self.broken.setdefault(row, f"its host is dedicated to {self.problem.clusters[others[0]]}")
            elif mixed and self._foreign_tenant(host, group, movable):
                self.broken.setdefault(row, "dedicated: another tenant is on its host")

    def _foreign_tenant(self, host: int, group: Group, movable: Bools) -> bool:
        """Whether a tenant that won't leave shares the host (the others make room for the dedicated one)."""
        running, groups = self.problem.running, self.problem.groups
        for row in np.flatnonzero(running.host == host).tolist():
            other = groups[running.group[row]]
            if other.cluster_id != group.cluster_id and (
                not movable[row] or (other.rules.dedicated and other.cluster_id < group.cluster_id)
            ):
                return True
        return False

    def _overcommit(self, state: State, movable: Bools) -> None:
        """Where a host holds more than its allowance, the last ones leave until it fits."""
        running, problem = self.problem.running, self.problem
        over = np.flatnonzero((state.free < 0).any(axis=0) & (problem.hosts.state != UNREACHABLE))
        for host in over.tolist():
            lacking = state.free[:, host].copy()
            rows = self._data_first(np.flatnonzero((running.host == host) & movable))
            for row in rows[::-1].tolist():
                if (lacking >= 0).all():
                    break
                demand = problem.demand[running.claims[row]]
                if (demand[lacking < 0] > 0).any():
                    short = problem.dimensions[int(np.argmin(lacking))]
                    self.broken.setdefault(row, f"its host promises more {short} than it has")
                    lacking += demand


def _surplus(counts: Ints, eligible: Bools, skew: int, missing: int) -> list[int]:
    """Domains that must give one away, with repetitions; what is still to be placed fills the least filled first."""
    if not eligible.any():
        return []
    level = counts.tolist()
    inside = np.flatnonzero(eligible).tolist()
    for _turn in range(max(missing, 0)):
        lowest = min(inside, key=lambda domain: (level[domain], domain))
        level[lowest] += 1
    giving: list[int] = []
    while True:
        lowest = min(inside, key=lambda domain: (level[domain], domain))
        highest = max(range(len(level)), key=lambda domain: (level[domain], -domain))
        if level[highest] - level[lowest] <= skew or level[highest] - level[lowest] < 2:
            return giving
        level[highest] -= 1
        level[lowest] += 1
        giving.append(highest)


def first_reason(reasons: dict[int, str], row: int) -> Optional[str]:
    """The reason of a row, if there is one."""
    return reasons.get(row)
