"""What becomes of instances whose host is drained, cordoned or dead, or whose fleet is full."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_plan import complaints

GIB = 2**30
Spec = dict[str, Any]


def host(name: str, cores: int = 4, state: str = "active", **labels: str) -> Spec:
    """A host with as many GiB of memory as cores."""
    return {"name": name, "state": state, "cpus": cores, "resources": {"memory": cores * GIB}, "labels": labels}


def run(group: str, index: int, where: str, core: int, **more: Any) -> Spec:
    """An instance of acme that runs with one core and one GiB."""
    claims = {"cores": 1, "memory": GIB}
    one = {"cluster": "acme", "group": group, "index": index, "host": where, "claims": claims, "cores": [core]}
    return {**one, "digest": "d", "grade": "small", **more}


def problem(hosts: list[Spec], groups: dict[str, Spec], running: list[Spec], **more: Any) -> Spec:
    """A problem of one tenant and one grade: one core, one GiB."""
    full = {name: {"grade": "small", "digest": "d", **spec} for name, spec in groups.items()}
    clusters = {"acme": {"state": "started", "groups": full}}
    grades = {"small": {"cores": 1, "memory": "1g"}}
    return {"version": 1, "hosts": hosts, "grades": grades, "clusters": clusters, "running": running, **more}


def planned(asked: Spec) -> Spec:
    """The plan, which the oracle has nothing against."""
    plan: Spec = solve(Problem.from_dict(asked)).to_dict()
    wrong = complaints(asked, plan)
    assert not wrong, f"{wrong}\n{json.dumps(asked)}\n{json.dumps(plan)}"
    return plan


def fates(plan: Spec) -> dict[str, str]:
    """What the plan does with whom, and where: {"web_0": "move h2"}."""
    return {f"{i['group']}_{i['index']}": f"{i['action']} {i['host'] or i['from_host']}" for i in plan["instances"]}


def test_a_drained_host_is_emptied_and_nothing_else_moves() -> None:
    runs = [run("web", 0, "h1", 0), run("web", 1, "h2", 0), run("web", 2, "h3", 0)]
    hosts = [host("h1", state="drained"), host("h2"), host("h3")]
    got = fates(planned(problem(hosts, {"web": {"count": 3}}, runs)))
    assert got["web_0"] in ("move h2", "move h3")
    assert (got["web_1"], got["web_2"]) == ("keep h2", "keep h3")


def test_a_drained_host_without_a_place_elsewhere_keeps_what_runs_and_says_so() -> None:
    runs = [run("web", 0, "h1", 0), run("web", 1, "h2", 0)]
    plan = planned(problem([host("h1", state="drained"), host("h2", 1)], {"web": {"count": 2}}, runs))
    assert fates(plan) == {"web_0": "keep h1", "web_1": "keep h2"}
    assert not plan["complete"]
    assert [u["name"] for u in plan["unplaced"]] == ["acme_web_0"]


def test_a_drained_fleet_moves_as_much_as_finds_room() -> None:
    runs = [run("web", n, "h1", n) for n in range(4)]
    plan = planned(problem([host("h1", state="drained"), host("h2", 3)], {"web": {"count": 4}}, runs))
    assert sorted(fates(plan).values()) == ["keep h1", "move h2", "move h2", "move h2"]


def test_moves_off_a_drained_host_roll_in_batches() -> None:
    runs = [run("web", n, "h1", n) for n in range(4)]
    asked = problem([host("h1", state="drained"), host("h2")], {"web": {"count": 4, "update": {"batch": 2}}}, runs)
    steps = planned(asked)["steps"]
    assert [len(step["instances"]) for step in steps] == [2, 2]
    assert steps[1]["waits_for"]


def test_a_cordoned_host_keeps_what_it_has_and_gets_nothing() -> None:
    plan = planned(problem([host("h1", state="cordoned"), host("h2")], {"web": {"count": 3}}, [run("web", 0, "h1", 0)]))
    assert fates(plan) == {"web_0": "keep h1", "web_1": "create h2", "web_2": "create h2"}


def test_an_update_happens_in_place_on_a_cordoned_host() -> None:
    runs = [run("web", 0, "h1", 0, digest="old")]
    assert fates(planned(problem([host("h1", state="cordoned"), host("h2")], {"web": {"count": 1}}, runs))) == {
        "web_0": "update h1"
    }


def test_what_a_dead_host_ran_is_remembered_and_not_replaced() -> None:
    runs = [run("web", 0, "h1", 0), run("web", 1, "h2", 0)]
    plan = planned(problem([host("h1", state="unreachable"), host("h2")], {"web": {"count": 2}}, runs))
    assert fates(plan) == {"web_0": "unknown h1", "web_1": "keep h2"}
    assert plan["complete"]
    assert not plan["changed"]
    assert not plan["steps"]


def test_a_dead_host_is_replaced_where_that_is_the_policy() -> None:
    runs = [run("web", 0, "h1", 0), run("db", 0, "h9", 0)]
    hosts = [host("h1", state="unreachable"), host("h2"), host("h9", state="unreachable")]
    groups = {"web": {"count": 1}, "db": {"count": 1}}
    some = planned(problem(hosts, groups, runs, options={"replace_unreachable": ["h1"]}))
    assert fates(some) == {"db_0": "unknown h9", "web_0": "move h2"}
    every = planned(problem(hosts, groups, runs, options={"replace_unreachable": True}))
    assert fates(every) == {"db_0": "move h2", "web_0": "move h2"}


def test_anti_affinity_counts_what_a_dead_host_may_still_run() -> None:
    apart = {"anti_affinity": [{"group": "web", "topology": "zone"}]}
    hosts = [host("h1", state="unreachable", zone="a"), host("h2", zone="a"), host("h3", zone="b")]
    plan = planned(problem(hosts, {"web": {"count": 2, "placement": apart}}, [run("web", 0, "h1", 0)]))
    assert fates(plan) == {"web_0": "unknown h1", "web_1": "create h3"}


def test_the_address_of_a_dead_instance_is_not_given_away() -> None:
    runs = [run("web", 0, "h1", 0, network="lan", address="10.0.0.1")]
    networks = {"lan": {"pool": ["10.0.0.1-10.0.0.2"]}}
    hosts = [host("h1", state="unreachable"), host("h2")]
    plan = planned(problem(hosts, {"web": {"count": 3, "network": "lan"}}, runs, networks=networks))
    assert [i["address"] for i in plan["instances"]] == ["10.0.0.1", "10.0.0.2"]
    assert "address" in plan["unplaced"][0]["text"]


def test_a_full_fleet_names_what_is_missing_and_keeps_the_rest() -> None:
    runs = [run("web", n, f"h{n // 4 + 1}", n % 4) for n in range(8)]
    plan = planned(problem([host("h1"), host("h2")], {"web": {"count": 9}}, runs))
    assert [u["name"] for u in plan["unplaced"]] == ["acme_web_8"]
    assert plan["summary"]["keep"] == 8
    unplaced = plan["unplaced"][0]
    assert sum(r["hosts"] for r in unplaced["reasons"]) >= 1
    assert "2 hosts" in unplaced["text"]
    assert unplaced["nearest"]
    assert unplaced["relaxations"]


def test_a_fleet_of_no_hosts_places_nothing_and_says_so() -> None:
    plan = planned(problem([], {"web": {"count": 2}}, []))
    assert [u["name"] for u in plan["unplaced"]] == ["acme_web_0", "acme_web_1"]
    assert all(u["text"] for u in plan["unplaced"])


def test_surplus_instances_are_removed_first_where_their_room_is_needed() -> None:
    runs = [run("web", n, "h1", n) for n in range(4)]
    plan = planned(problem([host("h1")], {"web": {"count": 1}, "db": {"count": 3}}, runs))
    assert plan["complete"]
    kinds = [step["kind"] for step in plan["steps"]]
    assert kinds.index("remove") == 0
    assert fates(plan)["web_0"] == "keep h1"


def test_an_absent_cluster_is_removed_and_an_unknown_one_is_left_alone() -> None:
    stray = {**run("cat", 0, "h1", 1), "cluster": "stray"}
    asked = problem([host("h1")], {"web": {"count": 1}}, [run("web", 0, "h1", 0), stray])
    asked["clusters"]["acme"]["state"] = "absent"
    assert fates(planned(asked)) == {"web_0": "remove h1", "cat_0": "foreign h1"}


def test_a_new_rule_moves_only_as_many_as_it_must() -> None:
    apart = {"anti_affinity": [{"group": "web", "topology": "host"}]}
    runs = [run("web", 0, "h1", 0), run("web", 1, "h1", 1), run("web", 2, "h2", 0)]
    hosts = [host("h1"), host("h2"), host("h3")]
    got = fates(planned(problem(hosts, {"web": {"count": 3, "placement": apart}}, runs)))
    assert sorted(action.split()[0] for action in got.values()) == ["keep", "keep", "move"]
    assert got["web_2"] == "keep h2"


def test_a_rule_of_another_tenant_keeps_newcomers_away_from_what_already_runs() -> None:
    asked = problem([host("h1"), host("h2")], {"web": {"count": 1, "placement": {"dedicated": True}}}, [])
    asked["running"] = [run("web", 0, "h1", 0)]
    asked["clusters"]["umbra"] = {"groups": {"app": {"count": 2, "grade": "small"}}}
    assert {i["host"] for i in planned(asked)["instances"] if i["cluster"] == "umbra"} == {"h2"}


def test_an_update_that_no_longer_fits_in_place_moves() -> None:
    runs = [run("web", n, "h1", n) for n in range(4)]
    runs[3] = run("db", 0, "h1", 3, digest="old")
    asked = problem([host("h1"), host("h2")], {"web": {"count": 3}, "db": {"count": 1, "grade": "big"}}, runs)
    asked["grades"]["big"] = {"cores": 2, "memory": "1g"}
    assert fates(planned(asked)) == {
        "db_0": "move h2",
        "web_0": "keep h1",
        "web_1": "keep h1",
        "web_2": "keep h1",
    }


@pytest.mark.parametrize("budget", [0, 1, 2])
def test_a_rebalance_keeps_to_its_budget_of_moves(budget: int) -> None:
    runs = [run("web", n, f"h{n + 1}", 0) for n in range(3)]
    hosts = [host("h1"), host("h2"), host("h3")]
    asked = problem(hosts, {"web": {"count": 3}}, runs, options={"rebalance": {"moves": budget, "goal": "consolidate"}})
    plan = planned(asked)
    assert plan["summary"]["move"] == budget
    assert plan["summary"]["hosts_used"] == 3 - budget


def test_without_a_rebalance_nothing_moves_for_a_better_packing() -> None:
    runs = [run("web", n, f"h{n + 1}", 0) for n in range(3)]
    plan = planned(problem([host("h1"), host("h2"), host("h3")], {"web": {"count": 3}}, runs))
    assert not plan["changed"]


def test_a_follower_stays_and_its_new_target_comes_to_it() -> None:
    # Binpack would put db on h1, where something runs; then web would have to move after it.
    near = {"affinity": [{"group": "db", "topology": "host"}]}
    runs = [run("cat", 0, "h1", 0), run("web", 0, "h2", 0)]
    groups = {"web": {"count": 1, "placement": near}, "db": {"count": 1}, "cat": {"count": 1}}
    plan = planned(problem([host("h1"), host("h2")], groups, runs))
    assert fates(plan) == {"cat_0": "keep h1", "db_0": "create h2", "web_0": "keep h2"}


def test_a_group_of_one_host_gets_no_member_while_one_is_on_a_dead_host_elsewhere() -> None:
    together = {"affinity": [{"group": "web", "topology": "host"}]}
    runs = [run("web", 0, "h1", 0), run("web", 1, "h2", 0)]
    hosts = [host("h1", state="unreachable"), host("h2")]
    plan = planned(problem(hosts, {"web": {"count": 3, "placement": together}}, runs))
    assert fates(plan) == {"web_0": "unknown h1", "web_1": "keep h2"}
    assert [(u["name"], u["proven"]) for u in plan["unplaced"]] == [("acme_web_2", True)]
    assert "1 host breaks affinity to acme/web" in plan["unplaced"][0]["text"]


def test_an_update_in_place_is_not_held_back_by_a_rule_that_is_broken_already() -> None:
    together = {"affinity": [{"group": "web", "topology": "host"}]}
    runs = [run("web", 0, "h1", 0), run("web", 1, "h2", 0, digest="old")]
    hosts = [host("h1", state="unreachable"), host("h2")]
    web = {"count": 2, "placement": together, "update": {"batch": 2}}
    plan = planned(problem(hosts, {"web": web}, runs))
    assert fates(plan) == {"web_0": "unknown h1", "web_1": "update h2"}


def test_what_others_must_be_near_to_moves_if_that_moves_fewer() -> None:
    near = {"affinity": [{"group": "db", "topology": "host"}]}
    runs = [run("db", 0, "h1", 0), run("web", 0, "h2", 0), run("web", 1, "h2", 1), run("web", 2, "h2", 2)]
    groups = {"web": {"count": 3, "placement": near}, "db": {"count": 1}}
    plan = planned(problem([host("h1"), host("h2")], groups, runs))
    assert {name: fate for name, fate in fates(plan).items() if "keep" not in fate} == {"db_0": "move h2"}


def test_a_grade_that_asks_for_whole_cores_gets_them_on_an_update() -> None:
    cpus = [{"id": n, "core": n % 2} for n in range(4)]
    one = {"name": "h1", "cpus": cpus, "resources": {"memory": 4 * GIB}}
    asked = problem([one], {"web": {"count": 1}}, [run("web", 0, "h1", 0, digest="old")])
    asked["running"][0].update(claims={"cores": 2, "memory": GIB}, cores=[0, 1])
    asked["grades"]["small"] = {"cores": 2, "memory": "1g", "smt": "whole"}
    assert planned(asked)["instances"][0]["cores"] == [0, 2]


def test_groups_start_in_the_order_they_require_each_other() -> None:
    groups = {"c": {"count": 1, "requires": ["b"]}, "b": {"count": 1, "requires": ["a"]}, "a": {"count": 1}}
    plan = planned(problem([host("h1")], groups, []))
    assert [step["instances"] for step in plan["steps"]] == [["acme_a_0"], ["acme_b_0"], ["acme_c_0"]]


def test_a_mode_of_a_group_overrules_that_of_the_fleet() -> None:
    hosts = [host("h1"), host("h2"), host("h3")]
    groups = {"packed": {"count": 3}, "wide": {"count": 3, "placement": {"mode": "spread"}}}
    plan = planned(problem(hosts, groups, [], options={"mode": "binpack"}))
    where = {name: {i["host"] for i in plan["instances"] if i["group"] == name} for name in groups}
    assert len(where["packed"]) == 1
    assert len(where["wide"]) == 3


def test_a_preferred_rule_is_kept_where_it_can_be_and_broken_where_it_must() -> None:
    apart = {"anti_affinity": [{"group": "web", "topology": "host", "required": False}]}
    two = planned(problem([host("h1"), host("h2")], {"web": {"count": 2, "placement": apart}}, []))
    assert len({i["host"] for i in two["instances"]}) == 2
    three = planned(problem([host("h1"), host("h2")], {"web": {"count": 3, "placement": apart}}, []))
    assert three["complete"]
