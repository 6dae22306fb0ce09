"""Larger problems whose answer is known because it was planted: first the placement is made, then the problem.

Up to 20 hosts and 200 instances everything that was planted must be placed, and what can't be is proven not to.
"""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_plan import complaints

GIB = 2**30
SIZES = {"s": (1, 2), "m": (2, 3), "l": (4, 12), "fat": (1, 8)}


def planted(seed: int, slack: float) -> dict[str, Any]:
    """A problem that can be solved, with hosts just as large as their planted load and `slack` of it more."""
    rng = random.Random(seed)
    names = [f"h{n:02}" for n in range(rng.randint(4, 20))]
    zones = {name: rng.choice("abc") for name in names}
    where: dict[str, list[str]] = {name: [] for name in names}
    groups: dict[str, dict[str, Any]] = {}
    left = rng.randint(20, 160)
    while left > 0:
        group = f"g{len(groups)}"
        count = min(left, rng.randint(1, 15))
        left -= count
        size = rng.choice(list(SIZES))
        homes, rules = planted_rules(rng, group, count, names, zones)
        for home in homes:
            where[home].append(size)
        groups[group] = {"count": count, "grade": size, "placement": rules}
    hosts = []
    for name in names:
        cores = sum(SIZES[size][0] for size in where[name])
        memory = sum(SIZES[size][1] for size in where[name])
        hosts.append(
            {
                "name": name,
                "labels": {"zone": zones[name]},
                "cpus": max(1, round(cores * (1 + slack))),
                "resources": {"memory": max(1, round(memory * (1 + slack))) * GIB},
            }
        )
    grades = {name: {"cores": cores, "memory": memory * GIB} for name, (cores, memory) in SIZES.items()}
    clusters = {"acme": {"state": "started", "groups": groups}}
    return {"version": 1, "hosts": hosts, "grades": grades, "clusters": clusters, "running": []}


def planted_rules(
    rng: random.Random, group: str, count: int, names: list[str], zones: dict[str, str]
) -> tuple[list[str], dict[str, Any]]:
    """Where the members of a group are planted, and a rule that this placement obeys."""
    kind = rng.choice(["free", "free", "apart", "zone", "together"])
    if kind == "apart" and count <= len(names):
        return rng.sample(names, count), {"anti_affinity": [{"group": group, "topology": "host"}]}
    if kind == "zone":
        zone = zones[rng.choice(names)]
        inside = [name for name in names if zones[name] == zone]
        return [rng.choice(inside) for _turn in range(count)], {"constraints": [{"label": "zone", "in": [zone]}]}
    if kind == "together":
        zone = zones[rng.choice(names)]
        inside = [name for name in names if zones[name] == zone]
        return [rng.choice(inside) for _turn in range(count)], {"affinity": [{"group": group, "topology": "zone"}]}
    return [rng.choice(names) for _turn in range(count)], {}


@pytest.mark.parametrize("seed", range(60))
def test_what_was_planted_is_found_again(seed: int) -> None:
    problem = planted(seed, slack=0.1)
    start = time.perf_counter()
    plan = solve(Problem.from_dict(problem)).to_dict()
    assert not complaints(problem, plan), json.dumps(problem)
    assert plan["complete"], [u["text"] for u in plan["unplaced"]]
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize("seed", range(100, 120))
def test_even_a_fleet_without_a_core_to_spare_is_filled(seed: int) -> None:
    problem = planted(seed, slack=0.0)
    plan = solve(Problem.from_dict(problem)).to_dict()
    assert not complaints(problem, plan), json.dumps(problem)
    assert plan["complete"], [u["text"] for u in plan["unplaced"]]


@pytest.mark.parametrize("seed", range(200, 230))
def test_what_can_not_be_placed_is_proven_and_explained(seed: int) -> None:
    problem = planted(seed, slack=0.0)
    grade = random.Random(seed).choice(list(SIZES))
    problem["clusters"]["acme"]["groups"]["extra"] = {"count": 3, "grade": grade}
    cores = sum(host["cpus"] for host in problem["hosts"])
    asked = sum(SIZES[g["grade"]][0] * g["count"] for g in problem["clusters"]["acme"]["groups"].values())
    plan = solve(Problem.from_dict(problem)).to_dict()
    assert not complaints(problem, plan), json.dumps(problem)
    if asked > cores:
        assert plan["unplaced"]
    for unplaced in plan["unplaced"]:
        assert unplaced["proven"] is True, unplaced["text"]
        assert unplaced["reasons"]
        assert unplaced["nearest"]
        assert unplaced["text"].startswith(unplaced["name"])
