# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders steps so that none overcommits: what frees room comes before what takes it.

A step may start when every host it touches has the room (amounts, and the very cores) for what the step brings there;
what it leaves is counted as free once the step is done. Where all that is left waits for each other, a step is split
into its instances; where even these wait in a circle, it is broken (detour.py).
"""

from __future__ import annotations

from ..numeric import np
from ..search.draft import Draft
from .capacity import Change, Room, amounts_of, room_before
from .steps import Step
from .temporary_move import break_circle


def changes_by_name(draft: Draft, names: dict[tuple[int, int], str], cores: list[tuple[int, ...]]) -> dict[str, Change]:
    """What each instance that gets a place takes and gives up."""
    problem, running = draft.problem, draft.problem.running
    found = {}
    for slot, own in zip(draft.slots, cores):
        claims = problem.groups[slot.group].claims
        takes = amounts_of(problem, claims, slot.disk, None if slot.nodes is None else np.array(slot.nodes[1]))
        change = Change(slot, slot.host, claims, own, -1, -1, (), takes, takes, slot.nodes)
        if slot.row >= 0:
            change.off = int(running.host[slot.row])
            change.old_claims = int(running.claims[slot.row])
            disk = problem.disks.own.get(slot.row, -1)
            share = draft.state.running_share(slot.row)[1] if draft.state.nodes is not None else None
            change.frees = amounts_of(problem, change.old_claims, disk, share)
            change.old_cores = running.cores[slot.row] if running.cores_valid[slot.row] else ()
            if not problem.claims[change.old_claims].cores:
                change.old_cores = ()
        found[names[slot.group, slot.index]] = change
    return found


def order_by_room(draft: Draft, steps: list[Step], changes: dict[str, Change]) -> list[Step]:
    """The same steps in an order in which none overcommits; ``waits_for`` is extended accordingly."""
    if not any(change.off >= 0 for change in changes.values()) and not any(step.kind == "remove" for step in steps):
        return steps
    room = room_before(draft)
    waiting: list[Step] = []
    done: list[Step] = []
    replaced: dict[int, list[int]] = {}
    for step in steps:
        if step.kind == "remove":
            _finish(step, done, replaced)
        else:
            waiting.append(step)
    freed: dict[int, list[int]] = {}
    carried: list[Change] = []
    ways: dict[str, int] = {}
    running = draft.problem.running
    while waiting:
        ready = [step for step in waiting if all(number in replaced for number in step.waits_for)]
        chosen = next((step for step in ready if room.fits([changes[n] for n in step.instances if n in changes])), None)
        if chosen is None:
            chosen = _split(waiting, ready, room, changes)
        if chosen is None:
            way = break_circle(draft, [*ready, *waiting], room, changes, carried)
            if way is not None:
                left = running.host[changes[way.instances[0]].slot.row]
                _wait_for_room(way, [way.change] if way.change is not None else [], freed)
                _finish(way, done, replaced)
                ways[way.instances[0]] = way.index
                freed.setdefault(int(left), []).append(way.index)
                continue
            chosen = (ready or waiting)[0]
        if chosen in waiting:
            waiting.remove(chosen)
        mine = [changes[name] for name in chosen.instances if name in changes]
        room.carry_out(mine)
        carried.extend(mine)
        _wait_for_room(chosen, mine, freed)
        chosen.after = sorted({*chosen.after, *(ways[name] for name in chosen.instances if name in ways)})
        _finish(chosen, done, replaced)
        for change in mine:
            if change.off >= 0:
                freed.setdefault(change.off, []).append(chosen.index)
    draft.notes.extend(room.notes)
    return done


def _finish(step: Step, done: list[Step], replaced: dict[int, list[int]]) -> None:
    """Number a step; ``waits_for`` follows the new numbers."""
    before, step.index = step.index, len(done)
    step.waits_for = sorted({new for old in step.waits_for for new in replaced.get(old, [])} | set(step.after))
    done.append(step)
    if not step.partial:
        replaced[before] = [*replaced.pop(-1 - before, []), step.index]
    else:
        replaced.setdefault(-1 - before, []).append(step.index)


def _wait_for_room(step: Step, changes: list[Change], freed: dict[int, list[int]]) -> None:
    step.after = sorted({number for change in changes for number in freed.get(change.to, []) if change.to >= 0})


def _split(waiting: list[Step], ready: list[Step], room: Room, changes: dict[str, Change]) -> Step | None:
    """The instances of a step that have room already, as a step of their own; the others follow."""
    for step in ready:
        fitting: list[str] = []
        for name in step.instances:
            if room.fits([changes[n] for n in [*fitting, name] if n in changes]):
                fitting.append(name)
        if fitting:
            part = Step(step.name, step.kind, fitting, list(step.waits_for), step.index, partial=True)
            step.instances = [name for name in step.instances if name not in fitting]
            step.name = f"{step.name} (the rest)" if not step.name.endswith("(the rest)") else step.name
            return part
    return None
