# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NUMA nodes: how many identical instances the nodes of each host can take, and what each takes of them.

Only counts are kept here; which logical CPUs they are is settled in the end (cores.py). Per node these are: cores that
nobody owns, whole physical cores of them, and bytes of memory where the host declares them.
"""

from __future__ import annotations

import math

from ..model import Claims, Hosts, Shape
from ..numeric import Bools, Floats, Ints, np


class NodeRoom:
    """Free cores, whole physical cores and memory, each as [node, host]."""

    def __init__(self, hosts: Hosts, free: Bools) -> None:
        """``free`` is [host, position in shape]: the logical CPUs that are neither reserved nor owned."""
        width = max((len(shape.nodes) for shape in hosts.shapes), default=1) or 1
        self.cores = np.zeros((width, len(hosts)))
        self.whole = np.zeros((width, len(hosts)))
        self.memory = hosts.memory_by_node.copy()
        self.counts_memory = hosts.counts_memory_by_node
        self.threads = np.array([shape.threads for shape in hosts.shapes], dtype=np.float64)[hosts.shape]
        for number, shape in enumerate(hosts.shapes):
            rows = np.flatnonzero(hosts.shape == number)
            if len(rows) and len(shape.ids):
                self.cores[:, rows], self.whole[:, rows] = count_by_node(shape, free[rows, : len(shape.ids)], width)

    def copy(self) -> NodeRoom:
        """A copy that can be changed on its own."""
        twin = object.__new__(NodeRoom)
        twin.cores, twin.whole, twin.memory = self.cores.copy(), self.whole.copy(), self.memory.copy()
        twin.counts_memory, twin.threads = self.counts_memory, self.threads
        return twin

    def share(self, claims: Claims) -> tuple[float, float]:
        """(cores, bytes) that an instance takes of each of its nodes."""
        parts = max(claims.numa, 1)
        return claims.cores / parts, float(math.ceil(claims.memory / parts))

    def per_node(self, claims: Claims, hosts: Ints) -> Floats:
        """How many parts of an instance each node can take, as [node, host]."""
        cores, memory = self.share(claims)
        fits = np.floor(self.cores[:, hosts] / cores)
        if claims.whole:
            whole = np.floor(self.whole[:, hosts] / (cores / self.threads[hosts]))
            fits = np.minimum(fits, np.where(cores % self.threads[hosts] == 0, whole, 0.0))
        if self.counts_memory and memory:
            fits = np.minimum(fits, np.floor(self.memory[:, hosts] / memory))
        return np.maximum(fits, 0.0)

    def capacity(self, claims: Claims, hosts: Ints) -> Floats:
        """How many instances fit the nodes of each host (total amounts are checked elsewhere)."""
        if claims.numa:
            fits = self.per_node(claims, hosts)
            if claims.numa == 1:
                return np.asarray(fits.sum(axis=0))
            return _distinct(fits, claims.numa)
        fits = np.full(len(hosts), np.inf)
        if claims.whole:
            threads = self.threads[hosts]
            whole = np.floor(self._whole_room(hosts).sum(axis=0) / claims.cores)
            fits = np.where(claims.cores % threads == 0, whole, 0.0)
        if self.counts_memory and claims.memory:
            memory = self.memory[:, hosts].sum(axis=0)
            fits = np.minimum(fits, np.floor(memory / claims.memory))
        return fits

    def _whole_room(self, hosts: Ints) -> Floats:
        """Cores that whole physical cores can make up, once all that were counted before have theirs."""
        threads = self.threads[hosts]
        return np.minimum(self.whole[:, hosts], np.floor(self.cores[:, hosts] / threads)) * threads

    def take(self, claims: Claims, hosts: Ints) -> tuple[Floats, Floats]:
        """Give one instance to each of these (distinct) hosts; return cores and bytes as [node, host]."""
        if claims.numa:
            cores, memory = self._strict(claims, hosts)
        else:
            room = self._whole_room(hosts) if claims.whole else self.cores[:, hosts]
            cores = _compact(room, float(claims.cores), self.cores[:, hosts])
            memory = self._memory(claims, hosts, cores)
        self.give(claims, hosts, -cores, -memory)
        return cores, memory

    def _strict(self, claims: Claims, hosts: Ints) -> tuple[Floats, Floats]:
        fits = self.per_node(claims, hosts)
        left = np.where(fits >= 1, self.cores[:, hosts], np.inf)
        # One node: the fullest that fits, so that others stay whole. Several: the emptiest, so that pairs stay pairs.
        order = np.argsort(left if claims.numa == 1 else np.where(fits >= 1, -fits, np.inf), axis=0, kind="stable")
        chosen = np.zeros(fits.shape, dtype=np.bool_)
        np.put_along_axis(chosen, order[: claims.numa], True, axis=0)
        cores, memory = self.share(claims)
        bytes_each = memory if self.counts_memory else 0.0
        return np.where(chosen, cores, 0.0), np.where(chosen, bytes_each, 0.0)

    def memory_share(self, claims: Claims, host: int, cores: tuple[float, ...]) -> tuple[float, ...]:
        """Where an instance with these cores per node draws its memory."""
        return tuple(self._memory(claims, np.array([host]), np.array(cores)[:, np.newaxis])[:, 0].tolist())

    def _memory(self, claims: Claims, hosts: Ints, cores: Floats) -> Floats:
        if not self.counts_memory:
            return np.zeros(cores.shape)
        room = np.maximum(self.memory[:, hosts], 0.0)
        room = np.where(np.isinf(room), float(claims.memory), room)
        # First from the nodes of its cores, the rest from wherever most is left.
        rank = room + np.where(cores > 0, 2.0**52, 0.0)
        return _waterfall(room, float(claims.memory), np.argsort(-rank, axis=0, kind="stable"))

    def give(self, claims: Claims, hosts: Ints, cores: Floats, memory: Floats) -> None:
        """Give cores and bytes ([node, host]) back to distinct hosts, or take them (negative)."""
        self.cores[:, hosts] += cores
        if claims.whole:
            self.whole[:, hosts] += cores / self.threads[hosts]
        if self.counts_memory:
            self.memory[:, hosts] += memory


def count_by_node(shape: Shape, free: Bools, width: int) -> tuple[Floats, Floats]:
    """Free cores and whole physical cores as [node, host] of hosts of one shape; ``free`` is [host, position]."""
    cores, whole = np.zeros((width, len(free))), np.zeros((width, len(free)))
    alone = whole_cores(free, shape.physical, shape.full)
    for node in range(len(shape.nodes)):
        here = shape.node == node
        cores[node] = free[:, here].sum(axis=1)
        whole[node] = alone[:, here].sum(axis=1) / shape.threads
    return cores, whole


def node_counts(hosts: Hosts, host: int, free: Bools) -> tuple[Floats, Floats]:
    """The same for one host, whose free positions are given."""
    shape = hosts.shapes[hosts.shape[host]]
    width = hosts.memory_by_node.shape[0]
    cores, whole = count_by_node(shape, free[np.newaxis, : len(shape.ids)], width)
    return cores[:, 0], whole[:, 0]


def whole_cores(free: Bools, physical: Ints, full: Bools) -> Bools:
    """Of free logical CPUs [host, position], those whose hyper-thread siblings are all free."""
    if not len(physical):
        return free
    order = np.argsort(physical, kind="stable")
    starts = np.flatnonzero(np.diff(physical[order], prepend=-1))
    together = np.logical_and.reduceat(free[:, order], starts, axis=1)
    return np.asarray(together[:, physical] & full)


def _distinct(fits: Floats, parts: int) -> Floats:
    """How many instances fit when each takes a part of ``parts`` distinct nodes.

    The largest x with sum(min(fits, x)) >= parts * x, reached from above in a few rounds.
    """
    if fits.shape[0] < parts:
        return np.zeros(fits.shape[1])
    most = np.floor(fits.sum(axis=0) / parts)
    for _round in range(64):
        lower = np.floor(np.minimum(fits, most).sum(axis=0) / parts)
        if np.array_equal(lower, most):
            break
        most = lower
    return np.asarray(most)


def _compact(room: Floats, cores: float, tie: Floats) -> Floats:
    """Cores from as few nodes as possible: the fullest node that holds all of them, else the emptiest nodes first."""
    alone = room >= cores
    single = np.where(alone, tie, np.inf)
    rank = np.where(alone.any(axis=0), single, -room)
    return _waterfall(room, cores, np.argsort(rank, axis=0, kind="stable"))


def _waterfall(room: Floats, amount: float, order: Ints) -> Floats:
    """Take ``amount`` from the nodes in this order, each as far as it goes."""
    taken = np.zeros(room.shape)
    missing = np.full(room.shape[1], amount)
    for rank in range(room.shape[0]):
        node = order[rank][np.newaxis, :]
        part = np.minimum(np.take_along_axis(room, node, axis=0)[0], missing)
        part = np.maximum(part, 0.0)
        np.put_along_axis(taken, node, part[np.newaxis, :], axis=0)
        missing = missing - part
    return taken
