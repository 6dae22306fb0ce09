"""Data lies where it was written: what has a disk on a host goes there, and its bytes count once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle_plan import complaints

GIB = 2**30
Spec = dict[str, Any]


def host(name: str, disk: int = 10, state: str = "active", cores: int = 4, **labels: str) -> Spec:
    """A host with a pool of so many GiB."""
    resources = {"memory": 8 * GIB, "disk": disk * GIB}
    return {"name": name, "state": state, "cpus": cores, "resources": resources, "labels": labels}


def run(index: int, where: str, core: int = 0, disk: int = 4) -> Spec:
    """A database that runs."""
    claims = {"cores": 1, "memory": GIB, "disk": disk * GIB}
    one = {"cluster": "acme", "group": "db", "index": index, "host": where, "claims": claims}
    return {**one, "cores": [core], "grade": "db"}


def disk(index: int, where: str, size: int = 4, **more: Any) -> Spec:
    """A data disk of a database."""
    return {"cluster": "acme", "group": "db", "index": index, "host": where, "size": size * GIB, **more}


def problem(hosts: list[Spec], count: int, running: list[Spec], disks: list[Spec], **more: Any) -> Spec:
    """So many databases of four GiB of disk each."""
    placement = more.pop("placement", {})
    groups = {"db": {"count": count, "grade": "db", "placement": placement}}
    grades = {"db": {"cores": 1, "memory": "1g", "disk": "4g"}}
    clusters = {"acme": {"groups": groups}}
    return {"version": 1, "hosts": hosts, "grades": grades, "clusters": clusters, "running": running} | {
        "disks": disks,
        **more,
    }


def planned(asked: Spec) -> Spec:
    """The plan, which the oracle has nothing against."""
    plan: Spec = solve(Problem.from_dict(asked)).to_dict()
    wrong = complaints(asked, plan)
    assert not wrong, f"{wrong}\n{json.dumps(asked)}\n{json.dumps(plan)}"
    return plan


def fates(plan: Spec) -> dict[int, str]:
    """What becomes of each database."""
    return {i["index"]: f"{i['action']} {i['host'] or i['from_host']}" for i in plan["instances"]}


def test_an_instance_comes_back_to_the_disk_it_left_behind() -> None:
    # Binpack alone would take h1, where something runs already.
    plan = planned(problem([host("h1"), host("h2"), host("h3")], 2, [run(0, "h1")], [disk(0, "h1"), disk(1, "h3")]))
    assert fates(plan) == {0: "keep h1", 1: "create h3"}
    back = plan["instances"][1]
    assert back["data_host"] == "h3"
    assert "its disk lies on h3" in back["reasons"][0]
    # 10 of the pool, less the 4 that the disk covers and the claim says: counted once.
    assert plan["hosts"]["h3"]["free"]["disk"] == 6 * GIB


def test_a_disk_left_behind_holds_its_room_against_others() -> None:
    plan = planned(problem([host("h1", 10)], 3, [], [disk(7, "h1", 4)]))
    assert len(plan["unplaced"]) == 2
    assert plan["hosts"]["h1"]["free"]["disk"] == 2 * GIB
    assert plan["unplaced"][0]["reasons"][0]["reason"] == "disk"


def test_a_full_pool_still_takes_back_what_has_its_disk_there() -> None:
    plan = planned(problem([host("h1", 4), host("h2", 4)], 2, [], [disk(0, "h2"), disk(1, "h1")]))
    assert fates(plan) == {0: "create h2", 1: "create h1"}


def test_a_disk_larger_than_the_claim_counts_as_large_as_it_is() -> None:
    plan = planned(problem([host("h1", 10)], 1, [run(0, "h1")], [disk(0, "h1", 7)]))
    assert plan["hosts"]["h1"]["free"]["disk"] == 3 * GIB
    assert not plan["changed"]


def test_where_the_disk_can_not_be_used_the_plan_says_so() -> None:
    hosts = [host("h1", state="drained"), host("h2")]
    plan = planned(problem(hosts, 1, [], [disk(0, "h1")]))
    assert fates(plan) == {0: "create h2"}
    assert "its disk on h1 is left behind" in plan["instances"][0]["reasons"][0]
    assert plan["instances"][0]["data_host"] == "h1"


def test_rules_come_before_data() -> None:
    hosts = [host("h1", zone="a"), host("h2", zone="b")]
    placement = {"constraints": [{"label": "zone", "in": ["b"]}]}
    assert fates(planned(problem(hosts, 1, [], [disk(0, "h1")], placement=placement))) == {0: "create h2"}


def test_of_two_disks_the_one_released_last_is_the_data() -> None:
    old = disk(0, "h2", released_at="2026-01-02T00:00:00Z")
    new = disk(0, "h1", released_at="2026-01-03T00:00:00Z")
    for disks in ([old, new], [new, old]):
        assert fates(planned(problem([host("h1"), host("h2")], 1, [], disks))) == {0: "create h1"}


def test_a_move_leaves_its_disk_behind_and_frees_only_the_rest() -> None:
    hosts = [host("h1", 10, state="drained"), host("h2", 10)]
    plan = planned(problem(hosts, 1, [run(0, "h1", disk=6)], [disk(0, "h1", 3)]))
    assert fates(plan) == {0: "move h2"}
    assert plan["hosts"]["h1"]["free"]["disk"] == 7 * GIB
    assert plan["hosts"]["h2"]["free"]["disk"] == 6 * GIB


def test_what_is_removed_leaves_its_disk_where_it_is() -> None:
    plan = planned(problem([host("h1", 6)], 1, [run(0, "h1"), run(1, "h1", 1, disk=2)], [disk(1, "h1", 2)]))
    assert fates(plan) == {0: "keep h1", 1: "remove h1"}
    assert plan["hosts"]["h1"]["free"]["disk"] == 0


def test_one_without_data_moves_rather_than_one_with_data() -> None:
    apart = {"anti_affinity": [{"group": "db", "topology": "host"}]}
    hosts = [host("h1"), host("h2")]
    for keeper in (0, 1):
        asked = problem(hosts, 2, [run(0, "h1", 0), run(1, "h1", 1)], [disk(keeper, "h1")], placement=apart)
        assert fates(planned(asked)) == {keeper: "keep h1", 1 - keeper: "move h2"}


def test_an_update_in_place_keeps_its_disk() -> None:
    # Ten GiB hold the four that it claims, the two that it wants more, and nothing else.
    asked = problem([host("h1", 6), host("h2", 20)], 1, [run(0, "h1", disk=4)], [disk(0, "h1", 4)])
    asked["grades"]["db"]["disk"] = "6g"
    assert fates(planned(asked)) == {0: "update h1"}


@pytest.mark.parametrize(("moves", "with_data", "moved"), [(3, False, 1), (3, True, 0), (10, True, 1)])
def test_a_rebalance_counts_a_move_with_data_as_ten(moves: int, with_data: bool, moved: int) -> None:
    runs = [run(0, "h1"), run(1, "h2")]
    disks = [disk(0, "h1"), disk(1, "h2")] if with_data else []
    options = {"rebalance": {"moves": moves, "goal": "consolidate"}}
    plan = planned(problem([host("h1"), host("h2")], 2, runs, disks, options=options))
    assert plan["summary"]["move"] == moved


def test_wrong_disks_are_refused_with_their_path() -> None:
    asked = problem([host("h1")], 1, [], [disk(0, "h9"), disk(0, "h1"), disk(0, "h1"), {**disk(1, "h1"), "size": -1}])
    with pytest.raises(InvalidInput) as error:
        Problem.from_dict(asked)
    text = "\n".join(error.value.problems)
    assert "disks[0].host: 'h9' is not known" in text
    assert "disks[2]: a second disk" in text
    assert "disks[3].size" in text
