# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups that must lie in one domain together: the domain is chosen for all of them when the first one is placed."""

from __future__ import annotations

from typing import Optional

from ..model import Group
from ..numeric import Bools, np
from .draft import Draft


def family_domains(draft: Draft, group: Group) -> Optional[Bools]:
    """Hosts of the domain that suits a group and all that must follow it there; None where nobody follows it far.

    A domain suits if it has room for each of them alone and, by amounts, for all of them together; of those that do,
    the one with the most room in hosts that are in use (or to be opened) is taken.
    """
    topology = _wider_topology(draft, group)
    if topology is None or len(draft.state.hosts_of(group.id)):
        return None
    family = [group, *(other for other in _followers(draft, group, topology) if other.count)]
    domains = draft.topology.domains(topology)
    active = np.flatnonzero(draft.topology.active & (domains.of >= 0))
    of = domains.of[active]
    state, problem = draft.state, draft.problem
    suits = np.ones(len(domains), dtype=np.bool_)
    ease = np.full(len(domains), np.inf)
    together = np.zeros(len(problem.dimensions))
    for member in family:
        limits = draft.book.limits(state, member) if member is group else None
        mask = limits.mask[active] if limits is not None else draft.topology.admitted(member.rules.constraints)[active]
        room = np.minimum(state.room(member.claims, active) * mask, float(member.count))
        total = np.bincount(of, weights=room, minlength=len(domains))
        suits &= total >= member.count
        ease = np.minimum(ease, total / member.count)
        together += problem.demand[member.claims] * member.count
    for dimension in np.flatnonzero(together).tolist():
        free = np.bincount(of, weights=np.maximum(state.free[dimension, active], 0.0), minlength=len(domains))
        suits &= free >= together[dimension]
        ease = np.minimum(ease, free / together[dimension])
    if not suits.any():
        return None
    best = int(np.argmax(np.where(suits, ease, -1.0)))
    return np.asarray(domains.of == best)


def _wider_topology(draft: Draft, group: Group) -> Optional[str]:
    """The label over which others must follow a group, if there is one."""
    for number in draft.book.followers.get(group.id, ()):
        for rule in draft.problem.groups[number].rules.affinity:
            if rule.required and rule.target == group.id and rule.topology != "host":
                return rule.topology
    return None


def _followers(draft: Draft, group: Group, topology: str) -> list[Group]:
    found: dict[int, Group] = {}
    stack = [group.id]
    while stack:
        for number in draft.book.followers.get(stack.pop(), ()):
            other = draft.problem.groups[number]
            near = any(rule.required and rule.topology == topology for rule in other.rules.affinity)
            if number not in found and number != group.id and near and not len(draft.state.hosts_of(number)):
                found[number] = other
                stack.append(number)
    return list(found.values())
