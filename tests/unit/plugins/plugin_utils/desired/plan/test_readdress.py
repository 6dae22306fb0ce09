# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs with an address that its network no longer gives gets another one, in batches, and the plan says why."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.plugin_utils.controller import solve
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.planning import make_plan
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import read, render, variables

HOST = {"labels": {}, "cpus": 8, "resources": {"memory": 2**33}}


def networks(**changes):
    """The fleet's networks, the lan with changes."""
    given = variables()["stowage_networks"]
    return {"lan": {**given["lan"], **changes}, "inner": {"driver": "bridge", "subnet": "10.9.0.0/24",
                                                          "pool": "10.9.0.10-10.9.0.20"}}


def plan(observations=None, override=None, **changes):
    """Plan for one host with the real planner."""
    desired, complaints = read(override, **{"stowage_networks": networks(), **changes})
    assert not complaints
    return make_plan(desired, observations or {"h1": HOST}, [], render, solve)


def clusters(**db):
    """Three of acme/db and nothing else."""
    return {"acme": {"network": "lan", "groups": {"db": {"count": 3, "type": "db", "grade": "small", **db}}}}


@pytest.fixture
def observed():
    """Three of acme/db, with 10.0.0.10 to 10.0.0.12."""
    first = plan(stowage_clusters=clusters())
    containers = [{**item, "state": "running", "digest": first.options[item["name"]]["digest"],
                   "claims": first.options[item["name"]]["claims"]} for item in first.plan["instances"]]
    assert [item["address"] for item in containers] == ["10.0.0.10", "10.0.0.11", "10.0.0.12"]
    return {"h1": {**HOST, "containers": containers}}


def said(planned):
    """{index: (action, address, reasons)} of the plan."""
    return {item["index"]: (item["action"], item["address"], item["reasons"]) for item in planned.plan["instances"]}


KEPT = {index: ("keep", f"10.0.0.1{index}", []) for index in range(3)}
OUTSIDE = "its address 10.0.0.10 is outside the pool of network lan"


def test_what_has_an_address_of_the_pool_keeps_it(observed):
    assert said(plan(observed, stowage_clusters=clusters())) == KEPT


def test_who_is_outside_the_new_pool_gets_another_address_and_the_others_keep_theirs(observed):
    planned = plan(observed, stowage_clusters=clusters(), stowage_networks=networks(pool="10.0.0.11-10.0.0.99"))
    assert said(planned) == {**KEPT, 0: ("update", "10.0.0.13", [OUTSIDE])}
    assert planned.options["acme_db_0"]["address"] == "10.0.0.13"


def test_they_are_made_anew_in_the_groups_batches(observed):
    planned = plan(observed, stowage_clusters=clusters(update={"batch": 2}),
                   stowage_networks=networks(pool="10.0.0.20-10.0.0.30"))
    assert [step["instances"] for step in planned.plan["steps"]] == [["acme_db_0", "acme_db_1"], ["acme_db_2"]]
    assert [item["address"] for item in planned.plan["instances"]] == ["10.0.0.20", "10.0.0.21", "10.0.0.22"]


def test_it_is_done_once(observed):
    wanted = {"stowage_clusters": clusters(), "stowage_networks": networks(pool="10.0.0.20-10.0.0.30")}
    for item, now in zip(observed["h1"]["containers"], plan(observed, **wanted).plan["instances"]):
        item["address"] = now["address"]
    assert {action for action, _address, _reasons in said(plan(observed, **wanted)).values()} == {"keep"}


@pytest.mark.parametrize(("change", "reason"), [
    ({"exclude": "10.0.0.10"}, "its address 10.0.0.10 is kept from instances of network lan"),
    ({"gateway": "10.0.0.10", "exclude": "10.0.0.10"}, "its address 10.0.0.10 is the gateway of network lan"),
    ({"subnet": "10.0.0.8/29", "pool": "10.0.0.11-10.0.0.14"}, OUTSIDE),
])
def test_why_an_address_can_not_stay(observed, change, reason):
    planned = plan(observed, stowage_clusters=clusters(), stowage_networks=networks(**change))
    assert said(planned)[0] == ("update", "10.0.0.13", [reason])


def test_a_new_type_and_a_new_pool_are_two_reasons(observed):
    planned = plan(observed, stowage_clusters=clusters(), stowage_networks=networks(pool="10.0.0.11-10.0.0.99"),
                   stowage_types={"db": {"image": "db:2"}, "web": {"image": "web:1"}})
    assert said(planned)[0][2] == ["its type or grade changed", OUTSIDE]
    assert said(planned)[1] == ("update", "10.0.0.11", ["its type or grade changed"])


def test_a_pool_without_room_for_them_is_refused(observed):
    with pytest.raises(InvalidInput) as caught:
        plan(observed, stowage_clusters=clusters(), stowage_networks=networks(pool="10.0.0.11-10.0.0.12"))
    sentence = "stowage_networks.lan.pool: has no free address for acme_db_0, which can't keep what they run with"
    assert caught.value.problems == [f"{sentence}; expected 1 more"]


def test_an_address_of_what_is_removed_is_taken_where_there_is_no_other(observed):
    planned = plan(observed, {"cluster": "acme", "group": "db", "count": 2}, stowage_clusters=clusters(),
                   stowage_networks=networks(pool="10.0.0.11-10.0.0.12"))
    assert said(planned)[0] == ("update", "10.0.0.12", [OUTSIDE])
    assert [step["kind"] for step in planned.plan["steps"]] == ["remove", "apply"]


def test_a_new_instance_and_one_that_changes_its_address_do_not_meet(observed):
    planned = plan(observed, {"cluster": "acme", "group": "db", "count": 5}, stowage_clusters=clusters(),
                   stowage_networks=networks(pool="10.0.0.11-10.0.0.99"))
    addresses = [item["address"] for item in planned.plan["instances"]]
    assert len(set(addresses)) == 5
    assert "10.0.0.10" not in addresses


def test_another_network_brings_another_address(observed):
    moved = {"acme": {**clusters()["acme"], "network": "inner"}}
    planned = plan(observed, stowage_clusters=moved)
    assert [item["address"] for item in planned.plan["instances"]] == ["10.9.0.10", "10.9.0.11", "10.9.0.12"]


def test_what_lost_its_address_is_mended(observed):
    observed["h1"]["containers"][1]["address"] = None
    planned = plan(observed, stowage_clusters=clusters())
    assert said(planned)[1] == ("update", "10.0.0.11", ["it has no address on network lan"])


def test_another_pool6_is_a_planned_change(observed):
    six = networks(subnet6="fd00:7::/64")
    for item in observed["h1"]["containers"]:
        item["address6"] = f"fd00:7::{item['address'].rpartition('.')[2]}"
    observed["h1"]["containers"][0]["address6"] = "fd00:7::a"
    found = said(plan(observed, stowage_clusters=clusters(), stowage_networks=six))
    assert found[0] == KEPT[0]
    why = "its address fd00:7::11 is not the one that goes with 10.0.0.11 on network lan"
    assert found[1] == ("update", "10.0.0.11", [why])
