# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strays: what lies about in a pool although no volume accounts for it, and its mending.

Mending never deletes data: an image without a record is kept and becomes a released volume, which the usual
rules (taken up again, or deleted after its time) apply to. Only what was never handed over, or whose deletion had
begun, is removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil

from . import filesystems, kernel
from .decide import Wanted
from .errors import DiskError
from .pool import ATTACHED, INCOMING, NAME, RELEASED, age_days, empty_record, now


class Stray:
    """One stray: its kind, what it is, a sentence, and whether it was mended."""

    def __init__(self, kind, what, msg, mend=None):
        """Keep it; ``mend`` is a function without arguments, None where a person has to decide."""
        self.kind = kind
        self.what = what
        self.msg = msg
        self.mended = False
        self._mend = mend

    @property
    def mendable(self):
        """Whether it can be mended without asking."""
        return self._mend is not None

    def mend(self):
        """Mend it; a failure is said in ``msg``."""
        try:
            self._mend()
            self.mended = True
        except (OSError, DiskError) as exc:
            self.msg += f"; it could not be mended: {exc}"

    def to_dict(self):
        """Return it as plain data."""
        return {"kind": self.kind, "what": self.what, "msg": self.msg, "mended": self.mended}


def find_strays(pool, sight, records, broken, fleet):
    """Return the strays of a pool.

    :param records: {name: record}; ``broken`` {name: sentence} are records that can't be read.
    :param fleet: the fleet that images without a record are given to.
    """
    found = [Stray("record", pool.record(name), text) for name, text in broken.items()]
    found += _mounts(pool, sight, records)
    found += _images(pool, sight, records, broken, fleet)
    found += _loops(pool, sight, records)
    found += _mountpoints(pool, sight, records)
    found += _working_files(pool)
    return found


def _listing(folder):
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _unlinker(*paths):
    def unlink():
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                if os.path.isdir(path):
                    shutil.rmtree(path)
                else:
                    os.unlink(path)
    return unlink


def _mounts(pool, sight, records):
    """Mounts of volumes that are released or unknown, and second mounts on top of the first."""
    for target, stack in sight.mounts.items():
        name = os.path.relpath(target, pool.mounts)
        record = records.get(name)
        if record is None or record["state"] != ATTACHED:
            why = f"is {record['state']}" if record else "is not known"
            yield Stray("mount", target, f"{target} is mounted, but its volume {why}",
                        lambda target=target: kernel.unmount(target))
        for extra in stack[1:]:
            yield Stray("mount", target, f"{target} is mounted more than once ({extra.source})",
                        lambda target=target: kernel.unmount(target))


def _images(pool, sight, records, broken, fleet):
    """Files among the images: left behind by an interrupted run, without a record, or foreign."""
    for entry in _listing(pool.images):
        path = os.path.join(pool.images, entry)
        if entry.startswith(".gone-"):
            name = entry[len(".gone-"):-len(".img")]
            yield Stray("image", path, f"{path}: the deletion of volume {name} was interrupted",
                        _finish_deletion(pool, name, records.get(name), path))
        elif entry.startswith(".new-"):
            name = entry[len(".new-"):-len(".img")]
            if not (name in records and sight.see(name, records[name]).half_made):
                yield Stray("image", path, f"{path}: making it was interrupted; it was never used", _unlinker(path))
        elif entry.startswith(".move-"):
            if (records.get(entry[len(".move-"):-len(".img")]) or {}).get("state") != INCOMING:
                yield Stray("image", path, f"{path}: a move to this host was given up", _unlinker(path))
        elif entry.endswith(".img") and NAME.fullmatch(entry[:-4]):
            if entry[:-4] not in records and entry[:-4] not in broken:
                yield Stray("image", path, f"{path} has no record; it is kept as a released volume",
                            lambda name=entry[:-4]: _adopt(pool, name, fleet))
        else:
            yield Stray("file", path, f"{path} is none of ours; it was left untouched")
    for name, record in records.items():
        places = (pool.image(name), pool.working_image(name), pool.doomed_image(name))
        if record["state"] != INCOMING and not any(os.path.exists(path) for path in places):
            yield Stray("record", pool.record(name), f"volume {name} ({record['state']}): its image "
                        f"{pool.image(name)} is gone; restore it from a backup, or give it up with state: absent")


def _finish_deletion(pool, name, record, path):
    def finish():
        # The volume may have been made anew since; its record is then that of the new one.
        if record is not None and not os.path.exists(pool.image(name)):
            pool.remove_record(name)
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(pool.mountpoint(name))
        _unlinker(path)()
    return finish


def _adopt(pool, name, fleet):
    image = pool.image(name)
    kind = filesystems.guess(image)
    if kind is None:
        raise DiskError(f"{image} holds no file system that is known; it was left untouched")
    pool.write_record({**empty_record(name), "fs": kind, "uuid": filesystems.identify(image, kind).uuid,
                       "size": os.stat(image).st_size, "created_at": now(), "state": RELEASED, "released_at": now(),
                       "fleet": fleet})


def _loops(pool, sight, records):
    """Loop devices on images of this pool that nobody has mounted, or whose image is gone."""
    mounted = {mount.device for stack in sight.mounts.values() for mount in stack}
    own = {}
    for entry in _listing(pool.images):
        with contextlib.suppress(FileNotFoundError):
            own[kernel.file_identity(os.path.join(pool.images, entry))] = entry
    for backing, loops in sight.loops.items():
        for loop in loops:
            if (kernel.LOOP_MAJOR, loop.number) in mounted:
                continue
            shown = kernel.backing_path(loop.number)
            if backing in own or (_is_deleted_image(pool, shown) and _same_device(pool, backing)):
                yield Stray("loop", loop.path, f"{loop.path} holds {shown}, which is not mounted here",
                            lambda number=loop.number: kernel.detach_loop(number))


def _is_deleted_image(pool, shown):
    return shown.endswith(" (deleted)") and os.path.dirname(shown) == pool.images


def _same_device(pool, backing):
    status = os.stat(pool.images)
    return (os.major(status.st_dev), os.minor(status.st_dev)) == backing[:2]


def _mountpoints(pool, sight, records):
    """Empty mount points that belong to no volume, or to a released one."""
    for entry in _listing(pool.mounts):
        path = pool.mountpoint(entry)
        if path in sight.mounts or (entry in records and records[entry]["state"] == ATTACHED):
            continue
        yield Stray("mountpoint", path, f"{path} is a mount point without a volume", lambda path=path: os.rmdir(path))


def _working_files(pool):
    """Files of snapshots, records and templates that an interrupted run left under their working names."""
    for folder, is_working in ((pool.snapshots, lambda name: name.startswith(".new-") or name.endswith(".new")),
                               (pool.records, lambda name: name.endswith(".new")),
                               (pool.templates, lambda name: name.startswith(".scratch-") or name.endswith(".new"))):
        for entry in _listing(folder):
            if is_working(entry):
                path = os.path.join(folder, entry)
                yield Stray("file", path, f"{path}: writing it was interrupted", _unlinker(path))


def overdue(records, keep_days, fleet):
    """Return Wanted for the released volumes of a fleet that have been kept long enough (days)."""
    return [Wanted(name, "absent", fleet=fleet) for name, record in sorted(records.items())
            if record["state"] == RELEASED and record["fleet"] == fleet
            and age_days(record["released_at"]) >= keep_days]
