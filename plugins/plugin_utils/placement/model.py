# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the planner knows: hosts, grades, groups with their rules, and what runs, as columns.

All amounts are whole numbers held in float64 columns (exact up to 2**53): bytes, pieces, and for computing time
billionths of a core, so that exclusive cores and shares of the others add up in one dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from .numeric import Bools, Floats, Ints

NANO = 1_000_000_000
ACTIVE, CORDONED, DRAINED, UNREACHABLE = range(4)
STATES = ("active", "cordoned", "drained", "unreachable")
MODES = ("binpack", "spread", "balanced")
# The first dimensions of every problem; further named resources follow in the order of their names.
CPU, MEMORY, DISK = range(3)
# Keys of claims and resources that are not further named resources.
BUILT_IN = frozenset(("cores", "cpus", "memory", "disk"))


@dataclass(frozen=True)
class Claims:
    """What one instance gets. ``nanocpus`` is 0 for exclusive cores; ``numa`` 0 means any number of nodes."""

    cores: int = 0
    nanocpus: int = 0
    memory: int = 0
    disk: int = 0
    resources: tuple[tuple[str, int], ...] = ()
    numa: int = 0
    whole: bool = False

    def amount(self, dimension: str) -> int:
        """The amount of a dimension by name; see ``Problem.dimensions``."""
        if dimension == "cpu":
            # No promise at all still needs one core that nobody owns, hence one billionth.
            return self.cores * NANO if self.cores else max(self.nanocpus, 1)
        if dimension == "memory":
            return self.memory
        if dimension == "disk":
            return self.disk
        return dict(self.resources).get(dimension, 0)

    def same_amounts(self, other: Claims) -> bool:
        """Whether both promise the same (how the cores lie is not counted)."""
        return (self.cores, self.nanocpus, self.memory, self.disk, self.resources) == (
            other.cores,
            other.nanocpus,
            other.memory,
            other.disk,
            other.resources,
        )


@dataclass(frozen=True)
class Constraint:
    """A demand on a host's own label."""

    label: str
    operator: str
    values: frozenset[str] = frozenset()
    number: float = 0.0
    required: bool = True
    weight: float = 1.0


@dataclass(frozen=True)
class Affinity:
    """Near the target group: in a domain that holds one of it."""

    target: int
    topology: str
    required: bool = True
    weight: float = 1.0


@dataclass(frozen=True)
class AntiAffinity:
    """Away from the target group: fewer than ``max`` other instances of it in the domain."""

    target: int
    topology: str
    max: int = 1
    required: bool = True
    weight: float = 1.0


@dataclass(frozen=True)
class Spread:
    """Evenly over the domains, within ``max_skew``."""

    topology: str
    max_skew: int = 1
    required: bool = True
    weight: float = 1.0


@dataclass(frozen=True)
class Rules:
    """All placement rules of a group."""

    constraints: tuple[Constraint, ...] = ()
    affinity: tuple[Affinity, ...] = ()
    anti_affinity: tuple[AntiAffinity, ...] = ()
    spread: tuple[Spread, ...] = ()
    dedicated: bool = False


NO_RULES = Rules()


@dataclass(frozen=True)
class Group:
    """Identical instances of a cluster. ``known`` is false for what runs but is not desired here (foreign)."""

    id: int
    cluster: str
    name: str
    cluster_id: int
    count: int = 0
    type: Optional[str] = None
    grade: Optional[str] = None
    claims: int = -1
    digest: Optional[str] = None
    network: Optional[str] = None
    requires: tuple[str, ...] = ()
    batch: int = 1
    mode: str = "binpack"
    state: str = "started"
    rules: Rules = NO_RULES
    known: bool = True

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.cluster}/{self.name}"


@dataclass(frozen=True)
class Shape:
    """The unreserved logical CPUs of a host, in the order of their ids. Hosts of one make share a shape."""

    ids: Ints
    node: Ints
    physical: Ints
    threads: int
    usable: Bools
    position: Ints
    full: Bools
    nodes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Hosts:
    """The fleet as columns, in the order of names.

    ``capacity`` is [dimension, host] after reservations; ``memory_by_node`` is [node, host], infinite where a host
    does not declare it.
    """

    names: tuple[str, ...]
    state: Ints
    labels: tuple[Mapping[str, str], ...]
    capacity: Floats
    shapes: tuple[Shape, ...]
    shape: Ints
    memory_by_node: Floats
    counts_memory_by_node: bool

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, eq=False)
class Running:
    """What there is, as columns, in the order of (group, index).

    ``owned_by`` and ``owned_at`` list the owned cores of valid owners: the row, and the position in its host's shape.
    ``surplus`` marks all but the best of several of one name (a dead host came back, its instances were replaced).
    """

    group: Ints
    index: Ints
    host: Ints
    claims: Ints
    up: Bools
    healthy: Bools
    same_spec: Bools
    surplus: Bools
    cores: tuple[tuple[int, ...], ...]
    cores_valid: Bools
    owned_by: Ints
    owned_at: Ints
    cpuset: Mapping[int, tuple[int, ...]]
    network: tuple[Optional[str], ...]
    address: tuple[Optional[str], ...]
    grade: tuple[Optional[str], ...]
    type: tuple[Optional[str], ...]

    def __len__(self) -> int:
        return len(self.index)


@dataclass(frozen=True, eq=False)
class Disks:
    """Data disks that lie on hosts. ``own[row]`` is the disk of a running instance on its host; ``released[group,
    index]`` the one that an instance which does not run left behind."""

    host: Ints
    size: Floats
    own: Mapping[int, int] = field(default_factory=dict)
    released: Mapping[tuple[int, int], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.host)


@dataclass(frozen=True)
class Rebalance:
    """How much moving is allowed for what gain."""

    moves: Optional[int] = None
    price: Optional[float] = None
    goal: str = "consolidate"


@dataclass(frozen=True)
class Options:
    """Fleet-wide options of the planner."""

    mode: str = "binpack"
    exact: str = "auto"
    exact_seconds: float = 10.0
    improve_seconds: float = 0.0
    replace_unreachable: tuple[str, ...] = ()
    rebalance: Optional[Rebalance] = None


@dataclass(frozen=True)
class Network:
    """Address pool of a network: intervals of addresses as numbers, both ends included; None gives no addresses."""

    name: str
    version: int = 4
    pool: Optional[tuple[tuple[int, int], ...]] = None
    exclude: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Problem:
    """All the planner is fed, checked and laid out in columns."""

    dimensions: tuple[str, ...]
    hosts: Hosts
    claims: tuple[Claims, ...]
    demand: Floats
    groups: tuple[Group, ...]
    clusters: tuple[str, ...]
    running: Running
    networks: Mapping[str, Network]
    options: Options
    disks: Disks
    source: Mapping[str, Any] = field(default_factory=dict, repr=False)
