# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host can't give is said before it is touched."""

from __future__ import annotations

POOL = "/var/lib/stowage/pool"
# Of the nodes of free loop devices, leave six; the rest can't be made anew while /dev is read-only.
FEW_NODES = """cd /sys/block; kept=0
for loop in $(ls -d loop* | sort -V); do
  [ ! -e $loop/loop/backing_file ] || continue
  if [ -b /dev/$loop ] && [ $kept -lt 6 ] && [ $loop != loop%s ]; then kept=$((kept+1)); else rm -f /dev/$loop; fi
done
mount -o remount,bind,ro /dev"""


def volume(index=0, **more):
    return {"name": f"acme_db_{index}", "size": "64m", **more}


def test_more_volumes_than_loop_devices_are_refused_before_any_change(host):
    host.volume(*(volume(index) for index in range(8)))  # so that there are eight free devices with nodes
    host.volume(*({"name": f"acme_db_{index}", "state": "absent"} for index in range(8)))
    first = host.sh("losetup -f | tr -dc 0-9")
    host.sh(FEW_NODES % first)
    try:
        for check in (True, False):
            refused = host.volume(*(volume(index) for index in range(60)), check=check)
            assert refused["failed"]
            assert "60 volumes are to be mounted, each through a loop device, and this host can have" in refused["msg"]
            assert "Nothing was changed" in refused["msg"]
        assert host.sh(f"ls {POOL}/images {POOL}/records | grep -v :") == ""
        assert host.sh(f"test -e /dev/loop{first} || echo none") == "none"
        some = host.volume(volume(0), volume(1))
        assert not some["failed"], some
        assert len(host.loops()) == 2
    finally:
        host.sh("mount -o remount,bind,rw /dev")
    assert not host.volume(*(volume(index) for index in range(10)))["failed"]


# A second engine beside the host's own, on a btrfs of its own: what it can, overlay2 on ext4 can't.
ENGINE = """set -e; mkdir -p /srv/btrfs /run/btrfs; truncate -s 1500m /srv/btrfs.img; mkfs.btrfs -q /srv/btrfs.img
mount -o loop /srv/btrfs.img /srv/btrfs; echo '{}' > /srv/btrfs.json
systemd-run --quiet --unit btrfs-engine --property Delegate=yes dockerd --data-root /srv/btrfs --exec-root /run/btrfs \\
  --pidfile /run/btrfs/pid -H unix:///run/btrfs/sock --config-file /srv/btrfs.json \\
  --storage-driver btrfs --bridge none --iptables=false"""
SOCKET = "unix:///run/btrfs/sock"


def test_an_engine_on_btrfs_limits_the_writable_layer_for_real(host):
    host.sh(ENGINE)
    try:
        host.wait(f"docker -H {SOCKET} version")
        host.sh(f"docker save disktest | docker -H {SOCKET} load")
        said = host.module("host_info", {"fleet": "fleet", "docker_host": SOCKET})["host"]["engine"]
        assert said["layer_limit"] == {"supported": True, "backing_fs": "btrfs", "reason": ""}
        wanted = {"name": "acme_web_0", "cluster": "acme", "group": "web", "index": 0, "image": "disktest",
                  "network": "none", "stop_timeout": 1, "command": ["/bin/sleep", "600"],
                  "storage_opt": {"size": "16m"}}
        arguments = {"docker_host": SOCKET, "instances": [wanted], "wait": False}
        made = host.module("containers", arguments)
        assert not made["failed"], made
        fill = f"docker -H {SOCKET} exec acme_web_0 dd if=/dev/zero of=/fill bs=1M count=64 conv=fsync"
        full = host.sh(f"{fill} 2>&1; true")
        assert "quota exceeded" in full, full
        assert not host.module("containers", arguments)["changed"]
        wanted["storage_opt"]["size"] = "100m"
        assert host.module("containers", arguments)["containers"][0]["action"] == "recreated"
        host.sh(fill)
    finally:
        host.sh(f"docker -H {SOCKET} ps -aq | xargs -r docker -H {SOCKET} rm -f; systemctl stop btrfs-engine; "
                "umount /srv/btrfs; rm -rf /srv/btrfs* /run/btrfs; true")
