# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which jobs of a plan are done: how the tasks of many hosts, each a process of its own, see what they wait for."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .run_folder import CLAIMS, RunFolder, word

JOBS = "jobs"
ACTIVE = "active"
_WORKING = "working"
_WAITING = "waiting"
#: Kinds of steps that others wait for, but not for their success.
_BEST_EFFORT = ("open", "forget")

Job = Mapping[str, Any]


@dataclass(frozen=True)
class Obstacle:
    """Why a job can't be done now: ``final`` when it never will in this run."""

    text: str
    final: bool


class JobBoard:
    """What has become of the jobs of a plan, in files of the run's folder."""

    def __init__(self, folder: RunFolder, steps: list[Mapping[str, Any]], host: str) -> None:
        """``steps`` have ``name``, ``kind`` and ``hosts``; ``host`` is whose jobs this process does."""
        self._folder = folder
        self._steps = steps
        self._host = host
        self._done: dict[int, set[str]] = {}
        self._failed: dict[tuple[int, str], str] = {}

    def report(self, job: Job, failure: str = "") -> None:
        """Tell the others that a job of this host is done, or why it failed."""
        self._folder.write(f"{JOBS}/{job['index']}", self._host, failure)

    def is_reported(self, job: Job) -> bool:
        """Say whether a job of this host is done or has failed."""
        return word(self._host) in self._reported(job["index"])

    def obstacle(self, job: Job) -> Obstacle | None:
        """Return what is in the way of a job; None when it can be done."""
        for index, hosts in job["waits_for"]:
            step = self._steps[index]
            for host in step["hosts"] if hosts is None else hosts:
                failure = self._outcome(index, host)
                if failure is None:
                    return Obstacle(f"waits for '{step['name']}' on {host}", final=False)
                if failure and step["kind"] not in _BEST_EFFORT:
                    return Obstacle(f"waits for '{step['name']}', which is not done on {host}", final=True)
        return None

    def _outcome(self, index: int, host: str) -> str | None:
        """Return '' when a job is done, why it failed, or None while that is open."""
        key = (index, host)
        if key in self._failed:
            return self._failed[key]
        name = word(host)
        if name not in self._done.get(index, ()):
            self._done[index] = self._reported(index)
            if name not in self._done[index]:
                return None
        self._failed[key] = str(self._folder.read(f"{JOBS}/{index}", host) or "")
        return self._failed[key]

    def _reported(self, index: int) -> set[str]:
        return self._folder.words(f"{JOBS}/{index}")

    def failures(self) -> Iterable[tuple[Mapping[str, Any], str, str]]:
        """Yield (step, host, why) of every job that failed or was not done."""
        for index, step in enumerate(self._steps):
            for host in step["hosts"]:
                failure = self._outcome(index, host)
                if failure or failure is None:
                    yield step, host, failure or "was not reached"

    def start(self, working: bool) -> None:
        """Tell the others whether this host's process works or waits; it counts as alive until ``stop``."""
        self._folder.write(ACTIVE, self._host, [_WORKING if working else _WAITING, os.getpid()])

    def stop(self) -> None:
        """Tell the others that this host's process has ended."""
        self._folder.forget(ACTIVE, self._host)

    def can_progress(self, hosts: Collection[str], forks: int, starting: bool) -> bool:
        """Say whether waiting makes sense: somebody works, or the process of another host may yet start.

        :param hosts: those with jobs. :param forks: how many processes Ansible runs at once.
        :param starting: whether Ansible may still be starting processes.
        """
        there = self._folder.words(ACTIVE)
        alive = [told for told in (self._folder.read(ACTIVE, host) for host in hosts if word(host) in there)
                 if told and _is_alive(told[1])]
        return any(told[0] == _WORKING for told in alive) or (starting and len(alive) < min(forks, len(hosts)))

    def is_stuck(self) -> bool:
        """Say whether nobody has done anything since this host gave up waiting the last time."""
        count = sum(len(self._reported(index)) for index in range(len(self._steps)))
        before = self._folder.read("rounds", self._host)
        self._folder.write("rounds", self._host, count)
        return before == count

    def give_up_on(self, refused: Mapping[str, str]) -> None:
        """Report the jobs of hosts that did not take the plan."""
        for index, step in enumerate(self._steps):
            for host in refused.keys() & step["hosts"]:
                if self._outcome(index, host) is None:
                    self._folder.write(f"{JOBS}/{index}", host, refused[host])

    def report_all(self, jobs: Iterable[Job], failure: str) -> None:
        """Report those of this host's jobs as failed that are not reported yet."""
        for job in jobs:
            if not self.is_reported(job):
                self.report(job, failure)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Patience:
    """How long a process waits for others that are to start, and when it says so."""

    def __init__(self, start_within: float, say_every: float) -> None:
        self._start_within = start_within
        self._say_every = say_every
        self._began = self._said = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has waited."""
        return time.monotonic() - self._began

    def is_over(self) -> bool:
        """Say whether those that were to start would have done so by now."""
        return self.seconds > self._start_within

    def is_time_to_speak(self) -> bool:
        """Say whether it is time to tell people that it waits still."""
        now = time.monotonic()
        if now - self._said < self._say_every:
            return False
        self._said = now
        return True


def refusals(folder: RunFolder, hosts: Iterable[str]) -> dict[str, str]:
    """Return why hosts did not take the plan, by name; ``""`` of one that did is left out."""
    claims = folder.read_of(CLAIMS, hosts)
    return {host: str(claims.get(host, "it did not answer")) for host in hosts if claims.get(host, None) != ""}
