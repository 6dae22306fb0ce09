# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Breaks a circle of moves that wait for each other's room: one instance goes by way of a host that has room now.

That host breaks no hard rule as things stand at that moment. An instance with a disk of its own takes no detour, for
its data would have to be copied twice: if no other one can, an instance gives up its place before its new one is free,
and a note says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..feasible.cores import assign_cores, node_numbers
from ..feasible.state import Placed, State, usable_cores
from ..numeric import np
from ..search.draft import Draft
from ..search.place import Placer
from ..search.reconcile import REMOVE
from .capacity import Change, Room, amounts_of
from .steps import Step


def break_circle(
    draft: Draft, candidates: list[Step], room: Room, changes: dict[str, Change], done: list[Change]
) -> Step | None:
    """A step that lets others go on; None where nothing that waits runs anywhere.

    :param candidates: the steps that wait, those that are ready first.
    :param done: changes that have been carried out, in order.
    """
    movers = list(_movers(candidates, changes))
    data = draft.problem.disks.own
    for step, name in movers:
        change = changes[name]
        if change.slot.row not in data and not change.via and change.to != change.off:
            way = _detour(draft, step, name, room, changes, done, candidates)
            if way is not None:
                return way
    useful = [(step, name) for step, name in movers if _helps(room, changes, name, None, candidates)]
    # What has no data stands still for no longer than it takes to start it again.
    ranked = sorted(useful or movers, key=lambda mover: changes[mover[1]].slot.row in data)
    for step, name in ranked:
        change = changes[name]
        room.clear([change])
        change.off = -1
        done.append(replace(change, to=-1))
        room.notes.append(
            f"{name} is removed before its new place is free: the moves form a circle, and no host can take one of "
            "them for a while"
        )
        return Step(f"Remove {name} to make way", "remove", [name], list(step.waits_for), step.index, partial=True)
    return None


def _movers(candidates: Iterable[Step], changes: dict[str, Change]) -> Iterator[tuple[Step, str]]:
    seen = set()
    for step in candidates:
        for name in step.instances:
            if name in changes and changes[name].off >= 0 and name not in seen:
                seen.add(name)
                yield step, name


def _detour(
    draft: Draft,
    step: Step,
    name: str,
    room: Room,
    changes: dict[str, Change],
    done: list[Change],
    candidates: list[Step],
) -> Step | None:
    """The step that takes one instance to a host with room, if there is one and that lets anything go on."""
    change = changes[name]
    problem, slot = draft.problem, change.slot
    group = problem.groups[slot.group]
    if draft.book.followers.get(group.id):
        # Others must be near to it: they would be left alone for a while.
        return None
    stop = _stop(draft, change, room, done)
    if stop is None or not room.fits([stop]) or not _helps(room, changes, name, stop, candidates):
        return None
    room.carry_out([stop])
    change.off, change.frees, change.old_cores, change.via = stop.to, stop.takes, stop.cores, True
    change.old_claims = stop.claims
    done.append(stop)
    host = problem.hosts.names[stop.to]
    room.notes.append(f"{name} goes by way of {host}: the moves form a circle")
    way = Step(f"Move {name} to {host} for a while", "move", [name], list(step.waits_for), step.index, partial=True)
    way.via[name] = _told(draft, stop, room)
    way.change = stop
    return way


def _stop(draft: Draft, change: Change, room: Room, done: list[Change]) -> Change | None:
    """Where it could stay for a while: a host with room that breaks no hard rule as things stand."""
    problem, slot = draft.problem, change.slot
    group = problem.groups[slot.group]
    state = snapshot(draft, done)
    state.release_running(slot.row)
    free = np.ones(len(problem.hosts), dtype=np.bool_)
    free[[change.off, change.to]] = False
    # An exclusive instance would take cores that containers without own ones are confined to: such hosts come last.
    quiet = free.copy()
    quiet[[host for host in range(len(free)) if _shares_cores(draft, state, host)]] = False
    placed = Placed()
    placer = Placer(state, draft.book, draft.sizes)
    if not (placer.place(group, 1, placed, only=quiet) or placer.place(group, 1, placed, only=free)):
        return None
    host, nodes = placed.hosts[0], placed.nodes[0]
    cores = assign_cores(problem, room.owned.copy(), [host], [group.claims], [nodes], {})[0]
    if problem.claims[group.claims].cores != len(cores):
        return None
    memory = None if nodes is None else np.array(nodes[1])
    takes = amounts_of(problem, group.claims, -1, memory)
    return Change(
        slot, host, group.claims, cores, change.off, change.old_claims, change.old_cores, takes, change.frees, nodes
    )


def _shares_cores(draft: Draft, state: State, host: int) -> bool:
    problem = draft.problem
    here = (number for number, hosts in state.members.items() if (hosts == host).any())
    kinds = (problem.groups[number].claims for number in here)
    return any(kind < 0 or not problem.claims[kind].cores for kind in kinds)


def snapshot(draft: Draft, done: Iterable[Change]) -> State:
    """Who is where once these changes have been carried out."""
    problem = draft.problem
    state = State(problem, draft.topology, draft.codes != REMOVE)
    places: dict[int, Any] = {}
    for number, change in enumerate(done):
        places[change.slot.row if change.slot.row >= 0 else -1 - number] = change
    for row, change in places.items():
        group = problem.groups[change.slot.group]
        if row >= 0:
            state.release_running(row)
        if change.to >= 0:
            state.place_as(group.id, group.claims, change.to, change.nodes)
    return state


def _helps(room: Room, changes: dict[str, Change], name: str, stop: Change | None, candidates: Iterable[Step]) -> bool:
    """Whether anything that waits could go on if this one left its place (for a stop on the way, or altogether)."""
    after = room.copy()
    if stop is None:
        after.clear([changes[name]])
    else:
        after.carry_out([stop])
    others = (other for step in candidates for other in step.instances if other != name and other in changes)
    return any(after.fits([changes[other]]) for other in others)


def _told(draft: Draft, stop: Change, room: Room) -> dict[str, Any]:
    """A stop on the way, as the plan tells it."""
    hosts = draft.problem.hosts
    shape = hosts.shapes[hosts.shape[stop.to]]
    unowned = usable_cores(draft.problem)[stop.to] & ~room.owned[stop.to]
    cpuset = list(stop.cores) or shape.ids[unowned[: len(shape.ids)]].tolist()
    mems = node_numbers(shape, stop.cores) if stop.cores else list(shape.nodes)
    return {"host": hosts.names[stop.to], "cores": list(stop.cores), "cpuset": cpuset, "mems": mems}
