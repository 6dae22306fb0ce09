# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module notes while it works is what the operator reads."""

from __future__ import annotations

import pathlib

from ansible_collections.stowage.fleet.plugins.action.volume import read_progress
from ansible_collections.stowage.fleet.plugins.module_utils.disks import progress
from ansible_collections.stowage.fleet.plugins.module_utils.disks.pool import Pool


def notes(pool):
    return "".join(path.read_text() for path in sorted(pathlib.Path(progress.folder_of(pool)).iterdir()))


def test_what_is_counted_is_shown_with_percent_speed_and_time_left(tmp_path, monkeypatch):
    clock = iter([0.0] * 3 + [10.0] * 9)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    pool = Pool(str(tmp_path))
    with progress.reporting(pool, "acme_db_0"):
        progress.stage("copying", 4 << 30)
        progress.count(1 << 30)
        assert read_progress(notes(pool)) == [("acme_db_0", "copying 1 GiB of 4 GiB (25%), 102.4 MiB/s, 30 s left")]
    assert list(tmp_path.iterdir()) == []


def test_what_is_torn_or_unknown_in_size_stops_nobody():
    torn = '{"name": "a", "stage": "unpacking", "done": 1048576, "total": 0, "rate": 0}{"name": "b", "sta'
    assert read_progress(torn) == [("a", "unpacking 1 MiB")]
    assert read_progress("") == []


def test_counting_without_anybody_who_looks_on_does_nothing():
    progress.stage("copying", 1)
    progress.count(1)
    progress.reach(1)
