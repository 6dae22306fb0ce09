# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a host carry out its part of the plan, which lies in the run's folder on the controller."""

from __future__ import annotations

import time
from typing import Any

from ansible import context
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.stowage.fleet.plugins.plugin_utils.controller import fleet_group
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.values import plain
from ansible_collections.stowage.fleet.plugins.plugin_utils.host_work import HostWork, add
from ansible_collections.stowage.fleet.plugins.plugin_utils.job_board import JobBoard, Patience, refusals
from ansible_collections.stowage.fleet.plugins.plugin_utils.run_folder import CLAIMS, SETTLED, RunFolder

_PAUSE = 0.1
#: Seconds that Ansible may take to start the processes of other hosts.
_STARTING = 5.0
_SAY_EVERY = 15.0
_DEFAULT_FORKS = 5
display = Display()


class ActionModule(ActionBase):
    """Three phases: ``start`` claims the plan, ``work`` does the host's jobs, ``settle`` keeps what stays.

    Where nothing is to change, ``start`` settles.
    """

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was changed, the diff, and of ``work`` whether something is ``pending``."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._variables = task_vars or {}
        self._name = str(self._variables["inventory_hostname"])
        self._folder = RunFolder(fleet_group(self._variables))
        options = plain(self._task.args)
        phase = options.pop("phase", None)
        common = self._folder.read("plan", "common")
        mine = self._folder.read("hosts", self._name)
        if common is None or mine is None:
            return {**result, "failed": True, "msg": f"There is no plan for {self._name}; expected the task that plans "
                    "to have run before. Nothing was touched."}
        self._work = HostWork(self._name, options, common, mine, self._folder, self._call, self._task.check_mode)
        done: dict[str, Any] = {"start": self._start, "work": self._do_jobs, "settle": self._settle}[str(phase)](common)
        return {**result, **done}

    def _call(self, module: str, options: dict[str, Any]) -> dict[str, Any]:
        """Run a module of the collection on the host, or one of its actions that need both sides."""
        name = f"stowage.fleet.{module}"
        if module != "disk_move":
            return self._execute_module(name, module_args=options, task_vars=self._variables)
        task = self._task.copy()
        task.args = options
        action = self._shared_loader_obj.action_loader.get(
            name, task=task, connection=self._connection, play_context=self._play_context, loader=self._loader,
            templar=self._templar, shared_loader_obj=self._shared_loader_obj)
        return action.run(task_vars=self._variables)

    def _start(self, common: dict[str, Any]) -> dict[str, Any]:
        if self._task.check_mode or not common["changes"]:
            return self._settle(common)
        try:
            claimed = self._work.claim()
        except AnsibleConnectionFailure as error:
            self._folder.write(CLAIMS, self._name, f"it does not answer: {error}")
            raise
        self._folder.write(CLAIMS, self._name, claimed.get("msg", "it failed") if claimed.get("failed") else "")
        # What is to be done is a change, also when a run before this one has claimed it.
        return claimed if claimed.get("failed") else {"changed": True}

    def _settle(self, common: dict[str, Any]) -> dict[str, Any]:
        if common["changes"] and not self._task.check_mode and self._refused(common):
            return {"changed": False, "skipped": True, "skip_reason": "the plan was refused"}
        settled = self._work.settle()
        if settled.get("host"):
            self._folder.write(SETTLED, self._name, plain(settled.pop("host")))
        return _told(settled)

    def _refused(self, common: dict[str, Any]) -> dict[str, str]:
        """Return which hosts know a newer plan: then nobody begins. One that is silent delays nobody else."""
        return {host: why for host, why in refusals(self._folder, common["hosts"]).items() if "outdated" in why}

    def _do_jobs(self, common: dict[str, Any]) -> dict[str, Any]:
        if self._refused(common):
            return {"changed": False, "pending": False}
        board = JobBoard(self._folder, common["steps"], self._name)
        board.give_up_on(refusals(self._folder, common["hosts"]))
        # What failed in a round before this one is told at the end: a host that fails takes no part in further rounds.
        total = self._folder.read("failures", self._name) or {"changed": False, "failures": []}
        total.update(diff=[], warnings=[])
        try:
            total["pending"] = self._in_order(common, board, total)
        except BaseException as error:
            silent = isinstance(error, AnsibleConnectionFailure)
            board.report_all(self._work.jobs, f"{self._name} does not answer: {error}" if silent else str(error))
            raise
        finally:
            board.stop()
        if total["pending"]:
            self._folder.write("failures", self._name, {key: total[key] for key in ("changed", "failures")})
            total["failures"] = []
        return _told(total)

    def _in_order(self, common: dict[str, Any], board: JobBoard, total: dict[str, Any]) -> bool:
        """Do the host's jobs, each as soon as what it waits for is done.

        :returns: whether some are left because Ansible has no process free for a host that has to go first.
        """
        forks = int((context.CLIARGS or {}).get("forks") or _DEFAULT_FORKS)
        patience = Patience(_STARTING, _SAY_EVERY)
        while left := [job for job in self._work.jobs if not board.is_reported(job)]:
            obstacles = [(job, board.obstacle(job)) for job in left]
            ready = [job for job, obstacle in obstacles if obstacle is None]
            given_up = [(job, obstacle) for job, obstacle in obstacles if obstacle is not None and obstacle.final]
            for job, obstacle in given_up:
                board.report(job, obstacle.text)
            if ready:
                board.start(working=True)
                self._do(ready, len(ready) < len(left), board, total)
                patience = Patience(_STARTING, _SAY_EVERY)
            elif not given_up:
                board.start(working=False)
                if not board.can_progress(common["workers"], forks, not patience.is_over()):
                    if not board.is_stuck():
                        return True
                    board.report_all(left, str(obstacles[0][1].text if obstacles[0][1] else ""))
                if patience.is_time_to_speak():
                    display.display(f"[{self._name}] {obstacles[0][1].text}, since {patience.seconds:.0f} seconds")
                time.sleep(_PAUSE)
        return False

    def _do(self, ready: list[dict[str, Any]], more: bool, board: JobBoard, total: dict[str, Any]) -> None:
        try:
            done = self._work.do(ready, more, board, lambda text: display.display(f"[{self._name}] {text}"))
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            board.report_all(ready, str(error))
            done = {"failed": True, "msg": str(error)}
        add(total, done)
        if done.get("failed"):
            total["failures"].append(str(done.get("msg")))


def _told(done: dict[str, Any]) -> dict[str, Any]:
    """Return what people are to see of a result."""
    told = {key: done[key] for key in ("changed", "diff", "pending", "warnings", "failed", "msg", "module_stderr",
                                       "module_stdout", "rc", "exception") if key in done}
    failures = list(dict.fromkeys(done.get("failures") or []))
    if failures:
        told.update(failed=True, msg="\n".join(failures))
    return told
