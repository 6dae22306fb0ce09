# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads hosts into columns; hosts of one make share the shape of their CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..model import ACTIVE, NANO, STATES, Hosts, Shape
from ..numeric import Floats, np
from .reader import Reader, label_text, show

KEYS = ("name", "state", "labels", "cpus", "resources", "reserved", "numa_memory")
CPU_KEYS = ("id", "core", "socket", "node")
MAX_CPUS = 8192
Cpu = tuple[int, int, int, int]


class ShapeBook:
    """Shapes seen so far: a fleet has many hosts, but few makes."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.shapes: list[Shape] = []
        self._known: dict[tuple[object, int], int] = {}

    def shape_of(self, cpus: Any, reserved: int, path: str) -> int:
        """The number of the shape of a host's ``cpus``, with the ``reserved`` lowest ids held back."""
        key: tuple[object, int] = (self._key(cpus, path), reserved)
        if key not in self._known:
            self._known[key] = len(self.shapes)
            self.shapes.append(make_shape(key[0] if isinstance(key[0], tuple) else _plain(key[0]), reserved))
        return self._known[key]

    def _key(self, cpus: Any, path: str) -> object:
        if cpus is None:
            return 0
        if not isinstance(cpus, list):
            return self.reader.whole(cpus, path, 0, MAX_CPUS)
        try:
            plain = tuple((cpu["id"], cpu["core"], cpu["socket"], cpu["node"]) for cpu in cpus)
            usual = all(number.__class__ is int and 0 <= number < 2**20 for cpu in plain for number in cpu)
            if usual and all(len(cpu) == 4 for cpu in cpus) and len({cpu[0] for cpu in plain}) == len(plain):
                return plain
        except (KeyError, TypeError):
            pass
        return self._slowly(cpus, path)

    def _slowly(self, cpus: list[Any], path: str) -> tuple[Cpu, ...]:
        """The same, with defaults filled in and every fault named."""
        found: dict[int, Cpu] = {}
        for position, raw in enumerate(cpus):
            where = f"{path}[{position}]"
            entry = self.reader.mapping(raw, where, CPU_KEYS)
            if "id" not in entry:
                self.reader.complain(f"{where}.id", "missing; expected the number of a logical CPU")
                continue
            number = self.reader.whole(entry["id"], f"{where}.id", 0, 2**20)
            core = entry.get("core")
            rest = (
                number if core is None else self.reader.whole(core, f"{where}.core", 0, 2**20),
                self.reader.whole(entry.get("socket") or 0, f"{where}.socket", 0, 2**20),
                self.reader.whole(entry.get("node") or 0, f"{where}.node", 0, 1023),
            )
            if number in found:
                self.reader.complain(f"{where}.id", f"{number} occurs twice; expected each logical CPU once")
            found[number] = (number, *rest)
        return tuple(found.values())


def _plain(count: object) -> tuple[Cpu, ...]:
    return tuple((number, number, 0, 0) for number in range(count if isinstance(count, int) else 0))


def make_shape(cpus: tuple[Cpu, ...], reserved: int) -> Shape:
    """Lay out one make of host."""
    ordered = sorted(cpus)
    ids = np.array([cpu[0] for cpu in ordered], dtype=np.int64)
    nodes = tuple(sorted({cpu[3] for cpu in ordered}))
    node = np.array([nodes.index(cpu[3]) for cpu in ordered], dtype=np.int64)
    places = sorted({(cpu[2], cpu[1]) for cpu in ordered})
    index = {place: number for number, place in enumerate(places)}
    physical = np.array([index[(cpu[2], cpu[1])] for cpu in ordered], dtype=np.int64)
    siblings = np.bincount(physical, minlength=1)
    threads = int(siblings.max()) if len(ordered) else 1
    position = np.full(int(ids.max()) + 1 if len(ids) else 1, -1, dtype=np.int64)
    position[ids] = np.arange(len(ids))
    return Shape(
        ids=ids,
        node=node,
        physical=physical,
        threads=threads,
        usable=np.arange(len(ids)) >= reserved,
        position=position,
        full=siblings[physical] == threads if len(ids) else np.zeros(0, dtype=np.bool_),
        nodes=nodes,
    )


def read_hosts(reader: Reader, raw_hosts: list[Any], dimensions: tuple[str, ...]) -> Hosts:
    """All hosts, in the order of their names."""
    entries: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for position, raw in enumerate(raw_hosts):
        path = f"hosts[{position}]"
        entry = reader.mapping(raw, path, KEYS)
        name = reader.text(entry.get("name"), f"{path}.name", "the host's name")
        if name in entries:
            reader.complain(f"{path}.name", f"{show(name)} names two hosts; expected each name once")
        entries[name] = (path, entry)
    names = sorted(entries)
    book = ShapeBook(reader)
    capacity = np.zeros((len(dimensions), len(names)))
    states, labels, shapes = [], [], []
    by_node: dict[int, list[int]] = {}
    for row, name in enumerate(names):
        path, entry = entries[name]
        state = reader.choice(entry.get("state"), f"{path}.state", STATES, "active")
        states.append(STATES.index(state))
        labels.append(_labels(reader, entry.get("labels"), f"{path}.labels"))
        amounts = _amounts(reader, entry.get("resources"), f"{path}.resources", ("cores", "cpus", "cpu"))
        held_back = dict(reader.mapping(entry.get("reserved"), f"{path}.reserved"))
        shares = reader.number(held_back.pop("cpus", 0), f"{path}.reserved.cpus", 0, MAX_CPUS)
        reserved = _amounts(reader, held_back, f"{path}.reserved", ("cpu",))
        shape = book.shape_of(entry.get("cpus"), reserved.get("cores", 0), f"{path}.cpus")
        shapes.append(shape)
        capacity[0, row] = max(0.0, float(book.shapes[shape].usable.sum()) * NANO - round(shares * NANO))
        for dimension, key in enumerate(dimensions[1:], start=1):
            capacity[dimension, row] = max(0, amounts.get(key, 0) - reserved.get(key, 0))
        memory = _numa_memory(reader, entry.get("numa_memory"), f"{path}.numa_memory", book.shapes[shape])
        if memory is not None:
            by_node[row] = _without(memory, reserved.get("memory", 0))
    return Hosts(
        names=tuple(names),
        state=np.array(states, dtype=np.int64),
        labels=tuple(labels),
        capacity=capacity,
        shapes=tuple(book.shapes),
        shape=np.array(shapes, dtype=np.int64),
        memory_by_node=_columns(by_node, len(names), max((len(s.nodes) for s in book.shapes), default=1)),
        counts_memory_by_node=bool(by_node),
    )


def _columns(by_node: Mapping[int, list[int]], hosts: int, nodes: int) -> Floats:
    columns = np.full((max(nodes, 1), hosts), np.inf)
    for row, amounts in by_node.items():
        columns[:, row] = 0.0
        columns[: len(amounts), row] = amounts
    return columns


def _labels(reader: Reader, value: Any, path: str) -> Mapping[str, str]:
    labels = {}
    for key, raw in reader.mapping(value, path).items():
        if isinstance(raw, (str, int, float)):
            labels[key] = label_text(raw)
        elif raw is not None:
            reader.complain(f"{path}.{key}", f"{show(raw)} is not a label; expected a text, a number or a boolean")
    return labels


def _amounts(reader: Reader, value: Any, path: str, refused: tuple[str, ...]) -> dict[str, int]:
    amounts = {}
    for key, raw in reader.mapping(value, path).items():
        if key in refused:
            reader.complain(f"{path}.{key}", "is not a resource; cores are counted from the host's cpus")
        elif raw is not None:
            amounts[key] = reader.size(raw, f"{path}.{key}")
    return amounts


def _numa_memory(reader: Reader, value: Any, path: str, shape: Shape) -> Optional[list[int]]:
    """Bytes per node in the order of the shape's nodes; None where it is not declared."""
    if value is None:
        return None
    if isinstance(value, list):
        value = {str(node): amount for node, amount in enumerate(value)}
    amounts = {}
    for key, raw in reader.mapping(value, path).items():
        if not key.isdigit() or len(key) > 4:
            reader.complain(f"{path}.{key}", "is not the number of a NUMA node")
        elif int(key) in shape.nodes:
            amounts[int(key)] = reader.size(raw, f"{path}.{key}")
        else:
            reader.size(raw, f"{path}.{key}")
    return [amounts.get(node, 0) for node in shape.nodes]


def _without(memory: list[int], reserved: int) -> list[int]:
    """Reserved memory comes out of the lowest-numbered nodes first."""
    left = []
    for amount in memory:
        taken = min(amount, reserved)
        reserved -= taken
        left.append(amount - taken)
    return left


def is_open(hosts: Hosts) -> Any:
    """Which hosts may get something new."""
    return hosts.state == ACTIVE
