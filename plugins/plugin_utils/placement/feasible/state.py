# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a plan in the making: what is free where, and where the members of each group are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Optional

from ..model import DISK, NANO, Claims, Problem
from ..numeric import Bools, Floats, Ints, np
from .nodes import NodeRoom, node_counts
from .topology import Topology

NOBODY, MANY = -1, -2


@dataclass
class Placed:
    """New places of one group in the order they were found; node columns are None where nodes don't matter."""

    hosts: list[int] = field(default_factory=list)
    nodes: list[Optional[tuple[tuple[float, ...], tuple[float, ...]]]] = field(default_factory=list)


class State:
    """Amounts are [dimension, host]; everything is counted down when an instance is placed, and up on release."""

    def __init__(self, problem: Problem, topology: Topology, counted: Bools) -> None:
        """``counted`` says which running instances stay where they are for now."""
        self.problem = problem
        self.topology = topology
        running, hosts = problem.running, problem.hosts
        rows = np.flatnonzero(counted)
        where = running.host[rows]
        self.free: Floats = hosts.capacity.copy()
        demand = problem.demand[running.claims[rows]]
        for dimension in range(len(problem.dimensions)):
            self.free[dimension] -= np.bincount(where, weights=demand[:, dimension], minlength=len(hosts))
        if len(problem.disks):
            self.free[DISK] -= lying(problem, counted)
        self.instances: Ints = np.bincount(where, minlength=len(hosts))
        self.members: dict[int, Ints] = {}
        bounds = np.searchsorted(running.group[rows], np.arange(len(problem.groups) + 1))
        for group in np.flatnonzero(np.diff(bounds)).tolist():
            self.members[group] = where[bounds[group] : bounds[group + 1]]
        self.owned = owned_cores(problem, rows)
        self.tracks_nodes = needs_nodes(problem)
        self.nodes: Optional[NodeRoom] = None
        if self.tracks_nodes:
            self.nodes = NodeRoom(hosts, ~self.owned & usable_cores(problem))
            self._charge_memory(rows)
        self._init_tenants(rows)

    def _charge_memory(self, rows: Ints) -> None:
        """What runs draws its memory from the nodes of its cores first."""
        nodes, running = self.nodes, self.problem.running
        if nodes is None or not nodes.counts_memory:
            return
        for row in rows.tolist():
            _cores, memory = self.running_share(row)
            nodes.memory[:, running.host[row]] -= memory

    def running_share(self, row: int) -> tuple[Floats, Floats]:
        """(cores, bytes) of a running instance per node of its host."""
        problem = self.problem
        hosts, running = problem.hosts, problem.running
        claims = problem.claims[running.claims[row]]
        width = hosts.memory_by_node.shape[0]
        cores = np.zeros(width)
        host = int(running.host[row])
        if claims.cores and running.cores_valid[row]:
            shape = hosts.shapes[hosts.shape[host]]
            seats = shape.position[np.array(running.cores[row], dtype=np.int64)]
            cores += np.bincount(shape.node[seats], minlength=width)
        memory = np.zeros(width)
        if hosts.counts_memory_by_node:
            room = np.where(np.isinf(hosts.memory_by_node[:, host]), claims.memory, hosts.memory_by_node[:, host])
            if claims.cores:
                memory += np.floor(claims.memory * cores / max(claims.cores, 1))
            memory[int(np.argmax(room - memory))] += claims.memory - memory.sum()
        return cores, memory

    def _init_tenants(self, rows: Ints) -> None:
        problem = self.problem
        self.has_dedicated = any(group.rules.dedicated for group in problem.groups)
        if not self.has_dedicated:
            return
        self.tenants: list[Counter[int]] = [Counter() for _turn in range(len(problem.hosts))]
        self.dedicated: list[Counter[int]] = [Counter() for _turn in range(len(problem.hosts))]
        self.sole = np.full(len(problem.hosts), NOBODY, dtype=np.int64)
        self.owner = np.full(len(problem.hosts), NOBODY, dtype=np.int64)
        for group, host in zip(problem.running.group[rows].tolist(), problem.running.host[rows].tolist()):
            self._tenant(group, host, 1)

    def _tenant(self, group_id: int, host: int, change: int) -> None:
        group = self.problem.groups[group_id]
        tenants, dedicated = self.tenants[host], self.dedicated[host]
        tenants[group.cluster_id] += change
        if group.rules.dedicated:
            dedicated[group.cluster_id] += change
        self.sole[host] = _only(+tenants)
        self.owner[host] = _only(+dedicated)

    def hosts_of(self, group: int) -> Ints:
        """Hosts of the members of a group, one entry per member."""
        found = self.members.get(group)
        return np.zeros(0, dtype=np.int64) if found is None else found

    def room(self, claims: int, hosts: Ints) -> Floats:
        """How many instances of a claims class fit each of these hosts, by amounts and by nodes."""
        fits = np.full(len(hosts), np.inf)
        demand = self.problem.demand[claims]
        for dimension in np.flatnonzero(demand).tolist():
            fits = np.minimum(fits, np.floor(self.free[dimension, hosts] / demand[dimension]))
        exact = self.problem.claims[claims]
        if self.nodes is not None:
            fits = np.minimum(fits, self.nodes.capacity(exact, hosts))
        return np.asarray(np.maximum(fits, 0.0))

    def place(self, group: int, claims: int, hosts: Ints, placed: Optional[Placed] = None) -> None:
        """Put one instance on each of these hosts (a host may occur several times)."""
        if not len(hosts):
            return
        demand = self.problem.demand[claims]
        for dimension in np.flatnonzero(demand).tolist():
            np.subtract.at(self.free[dimension], hosts, demand[dimension])
        np.add.at(self.instances, hosts, 1)
        before = self.members.get(group)
        self.members[group] = hosts if before is None else np.concatenate((before, hosts))
        if self.has_dedicated:
            for host in hosts.tolist():
                self._tenant(group, host, 1)
        if placed is not None:
            placed.hosts.extend(hosts.tolist())
        if self.nodes is None:
            if placed is not None:
                placed.nodes.extend([None] * len(hosts))
            return
        shares = self._take_nodes(self.problem.claims[claims], hosts)
        if placed is not None:
            placed.nodes.extend(shares)

    def _take_nodes(self, claims: Claims, hosts: Ints) -> list[Optional[tuple[tuple[float, ...], tuple[float, ...]]]]:
        """Round by round, each host once a round."""
        nodes = self.nodes
        shares: list[Optional[tuple[tuple[float, ...], tuple[float, ...]]]] = [None] * len(hosts)
        if nodes is None:
            return shares
        order = np.argsort(hosts, kind="stable")
        ordered = hosts[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        rank = np.arange(len(ordered)) - np.repeat(starts, np.diff(np.append(starts, len(ordered))))
        for turn in range(int(rank.max()) + 1):
            chosen = np.flatnonzero(rank == turn)
            cores, memory = nodes.take(claims, ordered[chosen])
            for column, slot in enumerate(order[chosen].tolist()):
                shares[slot] = (tuple(cores[:, column].tolist()), tuple(memory[:, column].tolist()))
        return shares

    def release(self, group: int, claims: int, host: int) -> None:
        """Take an instance's amounts, membership and tenancy off a host (its nodes: see ``release_running``)."""
        self.free[:, host] += self.problem.demand[claims]
        self.instances[host] -= 1
        members = self.members[group]
        slot = int(np.flatnonzero(members == host)[0])
        self.members[group] = np.delete(members, slot)
        if self.has_dedicated:
            self._tenant(group, host, -1)

    def release_new(self, group: int, claims: int, placed: Placed, slot: int) -> None:
        """Undo one new placement."""
        host = placed.hosts.pop(slot)
        share = placed.nodes.pop(slot)
        self.release(group, claims, host)
        if share is not None and self.nodes is not None:
            self.give_nodes(claims, host, np.array(share[0]), np.array(share[1]))

    def place_as(
        self, group: int, claims: int, host: int, share: Optional[tuple[tuple[float, ...], tuple[float, ...]]]
    ) -> None:
        """Put one instance on a host, with what it takes of each node already settled."""
        nodes, self.nodes = self.nodes, None
        self.place(group, claims, np.array([host]))
        self.nodes = nodes
        if share is not None:
            self.give_nodes(claims, host, -np.array(share[0]), -np.array(share[1]))

    def give_nodes(self, claims: int, host: int, cores: Floats, memory: Floats) -> None:
        """Give cores and bytes per node back to a host, or take them (negative)."""
        if self.nodes is not None:
            exact = self.problem.claims[claims]
            self.nodes.give(exact, np.array([host]), cores[:, np.newaxis], memory[:, np.newaxis])

    def attach(self, disk: int, claims: int) -> None:
        """A disk that lies on its host is now covered by what an instance there claims."""
        disks = self.problem.disks
        self.free[DISK, disks.host[disk]] += covered(self.problem, disk, claims)

    def detach(self, disk: int, claims: int) -> None:
        """The instance that used a disk is gone; the disk still lies there."""
        disks = self.problem.disks
        self.free[DISK, disks.host[disk]] -= covered(self.problem, disk, claims)

    def release_running(self, row: int) -> None:
        """Take a running instance off its host; a disk of its own stays there."""
        running = self.problem.running
        host = int(running.host[row])
        self.release(int(running.group[row]), int(running.claims[row]), host)
        if row in self.problem.disks.own:
            self.detach(self.problem.disks.own[row], int(running.claims[row]))
        self._own(row, False)

    def restore_running(self, row: int) -> None:
        """Put a released running instance back where it was."""
        running = self.problem.running
        host = int(running.host[row])
        group, claims = int(running.group[row]), int(running.claims[row])
        self.free[:, host] -= self.problem.demand[claims]
        if row in self.problem.disks.own:
            self.attach(self.problem.disks.own[row], claims)
        self.instances[host] += 1
        self.members[group] = np.append(self.hosts_of(group), host)
        if self.has_dedicated:
            self._tenant(group, host, 1)
        self._own(row, True)

    def _own(self, row: int, owns: bool) -> None:
        problem = self.problem
        running, hosts = problem.running, problem.hosts
        host = int(running.host[row])
        claims = problem.claims[running.claims[row]]
        before = self.owned[host].copy()
        if claims.cores and running.cores_valid[row]:
            shape = hosts.shapes[hosts.shape[host]]
            self.owned[host, shape.position[np.array(running.cores[row], dtype=np.int64)]] = owns
        if self.nodes is not None:
            usable = usable_cores(problem)[host]
            cores, whole = node_counts(hosts, host, usable & ~before)
            cores_now, whole_now = node_counts(hosts, host, usable & ~self.owned[host])
            self.nodes.cores[:, host] += cores_now - cores
            self.nodes.whole[:, host] += whole_now - whole
            if self.nodes.counts_memory:
                _cores, memory = self.running_share(row)
                self.nodes.memory[:, host] += -memory if owns else memory

    def room_for(self, claims: int, host: int) -> bool:
        """Whether one more instance of a claims class fits this host."""
        return bool(self.room(claims, np.array([host]))[0] >= 1)


def _only(counter: Counter[int]) -> int:
    return NOBODY if not counter else next(iter(counter)) if len(counter) == 1 else MANY


def needs_nodes(problem: Problem) -> bool:
    """Whether nodes or whole physical cores bind anything in this problem."""
    if problem.hosts.counts_memory_by_node:
        return True
    return any(claims.numa or claims.whole for claims in problem.claims)


def covered(problem: Problem, disk: int, claims: int) -> float:
    """Bytes of a disk that are part of what its instance claims."""
    return float(min(problem.disks.size[disk], problem.demand[claims, DISK]))


def lying(problem: Problem, counted: Bools) -> Floats:
    """Bytes per host of disks that no counted instance's claims cover."""
    disks, running = problem.disks, problem.running
    left = disks.size.copy()
    for row, disk in disks.own.items():
        if counted[row]:
            left[disk] -= covered(problem, disk, int(running.claims[row]))
    return np.bincount(disks.host, weights=left, minlength=len(problem.hosts)).astype(np.float64)


def usable_cores(problem: Problem) -> Bools:
    """[host, position in shape]: the logical CPUs that are there and not reserved."""
    hosts = problem.hosts
    width = max((len(shape.ids) for shape in hosts.shapes), default=0)
    table = np.zeros((len(hosts.shapes), width), dtype=np.bool_)
    for number, shape in enumerate(hosts.shapes):
        table[number, : len(shape.ids)] = shape.usable
    return table[hosts.shape] if len(hosts) else np.zeros((0, width), dtype=np.bool_)


def owned_cores(problem: Problem, rows: Ints) -> Bools:
    """[host, position in shape]: the logical CPUs that these running instances own."""
    hosts, running = problem.hosts, problem.running
    width = max((len(shape.ids) for shape in hosts.shapes), default=0)
    owned = np.zeros((len(hosts), width), dtype=np.bool_)
    counted = np.zeros(len(running), dtype=np.bool_)
    counted[rows] = True
    mine = counted[running.owned_by]
    owned[running.host[running.owned_by[mine]], running.owned_at[mine]] = True
    return owned


__all__ = ["MANY", "NANO", "NOBODY", "Placed", "State", "owned_cores", "usable_cores"]
