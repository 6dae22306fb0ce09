# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host is told of a plan: options of modules, from its slice in the run's folder and its own variables."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from .job_board import JobBoard
from .run_folder import RunFolder

Call = Callable[[str, "dict[str, Any]"], "dict[str, Any]"]
_DISKS = ("reserve", "recall", "carry", "forget")
_OF_DISK_MOVE = ("fleet", "reserved", "disk_thin_ratio", "pool", "lock_timeout")
#: Seconds after which a host that waits for its containers looks what else it could do, or says what it waits for.
_LOOK_AROUND = 5.0
_SPEAK = 15.0


class HostWork:
    """The part of a plan that one host carries out."""

    def __init__(
        self,
        host: str,
        options: Mapping[str, Any],
        common: Mapping[str, Any],
        mine: Mapping[str, Any],
        folder: RunFolder,
        call: Call,
        check: bool,
    ) -> None:
        """Take what there is to do.

        :param options: of this host, from its variables. :param common: what holds for all hosts of the plan.
        :param mine: the host's slice. :param call: runs a module on the host.
        """
        self.jobs: list[dict[str, Any]] = mine["jobs"]
        self._host = host
        self._options = dict(options)
        self._parallel_moves = self._options.pop("parallel_moves", 2)
        self._keep_disks_days = self._options.pop("keep_disks_days", None)
        self._common = common
        self._mine = mine
        self._folder = folder
        self._call = call
        self._check = check
        #: Parts of the policy that the host knows, with their digests.
        self._known: dict[str, str] = dict(mine["known"])
        self._began: dict[str, float] = {}

    def claim(self) -> dict[str, Any]:
        """Have the host check the plan against its ledger, and record it there."""
        ledger = dict(self._mine["ledger"])
        if self._host in ledger["keepers"]:
            ledger["body"] = self._folder.read("plan", "ledger")
        return self._call("containers", {**self._basis(), "claim": True, "ledger": ledger})

    def settle(self) -> dict[str, Any]:
        """Bring what stays on the host to what is wanted, with its filters, and delete disks whose time is up."""
        changing = bool(self._common["changes"]) and not self._check
        options = {
            **self._of_containers("after"),
            "instances": self._mine["keep"],
            "filters": "all",
            "observe": "always" if changing or self._mine["unwell"] else "changed",
        }
        if self._keep_disks_days is not None:
            options.update(keep_disks_days=self._keep_disks_days, keep_instances=self._mine["keep_instances"])
        return self._call("containers", options)

    def do(
        self, ready: list[dict[str, Any]], more: bool, board: JobBoard, say: Callable[[str], None]
    ) -> dict[str, Any]:
        """Do jobs whose time has come, in one call where containers are concerned; report each that is done.

        :param more: whether the host has further jobs, which may become ready meanwhile.
        """
        total: dict[str, Any] = {"changed": False, "diff": [], "warnings": []}
        for job in [job for job in ready if job["kind"] in _DISKS]:
            self._take(total, self._move_disks(job, board))
        jobs = [job for job in ready if job["kind"] not in _DISKS]
        if jobs:
            self._take(total, self._work_on(jobs, more or len(jobs) > 1, board, say))
        return total

    @staticmethod
    def _take(total: dict[str, Any], done: Mapping[str, Any]) -> None:
        add(total, done)
        if done.get("failed"):
            total.update(failed=True, msg="\n".join(filter(None, [total.get("msg"), str(done.get("msg"))])))

    def _move_disks(self, job: dict[str, Any], board: JobBoard) -> dict[str, Any]:
        options = {key: self._options[key] for key in _OF_DISK_MOVE if key in self._options}
        done = self._call("disk_move", {**options, "operation": job["kind"], "disks": job["disks"],
                                        "parallel": self._parallel_moves})
        board.report(job, str(done.get("msg") or "it failed") if done.get("failed") else "")
        return {key: done[key] for key in ("changed", "failed", "msg", "warnings") if key in done}

    def _work_on(
        self, jobs: list[dict[str, Any]], look_around: bool, board: JobBoard, say: Callable[[str], None]
    ) -> dict[str, Any]:
        now = time.monotonic()
        for job in jobs:
            self._began.setdefault(job["index"], now)
        timeout = int(self._options.get("wait_timeout") or 120)
        began = min(self._began[job["index"]] for job in jobs)
        opening = all(job["kind"] == "open" for job in jobs)
        options = {
            **self._of_containers("before" if opening else "during"),
            "instances": [options for job in jobs for options in job["instances"]],
            "remove": [name for job in jobs for name in job["remove"]],
            "keep_disks": [name for job in jobs for name in job["keep_disks"]],
            "filters": "changed" if any(job["kind"] == "open" for job in jobs) else "none",
            "wait_timeout": max(1, int(timeout - (now - began))),
            "wait_patience": _LOOK_AROUND if look_around else _SPEAK,
            "wait_groups": [names for names in (_names(job) for job in jobs) if names] if look_around else [],
        }
        done = self._call("containers", options)
        rows = {row["name"]: row for row in done.get("containers") or []}
        if done.get("failed") and not any(row.get("failed") for row in rows.values()):
            for job in jobs:
                board.report(job, str(done.get("msg") or "it failed"))
            return done
        waiting = []
        for job in jobs:
            mine = [rows[name] for name in (*_names(job), *job["remove"]) if name in rows]
            late = [row for row in mine if row.get("waiting")]
            failed = [f"{row['name']}: {row['msg']}" for row in mine if row.get("failed")]
            if failed or not late:
                board.report(job, "\n".join(failed))
            else:
                waiting += late
        if waiting and time.monotonic() - began > _SPEAK - 1:
            names = ", ".join(row["name"] for row in waiting)
            say(f"waits for {names} to become healthy, since {time.monotonic() - began:.0f} seconds")
        return done

    def _basis(self) -> dict[str, Any]:
        return {**self._options, "host_name": self._host, "plan": self._common["claim"], "by": self._common["by"]}

    def _of_containers(self, phase: str) -> dict[str, Any]:
        return {**self._basis(), "networks": self._common["networks"], "isolation": self._policy(phase)}

    def _policy(self, phase: str) -> dict[str, Any]:
        """Return the policy of a phase for this host: digests of all parts, and those parts that it does not know."""
        digests = self._mine["policies"][phase]
        policy: dict[str, Any] = {"digests": digests, "clusters": {}}
        for part, digest in digests.items():
            if self._known.get(part) != digest:
                body = self._folder.read("policies", digest)
                if part.startswith(":"):
                    policy.update(body)
                else:
                    policy["clusters"][part] = body
        return policy


def _names(job: Mapping[str, Any]) -> list[str]:
    return [options["name"] for options in job["instances"]]


def add(total: dict[str, Any], done: Mapping[str, Any]) -> None:
    """Add what was changed, and what is to be said of it, to a sum."""
    total["changed"] = total["changed"] or bool(done.get("changed"))
    total["diff"] += done.get("diff") or []
    total["warnings"] += done.get("warnings") or []
