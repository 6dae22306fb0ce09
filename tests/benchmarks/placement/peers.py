"""The rules by which other schedulers choose a host, re-implemented small on the same arrays.

Each peer gets the same help: one filter tells it exactly which hosts have room (NUMA nodes respected) and break no
group rule. What differs is what made them known: in which order they place, how many hosts they look at, and which of
those they like best. None of this is anybody's code; the sources of the rules are named at each.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import random
import time
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from benchmarks.placement.data import Item, Workload

Mask = NDArray[np.bool_]
NOWHERE = -1


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a peer did: hosts used, instances without a host, wall-clock seconds, and the host of each item."""

    hosts: int
    unplaced: int
    seconds: float
    chosen: list[int]


class State:
    """The hosts as they fill: what is free per NUMA node, how many tasks, and where groups are."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.cores = workload.cores.copy()
        self.memory = workload.memory.copy()
        self.total_cores = workload.cores.sum(axis=1)
        self.total_memory = workload.memory.sum(axis=1)
        self.tasks = np.zeros(len(self.cores), dtype=np.int64)
        self.of_service: dict[tuple[str, str], NDArray[np.int64]] = {}
        self.rack_of: dict[str, int] = {}
        self.domains: dict[str, dict[str, set[int]]] = collections.defaultdict(lambda: collections.defaultdict(set))

    def feasible(self, item: Item) -> Mask:
        """The hosts with room for an item that break no rule of its group."""
        flavour = self.workload.flavours[item.flavour]
        parts = max(flavour.numa, 1)
        room = (self.cores >= flavour.cores / parts - 1e-9) & (self.memory >= flavour.memory / parts)
        mask: Mask = room.all(axis=1) if parts == room.shape[1] else room.any(axis=1)
        racks = self.workload.racks
        if item.rule == "affinity":
            mask &= racks == self.rack_of[item.group] if item.group in self.rack_of else self.racks_for_all(item)[racks]
        elif item.rule == "anti-affinity":
            mask &= self.service(item) == 0
        elif item.rule == "fault_domain":
            others = [r for d, taken in self.domains[item.group].items() if d != item.domain for r in taken]
            mask &= ~np.isin(racks, others)
        return mask

    def racks_for_all(self, item: Item) -> Mask:
        """The racks with twice the room that all members of an item's group need together, or the roomiest.

        Help that a scheduler of single instances lacks: without it, a group is stuck in the first member's full rack.
        """
        members = [i for i in self.workload.items if (i.rule, i.group) == (item.rule, item.group)]
        flavours = [self.workload.flavours[i.flavour] for i in members]
        cores = np.bincount(self.workload.racks, self.cores.sum(axis=1)) / sum(f.cores for f in flavours)
        memory = np.bincount(self.workload.racks, self.memory.sum(axis=1)) / sum(f.memory for f in flavours)
        room = np.minimum(cores, memory)
        roomy: Mask = room >= min(2.0, float(room.max()))
        return roomy

    def service(self, item: Item) -> NDArray[np.int64]:
        """How many instances of an item's group each host has; an item without a group is a service of its own."""
        if not item.group:
            return np.zeros(len(self.tasks), dtype=np.int64)
        return self.of_service.setdefault((item.rule, item.group), np.zeros(len(self.tasks), dtype=np.int64))

    def place(self, item: Item, host: int) -> None:
        """Put an item on a host, into the fullest NUMA node that has room for it."""
        flavour = self.workload.flavours[item.flavour]
        parts = max(flavour.numa, 1)
        nodes = list(range(self.cores.shape[1]))
        if parts == 1:
            room = [n for n in nodes if self._has(host, n, flavour.cores, flavour.memory)]
            nodes = [min(room, key=lambda n: self.cores[host, n])]
        for n in nodes:
            self.cores[host, n] -= flavour.cores / parts
            self.memory[host, n] -= flavour.memory / parts
        self.tasks[host] += 1
        if item.group:
            self.service(item)[host] += 1
            rack = int(self.workload.racks[host])
            if item.rule == "affinity":
                self.rack_of.setdefault(item.group, rack)
            elif item.rule == "fault_domain":
                self.domains[item.group][item.domain].add(rack)

    def _has(self, host: int, node: int, cores: float, memory: float) -> bool:
        return bool(self.cores[host, node] >= cores - 1e-9 and self.memory[host, node] >= memory)

    def used_after(self, item: Item, hosts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The fractions of cores and memory of hosts that are used once the item is there."""
        flavour = self.workload.flavours[item.flavour]
        cores = 1 - (self.cores[hosts].sum(axis=1) - flavour.cores) / self.total_cores[hosts]
        memory = 1 - (self.memory[hosts].sum(axis=1) - flavour.memory) / self.total_memory[hosts]
        return cores, memory


Choose = Callable[[State, Item, Mask], int]


def run(workload: Workload, choose: Choose, order: Iterable[int] | None = None) -> Outcome:
    """Place the items one by one, in order of arrival if no other is given."""
    start = time.perf_counter()
    state = State(workload)
    chosen = [NOWHERE] * len(workload.items)
    for number in range(len(workload.items)) if order is None else order:
        item = workload.items[number]
        mask = state.feasible(item)
        if mask.any():
            host = choose(state, item, mask)
            state.place(item, host)
            chosen[number] = host
    seconds = time.perf_counter() - start
    if (state.cores < -1e-6).any() or (state.memory < -1e-6).any():
        raise AssertionError(f"a peer overcommitted hosts of {workload.name}; its figures would mean nothing")
    return Outcome(int((state.tasks > 0).sum()), chosen.count(NOWHERE), seconds, chosen)


def first_fit(workload: Workload) -> Outcome:
    """The first host, in the order of the inventory, that has room. Johnson, "Near-optimal bin packing", 1973."""
    return run(workload, lambda state, item, mask: int(mask.argmax()))


def best_fit_decreasing(workload: Workload) -> Outcome:
    """Largest first, into the open host that it fills most; a new host, the largest, only when no open one has room.

    Johnson 1973 for one dimension; here the size is the larger of the two shares of an average host, and groups with
    rules go first, as they have least choice (the plain greedy of the data's notes).
    """
    flavours = workload.flavours
    mean_cores, mean_memory = workload.cores.sum(axis=1).mean(), workload.memory.sum(axis=1).mean()
    sizes = [max(f.cores / mean_cores, f.memory / mean_memory) for f in flavours]

    def rank(number: int) -> tuple[bool, str, str, float, int]:
        item = workload.items[number]
        return not item.rule, item.rule, item.group, -sizes[item.flavour], number

    def choose(state: State, item: Item, mask: Mask) -> int:
        opened = np.flatnonzero(mask & (state.tasks > 0))
        if len(opened):
            cores, memory = state.used_after(item, opened)
            return int(opened[(cores + memory).argmax()])
        closed = np.flatnonzero(mask)
        shares = state.total_cores[closed] / mean_cores + state.total_memory[closed] / mean_memory
        return int(closed[shares.argmax()])

    return run(workload, choose, sorted(range(len(workload.items)), key=rank))


def nomad_best_fit(workload: Workload) -> Outcome:
    """HashiCorp Nomad's service scheduler: BestFit v3 among the first few feasible nodes of a shuffled list.

    nomad/structs/funcs.go `ScoreFitBinPack`: 20 - (10^free cpu + 10^free memory), normalised by 18;
    scheduler/stack.go: nodes shuffled for each job, at most max(2, ceil(log2 n)) candidates; scheduler/select.go
    `LimitIterator`: up to three candidates with a score of 0 or less are put behind better ones; scheduler/rank.go
    `JobAntiAffinityIterator`: -(others of the job there + 1) / count, averaged with the fit.
    """
    rng = np.random.default_rng(1)
    hosts = len(workload.cores)
    limit = max(2, math.ceil(math.log2(hosts)))
    sizes = collections.Counter((item.rule, item.group) for item in workload.items if item.group)
    orders: dict[tuple[str, str], NDArray[np.int64]] = {}

    def choose(state: State, item: Item, mask: Mask) -> int:
        key = (item.rule, item.group)
        order = rng.permutation(hosts) if not item.group else orders.setdefault(key, rng.permutation(hosts))
        seen = order[mask[order]][: limit + 3]
        cores, memory = state.used_after(item, seen)
        scores = np.clip(20 - (10 ** (1 - cores) + 10 ** (1 - memory)), 0, 18) / 18
        if item.group:
            there = state.service(item)[seen]
            scores = np.where(there > 0, (scores - (there + 1) / sizes[key]) / 2, scores)
        skipped = np.flatnonzero(scores <= 0)[:3]
        looked_at = np.concatenate([np.setdiff1d(np.arange(len(seen)), skipped), skipped])[:limit]
        return int(seen[looked_at[scores[looked_at].argmax()]])

    return run(workload, choose)


def kubernetes(workload: Workload, most: bool) -> Outcome:
    """Kubernetes NodeResourcesFit: LeastAllocated (the default) or MostAllocated, cpu and memory weighing the same.

    pkg/scheduler/framework/plugins/noderesources/{least,most}_allocated.go: whole scores of 0 to 100, averaged;
    pkg/scheduler/schedule_one.go `numFeasibleNodesToFind`: of more than 100 nodes, 50 - n/125 percent (at least 5 %
    and 100 nodes) of feasible ones are looked at, each time from where the last look ended; ties go to one at random.
    """
    rng = random.Random(1)
    hosts = len(workload.cores)
    wanted = hosts if hosts < 100 else max(100, hosts * max(5, 50 - hosts // 125) // 100)
    start = 0

    def choose(state: State, item: Item, mask: Mask) -> int:
        nonlocal start
        turned = np.roll(np.arange(hosts), -start)
        fitting = turned[mask[turned]][:wanted]
        looked = hosts if len(fitting) < wanted else int((fitting[-1] - start) % hosts) + 1
        start = (start + looked) % hosts
        cores, memory = state.used_after(item, fitting)
        if not most:
            cores, memory = 1 - cores, 1 - memory
        scores = (np.floor(cores * 100 + 1e-9) + np.floor(memory * 100 + 1e-9)) // 2
        return _any_best(fitting, scores, rng)

    return run(workload, choose)


def _any_best(hosts: NDArray[np.int64], scores: NDArray[np.float64], rng: random.Random) -> int:
    """One of the hosts with the highest score."""
    best = hosts[scores == scores.max()]
    return int(best[rng.randrange(len(best))])


def swarm_spread(workload: Workload) -> Outcome:
    """Docker Swarm: the node with the fewest tasks of the service, then with the fewest tasks.

    moby/swarmkit manager/scheduler/scheduler.go, `nodeLess`; free resources only filter, they never rank.
    """

    def choose(state: State, item: Item, mask: Mask) -> int:
        fitting = np.flatnonzero(mask)
        order = np.lexsort((fitting, state.tasks[fitting], state.service(item)[fitting]))
        return int(fitting[order[0]])

    return run(workload, choose)


PEERS: dict[str, Callable[[Workload], Outcome]] = {
    "first fit": first_fit,
    "best fit decreasing": best_fit_decreasing,
    "Nomad BestFit v3": nomad_best_fit,
    "Kubernetes LeastAllocated": lambda workload: kubernetes(workload, most=False),
    "Kubernetes MostAllocated": lambda workload: kubernetes(workload, most=True),
    "Swarm spread": swarm_spread,
}
