# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engines can limit a writable layer, and what is said of those that can't."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.engine.layer_limit import layer_limit

MOUNTS = """21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 8:2 / /var/lib/docker rw,noatime - xfs /dev/sdb1 rw,attr2,inode64{quota}
31 30 0:44 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
"""


def limit(driver, root="/var/lib/docker", quota=",noquota", status=()):
    told = {"Driver": driver, "DockerRootDir": root, "DriverStatus": [list(pair) for pair in status]}
    return layer_limit(told, MOUNTS.format(quota=quota))


@pytest.mark.parametrize("driver", ["btrfs", "zfs", "devicemapper"])
def test_drivers_with_quotas_of_their_own_can(driver):
    assert limit(driver) == {"supported": True, "backing_fs": "xfs", "reason": ""}


def test_overlay2_can_on_xfs_with_project_quotas_only():
    assert limit("overlay2", quota=",prjquota")["supported"]
    assert limit("overlay2")["reason"] == "its storage driver overlay2 lies on xfs that is mounted without pquota"
    elsewhere = limit("overlay2", root="/srv/docker", quota=",prjquota")
    why = "its storage driver overlay2 lies on ext4, and only xfs mounted with pquota limits it"
    assert elsewhere == {"supported": False, "backing_fs": "ext4", "reason": why}


def test_a_driver_that_knows_no_limit_is_named():
    assert limit("overlayfs")["reason"].startswith("its storage driver overlayfs knows no limit")


def test_what_the_engine_says_counts_where_the_mount_is_not_seen():
    told = {"Driver": "overlay2", "DockerRootDir": "/x", "DriverStatus": [["Backing Filesystem", "extfs"]]}
    assert layer_limit(told, "")["backing_fs"] == "extfs"
