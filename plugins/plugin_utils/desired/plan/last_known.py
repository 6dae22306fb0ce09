# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of hosts that don't answer: the newest ledger that any other host holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ....module_utils.common.labels import digest

Observation = Mapping[str, Any]


def newest_ledger(observations: Mapping[str, Observation]) -> dict[str, Any]:
    """Return the ledger with the highest serial among those observed; an empty one when there is none.

    Its ``instances``, ``seen``, ``hosts`` and ``disks`` are there once its body was fetched, see ``needs_body``.
    Two hosts may hold different plans of one serial, when two people claimed at once and both were refused.
    The older plan id in the alphabet wins then, so that the answer does not depend on the order of hosts.
    """
    ledgers = [item["ledger"] for item in observations.values() if item.get("ledger")]
    if not ledgers:
        return {}
    newest = max(ledgers, key=_age)
    body = next((ledger["body"] for ledger in ledgers if ledger.get("body") and _age(ledger) == _age(newest)), {})
    return {**newest, **body}


def _age(ledger: Mapping[str, Any]) -> tuple[int, str]:
    return int(ledger.get("serial") or 0), str(ledger.get("plan_id") or "")


def keepers_of(observations: Mapping[str, Observation]) -> list[str]:
    """Return the hosts that can be asked for the body of the newest ledger."""
    newest = _age(newest_ledger(observations))
    return sorted(host for host, item in observations.items()
                  if item.get("ledger") and item["ledger"].get("has_body") and _age(item["ledger"]) == newest)


def digest_of_hosts(hosts: Iterable[str]) -> str:
    """Return a digest of the names of all hosts of the inventory."""
    return digest(sorted(hosts))


def needs_body(observations: Mapping[str, Observation], hosts: Iterable[str]) -> bool:
    """Say whether the ledger's body is needed: a host is silent, new or gone, or an instance is there twice.

    :param hosts: all hosts of the inventory.
    """
    hosts = list(hosts)
    ledger = newest_ledger(observations)
    if not ledger:
        return False
    names = [item["name"] for host in observations.values() for item in host.get("containers") or []]
    return (len(observations) < len(hosts) or ledger.get("fleet_hosts") != digest_of_hosts(hosts)
            or len(set(names)) < len(names))


def base_serial(observations: Mapping[str, Observation]) -> int:
    """Return the highest serial of any ledger, 0 without one."""
    return int(newest_ledger(observations).get("serial") or 0)


def remember_hosts(
    missing: Iterable[str], ledger: Mapping[str, Any], seen: Iterable[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    """Return (problem hosts, running instances, notes) of hosts that don't answer.

    What was seen on such a host is there still, and what the plan was about to put there may be: a plan that was
    claimed is no proof that anything was done.

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
        remembered = {item["name"]: item for rows in (ledger.get("instances"), ledger.get("seen"))
                      for item in rows or [] if item.get("host") == name and item["name"] not in there}
        running.extend(_as_running(item) for item in remembered.values())
        # One that was about to move between two silent hosts counts once.
        there |= set(remembered)
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
    claims = item.get("claims") or claims
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
