# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends of moving a disk to another host: a program that the controller runs there, one command at a time.

At the old place a disk goes from ``attached`` or ``released`` to ``leaving`` and ``moved``, at the new place from
``incoming`` to ``released``; each step is one record, written durably. Which copy is good can be read off them at any
moment, also when one of the hosts is silent:

- ``leaving``: this one, for the other is only used after this one has become ``moved``;
- ``moved``: the other one, and this one is kept until the other one is in use and well;
- of two others with the same UUID, the one with the higher ``generation``.

Commands take JSON from standard input and answer with JSON; an error is ``{"error": sentence}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import uuid

from ..common.errors import StowageError
from ..common.files import sync_folder, write_bytes
from ..common.sizes import human_size
from . import copies, stream
from .decide import Wanted
from .errors import DiskError
from .pool import ATTACHED, INCOMING, LEAVING, MOVED, RELEASED, empty_record, now
from .runner import Settings, converge, promised_in

_CARRIED = ("name", "instance", "fleet", "path", "size", "fs", "uuid", "created_at", "owner", "group", "mode",
            "options", "generation")
STREAM_PROGRAM = ".stream.py"


def describe(settings, asked):
    """Return what would travel of each volume in ``asked["names"]``; nothing is touched."""
    return {name: _describe(settings.pool, _own_record(settings, name)) for name in asked["names"]}


def _own_record(settings, name):
    record = settings.pool.read_record(name)
    if record is None:
        raise DiskError(f"volume {name}: there is none on this host")
    if record["fleet"] != settings.fleet:
        raise DiskError(f"volume {name}: it belongs to the fleet {record['fleet']}, not to {settings.fleet}; nothing "
                        "was changed")
    return record


def _describe(pool, record):
    name, image = record["name"], pool.image(record["name"])
    if not os.path.exists(image):
        raise DiskError(f"volume {name}: its image {image} is gone, so there is nothing to move; restore it from a "
                        "backup, or give it up with state: absent")
    files = [{"key": "", "path": image, **_extent(image)}]
    for snapshot in copies.list_snapshots(pool, name).get(name, []):
        path = copies.snapshot_path(pool, name, snapshot["name"])
        files.append({"key": snapshot["name"], "path": path, "created_at": snapshot["created_at"], **_extent(path)})
    return {**{key: record[key] for key in _CARRIED}, "id": record["move"], "state": record["state"], "files": files}


def _extent(path):
    status = os.stat(path)
    return {"size": status.st_size, "used": status.st_blocks * 512}


# at the old place


def offer(settings, asked):
    """Hold volumes for the host ``asked["peer"]``: unmounted, and refused to containers from now on.

    :raises DiskError: when a container still uses one; it stays as it is then.
    """
    pool = settings.pool
    outcome = converge(settings, [Wanted(name, "released", fleet=settings.fleet) for name in asked["names"]])
    if outcome.failures:
        raise DiskError("; ".join(outcome.failures))
    _install_stream(pool)
    with pool.lock(settings.lock_timeout):
        return {name: _offer(settings, name, asked["peer"]) for name in asked["names"]}


def _offer(settings, name, peer):
    record = _own_record(settings, name)
    _refuse_outdated(record)
    if record["state"] == INCOMING:
        raise DiskError(f"volume {name}: its data is still on its way from {record['peer']}; it can't go on from here")
    if record["state"] != LEAVING or record["peer"] != peer:
        # Whatever another host holds of an earlier attempt is older than this from now on.
        generation = record["generation"] + (2 if record["state"] == LEAVING else 0)
        record = {**record, "state": LEAVING, "peer": peer, "move": uuid.uuid4().hex, "generation": generation}
        settings.pool.write_record(record)
    return _describe(settings.pool, record)


def _refuse_outdated(record):
    if record["state"] == MOVED:
        raise DiskError(f"volume {record['name']}: its data was moved to {record['peer']}, and this copy is outdated")


def hand_over(settings, asked):
    """Note that the copies at the new place are the good ones now; ``asked["ids"]`` names the moves."""
    with settings.pool.lock(settings.lock_timeout):
        for name, move in asked["ids"].items():
            record = _own_record(settings, name)
            if record["move"] != move or record["state"] not in (LEAVING, MOVED):
                raise DiskError(f"volume {name}: it was taken back while it was moved; nothing was changed")
            if record["state"] == LEAVING:
                settings.pool.write_record({**record, "state": MOVED})
    return {}


def recall(settings, asked):
    """Take volumes back that were to be moved; what another host has of them is outdated from now on."""
    with settings.pool.lock(settings.lock_timeout):
        for name in asked["names"]:
            record = _own_record(settings, name)
            _refuse_outdated(record)
            if record["state"] == LEAVING:
                settings.pool.write_record({**record, "state": RELEASED, "released_at": now(), "peer": None,
                                            "move": None, "generation": record["generation"] + 2})
    return {}


def forget(settings, asked):
    """Remove copies that are not the good one; ``asked["volumes"]`` says of each the UUID and generation of that."""
    doomed = []
    for name, good in asked["volumes"].items():
        record = settings.pool.read_record(name)
        if record is None:
            continue
        older = record["uuid"] == good["uuid"] and record["generation"] < good["generation"]
        if record["state"] == INCOMING or (older and record["state"] in (MOVED, LEAVING, RELEASED)):
            doomed.append(name)
        else:
            raise DiskError(f"volume {name}: the copy on this host ({record['state']}) is not an outdated one; it was "
                            "left untouched")
    outcome = converge(settings, [Wanted(name, "absent", fleet=settings.fleet) for name in doomed])
    if outcome.failures:
        raise DiskError("; ".join(outcome.failures))
    return {"removed": doomed}


# at the new place


def reserve(settings, asked):
    """Make room for volumes, as ``describe`` or ``offer`` of the old place says of them, or refuse before any change.

    Return for each {"here": True} when it has arrived already, else {"files": {key: {"path", "have"}}}: where its
    files go, and how many bytes of each are there from an earlier attempt.
    """
    settings.pool.prepare()
    _install_stream(settings.pool)
    with settings.pool.lock(settings.lock_timeout):
        records, broken = settings.pool.read_records()
        if broken:
            raise DiskError("; ".join(broken.values()))
        before = promised_in(settings.pool, records)
        more = sum(_demand(offered) for name, offered in asked["volumes"].items()
                   if (records.get(name) or {}).get("uuid") != offered["uuid"])
        settings.budget().check(before, before + more)
        return {name: _reserve(settings.pool, offered, records.get(name), asked["peer"])
                for name, offered in sorted(asked["volumes"].items())}


def _demand(offered):
    """What a volume takes of a pool's promises: its size, and what its snapshots take up."""
    return offered["size"] + sum(file["used"] for file in offered["files"] if file["key"])


def _reserve(pool, offered, record, peer):
    name = offered["name"]
    if record is not None and record["state"] != INCOMING:
        newer = record["uuid"] == offered["uuid"] and record["generation"] > offered["generation"]
        if newer and record["state"] in (RELEASED, ATTACHED):
            return {"here": True}
        _refuse_other(pool, offered, record)
        _clear(pool, name)
        record = None
    image, working = pool.image(name), pool.incoming_image(name)
    if record is not None and os.path.exists(image):
        os.rename(image, working)  # the last step of an earlier attempt was interrupted
    if record is None or record["uuid"] != offered["uuid"] or (offered["id"] and record["move"] != offered["id"]):
        _clear(pool, name)
    pool.write_record({**empty_record(name), **{key: offered[key] for key in _CARRIED}, "state": INCOMING,
                       "peer": peer, "move": offered["id"] or (record or {}).get("move")})
    return {"files": {file["key"]: _place(pool, name, file["key"]) for file in offered["files"]}}


def _refuse_other(pool, offered, record):
    """Refuse to replace a disk that holds something else, or is used; an outdated copy of the same one may go."""
    name = offered["name"]
    if record["uuid"] != offered["uuid"]:
        raise DiskError(f"volume {name}: this host has another disk of that name ({record['state']}, "
                        f"{human_size(record['size'])}, made at {record['created_at']}); nothing was changed. Give it "
                        "up with state: absent of stowage.fleet.volume, or let the instance stay where it is")
    older = record["generation"] < offered["generation"] and record["state"] in (MOVED, LEAVING, RELEASED)
    if not older or os.path.ismount(pool.mountpoint(name)):
        raise DiskError(f"volume {name}: this host has a copy of it ({record['state']}, generation "
                        f"{record['generation']}) that is not known to be outdated; nothing was changed. Give one of "
                        "the two up with state: absent of stowage.fleet.volume")


def _clear(pool, name):
    """Remove what an earlier attempt left, or an outdated copy."""
    doomed = [pool.incoming_image(name), pool.image(name)]
    doomed += [_working_snapshot(pool, name, entry) for entry in _working_snapshots(pool, name)]
    for path in doomed:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    copies.remove_snapshots(pool, name)


def _working_snapshot(pool, name, snapshot):
    return os.path.join(pool.snapshots, f".move-{name}@{snapshot}.img")


def _working_snapshots(pool, name):
    start = f".move-{name}@"
    return [entry[len(start):-4] for entry in os.listdir(pool.snapshots) if entry.startswith(start)]


def _place(pool, name, key):
    path = _working_snapshot(pool, name, key) if key else pool.incoming_image(name)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return {"path": path, "have": os.fstat(descriptor).st_size}
    finally:
        os.close(descriptor)


def restart(settings, asked):
    """Begin the copy of a file in ``asked["paths"]`` anew."""
    for path in asked["paths"]:
        os.truncate(_within(settings.pool, path), 0)
    return {}


def digest(settings, asked):
    """Return {path: checksum} of files, made durable and read from the disk rather than from memory."""
    found = {}
    for path in asked["paths"]:
        descriptor = os.open(_within(settings.pool, path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
        found[path] = copies.digest_of(path)
    return found


def _within(pool, path):
    if not os.path.realpath(path).startswith(pool.path + os.sep):
        raise DiskError(f"{path} is not in the pool {pool.path}")
    return path


def commit(settings, asked):
    """Give verified copies their names and make them volumes of this host, released until a container takes them.

    ``asked["volumes"]``: what ``offer`` said, with ``digests`` {key: checksum}, which stand in the notes of snapshots.
    """
    with settings.pool.lock(settings.lock_timeout):
        for name, offered in sorted(asked["volumes"].items()):
            _commit(settings, name, offered)
    return {}


def _commit(settings, name, offered):
    pool, record = settings.pool, _own_record(settings, name)
    if record["state"] != INCOMING or record["move"] != offered["id"]:
        raise DiskError(f"volume {name}: another move of it has begun meanwhile; nothing was changed")
    for file in offered["files"]:
        if file["key"]:
            final = copies.snapshot_path(pool, name, file["key"])
            kept = {"created_at": file["created_at"], "sha256": offered["digests"][file["key"]]}
            write_bytes(final[:-4] + ".json", json.dumps(kept).encode() + b"\n")
            os.rename(_working_snapshot(pool, name, file["key"]), final)
    sync_folder(pool.snapshots)
    os.rename(pool.incoming_image(name), pool.image(name))
    sync_folder(pool.images)
    pool.write_record({**record, "state": RELEASED, "released_at": now(), "peer": None, "move": None,
                       "generation": offered["generation"] + 1})


# the program

COMMANDS = {"describe": describe, "offer": offer, "hand-over": hand_over, "recall": recall, "forget": forget,
            "reserve": reserve, "restart": restart, "digest": digest, "commit": commit}


def _install_stream(pool):
    source = stream.__spec__.loader.get_source(stream.__name__).encode()
    path = os.path.join(pool.path, STREAM_PROGRAM)
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as handle:
        if handle.read() == source:
            return
    write_bytes(path, source)


def answer(command, text):
    """Run a command with JSON as its input; return its answer, or {"error": sentence}."""
    asked = json.loads(text)
    settings = Settings(asked["pool"], asked["fleet"], reserve=asked.get("reserve", 0),
                        thin_ratio=asked.get("thin_ratio", 1.0), mend=False, lock_timeout=asked.get("lock_timeout", 60))
    try:
        return COMMANDS[command](settings, asked)
    except StowageError as exc:
        return {"error": exc.message}
    except OSError as exc:
        return {"error": f"{exc.strerror or exc} ({exc.filename or 'system call'})"}


def main(arguments=None):
    """Run the command named by the first argument; the exit code is 0 when it worked."""
    arguments = sys.argv[1:] if arguments is None else arguments
    result = answer(arguments[0], sys.stdin.read())
    # A login script may have left its last line open.
    sys.stdout.write("\n" + json.dumps(result) + "\n")
    return 1 if "error" in result else 0
