# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""With --limit, what changes outside waits, and so does what builds on it."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.deferral import find_held
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.problem import host_problem
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import instance, running, step

HOSTS = [{"name": "h1", "resources": {"memory": 10}}, {"name": "h2", "resources": {"memory": 10}}]


def _held(instances, before=(), steps=()):
    plan = {"instances": instances, "steps": list(steps)}
    return find_held(plan, {"hosts": HOSTS, "running": list(before)}, ["h1"])


def test_nothing_is_held_when_all_changes_are_inside():
    assert _held([instance("a_db_0"), instance("a_db_1", "keep", "h2")]) == {}


def test_a_change_outside_is_held():
    assert _held([instance("a_db_0"), instance("a_db_1", host="h2")]) == {"a_db_1": "h2 is outside --limit"}


@pytest.mark.parametrize(("source", "target"), [("h1", "h2"), ("h2", "h1")])
def test_a_move_across_the_limit_is_held_so_that_nothing_exists_twice(source, target):
    held = _held([instance("a_db_0", "move", target, from_host=source)], [running("a_db_0", source)])
    assert held["a_db_0"].endswith("h2 is outside --limit")


def test_an_address_that_a_held_change_still_has_is_not_given_away():
    leaving = instance("a_db_0", "remove", None, from_host="h2")
    coming = instance("a_web_0", address="10.0.0.10")
    assert "is still held by a_db_0" in _held([leaving, coming], [running("a_db_0", "h2")])["a_web_0"]


def test_cores_that_a_held_move_still_owns_are_not_given_away():
    leaving = instance("a_db_0", "move", "h2", from_host="h1")
    coming = instance("a_web_5", cores=[3])
    held = _held([leaving, coming], [running("a_db_0", "h1", cores=[3])])
    assert held["a_web_5"] == "core 3 of h1 is still held by a_db_0"


def test_memory_that_a_held_move_still_has_is_not_given_away():
    leaving = instance("a_db_0", "move", "h2", from_host="h1")
    before = [running("a_db_0", "h1", claims={"memory": 6})]
    assert "has no room for it" in _held([leaving, instance("a_web_5", memory=6)], before)["a_web_5"]
    assert list(_held([leaving, instance("a_web_5", memory=4)], before)) == ["a_db_0"]


def test_what_requires_a_held_group_waits():
    steps = [step(0, "apply", "a_db_0"), step(1, "apply", "a_web_0", waits_for=[0])]
    held = _held([instance("a_db_0", host="h2"), instance("a_web_0")], steps=steps)
    assert held["a_web_0"] == "waits for 'step 0', which this run does not complete"


def test_batches_of_one_group_do_not_hold_each_other():
    steps = [step(0, "apply", "a_db_0"), step(1, "apply", "a_db_1", waits_for=[0])]
    before = [running("a_db_0", "h2"), running("a_db_1")]
    assert list(_held([instance("a_db_0", "update", "h2"), instance("a_db_1", "update")], before, steps)) == ["a_db_0"]


@pytest.mark.parametrize(
    ("facts", "stays", "comes", "fits"),
    [
        ({"resources": {"gpus": 2}}, {"gpus": 2}, {"resources": {"gpus": 1}}, False),
        ({"resources": {"gpus": 3}}, {"gpus": 2}, {"resources": {"gpus": 1}}, True),
        ({"cpus": 4}, {"cores": 3}, {"cpus": 1.5}, False),
        ({"cpus": 4}, {"cpus": 2.5}, {"cpus": 1.5}, True),
        ({"cpus": [{"id": 0}, {"id": 1}]}, {"cpus": 1.5}, {"cores": [1]}, False),
        # What other fleets hold on the host is part of what it reserves.
        ({"cpus": 4, "reserved": {"cpus": 0.5}}, {"cpus": 2.5}, {"cpus": 1.5}, False),
        ({"resources": {"memory": 10}, "reserved": {"memory": 3}}, {"memory": 4}, {"memory": 4}, False),
        ({"resources": {"memory": 10}, "reserved": {"memory": 2}}, {"memory": 4}, {"memory": 4}, True),
    ],
)
def test_what_a_held_move_still_has_of_any_amount_is_not_given_away(facts, stays, comes, fits):
    leaving = instance("a_db_0", "move", "h2", from_host="h1")
    coming = instance("a_web_5", **{"memory": None, **comes})
    problem = {"hosts": [{"name": "h1", **facts}], "running": [running("a_db_0", "h1", claims=stays)]}
    held = find_held({"instances": [leaving, coming], "steps": []}, problem, ["h1"])
    assert list(held) == (["a_db_0"] if fits else ["a_db_0", "a_web_5"])


def test_what_other_fleets_hold_is_no_room_for_what_comes():
    there = {"cpus": [{"id": core} for core in range(4)], "resources": {"memory": 10}}
    others = [{"name": "b_x_0", "fleet": "b", "claims": {"memory": 3, "cpus": 1}, "cores": []}]
    host = host_problem("h1", {**there, "others": others})
    leaving = instance("a_db_0", "move", "h2", from_host="h1")
    problem = {"hosts": [host], "running": [running("a_db_0", "h1", claims={"memory": 4})]}
    plan = {"instances": [leaving, instance("a_web_5", memory=4)], "steps": []}
    assert "has no room for it" in find_held(plan, problem, ["h1"])["a_web_5"]


def test_what_waits_in_the_plan_is_held_and_keeps_nobody_from_coming():
    waiting = instance("a_db_0", "keep", waits="a_db_1 on h9 does not answer, and batch is 1")
    held = _held([waiting, instance("a_web_5")], [running("a_db_0")])
    assert held == {"a_db_0": "waits: a_db_1 on h9 does not answer, and batch is 1"}
