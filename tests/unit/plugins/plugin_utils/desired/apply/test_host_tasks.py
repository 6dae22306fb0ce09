# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A move by way of another host: each half leaves where the half before has put the instance."""

from __future__ import annotations

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.deferral import find_held
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.host_tasks import build_steps
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.planning import Planned
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import instance

NAME, OTHER = "acme_web_0", "acme_db_0"
STOP = {"host": "h3", "cores": [5], "cpuset": [5], "mems": [0]}


def plan():
    """Two change places by way of a third host."""
    instances = [instance(NAME, "move", "h1", from_host="h2"), instance(OTHER, "move", "h2", from_host="h1")]
    steps = [(NAME, [], {NAME: STOP}), (OTHER, [0], None), (NAME, [0, 1], None)]
    return {
        "instances": instances,
        "steps": [
            {"index": i, "name": f"Step {i}", "kind": "move", "instances": [name], "waits_for": waits}
            | ({"via": via} if via else {})
            for i, (name, waits, via) in enumerate(steps)
        ],
    }


def test_each_half_of_a_move_leaves_where_the_half_before_has_put_it():
    options = {name: {"name": name, "cores": [1], "cpuset": [1], "mems": [0]} for name in (NAME, OTHER)}
    planned = Planned(plan(), {"running": []}, options, 0, {}, [])
    steps = build_steps(planned, {}, {("acme", "web"): (), ("acme", "db"): ()})
    told = [
        (step["kind"], {h: w["remove"] or [i["cores"] for i in w["instances"]] for h, w in step["hosts"].items()})
        for step in steps
    ]
    assert told == [
        ("remove", {"h2": [NAME]}),
        ("create", {"h3": [[5]]}),
        ("remove", {"h1": [OTHER]}),
        ("create", {"h2": [[1]]}),
        ("remove", {"h3": [NAME]}),
        ("create", {"h1": [[1]]}),
    ]


def test_a_stop_outside_the_limit_holds_the_move():
    running = [
        {"cluster": "acme", "group": g, "index": 0, "host": h, "claims": {"cores": 1}, "cores": [1], "address": None}
        for g, h in (("web", "h2"), ("db", "h1"))
    ]
    hosts = [{"name": name, "cpus": 8, "resources": {}} for name in ("h1", "h2", "h3")]
    problem = {"hosts": hosts, "running": running, "clusters": {"acme": {"groups": {"web": {}, "db": {}}}}}
    assert "by way of h3" in find_held(plan(), problem, ["h1", "h2"])[NAME]
