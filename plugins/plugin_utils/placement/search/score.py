# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the possible hosts comes first: one number per host, the lower the better.

Only elementwise arithmetic is used: it gives the same bits on every machine, sums over columns may not.
"""

from __future__ import annotations

from typing import Optional

from ..feasible.state import State
from ..numeric import Floats, Ints, np
from .lp_prices import Guide

# Hosts that are not in use yet come after all that are.
CLOSED = 8.0


def host_sizes(state: State) -> Floats:
    """Size of each host, 0 to 1: its capacity in parts of the largest one's, averaged over the dimensions."""
    capacity = state.problem.hosts.capacity
    total = np.zeros(capacity.shape[1])
    used = 0
    for row in capacity:
        most = row.max(initial=0.0)
        if most > 0:
            total = total + row / most
            used += 1
    return total / max(used, 1)


def order_key(
    state: State,
    mode: str,
    claims: int,
    hosts: Ints,
    sizes: Floats,
    penalty: Optional[Floats],
    guide: Optional[Guide] = None,
) -> Floats:
    """The key of each host for the next instance of a claims class."""
    demand = state.problem.demand[claims]
    capacity = state.problem.hosts.capacity
    closed = state.instances[hosts] == 0
    if guide is not None:
        closed &= ~guide.opened[hosts]
    load = np.zeros(len(hosts))
    left = np.zeros(len(hosts))
    used = 0
    for dimension in np.flatnonzero(demand).tolist():
        most = np.maximum(capacity[dimension, hosts], 1.0)
        part = np.maximum(state.free[dimension, hosts] - demand[dimension], 0.0) / most
        if mode == "binpack":
            left = left + part
        else:
            load = np.maximum(load, 1.0 - part)
        used += 1
    if mode == "binpack":
        left = left / max(used, 1)
        if guide is not None:
            left = np.minimum(left * 0.5 + guide.regret[claims, hosts] * guide.weight, CLOSED - 1.0)
        key = np.where(closed, CLOSED + 1.0 - sizes[hosts], left)
    else:
        crowd = np.minimum(state.instances[hosts], 1000) * 1e-6
        key = load + crowd + (np.where(closed, CLOSED, 0.0) if mode == "balanced" else 0.0)
    return key if penalty is None else key + 4 * CLOSED * np.minimum(penalty[hosts], 1e6)


def best_first(key: Floats, rows: Ints, wanted: int) -> Ints:
    """Positions of the lowest keys in order, ties by row; at least ``wanted`` of them (or all)."""
    if len(key) > 4 * wanted + 64:
        # A selection must not depend on how a library breaks ties: the row makes every key unique.
        packed = (key * 2.0**20).astype(np.int64) * 2**20 + rows
        near = np.argpartition(packed, wanted)[:wanted]
        near.sort()
        return near[np.lexsort((rows[near], key[near]))]
    return np.lexsort((rows, key))
