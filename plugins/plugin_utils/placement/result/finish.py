# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rounds a plan off: core numbers, addresses, explanations, steps."""

from __future__ import annotations

from typing import Optional

from ....module_utils.common.naming import instance_name
from ..feasible.cores import assign_cores
from ..model import Network
from ..numeric import np
from ..read.pools import free_addresses, parse_address
from ..search.disruption_budget import settle_held
from ..search.draft import Draft
from ..search.reconcile import LEAVE, REMOVE, placed_anew, standing
from ..steps.order import changes_by_name, order_by_room
from ..steps.steps import order_steps
from .explain import explain
from .plan import Plan


def finish(draft: Draft) -> Plan:
    """Settle what is left to settle, once every instance has its host."""
    settle_unmoved(draft)
    settle_held(draft)
    unplaced = explain(draft)
    owned = draft.state.owned
    problem, slots, running = draft.problem, draft.slots, draft.problem.running
    prefer = {
        number: running.cores[slot.row]
        for number, slot in enumerate(slots)
        if slot.row >= 0 and slot.host == running.host[slot.row]
    }
    cores = assign_cores(
        problem,
        owned,
        [slot.host for slot in slots],
        [problem.groups[slot.group].claims for slot in slots],
        [slot.nodes for slot in slots],
        prefer,
    )
    addresses = give_addresses(draft)
    groups = problem.groups
    names = {
        (slot.group, slot.index): instance_name(groups[slot.group].cluster, groups[slot.group].name, slot.index)
        for slot in slots
        if slot.row >= 0 or len(running)
    }
    steps = order_steps(draft)
    if len(running):
        steps = order_by_room(draft, steps, changes_by_name(draft, names, cores))
    return Plan(draft, tuple(cores), tuple(addresses), tuple(unplaced), tuple(steps))


def settle_unmoved(draft: Draft) -> None:
    """What was to leave, and found its best place where it runs, simply stays."""
    problem, running = draft.problem, draft.problem.running
    for slot in draft.slots:
        disk = problem.disks.released.get((slot.group, slot.index)) if slot.row < 0 else None
        if disk is not None and slot.disk < 0:
            name = problem.hosts.names[int(problem.disks.host[disk])]
            slot.reason = f"{slot.reason}; its disk on {name} is left behind, for it can't be placed there"
    if not len(running):
        return
    before = standing(problem, draft.topology)
    anew = placed_anew(problem, before)
    moved = []
    for slot in draft.slots:
        row = slot.row
        same = row >= 0 and slot.host == running.host[row] and before[row] != LEAVE and not anew[row]
        if (
            not same
            or problem.groups[slot.group].claims != running.claims[row]
            or (slot.nodes is not None and tuple(draft.state.running_share(row)[0].tolist()) != slot.nodes[0])
        ):
            moved.append(slot)
        else:
            draft.codes[row] = before[row]
            draft.state.owned[slot.host, running.owned_at[running.owned_by == row]] = True
    draft.slots[:] = moved


def give_addresses(draft: Draft) -> list[Optional[int]]:
    """An address per slot: the one it has, else the lowest free one of its network's pool."""
    problem, running = draft.problem, draft.problem.running
    wanting = {problem.groups[slot.group].network for slot in draft.slots} - {None}
    if not wanting:
        return [None] * len(draft.slots)
    used: dict[str, set[int]] = {str(name): set() for name in wanting}
    gone = draft.codes == REMOVE
    moved = {slot.row: slot for slot in draft.slots if slot.row >= 0}
    for row in np.flatnonzero(~gone).tolist():
        network = running.network[row]
        number = parse_address(running.address[row]) if network in used else None
        if network in used and number is not None:
            used[network].add(number)
    # Removed ones keep theirs until they are gone, so a new one never takes it over within the same plan... unless
    # the pool is so small that there is no other.
    late: dict[str, set[int]] = {name: set() for name in used}
    for row in np.flatnonzero(gone).tolist():
        network = running.network[row]
        number = parse_address(running.address[row]) if network in used else None
        if network in used and number is not None:
            late[network].add(number)
    sources = {name: _source(problem.networks[name], used[name], late[name]) for name in used}
    result: list[Optional[int]] = []
    for slot in draft.slots:
        network = problem.groups[slot.group].network
        kept = None
        if slot.row in moved and network and running.network[slot.row] == network:
            kept = parse_address(running.address[slot.row])
        result.append(kept if kept is not None or network is None else next(sources[network], None))
    return result


def _source(network: Network, used: set[int], late: set[int]):  # type: ignore[no-untyped-def]
    yield from free_addresses(network, used | late)
    yield from (number for number in sorted(late - used) if _inside(network, number))


def _inside(network: Network, number: int) -> bool:
    spans, holes = network.pool or (), network.exclude
    return any(a <= number <= b for a, b in spans) and not any(a <= number <= b for a, b in holes)
