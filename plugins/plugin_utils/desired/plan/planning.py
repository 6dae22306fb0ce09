# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From desired state and observations to a plan whose updates are exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from ....module_utils.common.errors import InvalidInput
from ..read.addresses import with_six
from ..read.complaints import Complaints
from ..read.hosts import check_machines
from ..read.state import Desired
from ..read.values import Render
from .disk_claims import with_own_grades
from .folding import fold_unplaced, fold_waiting
from .last_known import Observation, base_serial
from .options import GONE, Directory, Options
from .problem import build_problem, desired_problem, find_strays
from .readdress import find_misaddressed, give_addresses, give_reasons

# A problem goes in, a plan comes out, both plain JSON; raises InvalidInput with paths into the problem.
Solve = Callable[[Mapping[str, Any]], "dict[str, Any]"]

# An update may move an instance, and a type that names it then changes too. Each round only adds to what is
# outdated, so this ends by itself; the limit is there for types that read the clock.
_MOST_ROUNDS = 5
_VARIABLES = {
    "grades": "stowage_grades",
    "clusters": "stowage_clusters",
    "networks": "stowage_networks",
    "options": "stowage_placement",
}


@dataclass(frozen=True)
class Planned:
    """A plan, what it came from, and the container options of every instance that it wants."""

    plan: dict[str, Any]
    problem: dict[str, Any]
    options: dict[str, dict[str, Any]]
    base_serial: int
    strays: dict[str, list[str]]
    notes: list[str]


def make_plan(
    desired: Desired,
    observations: Mapping[str, Observation],
    missing: Iterable[str],
    render: Render,
    solve: Solve,
) -> Planned:
    """Plan, and plan again while types filled in with the result differ from what runs.

    Whether an instance is up to date is seen only once its type is filled in, and that needs the addresses and hosts
    of the plan. So the first plan takes everything that runs for current, and the next one knows better. What can't
    keep its address is outdated from the start.

    :raises InvalidInput: when two names lead to one machine, when the planner refuses the problem, when a pool has no
        address left for what can't keep its own, or when a type can't be filled in.
    """
    check_machines(observations)
    absent = sorted(missing)
    strays = find_strays(observations)
    labels = {host: item.get("labels") or {} for host, item in observations.items()}
    misaddressed = find_misaddressed(desired, observations)
    outdated = set(misaddressed)
    for _round in range(_MOST_ROUNDS):
        problem, notes = build_problem(desired, observations, absent, outdated, strays)
        plan = with_own_grades(call_planner(solve, problem), desired)
        give_addresses(plan, problem, desired)
        plan["instances"] = with_six(plan["instances"], desired.networks)
        options = fill_in(desired, plan["instances"], labels, render)
        stale = set(find_outdated(observations, options))
        if stale <= outdated:
            break
        outdated |= stale
    give_reasons(plan, misaddressed, stale)
    unplaced = [item["text"] for item in fold_unplaced(plan.get("unplaced") or [])]
    waiting = [f"Not now: {sentence}" for sentence in fold_waiting(plan)]
    return Planned(plan, problem, options, base_serial(observations), strays, [*notes, *unplaced, *waiting])


def call_planner(solve: Solve, problem: Mapping[str, Any]) -> dict[str, Any]:
    """Solve; complaints come back with the paths of the variables that an operator knows."""
    try:
        return solve(problem)
    except InvalidInput as error:
        raise InvalidInput([as_variable(sentence, problem) for sentence in error.problems]) from error


def check_rules(desired: Desired, solve: Solve, complaints: Complaints) -> None:
    """Have the planner read the placement rules, before there are hosts to place on."""
    problem = desired_problem(desired)
    try:
        solve(problem)
    except InvalidInput as error:
        for sentence in error.problems:
            path, _colon, what = as_variable(sentence, problem).partition(": ")
            if not complaints.covers(path):
                complaints.add(path, what)


def as_variable(sentence: str, problem: Mapping[str, Any]) -> str:
    """Turn the path of the planner that a sentence starts with into that of the variable behind it."""
    path, colon, what = sentence.partition(":")
    first, dot, rest = path.partition(".")
    if first in _VARIABLES:
        return f"{_VARIABLES[first]}{dot}{rest}{colon}{what}"
    if first.startswith("hosts[") and first[6:-1].isdigit() and int(first[6:-1]) < len(problem["hosts"]):
        return f"host {problem['hosts'][int(first[6:-1])]['name']}{dot}{rest}{colon}{what}"
    return sentence


def fill_in(
    desired: Desired, instances: Iterable[Mapping[str, Any]], labels: Mapping[str, Mapping[str, Any]], render: Render
) -> dict[str, dict[str, Any]]:
    """Return the container options of every instance that the plan wants on a host that answers, by name."""
    complaints = Complaints()
    wanted = [_with_own_disk(item, desired) for item in instances if item.get("action") not in GONE]
    directory = Directory(wanted, labels)
    options = Options(desired, render, complaints)
    filled = {item["name"]: options.of(item, directory) for item in wanted if item["action"] != "unknown"}
    complaints.raise_if_any()
    return filled


def _with_own_disk(item: Mapping[str, Any], desired: Desired) -> Mapping[str, Any]:
    """Return a planned instance with the size of its data disk alone, which is what its grade says."""
    grade = desired.grades.get(item.get("grade") or "")
    return {**item, "disk": grade.get("disk")} if grade else item


def find_outdated(observations: Mapping[str, Observation], options: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """Yield the names of observed containers whose digest is not that of their options."""
    for observation in observations.values():
        for container in observation.get("containers") or []:
            wanted = options.get(container["name"])
            if wanted is not None and container.get("digest") != wanted["digest"]:
                yield container["name"]
