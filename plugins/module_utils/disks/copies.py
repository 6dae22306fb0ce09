# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of disks: sparse, with a checksum over the content; snapshots inside the pool.

The checksum is over what the disk holds, not over how its file happens to be laid out: SHA-256 over the position and
the bytes of every block of 1 MiB that is not all zero. Two copies with different holes have the same one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import subprocess
import sys

from ..common.files import sync_folder, write_bytes
from ..common.sizes import human_size
from . import kernel, progress
from .errors import DiskError
from .pool import now
from .stream import data_ranges

CHUNK = 1 << 20
_PAGE = 4096
_ZERO_PAGE = bytes(_PAGE)
_ZERO_CHUNK = bytes(CHUNK)
# Thaws a file system as soon as whoever froze it closes the pipe, or dies: a frozen disk stops its container for good.
_WATCHDOG = """
import fcntl, os, sys
sys.stdin.buffer.read()
try:
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0xC0045878, 0)
except OSError:
    pass
"""


def chunks(descriptor):
    """Yield (offset, bytes) of every block of 1 MiB of a sparse file that is not all zero."""
    done = -1
    for start, end in data_ranges(descriptor):
        for index in range(max(start // CHUNK, done + 1), -(-end // CHUNK)):
            done = index
            data = os.pread(descriptor, CHUNK, index * CHUNK)
            if data != _ZERO_CHUNK[:len(data)]:
                yield index * CHUNK, data


def _count(digest, offset, data):
    digest.update(offset.to_bytes(8, "big"))
    digest.update(data.rstrip(b"\0"))  # the end of a file may fall into a block, a hole into its tail


def digest_of(path):
    """Return the checksum of a file's content (64 hex digits)."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as handle:
        for offset, data in chunks(handle.fileno()):
            _count(digest, offset, data)
    return digest.hexdigest()


def sparse_copy(source, target):
    """Copy a file with its holes to the new file ``target``, durably; return the checksum of what was read.

    Shares the blocks where the file system can (reflink); the checksum is that of the source then, too.
    """
    digest = hashlib.sha256()
    with open(source, "rb", buffering=0) as reader, open(target, "wb", buffering=0) as writer:
        os.fchmod(writer.fileno(), 0o600)
        shared = kernel.clone_range(reader.fileno(), writer.fileno())
        writer.truncate(os.fstat(reader.fileno()).st_size)
        for offset, data in chunks(reader.fileno()):
            _count(digest, offset, data)
            if not shared:
                _write_pages(writer.fileno(), offset, data)
            progress.count(len(data))
        os.fsync(writer.fileno())
    return digest.hexdigest()


def _write_pages(descriptor, offset, data):
    """Write runs of pages that are not zero; the others stay holes."""
    at, size = 0, len(data)
    while at < size:
        end = at
        while end < size and data[end:end + _PAGE] != _ZERO_PAGE[:size - end]:
            end += _PAGE
        if end > at:
            os.pwrite(descriptor, data[at:end], offset + at)
        at = end + _PAGE


def flush(path):
    """Make a file's content durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def frozen(mountpoint):
    """Hold a mounted file system still and consistent: writers wait, nobody gets an error.

    Whatever happens to this process, the file system thaws.
    """
    descriptor = os.open(mountpoint, os.O_RDONLY | os.O_CLOEXEC)
    # The watchdog runs beside this process, and outlives it and its process group.
    # pylint: disable-next=ansible-bad-function
    watchdog = subprocess.Popen([sys.executable, "-c", _WATCHDOG, mountpoint], stdin=subprocess.PIPE, close_fds=True,
                                start_new_session=True)
    try:
        fcntl.ioctl(descriptor, kernel.FIFREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(descriptor, kernel.FITHAW, 0)
    except OSError as exc:
        if exc.errno == errno.EBUSY:
            raise DiskError(f"{mountpoint} is frozen already: another snapshot or backup of it runs") from exc
        raise
    finally:
        os.close(descriptor)
        watchdog.stdin.close()
        watchdog.wait()


def consistent_copy(pool, name, target, mounted):
    """Copy a volume's image at one consistent moment; return its checksum.

    While it is mounted, its writers wait for the time of the copy (an instant where the pool can share blocks).
    """
    with frozen(pool.mountpoint(name)) if mounted else contextlib.nullcontext():
        return sparse_copy(pool.image(name), target)


def require_room(pool, needed, purpose):
    """Refuse a copy that would take space which other disks were promised.

    :param needed: bytes that the copy takes up.
    """
    status = os.statvfs(pool.path)
    free = status.f_bavail * status.f_frsize
    records, _broken = pool.read_records()
    owed = 0
    for name, record in records.items():
        with contextlib.suppress(FileNotFoundError):
            owed += max(0, record["size"] - os.stat(pool.image(name)).st_blocks * 512)
    if needed > free - owed:
        raise DiskError(f"{purpose} needs {human_size(needed)}; the pool has {human_size(free)} free, of which "
                        f"{human_size(owed)} are promised to disks; nothing was changed")


# snapshots


def snapshot_path(pool, name, snapshot):
    """The image of a snapshot."""
    return os.path.join(pool.snapshots, f"{name}@{snapshot}.img")


def list_snapshots(pool, name=None):
    """Return {volume: [{name, created_at, size, bytes, sha256}]}, oldest first; of one volume if named.

    ``size`` is that of the disk, ``bytes`` what the snapshot takes up.
    """
    found = {}
    try:
        entries = sorted(os.listdir(pool.snapshots))
    except FileNotFoundError:
        return found
    for entry in entries:
        volume, at, rest = entry.partition("@")
        if not at or not rest.endswith(".img") or entry.startswith(".") or name not in (None, volume):
            continue
        described = _describe(os.path.join(pool.snapshots, entry))
        found.setdefault(volume, []).append({"name": rest[:-4], **described})
    for snapshots in found.values():
        snapshots.sort(key=lambda snapshot: (snapshot["created_at"] or "", snapshot["name"]))
    return found


def _describe(path):
    status = os.stat(path)
    described = {"created_at": None, "sha256": None, "size": status.st_size, "bytes": status.st_blocks * 512}
    try:
        with open(path[:-4] + ".json", encoding="utf-8") as handle:
            kept = json.load(handle)
        described.update({key: kept.get(key) for key in ("created_at", "sha256")})
    except (OSError, ValueError):
        pass
    return described


def take_snapshot(pool, name, snapshot, mounted):
    """Take a snapshot of a volume; it exists completely or not at all."""
    path = snapshot_path(pool, name, snapshot)
    working = os.path.join(pool.snapshots, f".new-{name}@{snapshot}.img")
    require_room(pool, os.stat(pool.image(name)).st_blocks * 512, f"volume {name}: its snapshot {snapshot}")
    try:
        checksum = consistent_copy(pool, name, working, mounted)
        kept = {"created_at": now(), "sha256": checksum}
        write_bytes(path[:-4] + ".json", json.dumps(kept).encode() + b"\n")
        os.rename(working, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(working)
    sync_folder(pool.snapshots)


def roll_back(pool, name, snapshot):
    """Put a snapshot in the place of a volume's unmounted image, in one step, after checking it.

    :raises DiskError: when the snapshot is not there or not what was kept; the volume is as it was then.
    """
    path = snapshot_path(pool, name, snapshot)
    if not os.path.exists(path):
        have = ", ".join(kept["name"] for kept in list_snapshots(pool, name).get(name, [])) or "none"
        raise DiskError(f"volume {name}: there is no snapshot {snapshot}; there are: {have}")
    replace_image(pool, name, path, _describe(path)["sha256"], f"snapshot {snapshot}")


def replace_image(pool, name, source, checksum, what):
    """Put a checked copy of ``source`` in the place of a volume's unmounted image."""
    working = pool.working_image(name)
    require_room(pool, os.stat(source).st_blocks * 512, f"volume {name}: going back to its {what}")
    try:
        found = sparse_copy(source, working)
        if checksum is not None and found != checksum:
            raise DiskError(f"volume {name}: its {what} is damaged (checksum {found[:16]}, kept {checksum[:16]}); "
                            "the volume is as it was")
        os.rename(working, pool.image(name))
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(working)
    sync_folder(pool.images)


def remove_snapshot(pool, name, snapshot):
    """Remove a snapshot, if it is there."""
    path = snapshot_path(pool, name, snapshot)
    for doomed in (path, path[:-4] + ".json"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(doomed)


def remove_snapshots(pool, name):
    """Remove all snapshots and ways back of a volume that goes away for good."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.listdir(pool.snapshots):
            if entry.lstrip(".").startswith((f"{name}@", f"new-{name}@", f"move-{name}@")):
                os.unlink(os.path.join(pool.snapshots, entry))
