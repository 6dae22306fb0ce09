# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks travel with their instances (see ``travel``), named volumes don't: what a plan would leave behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def left_behind(instances: Iterable[Mapping[str, Any]], options: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each instance that a plan moves away from data that can't move along.

    :param instances: the plan's instances.
    :param options: the container options of each wanted instance, by name, templates filled in.
    """
    sentences = []
    for instance in instances:
        kept = _own_data(options.get(instance["name"], {}))
        if instance["action"] == "move" and kept:
            why = "; ".join(instance.get("reasons") or []) or "the plan says so"
            sentences.append(
                f"{instance['name']} would move from {instance['from_host']} to {instance['host']} ({why}), "
                f"and its data in {', '.join(kept)}, in a named volume of the engine, would stay there; data on a disk "
                "(stowage_types: data) moves along"
            )
    return sentences


def _own_data(options: Mapping[str, Any]) -> list[str]:
    """Return the paths in the container that lie in a named volume of its host."""
    paths = []
    for mount in options.get("mounts") or []:
        source = mount.get("source") or ""
        if source and not source.startswith("/") and mount.get("type") in (None, "volume"):
            paths.append(mount["target"])
    return paths
