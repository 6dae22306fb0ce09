# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many new instances a network's pool has addresses for."""

from __future__ import annotations

from typing import Optional

from ..numeric import np
from ..read.pools import free_addresses, parse_address
from .draft import Draft
from .reconcile import REMOVE


def addresses_left(draft: Draft, name: Optional[str], wanted: int) -> int:
    """How many addresses a network still has for new instances, counted no further than ``wanted``."""
    problem, running = draft.problem, draft.problem.running
    if name is None or problem.networks[name].pool is None:
        return wanted
    network = problem.networks[name]
    used = set()
    for row in np.flatnonzero(draft.codes != REMOVE).tolist():
        if running.network[row] == name:
            used.add(parse_address(running.address[row]))
    taken = sum(1 for slot in draft.slots if slot.row < 0 and problem.groups[slot.group].network == name)
    room = 0
    for room, _number in enumerate(free_addresses(network, {n for n in used if n is not None}), start=1):
        if room >= wanted + taken:
            break
    return max(0, min(wanted, room - taken))
