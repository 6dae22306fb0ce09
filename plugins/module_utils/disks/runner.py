# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All volumes of one host, converged in one go: the entry to the disk room for modules and for the boot service."""

from __future__ import annotations

import concurrent.futures
import os
import traceback

from ..common.errors import InvalidInput, StowageError
from ..host.mounts import mounts_below
from . import copies, filesystems, loop_supply, progress
from .decide import Seen, decide
from .mkfs import Maker
from .pool import ATTACHED, DEFAULT_POOL, INCOMING, RELEASED, Budget, Pool
from .sight import Sight
from .strays import find_strays, overdue
from .volumes import Volume

# The first of these that was done names what happened to a volume.
_NAMED = ("create", "adopt", "finish", "reattach", "shrink", "grow", "rollback", "restore", "check", "mount", "release",
          "delete", "own", "note", "snapshot", "backup", "thin_out", "unmount")


# What needs a volume unmounted, and leaves it as it was when it fails.
_UNMOUNTED = ("shrink", "rollback", "restore")


class Settings:
    """How a pool is used. Sizes in bytes; see ``Budget`` for the pool's own."""

    def __init__(self, pool=DEFAULT_POOL, fleet="fleet", size=0, reserve=0, thin_ratio=1.0, warn_percent=90,
                 keep_days=None, repair="safe", mend=True, parallel=4, check_mode=False, lock_timeout=60,
                 as_far_as_possible=False, keep_instances=()):
        """Keep the settings; ``keep_days`` None keeps released volumes for ever.

        No age deletes those of ``keep_instances``.
        ``as_far_as_possible`` mounts what can be mounted when loop devices lack, rather than refusing all (at boot).
        """
        self.pool = Pool(pool)
        self.fleet = fleet
        self.size = size
        self.reserve = reserve
        self.thin_ratio = thin_ratio
        self.warn_percent = warn_percent
        self.keep_days = keep_days
        self.keep_instances = frozenset(keep_instances)
        self.repair = repair
        self.mend = mend
        self.parallel = max(1, parallel)
        self.check_mode = check_mode
        self.lock_timeout = lock_timeout
        self.as_far_as_possible = as_far_as_possible

    def budget(self):
        """Return the Budget of the pool at this moment."""
        return Budget(self.pool, self.size, self.reserve, self.thin_ratio, self.warn_percent)


class Outcome:
    """What a run did: results per volume, strays, facts of the pool, warnings. Plain data in ``to_dict``."""

    def __init__(self, volumes, strays, pool, warnings, check_mode=False):
        """Keep it."""
        self.volumes = volumes
        self.strays = strays
        self.pool = pool
        self.warnings = warnings
        self.check_mode = check_mode

    @property
    def changed(self):
        """Whether anything changed, or would change in check mode."""
        return any(result["changed"] for result in self.volumes) or any(
            stray.mended or (self.check_mode and stray.mendable) for stray in self.strays)

    @property
    def failures(self):
        """The sentences of the volumes that failed."""
        return [result["msg"] for result in self.volumes if result["failed"]]

    def to_dict(self):
        """Return it as the modules return it."""
        return {"changed": self.changed, "volumes": self.volumes, "pool": self.pool,
                "strays": [stray.to_dict() for stray in self.strays]}


def converge(settings, wanted):
    """Bring the volumes in ``wanted`` (a list of Wanted) about and return the Outcome.

    :raises InvalidInput: for requests that make no sense, PoolFull for ones that the pool can't promise; both before
        any change. What fails later fails for one volume and is said in its result.
    """
    _refuse_nonsense(wanted)
    settings.pool.require_device()
    if settings.check_mode:
        return _converge(settings, wanted)
    settings.pool.prepare()
    with settings.pool.lock(settings.lock_timeout):
        return _converge(settings, wanted)


def _refuse_nonsense(wanted):
    problems, seen = [], set()
    for index, volume in enumerate(wanted):
        problems += volume.complaints(f"volumes[{index}]")
        if volume.name in seen:
            problems.append(f"volumes[{index}].name: {volume.name!r} comes twice; expected each volume once")
        seen.add(volume.name)
    if problems:
        raise InvalidInput(problems)


def _converge(settings, wanted):
    pool = settings.pool
    sight = Sight.look(pool)
    records, broken = pool.read_records()
    # Refused before anything is touched, mending included.
    settings.budget().check(*_promises(pool, records, wanted))
    if not settings.as_far_as_possible:
        loop_supply.ensure(_loops_needed(pool, sight, wanted), settings.check_mode)
    strays = find_strays(pool, sight, records, broken, settings.fleet)
    if _mend(settings, wanted, strays):
        sight, (records, broken) = Sight.look(pool), pool.read_records()
    if not settings.check_mode:
        progress.clear(pool)
    named = {volume.name for volume in wanted}
    if settings.keep_days is not None:
        wanted = wanted + [late for late in overdue(records, settings.keep_days, settings.fleet)
                           if late.name not in named and records[late.name]["instance"] not in settings.keep_instances]
    results = _perform_all(settings, sight, wanted, records, broken)
    return _outcome(settings, results, strays)


def _loops_needed(pool, sight, wanted):
    """Return how many volumes are to be mounted that have no loop device yet."""
    return sum(volume.state == "present" and not sight.loops_of(pool.image(volume.name)) for volume in wanted)


def _mend(settings, wanted, strays):
    """Mend what can be mended, but leave an image alone that this very run is asked to take up."""
    asked = {settings.pool.image(volume.name) for volume in wanted if volume.state == "present"}
    todo = [stray for stray in strays if stray.mendable and stray.what not in asked]
    if settings.check_mode or not settings.mend:
        return False
    for stray in todo:
        stray.mend()
    return bool(todo)


def promised_in(pool, records):
    """Return what a pool has promised to the volumes in ``records``, their snapshots included, in bytes."""
    return _promises(pool, records, [])[0]


def _promises(pool, records, wanted):
    """Return (before, after): what the pool has promised, and would have promised, in bytes."""
    before = {name: _promised(pool, name, record) for name, record in records.items()}
    after = dict(before)
    for volume in wanted:
        if volume.state == "absent":
            after.pop(volume.name, None)
        elif volume.state == "present" and volume.size is not None:
            after[volume.name] = volume.size if volume.shrink else max(volume.size, after.get(volume.name, 0))
    kept = sum(snapshot["bytes"] for some in copies.list_snapshots(pool).values() for snapshot in some)
    return sum(before.values()) + kept, sum(after.values()) + kept


def _promised(pool, name, record):
    try:
        return Seen(record, os.stat(pool.image(name)).st_size).promised
    except FileNotFoundError:
        return record["size"]


def _perform_all(settings, sight, wanted, records, broken):
    """Perform deletions and releases first, then the rest; several volumes side by side."""
    maker = Maker(settings.pool.templates)

    def perform(volume):
        return _perform(settings, sight, maker, volume, records.get(volume.name), broken.get(volume.name))

    done = {}
    with concurrent.futures.ThreadPoolExecutor(settings.parallel) as workers:
        for phase in (lambda volume: volume.state != "present", lambda volume: volume.state == "present"):
            todo = [volume for volume in wanted if phase(volume)]
            done.update(zip((volume.name for volume in todo), workers.map(perform, todo)))
    return [done[volume.name] for volume in wanted]


def _perform(settings, sight, maker, wanted, record, broken):
    """Bring one volume about and return its result; its failure is nobody else's."""
    volume = Volume(settings.pool, sight, maker, wanted, record, settings.repair)
    before = _state(volume, sight, record)
    actions, done, failure = [], [], None
    try:
        if broken:
            failure = broken
        else:
            actions = decide(wanted, _see(volume))
            if not settings.check_mode:
                _carry_out(volume, actions, done)
    except StowageError as exc:
        failure = exc.message
    except OSError as exc:
        failure = f"volume {wanted.name}: {exc.strerror or exc} ({exc.filename or 'system call'})"
    except Exception as exc:  # one volume's surprise must not take the others' results away
        where = traceback.format_exc(limit=-1).splitlines()[1].strip()
        failure = f"volume {wanted.name}: {type(exc).__name__}: {exc} ({where})"
    return _result(settings, volume, before, actions if settings.check_mode else done, failure)


def _see(volume):
    """Return what is there of a volume, copies included where the request is about them."""
    seen, wanted = volume.sight.see(volume.name, volume.record), volume.wanted
    if wanted.snapshot or wanted.keep_snapshots is not None:
        kept = copies.list_snapshots(volume.pool, volume.name).get(volume.name, [])
        seen.snapshots = [snapshot["name"] for snapshot in kept]
    seen.backed_up = bool(wanted.backup) and os.path.exists(wanted.backup)
    return seen


def _carry_out(volume, actions, done):
    for action in actions:
        try:
            volume.perform(action)
        except (StowageError, OSError):
            if "unmount" in done and action in _UNMOUNTED:
                volume.mount_back()
                done.remove("unmount")
            raise
        done.append(action)
    wanted = volume.wanted
    if wanted.state == "present" and {"adopt", "rollback", "restore"} & set(actions):
        # Only now is it known what is there; sizes and owners are seen to in a second round.
        wanted.rollback = wanted.restore = None
        volume.sight = Sight.look(volume.pool)
        _carry_out(volume, decide(wanted, _see(volume)), done)


def _state(volume, sight, record):
    """Return what a diff compares: plain data, {} for a volume that isn't there."""
    if record is None:
        return {}
    target = volume.pool.mountpoint(volume.name)
    return {**{key: record[key] for key in ("state", "size", "fs", "uuid", "path", "owner", "group", "mode")},
            "mounted": target in sight.mounts}


def _result(settings, volume, before, actions, failure):
    """Return the result of one volume: the same keys whatever happened."""
    pool, name, wanted = settings.pool, volume.name, volume.wanted
    record = volume.record
    after = _after(volume, before, actions, settings.check_mode)
    return {"name": name, "action": next((key for key in _NAMED if key in actions), "keep"), "actions": actions,
            "changed": bool(actions), "failed": failure is not None, "msg": failure or "; ".join(volume.words),
            "state": after.get("state", "absent"), "size": after.get("size"), "fs": after.get("fs"),
            "uuid": record["uuid"] if record else None, "path": after.get("path"),
            "instance": record["instance"] if record else wanted.instance or name, "image": pool.image(name),
            "mountpoint": pool.mountpoint(name), "data": pool.data(name), "mounted": after.get("mounted", False),
            "released_at": record["released_at"] if record else None, "diff": {"before": before, "after": after}}


def _after(volume, before, actions, check_mode):
    """Return the state after the actions; predicted in check mode."""
    if not actions:
        return before
    wanted = volume.wanted
    mounted = "mount" in actions or (before.get("mounted", False) and "unmount" not in actions)
    if "delete" in actions:
        return {}
    record = volume.record
    if not check_mode and record is not None:
        return {**{key: record[key] for key in ("state", "size", "fs", "uuid", "path", "owner", "group", "mode")},
                "mounted": mounted}
    after = {**before, "mounted": mounted, "state": RELEASED if wanted.state == "released" else ATTACHED}
    for key in ("size", "fs", "path", "owner", "group", "mode"):
        if getattr(wanted, key) is not None:
            after[key] = getattr(wanted, key)
    after.setdefault("fs", "ext4")
    return after


def _outcome(settings, results, strays):
    pool, budget = settings.pool, settings.budget()
    records, _broken = pool.read_records()
    promised, _after_all = _promises(pool, records, [])
    allocated = sum(filesystems.data_size(pool.image(name)) for name in records)
    warnings = budget.warnings(promised, allocated)
    facts = {"path": pool.path, "size": budget.whole, "reserve": budget.reserve, "thin_ratio": budget.thin_ratio,
             "allowed": budget.allowed, "promised": promised, "allocated": allocated, "free": budget.free,
             "warnings": warnings}
    return Outcome(results, strays, facts, warnings, settings.check_mode)


def list_volumes(path=DEFAULT_POOL):
    """Return every volume of a pool as plain data, released ones included; [] where there is no pool.

    Used by ``host_info``: reads records and the mount table only.
    """
    pool = Pool(path)
    pool.require_device()
    if not pool.exists:
        return []
    mounted = {mount.target for mount in mounts_below(pool.mounts)}
    records, broken = pool.read_records()
    snapshots = copies.list_snapshots(pool)
    found = [{**{key: record[key] for key in ("name", "instance", "fleet", "path", "size", "fs", "uuid", "state",
                                              "created_at", "released_at", "generation", "peer")},
              "used": filesystems.data_size(pool.image(name)), "mounted": pool.mountpoint(name) in mounted,
              "missing": record["state"] != INCOMING and not os.path.exists(pool.image(name)), "msg": "",
              "snapshots": [snapshot["name"] for snapshot in snapshots.get(name, [])],
              "snapshot_bytes": sum(snapshot["bytes"] for snapshot in snapshots.get(name, []))}
             for name, record in records.items()]
    return found + [{"name": name, "state": "unreadable", "msg": text} for name, text in broken.items()]
