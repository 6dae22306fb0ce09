# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for many instances is said once, wherever people read it; the plan keeps each of them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.controller import solve
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.deferral import find_held
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.host_tasks import (
    build_keep,
    build_ledger,
    build_steps,
)
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.folding import fold_unplaced, names_of
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.planning import make_plan
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.readdress import give_reasons
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.diff import draw_diff, summarize
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.refusals import find_refusal
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import (
    instance,
    read,
    render,
    variables,
)

CORES = [{"id": core, "core": core, "socket": 0, "node": 0} for core in range(4)]


def _host(**more):
    return {"state": "active", "labels": {}, "cpus": CORES, "resources": {"memory": 2**33}, **more}


def _unplaced(index, why="1 host lacks memory", group="web", **more):
    name = f"acme_{group}_{index}"
    item = {"name": name, "cluster": "acme", "group": group, "index": index, "text": f"{name} can't be placed: {why}"}
    return {**item, "nearest": [{"host": "h1", "text": "1 GiB memory short"}], "relaxations": ["one more host"], **more}


@pytest.mark.parametrize(
    ("indices", "names"),
    [
        ([3], "acme_web_3"),
        ([3, 4], "acme_web_3, acme_web_4 (2 instances)"),
        (range(3, 400), "acme_web_3 to acme_web_399 (397 instances)"),
        ([0, 7, 5, 6], "acme_web_0, acme_web_5 to acme_web_7 (4 instances)"),
        (range(0, 20, 2), "10 instances from acme_web_0 to acme_web_18"),
    ],
)
def test_instances_of_a_group_are_named_as_ranges(indices, names):
    assert names_of([instance(f"acme_web_{index}") for index in indices]) == names


def test_only_what_is_said_alike_is_folded():
    entries = [_unplaced(0), _unplaced(1), _unplaced(2, "1 host lacks cores"), _unplaced(0, group="db"),
               _unplaced(1, group="db", relaxations=[])]
    assert [item["text"] for item in fold_unplaced(entries)] == [
        "acme_web_0, acme_web_1 (2 instances) can't be placed: 1 host lacks memory",
        "acme_web_2 can't be placed: 1 host lacks cores",
        "acme_db_0 can't be placed: 1 host lacks memory",
        "acme_db_1 can't be placed: 1 host lacks memory",
    ]


def test_what_stays_in_one_place_is_folded_in_good_grammar():
    entries = []
    for index in range(2):
        text = f"acme_web_{index} can't be moved (host h1 is drained) and stays on h1: 1 host is drained"
        entries.append(_unplaced(index, text=text))
    (only,) = fold_unplaced(entries)
    assert only["text"] == (
        "acme_web_0, acme_web_1 (2 instances) can't be moved (host h1 is drained) and stay on h1: 1 host is drained"
    )


def test_four_hundred_without_a_place_are_told_in_a_few_lines():
    changed = variables()
    changed["stowage_clusters"]["acme"]["groups"]["web"]["count"] = 400
    changed["stowage_networks"]["lan"]["pool"] = "10.0.0.10-10.0.0.14"
    desired, complaints = read(**changed)
    assert not complaints
    planned = make_plan(desired, {"h1": _host()}, [], render, solve)
    missing = len(planned.plan["unplaced"])
    assert missing > 390
    said = find_refusal(desired, planned, {"h1": _host()}, ["h1"])
    assert said.startswith(f"{missing} instances can't be placed")
    assert f"to acme_web_399 ({missing} instances) can't be placed" in said
    assert len(said.splitlines()) < 12
    assert len(draw_diff(planned.plan, {}, {}).splitlines()) < 25
    assert sum("can't be placed" in note for note in planned.notes) == 1
    assert summarize(planned.plan, {}).endswith(f"{missing} can't be placed")


@pytest.fixture(name="paced")
def _paced():
    """Three of acme/db, one on each host; h2 is silent, and the image has changed since."""
    desired, _complaints = read()
    spread = {"anti_affinity": [{"group": "db", "topology": "host"}]}
    desired.clusters["acme"]["groups"]["db"]["placement"] = spread
    hosts = {name: _host() for name in ("h1", "h2", "h3")}
    first = make_plan(desired, hosts, [], render, solve)
    ledger = {**build_ledger(first, {}), "serial": 1, "plan_id": "x"}
    seen = {}
    for name in ("h1", "h3"):
        there = [
            {**item, "state": "running", "health": None, "digest": first.options[item["name"]]["digest"],
             "claims": first.options[item["name"]]["claims"]}
            for item in first.plan["instances"]
            if item["host"] == name
        ]
        seen[name] = _host(containers=there, ledger=ledger)
    desired.types["db"]["image"] = "db:2"
    return SimpleNamespace(desired=desired, plan=make_plan(desired, seen, ["h2"], render, solve), seen=seen)


def test_an_update_that_waits_for_a_silent_member_touches_nothing_and_says_so(paced):
    planned = paced.plan
    by_name = {item["name"]: item for item in planned.plan["instances"]}
    (silent,) = [name for name, item in by_name.items() if item["action"] == "unknown" and "_db_" in name]
    why = f"{silent} on h2 does not answer, and batch is 1"
    others = sorted(name for name in by_name if "_db_" in name and name != silent)
    held = find_held(planned.plan, planned.problem, ["h1", "h2", "h3"])
    assert {name: held.get(name) for name in others} == dict.fromkeys(others, f"waits: {why}")
    keep = build_keep(planned, ["h1", "h3"])
    assert not [one["name"] for listed in keep.values() for one in listed if one["name"] in others]
    requires = {("acme", "db"): [], ("acme", "web"): ["db"]}
    assert not [step for step in build_steps(planned, held, requires) if set(others) & set(step["instances"])]
    sentence = f"(2 instances): its type or grade changed  (waits: {why})"
    assert [note for note in planned.notes if note.startswith("Not now: ") and note.endswith(sentence)]
    assert f"  not now: {', '.join(others)} {sentence}" in draw_diff(planned.plan, held, {}).splitlines()
    remembered = {item["name"]: item["digest"] for item in build_ledger(planned, held)["instances"]}
    assert remembered[others[0]] is None, "what runs is not what is wanted"


def test_what_waits_for_another_address_says_so():
    waiting = instance("acme_db_0", "keep", waits="acme_db_1 on h2 does not answer, and batch is 1")
    waiting["reasons"] = ["its type or grade changed"]
    give_reasons({"instances": [waiting]}, {"acme_db_0": "its address 10.1.0.1 is outside the pool"}, [])
    assert waiting["reasons"] == ["its address 10.1.0.1 is outside the pool"]
