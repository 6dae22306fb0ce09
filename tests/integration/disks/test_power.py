# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power of a host goes, once, while two disks are written and after two others were damaged."""

from __future__ import annotations

import pytest

from .conftest import POOL, cleared

WRITER = ("n=$(cat /data/flushed || echo 0); while :; do n=$((n+1)); echo $n > /data/new; sync /data/new; "
          "cat /data/new > /data/flushed; sync /data/flushed; done")
# EXT4_IOC_SHUTDOWN (known to xfs too), so that the kernel writes nothing more to what is then written over.
SPOIL = """cd %s; python3 -c 'import fcntl, os, struct
fcntl.ioctl(os.open("mounts/%s", os.O_RDONLY), 0x8004587D, struct.pack("I", 2))'
dd if=/dev/urandom bs=1M count=63 conv=notrunc,fsync status=none of=images/%s.img"""
VOLUMES = [{"name": "acme_db_0", "size": "64m"}, {"name": "acme_db_1", "size": "300m", "fs": "xfs"},
           {"name": "acme_db_2", "size": "64m"}, {"name": "acme_db_3", "size": "300m", "fs": "xfs"}]


@pytest.fixture(scope="module")
def before(lab):
    """Cut the power of a host with two containers that write and two whose disks were damaged.

    The last numbers that the writers had flushed by then.
    """
    with cleared(lab) as host:
        host.volume(*VOLUMES)
        for index in range(4):
            host.container(f"c{index}", f"acme_db_{index}", WRITER if index < 2 else "sleep 600")
        for index in (0, 1):
            host.wait(f"test -s {POOL}/mounts/acme_db_{index}/data/flushed")
        for name in ("acme_db_2", "acme_db_3"):
            host.sh(SPOIL % (POOL, name, name))
        numbers = [int(host.sh(f"cat {POOL}/mounts/acme_db_{index}/data/flushed") or 0) for index in (0, 1)]
        host.power_cut()
        host.wait("test $(docker ps -q | wc -l) = 2")
        yield numbers


def test_containers_find_their_disks_and_what_was_flushed(lab, before):
    for index in (0, 1):
        lab.wait(f"test $(cat {POOL}/mounts/acme_db_{index}/data/new) -ge {before[index]}", seconds=10)
    assert not lab.volume(*VOLUMES[:2])["changed"]


@pytest.mark.usefixtures("before")
def test_a_damaged_disk_is_named_and_its_container_held_back_while_others_start(lab):
    assert sorted(lab.sh("docker ps --format '{{.Names}}'").split()) == ["c0", "c1"]
    assert lab.sh("docker start c2 2>&1 || true").count("exist")
    named = lab.sh("journalctl -u stowage-volumes -b --no-pager | grep damaged")
    assert "acme_db_2" in named
    assert "acme_db_3" in named
    result = lab.volume(*VOLUMES)
    assert [entry["failed"] for entry in result["volumes"]] == [False, False, True, True]
    for index in (2, 3):
        assert f"volume acme_db_{index}: its superblock is damaged" in result["msg"]
