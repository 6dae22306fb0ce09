"""Moves that wait for each other's room: a circle is broken by way of a host with room, or reported.

The oracle replays the steps of every plan: none overcommits, and a stop on the way breaks no hard rule.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_plan import complaints
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.test_fates import (
    GIB,
    fates,
    host,
    planned,
    problem,
    run,
)

Spec = dict[str, Any]


def told(plan: Spec) -> list[tuple[str, list[str], list[str]]]:
    """Steps in short: kind, instances, and the hosts of stops."""
    return [(s["kind"], s["instances"], [v["host"] for v in s.get("via", {}).values()]) for s in plan["steps"]]


def circle(
    hosts: list[Spec], moves: dict[str, tuple[str, str]], stops: list[str], disks: tuple[str, ...] = (), **rules: Any
) -> Spec:
    """Each group runs on a host where it may not be, and belongs to another; ``stops`` would do, but less gladly."""
    groups, running = {}, []
    for name, (here, there) in sorted(moves.items()):
        wish = {"label": "host", "in": [there], "required": False, "weight": 100}
        placement = {"constraints": [{"label": "host", "in": [there, *stops]}, wish], **rules}
        groups[name] = {"count": 1, "placement": placement}
        running.append(run(name, 0, here, 0))
    rows = [{"cluster": "acme", "group": name, "index": 0, "host": moves[name][0], "size": GIB} for name in disks]
    for one in hosts:
        one["resources"]["disk"] = 9 * GIB
    return problem(hosts, groups, running, disks=rows)


CHANGE_PLACES = {"db": ("h1", "h2"), "web": ("h2", "h1")}


def test_a_circle_goes_by_way_of_a_host_with_room() -> None:
    hosts = [host("h1", 1), host("h2", 1), host("h3", 1)]
    plan = planned(circle(hosts, CHANGE_PLACES, ["h3"]))
    assert fates(plan) == {"db_0": "move h2", "web_0": "move h1"}
    assert told(plan) == [
        ("move", ["acme_db_0"], ["h3"]),
        ("move", ["acme_web_0"], []),
        ("move", ["acme_db_0"], []),
    ]
    assert plan["steps"][0]["name"] == "Move acme_db_0 to h3 for a while"
    assert plan["steps"][0]["via"] == {"acme_db_0": {"host": "h3", "cores": [0], "cpuset": [0], "mems": [0]}}
    assert plan["steps"][2]["waits_for"] == [0, 1]
    assert plan["notes"] == ["acme_db_0 goes by way of h3: the moves form a circle"]


def test_a_circle_of_three_needs_one_stop() -> None:
    hosts = [host(f"h{n}", 1) for n in (1, 2, 3, 4)]
    moves = {"a": ("h1", "h2"), "b": ("h2", "h3"), "c": ("h3", "h1")}
    plan = planned(circle(hosts, moves, ["h4"]))
    assert [step["instances"] for step in plan["steps"]] == [["acme_a_0"], ["acme_c_0"], ["acme_b_0"], ["acme_a_0"]]


@pytest.mark.parametrize(("with_data", "goes"), [("db", "acme_web_0"), ("web", "acme_db_0")])
def test_the_one_without_data_takes_the_detour(with_data: str, goes: str) -> None:
    hosts = [host("h1", 1), host("h2", 1), host("h3", 1)]
    plan = planned(circle(hosts, CHANGE_PLACES, ["h3"], disks=(with_data,)))
    assert told(plan)[0] == ("move", [goes], ["h3"])


def test_where_both_have_data_one_waits_stopped_and_the_plan_says_so() -> None:
    hosts = [host("h1", 1), host("h2", 1), host("h3", 1)]
    plan = planned(circle(hosts, CHANGE_PLACES, ["h3"], disks=("db", "web")))
    assert [kind for kind, _names, _stops in told(plan)] == ["remove", "move", "move"]
    assert "acme_db_0 is removed before its new place is free" in plan["notes"][0]


def test_a_stop_keeps_every_hard_rule() -> None:
    # h3 has room, but holds somebody whom neither of the two may meet.
    apart = {"anti_affinity": [{"group": "cat", "topology": "host"}]}
    asked = circle([host("h1", 1), host("h2", 1), host("h3", 2)], CHANGE_PLACES, ["h3"], **apart)
    asked["clusters"]["acme"]["groups"]["cat"] = {"count": 1, "grade": "small", "digest": "d"}
    asked["running"].append(run("cat", 0, "h3", 0))
    plan = planned(asked)
    assert [kind for kind, _names, _stops in told(plan)] == ["remove", "move", "move"]
    assert "no host can take one of them for a while" in plan["notes"][0]


def test_a_full_fleet_reports_its_circle() -> None:
    plan = planned(circle([host("h1", 1), host("h2", 1)], CHANGE_PLACES, []))
    assert [kind for kind, _names, _stops in told(plan)] == ["remove", "move", "move"]
    assert plan["notes"]


def random_circle(seed: int) -> Spec:
    """Instances of several sizes on full hosts, shuffled, with some hosts to spare, some disks and some rules."""
    rng = random.Random(seed)
    size = rng.randint(2, 6)
    names = [f"h{n}" for n in range(size)]
    spare = [f"s{n}" for n in range(rng.randint(0, 2))]
    there = names[1:] + names[:1] if rng.random() < 0.5 else rng.sample(names, size)
    moves = {f"g{n}": (names[n], there[n]) for n in range(size)}
    hosts = [host(name, rng.choice([1, 1, 2])) for name in names] + [host(name, rng.randint(1, 3)) for name in spare]
    disks = tuple(name for name in moves if rng.random() < 0.3)
    rules = {"anti_affinity": [{"group": "g0", "topology": "host"}]} if rng.random() < 0.3 else {}
    return circle(hosts, moves, spare, disks, **rules)


@pytest.mark.parametrize("seed", range(150))
def test_any_circle_is_broken_without_overcommit(seed: int) -> None:
    asked = random_circle(seed)
    plan = solve(Problem.from_dict(asked)).to_dict()
    assert not complaints(asked, plan)
    data = {"_".join((disk["cluster"], disk["group"], str(disk["index"]))) for disk in asked["disks"]}
    stops = {name for step in plan["steps"] for name in step.get("via", {})}
    assert not stops & data, "a disk would be copied twice"
    early = [step for step in plan["steps"] if step["kind"] == "remove"]
    assert len(plan["notes"]) == len(early) + len([step for step in plan["steps"] if "via" in step])
