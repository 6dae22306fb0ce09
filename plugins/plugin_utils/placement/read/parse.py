# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a whole problem: the order of reading, and what the parts must agree on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import model
from ..model import BUILT_IN, Claims, Options, Rebalance
from ..numeric import np, require_numpy
from .parse_disks import read_disks
from .parse_groups import read_clusters, read_grades
from .parse_hosts import read_hosts
from .parse_running import read_running
from .pools import read_networks
from .reader import Reader, show

KEYS = ("version", "hosts", "grades", "clusters", "running", "networks", "disks", "options")
OPTION_KEYS = ("mode", "exact", "exact_seconds", "improve_seconds", "replace_unreachable", "rebalance")


class Problem(model.Problem):
    """A problem as it is read: plain JSON becomes columns."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Problem:
        """Check a problem (plain JSON, see docs/problem.schema.json) and lay it out.

        :raises InvalidInput: with *all* complaints, each a sentence that starts with the path of the value.
        :raises MissingDependency: where NumPy is not installed.
        """
        return parse_problem(data)


def parse_problem(data: Mapping[str, Any]) -> Problem:
    """Check and lay out a problem; see ``Problem.from_dict``."""
    require_numpy()
    reader = Reader()
    top = reader.mapping(data, "", KEYS)
    version = top.get("version", 1)
    if version != 1 or isinstance(version, bool):
        reader.complain("version", f"{show(version)} is not known; expected 1")
    if "hosts" not in top:
        reader.complain("hosts", "missing; expected a list of hosts")
    options = read_options(reader, top.get("options"))
    networks = read_networks(reader, top.get("networks"))
    grades = read_grades(reader, top.get("grades"))
    raw_hosts = reader.items(top.get("hosts"), "hosts")
    raw_running = reader.items(top.get("running"), "running")
    dimensions = _dimensions(grades, raw_hosts, raw_running)
    hosts = read_hosts(reader, raw_hosts, dimensions)
    classes: dict[Claims, int] = {}
    groups, clusters = read_clusters(reader, top.get("clusters"), grades, networks, options.mode, raw_running, classes)
    running = read_running(reader, raw_running, hosts, groups, grades, classes)
    disks = read_disks(reader, top.get("disks"), hosts, groups, running)
    reader.finish()
    claims = tuple(classes)
    demand = np.array([[float(c.amount(d)) for d in dimensions] for c in claims], dtype=np.float64)
    demand = demand.reshape(len(claims), len(dimensions))
    return Problem(
        dimensions=dimensions,
        hosts=hosts,
        claims=claims,
        demand=demand,
        groups=groups,
        clusters=clusters,
        running=running,
        networks=networks,
        options=options,
        disks=disks,
        source=data,
    )


def _dimensions(grades: Mapping[str, Claims], hosts: list[Any], running: list[Any]) -> tuple[str, ...]:
    """cpu, memory, disk, and every further resource that somebody claims or counts."""
    names = {name for claims in grades.values() for name, _amount in claims.resources}
    for host in hosts:
        if isinstance(host, Mapping) and isinstance(host.get("resources"), Mapping):
            names.update(key for key in host["resources"] if isinstance(key, str))
    known = BUILT_IN | {"resources"}
    for entry in running:
        claims = entry.get("claims") if isinstance(entry, Mapping) else None
        if isinstance(claims, Mapping) and not claims.keys() <= known:
            names.update(key for key in claims if isinstance(key, str) and key not in known)
        if isinstance(claims, Mapping) and isinstance(claims.get("resources"), Mapping):
            names.update(key for key in claims["resources"] if isinstance(key, str))
    return ("cpu", "memory", "disk", *sorted(names - BUILT_IN - {"cpu"}))


def read_options(reader: Reader, value: Any) -> Options:
    """The fleet-wide options."""
    raw = reader.mapping(value, "options", OPTION_KEYS)
    replace = raw.get("replace_unreachable", False)
    if isinstance(replace, bool) or replace is None:
        names: tuple[str, ...] = ("*",) if replace else ()
    else:
        names = tuple(
            reader.text(item, f"options.replace_unreachable[{i}]", "the name of a host")
            for i, item in enumerate(reader.items(replace, "options.replace_unreachable"))
        )
    return Options(
        mode=reader.choice(raw.get("mode"), "options.mode", ("binpack", "spread", "balanced"), "binpack"),
        exact=reader.choice(raw.get("exact"), "options.exact", ("auto", "always", "never"), "auto"),
        exact_seconds=reader.number(_given(raw, "exact_seconds", 10), "options.exact_seconds", 0.001, 3600, 10),
        improve_seconds=reader.number(_given(raw, "improve_seconds", 0), "options.improve_seconds", 0, 3600),
        replace_unreachable=names,
        rebalance=_rebalance(reader, raw.get("rebalance")),
    )


def _given(raw: Mapping[str, Any], key: str, default: Any) -> Any:
    """A value, where null means the default."""
    value = raw.get(key)
    return default if value is None else value


def _rebalance(reader: Reader, value: Any) -> Rebalance | None:
    if value is None:
        return None
    path = "options.rebalance"
    raw = reader.mapping(value, path, ("moves", "price", "goal"))
    goals = ("consolidate", "balance", "preferences")
    goal = reader.choice(raw.get("goal"), f"{path}.goal", goals, "consolidate")
    moves = price = None
    if raw.get("moves") is not None:
        moves = reader.whole(raw["moves"], f"{path}.moves", 0, 10**6)
    if raw.get("price") is not None:
        price = reader.number(raw["price"], f"{path}.price", 0, 1e9)
    if moves is None and price is None and isinstance(value, Mapping):
        reader.complain(path, "says neither moves nor price; expected a budget of moves or a price per move")
    return Rebalance(moves=moves, price=price, goal=goal)
