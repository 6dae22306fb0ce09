# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan's updates are exact: what runs is compared with its type filled in for where it is."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.host_tasks import build_steps
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.planning import as_variable, make_plan
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.problem import find_strays
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import instance, read, render


def _solve(problem):
    """Keep what is current, update what is outdated, create the rest, all on h1."""
    there = {(run["cluster"], run["group"], run["index"]): run for run in problem["running"]}
    instances = []
    for cluster, entry in problem["clusters"].items():
        for group, spec in entry["groups"].items():
            for index in range(spec["count"]):
                run = there.get((cluster, group, index))
                action = "create" if run is None else "keep" if run["digest"] == spec["digest"] else "update"
                instances.append(instance(f"{cluster}_{group}_{index}", action))
    changed = [item["name"] for item in instances if item["action"] != "keep"]
    steps = [{"index": 0, "name": "s", "kind": "apply", "instances": changed, "waits_for": []}] if changed else []
    return {"id": "x", "instances": instances, "steps": steps}


def _observed(planned):
    containers = [
        {**item, "state": "running", "digest": planned.options[item["name"]]["digest"]}
        for item in planned.plan["instances"]
    ]
    return {"h1": {"labels": {}, "cpus": 4, "containers": containers}}


def _actions(planned):
    return {item["name"]: item["action"] for item in planned.plan["instances"]}


def test_what_runs_as_wanted_is_kept():
    desired, _complaints = read()
    first = make_plan(desired, {"h1": {}}, [], render, _solve)
    assert set(_actions(make_plan(desired, _observed(first), [], render, _solve)).values()) == {"keep"}


def test_a_machine_with_two_names_is_not_planned_twice():
    desired, _complaints = read()
    observations = {"h1": {"machine": "a"}, "h2": {"machine": "a"}, "h3": {"machine": "b"}, "h4": {}, "h5": {}}
    with pytest.raises(InvalidInput, match=r"^host h2: is the machine that host h1 is"):
        make_plan(desired, observations, [], render, _solve)


def test_a_new_image_updates_the_group_that_runs_it_and_no_other():
    desired, _complaints = read()
    before = _observed(make_plan(desired, {"h1": {}}, [], render, _solve))
    wanted, _complaints = read(
        stowage_types={"db": {"image": "db:1"}, "web": {"image": "web:2", "command": "{{ members.db }}"}}
    )
    actions = _actions(make_plan(wanted, before, [], render, _solve))
    assert actions == {"acme_db_0": "keep", "acme_db_1": "keep", "acme_db_2": "keep", "acme_web_0": "update"}


def test_a_new_member_updates_those_whose_type_names_the_members():
    desired, _complaints = read()
    before = _observed(make_plan(desired, {"h1": {}}, [], render, _solve))
    scaled, _complaints = read({"cluster": "acme", "group": "db", "count": 4})
    actions = _actions(make_plan(scaled, before, [], render, _solve))
    assert actions["acme_web_0"] == "update"
    assert actions["acme_db_0"] == "keep"
    assert actions["acme_db_3"] == "create"


def test_a_planner_path_becomes_that_of_the_variable():
    problem = {"hosts": [{"name": "h7"}]}
    assert as_variable("clusters.acme.groups.db.count: bad", problem) == "stowage_clusters.acme.groups.db.count: bad"
    assert as_variable("options.mode: bad", problem) == "stowage_placement.mode: bad"
    assert as_variable("hosts[0].cpus: bad", problem) == "host h7.cpus: bad"


def test_the_copy_that_runs_is_kept_and_the_other_is_removed_first():
    desired, _complaints = read()
    observations = _observed(make_plan(desired, {"h1": {}}, [], render, _solve))
    observations["h0"] = {"containers": [{**observations["h1"]["containers"][0], "state": "exited"}]}
    assert find_strays(observations) == {"acme_db_0": ["h0"]}
    steps = build_steps(make_plan(desired, observations, [], render, _solve), {}, {})
    assert steps[0]["hosts"]["h0"]["remove"] == ["acme_db_0"]
    assert not steps[0]["hosts"]["h0"]["instances"]


def test_hosts_that_do_not_answer_are_remembered_from_the_newest_ledger():
    desired, _complaints = read()
    planned = make_plan(desired, {"h1": {}}, [], render, _solve)
    old = {"serial": 1, "instances": [], "hosts": []}
    held = instance("acme_db_0", host="h9", cores=[1])
    new = {"serial": 2, "hosts": [{"name": "h9", "cpus": 4}], "instances": [held]}
    observations = {"h1": {"ledger": old}, "h2": {"ledger": new}}
    again = make_plan(desired, observations, ["h9", "h8"], render, _solve)
    assert {host["name"]: host.get("state") for host in again.problem["hosts"]} == {
        "h1": None,
        "h2": None,
        "h9": "unreachable",
    }
    assert again.problem["running"][0]["claims"] == {"memory": 1, "cores": 1}
    assert any(note.startswith("Host h8 does not answer and no ledger knows it") for note in again.notes)
    assert planned.base_serial == 0
    assert again.base_serial == 2


def test_what_was_seen_on_a_host_is_there_still_when_a_claimed_plan_meant_to_move_it():
    desired, _complaints = read()
    moving = instance("acme_db_0", host="h2", action="move", from_host="h9")
    seen = {"name": "acme_db_0", "cluster": "acme", "group": "db", "index": 0, "host": "h9", "claims": {"memory": 7},
            "cores": [], "network": "lan", "address": "10.0.0.10", "grade": "small"}
    body = {"instances": [moving], "seen": [seen], "hosts": [{"name": "h9", "cpus": 4}], "disks": []}
    observations = {"h1": {"ledger": {"serial": 2, "plan_id": "x", "body": body}}, "h2": {}}
    planned = make_plan(desired, observations, ["h9"], render, _solve)
    (remembered,) = planned.problem["running"]
    assert (remembered["host"], remembered["claims"]) == ("h9", {"memory": 7})


def test_what_was_about_to_come_to_a_silent_host_may_be_there():
    desired, _complaints = read()
    coming = instance("acme_db_0", host="h9", action="create")
    body = {"instances": [coming], "seen": [], "hosts": [{"name": "h9", "cpus": 4}], "disks": []}
    observations = {"h1": {"ledger": {"serial": 2, "plan_id": "x", "body": body}}}
    planned = make_plan(desired, observations, ["h9"], render, _solve)
    assert [run["host"] for run in planned.problem["running"]] == ["h9"]
