# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks as the planner counts them: further volumes of types, disks that lie on hosts, writable layers."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.controller import solve
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.disk_claims import disk_rows, room_in_released
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.planning import make_plan
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.layers import unlimited_layers
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import read, render

GIB = 2**30
LOGS = {"name": "logs", "path": "/var/log/app", "size": "1g"}


def desired(count=3, volumes=(LOGS,), **data):
    grades = {"small": {"cpus": 0.1, "memory": "64m", "disk": "2g"}}
    types = {"db": {"image": "db:1", "data": {"path": "/data"}, "volumes": list(volumes), **data}}
    groups = {"db": {"count": count, "type": "db", "grade": "small"}}
    return read(stowage_grades=grades, stowage_types=types, stowage_clusters={"acme": {"groups": groups}})


def host(*volumes, disk=10, **more):
    return {"resources": {"memory": 8 * GIB, "disk": disk * GIB}, "cpus": 4, "state": "active", "reserved": {},
            "labels": {}, "containers": [], "volumes": list(volumes), **more}  # fmt: skip


def volume(name, size=3, **more):
    return {"name": name, "instance": name.partition(".")[0], "state": "released", "size": size * GIB,
            "released_at": "2026-01-02T03:04:05Z", **more}  # fmt: skip


def plan(state, observations):
    return make_plan(state, observations, [], render, solve)


def test_further_volumes_count_as_disk_and_the_data_disk_keeps_its_own_size():
    state, problems = desired()
    assert problems == []
    planned = plan(state, {"h1": host()})
    assert [item["disk"] for item in planned.plan["instances"]] == [3 * GIB] * 3
    assert {item["grade"] for item in planned.plan["instances"]} == {"small"}
    options = planned.options["acme_db_0"]
    assert (options["disk"], options["claims"]["disk"], options["grade"]) == (2 * GIB, 3 * GIB, "small")
    four, _none = desired(count=4)
    assert len(plan(four, {"h1": host()}).plan["unplaced"]) == 1


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": "Logs"}, "stowage_types.db.volumes[0].name: 'Logs' can't name a volume"),
        ({"path": "/data"}, "stowage_types.db.volumes[0].path: /data is mounted twice"),
        ({"path": "logs"}, "stowage_types.db.volumes[0].path: 'logs'; expected an absolute path"),
        ({"size": "1q"}, "stowage_types.db.volumes[0].size: '1q' is not a size"),
        ({"size": "10m", "fs": "xfs"}, "stowage_types.db.volumes[0].size: 10 MiB is too small; expected at least 300"),
        ({"size": "{{ instance.memory }}"}, "stowage_types.db.volumes[0].size: can't be filled in"),
        ({"quota": "1g"}, "stowage_types.db.volumes[0].quota: "),
    ],
)
def test_a_wrong_volume_is_refused_with_its_path(changes, complaint):
    _state, problems = desired(volumes=[{**LOGS, **changes}])
    assert [sentence for sentence in problems if sentence.startswith(complaint)], problems


def test_scaling_back_up_brings_each_instance_to_the_host_of_its_own_disks():
    state, _problems = desired()
    disks = [volume("acme_db_1", 2), volume("acme_db_1.logs", 1)]
    planned = plan(state, {"h1": host(disk=9), "h2": host(*disks, disk=3), "h3": host(volume("acme_db_2"), disk=3)})
    where = {item["name"]: item["host"] for item in planned.plan["instances"]}
    assert where == {"acme_db_0": "h1", "acme_db_1": "h2", "acme_db_2": "h3"}
    assert planned.plan["hosts"]["h2"]["free"]["disk"] == 0


def test_a_pool_full_of_released_disks_is_explained_with_what_they_would_free():
    state, _problems = desired(count=1)
    observations = {"h1": host(volume("acme_db_7", 8))}
    planned = plan(state, observations)
    assert planned.plan["unplaced"]
    told = room_in_released(planned.plan, observations)
    assert "8 GiB on h1 (acme_db_7 since 2026-01-02)" in told
    assert "stowage.fleet.delete_disks and -e stowage_keep_disks_days=0" in told
    assert room_in_released({"unplaced": []}, observations) == ""


def test_disks_are_summed_by_instance_and_host_and_others_are_left_out():
    data = volume("acme_db_0", 1, state="attached", released_at=None, snapshot_bytes=GIB)
    torn = {"name": "torn", "state": "unreadable", "msg": "x"}
    found = disk_rows({"h1": host(data, volume("acme_db_0.logs"), volume("backups"), torn)})
    assert found == [{"cluster": "acme", "group": "db", "index": 0, "host": "h1", "size": 5 * GIB,
                      "released_at": "2026-01-02T03:04:05Z"}]  # fmt: skip


def test_a_limit_that_a_host_cant_give_is_named_before_anything_changes():
    limit = {"supported": False, "backing_fs": "extfs", "reason": "its storage driver overlay2 lies on extfs"}
    engines = {"h1": {"engine": {"layer_limit": limit}}, "h2": {"engine": {"layer_limit": {"supported": True}}}}
    placed = [{"name": f"acme_web_{index}", "host": f"h{index + 1}"} for index in (0, 1)]
    options = {item["name"]: {"storage_opt": {"size": "5g"}} for item in placed}
    (sentence,) = unlimited_layers(placed, options, engines)
    assert sentence.startswith("acme_web_0: storage_opt.size limits the writable layer, which the engine of h1 can't: ")
    assert unlimited_layers(placed, {}, engines) == []
