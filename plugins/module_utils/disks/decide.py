# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be done to a volume: a pure function of what is wanted and what is there.

``decide`` returns the names of actions, in order. ``volumes`` carries them out; check mode stops here.
"""

from __future__ import annotations

from ..common.sizes import human_size
from .errors import DiskError
from .mkfs import FILESYSTEMS, MINIMUM_SIZE, rounded_size
from .pool import ATTACHED, INCOMING, LEAVING, MOVED, NAME, RELEASED, SNAPSHOT_NAME

STATES = ("present", "released", "absent")
# What a volume carries besides its disk; compared with the record, not with the file system: a container may change
# the owner or the mode of its own data, and it would be wrong to change them back with every run.
OWNERSHIP = ("owner", "group", "mode")
NOTES = ("instance", "path", "options")
_TRAVELLING = {
    LEAVING: "it is being moved to {peer}",
    INCOMING: "its data is still on its way from {peer}",
    MOVED: "its data was moved to {peer}, and this copy is outdated",
}


class Wanted:
    """One volume as asked for. ``size`` in bytes, or None to leave it; None elsewhere leaves what is recorded."""

    def __init__(self, name, state="present", size=None, fs=None, fleet="fleet", instance=None, path=None, owner=None,
                 group=None, mode=None, options=None, shrink=False, snapshot=None, rollback=None, keep_snapshots=None,
                 backup=None, restore=None):
        """Keep what is asked for; ``complaints`` says what is wrong with it."""
        self.name = name
        self.state = state
        self.size = None if size is None else rounded_size(size)
        self.fs = fs
        self.fleet = fleet
        self.instance = instance
        self.path = path
        self.owner = owner
        self.group = group
        self.mode = mode
        self.options = None if options is None else list(options)
        self.shrink = shrink
        self.snapshot = snapshot
        self.rollback = rollback
        self.keep_snapshots = keep_snapshots
        self.backup = backup
        self.restore = restore

    def complaints(self, where):
        """Return what is wrong with the request, each a sentence that starts with its path ``where``."""
        found = []
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            found.append(f"{where}.name: {self.name!r} can't name a volume; expected letters, digits, _ . -, "
                         "beginning with a letter or digit")
        if self.state not in STATES:
            found.append(f"{where}.state: {self.state!r} is no state; expected {', '.join(STATES)}")
        if self.fs not in (None, *FILESYSTEMS):
            found.append(f"{where}.fs: {self.fs!r} is no file system; expected {', '.join(FILESYSTEMS)}")
        minimum = MINIMUM_SIZE.get(self.fs or "ext4", 0)
        if self.size is not None and self.size < minimum:
            found.append(f"{where}.size: {human_size(self.size)} is too small; expected at least "
                         f"{human_size(minimum)} for {self.fs or 'ext4'}")
        if self.path is not None and not self.path.startswith("/"):
            found.append(f"{where}.path: {self.path!r} is not absolute; expected a path in the container")
        if self.rollback and self.restore:
            found.append(f"{where}.rollback: goes back to a snapshot, and {where}.restore to a backup; expected one")
        if self.state != "present" and any((self.snapshot, self.rollback, self.backup, self.restore)):
            found.append(f"{where}.state: snapshots and backups need a volume that is present, not {self.state}")
        found += [f"{where}.{key}: {getattr(self, key)!r} can't name a snapshot; expected letters, digits, _ . -"
                  for key in ("snapshot", "rollback")
                  if getattr(self, key) is not None and not SNAPSHOT_NAME.fullmatch(getattr(self, key))]
        return found


class Seen:
    """One volume as found on the host.

    :param record: its record, or None.
    :param image_size: size of its image in bytes, None where there is no image.
    :param half_made: whether an image with its working name and the recorded UUID is there.
    :param mounted: whether its image is mounted where it should be.
    :param snapshots: names of its snapshots, oldest first.
    :param backed_up: whether the backup that is asked for exists.
    :param stopped: why its mounted file system accepts no writes any more, or ''.
    """

    def __init__(self, record=None, image_size=None, half_made=False, mounted=False, stopped="", snapshots=(),
                 backed_up=False):
        """Keep what was found."""
        self.snapshots = list(snapshots)
        self.backed_up = backed_up
        self.record = record
        self.image_size = image_size
        self.half_made = half_made
        self.mounted = mounted
        self.stopped = stopped

    @property
    def promised(self):
        """What the pool has promised to this volume, in bytes."""
        return max(self.record["size"] if self.record else 0, self.image_size or 0)


def decide(wanted, seen):
    """Return the actions that lead from ``seen`` to ``wanted``, in order; [] when nothing is to be done.

    :raises DiskError: when there is no way that keeps the data.
    """
    _check_owner(wanted, seen)
    if wanted.state == "absent":
        return _away(seen, ["delete"]) if seen.record or seen.image_size is not None else []
    if wanted.state == "released":
        return _release(wanted, seen)
    return _present(wanted, seen)


def _check_owner(wanted, seen):
    if seen.record and seen.record["fleet"] != wanted.fleet:
        raise DiskError(f"volume {wanted.name}: it belongs to the fleet {seen.record['fleet']}, not to {wanted.fleet}; "
                        "nothing was changed")


def _away(seen, actions):
    return (["unmount"] if seen.mounted else []) + actions


def _release(wanted, seen):
    if seen.record is None:
        return [] if seen.image_size is None else ["adopt", "release"]
    start = ["finish"] if seen.half_made and seen.image_size is None else []
    if seen.record["state"] in (RELEASED, *_TRAVELLING):
        return start + _away(seen, [])
    return start + _away(seen, ["release"])


def _refuse_travelling(wanted, record):
    """Never use one of two copies of a disk without knowing which is the good one: a whole plan knows."""
    if record and record["state"] in _TRAVELLING:
        where = _TRAVELLING[record["state"]].format(peer=record["peer"])
        raise DiskError(f"volume {wanted.name}: {where}. It was left as it is; the next run of site.yml finishes the "
                        "move or takes it back")


def _present(wanted, seen):
    _refuse_travelling(wanted, seen.record)
    if wanted.rollback or wanted.restore:
        return _back(wanted, seen)
    actions = _existence(wanted, seen)
    if actions == ["create"]:
        return ["create", "mount", *_copies(wanted, seen)]
    if seen.record and seen.record["state"] != ATTACHED:
        actions.append("reattach")
    stopped = seen.mounted and bool(seen.stopped)
    if stopped:
        actions += ["unmount", "check"]
    resize = _resize(wanted, seen)
    if "shrink" in resize and seen.mounted and not stopped:
        actions.append("unmount")
    actions += [action for action in resize if action != "grow"]
    if not seen.mounted or "unmount" in actions:
        actions.append("mount")
    actions += [action for action in resize if action == "grow"]
    return actions + _details(wanted, seen) + _copies(wanted, seen)


def _back(wanted, seen):
    """Return the way back to a snapshot or a backup; what else is wanted is decided after it."""
    if seen.record is None and wanted.rollback:
        raise DiskError(f"volume {wanted.name}: there is none, so there is no snapshot to go back to")
    before = _copies(wanted, seen) if seen.image_size is not None else []
    again = ["reattach"] if seen.record and seen.record["state"] != ATTACHED else []
    return before + _away(seen, again) + ["rollback" if wanted.rollback else "restore", "mount"]


def _copies(wanted, seen):
    """Return what keeps a copy: a snapshot or backup that exists already is not made again."""
    fresh = wanted.snapshot is not None and wanted.snapshot not in seen.snapshots
    actions = ["snapshot"] if fresh else []
    if wanted.keep_snapshots is not None and len(seen.snapshots) + fresh > wanted.keep_snapshots:
        actions.append("thin_out")
    return actions + (["backup"] if wanted.backup and not seen.backed_up else [])


def _existence(wanted, seen):
    """Return what brings the volume into being; DiskError where that would hide a loss."""
    if seen.record is None and seen.image_size is None:
        if wanted.size is None:
            raise DiskError(f"volume {wanted.name}: there is none yet, and no size says how large to make it")
        return ["create"]
    if seen.record is None:
        return ["adopt"]
    if seen.image_size is None and not seen.half_made:
        raise DiskError(f"volume {wanted.name}: its image is gone from the pool. It is not replaced by an empty one: "
                        "restore it from a backup, or give it up with state: absent first")
    if wanted.fs and wanted.fs != seen.record["fs"]:
        raise DiskError(f"volume {wanted.name}: its file system is {seen.record['fs']}, and {wanted.fs} is wanted; "
                        "a file system is never changed in place. Move its data, or leave fs as it is")
    return [] if seen.image_size is not None else ["finish"]


def _resize(wanted, seen):
    if wanted.size is None or seen.record is None:
        return []
    image, recorded = seen.image_size if seen.image_size is not None else seen.record["size"], seen.record["size"]
    if wanted.size < min(image, recorded) or wanted.size < image:
        if not wanted.shrink:
            raise DiskError(f"volume {wanted.name}: it has {human_size(image)} and {human_size(wanted.size)} are "
                            "wanted; a disk is not made smaller by the way. Set shrink: true to do so while its "
                            "container is stopped, or keep the size")
        if seen.record["fs"] != "ext4":
            raise DiskError(f"volume {wanted.name}: {seen.record['fs']} can't be made smaller; make a new volume")
        return ["shrink"]
    if wanted.size > recorded:
        return ["grow"]
    # A shrink that was interrupted after its last step but one: only the record still tells the old size.
    return ["note"] if wanted.size < recorded else []


def _details(wanted, seen):
    record = seen.record or {}
    actions = []
    if record and any(getattr(wanted, key) is not None and getattr(wanted, key) != record[key] for key in OWNERSHIP):
        actions.append("own")
    if record and any(getattr(wanted, key) is not None and getattr(wanted, key) != record[key] for key in NOTES):
        actions.append("note")
    return actions
