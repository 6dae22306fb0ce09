# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which single relaxation would help: each is tried by planning again, and named only if the group is then placed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Callable

from ....module_utils.common.sizes import format_size
from ..model import ACTIVE, CORDONED, Claims, Group, Hosts, Problem, Rules
from ..numeric import np
from ..search.draft import Draft
from .conflict import describe, hard_rules

MAX_GROUPS, MAX_TRIES = 3, 8
# Planning again must stay cheap.
MAX_SIZE = 4_000


def add_relaxations(draft: Draft, again: Callable[[Problem], Draft]) -> None:
    """Fill ``draft.relaxations`` for the groups that lack places."""
    size = len(draft.slots) + len(draft.unplaced) + len(draft.problem.running)
    if size > MAX_SIZE or size * len(draft.problem.hosts) > 100 * MAX_SIZE:
        return
    lacking = sorted({slot.group for slot in draft.unplaced})
    for number in lacking[:MAX_GROUPS]:
        for tries, (sentence, problem) in enumerate(_relaxed(draft, draft.problem.groups[number])):
            if tries >= MAX_TRIES:
                break
            other = again(problem)
            mine = any(slot.group == number for slot in other.unplaced)
            if not mine and len(other.unplaced) < len(draft.unplaced):
                draft.relaxations.setdefault(number, []).append(sentence)


def _relaxed(draft: Draft, group: Group) -> Iterator[tuple[str, Problem]]:
    problem = draft.problem
    if any(slot.group == group.id and slot.row in draft.waits for slot in draft.unplaced):
        batch = draft.paces[group.id].silent + 1
        groups = tuple(replace(g, batch=batch) if g.id == group.id else g for g in problem.groups)
        yield f"update.batch of {group.label}: {batch} instead of {group.batch}", replace(problem, groups=groups)
    for key in hard_rules(group):
        yield f"{describe(draft, key)}: preferred instead of hard", _softer(problem, group, key)
    for owner, _rule in draft.book.incoming.get(group.id, ()):
        for key in hard_rules(owner):
            if key[1] == "anti_affinity" and owner.rules.anti_affinity[key[2]].target == group.id:
                yield f"{describe(draft, key)}: preferred instead of hard", _softer(problem, owner, key)
    for host in np.flatnonzero(problem.hosts.state == CORDONED)[:1].tolist():
        states = problem.hosts.state.copy()
        states[host] = ACTIVE
        yield (
            f"host {problem.hosts.names[host]} not cordoned",
            replace(problem, hosts=replace(problem.hosts, state=states)),
        )
    yield from _smaller(problem, group)
    if len(problem.hosts):
        active = np.flatnonzero(problem.hosts.state == ACTIVE)
        rows = active if len(active) else np.arange(len(problem.hosts))
        mask = draft.topology.admitted(group.rules.constraints)[rows]
        rows = rows[mask] if mask.any() else rows
        host = int(rows[np.lexsort((rows, -draft.sizes[rows]))[0]])
        yield f"one more host like {problem.hosts.names[host]}", replace(problem, hosts=one_more(problem.hosts, host))


def _softer(problem: Problem, group: Group, key: tuple[int, str, int]) -> Problem:
    listed = list(getattr(group.rules, key[1]))
    listed[key[2]] = replace(listed[key[2]], required=False)
    changed: dict[str, Any] = {key[1]: tuple(listed)}
    rules: Rules = replace(group.rules, **changed)
    groups = tuple(replace(g, rules=rules) if g.id == group.id else g for g in problem.groups)
    return replace(problem, groups=groups)


def _smaller(problem: Problem, group: Group) -> Iterator[tuple[str, Problem]]:
    """Another kind of claims in use that is smaller in something and larger in nothing, else half of everything."""
    mine = problem.demand[group.claims]
    for number, demand in enumerate(problem.demand):
        if (
            (demand <= mine).all()
            and (demand < mine).any()
            and problem.claims[number].numa == problem.claims[group.claims].numa
        ):
            groups = tuple(replace(g, claims=number) if g.id == group.id else g for g in problem.groups)
            yield f"a smaller grade ({_told(problem.claims[number])})", replace(problem, groups=groups)
            return


def _told(claims: Claims) -> str:
    parts = []
    if claims.cores:
        parts.append(f"{claims.cores} core{'s' if claims.cores > 1 else ''}")
    if claims.nanocpus:
        parts.append(f"{claims.nanocpus / 1e9:g} cpus")
    if claims.memory:
        parts.append(f"memory {format_size(claims.memory)}")
    if claims.disk:
        parts.append(f"disk {format_size(claims.disk)}")
    return ", ".join(parts + [f"{amount} {name}" for name, amount in claims.resources])


def one_more(hosts: Hosts, host: int) -> Hosts:
    """The fleet with one more host like this one, empty, at the end."""

    return replace(
        hosts,
        names=(*hosts.names, hosts.names[host] + " (another)"),
        labels=(*hosts.labels, {k: v for k, v in hosts.labels[host].items() if k != "host"}),
        state=np.append(hosts.state, ACTIVE),
        shape=np.append(hosts.shape, hosts.shape[host]),
        capacity=np.concatenate((hosts.capacity, hosts.capacity[:, [host]]), axis=1),
        memory_by_node=np.concatenate((hosts.memory_by_node, hosts.memory_by_node[:, [host]]), axis=1),
    )
