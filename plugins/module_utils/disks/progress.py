# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a long copy got, for whoever looks on while it runs.

A module can't speak before it ends. So it writes how far it is to a small file in the pool, one for each volume, and
the action plugin ``volume`` reads these while it waits. Each thread works on one volume at a time and counts for that.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import time

_active = threading.local()
_EVERY = 0.5


def folder_of(pool):
    """Where the files lie."""
    return os.path.join(pool.path, "progress")


def clear(pool):
    """Forget what a dead run has left; the pool's lock is held."""
    shutil.rmtree(folder_of(pool), ignore_errors=True)


class _Report:
    def __init__(self, path, name):
        self._path = path
        self._name = name
        self._written = 0.0
        self.begin("", 0)

    def begin(self, stage, total):
        self._stage, self._total, self._done, self._began = stage, total, 0, time.monotonic()
        if stage:
            self._write()

    def reach(self, done):
        self._done = done
        if time.monotonic() - self._written >= _EVERY:
            self._write()

    def count(self, amount):
        self.reach(self._done + amount)

    def _write(self):
        self._written = time.monotonic()
        seconds = max(self._written - self._began, 0.001)
        said = {"name": self._name, "stage": self._stage, "done": self._done, "total": self._total,
                "rate": int(self._done / seconds)}
        # Whoever looks on must never be why a backup fails.
        with contextlib.suppress(OSError), open(f"{self._path}.new", "w", encoding="utf-8") as handle:
            json.dump(said, handle)
        with contextlib.suppress(OSError):
            os.replace(f"{self._path}.new", self._path)


@contextlib.contextmanager
def reporting(pool, name):
    """Report for one volume what this thread counts."""
    path = os.path.join(folder_of(pool), f"{name}.json")
    with contextlib.suppress(OSError):
        os.makedirs(folder_of(pool), mode=0o700, exist_ok=True)
    _active.report = _Report(path, name)
    try:
        yield
    finally:
        _active.report = None
        with contextlib.suppress(OSError):
            os.unlink(path)
        with contextlib.suppress(OSError):
            os.rmdir(folder_of(pool))  # whoever works beside keeps it


def stage(what, total=0):
    """Begin a part of the work, of ``total`` bytes (0 when nobody knows)."""
    report = getattr(_active, "report", None)
    if report:
        report.begin(what, total)


def count(amount):
    """Say that so many more bytes are done."""
    report = getattr(_active, "report", None)
    if report:
        report.count(amount)


def reach(done):
    """Say that so many bytes of this part are done."""
    report = getattr(_active, "report", None)
    if report:
        report.reach(done)
