"""A member on a host that does not answer counts as down: no other one of its group is taken down beyond ``batch``."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.test_fates import (
    fates,
    host,
    planned,
    problem,
    run,
)

Spec = dict[str, Any]
ZK = [run("zk", n, f"h{n + 1}", 0) for n in range(3)]
SILENT = "acme_zk_1 on h2 does not answer, and batch is 1"


def hosts(**states: str) -> list[Spec]:
    """h1 to h5; h2 does not answer, unless told otherwise."""
    states = {"h2": "unreachable", **states}
    return [host(f"h{n}", state=states.get(f"h{n}", "active")) for n in range(1, 6)]


def waiting(plan: Spec) -> dict[str, str]:
    """Who waits for what."""
    return {f"{i['group']}_{i['index']}": i["waits"] for i in plan["instances"] if "waits" in i}


def sizes(plan: Spec) -> list[int]:
    """How many instances each step handles."""
    return [len(step["instances"]) for step in plan["steps"]]


@pytest.mark.parametrize(
    ("batch", "steps"),
    [(1, []), (2, [1, 1, 1, 1]), (3, [2, 2]), (9, [4])],
)
def test_a_silent_member_counts_against_the_batch_of_an_update(batch: int, steps: list[int]) -> None:
    runs = [run("zk", n, f"h{n + 1}", 0) for n in range(5)]
    plan = planned(problem(hosts(), {"zk": {"count": 5, "digest": "new", "update": {"batch": batch}}}, runs))
    assert sizes(plan) == steps
    assert set(waiting(plan)) == (set() if steps else {"zk_0", "zk_2", "zk_3", "zk_4"})


@pytest.mark.parametrize(
    ("zk", "why"),
    [
        ({"digest": "new"}, "its type or grade changed"),
        (
            {"placement": {"constraints": [{"label": "host", "not_in": ["h3"]}]}},
            "its host no longer satisfies the constraint on label host",
        ),
    ],
)
def test_what_waits_says_why_a_change_is_due_and_what_it_waits_for(zk: Spec, why: str) -> None:
    plan = planned(problem(hosts(), {"zk": {"count": 3, **zk}}, ZK))
    zk_2 = plan["instances"][2]
    assert (zk_2["action"], zk_2["host"], zk_2["reasons"], zk_2["waits"]) == ("keep", "h3", [why], SILENT)
    assert plan["complete"]
    assert not plan["changed"]


def test_several_silent_members_are_told_in_one_sentence() -> None:
    runs = [run("zk", n, f"h{n + 1}", 0) for n in range(4)]
    fleet = hosts(h3="unreachable")
    plan = planned(problem(fleet, {"zk": {"count": 4, "digest": "new", "update": {"batch": 2}}}, runs))
    assert waiting(plan)["zk_0"] == "acme_zk_1 on h2 and 1 more do not answer, and batch is 2"


def test_a_group_without_silent_members_goes_on() -> None:
    runs = [*ZK, run("web", 0, "h1", 1), run("web", 1, "h3", 1)]
    plan = planned(problem(hosts(), {"zk": {"count": 3, "digest": "new"}, "web": {"count": 2, "digest": "new"}}, runs))
    assert fates(plan)["web_0"] == "update h1"
    assert sizes(plan) == [1, 1]


def test_what_is_missing_is_created_all_the_same() -> None:
    plan = planned(problem(hosts(), {"zk": {"count": 5, "digest": "new"}}, ZK))
    assert [step["instances"] for step in plan["steps"]] == [["acme_zk_3", "acme_zk_4"]]


@pytest.mark.parametrize("down", [{"state": "exited"}, {"healthy": False}])
def test_what_is_down_anyway_is_mended_all_the_same(down: Spec) -> None:
    runs = [ZK[0], ZK[1], run("zk", 2, "h3", 0, **down)]
    plan = planned(problem(hosts(), {"zk": {"count": 3, "digest": "new"}}, runs))
    assert fates(plan) == {"zk_0": "keep h1", "zk_1": "unknown h2", "zk_2": "update h3"}


def test_what_is_no_longer_wanted_goes_and_does_not_count() -> None:
    # zk_2 is silent and not wanted any more, so that nothing of the group counts as down.
    plan = planned(problem(hosts(h2="active", h3="unreachable"), {"zk": {"count": 2, "digest": "new"}}, ZK))
    assert fates(plan) == {"zk_0": "update h1", "zk_1": "update h2", "zk_2": "unknown h3"}
    plan = planned(problem(hosts(), {"zk": {"count": 2, "digest": "new"}}, ZK))
    assert fates(plan) == {"zk_0": "keep h1", "zk_1": "unknown h2", "zk_2": "remove h3"}


def test_a_cluster_that_is_not_to_run_is_not_paced() -> None:
    asked = problem(hosts(), {"zk": {"count": 3}}, ZK)
    asked["clusters"]["acme"]["state"] = "stopped"
    assert fates(planned(asked)) == {"zk_0": "stop h1", "zk_1": "unknown h2", "zk_2": "stop h3"}


def test_a_drain_that_would_take_too_many_down_is_refused_with_what_would_help() -> None:
    runs = [*ZK, run("web", 0, "h3", 1)]
    plan = planned(problem(hosts(h3="drained"), {"zk": {"count": 3}, "web": {"count": 1}}, runs))
    assert fates(plan)["zk_2"] == "keep h3"
    assert fates(plan)["web_0"].startswith("move ")
    (refused,) = plan["unplaced"]
    assert refused["text"] == f"acme_zk_2 can't be moved (host h3 is drained) and stays on h3: {SILENT}"
    assert refused["relaxations"] == ["update.batch of acme/zk: 2 instead of 1"]
    assert (refused["proven"], waiting(plan)) == (True, {"zk_2": SILENT})


def test_a_drain_goes_on_where_the_batch_allows_it() -> None:
    plan = planned(problem(hosts(h3="drained"), {"zk": {"count": 3, "update": {"batch": 2}}}, ZK))
    assert fates(plan)["zk_2"].startswith("move ")
    assert plan["complete"]


def test_what_is_replaced_comes_back_before_another_one_goes_down() -> None:
    asked = problem(hosts(), {"zk": {"count": 3, "digest": "new"}}, ZK, options={"replace_unreachable": True})
    assert [step["instances"] for step in planned(asked)["steps"]] == [["acme_zk_1"], ["acme_zk_0"], ["acme_zk_2"]]


def test_what_was_to_be_replaced_and_finds_no_place_stays_silent() -> None:
    apart = {"anti_affinity": [{"group": "zk", "topology": "host"}]}
    zk = {"count": 3, "digest": "new", "placement": apart}
    asked = problem(hosts()[:3], {"zk": zk}, ZK, options={"replace_unreachable": True, "exact": "never"})
    plan = solve(Problem.from_dict(asked)).to_dict()
    assert fates(plan) == {"zk_0": "keep h1", "zk_1": "keep h2", "zk_2": "keep h3"}
    assert set(waiting(plan)) == {"zk_0", "zk_2"}
    assert [u["name"] for u in plan["unplaced"]] == ["acme_zk_1"]


def test_a_rebalance_leaves_a_group_with_silent_members_alone() -> None:
    wish = {"rebalance": {"moves": 5, "goal": "consolidate"}}
    moved = fates(planned(problem(hosts(h2="active"), {"zk": {"count": 3}}, ZK, options=wish)))
    assert any(fate.startswith("move") for fate in moved.values())
    still = fates(planned(problem(hosts(), {"zk": {"count": 3}}, ZK, options=wish)))
    assert still == {"zk_0": "keep h1", "zk_1": "unknown h2", "zk_2": "keep h3"}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    states=st.lists(st.sampled_from(["active", "active", "unreachable", "drained"]), min_size=5, max_size=5),
    batch=st.integers(1, 4),
    outdated=st.sets(st.integers(0, 4)),
    banned=st.sampled_from([[], ["h1"], ["h4", "h5"]]),
)
def test_never_more_are_down_at_once_than_the_batch(
    states: list[str], batch: int, outdated: set[int], banned: list[str]
) -> None:
    fleet = [host(f"h{n + 1}", state=state) for n, state in enumerate(states)] + [host("h6")]
    runs = [run("zk", n, f"h{n + 1}", 0, **({"digest": "old"} if n in outdated else {})) for n in range(5)]
    rule = {"constraints": [{"label": "host", "not_in": banned}]}
    plan = planned(problem(fleet, {"zk": {"count": 5, "update": {"batch": batch}, "placement": rule}}, runs))
    silent = states.count("unreachable")
    for step in plan["steps"]:
        assert silent + len(step["instances"]) <= batch, json.dumps(plan)
