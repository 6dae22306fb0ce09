# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks by way of the module ``containers``: made before, kept after, and held back with what they belong to."""

from __future__ import annotations

POOL = "/var/lib/stowage/pool"


def instance(index=0, disk="64m", **data):
    return {"name": f"acme_db_{index}", "cluster": "acme", "group": "db", "index": index, "image": "disktest",
            "disk": disk, "command": ["/bin/sleep", "600"], "stop_timeout": 1, "data": {"path": "/data", **data}}


def converge(host, *instances, **options):
    return host.module("containers", {"instances": list(instances), "wait": False, "disk_thin_ratio": 50, **options})


def test_an_instance_gets_its_disk_and_finds_its_data_again_after_it_was_removed(host):
    made = converge(host, instance(mode="0700"), instance(1))
    assert not made["failed"], made
    assert [volume["action"] for volume in made["volumes"]] == ["create", "create"]
    host.sh("docker exec acme_db_0 sh -c 'echo precious > /data/file; sync /data/file'")
    assert host.sh(f"cat {POOL}/mounts/acme_db_0/data/file") == "precious"
    assert not converge(host, instance(mode="0700"), instance(1))["changed"]
    removed = converge(host, instance(1), remove=["acme_db_0"])
    assert removed["volumes"][0]["state"] == "released", removed
    seen = {volume["name"]: volume for volume in host.module("host_info", {"fleet": "fleet"})["host"]["volumes"]}
    assert seen["acme_db_0"]["state"] == "released"
    assert seen["acme_db_0"]["released_at"]
    converge(host, instance(mode="0700"))
    assert host.sh("docker exec acme_db_0 cat /data/file") == "precious"
    gone = converge(host, remove=["acme_db_0", "acme_db_1"], release_disks=True)
    assert [volume["state"] for volume in gone["volumes"]] == ["absent", "absent"]


def test_an_instance_whose_disk_is_gone_is_held_back_and_the_others_go_on(host):
    converge(host, instance(0), instance(1))
    host.sh(f"docker rm -f acme_db_0 acme_db_1; umount {POOL}/mounts/acme_db_0; rm {POOL}/images/acme_db_0.img")
    result = converge(host, instance(0), instance(1))
    assert "acme_db_0: volume acme_db_0: its image is gone" in result["msg"]
    assert host.sh("docker ps --format '{{.Names}}'") == "acme_db_1"


def test_disks_beyond_the_pool_are_refused_before_any_container_is_made(host):
    result = converge(host, instance(0, disk="300g"), instance(1, disk="300g"), disk_thin_ratio=1)
    assert result["failed"]
    assert host.sh("docker ps -aq") == ""
