# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts to open, what suits which host: the prices of a linear program over makes of hosts and kinds of claims.

The program places fractions of instances, respects NUMA nodes, and ignores rules. Its optimum is a lower bound of the
hosts needed; its reduced costs say how many hosts it costs to put a kind of claims on a make of host that does not
suit it (for example few cores with much memory on a host that is short of memory).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from ..feasible.state import State
from ..model import Problem
from ..numeric import Bools, Floats, Ints, np
from .solvers import HAS_ORTOOLS, pywraplp

MAX_VARIABLES = 60_000


@dataclass(frozen=True, eq=False)
class Guide:
    """``regret[claims, host]`` in hosts; ``opened`` are the hosts that the program uses; ``bound`` is its optimum."""

    regret: Floats
    opened: Bools
    bound: float
    weight: float = 20.0


def makes_of_hosts(state: State, usable: Ints) -> tuple[Floats, Ints]:
    """Distinct free amounts (per dimension, then per node) and each usable host's make."""
    columns = [state.free[:, usable]]
    if state.nodes is not None:
        memory = np.where(np.isinf(state.nodes.memory[:, usable]), 2.0**52, state.nodes.memory[:, usable])
        columns += [state.nodes.cores[:, usable], memory]
    table = np.concatenate(columns, axis=0).T
    makes, which = np.unique(table, axis=0, return_inverse=True)
    return makes, np.asarray(which).reshape(-1)


def guide(
    problem: Problem, state: State, wanted: dict[int, int], usable: Ints, slack: float, weight: float, unused: float
) -> Optional[Guide]:
    """Prices for these counts per claims class; None without OR-Tools, or where the program is too large or infeasible.

    :param unused: what it counts to put claims on a make of host where the program puts none of them.
    :param weight: how much a host of regret counts beside how well an instance fits.
    :param slack: by which part more hosts are opened than the program uses.
    """
    if not HAS_ORTOOLS or not len(usable):
        return None
    makes, which = makes_of_hosts(state, usable)
    nodes = state.nodes.cores.shape[0] if state.nodes is not None else 0
    if len(makes) * len(wanted) * max(nodes, 1) > MAX_VARIABLES:
        return None
    program = Program(problem, makes, np.bincount(which), wanted, nodes, unused)
    if not program.solve():
        return None
    hosts = len(problem.hosts)
    regret = np.zeros((len(problem.claims), hosts))
    for number, claims in enumerate(program.kinds):
        regret[claims, usable] = program.regret[number][which]
    return Guide(regret, program.opened(which, usable, hosts, slack), program.bound, weight)


class Program:
    """The linear program and its answer."""

    def __init__(
        self, problem: Problem, makes: Floats, counts: Ints, wanted: dict[int, int], nodes: int, unused: float
    ) -> None:
        self.unused = unused
        self.problem, self.makes, self.counts, self.nodes = problem, makes, counts, nodes
        self.kinds = sorted(wanted)
        self.wanted = wanted
        self.solver: Any = pywraplp().Solver.CreateSolver("GLOP")
        self.regret: Floats = np.zeros((len(self.kinds), len(makes)))
        self.open = np.zeros(len(makes))
        self.value = np.zeros(len(makes))
        self.bound = 0.0

    def _needs(self, claims: int) -> list[Floats]:
        """What an instance takes of the columns of a make, one vector per choice of nodes."""
        exact = self.problem.claims[claims]
        amounts = self.problem.demand[claims]
        if not self.nodes:
            return [amounts]
        choices = []
        parts = np.eye(self.nodes) if exact.numa == 1 else np.full((1, self.nodes), 1.0 / self.nodes)
        for part in parts:
            bound = exact.numa > 0
            choices.append(np.concatenate((amounts, part * exact.cores * bound, part * exact.memory * bound)))
        return choices

    def solve(self) -> bool:
        """Minimise the hosts in use; false where not all fits."""
        solver = self.solver
        uses = [solver.NumVar(0, float(count), "") for count in self.counts]
        rows = {
            (m, c): solver.Constraint(-solver.infinity(), 0)
            for m in range(len(self.makes))
            for c in range(self.makes.shape[1])
        }
        # Amounts in parts of the largest make keep the numbers small.
        scale = np.maximum(self.makes.max(axis=0), 1.0)
        for (m, c), row in rows.items():
            row.SetCoefficient(uses[m], -max(0.0, float(self.makes[m, c] / scale[c])))
        demands = [solver.Constraint(float(self.wanted[k]), solver.infinity()) for k in self.kinds]
        variables: dict[tuple[int, int], list[Any]] = {}
        for number, claims in enumerate(self.kinds):
            for need in self._needs(claims):
                for m in range(len(self.makes)):
                    if (need <= self.makes[m]).all():
                        self._variable(variables, number, m, need / scale, demands[number], rows)
        objective = solver.Objective()
        for var in uses:
            objective.SetCoefficient(var, 1.0)
        objective.SetMinimization()
        if solver.Solve() != pywraplp().Solver.OPTIMAL:
            return False
        self.bound = float(objective.Value())
        self.open = np.array([var.solution_value() for var in uses])
        self.value = np.array([-var.reduced_cost() for var in uses])
        self.regret[:] = 1.0
        for (number, m), choices in variables.items():
            used = sum(var.solution_value() for var in choices) > 1e-6
            self.regret[number, m] = max(0.0, min(var.reduced_cost() for var in choices)) + (
                0.0 if used else self.unused
            )
        return True

    def _variable(self, variables: Any, number: int, make: int, need: Floats, demand: Any, rows: Any) -> None:
        var = self.solver.NumVar(0, self.solver.infinity(), "")
        variables.setdefault((number, make), []).append(var)
        demand.SetCoefficient(var, 1.0)
        for column in np.flatnonzero(need).tolist():
            rows[make, column].SetCoefficient(var, float(need[column]))

    def opened(self, which: Ints, usable: Ints, hosts: int, slack: float) -> Bools:
        """As many hosts of each make as the program uses, rounded up, and some more of the most valuable makes."""
        opened = np.zeros(hosts, dtype=np.bool_)
        share = np.ceil(np.round(self.open, 6)).astype(np.int64)
        left = round(slack * self.bound)
        for make in np.lexsort((np.arange(len(share)), -self.value)).tolist():
            more = min(left, int(self.counts[make]) - int(share[make]))
            share[make] += more
            left -= more
        rank = np.zeros(len(which), dtype=np.int64)
        order = np.argsort(which, kind="stable")
        starts = np.flatnonzero(np.diff(which[order], prepend=-1))
        rank[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
        opened[usable[rank < share[which]]] = True
        return opened
