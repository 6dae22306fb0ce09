# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of 10 GiB: made, mounted and handed over, and given back; and what I/O through them costs.

The peer is the documents' way: extract a prepared sparse tar with a ready file system, mount it with ``mount -o loop``;
unmount it and delete the file. It gives every volume the same UUID and keeps no record; ours does both, flushed to
disk. Both run on this machine's own file system, as root.

I/O is measured with fio, direct, through the volume and in a plain file on the same file system beside it. Both files
are written whole before, both take turns in short rounds, and of each the best fifth counts: what others do on the
machine meanwhile only ever takes away. Small requests are also measured at a rate that most disks can't exceed
(RATE a second): as many as possible of them show what the way of one costs. A kernel before 6.19 hands each through the
loop driver's thread, and writes through three more (docs/disks.md has the figures).
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from ansible_collections.stowage.fleet.plugins.module_utils.disks.decide import Wanted
from ansible_collections.stowage.fleet.plugins.module_utils.disks.runner import Settings, converge
from benchmarks.measure import Measurement, smoke, turns

ISOLATED = False
PACKAGES = ["e2fsprogs", "fio", "mount", "tar"]
SIZE = 10 << 30
ROUNDS = 7
PARALLEL = 4
IO_ROUNDS = 12
RATE = 8000
IO = {"io-read": ("read", "1M"), "io-write": ("write", "1M"), "io-randread": ("randread", "4k"),
      "io-randwrite": ("randwrite", "4k")}  # fmt: skip


def cases() -> list[str]:
    """Return the cases, in their order."""
    if smoke():
        return ["create-1", "create-2", "release", "no-change-2", "io-read", "io-randwrite"]
    return ["create-1", "create-20", "release", "no-change-20", *IO]


def run(case: str) -> Iterator[Measurement]:
    """Measure one case in a scratch folder that goes away with everything in it."""
    if os.geteuid() != 0:
        raise RuntimeError("volumes are mounted by root only; run this as root")
    place = os.environ.get("STOWAGE_BENCH_DIR", "/var/tmp")
    with tempfile.TemporaryDirectory(prefix="stowage-bench-", dir=place) as at:
        folder = pathlib.Path(at)
        if case in IO:
            yield from _io(case, folder)
        else:
            yield from _life(case, folder)


class _Ours:
    def __init__(self, folder: pathlib.Path) -> None:
        # The scratch folder need not have room for 20 x 10 GiB: both ways make sparse files.
        self._settings = Settings(str(folder / "pool"), thin_ratio=1000, parallel=PARALLEL)

    def make(self, count: int) -> None:
        """Make volumes."""
        _succeed(converge(self._settings, [Wanted(f"a_b_{index}", size=SIZE) for index in range(count)]))

    def drop(self, count: int) -> None:
        """Delete them."""
        _succeed(converge(self._settings, [Wanted(f"a_b_{index}", "absent") for index in range(count)]))


def _succeed(outcome: object) -> None:
    if outcome.failures:  # type: ignore[attr-defined]
        raise RuntimeError(outcome.failures[0])  # type: ignore[attr-defined]


class _Tar:
    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder / "tar"
        self._folder.mkdir()
        image = self._folder / "volume.img"
        image.touch()
        os.truncate(image, SIZE)
        _command("mkfs.ext4", "-q", "-F", "-m", "0", image)
        _command("tar", "--sparse", "-C", self._folder, "-cf", self._folder / "volume.tar", image.name)
        image.unlink()

    def _one(self, index: int) -> None:
        place, target = self._folder / f"v{index}", self._folder / f"m{index}"
        place.mkdir()
        target.mkdir()
        _command("tar", "--sparse", "-C", place, "-xf", self._folder / "volume.tar")
        _command("mount", "-o", "loop", place / "volume.img", target)

    def _away(self, index: int) -> None:
        _command("umount", self._folder / f"m{index}")
        shutil.rmtree(self._folder / f"v{index}")
        (self._folder / f"m{index}").rmdir()

    def make(self, count: int) -> None:
        """Extract and mount; several side by side, as ours."""
        with ThreadPoolExecutor(PARALLEL) as workers:
            list(workers.map(self._one, range(count)))

    def drop(self, count: int) -> None:
        """Unmount and delete."""
        with ThreadPoolExecutor(PARALLEL) as workers:
            list(workers.map(self._away, range(count)))


def _command(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout


def _timed(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _life(case: str, folder: pathlib.Path) -> Iterator[Measurement]:
    """Alternate between the two ways, so that a change of the machine's mood hits both."""
    count = 1 if case == "release" else int(case.rpartition("-")[2])
    ways = {"ours": _Ours(folder), "tar": _Tar(folder)}
    made: dict[str, list[float]] = {name: [] for name in ways}
    dropped: dict[str, list[float]] = {name: [] for name in ways}
    again: list[float] = []
    for number in turns(ROUNDS):  # the first one warms up: page cache, template, modules
        for name, way in ways.items():
            try:
                making = _timed(lambda way=way: way.make(count))
                repeating = _timed(lambda way=way: way.make(count)) if name == "ours" else 0.0
            finally:
                dropping = _timed(lambda way=way: way.drop(count))
            if number:
                made[name].append(making)
                dropped[name].append(dropping)
                again += [repeating] if name == "ours" else []
    figures = dropped if case == "release" else made
    ours, theirs = (1000 * median(figures[name]) / count for name in ways)
    if case.startswith("no-change"):
        yield Measurement("volume", case, "ms/volume", 1000 * median(again) / count, reach=5)
        return
    reach = {"create-1": 1.5, "release": 1.0}.get(case, 2.5)
    yield Measurement("volume", case, "ms/volume", ours, "sparse tar and mount", theirs, reach)
    if case != "release":
        yield Measurement("volume", f"{case} including mount", "ms/volume", ours, reach=20)


def _io(case: str, folder: pathlib.Path) -> Iterator[Measurement]:
    if shutil.which("fio") is None:
        raise RuntimeError("fio is missing; install it to measure I/O")
    way = _Ours(folder)
    way.make(1)
    try:
        mounted = folder / "pool" / "mounts" / "a_b_0"
        places = {"bare": folder / "file", "volume": mounted / "data" / "file"}
        _expect_direct_io(mounted)
        for path in places.values():
            _bandwidth(path, "write", "1M", "--end_fsync=1")
        yield _compare(case, places)
        if case.startswith("io-rand"):
            yield _compare(f"{case} at {RATE} a second", places, f"--rate_iops={RATE}")
    finally:
        way.drop(1)


def _compare(case: str, places: dict[str, pathlib.Path], *more: str) -> Measurement:
    """Measure one pattern in both places by turns, the other one first in every second round."""
    figures: dict[str, list[float]] = {name: [] for name in places}
    for number in turns(IO_ROUNDS):
        for name in sorted(places, reverse=bool(number % 2)):
            bandwidth = _bandwidth(places[name], *IO[case.split()[0]], *more)
            figures[name] += [bandwidth] if number else []
    best = {name: median(sorted(found)[-max(3, IO_ROUNDS // 5) :]) for name, found in figures.items()}
    return Measurement("volume", case, "MB/s", best["volume"], "the bare disk", best["bare"], 0.9, better="higher")


def _expect_direct_io(mounted: pathlib.Path) -> None:
    """Refuse to measure the page cache of the pool's file system in place of the disk."""
    minor = os.minor(os.stat(mounted).st_dev)
    if pathlib.Path(f"/sys/block/loop{minor}/loop/dio").read_text().strip() != "1":
        raise RuntimeError("the scratch folder takes no direct I/O; set STOWAGE_BENCH_DIR to one that does")


def _bandwidth(path: pathlib.Path, pattern: str, block: str, *more: str) -> float:
    size, seconds = ("16M", "100ms") if smoke() else ("256M", "1")
    said = _command("fio", "--name=x", f"--filename={path}", f"--rw={pattern}", f"--bs={block}", f"--size={size}",
                    "--direct=1", "--ioengine=libaio", "--iodepth=16", "--time_based", f"--runtime={seconds}",
                    "--output-format=json", *more)  # fmt: skip
    job = json.loads(said[said.index("{"):])["jobs"][0]
    return float(job["read" if "read" in pattern else "write"]["bw_bytes"]) / 1e6
