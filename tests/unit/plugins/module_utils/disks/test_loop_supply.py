# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said when a kernel or a host has no further loop devices."""

from __future__ import annotations

import errno
import os

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.disks import kernel, loop_supply
from ansible_collections.stowage.fleet.plugins.module_utils.disks.errors import NoLoopDevices


@pytest.fixture
def host(monkeypatch):
    """A host whose kernel has loop0 to loop3, of which two are free, and makes no more than it is told."""
    state = {"known": {0, 1, 2, 3}, "free": [1, 3], "usable": set(range(99)), "refuse": None}

    def add(_control, request, number):
        assert request == kernel.LOOP_CTL_ADD
        if state["refuse"]:
            raise OSError(state["refuse"], os.strerror(state["refuse"]))
        state["known"].add(number)

    def problem(number, check_mode=False):
        return "" if number in state["usable"] else f"/dev/loop{number} can't be used (Read-only file system)"

    monkeypatch.setattr(loop_supply.os, "open", lambda *_arguments: os.dup(0))
    monkeypatch.setattr(loop_supply.fcntl, "ioctl", add)
    monkeypatch.setattr(loop_supply.kernel, "free_loops", lambda: state["free"])
    monkeypatch.setattr(loop_supply, "_known", lambda: set(state["known"]))
    monkeypatch.setattr(loop_supply, "_problem", problem)
    monkeypatch.setattr(loop_supply, "_max_part", lambda: state.get("max_part", 0))
    return state


def test_free_devices_are_enough(host):
    host["refuse"] = errno.ENOMEM
    loop_supply.ensure(2)


def test_lacking_devices_are_made_and_only_those(host):
    loop_supply.ensure(5)
    assert host["known"] == {0, 1, 2, 3, 4, 5, 6}


def test_check_mode_makes_none(host):
    loop_supply.ensure(5, check_mode=True)
    assert host["known"] == {0, 1, 2, 3}


def test_a_kernel_that_makes_no_more_is_named_with_how_many_there_are(host):
    host["refuse"] = errno.ENOSPC
    with pytest.raises(NoLoopDevices) as caught:
        loop_supply.ensure(3)
    assert "3 volumes are to be mounted" in caught.value.message
    assert "can have 2 more: the kernel makes no further one (No space left on device). Nothing was changed" in (
        caught.value.message
    )


@pytest.mark.parametrize("check_mode", [True, False])
def test_nodes_that_cant_be_had_are_named(host, check_mode):
    host["usable"] = {1}
    with pytest.raises(NoLoopDevices, match=r"can have 1 more: /dev/loop4 can't be used \(Read-only file system\)"):
        loop_supply.ensure(2, check_mode)


def test_the_kernels_own_limit_is_told_before_it_is_met(host):
    host.update(max_part=262143, known={0, 1, 2}, free=[1])  # 2**20 minors, 2**18 for each device
    assert loop_supply.most_loops(262143) == 4
    with pytest.raises(NoLoopDevices, match="can have 2 more: the kernel has 4 at most"):
        loop_supply.ensure(3, check_mode=True)
    assert loop_supply.most_loops(0) == 1 << 20
    assert loop_supply.most_loops(8) == 1 << 16


def test_a_host_without_a_loop_driver_is_told_so(monkeypatch):
    def missing(*_arguments):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(loop_supply.os, "open", missing)
    with pytest.raises(NoLoopDevices, match="1 volume is to be mounted, and this host has no usable loop driver"):
        loop_supply.ensure(1)
    loop_supply.ensure(0)
