# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out what ``decide`` says, for one volume at a time.

Each action leaves the volume in a state from which the next run goes on, wherever it is interrupted:

- create: image under its working name (flushed) → record → final name. Before the record nothing counts, after it the
  next run only has to rename.
- grow: image → loop device → file system → record. All are repeated harmlessly until the record says it is done.
- shrink: on a copy, checked, and renamed over the original.
- delete: image renamed to a doomed name → record removed → image removed.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
import time

from ..common.files import sync_folder
from . import archive, copies, filesystems, kernel, progress
from .errors import DamagedVolume, DiskError, VolumeBusy
from .pool import ATTACHED, RELEASED, empty_record, now

DEFAULT_OPTIONS = ["noatime", "nodev", "nosuid"]
REPAIR_MODES = ("none", "safe", "force")


class Volume:
    """One volume, what is wanted of it, and the hands that get it there.

    :param pool: the Pool; its lock is held.
    :param sight: the Sight of this run.
    :param maker: the Maker of new images.
    :param repair: ``none`` (name damage), ``safe`` (what the checker calls safe) or ``force``.
    """

    def __init__(self, pool, sight, maker, wanted, record, repair="safe"):
        """Keep everything; nothing is touched yet."""
        self.pool = pool
        self.sight = sight
        self.maker = maker
        self.wanted = wanted
        self.name = wanted.name
        self.record = record
        self.repair_mode = repair
        self.words = []

    def perform(self, action):
        """Carry out one action by its name."""
        getattr(self, f"_do_{action}")()

    # what brings it into being

    def _do_create(self):
        working = self.pool.working_image(self.name)
        record = {**empty_record(self.name), "created_at": now(), "fs": self.wanted.fs or "ext4",
                  "size": self.wanted.size, "fleet": self.wanted.fleet, "options": DEFAULT_OPTIONS}
        self._note_into(record)
        descriptor = os.open(working, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            record["uuid"] = self.maker.make(descriptor, working, self.name, record["size"], record["fs"])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._keep(record)
        self._do_finish()

    def _do_finish(self):
        os.rename(self.pool.working_image(self.name), self.pool.image(self.name))
        sync_folder(self.pool.images)

    def _do_adopt(self):
        """Take up an image that has no record: its record was lost, or it was put there by hand."""
        image = self.pool.image(self.name)
        kind = filesystems.guess(image)
        if kind is None:
            raise DiskError(f"volume {self.name}: {image} holds no file system that is known, and there is no record "
                            "of it; it was left untouched")
        record = {**empty_record(self.name), "created_at": now(), "fs": kind, "size": os.stat(image).st_size,
                  "uuid": filesystems.identify(image, kind).uuid, "fleet": self.wanted.fleet,
                  "options": DEFAULT_OPTIONS}
        self._note_into(record)
        self._keep(record)
        self.words.append("an image without a record was taken up")

    def _do_reattach(self):
        self._keep({**self.record, "state": ATTACHED, "released_at": None})

    # mounting

    def _do_mount(self):
        """Mount it, checking first when it is marked faulty and afterwards when the kernel refuses it."""
        target = self.pool.mountpoint(self.name)
        os.makedirs(target, mode=0o700, exist_ok=True)
        if os.listdir(target):
            raise DiskError(f"volume {self.name}: its mount point {target} is not empty although nothing is mounted: "
                            "something wrote there. Move that away; nothing was changed")
        self._recognise()
        try:
            self._mount_at(target)
        except OSError as exc:
            if exc.errno not in filesystems.DAMAGE_ERRNOS:
                raise DiskError(f"volume {self.name}: it can't be mounted: {exc.strerror}") from exc
            self._mend(f"the kernel refuses to mount it ({exc.strerror})")
            self._mount_again(target)
        self._hand_over()

    def _recognise(self):
        """Make sure that the image is the file system that was recorded, and mend it if it is marked faulty."""
        image = self.pool.image(self.name)
        identity = filesystems.identify(image, self.record["fs"])
        if identity is None:
            self._mend("its superblock is damaged")
            identity = filesystems.identify(image, self.record["fs"])
        if identity is None or identity.uuid != self.record["uuid"]:
            raise DiskError(f"volume {self.name}: its image holds another file system (UUID "
                            f"{identity.uuid if identity else 'none'}) than recorded ({self.record['uuid']}); "
                            "it was left untouched. Put the right image back, or remove the record to take this one")
        if identity.errors:
            self._mend("the kernel met errors in it")

    def _mount_at(self, target):
        image = self.pool.image(self.name)
        bound = self.sight.loops_of(image)
        options = list(self.record["options"])
        if self.record["fs"] == "xfs":
            options.append("nouuid")  # a copy on another host that shares this kernel has the same UUID
        if bound:
            # A second device on the same image would be a second cache of the same blocks: sure destruction.
            kernel.mount(bound[0].path, target, self.record["fs"], options)
            return
        image_fd = os.open(image, os.O_RDWR | os.O_CLOEXEC)
        try:
            device, number = kernel.attach_loop(image_fd, self.name)
            try:
                kernel.mount(f"/dev/loop{number}", target, self.record["fs"], options)
            finally:
                os.close(device)
        finally:
            os.close(image_fd)

    def _mount_again(self, target):
        try:
            self._mount_at(target)
        except OSError as exc:
            raise DamagedVolume(f"volume {self.name}: it can't be mounted even after a check: {exc.strerror}; restore "
                                "it from a snapshot or a backup") from exc

    def _hand_over(self):
        """Make the folder that the container gets. Only a file system that never had it gets owner and mode."""
        data = self.pool.data(self.name)
        try:
            os.mkdir(data, 0o755)
        except FileExistsError:
            return
        os.chmod(data, 0o755)
        self._own(data)

    def _do_unmount(self):
        self._unmount()

    def _unmount(self):
        """Unmount it everywhere, and see that its loop device is free; those with autoclear free themselves.

        :raises VolumeBusy: when a container still has it mounted; it is mounted again then.
        """
        target, image = self.pool.mountpoint(self.name), self.pool.image(self.name)
        kernel.unmount(target)
        for loop in self.sight.loops_of(image):
            if not self.sight.still_bound(loop):
                continue
            if not _let_go(loop.number):
                self._mount_at(target)
                raise VolumeBusy(f"volume {self.name} is in use by a container and stays as it is; stop that first")
            if self.sight.still_bound(loop):
                kernel.detach_loop(loop.number)
        self.sight.forget_free(image)

    def mount_back(self):
        """Mount it again as it was, after something that needed it unmounted has failed."""
        with contextlib.suppress(OSError, DiskError):
            self.sight.look_again(self.pool.image(self.name))
            if not self._mounted():
                self._mount_at(self.pool.mountpoint(self.name))

    # health

    def _do_check(self):
        if self.record["fs"] == "xfs":
            # Mounting replays its log. Until then xfs_repair takes what is in there for damage.
            self.words.append("an error had shut it down; it is mounted anew")
            return
        self._mend("it went read-only after an error")

    def _mend(self, reason):
        """Check and repair the unmounted image as far as ``repair`` allows; DamagedVolume otherwise."""
        image, kind = self.pool.image(self.name), self.record["fs"]
        if any(self.sight.loops_of(image)):
            raise DiskError(f"volume {self.name}: {reason}, and a loop device still holds its image, so it can't be "
                            "checked; run again once that is free")
        if self.repair_mode == "none":
            raise DamagedVolume(f"volume {self.name}: {reason}; repair: none leaves it as it is, unmounted")
        try:
            done = filesystems.check(image, kind, self.name)
        except DamagedVolume as exc:
            if self.repair_mode != "force":
                told = exc.message.replace("its file system is damaged", f"{reason}; it is damaged", 1)
                raise DamagedVolume(told) from None
            done = self._force()
        self.words.append(done or f"{reason}; the check found nothing to repair")

    def _force(self):
        image = self.pool.image(self.name)
        undo = os.path.join(self.pool.snapshots, f"{self.name}@before-repair-{now().replace(':', '')}")
        if self.record["fs"] == "xfs":
            copies.sparse_copy(image, undo + ".img")
        return filesystems.repair(image, self.record["fs"], self.name,
                                  undo + (".img" if self.record["fs"] == "xfs" else ".e2undo"))

    # size

    def _do_grow(self):
        if not filesystems.can_grow_mounted(self.record["fs"]):
            self._grow_unmounted()
            return
        with open(self.pool.image(self.name), "r+b") as image:
            if os.fstat(image.fileno()).st_size < self.wanted.size:
                image.truncate(self.wanted.size)
            os.fsync(image.fileno())
        number = self._loop_number()
        kernel.refresh_capacity(number)
        filesystems.grow_mounted(f"/dev/loop{number}", self.pool.mountpoint(self.name), self.record["fs"], self.name)
        self._keep({**self.record, "size": self.wanted.size})

    def _grow_unmounted(self):
        """Grow where root may not grow a mounted ext4 (no CAP_SYS_RESOURCE, as in a nested host)."""
        target, image = self.pool.mountpoint(self.name), self.pool.image(self.name)
        # Mounted a moment ago, in this run, the device is not in the first look.
        self.sight.look_again(image)
        try:
            self._unmount()
        except DiskError:
            raise DiskError(f"volume {self.name}: this host's root lacks CAP_SYS_RESOURCE, so an ext4 can't grow while "
                            "it is in use. Stop its container for now, or use xfs; nothing was changed") from None
        try:
            filesystems.check(image, "ext4", self.name)
            if os.stat(image).st_size < self.wanted.size:
                os.truncate(image, self.wanted.size)
            filesystems.resize_image(image, self.wanted.size, self.name)
            self._keep({**self.record, "size": self.wanted.size})
        finally:
            self._mount_again(target)

    def _do_shrink(self):
        """Shrink a checked copy and put it in the place of the original in one step."""
        image, working = self.pool.image(self.name), self.pool.working_image(self.name)
        copies.require_room(self.pool, filesystems.data_size(image), f"volume {self.name}: shrinking a checked copy")
        filesystems.check(image, "ext4", self.name)
        try:
            copies.sparse_copy(image, working)
            filesystems.resize_image(working, self.wanted.size, self.name)
            os.truncate(working, self.wanted.size)
            filesystems.check(working, "ext4", self.name)
            copies.flush(working)
            os.rename(working, image)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(working)
        sync_folder(self.pool.images)
        self._keep({**self.record, "size": self.wanted.size})

    def _loop_number(self):
        device = os.stat(self.pool.mountpoint(self.name)).st_dev
        return os.minor(device)

    # bookkeeping

    def _do_own(self):
        record = dict(self.record)
        self._note_into(record)
        self.record = record
        self._own(self.pool.data(self.name))
        self._keep(record)

    def _do_note(self):
        record = dict(self.record)
        self._note_into(record)
        if self.wanted.size is not None:
            record["size"] = self.wanted.size
        self._keep(record)

    def _note_into(self, record):
        for key in ("instance", "path", "options", "owner", "group", "mode"):
            value = getattr(self.wanted, key)
            if value is not None:
                record[key] = value

    def _own(self, data):
        owner, group = _number(self.record["owner"], "owner"), _number(self.record["group"], "group")
        if owner != -1 or group != -1:
            os.chown(data, owner, group)
        if self.record["mode"] is not None:
            os.chmod(data, stat.S_IMODE(int(str(self.record["mode"]), 8)))

    def _keep(self, record):
        self.pool.write_record(record)
        self.record = record

    # copies

    def _mounted(self):
        return os.path.ismount(self.pool.mountpoint(self.name))

    def _do_snapshot(self):
        copies.take_snapshot(self.pool, self.name, self.wanted.snapshot, self._mounted())

    def _do_thin_out(self):
        """Remove the oldest snapshots beyond the number to keep."""
        have = copies.list_snapshots(self.pool, self.name).get(self.name, [])
        for old in have[:max(0, len(have) - self.wanted.keep_snapshots)]:
            copies.remove_snapshot(self.pool, self.name, old["name"])

    def _do_rollback(self):
        copies.roll_back(self.pool, self.name, self.wanted.rollback)
        self._keep({**self.record, "size": os.stat(self.pool.image(self.name)).st_size})

    def _do_backup(self):
        with progress.reporting(self.pool, self.name):
            archive.back_up(self.pool, self.record, self.wanted.backup, self._mounted())

    def _do_restore(self):
        with progress.reporting(self.pool, self.name):
            kept = archive.restore(self.pool, self.name, self.wanted.restore)
        base = self.record or {**empty_record(self.name), "created_at": now(), "fleet": self.wanted.fleet,
                               **{key: kept[key] for key in ("path", "owner", "group", "mode", "options")}}
        record = {**base, "fs": kept["fs"], "uuid": kept["uuid"],
                  "size": os.stat(self.pool.image(self.name)).st_size}
        self._note_into(record)
        self._keep(record)

    # the end

    def _do_release(self):
        self._keep({**self.record, "state": RELEASED, "released_at": now()})
        self._remove_mountpoint()

    def _do_delete(self):
        doomed = self.pool.doomed_image(self.name)
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.pool.image(self.name), doomed)
        copies.remove_snapshots(self.pool, self.name)
        self.pool.remove_record(self.name)
        for path in (doomed, self.pool.working_image(self.name), self.pool.incoming_image(self.name)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        self._remove_mountpoint()
        self.record = None

    def _remove_mountpoint(self):
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(self.pool.mountpoint(self.name))


def _let_go(number, seconds=2.0):
    """Wait until nobody has a loop device mounted; False when somebody keeps it.

    The mounts of a container that has just stopped go away a moment after the engine says so.
    """
    deadline = time.monotonic() + seconds
    while kernel.is_claimed(number):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)  # the kernel tells nobody when the last mount of a device goes
    return True


def _number(value, what):
    """Return the number of a user or group, -1 for none; names are those of the host."""
    if value is None:
        return -1
    if str(value).isdigit():
        return int(value)
    try:
        return pwd.getpwnam(value).pw_uid if what == "owner" else grp.getgrnam(value).gr_gid
    except KeyError:
        raise DiskError(f"{what} {value!r} is not known on this host; give its number instead") from None
