# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which logical CPUs each new instance owns: host by host in rounds, all hosts of one make at once.

In a round every host settles at most one instance. Within a node, whole physical cores come first, then remainders from
physical cores that are split already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from ..model import Claims, Problem, Shape
from ..numeric import Bools, Floats, Ints, np
from .nodes import _compact, whole_cores
from .state import usable_cores

NodeShare = Optional[tuple[tuple[float, ...], tuple[float, ...]]]


def assign_cores(
    problem: Problem,
    owned: Bools,
    hosts: Sequence[int],
    claims: Sequence[int],
    nodes: Sequence[NodeShare],
    prefer: dict[int, tuple[int, ...]],
) -> list[tuple[int, ...]]:
    """Logical CPU ids for each new exclusive instance (an empty tuple for shared ones); ``owned`` is updated.

    :param prefer: cores that an instance owned before, by its place in ``hosts``.
    """
    result: list[tuple[int, ...]] = [()] * len(hosts)
    free = usable_cores(problem) & ~owned
    kinds = problem.claims
    for slot, cores in prefer.items():
        if kinds[claims[slot]].cores:
            _keep_own(problem, free, int(hosts[slot]), kinds[claims[slot]], cores, result, slot)
    slots = [s for s in range(len(hosts)) if kinds[claims[s]].cores and not result[s]]
    # Strict ones first: what they need can't be made of leftovers.
    slots.sort(key=lambda s: (not kinds[claims[s]].whole, not kinds[claims[s]].numa, -kinds[claims[s]].cores, s))
    turn: dict[int, int] = {}
    rounds: dict[tuple[int, int, int], list[int]] = {}
    for slot in slots:
        host = hosts[slot]
        number = turn.get(host, 0)
        turn[host] = number + 1
        rounds.setdefault((number, int(problem.hosts.shape[host]), claims[slot]), []).append(slot)
    for _number, shape_id, kind in sorted(rounds, key=lambda key: (key[0], key[1], key[2])):
        batch = rounds[(_number, shape_id, kind)]
        shape = problem.hosts.shapes[shape_id]
        rows = np.array([hosts[slot] for slot in batch], dtype=np.int64)
        picked = pick(shape, free[rows, : len(shape.ids)], kinds[kind], [nodes[slot] for slot in batch])
        free[rows, : len(shape.ids)] &= ~picked
        which, seats = np.nonzero(picked)
        ids = shape.ids[seats].tolist()
        cut = np.searchsorted(which, np.arange(len(batch) + 1)).tolist()
        for column, slot in enumerate(batch):
            result[slot] = tuple(ids[cut[column] : cut[column + 1]])
    owned |= usable_cores(problem) & ~free
    return result


def _keep_own(
    problem: Problem,
    free: Bools,
    host: int,
    claims: Claims,
    cores: tuple[int, ...],
    result: list[tuple[int, ...]],
    slot: int,
) -> None:
    """An instance that is updated in place, or comes back, keeps the cores it had where they suffice."""
    shape = problem.hosts.shapes[problem.hosts.shape[host]]
    inside = [core for core in cores if core < len(shape.position) and shape.position[core] >= 0]
    seats = [int(shape.position[core]) for core in inside if free[host, shape.position[core]]]
    if len(seats) != claims.cores or claims.numa or claims.whole:
        return
    free[host, seats] = False
    result[slot] = tuple(sorted(int(shape.ids[seat]) for seat in seats))


def pick(shape: Shape, free: Bools, claims: Claims, shares: Sequence[NodeShare]) -> Bools:
    """The seats [host, position] that one instance takes on each of these hosts."""
    width = max(len(shape.nodes), 1)
    wanted = np.zeros((width, len(free)))
    alone = whole_cores(free, shape.physical, shape.full)
    unknown = np.array([share is None for share in shares], dtype=np.bool_)
    for column, share in enumerate(shares):
        if share is not None:
            wanted[:, column] = share[0][:width]
    if unknown.any():
        room = np.stack([(free & (shape.node == node)).sum(axis=1) for node in range(width)]).astype(np.float64)
        wanted[:, unknown] = _compact(room[:, unknown], float(claims.cores), room[:, unknown])
    order = np.lexsort((shape.ids, shape.physical, shape.node))
    taken = np.zeros(free.shape, dtype=np.bool_)
    for node in range(width):
        here = order[shape.node[order] == node]
        if wanted[node].any():
            taken[:, here] = _pick_in_node(shape.threads, free[:, here], alone[:, here], wanted[node])
    return taken


def _pick_in_node(threads: int, free: Bools, alone: Bools, wanted: Floats) -> Bools:
    wholes = np.floor(wanted / threads) * threads
    first = alone & (np.cumsum(alone, axis=1) <= wholes[:, np.newaxis])
    left = wanted - first.sum(axis=1)
    split = free & ~alone
    second = split & (np.cumsum(split, axis=1) <= left[:, np.newaxis])
    left = left - second.sum(axis=1)
    rest = alone & ~first
    third = rest & (np.cumsum(rest, axis=1) <= left[:, np.newaxis])
    return np.asarray(first | second | third)


def node_numbers(shape: Shape, cores: Sequence[int]) -> list[int]:
    """The NUMA nodes of logical CPUs, as the host numbers them."""
    seats: Ints = shape.position[np.array(cores, dtype=np.int64)]
    return [shape.nodes[node] for node in np.unique(shape.node[seats]).tolist()]
