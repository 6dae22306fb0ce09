# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an answer comes about: what stays, what must leave, what is new, and in what order places are found."""

from __future__ import annotations

from collections.abc import Mapping

from .conflict import conflict
from .draft import Draft, Slot
from .exact import HAS_ORTOOLS, Answer, place_exactly
from .families import family_domains
from .finish import addresses_left, finish
from .improve import improve, worth_improving
from .limits import RuleBook
from .model import Group, Problem
from .numeric import np
from .place import Placer
from .plan import Plan
from .prices import Guide
from .rebalance import rebalance
from .relax import add_relaxations
from .standing import FOREIGN, KEEP, LEAVE, REMOVE, STUCK, UNKNOWN, UPDATE, Checker, standing
from .state import Placed, State
from .topology import Topology

# Up to this size, what can't be placed is proven to have no place.
EXACT_HOSTS, EXACT_INSTANCES = 20, 200
ROUNDS = 6


def solve(problem: Problem) -> Plan:
    """Decide what runs where. Pure: the same problem gives the same plan, whatever the order of its hosts."""
    draft = settled(problem)
    if draft.unplaced:
        add_relaxations(draft, _rough)
        explain_conflict(draft)
    rebalance(draft)
    return finish(draft)


def explain_conflict(draft: Draft) -> None:
    """Name a small conflicting set for each group that provably lacks places."""
    if not draft.proven or not HAS_ORTOOLS:
        return
    fresh = begin(draft.problem)
    waiting, missing = _pending(fresh)
    pending = {n: len(waiting.get(n, ())) + len(missing.get(n, ())) for n in sorted({*waiting, *missing})}
    for number in sorted({slot.group for slot in draft.unplaced} & draft.proven)[:1]:
        draft.conflicts[number] = conflict(fresh, pending, number, draft.problem.options.exact_seconds)


def settled(problem: Problem) -> Draft:
    """All hosts decided: by heuristics, and where these leave something over, by exact search if it is small."""
    draft = _rough(problem)
    wanted = len(draft.slots) + len(draft.unplaced)
    small = len(problem.hosts) <= EXACT_HOSTS and wanted <= EXACT_INSTANCES
    mode = problem.options.exact
    if draft.unplaced and mode != "never" and (small or mode == "always"):
        if not HAS_ORTOOLS:
            draft.notes.append("OR-Tools is not installed: what could not be placed is not proven to have no place")
            return draft
        return settle_exactly(draft, problem)
    if worth_improving(draft):
        return improve(draft, problem.options.improve_seconds, lambda found: _again(problem, found))
    return draft


def _rough(problem: Problem) -> Draft:
    """By heuristics alone.

    What should leave but finds no place stays, holds its room and counts in every rule: so once that is known, all
    else is planned anew around it.
    """
    stuck: dict[int, str] = {}
    for _turn in range(ROUNDS):
        draft = begin(problem, stuck)
        settle(draft)
        more = {slot.row: slot.reason for slot in draft.unplaced if slot.row >= 0 and slot.row not in stuck}
        if not more:
            break
        stuck.update(more)
    return draft


def _again(problem: Problem, found: Guide) -> Draft:
    draft = begin(problem)
    draft.guide = found
    settle(draft)
    return draft


def settle_exactly(rough: Draft, problem: Problem) -> Draft:
    """The same by exact search, on a fresh draft; falls back to the rough one where time runs out."""
    stuck: dict[int, str] = {}
    for _turn in range(ROUNDS):
        draft = begin(problem, stuck)
        waiting, missing = _pending(draft)
        answer = _ask(draft, waiting, missing)
        if answer is not None and not _all(answer, waiting):
            # As many as possible of what must leave goes first; the others stay, and bind what is placed after them.
            answer = _ask(draft, waiting, {})
            if answer is not None and not _all(answer, waiting):
                for number, leaving in waiting.items():
                    left = leaving[len(answer.placed.get(number, ())) :]
                    stuck.update({slot.row: slot.reason for slot in left})
                continue
        break
    if answer is None or not _all(answer, waiting):
        return rough
    if sum(map(len, waiting.values())) == answer.total and missing:
        _take(draft, answer, waiting)
        answer = _ask(draft, {}, missing)
        waiting = {}
        if answer is None:
            return rough
    slots = {number: [*waiting.get(number, ()), *missing.get(number, ())] for number in sorted({*waiting, *missing})}
    _take(draft, answer, slots)
    drop_orphans(draft)
    best = draft if len(draft.unplaced) < len(rough.unplaced) else rough
    if answer.proven and len(draft.unplaced) == len(best.unplaced):
        best.proven |= {slot.group for slot in best.unplaced}
    return best


def _all(answer: Answer, waiting: dict[int, list[Slot]]) -> bool:
    return all(len(answer.placed.get(number, ())) >= len(slots) for number, slots in waiting.items())


def _ask(draft: Draft, waiting: dict[int, list[Slot]], missing: dict[int, list[Slot]]) -> Answer | None:
    numbers = sorted({*waiting, *missing})
    pending = {number: len(waiting.get(number, ())) + len(missing.get(number, ())) for number in numbers}
    moving = {number: len(slots) for number, slots in waiting.items()}
    return place_exactly(draft, pending, draft.problem.options.exact_seconds, _pools(draft, pending), moving)


def _take(draft: Draft, answer: Answer, slots: dict[int, list[Slot]]) -> None:
    """Carry an answer over into the draft; what runs and got no place stays."""
    problem = draft.problem
    # Those bound to nodes first: the others draw their memory from wherever some is left.
    for number in sorted(slots, key=lambda n: (not problem.claims[problem.groups[n].claims].numa, n)):
        group = problem.groups[number]
        claims = problem.claims[group.claims]
        hosts = answer.placed.get(number, [])
        for slot, host, share in zip(slots[number], hosts, answer.nodes.get(number, [])):
            if share is not None and draft.state.nodes is not None and not claims.numa:
                share = (share[0], draft.state.nodes.memory_share(claims, host, share[0]))
            draft.state.place_as(group.id, group.claims, host, share)
            slot.host, slot.nodes = host, share
            back_to_its_disk(draft, slot)
            draft.slots.append(slot)
    for number in sorted(slots):
        for slot in slots[number][len(answer.placed.get(number, [])) :]:
            draft.unplaced.append(slot)
            if slot.row >= 0:
                _stay(draft, problem.groups[number], slot)


def _pools(draft: Draft, pending: dict[int, int]) -> dict[str, int]:
    """How many new instances each network has addresses for, where that is less than all."""
    wanted: dict[str, int] = {}
    for number, count in pending.items():
        network = draft.problem.groups[number].network
        if network is not None:
            wanted[network] = wanted.get(network, 0) + count
    return {network: addresses_left(draft, network, count) for network, count in sorted(wanted.items())}


def begin(problem: Problem, stuck: Mapping[int, str] | None = None) -> Draft:
    """The starting point: everything counted where it runs, except what is removed.

    :param stuck: rows that are known to have no other place, with the reason why they should leave.
    """
    topology = Topology(problem.hosts)
    codes = standing(problem, topology)
    state = State(problem, topology, codes != REMOVE)
    draft = Draft(problem, topology, RuleBook(problem), state, codes)
    for row, reason in sorted((stuck or {}).items()):
        codes[row] = STUCK
        group, index = int(problem.running.group[row]), int(problem.running.index[row])
        draft.unplaced.append(Slot(group, index, row, reason))
    return draft


def settle(draft: Draft) -> None:
    """Find places for all that needs one."""
    waiting, missing = _pending(draft)
    for pending in (waiting, missing):
        for group in placing_order(draft, pending):
            _place_group(draft, group, pending[group.id])
    drop_orphans(draft)


def drop_orphans(draft: Draft) -> None:
    """What must be near to something that found no place has none either, until nothing more is affected."""
    problem, state = draft.problem, draft.state
    needy = [g for g in problem.groups if any(rule.required and rule.target != g.id for rule in g.rules.affinity)]
    orphaned = True
    while orphaned and needy:
        orphaned = False
        by_group: dict[int, list[Slot]] = {}
        for slot in draft.slots:
            by_group.setdefault(slot.group, []).append(slot)
        for group in needy:
            for slot in by_group.get(group.id, ()):
                if all(
                    _is_near(draft, rule.topology, rule.target, slot.host)
                    for rule in group.rules.affinity
                    if rule.required and rule.target != group.id
                ):
                    continue
                state.release(group.id, group.claims, slot.host)
                if slot.nodes is not None:
                    state.give_nodes(group.claims, slot.host, np.array(slot.nodes[0]), np.array(slot.nodes[1]))
                if slot.disk >= 0:
                    state.detach(slot.disk, group.claims)
                    slot.disk = -1
                draft.slots.remove(slot)
                draft.unplaced.append(slot)
                orphaned = True
                if slot.row >= 0:
                    _stay(draft, group, slot)


def _is_near(draft: Draft, topology: str, target: int, host: int) -> bool:
    domains = draft.topology.domains(topology)
    return bool(domains.of[host] >= 0 and (domains.of[draft.state.hosts_of(target)] == domains.of[host]).any())


def _pending(draft: Draft) -> tuple[dict[int, list[Slot]], dict[int, list[Slot]]]:
    """What must find another place, and what is new, by group."""
    waiting = _leaving(draft, evictions(draft))
    _update_in_place(draft, waiting)
    missing = _missing(draft)
    return waiting, _with_their_disks(draft, missing) if draft.problem.disks.released else missing


def _with_their_disks(draft: Draft, missing: dict[int, list[Slot]]) -> dict[int, list[Slot]]:
    """What comes back to a disk that it left behind goes where that lies, as if it ran there; return all others."""
    problem, released = draft.problem, draft.problem.disks.released
    left: dict[int, list[Slot]] = {}
    for group in placing_order(draft, missing):
        slots = missing[group.id]
        owners = [slot for slot in slots if (group.id, slot.index) in released]
        addresses = addresses_left(draft, group.network, len(owners)) if owners else 0
        for slot in owners:
            disk = released[group.id, slot.index]
            host = int(problem.disks.host[disk])
            name = problem.hosts.names[host]
            if addresses and _place_at(draft, group, slot, host, disk):
                addresses -= 1
                slot.reason = f"{slot.reason}; its disk lies on {name}"
            else:
                slot.reason = f"{slot.reason}; its disk on {name} is left behind, for it can't be placed there"
        others = [slot for slot in slots if slot.host < 0]
        if others:
            left[group.id] = others
    return left


def _place_at(draft: Draft, group: Group, slot: Slot, host: int, disk: int) -> bool:
    """Place an instance on the very host where its disk lies, if rules and room allow it."""
    state, placed = draft.state, Placed()
    only = np.zeros(len(draft.problem.hosts), dtype=np.bool_)
    only[host] = True
    state.attach(disk, group.claims)
    if not Placer(state, draft.book, draft.sizes).place(group, 1, placed, only=only):
        state.detach(disk, group.claims)
        return False
    slot.host, slot.nodes, slot.disk = placed.hosts[0], placed.nodes[0], disk
    draft.slots.append(slot)
    return True


def evictions(draft: Draft) -> dict[int, str]:
    """Rows that must leave, with reasons; they are released until nothing that stays breaks a hard rule."""
    problem, codes = draft.problem, draft.codes
    reasons: dict[int, str] = {}
    for row in np.flatnonzero(codes == LEAVE).tolist():
        host = int(problem.running.host[row])
        name = problem.hosts.names[host]
        what = "is drained" if problem.hosts.state[host] == 2 else "does not answer and is to be replaced"
        reasons[row] = f"host {name} {what}"
        draft.state.release_running(row)
    checker = Checker(problem, draft.topology, draft.book)
    for _turn in range(8):
        broken = checker.check(draft.state, codes)
        if not broken:
            break
        for row, reason in broken.items():
            reasons[row] = reason
            codes[row] = LEAVE
            draft.state.release_running(row)
    return reasons


def _leaving(draft: Draft, reasons: dict[int, str]) -> dict[int, list[Slot]]:
    waiting: dict[int, list[Slot]] = {}
    running = draft.problem.running
    for row in sorted(reasons):
        group = int(running.group[row])
        waiting.setdefault(group, []).append(Slot(group, int(running.index[row]), row, reasons[row]))
    return waiting


def _update_in_place(draft: Draft, waiting: dict[int, list[Slot]]) -> None:
    """What gets other claims or needs other cores is placed anew on its own host, if it fits there."""
    problem, state = draft.problem, draft.state
    running = problem.running
    wanted = np.array([group.claims for group in problem.groups], dtype=np.int64)
    stays = (draft.codes != REMOVE) & (draft.codes < UNKNOWN)
    if not len(running):
        return
    lost = ~running.cores_valid & stays
    changed = (draft.codes == UPDATE) & (running.claims != wanted[running.group])
    for row in np.flatnonzero(changed | lost).tolist():
        group = problem.groups[running.group[row]]
        slot = Slot(group.id, int(running.index[row]), row, "")
        state.release_running(row)
        placed = Placed()
        disk = problem.disks.own.get(row, -1)
        if disk >= 0:
            state.attach(disk, group.claims)
        if state.room_for(group.claims, int(running.host[row])):
            state.place(group.id, group.claims, np.array([running.host[row]]), placed)
            slot.host, slot.nodes, slot.disk = placed.hosts[0], placed.nodes[0], disk
            slot.reason = "does not own the cores it claims" if not changed[row] else "grade changes what it claims"
            draft.slots.append(slot)
            draft.codes[row] = UPDATE
        else:
            if disk >= 0:
                state.detach(disk, group.claims)
            slot.reason = f"its new grade does not fit host {problem.hosts.names[running.host[row]]}"
            draft.codes[row] = LEAVE
            waiting.setdefault(group.id, []).append(slot)


def _missing(draft: Draft) -> dict[int, list[Slot]]:
    """Desired instances that don't run."""
    problem = draft.problem
    running = problem.running
    bounds = np.searchsorted(running.group, np.arange(len(problem.groups) + 1)).tolist()
    missing: dict[int, list[Slot]] = {}
    for group in problem.groups:
        if not group.known or group.state == "absent" or not group.count:
            continue
        low, high = bounds[group.id], bounds[group.id + 1]
        have = set(running.index[low:high].tolist())
        if len(have) >= group.count and running.index[low + group.count - 1] == group.count - 1:
            continue
        before = sum(1 for index in have if index < group.count)
        reason = f"count of {group.label} raised from {before} to {group.count}" if before else f"{group.label} is new"
        slots = [Slot(group.id, index, -1, reason) for index in range(group.count) if index not in have]
        if slots:
            missing[group.id] = slots
    return missing


def placing_order(draft: Draft, pending: dict[int, list[Slot]]) -> list[Group]:
    """Groups that others must be near to come first, then the hardest: few hosts, then large ones."""
    problem = draft.problem
    capacity = problem.hosts.capacity.sum(axis=1)
    share = problem.demand / np.maximum(capacity, 1.0)[np.newaxis, :] if len(problem.claims) else problem.demand
    largest = share.max(axis=1) if share.size else np.zeros(len(problem.claims))

    def hardness(number: int) -> tuple[float, ...]:
        group = problem.groups[number]
        rules = group.rules
        admitted = int(draft.topology.admitted(rules.constraints).sum())
        together = any(rule.required and rule.target == number for rule in rules.affinity)
        return (
            -float(rules.dedicated),
            -float(together),
            float(admitted),
            -float(largest[group.claims]),
            float(number),
        )

    result: list[Group] = []
    done: set[int] = set()
    for number in sorted(pending, key=hardness):
        # Each after what it must be near to, and at once followed by what must be near to it.
        stack = [(number, False)]
        while stack:
            current, ready = stack.pop()
            if ready:
                result.append(problem.groups[current])
                stack.extend((other, False) for other in draft.book.followers.get(current, ())[::-1])
            elif current not in done and current in pending:
                done.add(current)
                stack.append((current, True))
                stack.extend((target, False) for target in draft.book.partners(problem.groups[current]))
    return result


def _place_group(draft: Draft, group: Group, slots: list[Slot]) -> None:
    """Find places for these; what runs and finds none stays where it is."""
    placed = Placed()
    placer = Placer(draft.state, draft.book, draft.sizes, draft.guide)
    wanted = _addresses_left(draft, group, slots)
    extra = draft.book.room_for_followers(group, draft.state)
    family = family_domains(draft, group)
    found = 0
    if extra is not None or family is not None:
        found = placer.place(group, wanted, placed, extra=extra, only=family)
    found += placer.place(group, wanted - found, placed)
    for slot, host, nodes in zip(slots, placed.hosts, placed.nodes):
        slot.host, slot.nodes = host, nodes
        back_to_its_disk(draft, slot)
    draft.slots.extend(slots[:found])
    for slot in slots[found:]:
        draft.unplaced.append(slot)
        if slot.row >= 0:
            _stay(draft, group, slot)


def back_to_its_disk(draft: Draft, slot: Slot) -> None:
    """What was to leave, and found its best place where it runs, has its disk again."""
    problem = draft.problem
    if slot.row >= 0 and slot.row in problem.disks.own and slot.host == problem.running.host[slot.row]:
        slot.disk = problem.disks.own[slot.row]
        draft.state.attach(slot.disk, problem.groups[slot.group].claims)


def _addresses_left(draft: Draft, group: Group, slots: list[Slot]) -> int:
    """How many of these can have an address; what runs has one already."""
    new = sum(1 for slot in slots if slot.row < 0)
    left = addresses_left(draft, group.network, new) if new else 0
    if left < new:
        draft.short_of.setdefault(group.id, set()).add("address")
    return len(slots) - new + left


def _stay(draft: Draft, group: Group, slot: Slot) -> None:
    """Put an instance that found no place back where it runs, at the cost of what was placed there meanwhile."""
    draft.codes[slot.row] = STUCK
    draft.state.restore_running(slot.row)


__all__ = ["FOREIGN", "KEEP", "Draft", "Slot", "begin", "settle", "solve"]
