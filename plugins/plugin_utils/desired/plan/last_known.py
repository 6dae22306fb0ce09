# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of hosts that don't answer: the newest ledger that any other host holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Observation = Mapping[str, Any]


def newest_ledger(observations: Mapping[str, Observation]) -> dict[str, Any]:
    """Return the ledger with the highest serial among those observed; an empty one when there is none.

    Two hosts may hold different plans of one serial, when two people claimed at once and both were refused.
    The older plan id in the alphabet wins then, so that the answer does not depend on the order of hosts.
    """
    ledgers = [item["ledger"] for item in observations.values() if item.get("ledger")]
    if not ledgers:
        return {}
    return dict(max(ledgers, key=lambda ledger: (int(ledger.get("serial") or 0), str(ledger.get("plan_id") or ""))))


def base_serial(observations: Mapping[str, Observation]) -> int:
    """Return the highest serial of any ledger, 0 without one."""
    return int(newest_ledger(observations).get("serial") or 0)


def remember_hosts(
    missing: Iterable[str], ledger: Mapping[str, Any], seen: Iterable[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """Return (problem hosts, running instances, notes) of hosts that don't answer.

    :param missing: names of the hosts that don't answer.
    :param seen: names of instances that answer elsewhere; the ledger is wrong about these.
    """
    known = {host["name"]: host for host in ledger.get("hosts") or []}
    there = set(seen)
    hosts, running, notes = [], [], []
    for name in sorted(missing):
        if name not in known:
            notes.append(f"Host {name} does not answer and no ledger knows it; the plan leaves it out.")
            continue
        hosts.append({**known[name], "state": "unreachable"})
        remembered = [
            item for item in ledger.get("instances") or [] if item.get("host") == name and item["name"] not in there
        ]
        running.extend(_as_running(item) for item in remembered)
        notes.append(f"Host {name} does not answer; {_remembered(len(remembered), ledger.get('serial'))}.")
    return hosts, running, notes


def _remembered(count: int, serial: Any) -> str:
    if not count:
        return f"it held no instance as far as ledger {serial} knows"
    what = "its 1 instance is" if count == 1 else f"its {count} instances are"
    return f"{what} remembered from ledger {serial} and not replaced"


def _as_running(item: Mapping[str, Any]) -> dict[str, Any]:
    claims = {name: item[name] for name in ("memory", "disk") if item.get(name) is not None}
    if item.get("cores"):
        claims["cores"] = len(item["cores"])
    elif item.get("cpus") is not None:
        claims["cpus"] = item["cpus"]
    claims.update(item.get("resources") or {})
    return {
        "cluster": item["cluster"],
        "group": item["group"],
        "index": item["index"],
        "host": item["host"],
        "state": "unknown",
        "healthy": None,
        "claims": claims,
        "cores": item.get("cores") or [],
        "network": item.get("network"),
        "address": item.get("address"),
        "digest": item.get("digest"),
        "grade": item.get("grade"),
    }
