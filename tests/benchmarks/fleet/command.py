# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command and what it costs: processor time and memory of all its processes, however they part from each other."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
EVERY = 0.5
MIB = 2**20


class TooMuch(Exception):
    """A command took longer, or more memory, than it may."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """Seconds on the clock, seconds of processors (user and system), and the peak memory in bytes.

    Memory is that of all processes at one moment, what they share counted once (PSS), looked at twice a second; or
    that of the largest one, when that was more between two looks.
    """

    wall: float
    cpu: float
    memory: int
    output: str


def run(command: list[str], environment: Mapping[str, str], folder: Path, seconds: float, memory: int) -> Cost:
    """Run a command to its end; raises TooMuch when it goes beyond the limits, RuntimeError when it fails."""
    # Processes that outlive the one that started them become ours, and so does their bill.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                   env=dict(environment), cwd=folder)  # fmt: skip
        watch = _Watch(process.pid, began + seconds, memory)
        try:
            process.wait()
        except BaseException:  # an interrupted benchmark leaves nothing behind
            _end(process.pid)
            raise
        finally:
            watch.stop()
            _reap()
        wall = time.perf_counter() - began
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if watch.excess:
        raise TooMuch(watch.excess)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, watch.peak, said)


class _Watch:
    """Looks at a process and all that came of it, and ends them when they go too far."""

    def __init__(self, pid: int, deadline: float, memory: int) -> None:
        self.peak = 0
        self.excess = ""
        self._root = pid
        self._deadline = deadline
        self._memory = memory
        self._done = threading.Event()
        self._began = time.perf_counter()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(EVERY):
            family = _family(self._root)
            self.peak = max(self.peak, sum(map(_resident, family)), *map(_highest, family), 0)
            if self.peak > self._memory:
                self.excess = f"it took more than {self._memory // MIB} MiB of memory, after "
            elif time.perf_counter() > self._deadline:
                self.excess = f"it was not done, with {self.peak // MIB} MiB of memory, after "
            if self.excess:
                self.excess += f"{time.perf_counter() - self._began:.0f} s"
                _end(self._root)
                return


def _family(root: int) -> list[int]:
    """A process and its descendants, and those that were left to us when their parents ended."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry)] = int(fields[1])
    found = {root, *(pid for pid, parent in parents.items() if parent == os.getpid())} & set(parents)
    while True:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def _resident(pid: int) -> int:
    return _kibibytes(f"/proc/{pid}/smaps_rollup", "Pss:")


def _highest(pid: int) -> int:
    return _kibibytes(f"/proc/{pid}/status", "VmHWM:")


def _kibibytes(path: str, name: str) -> int:
    try:
        for line in Path(path).read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except OSError:  # it has ended
        pass
    return 0


def _end(root: int) -> None:
    """End a process and its descendants, of which some may be in sessions of their own."""
    while family := _family(root):
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)


def _reap() -> None:
    """Take the bills of orphans that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
