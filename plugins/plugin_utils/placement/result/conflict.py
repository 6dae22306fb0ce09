# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a proven "can't be placed" is so: a small set of demands and rules that can't all hold.

A deletion filter: each part is left out in turn; where the rest still can't be satisfied, it stays out. What remains
can't hold together, while any of its parts removed would let the rest hold.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..model import Group
from ..search.draft import Draft
from ..search.exact import Model, RuleKey

MAX_PARTS = 60
# What the search for a small set may cost, in the solver's deterministic seconds: for one question, and in all.
WORK_ONCE, WORK = 1.0, 4.0


def conflict(draft: Draft, pending: Mapping[int, int], group: int) -> tuple[str, ...]:
    """Sentences of a small conflicting set around one group; empty where it can't be found at little cost.

    Where the work it may cost is used up, the set may hold a part that it could do without.

    :param draft: a draft on which nothing of ``pending`` has been placed.
    """
    groups = draft.problem.groups
    rules = [key for g in groups if g.id in pending or g.known for key in hard_rules(g)]
    others = [number for number in sorted(pending) if number != group]
    if len(rules) + len(others) > MAX_PARTS:
        return ()
    amounts = frozenset(range(len(draft.problem.dimensions)))
    kept_groups, dropped, dimensions = list(others), frozenset[RuleKey](), amounts
    if not _impossible(draft, pending, [group, *kept_groups], dropped, None):
        return ()
    for number in others:
        fewer = [other for other in kept_groups if other != number]
        if _impossible(draft, pending, [group, *fewer], dropped, None):
            kept_groups = fewer
    for key in rules:
        if key[0] in (group, *kept_groups) and _impossible(
            draft, pending, [group, *kept_groups], dropped | {key}, None
        ):
            dropped |= {key}
    # Without nodes, does a shortage of plain amounts remain?
    nodes_matter = draft.state.nodes is not None and not _impossible(
        draft, pending, [group, *kept_groups], dropped, amounts
    )
    if not nodes_matter:
        for dimension in sorted(amounts):
            if _impossible(draft, pending, [group, *kept_groups], dropped, dimensions - {dimension}):
                dimensions = dimensions - {dimension}
    sentences = [f"{pending[number]} of {groups[number].label}" for number in sorted([group, *kept_groups])]
    members = {group, *kept_groups}
    sentences += [describe(draft, key) for key in rules if key[0] in members and key not in dropped]
    if nodes_matter:
        sentences.append("the room of NUMA nodes")
    else:
        sentences += [f"the {_name(draft, dimension)} of the hosts" for dimension in sorted(dimensions)]
    return tuple(sentences)


def hard_rules(group: Group) -> list[RuleKey]:
    """Names of a group's hard rules."""
    rules = group.rules
    found: list[RuleKey] = []
    for kind, listed in (
        ("constraints", rules.constraints),
        ("affinity", rules.affinity),
        ("anti_affinity", rules.anti_affinity),
        ("spread", rules.spread),
    ):
        found.extend((group.id, kind, i) for i, rule in enumerate(listed) if rule.required)  # type: ignore[attr-defined]
    return found


def describe(draft: Draft, key: RuleKey) -> str:
    """A rule as an operator would call it."""
    group = draft.problem.groups[key[0]]
    groups, rules = draft.problem.groups, group.rules
    if key[1] == "constraints":
        return f"constraint of {group.label} on label {rules.constraints[key[2]].label}"
    if key[1] == "affinity":
        near = rules.affinity[key[2]]
        return f"affinity of {group.label} to {groups[near.target].label} over {near.topology}"
    if key[1] == "anti_affinity":
        away = rules.anti_affinity[key[2]]
        return f"anti-affinity of {group.label} with {groups[away.target].label} over {away.topology} (max {away.max})"
    return f"spread of {group.label} over {rules.spread[key[2]].topology}"


def _name(draft: Draft, dimension: int) -> str:
    return "cores" if dimension == 0 else draft.problem.dimensions[dimension]


def _impossible(
    draft: Draft,
    pending: Mapping[int, int],
    members: list[int],
    without: frozenset[RuleKey],
    dimensions: frozenset[int] | None,
) -> bool:
    """Whether these groups can't all be placed, proven."""
    if draft.work > WORK:
        return False
    wanted = {number: pending[number] for number in sorted(members)}
    answer = Model(draft, wanted, without, dimensions).build().solve(WORK_ONCE, all_of_it=True)
    return answer is not None and answer.proven and answer.total < sum(wanted.values())
