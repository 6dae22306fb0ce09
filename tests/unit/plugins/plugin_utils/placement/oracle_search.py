"""What is possible at all, found by trying everything. For problems of a few hosts and instances only."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from typing import Any

from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle import (
    LITTLE,
    Claim,
    Host,
    Key,
    Placed,
    World,
    admitted,
    eligible,
    hard,
    offenders,
)
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_addresses import ranges
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_plan import as_running

# More than a small problem has instances: what runs and has no place weighs more than all new ones.
STUCK = 100


@dataclasses.dataclass
class Candidate:
    """An instance to decide on: the hosts it may be on, and what it is if it gets none."""

    key: Key
    claim: Claim
    hosts: list[str]
    home: str | None  # where it runs now
    changes: bool  # whether it is new there, or to be updated even if it stays


class Search:
    """All final states of a problem.

    `moves_allowed` says how many instances that could stay may move; moves off a drained host do not count.
    """

    def __init__(self, problem: dict[str, Any]) -> None:
        self.world = World(problem)
        self.fixed: list[Placed] = []
        self.weight = 1
        self.candidates: list[Candidate] = []
        for key in self.world.running:
            home = self.world.hosts[self.world.running[key]["host"]]
            if self.world.fate(key) == "foreign" or home.state == "unreachable" or self.world.waits(key):
                self.fixed.append(as_running(self.world, key))
        there = {item.key for item in self.fixed}
        for key in sorted(self.world.desired):
            if key not in there:
                self.candidates.append(self._candidate(key))
        self.candidates.sort(key=lambda c: (c.home is None, c.key))
        self.free_addresses = {name: self._free(name) for name in self.world.networks}

    def _candidate(self, key: Key) -> Candidate:
        world = self.world
        claim = world.grades[world.desired[key]["grade"]]
        rules = world.placement(key)
        hosts = [h.name for h in world.hosts.values() if h.state == "active" and admitted(h, rules)]
        run = world.running.get(key)
        if run is None:
            return Candidate(key, claim, hosts, None, True)
        home = world.hosts[run["host"]]
        if home.state == "cordoned" and admitted(home, rules):
            hosts.append(home.name)
        return Candidate(key, claim, hosts, home.name, self.is_update(key))

    def is_update(self, key: Key) -> bool:
        """Whether a running instance is another than the desired one."""
        wanted, run = self.world.desired[key].get("digest"), self.world.running[key].get("digest")
        if wanted is not None and run is not None:
            return bool(wanted != run)
        grade = self.world.grades[self.world.desired[key]["grade"]]
        claim = self.world.as_running(key).claim
        return (grade.cores, grade.cpus, grade.amounts) != (claim.cores, claim.cpus, claim.amounts)

    def _free(self, network: str) -> int:
        """How many addresses nobody has (those of what is removed are not counted on)."""
        net = self.world.networks[network]
        numbers = {n for a, b in ranges(net.get("pool")) for n in range(a, min(b, a + 10_000) + 1)}
        numbers -= {n for a, b in ranges(net.get("exclude")) for n in range(a, min(b, a + 10_000) + 1)}
        return len(numbers) - sum(
            1 for r in self.world.running.values() if r.get("network") == network and r.get("address")
        )

    # --- the two questions ---

    def fewest_unplaced(self, running_first: bool = False) -> int:
        """The fewest instances without a place when nothing moves that could stay.

        With `running_first`, one that runs and finds no place counts as much as STUCK new ones.
        """
        self.weight = STUCK if running_first else 1
        return self._fewest(moves=0, most=len(self.candidates) * self.weight)

    def fewest_moves(self, most: int) -> int | None:
        """The fewest moves of what could stay with which all is placed, up to `most`; None if even that is too few."""
        for moves in range(most + 1):
            if self._fewest(moves, most=0) == 0:
                return moves
        return None

    def _fewest(self, moves: int, most: int) -> int:
        """The fewest unplaced with at most `moves` moves, if that is no more than `most`; else `most` + 1."""
        self.best = most + 1
        self._try(0, moves, 0, collections.defaultdict(list), {})
        return self.best

    # --- trying everything ---

    def _try(self, i: int, moves: int, unplaced: int, on: dict[str, list[Candidate]], where: dict[Key, str]) -> None:
        if unplaced >= self.best:
            return
        if i == len(self.candidates):
            if self._holds(where):
                self.best = unplaced
            return
        candidate = self.candidates[i]
        twin = self._twin(i)
        for host in candidate.hosts:
            stays = host == candidate.home
            voluntary = candidate.home is not None and not stays and self.world.hosts[candidate.home].state != "drained"
            if voluntary and not moves:
                continue
            if twin is not None and where.get(twin, "~") > host:
                continue
            on[host].append(candidate)
            where[candidate.key] = host
            if self._room(self.world.hosts[host], on[host], where):
                self._try(i + 1, moves - voluntary, unplaced, on, where)
            on[host].pop()
            del where[candidate.key]
        self._try(i + 1, moves, unplaced + (1 if candidate.home is None else self.weight), on, where)

    def _twin(self, i: int) -> Key | None:
        """The candidate before, if it is the same in all but its index: then order between them need not be tried."""
        a, b = self.candidates[i - 1] if i else None, self.candidates[i]
        return a.key if a is not None and a.home is None and b.home is None and a.key[:2] == b.key[:2] else None

    def _staying(self, where: dict[Key, str]) -> list[Placed]:
        """What is as it was: the fixed, and candidates without a place that run (they stay where they are)."""
        decided = list(self.fixed)
        for candidate in self.candidates:
            if candidate.home is not None and candidate.key not in where:
                decided.append(as_running(self.world, candidate.key))
        return decided

    def _room(self, host: Host, here: list[Candidate], where: dict[Key, str]) -> bool:
        """Whether these candidates fit a host beside what is fixed there (what is undecided is not counted yet)."""
        staying = [item for item in self.fixed if item.host == host.name]
        staying += [as_running(self.world, c.key) for c in here if c.home == host.name and not c.changes]
        fresh = [c.claim for c in here if c.home != host.name or c.changes]
        return fits(host, staying, fresh)

    def _holds(self, where: dict[Key, str]) -> bool:
        """Whether a state that is decided in full has room for all, breaks no rule, and has addresses for all."""
        staying = self._staying(where)
        final = list(staying)
        on: dict[str, list[Claim]] = collections.defaultdict(list)
        kept: dict[str, list[Placed]] = collections.defaultdict(list)
        needed: collections.Counter[str] = collections.Counter()
        for item in staying:
            kept[item.host].append(item)
        for candidate in self.candidates:
            host = where.get(candidate.key)
            if host is None:
                continue
            if candidate.home == host and not candidate.changes:
                item = as_running(self.world, candidate.key)
                kept[host].append(item)
            else:
                item = Placed(candidate.key, host, candidate.claim, fresh=True, arrives=candidate.home != host)
                on[host].append(candidate.claim)
                run = self.world.running.get(candidate.key, {})
                network = self.world.desired[candidate.key].get("network")
                if network is not None and not (run.get("network") == network and run.get("address")):
                    needed[network] += 1
            final.append(item)
        if any(not fits(self.world.hosts[host], kept[host], claims) for host, claims in on.items()):
            return False
        if any(count > self.free_addresses[network] for network, count in needed.items()):
            return False
        stuck = {candidate.key for candidate in self.candidates if candidate.home and candidate.key not in where}
        arriving = {item.key for item in final if item.arrives}
        return not offenders(self.world, final, stuck) and self._spread_strictly(final, arriving)

    def _spread_strictly(self, final: list[Placed], fresh: set[Key]) -> bool:
        """Spread measured also from domains that are not eligible but hold a member."""
        world = self.world
        for group, spec in world.groups.items():
            for rule in (spec.get("placement") or {}).get("spread") or []:
                topology = rule.get("topology", "zone")
                members: collections.Counter[str] = collections.Counter()
                for item in final:
                    if item.key[:2] == group and topology in world.hosts[item.host].labels:
                        members[world.hosts[item.host].labels[topology]] += 1
                domains = eligible(world, group, topology) | set(members)
                counts = [members[d] for d in domains]
                uneven = hard(rule) and counts and max(counts) - min(counts) > rule.get("max_skew", 1)
                if uneven and any(key[:2] == group for key in fresh):
                    return False
        return True


def fits(host: Host, staying: list[Placed], fresh: list[Claim]) -> bool:
    """Whether claims fit a host beside what stays there, with real cores for each; exact."""
    if not fresh:
        return True
    needs: dict[str, float] = collections.defaultdict(float)
    for claim in fresh:
        for resource, amount in claim.amounts:
            needs[resource] += amount
    for resource, amount in needs.items():
        had = sum(dict(item.claim.amounts).get(resource, 0) for item in staying)
        if amount and had + amount > host.allowance.get(resource, 0) + LITTLE:
            return False
    owned = {core for item in staying for core in item.cores}
    free = host.cores - owned
    left = len(free) - sum(claim.cores for claim in fresh)
    shared = sum(claim.cpus for claim in fresh) + sum(item.claim.cpus for item in staying)
    coreless = any(not claim.cores for claim in fresh) or any(not item.claim.cores for item in staying)
    if left < 0 or shared > left + LITTLE or (coreless and left < 1):
        return False
    return Nodes(host, staying, free).give([claim for claim in fresh if claim.cores], needs.get("memory", 0))


class Nodes:
    """The NUMA nodes of a host, and what each has free: threads, whole physical cores, memory."""

    def __init__(self, host: Host, staying: list[Placed], free: set[int]) -> None:
        self.host = host
        self.ids = sorted({host.node[c] for c in host.cpus})
        self.threads = {n: sum(1 for c in free if host.node[c] == n) for n in self.ids}
        full = {frozenset(host.siblings[c]) for c in free if host.siblings[c] <= free}
        full = {cores for cores in full if len(cores) == host.threads}
        self.whole = {n: sum(1 for cores in full if host.node[min(cores)] == n) for n in self.ids}
        self.memory = dict(host.node_memory)
        self.memory_left = sum(self.memory.values())
        for item in staying:
            amount = dict(item.claim.amounts).get("memory", 0)
            self.memory_left -= amount
            if item.claim.numa != "any":
                for node in {host.node[c] for c in item.cores}:
                    if self.memory:
                        self.memory[node] -= amount / int(item.claim.numa)

    def give(self, claims: list[Claim], memory: float) -> bool:
        """Whether each claim can have its cores at the same time, and all of them `memory` bytes together."""
        if self.memory and memory > self.memory_left + LITTLE:
            return False
        for claim in claims:
            per_core = self.host.threads if claim.smt == "whole" else 1
            if claim.cores % per_core:
                return False
        bound = [claim for claim in claims if claim.numa != "any"]
        loose = [claim for claim in claims if claim.numa == "any"]
        return self._bind(bound, collections.Counter(), collections.Counter(), loose)

    def _bind(
        self,
        bound: list[Claim],
        threads: collections.Counter[int],
        whole: collections.Counter[int],
        loose: list[Claim],
    ) -> bool:
        """Try all choices of nodes for claims that say how many; then count the rest."""
        per_core = self.host.threads
        for n in self.ids:
            if threads[n] > self.threads[n] or whole[n] > self.whole[n]:
                return False
        if not bound:
            room = sum(min(self.whole[n] - whole[n], (self.threads[n] - threads[n]) // per_core) for n in self.ids)
            return room >= sum(claim.cores // per_core for claim in loose if claim.smt == "whole")
        claim, rest = bound[0], bound[1:]
        parts = int(claim.numa)
        share = claim.cores // parts
        if claim.cores % parts or (claim.smt == "whole" and share % per_core):
            return False
        memory = dict(claim.amounts).get("memory", 0) / parts
        for nodes in itertools.combinations(self.ids, parts):
            if self.memory and any(self.memory.get(n, 0) + LITTLE < memory for n in nodes):
                continue
            for n in nodes:
                threads[n] += share
                whole[n] += share // per_core if claim.smt == "whole" else 0
                if self.memory:
                    self.memory[n] -= memory
            good = self._bind(rest, threads, whole, loose)
            for n in nodes:
                threads[n] -= share
                whole[n] -= share // per_core if claim.smt == "whole" else 0
                if self.memory:
                    self.memory[n] += memory
            if good:
                return True
        return False
