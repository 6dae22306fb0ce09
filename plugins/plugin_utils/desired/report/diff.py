# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws what a plan changes, like a code diff."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ....module_utils.common.sizes import human_size
from ..apply.disk_moves import Travel
from ..plan.folding import fold_unplaced, fold_waiting
from .changes import Changes

SIGNS = {"create": "+", "remove": "-", "update": "~", "move": "~", "start": "~", "stop": "~"}
_VERBS = {"create": "", "remove": "", "update": "update ", "move": "move ", "start": "start ", "stop": "stop "}
# A group that loses or gains this many at once is drawn as one line.
_MOST_LINES_PER_GROUP = 12


def draw_diff(
    plan: Mapping[str, Any],
    held: Mapping[str, str],
    strays: Mapping[str, Iterable[str]],
    travels: Mapping[str, Travel] | None = None,
    changes: Mapping[str, Changes] | None = None,
) -> str:
    """Return the diff: one hunk per cluster, its changes by group, what can't be placed, and what waits.

    :param held: why an instance is not changed now, by name.
    :param strays: hosts with superfluous copies, by instance name.
    :param travels: what travels of the disks of an instance, by its name.
    :param changes: what changes inside an instance, by its name.
    """
    lines: list[str] = []
    travels = travels or {}
    disks = {name: travel.text for name, travel in travels.items() if travel.text}
    for cluster, items in _by(plan["instances"], "cluster").items():
        changed = [item for item in items if item["action"] in SIGNS]
        if not changed:
            continue
        lines.append(f"@@ cluster {cluster}: {_count(changed)} @@")
        for items_of_group in _by(changed, "group").values():
            lines.extend(_draw_group(items_of_group, held, disks, changes or {}))
    for name, hosts in sorted(strays.items()):
        lines.extend(f"- {name} on {host}  # a superfluous copy" for host in hosts)
    for name, travel in sorted(travels.items()):
        if not travel.carry:
            lines.extend(f"- old copy of the disk of {name} on {host}" for host in sorted(travel.forget))
    lines.extend(f"  not now: {sentence}" for sentence in fold_waiting(plan))
    for missing in fold_unplaced(plan.get("unplaced") or []):
        lines.extend(f"! {line}" for line in describe_unplaced(missing))
    lines.extend(f"# {note}" for note in plan.get("notes") or [])
    return "\n".join(lines) + "\n" if lines else ""


def describe_unplaced(missing: Mapping[str, Any]) -> list[str]:
    """Return in lines why an instance can't be placed, which hosts come nearest, and what would help."""
    return [
        str(missing.get("text") or missing["name"]),
        *(f"  nearest: host {near['host']}: {near['text']}" for near in (missing.get("nearest") or [])[:3]),
        *(f"  would help: {relaxation}" for relaxation in (missing.get("relaxations") or [])[:3]),
    ]


def _by(items: Iterable[Mapping[str, Any]], key: str) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for item in items:
        found.setdefault(item[key], []).append(item)
    return found


def _count(items: list[Mapping[str, Any]]) -> str:
    counts: dict[str, int] = {}
    for item in items:
        counts[item["action"]] = counts.get(item["action"], 0) + 1
    return ", ".join(f"{counts[action]} to {action}" for action in SIGNS if action in counts)


def _draw_group(
    items: list[Mapping[str, Any]],
    held: Mapping[str, str],
    disks: Mapping[str, str],
    changes: Mapping[str, Changes],
) -> Iterable[str]:
    now = [item for item in items if item["name"] not in held]
    by_action = _by(now, "action")
    changing = [item["name"] for item in items if item["name"] in changes]
    alike = _alike([changes[name] for name in changing])
    for action in sorted(by_action, key=list(SIGNS).index):
        same = by_action[action]
        shown = same if len(same) <= _MOST_LINES_PER_GROUP else same[: _MOST_LINES_PER_GROUP - 1]
        for item in shown:
            yield _draw(item, disks)
            yield from _draw_changes(changes.get(item["name"], {}), alike)
        rest = same[len(shown) :]
        if rest:
            hosts = {item.get("host") or item.get("from_host") for item in rest}
            last = f"{rest[0]['name']} … {rest[-1]['name']}"
            yield f"{SIGNS[action]} {_VERBS[action]}{last}: {len(rest)} more on {len(hosts)} hosts"
    for item in items:
        if item["name"] in held:
            yield f"  not now: {_draw(item, disks)}  ({held[item['name']]})"
            yield from (f"  {line}" for line in _draw_changes(changes.get(item["name"], {}), alike))
    if alike:
        yield f"~   {'both' if len(changing) == 2 else f'all {len(changing)}'} of group {items[0]['group']}:"
        yield from (f"~     {name}: {change}" for name, change in alike.items())


def _alike(changes: list[Changes]) -> Changes:
    """Return what changes in all of several members, each in the same way."""
    if len(changes) < 2:
        return {}
    return {name: change for name, change in changes[0].items() if all(one.get(name) == change for one in changes)}


def _draw_changes(changes: Changes, alike: Changes) -> Iterable[str]:
    return (f"~     {name}: {change}" for name, change in changes.items() if name not in alike)


def _draw(item: Mapping[str, Any], disks: Mapping[str, str]) -> str:
    action = item["action"]
    there = item.get("host") or item.get("from_host")
    place = f"from {item.get('from_host')} to {there}" if action == "move" else f"on {there}"
    text = f"{SIGNS[action]} {_VERBS[action]}{item['name']} {place}"
    if action in ("create", "move", "update"):
        text += f": {describe_share(item)}"
    if item["name"] in disks:
        text += f", {disks[item['name']]}"
    reasons = "; ".join(item.get("reasons") or [])
    return f"{text}  # {reasons}" if reasons else text


def describe_share(item: Mapping[str, Any]) -> str:
    """Return what an instance gets, in words: cores, memory, disk, address."""
    parts = []
    if item.get("cores"):
        cores = ranges(item["cores"])
        parts.append(f"core {cores}" if len(item["cores"]) == 1 else f"cores {cores}")
    elif item.get("cpus") is not None:
        parts.append(f"{item['cpus']:g} cpus")
    if item.get("memory"):
        parts.append(human_size(item["memory"]))
    if item.get("disk"):
        parts.append(f"disk {human_size(item['disk'])}")
    if item.get("address"):
        parts.append(item["address"])
    if item.get("address6"):
        parts.append(item["address6"])
    return ", ".join(parts) or "no share"


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers as the kernel writes CPU lists: 0-3,5."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ",".join("-".join(str(end) for end in part) for part in parts)


def summarize(plan: Mapping[str, Any], held: Mapping[str, str]) -> str:
    """Return the plan as one sentence."""
    changed = [item for item in plan["instances"] if item["action"] in SIGNS and item["name"] not in held]
    kept = sum(1 for item in plan["instances"] if item["action"] == "keep")
    text = f"{_count(changed)}, {kept} to keep" if changed else f"nothing to change, {kept} to keep"
    if held:
        text += f", {len(held)} not now"
    if plan.get("unplaced"):
        text += f", {len(plan['unplaced'])} can't be placed"
    return text
