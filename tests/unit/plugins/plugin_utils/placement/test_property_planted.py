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
    start = time.process_time()
    plan = solve(Problem.from_dict(problem)).to_dict()
    assert not complaints(problem, plan), json.dumps(problem)
    assert plan["complete"], [u["text"] for u in plan["unplaced"]]
    assert time.process_time() - start < 30


@pytest.mark.parametrize("seed", range(100, 120))
def test_even_a_fleet_without_a_core_to_spare_is_filled(seed: int) -> None:
    problem = planted(seed, slack=0.0)
    plan = solve(Problem.from_dict(problem)).to_dict()
    assert not complaints(problem, plan), json.dumps(problem)
    assert plan["complete"], [u["text"] for u in plan["unplaced"]]


@pytest.mark.parametrize("seed", range(200, 220))
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


def full_fleet(seed: int) -> dict[str, Any]:
    """About as much as fits, or more, on hosts with and without NUMA nodes, under rules of all kinds."""
    rng = random.Random(seed)
    hosts = [fleet_host(rng, number, numa=seed % 2 == 1) for number in range(rng.randint(8, 20))]
    grades = {}
    for number in range(6):
        cores = rng.randint(1, 6)
        whole = "whole" if cores % 2 == 0 and rng.random() < 0.4 else "any"
        grades[f"g{number}"] = {"cores": cores, "memory": rng.randint(1, 9) * GIB, "smt": whole}
        if rng.random() < 0.25:
            grades[f"g{number}"] = {"cpus": rng.choice([0.25, 0.5, 1.5]), "memory": rng.randint(1, 4) * GIB}
    groups: dict[str, Any] = {}
    left = 200
    while left > 20 and len(groups) < 25:
        count = rng.randint(2, 14)
        left -= count
        name = f"s{len(groups)}"
        groups[name] = {"count": count, "grade": rng.choice(list(grades)), "placement": some_rules(rng, name, groups)}
    clusters = {"acme": {"groups": groups}}
    return {"version": 1, "hosts": hosts, "grades": grades, "clusters": clusters, "running": []}


def fleet_host(rng: random.Random, number: int, numa: bool) -> dict[str, Any]:
    """A host of 8 to 16 logical CPUs, on two nodes with siblings where asked."""
    cores = rng.choice([8, 12, 16])
    half = cores // 2
    cpus = [{"id": n, "core": n % half, "node": (n % half) * 2 // half} for n in range(cores)]
    labels = {"zone": rng.choice("abc"), "rack": f"r{number % 5}", "disk": rng.choice(["ssd", "hdd"])}
    resources = {"memory": rng.choice([16, 24, 32, 48]) * GIB}
    return {"name": f"h{number:02}", "cpus": cpus if numa else cores, "resources": resources, "labels": labels}


def some_rules(rng: random.Random, name: str, others: dict[str, Any]) -> dict[str, Any]:
    """None, one or several hard rules."""
    rules: dict[str, Any] = {}
    if rng.random() < 0.35:
        rules["anti_affinity"] = [{"group": name, "topology": rng.choice(["host", "rack"]), "max": rng.randint(1, 3)}]
    if rng.random() < 0.25:
        rules["spread"] = [{"topology": rng.choice(["zone", "rack"]), "max_skew": rng.randint(1, 2)}]
    if others and rng.random() < 0.25:
        rules["affinity"] = [{"group": rng.choice(list(others)), "topology": rng.choice(["host", "rack", "zone"])}]
    if others and rng.random() < 0.2:
        rules.setdefault("anti_affinity", []).append({"group": rng.choice(list(others)), "topology": "host"})
    if rng.random() < 0.2:
        rules["constraints"] = [{"label": "disk", "in": [rng.choice(["ssd", "hdd"])]}]
    return rules


@pytest.mark.parametrize("seed", [0, 2, 3, 4, 5, 8])
def test_a_full_fleet_with_many_rules_leaves_out_only_what_provably_has_no_place(seed: int) -> None:
    problem = full_fleet(seed)
    plan = solve(Problem.from_dict(problem)).to_dict()
    assert not complaints(problem, plan), json.dumps(problem)
    assert all(unplaced["proven"] for unplaced in plan["unplaced"])
