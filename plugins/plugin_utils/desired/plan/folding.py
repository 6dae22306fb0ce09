# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says once what holds for many instances of a group: who can't be placed for the same reasons, who waits for whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Item = Mapping[str, Any]
# With more gaps than this only the ends are named.
_MOST_SPANS = 4


def names_of(items: Iterable[Item]) -> str:
    """Return the names of instances of one group: ``acme_web_0, acme_web_3 to acme_web_9 (8 instances)``."""
    ordered = sorted(items, key=lambda item: int(item["index"]))
    if len(ordered) == 1:
        return str(ordered[0]["name"])
    spans: list[list[Item]] = []
    for item in ordered:
        if spans and item["index"] == spans[-1][-1]["index"] + 1:
            spans[-1].append(item)
        else:
            spans.append([item])
    if len(spans) > _MOST_SPANS:
        return f"{len(ordered)} instances from {ordered[0]['name']} to {ordered[-1]['name']}"
    return f"{', '.join(map(_span, spans))} ({len(ordered)} instances)"


def _span(items: list[Item]) -> str:
    first, last = items[0]["name"], items[-1]["name"]
    return str(first) if len(items) == 1 else f"{first}{', ' if len(items) == 2 else ' to '}{last}"


def fold_unplaced(unplaced: Iterable[Item]) -> list[Item]:
    """Return what can't be placed with one entry for all of a group of which the same is said.

    Each entry is as in the plan, with ``text``, ``nearest`` and ``relaxations``; it has the name of the first.
    """
    alike: dict[tuple[Any, ...], list[Item]] = {}
    for number, item in enumerate(unplaced):
        said = _without_name(item)
        key = (item.get("cluster"), item.get("group"), said, str(item.get("nearest")), str(item.get("relaxations")))
        alike.setdefault((*key, number if said is None else -1), []).append(item)
    return [_folded(items) for items in alike.values()]


def _without_name(item: Item) -> str | None:
    """Return what is said of an instance; None where that can't be said of others too."""
    text = str(item.get("text") or "")
    return text[len(item["name"]) :] if "index" in item and text.startswith(f"{item['name']} ") else None


def _folded(items: list[Item]) -> Item:
    if len(items) == 1:
        return items[0]
    said = str(_without_name(items[0])).replace(" and stays on ", " and stay on ")
    return {**items[0], "text": f"{names_of(items)}{said}"}


def fold_waiting(plan: Mapping[str, Any]) -> list[str]:
    """Return who is not changed now, why a change is due, and what it waits for; a sentence for all of whom it holds.

    What can't leave a drained host is left out: the plan has it among what can't be placed.
    """
    unplaced = {item["name"] for item in plan.get("unplaced") or []}
    alike: dict[tuple[str, ...], list[Item]] = {}
    for item in plan["instances"]:
        if item.get("waits") and item["name"] not in unplaced:
            why = "; ".join(item.get("reasons") or [])
            alike.setdefault((item["cluster"], item["group"], why, item["waits"]), []).append(item)
    return [f"{names_of(items)}: {key[2]}  (waits: {key[3]})" for key, items in alike.items()]
