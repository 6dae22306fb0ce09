# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits on writable layers: which hosts of a plan can't give what a type asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ....module_utils.engine.layer_limit import refusal
from ..plan.last_known import Observation


def unlimited_layers(
    instances: Iterable[Mapping[str, Any]],
    options: Mapping[str, Mapping[str, Any]],
    observations: Mapping[str, Observation],
) -> list[str]:
    """Return a sentence for each host that can't limit the writable layers of what the plan gives it.

    :param instances: the plan's instances.
    :param options: the container options of each wanted instance, by name.
    """
    asking: dict[str, list[str]] = {}
    for item in instances:
        wanted = (options.get(item["name"]) or {}).get("storage_opt") or {}
        if wanted.get("size") and item.get("host"):
            asking.setdefault(item["host"], []).append(item["name"])
    sentences = []
    for host in sorted(asking):
        limit = ((observations.get(host) or {}).get("engine") or {}).get("layer_limit")
        if limit and not limit["supported"]:
            sentences.append(refusal(asking[host], host, limit))
    return sentences
