# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device for the pool: taken when it may be, mounted at boot before anything needs it, and missed when it is away."""

from __future__ import annotations

import pytest

from .conftest import BIN, run

POOL = "/var/lib/stowage/device-pool"
BLOCKED = "/etc/systemd/system/var-lib-stowage-device\\\\x2dpool.mount"


UNIT = "/etc/systemd/system/stowage-volumes.service"
PLAYBOOK = (BIN / "ansible-playbook", "-i")


@pytest.fixture
def device_host(host):
    host.sh(f"cp {UNIT} /srv/unit")
    yield host
    host.sh("docker ps -aq | xargs -r docker rm -f")
    host.volume({"name": "acme_db_0", "state": "absent"}, pool=POOL)
    host.sh(f"systemctl disable --now $(basename {BLOCKED}); rm -f {BLOCKED}; for device in /srv/pool-device*; do "
            f"losetup -d $device; done; rm -rf /srv/pool-* {POOL}; mv /srv/unit {UNIT}; systemctl daemon-reload; true")


def test_a_device_is_taken_once_survives_reboots_and_is_missed_when_it_is_away(device_host):
    host = device_host
    first = run(*PLAYBOOK, host.inventory, "tests/integration/disks/device.yml", "-e", f"device_on={host.name}",
                timeout=300)
    assert "Format the device" in first.stdout
    # Still told to erase it: that is done once, and never to a pool.
    again = run(*PLAYBOOK, host.inventory, "tests/integration/disks/storage.yml", "--limit", host.name, "-e",
                f"storage_pool={POOL}", "-e", "storage_device=/srv/pool-device", "-e", "storage_device_content=erase",
                "-e", '{"storage_packages": [], "storage_device_options": ["noatime"]}')
    assert "changed=0" in again.stdout, again.stdout
    assert host.sh(f"cat {POOL}/kept") == "precious"
    assert not host.volume({"name": "acme_db_0", "size": "300m", "fs": "xfs"}, pool=POOL)["failed"]
    host.container("user", "acme_db_0", "echo precious > /data/file; sync /data/file; sleep 600", pool=POOL)
    host.wait(f"test -s {POOL}/mounts/acme_db_0/data/file")
    host.power_cut()
    host.wait("test $(docker ps -q | wc -l) = 1")
    assert host.sh("docker exec user cat /data/file") == "precious"
    assert host.sh(f"findmnt -no FSTYPE {POOL}") == "xfs"
    host.sh(f"systemctl stop docker.socket docker; umount {POOL}/mounts/acme_db_0 {POOL}; "
            "dd if=/dev/zero of=/srv/pool-device bs=4096 count=1 conv=notrunc status=none")
    host.power_cut()
    assert host.sh("docker ps -q") == ""
    missed = host.volume({"name": "acme_db_0", "size": "300m"}, pool=POOL)
    assert "lies on /srv/pool-device, which is not mounted" in missed["msg"]
    assert "is not mounted" in host.module("host_info", {"fleet": "fleet", "pool": POOL})["msg"]
