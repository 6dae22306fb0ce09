# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts are asked with is the same inside a run and outside of it, and names their pool."""

from __future__ import annotations

import pathlib

import yaml

from ansible_collections.stowage.fleet.plugins.plugin_utils.remote.observer import _ARGUMENTS

TASKS = pathlib.Path(__file__).resolve().parents[5] / "roles" / "stowage" / "tasks"
LOOK_INTO_POOLS = ("observe", "apply", "volume")
HANDLERS = TASKS.parent / "handlers" / "main.yml"


def arguments(tasks):
    """Yield the file's arguments of modules that look into a pool, blocks included."""
    for task in tasks:
        yield from arguments(task.get("block", []))
        yield from (task[f"stowage.fleet.{name}"] for name in LOOK_INTO_POOLS if f"stowage.fleet.{name}" in task)


def test_each_task_that_looks_into_a_pool_is_told_where_the_hosts_is():
    found = {path.stem: list(arguments(yaml.safe_load(path.read_text()))) for path in [*TASKS.glob("*.yml"), HANDLERS]}
    pools = {(stem, given.get("pool")) for stem, some in found.items() for given in some}
    told = _ARGUMENTS["pool"]
    assert "storage_pool" in told
    assert pools == {(stem, told) for stem in ("observe", "apply", "work", "main", "delete_disks")}


def test_every_phase_of_a_plan_is_told_the_same_of_its_host():
    told = [{key: value for key, value in one.items() if key != "phase"}
            for path in (TASKS / "apply.yml", TASKS / "work.yml", HANDLERS)
            for one in arguments(yaml.safe_load(path.read_text()))]
    assert len(told) == 3
    assert told[0] == told[1] == told[2]
