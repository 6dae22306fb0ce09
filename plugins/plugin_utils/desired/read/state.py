# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The desired state as one checked object. What the planner checks itself (placement rules) passes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .clusters import read_clusters
from .complaints import Complaints, join
from .grades import read_grades
from .networks import read_networks
from .types import read_types
from .values import Render, fill, typed

VARIABLES = ("stowage_grades", "stowage_types", "stowage_clusters", "stowage_networks", "stowage_placement")
PLACEMENT_OPTIONS = ("mode", "exact", "exact_seconds", "improve_seconds", "rebalance")
# What the operator decides beside them: apply what fits, and move instances away from their data.
_DECISIONS = ("partial", "leave_data")


@dataclass(frozen=True)
class Override:
    """The count of one group, as the command line gave it."""

    cluster: str
    group: str
    count: int
    written: int | None = None  # the count that the variables hold

    @property
    def sentence(self) -> str:
        """What the operator has to know: the override is gone with the next run."""
        path = f"stowage_clusters.{self.cluster}.groups.{self.group}.count"
        return (
            f"{self.cluster}/{self.group} counts {self.count} in this run only; {path} says {self.written}. "
            f"Write {self.count} there to keep it, or the next site.yml returns to {self.written}."
        )


@dataclass(frozen=True)
class Desired:
    """What is wanted. Sizes are bytes; ``types`` keep their templates, which are filled in after planning."""

    grades: dict[str, dict[str, Any]]
    types: dict[str, Any]
    clusters: dict[str, dict[str, Any]]
    networks: dict[str, dict[str, Any]]
    options: dict[str, Any]
    partial: bool = False
    leave_data: bool = False
    override: Override | None = None
    notes: tuple[str, ...] = field(default=())

    def groups(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return (cluster, group, specification) of every group that is not absent."""
        return [
            (cluster, group, spec)
            for cluster, entry in self.clusters.items()
            if entry["state"] != "absent"
            for group, spec in entry["groups"].items()
        ]


def read_desired(
    raw: Mapping[str, Any], render: Render, complaints: Complaints, override: Mapping[str, Any] | None = None
) -> Desired:
    """Check the ``stowage_*`` variables in ``raw`` and return them as a Desired.

    :param raw: the variables as Ansible holds them, before templates are filled in.
    :param override: ``cluster``, ``group`` and ``count`` of the command line, or nothing.
    :param complaints: takes every complaint; the result is only usable when it stays empty.
    """
    filled = {name: _filled(raw, name, render, complaints) for name in VARIABLES if name != "stowage_types"}
    grades = read_grades(filled["stowage_grades"], complaints)
    types = read_types(raw.get("stowage_types"), render, complaints)
    networks = read_networks(filled["stowage_networks"], complaints)
    clusters = read_clusters(filled["stowage_clusters"], grades, types, networks, complaints)
    options, partial, leave_data = _read_placement(filled["stowage_placement"], complaints)
    chosen = read_override(override or {}, clusters, complaints)
    return Desired(grades, types, clusters, networks, options, partial, leave_data, chosen)


def read_override(
    given: Mapping[str, Any], clusters: dict[str, dict[str, Any]], complaints: Complaints
) -> Override | None:
    """Apply ``count`` of the command line to its group, or complain about what is missing or unknown."""
    if given.get("count") is None:
        return None
    names = [name for name in ("cluster", "group") if not given.get(name)]
    for name in names:
        complaints.add(name, "missing; expected -e cluster=NAME -e group=NAME -e count=NUMBER together")
    count = complaints.whole("count", given["count"])
    if names or count is None:
        return None
    cluster = complaints.reference("cluster", given["cluster"], clusters, "cluster")
    if cluster is None:
        return None
    groups = clusters[cluster]["groups"]
    group = complaints.reference("group", given["group"], groups, f"group of cluster {cluster}")
    if group is None:
        return None
    written = groups[group]["count"]
    groups[group]["count"] = count
    return Override(cluster, group, count, written)


def _filled(raw: Mapping[str, Any], name: str, render: Render, complaints: Complaints) -> Any:
    value = raw.get(name)
    return typed(value, fill(value, render, name, complaints))


def _read_placement(value: Any, complaints: Complaints) -> tuple[dict[str, Any], bool, bool]:
    """Return the planner's own options, ``partial`` and ``leave_data``."""
    path = "stowage_placement"
    options = complaints.mapping(path, value, (*PLACEMENT_OPTIONS, *_DECISIONS))
    decisions = [bool(complaints.boolean(join(path, name), options.pop(name, False), False)) for name in _DECISIONS]
    return options, decisions[0], decisions[1]
