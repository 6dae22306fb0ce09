# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a file system that exists: recognise, check, repair, grow, shrink.

Rules of thumb that keep data safe: an image is only ever checked or repaired while nothing has it mounted; what the
file system's own checker calls safe (``e2fsck -p``) is done without asking; anything beyond that is done only when
asked for (``repair: force``), after a way back has been kept.
"""

from __future__ import annotations

import errno
import os
import struct
import uuid as uuid_module

from . import ext4
from .errors import DamagedVolume, DiskError
from .mkfs import run_tool

# What mount(2) answers when a file system is not what it should be, rather than the request.
DAMAGE_ERRNOS = {errno.EINVAL, errno.EUCLEAN, errno.EIO, errno.EBADMSG, errno.ENXIO, errno.ENODATA, errno.EROFS}
_CAP_SYS_RESOURCE = 24


class Identity:
    """What an image says of itself: UUID, size of its file system in bytes, and whether it knows of errors."""

    __slots__ = ("errors", "size", "uuid")

    def __init__(self, uuid, size, errors=False):
        self.uuid = uuid
        self.size = size
        self.errors = errors


def identify(image, filesystem):
    """Return the Identity of an image, or None when its first blocks hold no such file system."""
    if filesystem == "ext4":
        found = ext4.read(image)
        if found is None or not found.sound:
            return None
        return Identity(found.uuid, found.size, found.errors)
    with open(image, "rb", buffering=0) as handle:
        raw = handle.read(512)
    if raw[:4] != b"XFSB":
        return None
    # fs/xfs/libxfs/xfs_format.h, struct xfs_dsb: big-endian block size, number of blocks, ..., UUID at 32.
    block, blocks = struct.unpack_from(">IQ", raw, 4)
    return Identity(str(uuid_module.UUID(bytes=raw[32:48])), block * blocks)


def guess(image):
    """Return the kind of file system in an image ('ext4', 'xfs'), or None."""
    return next((kind for kind in ("ext4", "xfs") if identify(image, kind)), None)


def check(image, filesystem, name):
    """Check an unmounted image and repair what is safe to repair; return what was done, '' for nothing.

    :raises DamagedVolume: when it is damaged beyond that. Nothing more was changed then.
    """
    if filesystem == "xfs":
        done = run_tool(["xfs_repair", "-n", "-f", image], "xfsprogs")
        if done.returncode == 0:
            return ""
        raise DamagedVolume(_damaged(name, image, done.stdout))
    done = run_tool(["e2fsck", "-f", "-p", image], "e2fsprogs")
    if done.returncode & ~3 == 0:
        return "its file system was checked and repaired" if done.returncode & 1 else ""
    raise DamagedVolume(_damaged(name, image, done.stdout))


def _damaged(name, image, words):
    words = " ".join(words.replace(image, "").split())[:300]
    return (f"volume {name}: its file system is damaged and can't be repaired without losing something ({words}); "
            f"it stays unmounted. Restore it from a snapshot or a backup, or let the checker decide with repair: force "
            f"(image: {image})")


def repair(image, filesystem, name, undo):
    """Repair an unmounted image at any price, keeping a way back at ``undo``; return what was done.

    ext4: every block that e2fsck changes is kept in an undo file (``e2undo UNDO IMAGE`` reverts it). xfs: the caller
    keeps a copy of the image, since xfs_repair has no way back.
    """
    if filesystem == "xfs":
        done = run_tool(["xfs_repair", "-f", "-L", image], "xfsprogs")
        good = done.returncode == 0
    else:
        # With an undo file e2fsck doesn't look for another superblock by itself: the first one is in the second group.
        other = [] if identify(image, filesystem) else ["-b", "32768", "-B", "4096"]
        done = run_tool(["e2fsck", "-f", "-y", *other, "-z", undo, image], "e2fsprogs")
        good = done.returncode & ~3 == 0
    if not good or identify(image, filesystem) is None:
        raise DamagedVolume(f"volume {name}: its file system could not be repaired: "
                            f"{' '.join(done.stdout.split())[-300:]}; restore it from a snapshot or a backup")
    return f"its file system was repaired by force; {undo} leads back"


def can_grow_mounted(filesystem):
    """Say whether this process may grow a mounted file system (ext4 asks for CAP_SYS_RESOURCE, xfs does not)."""
    if filesystem != "ext4":
        return True
    with open("/proc/self/status", encoding="ascii", errors="replace") as handle:
        for line in handle:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)
    return False


def grow_mounted(device, mountpoint, filesystem, name):
    """Let a mounted file system fill its device."""
    if filesystem == "xfs":
        done = run_tool(["xfs_growfs", mountpoint], "xfsprogs")
    else:
        done = run_tool(["resize2fs", device], "e2fsprogs")
    if done.returncode:
        raise DiskError(f"volume {name}: it could not grow while mounted: {' '.join(done.stdout.split())[-300:]}; "
                        "its data is untouched, and the next run tries again")


def resize_image(image, size, name):
    """Resize the ext4 in an unmounted image to ``size`` bytes; the file itself is left as long as it is."""
    check(image, "ext4", name)
    done = run_tool(["resize2fs", image, f"{size // 4096}"], "e2fsprogs")
    if done.returncode:
        raise DiskError(f"volume {name}: its file system can't be made {size} bytes: "
                        f"{' '.join(done.stdout.split())[-300:]}")


def data_size(image):
    """Return what an image takes up on the pool, in bytes; 0 when there is none."""
    try:
        return os.stat(image).st_blocks * 512
    except FileNotFoundError:
        return 0
