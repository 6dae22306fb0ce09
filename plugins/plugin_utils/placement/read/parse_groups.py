# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads grades, clusters, groups and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..model import NANO, Affinity, AntiAffinity, Claims, Constraint, Group, Network, Rules, Spread
from .reader import Reader, guess, label_text, show

GRADE_KEYS = ("cores", "cpus", "memory", "disk", "numa", "smt", "resources")
GROUP_KEYS = ("count", "type", "grade", "digest", "network", "requires", "update", "placement")
PLACEMENT_KEYS = ("mode", "constraints", "affinity", "anti_affinity", "spread", "dedicated")
OPERATORS = ("in", "not_in", "exists", "greater_than", "less_than")
CLUSTER_STATES = ("reserved", "started", "stopped", "absent")
MAX_COUNT = 10**6
# A plan of more would not fit the memory that planning is allowed.
MAX_INSTANCES = 2 * 10**6
Key = tuple[str, str]


def read_grades(reader: Reader, value: Any) -> dict[str, Claims]:
    """All grades by name."""
    grades = {}
    for name, raw in reader.mapping(value, "grades").items():
        path = f"grades.{name}"
        reader.name(name, path)
        grades[name] = _grade(reader, reader.mapping(raw, path, GRADE_KEYS), path)
    return grades


def _grade(reader: Reader, raw: Mapping[str, Any], path: str) -> Claims:
    cores = nanocpus = numa = 0
    if raw.get("cores") is not None and raw.get("cpus") is not None:
        reader.complain(path, "has both cores and cpus; expected cores (exclusive) or cpus (a share of the others)")
    if raw.get("cores") is not None:
        cores = reader.whole(raw["cores"], f"{path}.cores", 1, 8192)
    elif raw.get("cpus") is not None:
        nanocpus = round(reader.number(raw["cpus"], f"{path}.cpus", 1e-9, 8192) * NANO)
    if raw.get("numa") not in (None, "any"):
        numa = reader.whole(raw["numa"], f"{path}.numa", 1, 64)
        if not cores:
            reader.complain(f"{path}.numa", "needs exclusive cores; expected cores in the same grade")
        elif numa and cores % numa:
            reader.complain(
                f"{path}.numa", f"{cores} cores don't lie on {numa} nodes in equal parts; expected a divisor"
            )
    whole = reader.choice(raw.get("smt"), f"{path}.smt", ("any", "whole"), "any") == "whole"
    if whole and not cores:
        reader.complain(f"{path}.smt", "needs exclusive cores; expected cores in the same grade")
    return Claims(
        cores=cores,
        nanocpus=nanocpus,
        memory=reader.size(raw["memory"], f"{path}.memory") if raw.get("memory") is not None else 0,
        disk=reader.size(raw["disk"], f"{path}.disk") if raw.get("disk") is not None else 0,
        resources=read_named(reader, raw.get("resources"), f"{path}.resources"),
        numa=numa,
        whole=whole,
    )


def read_named(reader: Reader, value: Any, path: str) -> tuple[tuple[str, int], ...]:
    """Further named resources, in the order of their names."""
    found = []
    for key, raw in sorted(reader.mapping(value, path).items()):
        if key in ("cores", "cpus", "cpu", "memory", "disk"):
            reader.complain(f"{path}.{key}", "is not a further resource; it belongs one level up")
        elif raw is not None and (amount := reader.size(raw, f"{path}.{key}")):
            found.append((key, amount))
    return tuple(found)


def read_clusters(
    reader: Reader,
    value: Any,
    grades: Mapping[str, Claims],
    networks: Mapping[str, Network],
    mode: str,
    running: list[Any],
    classes: dict[Claims, int],
) -> tuple[tuple[Group, ...], tuple[str, ...]]:
    """All groups in the order of (cluster, group), desired and foreign ones, and the clusters' names."""
    wanted: dict[Key, tuple[str, str, Mapping[str, Any]]] = {}
    for cluster, raw_cluster in reader.mapping(value, "clusters").items():
        path = f"clusters.{cluster}"
        reader.name(cluster, path)
        entry = reader.mapping(raw_cluster, path, ("state", "groups"))
        state = reader.choice(entry.get("state"), f"{path}.state", CLUSTER_STATES, "started")
        for name, raw in reader.mapping(entry.get("groups"), f"{path}.groups").items():
            where = f"{path}.groups.{name}"
            reader.name(name, where)
            wanted[(cluster, name)] = (where, state, reader.mapping(raw, where, GROUP_KEYS))
    absent = {
        cluster
        for cluster, raw in (value.items() if isinstance(value, Mapping) else ())
        if isinstance(raw, Mapping) and raw.get("state") == "absent"
    }
    keys = sorted(wanted.keys() | _seen(running))
    clusters = tuple(sorted({cluster for cluster, _name in keys}))
    ids = {key: number for number, key in enumerate(keys)}
    groups = []
    for key, number in ids.items():
        cluster_id = clusters.index(key[0]) if len(clusters) < 9 else _position(clusters, key[0])
        if key not in wanted:
            gone = key[0] in absent
            groups.append(Group(number, key[0], key[1], cluster_id, state="absent" if gone else "started", known=gone))
            continue
        path, state, raw = wanted[key]
        groups.append(
            _group(reader, raw, path, Group(number, *key, cluster_id), state, grades, networks, mode, ids, classes)
        )
    _check_requires(reader, groups, wanted)
    total = sum(group.count for group in groups)
    if total > MAX_INSTANCES:
        reader.complain("clusters", f"the sum of every count is {total}; expected {MAX_INSTANCES} at most")
    return tuple(groups), clusters


def _position(ordered: tuple[str, ...], name: str) -> int:
    import bisect

    return bisect.bisect_left(ordered, name)


def _seen(running: list[Any]) -> set[Key]:
    """Groups that something runs of."""
    seen = set()
    for entry in running:
        if isinstance(entry, Mapping):
            key = (entry.get("cluster"), entry.get("group"))
            if isinstance(key[0], str) and isinstance(key[1], str):
                seen.add((key[0], key[1]))
    return seen


def _group(
    reader: Reader,
    raw: Mapping[str, Any],
    path: str,
    bare: Group,
    state: str,
    grades: Mapping[str, Claims],
    networks: Mapping[str, Network],
    mode: str,
    ids: Mapping[Key, int],
    classes: dict[Claims, int],
) -> Group:
    if "count" not in raw:
        reader.complain(f"{path}.count", "missing; expected a whole number of 0 or more")
    grade = reader.text(raw.get("grade"), f"{path}.grade", "the name of a grade")
    if grade and grade not in grades:
        reader.complain(f"{path}.grade", f"{show(grade)} is not known; expected one of {_some(grades)}")
    network = reader.optional_text(raw.get("network"), f"{path}.network", "the name of a network")
    if network and network not in networks:
        reader.complain(f"{path}.network", f"{show(network)} is not known; expected one of {_some(networks)}")
    update = reader.mapping(raw.get("update"), f"{path}.update", ("batch",))
    batch = update.get("batch")
    placement = reader.mapping(raw.get("placement"), f"{path}.placement", PLACEMENT_KEYS)
    modes = ("binpack", "spread", "balanced")
    return Group(
        id=bare.id,
        cluster=bare.cluster,
        name=bare.name,
        cluster_id=bare.cluster_id,
        count=reader.whole(raw.get("count", 0), f"{path}.count", 0, MAX_COUNT),
        type=reader.optional_text(raw.get("type"), f"{path}.type"),
        grade=grade,
        claims=classes.setdefault(grades.get(grade, Claims()), len(classes)),
        digest=reader.optional_text(raw.get("digest"), f"{path}.digest"),
        network=network,
        requires=tuple(
            reader.text(item, f"{path}.requires[{i}]", "the name of a group")
            for i, item in enumerate(reader.items(raw.get("requires"), f"{path}.requires"))
        ),
        batch=1 if batch is None else reader.whole(batch, f"{path}.update.batch", 1, MAX_COUNT, 1),
        mode=reader.choice(placement.get("mode"), f"{path}.placement.mode", modes, mode),
        state=state,
        rules=_rules(reader, placement, f"{path}.placement", bare, ids),
    )


def _some(names: Mapping[str, Any]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:8]) + (", ..." if len(ordered) > 8 else "") if ordered else "none (there are none)"


def _rules(reader: Reader, raw: Mapping[str, Any], path: str, owner: Group, ids: Mapping[Key, int]) -> Rules:
    constraints = []
    for i, item in enumerate(reader.items(raw.get("constraints"), f"{path}.constraints")):
        constraint = _constraint(reader, item, f"{path}.constraints[{i}]")
        if constraint:
            constraints.append(constraint)
    affinity = []
    for i, item in enumerate(reader.items(raw.get("affinity"), f"{path}.affinity")):
        where = f"{path}.affinity[{i}]"
        entry = reader.mapping(item, where, ("group", "cluster", "topology", "required", "weight"))
        affinity.append(Affinity(_target(reader, entry, where, owner, ids), *_topology(reader, entry, where)))
    anti = []
    for i, item in enumerate(reader.items(raw.get("anti_affinity"), f"{path}.anti_affinity")):
        where = f"{path}.anti_affinity[{i}]"
        entry = reader.mapping(item, where, ("group", "cluster", "topology", "max", "required", "weight"))
        topology, required, weight = _topology(reader, entry, where)
        most = entry.get("max")
        limit = 1 if most is None else reader.whole(most, f"{where}.max", 1, MAX_COUNT, 1)
        anti.append(AntiAffinity(_target(reader, entry, where, owner, ids), topology, limit, required, weight))
    spread = []
    for i, item in enumerate(reader.items(raw.get("spread"), f"{path}.spread")):
        where = f"{path}.spread[{i}]"
        entry = reader.mapping(item, where, ("topology", "max_skew", "required", "weight"))
        topology, required, weight = _topology(reader, entry, where, "zone")
        skew = entry.get("max_skew")
        limit = 1 if skew is None else reader.whole(skew, f"{where}.max_skew", 1, MAX_COUNT, 1)
        spread.append(Spread(topology, limit, required, weight))
    return Rules(
        constraints=tuple(constraints),
        affinity=tuple(affinity),
        anti_affinity=tuple(anti),
        spread=tuple(spread),
        dedicated=reader.flag(raw.get("dedicated"), f"{path}.dedicated", False),
    )


def _topology(reader: Reader, entry: Mapping[str, Any], path: str, default: str = "host") -> tuple[str, bool, float]:
    topology = entry.get("topology")
    weight = entry.get("weight")
    return (
        default if topology is None else reader.text(topology, f"{path}.topology", "host, or the name of a label"),
        reader.flag(entry.get("required"), f"{path}.required", True),
        1.0 if weight is None else reader.number(weight, f"{path}.weight", 0, 1e6, 1.0),
    )


def _target(reader: Reader, entry: Mapping[str, Any], path: str, owner: Group, ids: Mapping[Key, int]) -> int:
    cluster = entry.get("cluster")
    group = entry.get("group")
    if cluster is not None:
        cluster = reader.text(cluster, f"{path}.cluster", "the name of a cluster")
    if group is not None:
        group = reader.text(group, f"{path}.group", "the name of a group")
    key = (owner.cluster if cluster is None else cluster, owner.name if group is None else group)
    if key not in ids:
        same = sorted(name for other, name in ids if other == key[0])
        what = f"one of {', '.join(same[:8])}" if same else "a group of a known cluster"
        reader.complain(f"{path}.group", f"{key[0]}/{key[1]} is not known{guess(key[1], same)}; expected {what}")
        return owner.id
    return ids[key]


def _constraint(reader: Reader, item: Any, path: str) -> Optional[Constraint]:
    entry = reader.mapping(item, path, ("label", *OPERATORS, "required", "weight"))
    label = reader.text(entry.get("label"), f"{path}.label", "the name of a host label")
    _name, required, weight = _topology(reader, {**entry, "topology": "host"}, path)
    given = [operator for operator in OPERATORS if operator in entry]
    if len(given) != 1:
        what = ", ".join(given) if given else "no operator"
        reader.complain(path, f"has {what}; expected exactly one of {', '.join(OPERATORS)}")
        return None
    operator, value = given[0], entry[given[0]]
    where = f"{path}.{operator}"
    if operator == "exists":
        number = float(reader.flag(value, where, True))
        return Constraint(label, operator, frozenset(), number, required, weight)
    if operator in ("greater_than", "less_than"):
        number = reader.number(value, where, -1e300, 1e300)
        return Constraint(label, operator, frozenset(), number, required, weight)
    values = set()
    for i, raw in enumerate(reader.items(value, where)):
        if isinstance(raw, (str, int, float)):
            values.add(label_text(raw))
        else:
            reader.complain(f"{where}[{i}]", f"{show(raw)} is not a label's value; expected a text or a number")
    return Constraint(label, operator, frozenset(values), 0.0, required, weight)


def _check_requires(reader: Reader, groups: list[Group], wanted: Mapping[Key, Any]) -> None:
    """Every required group is known, and nothing waits for itself."""
    requires = {(g.cluster, g.name): [(g.cluster, name) for name in g.requires] for g in groups}
    for group in groups:
        for i, name in enumerate(group.requires):
            if name and (group.cluster, name) not in wanted:
                path = f"clusters.{group.cluster}.groups.{group.name}.requires[{i}]"
                reader.complain(path, f"{show(name)} is not a group of {group.cluster}; expected one of its groups")
    done: set[Key] = set()
    for start in requires:
        trail: list[Key] = []
        _walk(reader, start, requires, done, trail)


def _walk(reader: Reader, start: Key, requires: Mapping[Key, list[Key]], done: set[Key], trail: list[Key]) -> None:
    """Depth first without recursion, so that a long chain of groups can't exhaust the stack."""
    stack: list[tuple[Key, int]] = [(start, 0)]
    on_trail: set[Key] = set()
    while stack:
        key, position = stack.pop()
        if position == 0:
            if key in done:
                continue
            on_trail.add(key)
            trail.append(key)
        following = requires.get(key, [])
        if position == len(following):
            done.add(key)
            on_trail.discard(key)
            trail.pop()
            continue
        stack.append((key, position + 1))
        after = following[position]
        if after in on_trail:
            loop = [name for _cluster, name in trail[trail.index(after) :]] + [after[1]]
            path = f"clusters.{after[0]}.groups.{after[1]}.requires"
            reader.complain(path, f"is a cycle ({' -> '.join(loop)}); expected an order in which groups can start")
        elif after not in done:
            stack.append((after, 0))
