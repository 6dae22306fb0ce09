# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many members of a group may be down at once: those on hosts that don't answer are taken for down.

A group's ``batch`` says how many an update or a move takes down together. Each silent member counts against it. Where
none is left, what is up and well stays as it is: what would be updated or mended waits, what a drain calls away is
reported. New members come all the same, and so does help for what is down anyway.
"""

from __future__ import annotations

from ....module_utils.common.naming import instance_name
from ..feasible.limits import RuleBook
from ..model import UNREACHABLE, Problem
from ..numeric import Bools, Ints, np
from .draft import Draft, Pace, Slot
from .reconcile import HELD, KEEP, LEAVE, STUCK, UNKNOWN, UPDATE, Checker, standing


def paces(problem: Problem, codes: Ints) -> dict[int, Pace]:
    """The pace of each group with silent members, by its number.

    What is no longer wanted does not count, nor what this plan replaces: that is on its way back.
    """
    down: Bools = (problem.hosts.state == UNREACHABLE)[problem.running.host]
    found: dict[int, list[int]] = {}
    for row in np.flatnonzero(down & ((codes == UNKNOWN) | (codes == STUCK)) & ~problem.running.surplus).tolist():
        group = problem.groups[problem.running.group[row]]
        if group.known and group.state == "started" and problem.running.index[row] < group.count:
            found.setdefault(group.id, []).append(row)
    return {number: _pace(problem, number, rows) for number, rows in found.items()}


def _pace(problem: Problem, number: int, rows: list[int]) -> Pace:
    group, running = problem.groups[number], problem.running
    first = instance_name(group.cluster, group.name, int(running.index[rows[0]]))
    more = f" and {len(rows) - 1} more do not answer" if len(rows) > 1 else " does not answer"
    text = f"{first} on {problem.hosts.names[running.host[rows[0]]]}{more}, and batch is {group.batch}"
    return Pace(len(rows), max(0, group.batch - len(rows)), text)


def hold(draft: Draft) -> None:
    """Let what is up and well stay where its group may have no more down; see the top."""
    problem, codes, running = draft.problem, draft.codes, draft.problem.running
    draft.paces = paces(problem, codes)
    for number, pace in sorted(draft.paces.items()):
        if pace.left:
            continue
        mine = (running.group == number) & running.up & running.healthy
        codes[mine & ((codes == KEEP) | (codes == UPDATE))] = HELD
        drained = (problem.hosts.state != UNREACHABLE)[running.host]
        for row in np.flatnonzero(mine & drained & (codes == LEAVE)).tolist():
            codes[row] = STUCK
            draft.waits[row] = f"host {problem.hosts.names[running.host[row]]} is drained"
            draft.unplaced.append(Slot(number, int(running.index[row]), row, draft.waits[row]))


def settle_held(draft: Draft) -> None:
    """Say of what was held what it waits for; what has nothing to wait for is simply kept."""
    held = draft.codes == HELD
    if not held.any():
        return
    problem = draft.problem
    before = standing(problem, draft.topology)
    codes = np.where(held, before, draft.codes)
    broken = Checker(problem, draft.topology, RuleBook(problem)).check(draft.state, codes)
    for row in np.flatnonzero(held).tolist():
        why = broken.get(row)
        if before[row] == UPDATE:
            why = "its type or grade changed"
        elif why is None and not problem.running.cores_valid[row]:
            why = "does not own the cores it claims"
        if why is None:
            draft.codes[row] = KEEP
        else:
            draft.waits[row] = why


def batch_of(draft: Draft, number: int) -> int:
    """How many of a group are handled at once. Where none may go down, that is what is down anyway: one by one."""
    pace = draft.paces.get(number)
    return draft.problem.groups[number].batch if pace is None else max(1, pace.left)
