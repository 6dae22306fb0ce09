# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places for all that needs one, by heuristics: what stays, what must leave, what is new, and in what order."""

from __future__ import annotations

from collections.abc import Mapping

from ..feasible.limits import RuleBook
from ..feasible.state import Placed, State
from ..feasible.topology import Topology
from ..model import Group, Problem
from ..numeric import np
from .address_room import addresses_left
from .colocation import family_domains
from .disruption_budget import hold
from .draft import Draft, Fates, Slot
from .lp_prices import Guide
from .place import Placer
from .reconcile import LEAVE, REMOVE, STUCK, UNKNOWN, UPDATE, Checker, placed_anew, standing

ROUNDS = 6


def settled_roughly(problem: Problem) -> Draft:
    """By heuristics alone.

    What should leave but finds no place stays, holds its room and counts in every rule: so once that is known, all
    else is planned anew around it.
    """
    stuck: dict[int, str] = {}
    for _turn in range(ROUNDS):
        draft = begin(problem, stuck)
        settle(draft)
        known = stuck.keys() | draft.waits.keys()
        more = {slot.row: slot.reason for slot in draft.unplaced if slot.row >= 0 and slot.row not in known}
        if not more:
            break
        stuck.update(more)
    return draft


def settled_with_guide(problem: Problem, found: Guide) -> Draft:
    """By heuristics, with the prices of a linear program."""
    draft = begin(problem)
    draft.guide = found
    settle(draft)
    return draft


def settled_with_fates(problem: Problem, fates: Fates) -> Draft:
    """By heuristics, where it is known what leaves and what is stuck."""
    draft = begin(problem, fates.stuck)
    draft.fates = fates
    settle(draft)
    return draft


def begin(problem: Problem, stuck: Mapping[int, str] | None = None) -> Draft:
    """The starting point: everything counted where it runs, except what is removed.

    :param stuck: rows that are known to have no other place, with the reason why they should leave.
    """
    topology = Topology(problem.hosts)
    codes = standing(problem, topology)
    state = State(problem, topology, codes != REMOVE)
    draft = Draft(problem, topology, RuleBook(problem), state, codes)
    draft.forced = frozenset(np.flatnonzero(codes == LEAVE).tolist())
    for row, reason in sorted((stuck or {}).items()):
        codes[row] = STUCK
        group, index = int(problem.running.group[row]), int(problem.running.index[row])
        draft.unplaced.append(Slot(group, index, row, reason))
    hold(draft)
    return draft


def settle(draft: Draft) -> None:
    """Find places for all that needs one."""
    waiting, missing = pending_of(draft)
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
                    stay(draft, group, slot)


def _is_near(draft: Draft, topology: str, target: int, host: int) -> bool:
    domains = draft.topology.domains(topology)
    return bool(domains.of[host] >= 0 and (domains.of[draft.state.hosts_of(target)] == domains.of[host]).any())


def pending_of(draft: Draft) -> tuple[dict[int, list[Slot]], dict[int, list[Slot]]]:
    """What must find another place, and what is new, by group."""
    missing = with_their_disks(draft, _missing(draft))
    waiting = leaving(draft, evictions(draft))
    update_in_place(draft, waiting)
    return waiting, with_their_disks(draft, missing)


def missing_of(draft: Draft) -> dict[int, list[Slot]]:
    """What is new, by group, less what goes to its disk."""
    return with_their_disks(draft, _missing(draft))


def with_their_disks(draft: Draft, missing: dict[int, list[Slot]]) -> dict[int, list[Slot]]:
    """What comes back to a disk that it left behind goes where that lies, as if it ran there; return all others."""
    problem, released = draft.problem, draft.problem.disks.released
    if not released:
        return missing
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
    if draft.fates is not None:
        for row in sorted(draft.fates.leave):
            codes[row] = LEAVE
            draft.state.release_running(row)
        return dict(draft.fates.leave)
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


def leaving(draft: Draft, reasons: dict[int, str]) -> dict[int, list[Slot]]:
    """Slots of what must leave, by group."""
    waiting: dict[int, list[Slot]] = {}
    running = draft.problem.running
    for row in sorted(reasons):
        group = int(running.group[row])
        waiting.setdefault(group, []).append(Slot(group, int(running.index[row]), row, reasons[row]))
    return waiting


def update_slots(draft: Draft) -> dict[int, list[Slot]]:
    """What gets other claims or needs other cores, by group; taken off its host to be placed there anew."""
    problem, running = draft.problem, draft.problem.running
    found: dict[int, list[Slot]] = {}
    if not len(running):
        return found
    stays = (draft.codes != REMOVE) & (draft.codes < UNKNOWN)
    for row in np.flatnonzero(placed_anew(problem, draft.codes) & stays).tolist():
        number = int(running.group[row])
        changed = running.claims[row] != problem.groups[number].claims
        reason = "grade changes what it claims" if changed else "does not own the cores it claims"
        found.setdefault(number, []).append(Slot(number, int(running.index[row]), row, reason))
        draft.state.release_running(row)
        draft.codes[row] = UPDATE
    return found


def update_in_place(draft: Draft, waiting: dict[int, list[Slot]]) -> None:
    """What gets other claims or needs other cores is placed anew on its own host, if it fits there."""
    problem, state = draft.problem, draft.state
    running = problem.running
    slots = [slot for listed in update_slots(draft).values() for slot in listed]
    # One after the other, beside the others as they are: what is still to be updated holds its room.
    for slot in slots:
        state.restore_running(slot.row)
    for slot in sorted(slots, key=lambda slot: slot.row):
        group, home = problem.groups[slot.group], int(running.host[slot.row])
        state.release_running(slot.row)
        disk = problem.disks.own.get(slot.row, -1)
        if disk >= 0:
            state.attach(disk, group.claims)
        if state.room_for(group.claims, home):
            placed = Placed()
            state.place(group.id, group.claims, np.array([home]), placed)
            slot.host, slot.nodes, slot.disk = home, placed.nodes[0], disk
            draft.slots.append(slot)
            continue
        if disk >= 0:
            state.detach(disk, group.claims)
        slot.reason = f"its new grade does not fit host {problem.hosts.names[home]}"
        draft.codes[slot.row] = LEAVE
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
            stay(draft, group, slot)


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


def stay(draft: Draft, group: Group, slot: Slot) -> None:
    """Put an instance that found no place back where it runs, at the cost of what was placed there meanwhile."""
    draft.codes[slot.row] = STUCK
    draft.state.restore_running(slot.row)
