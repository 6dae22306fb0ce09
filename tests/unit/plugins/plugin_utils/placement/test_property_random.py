"""Random small problems against the oracle: ten thousand by seed, and fewer by Hypothesis, which shrinks what fails.

`STOWAGE_RANDOM_PROBLEMS` changes how many (10000), `STOWAGE_RANDOM_SEED` where the seeds start (0). A failure prints
the seed and the problem as JSON: `problem_of_seed(SEED)` of strategies.py makes it again, anywhere.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, given, settings

from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_plan import complaints
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_search import (
    STUCK,
    Search,
)
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.strategies import (
    problem_of_seed,
    problems,
)

PROBLEMS = int(os.environ.get("STOWAGE_RANDOM_PROBLEMS", "10000"))
FIRST = int(os.environ.get("STOWAGE_RANDOM_SEED", "0"))


def judged(problem: dict[str, Any]) -> list[str]:
    """All that the oracle has against the planner's answer to a problem."""
    plan = solve(Problem.from_dict(problem)).to_dict()
    return complaints(problem, plan) + too_little(problem, plan) + too_many_moves(problem, plan)


def too_little(problem: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    """Instances that are left out though trying everything finds a place for them without moving what may stay."""
    missing = len(searched(plan))
    if not missing:
        return []
    possible = Search(problem).fewest_unplaced()
    if possible == 0 or (possible < missing and not for_the_running(problem, plan)):
        return [f"{missing} are unplaced, {possible} need be: {[u['name'] for u in plan['unplaced']]}"]
    return [f"{u['name']}: not proven" for u in plan["unplaced"] if u["proven"] is not True]


def searched(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """What has no place, less what must not leave a drained host now: no search would find that one."""
    waiting = {entry["name"] for entry in plan["instances"] if "waits" in entry}
    return [entry for entry in plan["unplaced"] if entry["name"] not in waiting]


def for_the_running(problem: dict[str, Any], plan: dict[str, Any]) -> bool:
    """Whether more are left out because what runs got its place first: that is as good an answer."""
    running = {(r["cluster"], r["group"], r["index"]) for r in problem["running"]}
    unplaced = searched(plan)
    stuck = sum(1 for u in unplaced if (u["cluster"], u["group"], u["index"]) in running)
    cost = stuck * STUCK + len(unplaced) - stuck
    return cost <= Search(problem).fewest_unplaced(running_first=True)


def too_many_moves(problem: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    """Moves of what could stay, beyond the fewest with which all is placed."""
    drained = {host["name"] for host in problem["hosts"] if host.get("state") == "drained"}
    moved = [i["name"] for i in plan["instances"] if i["action"] == "move" and i["from_host"] not in drained]
    if not moved or searched(plan):
        return []
    fewest = Search(problem).fewest_moves(most=len(moved) - 1)
    return [] if fewest is None else [f"{moved} move, though {fewest} moves are enough"]


def failures(seeds: Iterable[int], stale: bool) -> list[str]:
    """The first few seeds whose plans the oracle has something against, each with its problem."""
    out = []
    for seed in seeds:
        problem = problem_of_seed(seed, stale)
        start = time.process_time()
        try:
            wrong = judged(problem)
        except Exception as error:
            wrong = [f"{type(error).__name__}: {error}"]
        if time.process_time() - start > 20:
            wrong.append("took more than 20 seconds of the processor")
        if wrong:
            out.append(f"seed {seed}: {'; '.join(wrong)}\n{json.dumps(problem, sort_keys=True)}")
        if len(out) == 3:
            break
    return out


def test_ten_thousand_random_problems_are_solved_as_well_as_by_trying_everything() -> None:
    found = failures(range(FIRST, FIRST + PROBLEMS), stale=False)
    assert not found, "\n\n".join(found)


def test_rules_that_came_after_what_runs_are_mended_with_the_fewest_moves() -> None:
    found = failures(range(FIRST, FIRST + PROBLEMS // 4), stale=True)
    assert not found, "\n\n".join(found)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems())
def test_any_small_problem_is_solved_as_well_as_by_trying_everything(problem: dict[str, Any]) -> None:
    assert not judged(problem), json.dumps(problem, sort_keys=True)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems())
def test_a_second_run_on_the_planned_state_changes_nothing(problem: dict[str, Any]) -> None:
    plan = solve(Problem.from_dict(problem)).to_dict()
    again = solve(Problem.from_dict(after(problem, plan))).to_dict()
    moved = {i["name"]: i["action"] for i in again["instances"] if i["action"] not in ("keep", "foreign", "unknown")}
    assert not moved, json.dumps({"problem": problem, "second": moved}, sort_keys=True)
    assert not again["changed"]


def after(problem: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """The problem that is left once a plan has been applied: the same wishes, and what the plan says runs."""
    old = {(r["cluster"], r["group"], r["index"]): r for r in problem.get("running") or []}
    running = []
    for entry in plan["instances"]:
        key = (entry["cluster"], entry["group"], entry["index"])
        if entry["action"] == "remove":
            continue
        if entry["action"] in ("keep", "unknown", "foreign"):
            running.append(old[key])
            continue
        spec = problem["clusters"][key[0]]["groups"][key[1]]
        grade = problem["grades"][spec["grade"]]
        claims = {k: v for k, v in grade.items() if k in ("cores", "cpus", "memory", "disk")}
        claims.update(grade.get("resources") or {})
        running.append(
            {
                "cluster": key[0],
                "group": key[1],
                "index": key[2],
                "host": entry["host"],
                "state": {"started": "running", "stopped": "exited", "reserved": "created"}[entry["state"]],
                "healthy": True,
                "claims": claims,
                "cores": entry["cores"],
                "network": entry["network"],
                "address": entry["address"],
                "digest": spec.get("digest"),
                "grade": spec["grade"],
            }
        )
    return {**problem, "running": running}
