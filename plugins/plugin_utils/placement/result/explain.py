# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why an instance has no place: each host counted once, under the first thing that stands in the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ....module_utils.common.naming import instance_name
from ....module_utils.common.sizes import human_size
from ..feasible.state import NOBODY
from ..model import CPU, NANO, STATES, Group
from ..numeric import Bools, np
from ..search.address_room import addresses_left
from ..search.draft import Draft, Slot


@dataclass(frozen=True)
class Unplaced:
    """An instance without a place, and all there is to say about it."""

    slot: Slot
    reasons: tuple[tuple[str, int, str], ...]
    nearest: tuple[tuple[str, str], ...]
    text: str
    relaxations: tuple[str, ...] = ()
    proven: bool = False
    conflict: tuple[str, ...] = ()

    def to_dict(self, group: Group) -> dict[str, Any]:
        """As it stands in the plan."""
        return {
            "name": instance_name(group.cluster, group.name, self.slot.index),
            "cluster": group.cluster,
            "group": group.name,
            "index": self.slot.index,
            "reasons": [{"reason": kind, "hosts": hosts, "text": text} for kind, hosts, text in self.reasons],
            "nearest": [{"host": host, "text": text} for host, text in self.nearest],
            "relaxations": list(self.relaxations),
            "proven": self.proven,
            "conflict": list(self.conflict),
            "text": self.text,
        }


def explain(draft: Draft) -> list[Unplaced]:
    """One explanation per unplaced instance; instances of one group share it."""
    found: dict[int, tuple[Any, Any]] = {}
    result = []
    for slot in sorted(draft.unplaced, key=lambda s: (s.group, s.index)):
        group = draft.problem.groups[slot.group]
        if slot.row in draft.waits:
            result.append(_waiting(draft, slot))
            continue
        if slot.group not in found:
            found[slot.group] = (_reasons(draft, group), _nearest(draft, group))
        reasons, nearest = found[slot.group]
        what = ", ".join(text for _kind, _hosts, text in reasons) or "the fleet has no hosts"
        name = instance_name(group.cluster, group.name, slot.index)
        text = f"{name} can't be placed: {what}"
        if slot.row >= 0:
            host = draft.problem.hosts.names[draft.problem.running.host[slot.row]]
            text = f"{name} can't be moved ({slot.reason}) and stays on {host}: {what}"
        proven = slot.group in draft.proven
        result.append(
            Unplaced(
                slot,
                reasons,
                nearest,
                text,
                tuple(draft.relaxations.get(slot.group, ())),
                proven,
                draft.conflicts.get(slot.group, ()),
            )
        )
    return result


def _waiting(draft: Draft, slot: Slot) -> Unplaced:
    """What a drain calls away while too many of its group are silent."""
    problem, pace = draft.problem, draft.paces[slot.group]
    group = problem.groups[slot.group]
    name = instance_name(group.cluster, group.name, slot.index)
    host = problem.hosts.names[problem.running.host[slot.row]]
    text = f"{name} can't be moved ({slot.reason}) and stays on {host}: {pace.text}"
    help_ = tuple(draft.relaxations.get(slot.group, ()))
    return Unplaced(slot, (("waits", 1, pace.text),), (), text, help_, True)


def _obstacles(draft: Draft, group: Group) -> list[tuple[str, str, Bools]]:
    """(reason, sentence part, hosts where it stands in the way), in the order in which hosts are counted."""
    problem, state, topology = draft.problem, draft.state, draft.topology
    hosts = problem.hosts
    found: list[tuple[str, str, Bools]] = []
    for number in (3, 2, 1):
        found.append((STATES[number], STATES[number], hosts.state == number))
    for constraint in group.rules.constraints:
        if constraint.required:
            text = f"constraint on label {constraint.label}"
            found.append(("constraint", text, ~topology.satisfied(constraint)))
    found.extend(_rule_obstacles(draft, group))
    demand = problem.demand[group.claims]
    for dimension in np.flatnonzero(demand).tolist():
        name = problem.dimensions[dimension]
        if dimension == CPU:
            name = "cores" if problem.claims[group.claims].cores else "cpus"
        found.append((name, name, state.free[dimension] < demand[dimension]))
    if state.nodes is not None:
        exact = problem.claims[group.claims]
        everywhere = np.arange(len(hosts))
        kind = "smt" if exact.whole and not exact.numa else "numa"
        text = (
            "whole physical cores"
            if kind == "smt"
            else "room in one NUMA node"
            if exact.numa == 1
            else "room in their NUMA nodes"
        )
        found.append((kind, text, state.nodes.capacity(exact, everywhere) < 1))
    return found


def _rule_obstacles(draft: Draft, group: Group) -> list[tuple[str, str, Bools]]:
    from ..feasible.limits import spread_shares

    state, topology, groups = draft.state, draft.topology, draft.problem.groups
    found: list[tuple[str, str, Bools]] = []
    if state.has_dedicated:
        blocked = (state.owner != NOBODY) & (state.owner != group.cluster_id)
        if group.rules.dedicated:
            blocked |= (state.sole != NOBODY) & (state.sole != group.cluster_id)
        found.append(("dedicated", "dedicated hosts", blocked))
    for near in group.rules.affinity:
        domains = topology.domains(near.topology)
        if near.required and (near.target != group.id or len(state.hosts_of(group.id))):
            holds = np.append(domains.count(state.hosts_of(near.target)) > 0, False)
            if near.target == group.id and holds.sum() > 1:
                # Its members lie in several domains already: one more would break the rule wherever it is.
                holds[:] = False
            found.append(("affinity", f"affinity to {groups[near.target].label}", ~holds[domains.of]))
    for away in group.rules.anti_affinity:
        domains = topology.domains(away.topology)
        full = np.append(domains.count(state.hosts_of(away.target)) >= away.max, False)
        if away.required:
            found.append(("anti_affinity", f"anti-affinity with {groups[away.target].label}", full[domains.of]))
    for owner, away in draft.book.incoming.get(group.id, ()):
        domains = topology.domains(away.topology)
        theirs = domains.count(state.hosts_of(owner.id)) > 0
        full = np.append(theirs & (domains.count(state.hosts_of(group.id)) >= away.max - 1), False)
        if away.required:
            found.append(("anti_affinity", f"anti-affinity of {owner.label}", full[domains.of]))
    for rule in group.rules.spread:
        domains = topology.domains(rule.topology)
        eligible = topology.eligible(rule.topology, group.rules.constraints)
        counts = domains.count(state.hosts_of(group.id)).astype(np.float64)
        if rule.required and len(domains):
            open_to = [
                spread_shares(counts, eligible, (np.arange(len(domains)) == d) * 1.0, rule.max_skew, 1)[d] > 0
                for d in range(len(domains))
            ]
            found.append(("spread", f"spread over {rule.topology}", ~np.append(open_to, False)[domains.of]))
    return found


VERBS = {
    "unreachable": ("does not answer", "do not answer"),
    "drained": ("is drained", "are drained"),
    "cordoned": ("is cordoned", "are cordoned"),
}


def _reasons(draft: Draft, group: Group) -> tuple[tuple[str, int, str], ...]:
    open_hosts = np.ones(len(draft.problem.hosts), dtype=np.bool_)
    found = []
    for kind, text, blocked in _obstacles(draft, group):
        hosts = int((blocked & open_hosts).sum())
        if hosts:
            found.append((kind, hosts, _sentence(kind, text, hosts)))
        open_hosts &= ~blocked
    # A group may want more than its pool has, and yet fail for something else long before.
    if "address" in draft.short_of.get(group.id, ()) and not addresses_left(draft, group.network, 1):
        total = len(draft.problem.hosts)
        found = [("address", total, f"the pool of network {group.network} has no free address")]
    elif open_hosts.any() and len(draft.problem.hosts):
        hosts = int(open_hosts.sum())
        found.append(("rules", hosts, f"{_hosts(hosts)} would break rules taken together"))
    return tuple(found)


def _sentence(kind: str, text: str, hosts: int) -> str:
    if kind in VERBS:
        return f"{_hosts(hosts)} {VERBS[kind][hosts > 1]}"
    if kind in ("anti_affinity", "affinity", "spread", "constraint"):
        return f"{_hosts(hosts)} {'break' if hosts > 1 else 'breaks'} {text}"
    if kind == "dedicated":
        return f"{_hosts(hosts)} {'are' if hosts > 1 else 'is'} taken by other tenants (dedicated)"
    return f"{_hosts(hosts)} {'lack' if hosts > 1 else 'lacks'} {text}"


def _hosts(number: int) -> str:
    return f"{number} host{'s' if number > 1 else ''}"


def _nearest(draft: Draft, group: Group) -> tuple[tuple[str, str], ...]:
    """The hosts with the fewest obstacles, then the smallest shortage."""
    problem, state = draft.problem, draft.state
    obstacles = _obstacles(draft, group)
    if not obstacles or not len(problem.hosts):
        return ()
    blocked = np.stack([mask for _kind, _text, mask in obstacles])
    demand = problem.demand[group.claims]
    short = np.maximum(demand[:, np.newaxis] - state.free, 0.0) / np.maximum(demand, 1.0)[:, np.newaxis]
    order = np.lexsort((np.arange(blocked.shape[1]), short.max(axis=0), blocked[0] | blocked[1], blocked.sum(axis=0)))
    result = []
    for host in order[:3].tolist():
        parts = [_miss(draft, group, obstacles[i][0], obstacles[i][1], host) for i in np.flatnonzero(blocked[:, host])]
        if parts:
            result.append((problem.hosts.names[host], ", ".join(parts)))
    return tuple(result)


def _miss(draft: Draft, group: Group, kind: str, text: str, host: int) -> str:
    problem = draft.problem
    if kind in VERBS:
        return VERBS[kind][0]
    if kind in ("anti_affinity", "affinity", "spread", "constraint"):
        return f"would break {text}"
    if kind in ("dedicated", "numa", "smt"):
        return "taken by another tenant" if kind == "dedicated" else f"lacks {text}"
    dimension = CPU if kind in ("cores", "cpus") else problem.dimensions.index(kind)
    missing = float(problem.demand[group.claims][dimension] - draft.state.free[dimension, host])
    if dimension == CPU:
        amount = missing / NANO
        return (
            f"{int(-(-amount // 1))} cores short"
            if kind == "cores" and amount > 1
            else ("1 core short" if kind == "cores" else f"{amount:g} cpus short")
        )
    return f"{human_size(missing)} {kind} short" if kind in ("memory", "disk") else f"{missing:g} {kind} short"
