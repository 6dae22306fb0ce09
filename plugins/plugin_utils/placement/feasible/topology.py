# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains: hosts with the same value of a label, as columns, and the mask of a group's hard constraints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable

from ..model import ACTIVE, Constraint, Hosts
from ..numeric import Bools, Ints, np


@dataclass(frozen=True, eq=False)
class Domains:
    """``of[host]`` is the number of the host's domain, -1 where it lacks the label."""

    topology: str
    of: Ints
    values: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    def count(self, hosts: Ints) -> Ints:
        """How many of these hosts (with repetitions) lie in each domain."""
        numbers = self.of[hosts]
        return np.bincount(numbers[numbers >= 0], minlength=len(self.values))


class Topology:
    """Domains of every label asked for, and masks of constraints, each worked out once."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self.active: Bools = hosts.state == ACTIVE
        self._domains: dict[str, Domains] = {}
        self._masks: dict[tuple[Constraint, ...], Bools] = {}
        self._eligible: dict[tuple[str, tuple[Constraint, ...]], Bools] = {}

    def domains(self, topology: str) -> Domains:
        """The domains of ``host`` or of a label."""
        if topology not in self._domains:
            self._domains[topology] = self._work_out(topology)
        return self._domains[topology]

    def _work_out(self, topology: str) -> Domains:
        hosts = self.hosts
        if topology == "host":
            return Domains(topology, np.arange(len(hosts)), hosts.names)
        values = sorted({labels[topology] for labels in hosts.labels if topology in labels})
        number = {value: position for position, value in enumerate(values)}
        of = np.array(
            [number[labels[topology]] if topology in labels else -1 for labels in hosts.labels], dtype=np.int64
        )
        return Domains(topology, of, tuple(values))

    def satisfied(self, constraint: Constraint) -> Bools:
        """The hosts that satisfy one constraint."""
        key = (constraint,)
        if key not in self._masks:
            hosts = self.hosts
            accept = acceptor(constraint)
            self._masks[key] = np.array(
                [accept(labels, name) for labels, name in zip(hosts.labels, hosts.names)], dtype=np.bool_
            )
        return self._masks[key]

    def admitted(self, constraints: tuple[Constraint, ...]) -> Bools:
        """The active hosts that satisfy all hard constraints."""
        hard = tuple(constraint for constraint in constraints if constraint.required)
        if not hard:
            return self.active
        if len(hard) == 1:
            return self.active & self.satisfied(hard[0])
        if hard not in self._masks:
            mask = self.satisfied(hard[0])
            for constraint in hard[1:]:
                mask = mask & self.satisfied(constraint)
            self._masks[hard] = mask
        return self.active & self._masks[hard]

    def eligible(self, topology: str, constraints: tuple[Constraint, ...]) -> Bools:
        """The domains that hold an active host which satisfies the hard constraints."""
        key = (topology, constraints)
        if key not in self._eligible:
            domains = self.domains(topology)
            self._eligible[key] = domains.count(np.flatnonzero(self.admitted(constraints))) > 0
        return self._eligible[key]


def acceptor(constraint: Constraint) -> Callable[[Mapping[str, str], str], bool]:
    """A test of one host's labels; ``host`` stands for the host's name unless a label is called so."""
    label = constraint.label

    def value(labels: Mapping[str, str], name: str) -> str | None:
        return labels.get(label, name if label == "host" else None)

    def compare(labels: Mapping[str, str], name: str) -> bool:
        try:
            number = float(value(labels, name) or "")
        except ValueError:
            return False
        return number > constraint.number if constraint.operator == "greater_than" else number < constraint.number

    tests: dict[str, Callable[[Mapping[str, str], str], bool]] = {
        "in": lambda labels, name: value(labels, name) in constraint.values,
        "not_in": lambda labels, name: value(labels, name) not in constraint.values,
        "exists": lambda labels, name: (value(labels, name) is not None) == bool(constraint.number),
        "greater_than": compare,
        "less_than": compare,
    }
    return tests[constraint.operator]
