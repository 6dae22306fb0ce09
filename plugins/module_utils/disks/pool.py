# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bookkeeping of a pool: where things lie, one record per volume, the pool's lock, what it may promise.

Everything is written beside its place, flushed and renamed, so that a crash leaves the old or the new, never a torn
one. A record is written *before* its image gets its final name: an image without a record, or a record whose image
still has its working name, says exactly where an interrupted run stopped.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re

from ..common.files import write_bytes
from ..common.sizes import human_size
from ..host.lock import hold
from .errors import DiskError, PoolFull

DEFAULT_POOL = "/var/lib/stowage/pool"
RECORD_VERSION = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,126}")
SNAPSHOT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
ATTACHED = "attached"
RELEASED = "released"
# On the way from one host to another (see ``moves``): the good copy at the old place, the one that grows at the new
# place, and the outdated one at the old place after that.
LEAVING = "leaving"
INCOMING = "incoming"
MOVED = "moved"
# The folder inside each file system that is handed to the container. It exists nowhere else, so an engine that is
# told to bind it can't start a container on the empty mount point of a disk that failed to mount.
DATA = "data"
# Lies in the folder that a pool's own device is mounted over, with the device's name in it.
NOT_MOUNTED = ".device-not-mounted"
_FOLDERS = ("images", "mounts", "records", "templates", "snapshots")


def now():
    """Return the moment in UTC as text, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def age_days(moment, today=None):
    """Return how many days ago a moment (as ``now`` writes it) was, as a float; 0 when it can't be read."""
    try:
        then = datetime.datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    except (TypeError, ValueError):
        return 0.0
    today = today or datetime.datetime.now(datetime.timezone.utc)
    return (today - then).total_seconds() / 86400


def empty_record(name):
    """Return a record with every key and no content."""
    return {"version": RECORD_VERSION, "name": name, "instance": name, "fleet": "fleet", "path": None, "size": 0,
            "fs": "ext4", "uuid": None, "state": ATTACHED, "created_at": None, "released_at": None,
            "owner": None, "group": None, "mode": None, "options": [],
            # Counts the hosts that the disk has been on: of two copies the one with the higher number is good.
            "generation": 1, "peer": None, "move": None}


class Pool:
    """The folder with the images of one host, and where everything of a volume lies in it."""

    def __init__(self, path=DEFAULT_POOL):
        self.path = os.path.realpath(path)
        for folder in _FOLDERS:
            setattr(self, folder, os.path.join(self.path, folder))

    def prepare(self):
        """Make the folders. Mode 0700: the content of disks is nobody's business but root's and the engine's."""
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        for folder in _FOLDERS:
            os.makedirs(os.path.join(self.path, folder), mode=0o700, exist_ok=True)

    def require_device(self):
        """Raise DiskError when the pool's own device is not mounted: what is seen is an empty folder, not the pool.

        The role ``storage`` leaves the mark in the folder that the device hides.
        """
        try:
            with open(os.path.join(self.path, NOT_MOUNTED), encoding="utf-8") as handle:
                device = handle.read().strip()
        except FileNotFoundError:
            return
        raise DiskError(f"the pool {self.path} lies on {device}, which is not mounted; its disks are not seen, and no "
                        "new ones are made in their place. Mount it first; nothing was changed")

    @property
    def exists(self):
        """Whether the pool was ever used."""
        return os.path.isdir(self.records)

    def image(self, name):
        """The image of a volume."""
        return os.path.join(self.images, f"{name}.img")

    def working_image(self, name):
        """The image of a volume while it is made."""
        return os.path.join(self.images, f".new-{name}.img")

    def incoming_image(self, name):
        """The image of a volume while it comes from another host."""
        return os.path.join(self.images, f".move-{name}.img")

    def doomed_image(self, name):
        """The image of a volume whose deletion has begun."""
        return os.path.join(self.images, f".gone-{name}.img")

    def mountpoint(self, name):
        """Where a volume is mounted on the host."""
        return os.path.join(self.mounts, name)

    def data(self, name):
        """The folder that the container gets: bind this one, never the mount point itself."""
        return os.path.join(self.mounts, name, DATA)

    def record(self, name):
        """The record of a volume."""
        return os.path.join(self.records, f"{name}.json")

    def read_record(self, name):
        """Return the record of a volume, or None; DiskError when it can't be read."""
        try:
            with open(self.record(name), encoding="utf-8") as handle:
                found = json.load(handle)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise DiskError(f"volume {name}: its record {self.record(name)} can't be read ({exc}); "
                            "nothing was changed") from exc
        if not isinstance(found, dict) or found.get("version") != RECORD_VERSION:
            raise DiskError(f"volume {name}: its record {self.record(name)} is of another version; nothing was changed")
        return {**empty_record(name), **found}

    def read_records(self):
        """Return ({name: record}, {name: sentence}): all that can be read, and what is wrong with the others."""
        found, broken = {}, {}
        try:
            names = sorted(entry[:-5] for entry in os.listdir(self.records) if entry.endswith(".json"))
        except FileNotFoundError:
            names = []
        for name in names:
            try:
                found[name] = self.read_record(name)
            except DiskError as exc:
                broken[name] = exc.message
        return found, broken

    def write_record(self, record):
        """Write a record durably."""
        data = json.dumps(record, sort_keys=True, indent=1).encode() + b"\n"
        write_bytes(self.record(record["name"]), data)

    def remove_record(self, name):
        """Forget a volume."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.record(name))

    def lock(self, timeout=60.0):
        """Hold the pool, one writer at a time, for at most ``timeout`` seconds in vain: see ``lock.hold``."""
        return hold(os.path.join(self.path, ".lock"), f"The pool {self.path}", "another run", timeout)


class Budget:
    """What a pool may promise, in bytes.

    :param size: of the pool, 0 for the size of the file system that it lies on.
    :param reserve: what is left to the host.
    :param thin_ratio: how many bytes may be promised for each byte there is; 1 promises only what is there.
    :param warn_percent: of the pool; from this much *used* a warning is given.
    """

    def __init__(self, pool, size=0, reserve=0, thin_ratio=1.0, warn_percent=90):
        status = os.statvfs(pool.path if os.path.isdir(pool.path) else _existing_parent(pool.path))
        self.whole = size or status.f_blocks * status.f_frsize
        self.free = status.f_bavail * status.f_frsize
        self.used_percent = 100.0 * (1 - status.f_bavail / status.f_blocks) if status.f_blocks else 0.0
        self.reserve = reserve
        self.thin_ratio = thin_ratio
        self.warn_percent = warn_percent
        self.allowed = max(0, int((self.whole - reserve) * thin_ratio))

    def check(self, promised_before, promised_after):
        """Refuse (PoolFull) a change that promises more than allowed; what is already promised may stay."""
        if promised_after <= self.allowed or promised_after <= promised_before:
            return
        ratio = f" times {self.thin_ratio:g} (thin_ratio)" if self.thin_ratio != 1 else ""
        raise PoolFull(f"the disks asked for need {human_size(promised_after)} of this host's pool, but it may promise "
                       f"{human_size(self.allowed)}: {human_size(self.whole)} less {human_size(self.reserve)} in "
                       f"reserve{ratio}; {human_size(promised_before)} are promised already, released disks included; "
                       "nothing was changed")

    def warnings(self, promised, allocated):
        """Return sentences about a pool that runs full.

        :param promised: the sum of all sizes.
        :param allocated: what the images take up on the pool by now.
        """
        found = []
        if self.used_percent >= self.warn_percent:
            found.append(f"the file system of the pool is {self.used_percent:.0f}% full (warning level "
                         f"{self.warn_percent:g}%); {human_size(self.free)} are left")
        if self.thin_ratio <= 1 and promised - allocated > self.free:
            found.append(f"the pool has promised {human_size(promised - allocated)} that its disks have not used yet, "
                         f"but only {human_size(self.free)} are free: something else fills its file system")
        return found


def _existing_parent(path):
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path
