# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks by way of the module ``containers``: made before, kept after, and held back with what they belong to."""

from __future__ import annotations

POOL = "/var/lib/stowage/pool"


def instance(index=0, disk="64m", more=None, **data):
    return {"name": f"acme_db_{index}", "cluster": "acme", "group": "db", "index": index, "image": "disktest",
            "disk": disk, "command": ["/bin/sleep", "600"], "stop_timeout": 1, "data": {"path": "/data", **data},
            **(more or {})}


def converge(host, *instances, **options):
    return host.module("containers", {"instances": list(instances), "wait": False, "disk_thin_ratio": 50, **options})


def observe(host, **options):
    return host.module("host_info", {"fleet": "fleet", **options})["host"]


def test_an_instance_gets_its_disk_and_finds_its_data_again_after_it_was_removed(host):
    made = converge(host, instance(mode="0700"), instance(1))
    assert not made["failed"], made.get("msg")
    assert [volume["action"] for volume in made["volumes"]] == ["create", "create"]
    host.sh("docker exec acme_db_0 sh -c 'echo precious > /data/file; sync /data/file'")
    assert host.sh(f"cat {POOL}/mounts/acme_db_0/data/file") == "precious"
    assert not converge(host, instance(mode="0700"), instance(1))["changed"]
    removed = converge(host, instance(1), remove=["acme_db_0"])
    assert removed["volumes"][0]["state"] == "released", removed
    seen = {volume["name"]: volume for volume in observe(host)["volumes"]}
    assert seen["acme_db_0"]["state"] == "released"
    assert seen["acme_db_0"]["released_at"]
    converge(host, instance(mode="0700"))
    assert host.sh("docker exec acme_db_0 cat /data/file") == "precious"
    gone = converge(host, remove=["acme_db_0", "acme_db_1"], release_disks=True)
    assert [volume["state"] for volume in gone["volumes"]] == ["absent", "absent"]
    converge(host, instance())
    converge(host, remove=["acme_db_0"])
    overdue = converge(host, remove=["acme_db_1"], keep_disks_days=0)
    assert {volume["name"]: volume["state"] for volume in overdue["volumes"]}["acme_db_0"] == "absent", overdue


def test_data_outlives_stop_update_and_recreation_and_the_last_snapshots_before_updates_are_kept(host):
    def wanted(image_digest, **more):
        return instance(snapshots=1, more={"digest": image_digest, **more})

    converge(host, wanted("one"))
    host.sh("docker exec acme_db_0 sh -c 'echo precious > /data/file; sync /data/file'")
    updated = converge(host, wanted("two", command=["/bin/sleep", "601"]))
    assert updated["containers"][0]["action"] == "recreated", updated
    assert updated["volumes"][0]["actions"] == ["snapshot"]
    assert observe(host)["volumes"][0]["snapshots"] == ["before-two"]
    assert converge(host, wanted("two", command=["/bin/sleep", "601"]))["changed"] is False
    assert converge(host, wanted("two", command=["/bin/sleep", "601"], state="stopped"))["changed"]
    again = converge(host, wanted("three"))
    assert observe(host)["volumes"][0]["snapshots"] == ["before-three"], again
    assert host.sh("docker exec acme_db_0 cat /data/file") == "precious"


def test_an_instance_whose_disk_is_gone_is_held_back_and_the_others_go_on(host):
    converge(host, instance(0), instance(1))
    host.sh(f"docker rm -f acme_db_0 acme_db_1; umount {POOL}/mounts/acme_db_0; rm {POOL}/images/acme_db_0.img")
    result = converge(host, instance(0), instance(1))
    assert "acme_db_0: volume acme_db_0: its image is gone" in result["msg"]
    assert host.sh("docker ps --format '{{.Names}}'") == "acme_db_1"


def test_a_disk_grows_with_its_grade_while_its_container_runs(host):
    def running():
        return host.sh("docker inspect -f '{{.Id}} {{.RestartCount}} {{.State.StartedAt}}' acme_db_0 acme_db_1")

    def mebibytes(index):
        return int(host.sh(f"df -m --output=size {POOL}/mounts/acme_db_{index} | tail -1"))

    def wanted(xfs, ext4):
        return instance(0, xfs, fs="xfs"), instance(1, ext4)

    made = converge(host, *wanted("300m", "64m"))
    assert not made["failed"], made
    before = running()
    grown = converge(host, *wanted("600m", "128m"))
    assert mebibytes(0) > 400
    if grown["failed"]:  # ext4 grows in use where root has that capability, as on any machine that is not a container
        assert "acme_db_1: " in grown["msg"]
        assert "CAP_SYS_RESOURCE" in grown["msg"]
        assert mebibytes(1) < 64
    else:
        assert mebibytes(1) > 100
    assert running() == before
    again = converge(host, *wanted("600m", "64m" if grown["failed"] else "128m"))
    assert not again["failed"], again
    assert not again["changed"], again


def test_disks_beyond_the_pool_are_refused_before_any_container_is_made(host):
    result = converge(host, instance(0, disk="300g"), instance(1, disk="300g"), disk_thin_ratio=1)
    assert result["failed"]
    assert host.sh("docker ps -aq") == ""


def test_further_volumes_are_disks_of_their_own_with_the_life_of_the_first(host):
    logs = {"name": "logs", "path": "/tmp", "size": "32m", "mode": "0700"}
    made = converge(host, instance(more={"volumes": [logs]}))
    assert not made["failed"], made.get("msg")
    sizes = {volume["name"]: volume["size"] >> 20 for volume in made["volumes"]}
    assert sizes == {"acme_db_0": 64, "acme_db_0.logs": 32}
    assert not converge(host, instance(more={"volumes": [logs]}))["changed"]
    host.sh("docker exec acme_db_0 sh -c 'dd if=/dev/zero of=/tmp/fill bs=1M; echo precious > /data/file; sync'; true")
    assert int(host.sh("docker exec acme_db_0 cat /tmp/fill | wc -c")) < 32 << 20
    seen = {one["name"]: one for one in observe(host)["volumes"]}
    assert (seen["acme_db_0.logs"]["instance"], seen["acme_db_0.logs"]["path"]) == ("acme_db_0", "/tmp")
    big = {"name": "big", "path": "/opt", "size": "300m", "fs": "xfs"}
    grown = converge(host, instance(more={"volumes": [big]}))
    assert not grown["failed"], grown
    assert host.sh("docker exec acme_db_0 cat /data/file") == "precious"
    states = {one["name"]: one["state"] for one in observe(host)["volumes"]}
    assert states == {"acme_db_0": "attached", "acme_db_0.big": "attached", "acme_db_0.logs": "released"}
    gone = converge(host, remove=["acme_db_0"])
    assert sorted(volume["name"] for volume in gone["volumes"]) == ["acme_db_0", "acme_db_0.big", "acme_db_0.logs"]
    assert {volume["state"] for volume in gone["volumes"]} == {"released"}
    assert host.loops() == []
    refused = converge(host, instance(more={"volumes": [{**logs, "path": "/data"}]}))
    assert "volumes[0].path: /data is mounted twice" in refused["msg"]


def test_a_writable_layer_limit_that_this_engine_cant_give_is_refused_before_any_change(host):
    limit = observe(host)["engine"]["layer_limit"]
    assert not limit["supported"], "this engine can; the test wants one on overlay2 and ext4"
    result = converge(host, instance(more={"storage_opt": {"size": "1g"}}))
    who = "acme_db_0: storage_opt.size limits the writable layer, which the engine of"
    assert f"{who} {host.name} can't: {limit['reason']}" in " ".join(result["msg"].split())
    assert host.sh(f"docker ps -aq; ls {POOL}/images") == ""


def test_a_pool_that_promises_more_than_it_has_warns_when_it_runs_full(host):
    more = int(host.sh(f"df -B1 --output=size {POOL} | tail -1")) * 2
    assert converge(host, instance(disk=str(more)), disk_thin_ratio=1)["failed"]
    thin = converge(host, instance(disk=str(more)), disk_thin_ratio=3, disk_warn_percent=0)
    assert not thin["failed"], thin
    assert "the file system of the pool is" in thin["warned"], thin
    assert "(warning level 0%)" in thin["warned"]
    assert "the file system of the pool is" not in converge(host, instance(disk=str(more)))["warned"]
    counted = observe(host, disk_thin_ratio=3, reserved={"disk": "1g"})["resources"]["disk"]
    assert counted == (more // 2 - (1 << 30)) * 3 + (1 << 30)
