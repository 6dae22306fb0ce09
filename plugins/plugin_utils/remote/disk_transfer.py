# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries disks from one host to another, by way of the controller; knows nothing of Ansible.

Each end runs the same program (``module_utils/disks/moves.py``) and does one thing at a time; what is true at every
moment stands in the records of the two hosts, never here. So this may die anywhere, and be begun again.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Protocol

from ...module_utils.common.errors import StowageError
from ...module_utils.common.sizes import human_size
from ...module_utils.disks import moves, stream
from ...module_utils.disks.program import build_moves

# A frame has to be worth the start of a program at each end, and is held in memory a few times.
FRAME = 32 << 20
_PROGRAM = ".move.pyz"
Say = Callable[[str], None]


class CarryFailed(StowageError):
    """A disk could not be moved; the sentence says where its good copy is."""


class End(Protocol):
    """A host that runs commands."""

    name: str
    python: str

    def run(self, command: str, data: bytes) -> tuple[int, bytes, bytes]:
        """Run a shell command as root with ``data`` as its input; return (exit code, output, error output)."""


class Place:
    """One end of a move: a pool on a host, and the program that works there."""

    def __init__(self, end: End, pool: str, fleet: str, options: Mapping[str, Any] | None = None) -> None:
        """Keep it. ``options`` are those of the pool: ``reserve`` (bytes), ``thin_ratio``, ``lock_timeout``."""
        self.name = end.name
        self._end = end
        self._pool = pool
        self._asked = {"pool": pool, "fleet": fleet, **(options or {})}

    def install(self) -> None:
        """Bring the program there, the very code of this controller."""
        pool, program = shlex.quote(self._pool), shlex.quote(f"{self._pool}/{_PROGRAM}")
        script = f"umask 077 && mkdir -p {pool} && cat > {program}.$$ && mv -f {program}.$$ {program}"
        self._run(f"/bin/sh -c {shlex.quote(script)}", build_moves())

    def ask(self, command: str, **asked: Any) -> Any:
        """Run a command of the program and return its answer."""
        data = json.dumps({**self._asked, **asked}).encode()
        rc, out, err = self._end.run(self._python(_PROGRAM, command), data)
        answer = _last_json(out)
        if answer is None:
            raise CarryFailed(f"host {self.name}: {_words(err) or _words(out) or f'{command} ended with {rc}'}")
        if "error" in answer:
            raise CarryFailed(f"host {self.name}: {answer['error']}")
        return answer

    def send(self, path: str, offset: int) -> bytes:
        """Return the frame of a file that begins at ``offset``."""
        return self._run(self._python(moves.STREAM_PROGRAM, "send", path, str(offset), str(FRAME)), b"\n")

    def receive(self, path: str, offset: int, frame: bytes) -> None:
        """Append a frame to a file that holds all before ``offset``."""
        self._run(self._python(moves.STREAM_PROGRAM, "receive", path, str(offset)), frame)

    def _python(self, program: str, *arguments: str) -> str:
        return shlex.join([self._end.python, "-I", f"{self._pool}/{program}", *arguments])

    def _run(self, command: str, data: bytes) -> bytes:
        rc, out, err = self._end.run(command, data)
        if rc:
            raise CarryFailed(f"host {self.name}: {_words(err) or _words(out) or f'exit status {rc}'}")
        return out


def _last_json(out: bytes) -> dict[str, Any] | None:
    """Return the answer out of what a command said, whatever a login script said before it."""
    for line in reversed(out.splitlines()):
        if line.startswith(b"{"):
            answer: dict[str, Any] = json.loads(line)
            return answer
    return None


def _words(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1][-500:] if lines else ""


def make_room(source: Place, target: Place, names: Iterable[str]) -> None:
    """Have the target keep room for disks, before anything is stopped; CarryFailed when it has none."""
    for place in (source, target):
        place.install()
    target.ask("reserve", volumes=source.ask("describe", names=sorted(names)), peer=source.name)


def carry(source: Place, target: Place, names: Iterable[str], say: Say = lambda text: None) -> dict[str, Any]:
    """Move disks, all of one instance: hold, copy, compare, commit, and only then give up the old ones.

    Return {"bytes": what travelled, "seconds": …}. When it fails, the source still has the good copies.
    """
    began, names = time.monotonic(), sorted(names)
    for place in (source, target):
        place.install()
    try:
        offers = source.ask("offer", names=names, peer=target.name)
        room = target.ask("reserve", volumes=offers, peer=source.name)
        missing = {name: offer for name, offer in offers.items() if not room[name].get("here")}
        travelled = 0
        for name, offer in missing.items():
            travelled += _fetch(source, target, offer, room[name]["files"], say)
        if missing:
            target.ask("commit", volumes=missing)
    except StowageError as error:
        raise CarryFailed(f"{', '.join(names)}: the move from {source.name} to {target.name} was interrupted, and "
                          f"{source.name} keeps the data: {error.message}. Run again to go on") from error
    source.ask("hand-over", ids={name: offer["id"] for name, offer in offers.items()})
    return {"bytes": travelled, "seconds": round(time.monotonic() - began, 3)}


def _fetch(source: Place, target: Place, offer: dict[str, Any], room: Mapping[str, Any], say: Say) -> int:
    """Copy the files of one disk until both ends agree on what they hold; note their checksums in ``offer``."""
    travelled, offer["digests"] = 0, {}
    for file in offer["files"]:
        place, name = room[file["key"]], f"{offer['name']}{'@' if file['key'] else ''}{file['key']}"
        travelled += _copy(source, target, file, place, name, say)
        digest, found = _digests(source, target, file["path"], place["path"])
        if digest != found and place["have"]:
            say(f"{name}: what an earlier run has copied is not whole; copying it anew")
            target.ask("restart", paths=[place["path"]])
            travelled += _copy(source, target, file, {**place, "have": 0}, name, say)
            digest, found = _digests(source, target, file["path"], place["path"])
        if digest != found:
            raise CarryFailed(f"{name}: the copy differs from the disk (SHA-256 {found[:16]}, expected {digest[:16]})")
        offer["digests"][file["key"]] = digest
        say(f"{name}: {target.name} holds the same as {source.name} (SHA-256 {digest[:16]})")
    return travelled


def _digests(source: Place, target: Place, path: str, copy: str) -> tuple[str, str]:
    """Return what both ends find in a file, looking at the same time."""
    with ThreadPoolExecutor(1) as aside:
        there = aside.submit(source.ask, "digest", paths=[path])
        found = target.ask("digest", paths=[copy])
        return there.result()[path], found[copy]


def _copy(
    source: Place, target: Place, file: Mapping[str, Any], place: Mapping[str, Any], name: str, say: Say
) -> int:
    """Copy a file from where an earlier copy stopped, reading one frame ahead; return the bytes of data that came."""
    offset, travelled, progress = place["have"], 0, _Progress(name, file, place["have"], say)
    if offset >= file["size"]:
        return 0
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(source.send, file["path"], offset)
        while offset < file["size"]:
            frame = ahead.result()
            try:
                head = stream.unpack(frame)[0]
            except stream.TornFrame as error:
                raise CarryFailed(f"host {source.name}: {error}") from error
            if head["next"] < file["size"]:
                ahead = reader.submit(source.send, file["path"], head["next"])
            target.receive(place["path"], offset, frame)
            offset = head["next"]
            travelled += head["data"]
            progress.at(travelled)
    return travelled


class _Progress:
    """Says now and then how far a copy is."""

    def __init__(self, name: str, file: Mapping[str, Any], have: int, say: Say, every: float = 5.0) -> None:
        self._name, self._file, self._say, self._every = name, file, say, every
        self._began = self._last = time.monotonic()
        if have:
            say(f"{name}: going on from {human_size(have)} of {human_size(file['size'])}")

    def at(self, travelled: int) -> None:
        """Say how far it is, unless that was said just now."""
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            rate = human_size(int(travelled / (now - self._began) / 1048576) * 1048576)
            self._say(f"{self._name}: {human_size(travelled)} of {human_size(self._file['used'])} copied, {rate}/s")
