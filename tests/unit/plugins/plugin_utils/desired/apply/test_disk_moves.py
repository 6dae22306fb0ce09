# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance finds its data wherever it is: at every stage at which a move may have died."""

from __future__ import annotations

import types

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.disk_moves import (
    disks_to_remember,
    find_travels,
)
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.host_tasks import build_steps
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.diff import draw_diff
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import instance, step

NAME = "acme_db_0"
OPTIONS = {NAME: {"name": NAME, "data": {"path": "/data"}}}


def disk(state="attached", generation=1, peer=None, uuid="u1", **more):
    return {"name": NAME, "instance": NAME, "state": state, "generation": generation, "peer": peer, "uuid": uuid,
            "size": 10 << 30, "used": 1 << 30, "released_at": None, **more}


def travels(item, missing=(), allowed=("h1", "h2", "h3"), **hosts):
    """Return (Travel or None, reason or None) of a planned instance; ``hosts`` holds each one's disk, or none."""
    observations = {host: {"volumes": [disk] if disk else [], "containers": []} for host, disk in hosts.items()}
    found = find_travels([item], OPTIONS, observations, missing, allowed)
    return found.moves.get(NAME), found.held.get(NAME)


def test_a_move_takes_the_disk_along_and_forgets_it_at_the_old_place():
    travel, held = travels(instance(NAME, "move", "h2", from_host="h1"), h1=disk(), h2=None)
    assert held is None
    assert travel.carry == [{"name": NAME, "instance": NAME, "from_host": "h1"}]
    assert travel.forget == {"h1": [{"name": NAME, "instance": NAME, "uuid": "u1", "generation": 2}]}
    assert travel.text == "with its disk from h1 (1 GiB of 10 GiB used)"


@pytest.mark.parametrize(
    ("item", "hosts", "carry", "recall", "forget"),
    [
        # Died while it was copied: on to h2, back to h1, or elsewhere.
        (("create", "h2"), {"h1": disk("leaving", peer="h2"), "h2": disk("incoming", peer="h1")}, "h1", 0, {"h1": 2}),
        (("create", "h1"), {"h1": disk("leaving", peer="h2"), "h2": disk("incoming", peer="h1")}, "", 1, {"h2": 3}),
        (("create", "h3"), {"h1": disk("leaving", peer="h2"), "h2": disk("incoming", peer="h1")}, "h1", 0,
         {"h1": 4, "h2": 4}),
        # Died after the copy was committed: the old place is told first.
        (("create", "h2"), {"h1": disk("leaving", peer="h2"), "h2": disk("released", 2)}, "h1", 0, {"h1": 2}),
        # Died after that, before the start.
        (("create", "h2"), {"h1": disk("moved", peer="h2"), "h2": disk("released", 2)}, "", 0, {"h1": 2}),
        (("create", "h1"), {"h1": disk("moved", peer="h2"), "h2": disk("released", 2)}, "h2", 0, {"h2": 3}),
        # An instance that comes back finds its disk.
        (("create", "h2"), {"h1": disk("released")}, "h1", 0, {"h1": 2}),
    ],
)
def test_the_next_run_goes_on_from_every_stage(item, hosts, carry, recall, forget):
    travel, held = travels(instance(NAME, item[0], item[1]), **hosts)
    assert held is None
    assert [one["from_host"] for one in travel.carry] == ([carry] if carry else [])
    assert len(travel.recall) == recall
    assert {host: disks[0]["generation"] for host, disks in travel.forget.items()} == forget


def test_the_old_copy_goes_only_when_the_instance_is_well():
    item, copies = instance(NAME, "keep", "h2"), {"h1": disk("moved", peer="h2"), "h2": disk("attached", 2)}
    observations = {host: {"volumes": [copy], "containers": []} for host, copy in copies.items()}
    for health, gone in (("unhealthy", False), ("healthy", True)):
        observations["h2"]["containers"] = [{"name": NAME, "state": "running", "health": health}]
        found = find_travels([item], OPTIONS, observations, [], ["h1", "h2"])
        assert (NAME in found.moves) is gone


@pytest.mark.parametrize(
    ("item", "hosts", "missing", "words"),
    [
        ({"host": "h2"}, {"h2": disk("incoming", peer="h1")}, ["h1"], "was on its way from h1 to h2, and h1 does not"),
        ({"host": "h1"}, {"h1": disk("leaving", peer="h2")}, ["h2"], "can't be told which copy"),
        ({"host": "h1"}, {"h1": disk("moved", peer="h2")}, ["h2"], "was moved from h1 to h2, and h2 does not"),
        ({"host": "h2", "from_host": "h1"}, {"h2": None}, ["h1"], "its disk is on h1, which does not answer"),
    ],
)
def test_an_instance_whose_data_is_on_a_silent_host_is_not_started_empty(item, hosts, missing, words):
    travel, held = travels(instance(NAME, "create", **item), missing, **hosts)
    assert travel is None
    assert words in held


def test_what_is_left_of_a_move_goes_when_its_instance_is_gone_and_the_good_copy_stays():
    copies = {"h1": disk("released"), "h2": disk("incoming", peer="h1"), "h3": disk("released", uuid="u0")}
    observations = {host: {"volumes": [copy], "containers": []} for host, copy in copies.items()}
    found = find_travels([], {}, observations, [], ["h1", "h2", "h3"])
    planned = types.SimpleNamespace(plan={"instances": [], "steps": []}, problem={"running": []}, options={}, strays={})
    (only,) = build_steps(planned, {}, {}, found.moves)
    assert (only["kind"], [*only["hosts"]]) == ("forget", ["h2"])


def test_a_silent_host_is_remembered_to_keep_a_disk():
    plan = {"instances": [instance("acme_db_1", "remove", "h2")]}
    rows = [{"cluster": "acme", "group": "db", "index": index, "host": host} for index, host in ((0, "h1"), (1, "h2"))]
    planned = types.SimpleNamespace(plan=plan, problem={"disks": rows})
    seen = types.SimpleNamespace(observations={}, missing=[])
    ledger = {"serial": 3, "disks": disks_to_remember(planned, {}, seen, deleting=True)}
    assert ledger["disks"] == [{"instance": NAME, "host": "h1"}]
    observations = {"h2": {"volumes": [], "containers": [], "ledger": ledger}}
    found = find_travels([instance(NAME, "create", "h2")], OPTIONS, observations, ["h1"], ["h2"])
    assert found.held == {NAME: "its disk is on h1, which does not answer"}
    now = types.SimpleNamespace(observations=observations, missing=["h1"])
    empty = types.SimpleNamespace(plan=plan, problem={})
    assert disks_to_remember(empty, {}, now, deleting=False) == ledger["disks"]


def test_a_disk_outside_the_limit_holds_its_instance_back():
    _travel, held = travels(instance(NAME, "create", "h2"), allowed=["h2"], h1=disk("released"), h2=None)
    assert held == "its disk is on h1, which this run may not touch"


def test_a_disk_of_another_origin_is_never_forgotten():
    travel, _held = travels(instance(NAME, "create", "h2"), h1=disk("released", 1, uuid="u0"), h2=disk("attached", 1))
    assert travel is None


def test_a_move_becomes_steps_in_the_order_that_keeps_one_good_copy():
    item = instance(NAME, "move", "h2", from_host="h1")
    travel, _held = travels(item, h1=disk(), h2=None)
    plan = {"instances": [item], "steps": [step(0, "move", NAME)]}
    planned = types.SimpleNamespace(plan=plan, problem={"running": []}, options=OPTIONS, strays={})
    steps = build_steps(planned, {}, {("acme", "db"): ()}, {NAME: travel})
    assert [(one["kind"], *one["hosts"], one["waits_for"]) for one in steps] == [
        ("reserve", "h2", []),
        ("remove", "h1", [0]),
        ("carry", "h2", [0, 1]),
        ("create", "h2", [0, 1, 2]),
        ("forget", "h1", [0, 1, 2, 3]),
    ]
    assert steps[1]["hosts"]["h1"]["keep_disks"] == [NAME]
    assert ", with its disk from h1 (1 GiB of 10 GiB used)" in draw_diff(plan, {}, {}, {NAME: travel})


def test_data_that_was_on_its_way_from_a_silent_host_is_told():
    item = {"name": "acme_db_0", "action": "unknown", "host": "h2"}
    coming = {"name": "acme_db_0", "state": "incoming", "peer": "h2", "generation": 1, "uuid": "u"}
    found = find_travels([item], {}, {"h1": {"volumes": [coming]}}, ["h2"], ["h1"])
    assert found.interrupted == {
        "acme_db_0": "its data was on its way from h2 to h1, and h2 does not answer; it is not started empty"}
    assert not found.moves
    assert not found.held
