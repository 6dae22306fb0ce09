# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what runs with what was planned, after it was applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .diff import ranges


def find_differences(
    instances: Iterable[Mapping[str, Any]],
    observations: Mapping[str, Mapping[str, Any]],
    held: Collection[str],
) -> list[str]:
    """Return a sentence for each planned instance that is not as planned on a host that answered."""
    found = {
        (container["name"], host): container
        for host, observation in observations.items()
        for container in observation.get("containers") or []
    }
    sentences = []
    for item in instances:
        name, host = item["name"], item.get("host") or item.get("from_host")
        if name in held or host not in observations or item["action"] in ("unknown", "foreign"):
            continue
        container = found.get((name, host))
        if item["action"] == "remove":
            if container is not None:
                sentences.append(f"{name} is still on {host}; it was to be removed")
        elif container is None:
            sentences.append(f"{name} is not on {host}, where the plan has it")
        else:
            sentences.extend(f"{name} on {host}: {what}" for what in _compare(item, container))
    return sentences


def _compare(item: Mapping[str, Any], container: Mapping[str, Any]) -> Iterable[str]:
    if item.get("state", "started") == "started":
        if container["state"] != "running":
            yield f"is {container['state']}, planned running"
        elif container.get("health") in ("unhealthy", "starting"):
            yield f"is {container['health']}, planned healthy"
    elif container["state"] == "running":
        yield f"is running, planned {item['state']}"
    if item.get("cores") and sorted(item["cores"]) != sorted(container.get("cores") or []):
        yield f"owns cores {ranges(container.get('cores') or []) or 'none'}, planned {ranges(item['cores'])}"
    if item.get("memory") and container.get("memory") != item["memory"]:
        yield f"has {container.get('memory')} bytes of memory, planned {item['memory']}"
    # The engine gives an address only to what runs.
    addressed = item.get("network") and container["state"] == "running"
    if addressed and item.get("address") and container.get("address") != item["address"]:
        yield f"has the address {container.get('address')}, planned {item['address']}"
    if item.get("address6") and container["state"] == "running" and container.get("address6") != item["address6"]:
        yield f"has the address {container.get('address6')}, planned {item['address6']}"
