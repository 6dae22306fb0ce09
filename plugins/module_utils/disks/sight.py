# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel shows of a pool: which images are bound to loop devices, and what is mounted where."""

from __future__ import annotations

import errno
import os

from ..host.mounts import mounts_below
from . import filesystems, kernel
from .decide import Seen
from .errors import DiskError

_STOPPED = {"emergency_ro": "an error stopped writing to it", "shutdown": "it was shut down after an error"}


class Sight:
    """One look at the loop devices and mounts; taken once per run, for all volumes."""

    def __init__(self, pool, loops, mounts):
        """Sort what was found by what is asked for: backing file, and mount point."""
        self.pool = pool
        self.loops = {}
        for loop in loops:
            self.loops.setdefault(loop.backing, []).append(loop)
        self.mounts = {}
        for mount in mounts:
            self.mounts.setdefault(mount.target, []).append(mount)

    @classmethod
    def look(cls, pool):
        """Look now."""
        return cls(pool, kernel.bound_loops(), mounts_below(pool.mounts))

    def loops_of(self, image):
        """Return the loop devices bound to an image."""
        try:
            return self.loops.get(kernel.file_identity(image), [])
        except FileNotFoundError:
            return []

    def still_bound(self, loop):
        """Say whether a loop device is still bound to the file it was seen with."""
        now = kernel.loop_status(loop.number)
        return now is not None and now.backing == loop.backing

    def forget_free(self, image):
        """Forget those loop devices of one image that are free by now."""
        identity = kernel.file_identity(image)
        self.loops[identity] = [loop for loop in self.loops.get(identity, []) if self.still_bound(loop)]

    def look_again(self, image):
        """Look once more at the loop devices of one image, after it was mounted."""
        identity = kernel.file_identity(image)
        self.loops[identity] = [loop for loop in kernel.bound_loops() if loop.backing == identity]

    def mount_of(self, name):
        """Return the Mount of a volume, or None; DiskError when something else is mounted in its place."""
        target = self.pool.mountpoint(name)
        stack = self.mounts.get(target)
        if not stack:
            return None
        own = {(kernel.LOOP_MAJOR, loop.number) for image in (self.pool.image(name), self.pool.working_image(name))
               for loop in self.loops_of(image)}
        if stack[-1].device not in own and _is_deleted(stack[-1].device):
            raise DiskError(f"volume {name}: its image was deleted while it is mounted. Its data lives on only as long "
                            f"as nobody unmounts it: copy it out of {target} before its container stops")
        if stack[-1].device not in own:
            raise DiskError(f"volume {name}: {stack[-1].source} is mounted on {target}, which is not its image; "
                            "unmount it")
        return stack[-1]

    def see(self, name, record):
        """Return what is there of one volume as Seen."""
        image = self.pool.image(name)
        mount = self.mount_of(name)
        return Seen(record, _size(image), _is_half_made(self.pool, name, record), mount is not None,
                    (stopped_because(mount) or _refuses(self.pool.data(name))) if mount else "")


def stopped_because(mount):
    """Return why a mounted file system takes no writes although nobody asked for that, or ''."""
    for option, reason in _STOPPED.items():
        if option in mount.super_options:
            return reason
    if "ro" in mount.super_options and "ro" not in mount.options:
        return "it went read-only after an error"
    return ""


def _refuses(path):
    """Return why a mounted file system answers nothing any more, or '': xfs says so in no option."""
    try:
        os.stat(path)
    except OSError as exc:
        if exc.errno in (errno.EIO, errno.EUCLEAN):
            return f"an error shut it down ({exc.strerror})"
    return ""


def _is_deleted(device):
    return device[0] == kernel.LOOP_MAJOR and kernel.backing_path(device[1]).endswith(" (deleted)")


def _size(image):
    try:
        return os.stat(image).st_size
    except FileNotFoundError:
        return None


def _is_half_made(pool, name, record):
    """Say whether an interrupted creation left its image behind, complete but for its name."""
    if record is None or os.path.exists(pool.image(name)):
        return False
    try:
        identity = filesystems.identify(pool.working_image(name), record["fs"])
    except FileNotFoundError:
        return False
    return identity is not None and identity.uuid == record["uuid"]
