"""A lower bound on the hosts that any placement must use, by linear programming.

Hosts of one shape and instances of one flavour are interchangeable, and both may be cut: minimise the sum of opened
hosts y_s, where x_sfn instances of flavour f lie in node n of the hosts of shape s, so that each flavour's demand is
met and no node gives more cores or memory than the opened hosts have. Group rules are ignored. Whatever a real
placement uses satisfies this, so the optimum, rounded up, is a bound for every planner.
"""

from __future__ import annotations

import collections
import math

import numpy as np
from ortools.linear_solver import pywraplp

from benchmarks.placement.data import Workload

GIB = 2**30


def lower_bound(workload: Workload) -> int:
    """The fewest hosts with which a workload could be placed if hosts and instances could be cut."""
    solver = pywraplp.Solver.CreateSolver("GLOP")
    demand = collections.Counter(item.flavour for item in workload.items)
    covers: dict[int, list[pywraplp.Variable]] = collections.defaultdict(list)
    opened = []
    stacked = np.concatenate([workload.cores, workload.memory / GIB], axis=1)
    shapes, counts = np.unique(stacked, axis=0, return_counts=True)
    nodes = workload.cores.shape[1]
    for shape, count in zip(shapes.tolist(), counts.tolist(), strict=True):
        opened.append(solver.NumVar(0, count, ""))
        _fill_shape(solver, workload, opened[-1], shape[:nodes], shape[nodes:], covers)
    for flavour, count in demand.items():
        solver.Add(solver.Sum(covers[flavour]) >= count)
    solver.Minimize(solver.Sum(opened))
    if solver.Solve() != pywraplp.Solver.OPTIMAL:
        raise RuntimeError(f"{workload.name}: not even cut to pieces does it fit all hosts")
    return math.ceil(solver.Objective().Value() - 1e-6)


def _fill_shape(
    solver: pywraplp.Solver,
    workload: Workload,
    opened: pywraplp.Variable,
    cores: list[float],
    memory: list[float],
    covers: dict[int, list[pywraplp.Variable]],
) -> None:
    """What the hosts of one shape can hold. A flavour that no empty host of it could hold whole is left out."""
    nodes = len(cores)
    core_terms: list[list[pywraplp.LinearExpr]] = [[] for _turn in range(nodes)]
    memory_terms: list[list[pywraplp.LinearExpr]] = [[] for _turn in range(nodes)]
    for number, flavour in enumerate(workload.flavours):
        parts = max(flavour.numa, 1)
        need, bytes_ = flavour.cores / parts, flavour.memory / parts / GIB
        places = [tuple(range(nodes))] if parts == nodes else [(n,) for n in range(nodes)]
        for place in places:
            if all(cores[n] >= need and memory[n] >= bytes_ for n in place):
                amount = solver.NumVar(0, solver.infinity(), "")
                covers[number].append(amount)
                for n in place:
                    core_terms[n].append(need * amount)
                    memory_terms[n].append(bytes_ * amount)
    for n in range(nodes):
        if core_terms[n]:
            solver.Add(solver.Sum(core_terms[n]) <= cores[n] * opened)
            solver.Add(solver.Sum(memory_terms[n]) <= memory[n] * opened)
