# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of what runs, decided by exact search where heuristics leave something out or move what could stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..feasible.limits import RuleBook
from .cpsat_model import FateModel, Kind, rows_to_decide
from .draft import Draft, Fates
from .exact import Answer
from .reconcile import LEAVE, Checker
from .solvers import cp_model


@dataclass
class Verdict:
    """The best that is possible: fates, places, and what it costs."""

    fates: Fates
    answer: Answer
    stuck: int
    moves: int
    missing: int
    optimal: bool

    @property
    def cost(self) -> tuple[int, int, int]:
        """What is judged first comes first."""
        return self.stuck, self.moves, self.missing


def cost_of(draft: Draft) -> tuple[int, int, int]:
    """The cost of a draft by the same measure: stuck, moves of what could stay, new ones without a place.

    What a drain calls away and may not go down now is not counted: nobody decides about it.
    """
    from .rebalance import MOVE_WITH_DATA

    running, own = draft.problem.running, draft.problem.disks.own
    stuck = sum(1 for slot in draft.unplaced if slot.row >= 0 and slot.row not in draft.waits)
    moves = sum(
        MOVE_WITH_DATA if slot.row in own else 1
        for slot in draft.slots
        if slot.row >= 0 and slot.host != running.host[slot.row] and slot.row not in draft.forced
    )
    new = sum(1 for slot in draft.unplaced if slot.row < 0)
    return stuck, moves, new


def as_good(draft: Draft, verdict: Verdict) -> bool:
    """Whether a draft costs no more, and nothing stays in it that breaks a rule without being reported."""
    if cost_of(draft) > verdict.cost:
        return False
    return not Checker(draft.problem, draft.topology, draft.book).check(draft.state, draft.codes, final=True)


def decide(draft: Draft, pending: dict[int, int], pools: Mapping[str, int], work: float) -> Optional[Verdict]:
    """The best answer for what runs and what is ``pending`` (new, by group); None where none came in time.

    :param draft: all that runs counted where it is. It is used up: what may move is taken off its host.
    """
    rows = rows_to_decide(draft)
    reasons = reasons_to_leave(draft, rows)
    for row in rows:
        draft.state.release_running(row)
    model = FateModel(draft, pending, rows).build()
    model.addresses_for_new(dict(pools))
    model.model.Minimize(model.cost())
    status, solver = model.search(work)
    if status not in (cp_model().OPTIMAL, cp_model().FEASIBLE):
        return None
    fates, moves = _read(model, solver, reasons)
    placed = sum(int(solver.Value(var)) for var in model.placed_new.values())
    missing = sum(model.new.values()) - placed
    proven = status == cp_model().OPTIMAL or _none_better(draft, pending, rows, pools, work)
    optimal = bool(status == cp_model().OPTIMAL)
    return Verdict(fates, model.answer(solver, proven), len(fates.stuck), moves, missing, optimal)


def _none_better(draft: Draft, pending: dict[int, int], rows: list[int], pools: Mapping[str, int], work: float) -> bool:
    """Whether not all can be placed, whatever moves."""
    model = FateModel(draft, pending, rows).build()
    model.addresses_for_new(dict(pools))
    model.model.Add(sum(model.placed_new.values()) == sum(model.new.values()))
    model.model.Add(sum(kind.stuck for kind in model.kinds) == 0)
    return bool(model.search(work)[0] == cp_model().INFEASIBLE)


def _read(model: FateModel, solver: Any, reasons: Mapping[int, str]) -> tuple[Fates, int]:
    """Fates by row: of a kind, the first ones stay, then come those that leave."""
    fates, moves = Fates(), 0
    for kind in model.kinds:
        stay, leave = int(solver.Value(kind.stay)), int(solver.Value(kind.leave))
        rows = sorted(kind.rows, key=lambda row: (row in reasons and not kind.forced, row))
        for row in rows[stay : stay + leave]:
            fates.leave[row] = reasons.get(row) or _general(kind)
        for row in rows[stay + leave :]:
            fates.stuck[row] = reasons.get(row) or _general(kind)
        moves += 0 if kind.forced else leave * model.price(kind)
    return fates, moves


def _general(kind: Kind) -> str:
    if kind.changed:
        return "its new grade does not fit its host"
    return f"with it elsewhere, the rules around {kind.group.label} hold with the fewest moves"


def reasons_to_leave(draft: Draft, rows: list[int]) -> dict[int, str]:
    """Why a row should leave where it is, as far as each rule on its own can say."""
    problem = draft.problem
    found = Checker(problem, draft.topology, RuleBook(problem)).check(draft.state, draft.codes)
    for row in rows:
        if draft.codes[row] == LEAVE:
            host = int(problem.running.host[row])
            what = "is drained" if problem.hosts.state[host] == 2 else "does not answer and is to be replaced"
            found[row] = f"host {problem.hosts.names[host]} {what}"
    return found
