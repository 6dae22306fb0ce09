# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an answer comes about: heuristics first, exact search where these fall short, then the rest."""

from __future__ import annotations

from typing import Any

from .model import Claims, Problem
from .result.conflict import conflict
from .result.finish import finish
from .result.plan import Plan
from .result.relax import add_relaxations
from .search.address_room import addresses_left
from .search.draft import Draft, Fates, Slot
from .search.exact_decisions import Verdict, as_good, cost_of, decide
from .search.heuristic import (
    back_to_its_disk,
    begin,
    evictions,
    leaving,
    missing_of,
    pending_of,
    settled_roughly,
    settled_with_fates,
    settled_with_guide,
    stay,
    update_slots,
)
from .search.improve import improve, worth_improving
from .search.rebalance import rebalance
from .search.solvers import HAS_ORTOOLS

# Up to this size, what can't be placed is proven to have no place.
EXACT_HOSTS, EXACT_INSTANCES = 20, 200


def solve(problem: Problem) -> Plan:
    """Decide what runs where. Pure: the same problem gives the same plan, whatever the order of its hosts."""
    draft = settled(problem)
    if draft.unplaced:
        add_relaxations(draft, settled_roughly)
        explain_conflict(draft)
    rebalance(draft)
    for what in sorted(draft.braked):
        draft.notes.append(f"{what} was stopped by the clock: on a faster machine the plan may be another")
    return finish(draft)


def settled(problem: Problem) -> Draft:
    """All hosts decided: by heuristics, and where these leave something over, by exact search if it is small."""
    draft = settled_roughly(problem)
    wanted = len(draft.slots) + len(draft.unplaced)
    small = len(problem.hosts) <= EXACT_HOSTS and wanted <= EXACT_INSTANCES
    mode = problem.options.exact
    if mode != "never" and (small or mode == "always") and any(cost_of(draft)):
        if HAS_ORTOOLS:
            draft = settled_exactly(draft, problem)
        elif draft.unplaced:
            draft.notes.append("OR-Tools is not installed: what could not be placed is not proven to have no place")
    if not draft.unplaced and worth_improving(draft):
        return improve(draft, problem.options.improve_seconds, lambda found: settled_with_guide(problem, found))
    return draft


def settled_exactly(rough: Draft, problem: Problem) -> Draft:
    """The cheapest answer by exact search, or the rough one where that is as good or none was found in time."""
    draft = begin(problem)
    missing = {number: len(slots) for number, slots in missing_of(draft).items()}
    verdict = decide(draft, missing, _pools(draft, missing), problem.options.exact_seconds)
    rough.braked |= draft.braked
    if verdict is None:
        return rough
    best = rough
    if not as_good(rough, verdict) and (verdict.optimal or verdict.cost < cost_of(rough)):
        # Heuristics that know the fates pack better than the search, which only counts.
        best = settled_with_fates(problem, verdict.fates)
        if not as_good(best, verdict):
            best = settled_as_found(problem, verdict)
        best.braked |= draft.braked
    if verdict.answer.proven:
        best.proven |= {slot.group for slot in best.unplaced if slot.row not in best.waits}
    return best


def settled_as_found(problem: Problem, verdict: Verdict) -> Draft:
    """A draft in which everything is where exact search has put it."""
    draft = begin(problem, verdict.fates.stuck)
    draft.fates = verdict.fates
    missing = missing_of(draft)
    waiting = leaving(draft, evictions(draft))
    updated = update_slots(draft)
    answer = verdict.answer
    # Those bound to nodes first: the others draw their memory from wherever some is left.
    for number in sorted({*updated, *waiting, *missing}, key=lambda n: (not _claims(problem, n).numa, n)):
        spots = list(zip(answer.placed.get(number, []), answer.nodes.get(number, [])))
        for slot in updated.get(number, ()):
            spot = next(spot for spot in spots if spot[0] == problem.running.host[slot.row])
            spots.remove(spot)
            _take(draft, slot, spot)
        for slot in [*waiting.get(number, ()), *missing.get(number, ())]:
            if spots:
                _take(draft, slot, spots.pop(0))
                continue
            draft.unplaced.append(slot)
            if slot.row >= 0:
                stay(draft, problem.groups[number], slot)
    return draft


def _claims(problem: Problem, number: int) -> Claims:
    return problem.claims[problem.groups[number].claims]


def _take(draft: Draft, slot: Slot, spot: tuple[int, Any]) -> None:
    """Put one instance where the search has put it."""
    group = draft.problem.groups[slot.group]
    claims = draft.problem.claims[group.claims]
    host, share = spot
    if share is not None and draft.state.nodes is not None and not claims.numa:
        share = (share[0], draft.state.nodes.memory_share(claims, host, share[0]))
    draft.state.place_as(group.id, group.claims, host, share)
    slot.host, slot.nodes = host, share
    back_to_its_disk(draft, slot)
    draft.slots.append(slot)


def _pools(draft: Draft, pending: dict[int, int]) -> dict[str, int]:
    """How many new instances each network has addresses for, where that is less than all."""
    wanted: dict[str, int] = {}
    for number, count in pending.items():
        network = draft.problem.groups[number].network
        if network is not None:
            wanted[network] = wanted.get(network, 0) + count
    return {network: addresses_left(draft, network, count) for network, count in sorted(wanted.items())}


def explain_conflict(draft: Draft) -> None:
    """Name a small conflicting set for each group that provably lacks places."""
    if not draft.proven or not HAS_ORTOOLS:
        return
    fresh = begin(draft.problem)
    if draft.fates is not None:
        fresh.fates = Fates({**draft.fates.leave, **draft.fates.stuck})
    waiting, missing = pending_of(fresh)
    pending = {n: len(waiting.get(n, ())) + len(missing.get(n, ())) for n in sorted({*waiting, *missing})}
    for number in sorted({slot.group for slot in draft.unplaced} & draft.proven & pending.keys())[:1]:
        draft.conflicts[number] = conflict(fresh, pending, number)
    draft.braked |= fresh.braked
