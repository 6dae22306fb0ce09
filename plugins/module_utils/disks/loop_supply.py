# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host has loop devices for all volumes that are to be mounted, found out before the first change.

The kernel makes loop devices on demand, as many as its minor numbers name (2**20, shared out among partitions where
``loop.max_part`` is set); ``max_loop`` only says how many it starts with. What runs out first is what the host is given
of them: a container or a hardened host may neither have the nodes in /dev nor be allowed to make or open them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from . import kernel
from .errors import NoLoopDevices

_MINORS = 1 << 20
_CAP_MKNOD = 27


def most_loops(max_part):
    """Return how many loop devices a kernel can have; ``max_part`` is its module's parameter (drivers/block/loop.c)."""
    return _MINORS >> max_part.bit_length()


def ensure(needed, check_mode=False):
    """See that ``needed`` volumes can get a loop device each; make devices and nodes that lack, unless only checking.

    :raises NoLoopDevices: naming how many there are and why there are no more.
    """
    if not needed:
        return
    try:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    except OSError as exc:
        raise NoLoopDevices(f"{_volumes(needed)} to be mounted, and this host has no usable loop driver "
                            f"(/dev/loop-control: {exc.strerror}); nothing was changed") from exc
    try:
        _ensure(control, needed, check_mode)
    finally:
        os.close(control)


def _ensure(control, needed, check_mode):
    have, reason, known = 0, "", _known()
    for number in kernel.free_loops():
        if have >= needed:
            return
        problem = _problem(number, check_mode)
        have, reason = (have, problem) if problem else (have + 1, reason)
    limit, number = most_loops(_max_part()), -1
    while have < needed:
        number = next(candidate for candidate in range(number + 1, limit + 1) if candidate not in known)
        if number >= limit:
            reason = f"the kernel has {limit} at most"
        else:
            reason = _problem(number, check_mode) if check_mode else _add(control, number)
        if reason:
            raise NoLoopDevices(f"{_volumes(needed)} to be mounted, each through a loop device, and this host can "
                                f"have {have} more: {reason}. Nothing was changed; release volumes that nobody uses, "
                                "or give the host more loop devices")
        have += 1


def _volumes(count):
    return f"{count} volume{' is' if count == 1 else 's are'}"


def _known():
    return {int(entry.name[4:]) for entry in os.scandir("/sys/block") if entry.name[:4] == "loop"}


def _max_part():
    try:
        with open("/sys/module/loop/parameters/max_part", encoding="ascii") as handle:
            return int(handle.read())
    except (OSError, ValueError):
        return 0


def _add(control, number):
    """Have the kernel make one device; return why it can't be used, or ''."""
    try:
        fcntl.ioctl(control, kernel.LOOP_CTL_ADD, number)
    except OSError as exc:
        if exc.errno != errno.EEXIST:  # somebody else made it meanwhile
            return f"the kernel makes no further one ({exc.strerror})"
    return _problem(number, check_mode=False)


def _problem(number, check_mode):
    """Return why a free loop device can't be used here, or ''."""
    path = f"/dev/loop{number}"
    try:
        if check_mode and not os.path.exists(path):
            return _cant_make(path)
        os.close(os.open(kernel.loop_node(number), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as exc:
        if check_mode and exc.errno in (errno.ENXIO, errno.ENODEV) and stat.S_ISBLK(os.stat(path).st_mode):
            return ""  # the node of a device that the kernel would make
        return f"{path} can't be used ({exc.strerror})"
    return ""


def _cant_make(path):
    if not os.access(os.path.dirname(path), os.W_OK):
        return f"{path} does not exist and can't be made"
    with open("/proc/self/status", encoding="ascii", errors="replace") as handle:
        mask = next((int(line.split()[1], 16) for line in handle if line.startswith("CapEff:")), 0)
    return "" if mask >> _CAP_MKNOD & 1 else f"{path} does not exist, and root may make no device nodes here"
