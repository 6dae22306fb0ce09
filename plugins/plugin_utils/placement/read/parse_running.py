# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what runs into columns, in the order of (group, index); made for a hundred thousand entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..model import BUILT_IN, NANO, UNREACHABLE, Claims, Group, Hosts, Running
from ..numeric import Bools, Ints, np
from .parse_groups import read_named
from .reader import Reader, join, show

KEYS = frozenset(
    ("cluster", "group", "index", "host", "state", "healthy", "claims", "cores", "cpuset")
    + ("network", "address", "digest", "grade", "type")
)
UP = ("running", "restarting")
MAX_INDEX = 10**9


class ClaimsBook:
    """Claims seen so far: many instances, few kinds of claims."""

    def __init__(
        self, reader: Reader, grades: Mapping[str, Claims], classes: dict[Claims, int], states: list[int]
    ) -> None:
        self.reader = reader
        self.states = states
        self.grades = grades
        self.classes = classes
        self.amounts = list(classes)
        self._known: dict[object, int] = {}

    def class_of(self, raw: Any, grade: Optional[str], group: Group, path: str) -> int:
        """The number of the claims class of a running instance."""
        key: object = None
        if isinstance(raw, dict):
            try:
                key = (tuple(raw.items()), grade, group.claims)
                found = self._known.get(key)
                if found is not None:
                    return found
            except TypeError:
                key = None
        number = self._read(raw, grade, group, path)
        if key is not None:
            self._known[key] = number
        return number

    def _read(self, raw: Any, grade: Optional[str], group: Group, path: str) -> int:
        named = self.grades.get(grade or "", self.grades.get(group.grade or "", Claims()))
        if raw is None:
            return self._number(named)
        claims = self._claims(raw, path)
        if group.claims >= 0 and claims.same_amounts(self.amounts[group.claims]):
            return group.claims
        if claims.same_amounts(named):
            return self._number(named)
        return self._number(claims)

    def _claims(self, raw: Any, path: str) -> Claims:
        entry = self.reader.mapping(raw, path)
        named = dict(read_named(self.reader, entry.get("resources"), join(path, "resources")))
        for key, value in entry.items():
            if key in BUILT_IN or key == "resources" or value is None:
                continue
            if amount := self.reader.size(value, join(path, key)):
                named[key] = amount
        cores = 0 if entry.get("cores") is None else self.reader.whole(entry["cores"], join(path, "cores"), 0, 8192)
        cpus = entry.get("cpus")
        nano = 0 if cpus is None else round(self.reader.number(cpus, join(path, "cpus"), 0, 8192) * NANO)
        if cores and nano:
            self.reader.complain(path, "has both cores and cpus; expected one of them")
        return Claims(
            cores=cores,
            nanocpus=0 if cores else nano,
            memory=self.reader.size(entry.get("memory") or 0, join(path, "memory")),
            disk=self.reader.size(entry.get("disk") or 0, join(path, "disk")),
            resources=tuple(sorted(named.items())),
        )

    def _number(self, claims: Claims) -> int:
        if claims not in self.classes:
            self.classes[claims] = len(self.classes)
            self.amounts.append(claims)
        return self.classes[claims]


def read_running(
    reader: Reader,
    entries: list[Any],
    hosts: Hosts,
    groups: tuple[Group, ...],
    grades: Mapping[str, Claims],
    classes: dict[Claims, int],
) -> Running:
    """What there is, as columns."""
    by_key = {(group.cluster, group.name): group for group in groups}
    host_rows = {name: row for row, name in enumerate(hosts.names)}
    book = ClaimsBook(reader, grades, classes, hosts.state.tolist())
    rows = []
    for position, entry in enumerate(entries):
        row = _row(reader, entry, position, by_key, host_rows, book)
        if row is not None:
            rows.append(row)
    rows.sort(key=_order)
    columns: list[Any] = [list(column) for column in zip(*rows)] if rows else [[] for _turn in range(14)]
    group, index, host = (np.array(columns[i], dtype=np.int64) for i in (0, 1, 3))
    claims = np.array(columns[4], dtype=np.int64)
    core_counts = np.array([c.cores for c in classes], dtype=np.int64)
    wanted = core_counts[claims] if len(rows) else np.zeros(0, dtype=np.int64)
    cores = tuple(columns[8])
    surplus = np.zeros(len(rows), dtype=np.bool_)
    valid, owned_by, owned_at = valid_cores(hosts, host, wanted, cores)
    if len(rows):
        surplus[1:] = (group[1:] == group[:-1]) & (index[1:] == index[:-1])
    return Running(
        group=group,
        index=index,
        host=host,
        claims=claims,
        up=np.array(columns[5], dtype=np.bool_),
        healthy=np.array(columns[6], dtype=np.bool_),
        same_spec=np.array(columns[7], dtype=np.bool_),
        surplus=surplus,
        cores=cores,
        cores_valid=valid,
        owned_by=owned_by,
        owned_at=owned_at,
        cpuset={row: value for row, value in enumerate(columns[9]) if value is not None},
        network=tuple(columns[10]),
        address=tuple(columns[11]),
        grade=tuple(columns[12]),
        type=tuple(columns[13]),
    )


def _order(row: tuple[Any, ...]) -> tuple[Any, ...]:
    # Of two of one name the better one comes first: on a reachable host, up, healthy, then by host.
    return (row[0], row[1], row[2], not row[5], not row[6], row[3])


def _row(
    reader: Reader,
    entry: Any,
    position: int,
    by_key: Mapping[tuple[str, str], Group],
    host_rows: Mapping[str, int],
    book: ClaimsBook,
) -> Optional[tuple[Any, ...]]:
    if not isinstance(entry, dict) or not entry.keys() <= KEYS:
        entry = reader.mapping(entry, f"running[{position}]", KEYS)
    cluster, name, host = entry.get("cluster"), entry.get("group"), entry.get("host")
    index = entry.get("index")
    group = by_key.get((cluster, name)) if isinstance(cluster, str) and isinstance(name, str) else None
    row = host_rows.get(host) if isinstance(host, str) else None
    if group is None or row is None or index.__class__ is not int or not 0 <= index <= MAX_INDEX:
        path = f"running[{position}]"
        reader.text(cluster, f"{path}.cluster", "the name of a cluster")
        reader.text(name, f"{path}.group", "the name of a group")
        reader.whole(index, f"{path}.index", 0, MAX_INDEX)
        if row is None:
            reader.complain(f"{path}.host", f"{show(host)} is not known; expected the name of one of hosts")
        return None
    grade, digest, network = entry.get("grade"), entry.get("digest"), entry.get("network")
    address, kind, state = entry.get("address"), entry.get("type"), entry.get("state", "running")
    for key, value in (
        ("grade", grade),
        ("digest", digest),
        ("network", network),
        ("address", address),
        ("type", kind),
    ):
        if value is not None and not isinstance(value, str):
            reader.complain(f"running[{position}].{key}", f"{show(value)} is not a text; expected a text or null")
            return None
    claims = book.class_of(entry.get("claims"), grade, group, f"running[{position}].claims")
    same = claims == group.claims and (network or None) == (group.network or None)
    if digest is not None and group.digest is not None:
        same = same and digest == group.digest
    elif grade is not None:
        same = same and grade == group.grade
    cores = _cores(reader, entry.get("cores"), position, "cores") or ()
    cpuset = _cores(reader, entry.get("cpuset"), position, "cpuset")
    healthy = entry.get("healthy") is not False
    down = book.states[row] == UNREACHABLE
    found = (group.id, index, down, row, claims, state in UP, healthy, same, cores)
    return (*found, cpuset, network, address or None, grade, kind)


def _cores(reader: Reader, value: Any, position: int, key: str) -> Optional[tuple[int, ...]]:
    if value is None:
        return None
    if not isinstance(value, list) or not all(core.__class__ is int and 0 <= core < 2**20 for core in value):
        reader.complain(f"running[{position}].{key}", f"{show(value)} is not a list of core numbers")
        return None
    return tuple(value)


def valid_cores(hosts: Hosts, host: Ints, wanted: Ints, cores: tuple[tuple[int, ...], ...]) -> tuple[Bools, Ints, Ints]:
    """Which instances own what they should: as many cores as claimed, none reserved, none owned twice.

    Of two owners of one core, the first in order stays valid. Also returned: row and position of every core that a
    valid owner has.
    """
    lengths = np.array([len(c) for c in cores], dtype=np.int64) * (wanted > 0)
    valid = np.asarray(lengths == wanted)
    total = int(lengths.sum())
    if not total:
        return valid, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    flat = np.fromiter((core for c, w in zip(cores, wanted.tolist()) if w for core in c), dtype=np.int64, count=total)
    owner = np.repeat(np.arange(len(cores)), lengths)
    position = positions(hosts, host[owner], flat)
    width = max(len(shape.ids) for shape in hosts.shapes) + 1
    seat = host[owner] * width + position
    _seats, first = np.unique(seat, return_index=True)
    wrong = np.ones(total, dtype=np.bool_)
    wrong[first] = False
    wrong |= position < 0
    valid[owner[wrong]] = False
    right = valid[owner]
    return valid, owner[right], position[right]


def positions(hosts: Hosts, rows: Ints, cores: Ints) -> Ints:
    """Where logical CPU ids stand in their host's shape; -1 for those that are reserved or not there."""
    found = np.full(len(cores), -1, dtype=np.int64)
    kinds = hosts.shape[rows]
    for number in np.unique(kinds).tolist():
        shape = hosts.shapes[number]
        mine = kinds == number
        ids = cores[mine]
        inside = ids < len(shape.position)
        place = np.where(inside, shape.position[np.where(inside, ids, 0)], -1)
        usable = np.append(shape.usable, False)
        found[mine] = np.where(usable[place], place, -1)
    return found
