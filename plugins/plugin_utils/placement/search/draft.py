# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in the making: what each step of planning reads and adds to."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from ..feasible.limits import RuleBook
from ..feasible.state import State
from ..feasible.topology import Topology
from ..model import Problem
from ..numeric import Floats, Ints
from .lp_prices import Guide
from .reconcile import REMOVE
from .score import host_sizes


@dataclass(slots=True)
class Slot:
    """One instance that gets a place in this plan (``row`` >= 0: it runs already, and moves or is updated)."""

    group: int
    index: int
    row: int = -1
    reason: str = ""
    host: int = -1
    nodes: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    # The disk of its own that it finds on its host; -1 for none.
    disk: int = -1


@dataclass
class Fates:
    """Rows that leave and rows that should but can't, each with the reason; all others stay."""

    leave: dict[int, str] = field(default_factory=dict)
    stuck: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pace:
    """A group with silent members: how many, how many more may be down at once, and that in words."""

    silent: int
    left: int
    text: str


@dataclass
class Draft:
    """A plan in the making."""

    problem: Problem
    topology: Topology
    book: RuleBook
    state: State
    codes: Ints
    slots: list[Slot] = field(default_factory=list)
    unplaced: list[Slot] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    guide: Guide | None = None
    fates: Fates | None = None
    # Rows that must leave because of their host's state: their moves are nobody's choice.
    forced: frozenset[int] = frozenset()
    proven: set[int] = field(default_factory=set)
    conflicts: dict[int, tuple[str, ...]] = field(default_factory=dict)
    relaxations: dict[int, list[str]] = field(default_factory=dict)
    # What the wall clock stopped before its counted work was done: only then does a plan depend on the machine.
    braked: set[str] = field(default_factory=set)
    # Work of exact search so far, in the solver's deterministic seconds.
    work: float = 0.0
    # Groups with members on hosts that don't answer, and rows that wait for these, with what they are to leave for.
    paces: dict[int, Pace] = field(default_factory=dict)
    waits: dict[int, str] = field(default_factory=dict)
    short_of: dict[int, set[str]] = field(default_factory=dict)

    @cached_property
    def group_ids(self) -> dict[tuple[str, str], int]:
        """Numbers of groups by (cluster, group)."""
        return {(group.cluster, group.name): group.id for group in self.problem.groups}

    @cached_property
    def sizes(self) -> Floats:
        """Size of each host in parts of the largest."""
        return host_sizes(self.state)

    def fresh_state(self) -> State:
        """The state before anything new was placed."""
        return State(self.problem, self.topology, self.codes != REMOVE)
