# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes on a real host: full, growing, cut off, damaged, many."""

from __future__ import annotations

POOL = "/var/lib/stowage/pool"
PROGRAM = "/usr/local/lib/stowage/volumes.pyz"


def volume(name="acme_db_0", **more):
    return {"name": name, "size": "64m", **more}


def test_second_run_changes_nothing_and_check_mode_tells_the_truth(host):
    wanted = {"volumes": [volume()], "thin_ratio": 50}
    foretold = host.task("volume", wanted, "--check", "--diff")
    assert foretold["changed"]
    assert foretold["volumes"][0]["actions"] == ["create", "mount"]
    assert host.sh(f"ls {POOL}/images") == ""
    done = host.task("volume", wanted, "--diff")
    assert done["volumes"][0]["actions"] == foretold["volumes"][0]["actions"]
    assert done["volumes"][0]["diff"]["after"]["size"] == 64 << 20
    again = host.volume(volume())
    assert not again["changed"]
    assert again["volumes"][0]["uuid"] == done["volumes"][0]["uuid"]
    device = host.sh(f"findmnt -no SOURCE {POOL}/mounts/acme_db_0")
    assert host.sh(f"blkid -o value -s LABEL {device}").startswith("stw-")
    assert host.sh(f"cat /sys/block/{device.rpartition('/')[2]}/loop/dio") == "1", "the pool's file system takes none"


def test_a_full_disk_is_full_for_its_own_container_only(host):
    host.volume(volume("acme_db_0", mode="0750", owner="1234"), volume("acme_db_1"))
    assert host.sh(f"stat -c '%a %u' {POOL}/mounts/acme_db_0/data") == "750 1234"
    host.container("full", "acme_db_0", "dd if=/dev/zero of=/data/fill bs=1M; sleep 600")
    host.container("neighbour", "acme_db_1", "sleep 600")
    host.wait("docker logs full 2>&1 | grep -q 'No space left on device'")
    host.sh("docker exec neighbour dd if=/dev/zero of=/data/ok bs=1M count=20 conv=fsync")
    host.sh("dd if=/dev/zero of=/var/lib/stowage/host-goes-on bs=1M count=5 && rm /var/lib/stowage/host-goes-on")


def test_xfs_grows_while_its_container_writes(host):
    host.volume(volume(size="300m", fs="xfs"))
    host.container("writer", "acme_db_0",
                   "while :; do dd if=/dev/zero of=/data/f bs=1M count=50 conv=fsync || exit; done")
    grown = host.volume(volume(size="600m"))
    assert grown["volumes"][0]["actions"] == ["grow"], grown
    assert int(host.sh(f"df -m --output=size {POOL}/mounts/acme_db_0 | tail -1")) > 500
    assert host.sh("docker inspect -f '{{.State.Running}} {{.RestartCount}}' writer") == "true 0"
    assert not host.volume(volume(size="600m"))["changed"]


def test_ext4_grows_and_keeps_what_is_on_it(host):
    host.volume(volume())
    host.sh(f"echo precious > {POOL}/mounts/acme_db_0/data/file")
    assert host.volume(volume(size="256m"))["volumes"][0]["action"] == "grow"
    assert host.sh(f"cat {POOL}/mounts/acme_db_0/data/file") == "precious"
    assert int(host.sh(f"df -m --output=size {POOL}/mounts/acme_db_0 | tail -1")) > 200
    refused = host.volume(volume(size="64m"))
    assert "not made smaller by the way" in refused["msg"]
    assert host.volume(volume(size="64m", shrink=True))["volumes"][0]["action"] == "shrink"
    assert host.sh(f"cat {POOL}/mounts/acme_db_0/data/file") == "precious"


def test_growing_a_used_ext4_works_or_is_refused_before_any_change(host):
    host.volume(volume())
    host.container("user", "acme_db_0", "sleep 600")
    result = host.volume(volume(size="128m"))
    if result["failed"]:
        assert "CAP_SYS_RESOURCE" in result["msg"]
        assert host.sh(f"stat -c %s {POOL}/images/acme_db_0.img") == str(64 << 20)
        host.sh("docker stop -t 0 user")
        result = host.volume(volume(size="128m"))
        host.sh("docker start user")
    assert result["volumes"][0]["action"] == "grow", result
    assert int(host.sh(f"df -m --output=size {POOL}/mounts/acme_db_0 | tail -1")) > 100


def test_a_file_system_shut_down_under_writes_keeps_what_was_flushed(host):
    """EXT4_IOC_SHUTDOWN without flushing its log is what the disk of a machine sees when the power goes."""
    host.volume(volume())
    data = f"{POOL}/mounts/acme_db_0/data"
    host.sh(f"echo flushed > {data}/a && sync {data}/a && echo lost > {data}/b")
    host.sh("python3 -c 'import fcntl, os, struct; "
            f"fcntl.ioctl(os.open(\"{data}\", os.O_RDONLY), 0x8004587D, struct.pack(\"I\", 2))'")
    mended = host.volume(volume())
    assert not mended["failed"], mended
    assert mended["volumes"][0]["actions"] == ["unmount", "check", "mount"]
    assert host.sh(f"cat {data}/a") == "flushed"
    assert not host.volume(volume())["changed"]


def test_a_lost_superblock_is_repaired_by_force_with_a_way_back(host):
    host.volume(volume(size="200m"))
    host.sh(f"echo precious > {POOL}/mounts/acme_db_0/data/file; umount {POOL}/mounts/acme_db_0; "
            f"dd if=/dev/zero of={POOL}/images/acme_db_0.img bs=4096 count=1 conv=notrunc status=none")
    assert "repair: none" in host.volume(volume(size="200m"), repair="none")["msg"]
    assert "its superblock is damaged" in host.volume(volume(size="200m"))["msg"]
    mended = host.volume(volume(size="200m"), repair="force")
    assert not mended["failed"], mended
    assert host.sh(f"cat {POOL}/mounts/acme_db_0/data/file") == "precious"
    assert host.sh(f"ls {POOL}/snapshots | grep -c e2undo") == "1"


def test_what_the_checker_calls_safe_is_repaired_without_asking(host):
    host.volume(volume("acme_db_0"), volume("acme_db_1", size="300m", fs="xfs"))
    host.sh(f"""cd {POOL}; echo precious | tee mounts/acme_db_0/data/file > mounts/acme_db_1/data/file; sync
    python3 -c 'import fcntl, os, struct; fcntl.ioctl(os.open("mounts/acme_db_1", 0), 0x8004587D, struct.pack("I", 2))'
    umount mounts/acme_db_0; debugfs -w -R 'ssv free_blocks_count 7' images/acme_db_0.img
    debugfs -w -R 'ssv state 2' images/acme_db_0.img""")
    mended = host.volume(volume("acme_db_0"), volume("acme_db_1", size="300m"))
    assert not mended["failed"], mended
    assert "checked and repaired" in mended["volumes"][0]["msg"]
    assert mended["volumes"][1]["actions"] == ["unmount", "check", "mount"]
    assert "mounted anew" in mended["volumes"][1]["msg"]
    assert host.sh(f"cat {POOL}/mounts/*/data/file") == "precious\nprecious"


def test_a_lost_xfs_superblock_is_repaired_by_force_with_a_way_back(host):
    host.volume(volume(size="300m", fs="xfs"))
    host.sh(f"echo precious > {POOL}/mounts/acme_db_0/data/file; umount {POOL}/mounts/acme_db_0; "
            f"dd if=/dev/zero of={POOL}/images/acme_db_0.img bs=512 count=1 conv=notrunc status=none")
    assert "its superblock is damaged" in host.volume(volume(size="300m"))["msg"]
    mended = host.volume(volume(size="300m"), repair="force")
    assert not mended["failed"], mended
    assert host.sh(f"cat {POOL}/mounts/acme_db_0/data/file") == "precious"
    assert host.sh(f"ls {POOL}/snapshots | grep -c before-repair.*img") == "1"


def test_what_hangs_loose_is_found_again_after_a_repair_by_force(host):
    host.volume(volume())
    host.sh(f"echo precious > {POOL}/mounts/acme_db_0/data/file; umount {POOL}/mounts/acme_db_0; "
            f"cd {POOL}/images; debugfs -w -R 'clri data' acme_db_0.img; debugfs -w -R 'ssv state 2' acme_db_0.img")
    assert "is damaged" in host.volume(volume())["msg"]
    forced = host.volume(volume(), repair="force")
    assert not forced["failed"], forced
    assert host.sh(f"cd {POOL}/mounts/acme_db_0/lost+found; cat */file || cat *") == "precious"


def test_an_image_deleted_by_hand_is_reported_and_never_replaced_by_an_empty_one(host):
    host.volume(volume("acme_db_0"), volume("acme_db_1"))
    host.sh(f"umount {POOL}/mounts/acme_db_0; rm {POOL}/images/acme_db_0.img")
    result = host.volume(volume("acme_db_0"), volume("acme_db_1", size="80m"))
    assert "its image is gone" in result["msg"]
    assert [entry["action"] for entry in result["volumes"]] == ["keep", "grow"]
    assert not host.sh(f"ls {POOL}/images").count("acme_db_0")


def test_a_released_disk_is_kept_and_taken_up_again(host):
    host.volume(volume(mode="0700"))
    host.sh(f"echo precious > {POOL}/mounts/acme_db_0/data/file")
    released = host.volume({"name": "acme_db_0", "state": "released"})["volumes"][0]
    assert released["state"] == "released"
    assert released["released_at"]
    assert host.loops() == []
    assert not host.volume({"name": "acme_db_0", "state": "released"}, keep_days=1)["changed"]
    back = host.volume(volume())
    assert back["volumes"][0]["action"] == "reattach"
    assert host.sh(f"cat {POOL}/mounts/acme_db_0/data/file") == "precious"
    host.volume({"name": "acme_db_0", "state": "released"})
    assert not host.volume(keep_days=0, keep_instances=["acme_db_0"])["changed"]
    assert host.volume(keep_days=0)["volumes"][0]["action"] == "delete"


def test_a_used_disk_is_neither_released_nor_deleted(host):
    host.volume(volume())
    host.container("user", "acme_db_0", "sleep 600")
    for state in ("released", "absent"):
        result = host.volume({"name": "acme_db_0", "state": state})
        assert "is in use" in result["msg"], result
    assert not host.volume(volume())["changed"]


def test_interrupted_work_is_finished_and_strays_are_mended(host):
    host.volume(volume("acme_db_0"), volume("acme_db_1"))
    host.sh(f"""cd {POOL}; umount mounts/acme_db_0; mv images/acme_db_0.img images/.new-acme_db_0.img
    umount mounts/acme_db_1; mv images/acme_db_1.img images/.gone-acme_db_1.img
    truncate -s 10m images/.new-acme_db_9.img; mkdir mounts/nobody
    cp images/.new-acme_db_0.img images/acme_db_7.img; losetup -f images/acme_db_7.img""")
    listed = host.volume(mend=False)
    assert not listed["changed"]
    assert len(listed["strays"]) == 5, listed["strays"]
    mended = host.volume(volume("acme_db_0"))
    assert mended["volumes"][0]["actions"] == ["finish", "mount"]
    assert all(stray["mended"] for stray in mended["strays"])
    assert host.sh(f"ls {POOL}/records") == "acme_db_0.json\nacme_db_7.json"
    assert host.volume()["strays"] == []


def test_sixty_volumes_on_a_host(host):
    many = [volume(f"acme_db_{index}", size="10g") for index in range(60)]
    done = host.volume(*many)
    assert not done["failed"], done.get("msg")
    assert sum(entry["action"] == "create" for entry in done["volumes"]) == 60
    assert len(host.loops()) == 60
    assert not host.volume(*many)["changed"]
    host.reboot()
    assert host.sh("systemctl is-active stowage-volumes") == "active"
    assert len(host.loops()) == 60
    assert host.sh(f"python3 {PROGRAM} check") == "60 volumes in use, 0 problems"


def test_snapshot_and_backup_while_written_and_back(host):
    host.volume(volume())
    data = f"{POOL}/mounts/acme_db_0/data"
    host.sh(f"echo one > {data}/file; rm -f /root/b.tar.zst")
    host.container("writer", "acme_db_0", "while :; do cat /data/file > /data/copy; done")
    kept = host.volume(volume(snapshot="one", backup="/root/b.tar.zst"))
    assert kept["volumes"][0]["actions"] == ["snapshot", "backup"], kept
    assert not host.volume(volume(snapshot="one", backup="/root/b.tar.zst"))["changed"]
    host.sh(f"dd if=/dev/urandom of={data}/bulk bs=1M count=48 status=none; sync {data}/bulk; rm -f /root/c.tar.gz")
    slow = host.task("volume", {"volumes": [volume(backup="/root/c.tar.gz")], "thin_ratio": 50})
    assert f"{host.name}: acme_db_0: " in slow["shown"], slow
    assert " MiB of " in slow["shown"]
    assert host.sh(f"rm {data}/bulk /root/c.tar.gz*; ls {POOL}/progress 2>/dev/null; ls /root/.ansible_async") == ""
    host.sh(f"docker rm -f writer; echo two > {data}/file; cd /root; sha256sum -c b.tar.zst.sha256")
    assert not host.volume(volume(rollback="one"))["failed"]
    assert host.sh(f"cat {data}/file") == "one"
    host.sh(f"echo three > {data}/file")
    host.volume(volume("acme_db_1", restore="/root/b.tar.zst"))
    assert host.sh(f"cat {POOL}/mounts/acme_db_1/data/file") == "one"
    host.sh("printf damaged! | dd of=/root/b.tar.zst bs=1 seek=500 conv=notrunc status=none")
    assert "is damaged" in host.volume(volume(restore="/root/b.tar.zst"))["msg"]
    assert host.sh(f"cat {data}/file") == "three"


def test_a_run_that_is_killed_while_a_disk_is_frozen_leaves_its_container_writing(host):
    host.volume(volume())
    mounted = f"{POOL}/mounts/acme_db_0"
    killed = host.sh(f"""PYTHONPATH={PROGRAM} setsid --wait python3 -c 'import os, signal
from stowage_host.disks.copies import frozen
with frozen("{mounted}"):
    os.killpg(0, signal.SIGKILL)' || echo killed""")
    assert killed == "killed"
    host.sh(f"timeout 10 sh -c 'echo on > {mounted}/data/file; sync {mounted}/data/file'")
    assert not host.volume(volume(snapshot="one"))["failed"]


def test_more_than_the_pool_has_is_refused_before_any_change(host):
    refused = host.volume(volume("acme_db_0", size="1g"), volume("acme_db_1", size="10g"), thin_ratio=1,
                          pool_size="10g", reserve="1g")
    assert refused["failed"]
    assert "it may promise 9 GiB" in refused["msg"]
    assert host.sh(f"ls {POOL}/images") == ""
