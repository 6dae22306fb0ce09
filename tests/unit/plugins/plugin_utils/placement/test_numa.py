"""Cores on topologies of real machines: compact over NUMA nodes, whole physical cores, and what memory follows."""

from __future__ import annotations

import collections
import json
import random
from typing import Any

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle import Claim, Host
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_plan import complaints
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_search import fits
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.topologies import (
    GIB,
    MACHINES,
    Machine,
)

machines = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
with_smt = pytest.mark.parametrize("machine", [m for m in MACHINES if m.threads > 1], ids=lambda machine: machine.name)


def asked(host: dict[str, Any], *groups: dict[str, Any], running: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A problem of one host and one group per grade given, with `count` beside the grade's own keys."""
    grades = {f"g{n}": {k: v for k, v in group.items() if k != "count"} for n, group in enumerate(groups)}
    wanted = {f"app{n}": {"count": group.get("count", 1), "grade": f"g{n}"} for n, group in enumerate(groups)}
    clusters = {"acme": {"state": "started", "groups": wanted}}
    return {"version": 1, "hosts": [host], "grades": grades, "clusters": clusters, "running": running or []}


def planned(problem: dict[str, Any]) -> dict[str, Any]:
    """The plan, which the oracle has nothing against."""
    plan = solve(Problem.from_dict(problem)).to_dict()
    wrong = complaints(problem, plan)
    assert not wrong, f"{wrong}\n{json.dumps(problem)}"
    return plan


def nodes_of(host: dict[str, Any], cores: list[int]) -> collections.Counter[int]:
    """How many of the cores lie in which NUMA node."""
    node = {cpu["id"]: cpu["node"] for cpu in host["cpus"]}
    return collections.Counter(node[core] for core in cores)


@machines
def test_a_container_that_fits_one_node_lies_in_one(machine: Machine) -> None:
    host = machine.host()
    per_node = machine.cores * machine.threads
    plan = planned(asked(host, {"cores": per_node, "memory": GIB}))
    (entry,) = plan["instances"]
    assert len(nodes_of(host, entry["cores"])) == 1
    assert entry["mems"] == sorted(nodes_of(host, entry["cores"]))


@machines
def test_a_container_larger_than_a_node_lies_in_as_few_nodes_as_possible(machine: Machine) -> None:
    host = machine.host()
    per_node = machine.cores * machine.threads
    for cores in range(1, per_node * machine.nodes + 1, max(1, per_node // 3)):
        (entry,) = planned(asked(host, {"cores": cores, "memory": GIB}))["instances"]
        assert len(nodes_of(host, entry["cores"])) == -(-cores // per_node)


@machines
def test_all_cores_of_a_machine_can_be_given_away(machine: Machine) -> None:
    total = machine.nodes * machine.cores * machine.threads
    plan = planned(asked(machine.host(), {"cores": machine.threads, "smt": "whole", "count": total // machine.threads}))
    assert plan["complete"]
    assert sorted(core for entry in plan["instances"] for core in entry["cores"]) == list(range(total))


@machines
def test_numa_2_takes_half_of_its_cores_from_each_of_two_nodes(machine: Machine) -> None:
    host = machine.host()
    plan = planned(asked(host, {"cores": 4, "memory": GIB, "numa": 2, "count": 2}))
    if machine.nodes < 2:
        assert len(plan["unplaced"]) == 2
    else:
        assert plan["complete"]
        assert all(sorted(nodes_of(host, e["cores"]).values()) == [2, 2] for e in plan["instances"])


@machines
def test_numa_1_is_refused_where_only_fragments_are_left(machine: Machine) -> None:
    host = machine.host()
    # All but one core of each node is taken, by one container for each node.
    most = machine.cores * machine.threads - 1
    taken = {"cores": most, "numa": 1, "count": machine.nodes}
    fragments = planned(asked(host, taken, {"cores": 2, "numa": 1}))
    assert [u["name"] for u in fragments["unplaced"]] == ["acme_app1_0"]
    if machine.nodes > 1:
        assert planned(asked(host, taken, {"cores": 2, "numa": "any"}))["complete"]


@with_smt
def test_whole_cores_are_not_shared_with_others(machine: Machine) -> None:
    host = machine.host()
    plan = planned(asked(host, {"cores": 1, "count": 3}, {"cores": machine.threads, "smt": "whole", "count": 2}))
    assert plan["complete"]


@with_smt
def test_halves_are_taken_where_whole_cores_are_wanted_by_others(machine: Machine) -> None:
    # As many single threads as one physical core has, and whole cores for all the rest: only if the singles share
    # one physical core does everything fit.
    host = machine.host()
    physical = machine.nodes * machine.cores
    whole = {"cores": machine.threads, "smt": "whole", "count": physical - 1}
    assert planned(asked(host, {"cores": 1, "count": machine.threads}, whole))["complete"]


@with_smt
def test_a_count_that_is_no_multiple_of_the_threads_is_not_whole(machine: Machine) -> None:
    plan = planned(asked(machine.host(), {"cores": machine.threads + 1, "smt": "whole"}))
    assert len(plan["unplaced"]) == 1
    assert "smt" in plan["unplaced"][0]["text"].lower() or "physical" in plan["unplaced"][0]["text"].lower()


@machines
def test_reserved_cores_are_the_lowest_numbered_and_nobody_gets_them(machine: Machine) -> None:
    host = machine.host(reserved={"cores": 3})
    total = machine.nodes * machine.cores * machine.threads
    plan = planned(asked(host, {"cores": 1, "count": total}))
    assert len(plan["unplaced"]) == 3
    assert sorted(core for entry in plan["instances"] for core in entry["cores"]) == list(range(3, total))


@machines
def test_shared_containers_are_confined_to_what_nobody_owns(machine: Machine) -> None:
    plan = planned(asked(machine.host(reserved={"cores": 1}), {"cores": 2}, {"cpus": 0.5, "count": 2}))
    owned = {core for entry in plan["instances"] for core in entry["cores"] or []}
    total = machine.nodes * machine.cores * machine.threads
    free = sorted(set(range(1, total)) - owned)
    shared = [entry for entry in plan["instances"] if entry["group"] == "app1"]
    assert len(shared) == 2
    assert all(sorted(entry["cpuset"]) == free and not entry["cores"] for entry in shared)
    assert plan["hosts"]["h1"]["shared_cores"] == free


@machines
def test_memory_of_each_node_is_counted_where_it_is_declared(machine: Machine) -> None:
    # Every node has memory for one of these, though its cores would do for more.
    host = machine.host(numa_memory={str(node): 6 * GIB for node in range(machine.nodes)})
    host["resources"]["memory"] = 6 * GIB * machine.nodes
    plan = planned(asked(host, {"cores": 1, "memory": 4 * GIB, "numa": 1, "count": machine.nodes + 1}))
    assert len(plan["unplaced"]) == 1
    placed = [next(iter(nodes_of(host, entry["cores"]))) for entry in plan["instances"]]
    assert sorted(placed) == list(range(machine.nodes))


@machines
def test_what_fits_by_trying_everything_is_placed(machine: Machine) -> None:
    rng = random.Random(machine.name)
    host = machine.host()
    total = machine.nodes * machine.cores * machine.threads
    for _round in range(12):
        groups = []
        left = total
        while left > 0 and len(groups) < 5:
            cores = min(left, rng.choice([1, 2, 3, 4, total // 4 or 1, total // 2]))
            numa = rng.choice(["any", *[n for n in (1, 2, 4) if cores % n == 0 and n <= machine.nodes]])
            groups.append({"cores": cores, "memory": GIB, "numa": numa, "smt": rng.choice(["any", "any", "whole"])})
            left -= cores
        problem = asked(host, *groups)
        possible = fits(Host(host), [], [Claim.of_grade(group) for group in groups])
        plan = planned(problem)
        assert plan["complete"] == possible, json.dumps({"groups": groups, "machine": machine.name})


@machines
def test_no_container_could_be_more_compact_with_what_is_left(machine: Machine) -> None:
    rng = random.Random(machine.name + "compact")
    host = machine.host()
    total = machine.nodes * machine.cores * machine.threads
    for _round in range(5):
        plan = planned(asked(host, *({"cores": rng.randint(1, max(2, total // 6))} for _turn in range(6))))
        owned = {core for entry in plan["instances"] for core in entry["cores"]}
        for entry in plan["instances"]:
            there = nodes_of(host, sorted(set(range(total)) - owned | set(entry["cores"])))
            needed, left = 0, len(entry["cores"])
            for room in sorted(there.values(), reverse=True):
                if left > 0:
                    needed, left = needed + 1, left - room
            assert len(nodes_of(host, entry["cores"])) == needed
