# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two fleets on one engine: neither plans with what the other holds."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.problem import build_problem
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.fleet_map import draw_map
from ansible_collections.stowage.fleet.plugins.plugin_utils.placement import Problem, solve
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import read

REDIS = {"name": "globex_redis_0", "fleet": "theirs", "claims": {"cores": 1, "memory": 64 << 20}, "cores": [1],
         "network": "lan", "address": "10.0.0.10"}
SHARING = {"name": "globex_web_0", "fleet": "theirs", "claims": {"cpus": 0.5, "memory": 64 << 20, "disk": 1 << 30},
           "cores": [], "network": "lan", "address": "10.0.0.11"}


def observed(*others, cores=4, memory=1 << 30):
    """Return one host as host_info shows it."""
    return {
        "name": "h1",
        "labels": {},
        "state": "active",
        "cpus": [{"id": number, "core": number, "socket": 0, "node": 0} for number in range(cores)],
        "reserved": {"cores": 1, "memory": 0},
        "resources": {"memory": memory, "disk": 10 << 30},
        "containers": [],
        "others": list(others),
    }


def planned(observation):
    """Return the plan for the host alone."""
    problem, _notes = build_problem(read()[0], {"h1": observation})
    return solve(Problem.from_dict(problem)).to_dict()


def test_cores_of_another_fleet_are_neither_owned_nor_shared():
    for instance in planned(observed(REDIS, cores=8))["instances"]:
        assert not {0, 1} & set(instance["cpuset"]), instance["name"]


def test_another_fleets_cores_are_missing_where_they_are_needed():
    assert planned(observed(cores=5))["complete"]
    assert not planned(observed(REDIS, cores=5))["complete"]


def test_shares_of_another_fleet_are_held_back():
    assert planned(observed(SHARING, cores=5))["complete"]
    crowded = {**SHARING, "claims": {"cpus": 0.95, "memory": 1}}
    assert not planned(observed(crowded, cores=5))["complete"]


def test_memory_of_another_fleet_is_held_back():
    exact = 3 * (64 << 20) + (32 << 20)
    assert planned(observed(cores=5, memory=exact))["complete"]
    assert not planned(observed({**SHARING, "claims": {"memory": 1}}, cores=5, memory=exact))["complete"]


def test_addresses_of_another_fleet_are_not_given():
    plan = planned(observed(REDIS, SHARING, cores=8))
    assert not {"10.0.0.10", "10.0.0.11"} & {instance["address"] for instance in plan["instances"]}


@pytest.mark.parametrize(("others", "drawn"), [
    ((), "[#...] 4: 1 reserved, 0 owned, 3 free"),
    ((REDIS,), "[#x..] 4: 1 reserved, 0 owned, 2 free, 1 another fleet's"),
])
def test_the_map_shows_another_fleets_cores(others, drawn):
    assert any(drawn in line for line in draw_map({"h1": observed(*others)}, {}))


def test_the_map_counts_what_other_fleets_hold():
    lines = draw_map({"h1": observed(REDIS, SHARING)}, {})
    assert lines[-1].strip() == "beside them, of other fleets: 2 containers, 0.5 cpus, 128 MiB memory, 1 GiB disk"
