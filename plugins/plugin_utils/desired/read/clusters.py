# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters and their groups. Placement rules are read by the planner, which knows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ....module_utils.common.naming import MAX_NAME, instance_name
from .complaints import Complaints, join, show
from .isolation import check_rules_of, read_isolation

VARIABLE = "stowage_clusters"
STATES = ("started", "stopped", "reserved", "absent")
CLUSTER_KEYS = ("state", "network", "groups", "isolation", "allow")
GROUP_KEYS = ("count", "type", "grade", "network", "requires", "update", "placement")


def read_clusters(
    value: Any, grades: Iterable[str], types: Iterable[str], networks: Iterable[str], complaints: Complaints
) -> dict[str, dict[str, Any]]:
    """Return the clusters with every default filled in: state, network, count, requires, isolation."""
    clusters = {}
    given_clusters = complaints.named(VARIABLE, value)
    for name, item in given_clusters.items():
        path = join(VARIABLE, name)
        given = complaints.mapping(path, item, CLUSTER_KEYS)
        network = _read_network(join(path, "network"), given.get("network"), networks, None, complaints)
        groups = {
            group: _read_group(join(join(path, "groups"), group), spec, network, complaints)
            for group, spec in complaints.named(join(path, "groups"), given.get("groups")).items()
        }
        clusters[name] = {
            "state": _read_state(join(path, "state"), given.get("state"), complaints),
            "groups": groups,
            **read_isolation(path, given, given_clusters, complaints),
        }
        for group, spec in groups.items():
            _check_references(join(join(path, "groups"), group), spec, grades, types, networks, complaints)
            _check_length(join(join(path, "groups"), group), name, group, spec["count"], complaints)
        _check_requires(join(path, "groups"), groups, complaints)
    check_rules_of(clusters, VARIABLE, complaints)
    return clusters


def _read_state(path: str, value: Any, complaints: Complaints) -> Any:
    # YAML reads a bare off or no as false, and that is not the same as nothing said.
    return "started" if value is None else complaints.choice(path, value, STATES, "started")


def _check_length(path: str, cluster: str, group: str, count: int, complaints: Complaints) -> None:
    """An instance's name is its host name too, and a kernel takes so much of that and no more."""
    longest = instance_name(cluster, group, max(0, count - 1))
    if len(longest) > MAX_NAME:
        complaints.add(path, f"its instances have names of up to {len(longest)} characters, as {show(longest)}; "
                       f"expected names of cluster and group that leave it at {MAX_NAME}")


def _read_group(path: str, value: Any, network: str | None, complaints: Complaints) -> dict[str, Any]:
    given = complaints.mapping(path, value, GROUP_KEYS)
    group: dict[str, Any] = {
        "count": complaints.whole(join(path, "count"), given.get("count", 1), default=0),
        "type": given.get("type"),
        "grade": given.get("grade"),
        "network": given.get("network") or network,
        "requires": [],
        "update": complaints.mapping(join(path, "update"), given.get("update")),
        "placement": complaints.mapping(join(path, "placement"), given.get("placement")),
    }
    for position, item in enumerate(complaints.listing(join(path, "requires"), given.get("requires"))):
        required = complaints.text(join(join(path, "requires"), position), item)
        if required is not None:
            group["requires"].append(required)
    return group


def _check_references(
    path: str,
    spec: dict[str, Any],
    grades: Iterable[str],
    types: Iterable[str],
    networks: Iterable[str],
    complaints: Complaints,
) -> None:
    for key, known in (("type", types), ("grade", grades)):
        if spec[key] is None:
            complaints.add(join(path, key), f"missing; expected the name of a {key} in stowage_{key}s")
        else:
            complaints.reference(join(path, key), spec[key], known, key)
    spec["network"] = _read_network(join(path, "network"), spec["network"], networks, _only(networks), complaints)


def _only(networks: Iterable[str]) -> str | None:
    """With one network defined it is the default."""
    names = list(networks)
    return names[0] if len(names) == 1 else None


def _read_network(
    path: str, value: Any, networks: Iterable[str], default: str | None, complaints: Complaints
) -> str | None:
    if value is not None:
        return complaints.reference(path, value, networks, "network")
    return default


def _check_requires(path: str, groups: dict[str, dict[str, Any]], complaints: Complaints) -> None:
    for name, group in groups.items():
        for position, required in enumerate(group["requires"]):
            where = join(join(join(path, name), "requires"), position)
            if required == name:
                complaints.add(where, f"{name} requires itself; expected other groups of the cluster")
            else:
                complaints.reference(where, required, groups, "group of this cluster")
    circle = _find_circle({name: group["requires"] for name, group in groups.items()})
    if circle and len(circle) > 2:
        where = join(join(path, circle[0]), "requires")
        order = " requires ".join(circle)
        complaints.add(where, f"the groups wait for each other ({order}); expected an order without a circle")


def _find_circle(requires: dict[str, list[str]]) -> list[str] | None:
    """Return one circle of groups, its first repeated at the end, or None. Iterative: input may be deep."""
    done: set[str] = set()
    for start in requires:
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(start, True)]
        while stack:
            name, entering = stack.pop()
            if not entering:
                path.pop()
                done.add(name)
                continue
            if name in path:
                return path[path.index(name) :] + [name]
            if name in done or name not in requires:
                continue
            path.append(name)
            stack.append((name, False))
            stack.extend((other, True) for other in requires[name] if other != name)
    return None
