# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of volume: shows how far backups and restores are, while the module works in the background.

A module is heard only when it has ended. For what may take long it is therefore started as an asynchronous job, and
until that ends, what it notes in the pool is read and shown. Anything else is one ordinary run of the module.
"""

from __future__ import annotations

import json
import shlex
import time
from typing import Any

from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.stowage.fleet.plugins.module_utils.common.sizes import human_size
from ansible_collections.stowage.fleet.plugins.module_utils.disks.pool import DEFAULT_POOL

display = Display()
# Seconds: a job that runs longer than a week is one that hangs.
LONGEST = 7 * 86400
# Seconds between two looks; the first ones come sooner, so that what is short ends at once.
SHORTEST, EVERY = 0.2, 5.0
_UNREACHED = 12
# What Ansible adds to the result of a job, and a module's own result has not.
_OF_THE_JOB = ("ansible_job_id", "started", "finished", "results_file", "stdout", "stderr", "stdout_lines",
               "stderr_lines")  # fmt: skip


class ActionModule(ActionBase):
    """Runs the module, in the background where it copies whole disks to or from files."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        native = bool(getattr(self._connection, "has_native_async", False))
        asked = bool(self._task.async_val) and not native
        if asked or native or self._task.check_mode or not self._is_long():
            result.update(self._execute_module(task_vars=task_vars, wrap_async=asked))
            if not asked:
                self._remove_tmp_path(self._connection._shell.tmpdir)
            return result
        started = self._start(task_vars)
        if not started.get("ansible_job_id") or started.get("failed"):
            return started
        return self._wait(started["ansible_job_id"], task_vars)

    def _is_long(self) -> bool:
        volumes = self._task.args.get("volumes") or []
        return isinstance(volumes, list) and any(
            isinstance(volume, dict) and (volume.get("backup") or volume.get("restore")) for volume in volumes
        )

    def _start(self, task_vars: Any) -> dict[str, Any]:
        """Start the module in the background."""
        before = self._task.async_val
        self._task.async_val = LONGEST
        try:
            started: dict[str, Any] = self._execute_module(task_vars=task_vars, wrap_async=True)
        finally:
            self._task.async_val = before
        return started

    def _wait(self, job: str, task_vars: Any) -> dict[str, Any]:
        """Show how far the job is until it ends, and return its result."""
        pause, shown, missed = SHORTEST, {}, 0
        while True:
            # Ansible tells nobody when a job on a host ends; its own polling sleeps too.
            time.sleep(pause)
            pause = min(EVERY, pause * 1.5)
            try:
                status = self._status(job, "status", task_vars)
            except Exception as error:  # the network may be away for a moment, as for any asynchronous task
                missed += 1
                if missed >= _UNREACHED:
                    raise
                display.vvv(f"volume: {error}; the job goes on, and is asked for again")
                continue
            missed = 0
            if status.get("finished") or status.get("failed"):
                break
            shown = self._show(shown, (task_vars or {}).get("inventory_hostname") or "host")
        self._status(job, "cleanup", task_vars)
        return {key: value for key, value in status.items() if key not in _OF_THE_JOB}

    def _status(self, job: str, mode: str, task_vars: Any) -> dict[str, Any]:
        task = Task.load({"action": "ansible.legacy.async_status", "args": {"jid": job, "mode": mode},
                          "environment": self._task.environment})  # fmt: skip
        handler = self._shared_loader_obj.action_loader.get(
            "ansible.legacy.async_status",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        status: dict[str, Any] = handler.run(task_vars=task_vars)
        return status

    def _show(self, shown: dict[str, str], host: str) -> dict[str, str]:
        """Print one line for each volume that got on; return what is shown by now."""
        pool = shlex.quote(str(self._task.args.get("pool") or DEFAULT_POOL))
        said = self._low_level_execute_command(f"cat {pool}/progress/*.json 2>/dev/null || true")
        now = dict(read_progress(said.get("stdout") or ""))
        for name, line in now.items():
            if shown.get(name) != line:
                display.display(f"{host}: {name}: {line}")
        return {**shown, **now}


def read_progress(text: str) -> list[tuple[str, str]]:
    """Return (volume, line) of all that files of ``progress`` say, one after the other; torn ones are left out."""
    decoder, at, found = json.JSONDecoder(), text.find("{"), []
    while at >= 0:
        try:
            said, at = decoder.raw_decode(text, at)
            found.append((str(said["name"]), describe(said)))
        except (ValueError, KeyError, TypeError):
            at += 1
        at = text.find("{", at)
    return found


def describe(said: dict[str, Any]) -> str:
    """Return how far one volume is, for people: stage, bytes, percent, speed, time left."""
    done, total, rate = int(said["done"]), int(said["total"]), int(said["rate"])
    line = f"{said['stage']} {human_size(done)}"
    if total:
        done = min(done, total)
        line += f" of {human_size(total)} ({100 * done // total}%)"
    if rate:
        line += f", {human_size(rate)}/s"
        if total:
            line += f", {_duration((total - done) // rate)} left"
    return line


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
