# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden examples: small fleets, and the plans an operator would expect of them."""

from __future__ import annotations

from typing import Any

from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve

GRADES = {"small": {"cores": 1, "memory": "512m"}, "tiny": {"cpus": 0.5, "memory": "128m"}}


def host(name: str, zone: str, cpus: int = 4, **more: Any) -> dict[str, Any]:
    return {"name": name, "labels": {"zone": zone}, "cpus": cpus, "resources": {"memory": "8g"}, **more}


def plan(hosts: list[dict[str, Any]], groups: dict[str, Any], **more: Any) -> dict[str, Any]:
    data = {"version": 1, "hosts": hosts, "grades": GRADES, "clusters": {"acme": {"groups": groups}}, **more}
    return solve(Problem.from_dict(data)).to_dict()


def where(result: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["host"] for entry in result["instances"]}


def running(group: str, index: int, on: str, *cores: int) -> dict[str, Any]:
    claims = {"cores": len(cores), "memory": 512 * 2**20}
    return {"cluster": "acme", "group": group, "index": index, "host": on, "claims": claims, "cores": list(cores)}


THREE = [host("h1", "a"), host("h2", "b"), host("h3", "c")]


def test_an_ensemble_lies_on_three_hosts_in_three_zones_and_its_front_end_starts_after_it() -> None:
    result = plan(
        THREE,
        {
            "zookeeper": {
                "count": 3,
                "grade": "small",
                "placement": {"anti_affinity": [{"topology": "host"}], "spread": [{"topology": "zone"}]},
            },
            "web": {"count": 2, "grade": "tiny", "requires": ["zookeeper"]},
        },
    )
    assert sorted(v for k, v in where(result).items() if "zookeeper" in k) == ["h1", "h2", "h3"]
    assert [(step["name"], step["waits_for"]) for step in result["steps"]] == [
        ("Start group zookeeper of acme", []),
        ("Start group web of acme", [0]),
    ]


def test_shared_containers_are_confined_to_the_cores_nobody_owns() -> None:
    result = plan(
        [host("h1", "a", reserved={"cores": 1})],
        {"db": {"count": 2, "grade": "small"}, "web": {"count": 1, "grade": "tiny"}},
    )
    entries = {entry["name"]: entry for entry in result["instances"]}
    assert [entries[f"acme_db_{i}"]["cores"] for i in (0, 1)] == [[1], [2]]
    assert entries["acme_web_0"]["cpuset"] == [3]


def test_a_second_plan_changes_nothing() -> None:
    groups = {"db": {"count": 2, "grade": "small"}}
    result = plan(THREE, groups, running=[running("db", 0, "h2", 3), running("db", 1, "h3", 0)])
    assert not result["changed"]
    assert where(result) == {"acme_db_0": "h2", "acme_db_1": "h3"}


def test_a_drained_host_is_emptied_and_says_why() -> None:
    hosts = [host("h1", "a", state="drained"), host("h2", "b")]
    result = plan(hosts, {"db": {"count": 1, "grade": "small"}}, running=[running("db", 0, "h1", 0)])
    (entry,) = result["instances"]
    assert (entry["action"], entry["from_host"], entry["host"]) == ("move", "h1", "h2")
    assert entry["reasons"] == ["host h1 is drained"]


def test_a_dead_host_is_remembered_and_replaced_only_on_request() -> None:
    hosts = [host("h1", "a", state="unreachable"), host("h2", "b")]
    groups, runs = {"db": {"count": 1, "grade": "small"}}, [running("db", 0, "h1", 0)]
    assert plan(hosts, groups, running=runs)["instances"][0]["action"] == "unknown"
    moved = plan(hosts, groups, running=runs, options={"replace_unreachable": ["h1"]})["instances"][0]
    assert (moved["action"], moved["host"]) == ("move", "h2")


def test_what_cannot_be_placed_is_counted_proven_and_told_what_would_help() -> None:
    (entry,) = plan(THREE, {"web": {"count": 4, "grade": "small", "placement": {"anti_affinity": [{}]}}})["unplaced"]
    assert entry["text"] == "acme_web_3 can't be placed: 3 hosts break anti-affinity with acme/web"
    assert entry["proven"]
    assert entry["conflict"] == ["4 of acme/web", "anti-affinity of acme/web with acme/web over host (max 1)"]
    assert "one more host like h1" in entry["relaxations"]


def test_a_host_is_emptied_where_the_budget_of_moves_allows() -> None:
    runs = [running("db", 0, "h1", 0), running("db", 1, "h1", 1), running("db", 2, "h2", 0)]
    groups = {"db": {"count": 3, "grade": "small"}}
    result = plan(THREE, groups, running=runs, options={"rebalance": {"moves": 1}})
    assert where(result)["acme_db_2"] == "h1"
    assert result["summary"]["move"] == 1


def test_addresses_are_stable_unique_and_from_the_pool() -> None:
    groups = {"db": {"count": 3, "grade": "small", "network": "lan"}}
    run = {**running("db", 0, "h1", 0), "network": "lan", "address": "10.0.0.11"}
    networks = {"lan": {"pool": ["10.0.0.10-10.0.0.20"], "exclude": ["10.0.0.10"]}}
    result = plan(THREE, groups, running=[run], networks=networks)
    assert [entry["address"] for entry in result["instances"]] == ["10.0.0.11", "10.0.0.12", "10.0.0.13"]


def test_fault_domains_of_the_old_tools_are_groups_kept_apart_over_a_rack() -> None:
    # There, <group>_<member> named a container: zk_0, zk_1, store_0. A group with its count makes the same members, and
    # what must not share a rack with another kind says so.
    def apart(*others: str) -> dict[str, Any]:
        return {"anti_affinity": [{"group": other, "topology": "rack"} for other in others]}

    racks = [host(f"h{n}", "a", labels={"rack": f"r{n // 2}"}) for n in range(6)]
    result = plan(
        racks,
        {
            "zk": {"count": 2, "grade": "small", "placement": apart("zk", "store")},
            "store": {"count": 1, "grade": "small", "placement": apart("zk")},
        },
    )
    assert list(where(result)) == ["acme_store_0", "acme_zk_0", "acme_zk_1"]
    rack = {entry["name"]: int(entry["host"][1]) // 2 for entry in result["instances"]}
    assert len(set(rack.values())) == 3
