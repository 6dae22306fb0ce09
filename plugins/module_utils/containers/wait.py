# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until containers are well: running, and healthy where they have a health check.

One list call tells about all of them, so waiting for forty costs no more than waiting for one.
"""

from __future__ import annotations

import re
import time

from ..common.errors import EngineError
from ..engine.client import container_name

# A process that is going to fall over at once has done so after this time. In seconds.
SETTLE = 0.3
# How often to look for the end of one that restarts.
_LOOKS = 40
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5)
_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)")


def health_of(listed):
    """Return the health that the engine's list says, or "" without a health check."""
    match = _HEALTH.search(listed.get("Status") or "")
    return match.group(1) if match else ""


class Waiter:
    """Waits for the containers of one run."""

    def __init__(self, engine, results, pool, timeout, groups=(), patience=None, clock=time.monotonic,
                 sleep=time.sleep):
        """``results`` are those of instances that shall be started, each a ``replace.Result``.

        :param groups: lists of names; once all of one are well, nobody waits for the others any longer.
        :param patience: seconds after which what is neither well nor over its time is left ``waiting``.
        """
        self._groups = [set(group) for group in groups]
        self._patience = timeout if patience is None else min(patience, timeout)
        self._engine = engine
        self._pending = {result.name: result for result in results if not result.failed}
        self._pool = pool
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep

    def wait(self):
        """Wait until all are well, or the time is over; results that are not well are failed."""
        began = self._clock()
        deadline = began + self._timeout
        for pause in _endless(_PAUSES):
            listed = {container_name(container): container for container in self._engine.list_containers()}
            for result in list(self._pending.values()):
                if self._done(result, listed.get(result.name)):
                    del self._pending[result.name]
            if not self._pending:
                return
            now = self._clock()
            if now >= deadline:
                break
            if now >= began + self._patience or self._some_group_is_well():
                for result in self._pending.values():
                    result.waiting = True
                return
            self._sleep(pause)
        list(self._pool.map(self._give_up, self._pending.values()))

    def _some_group_is_well(self):
        return any(group.isdisjoint(self._pending) for group in self._groups)

    def _done(self, result, listed):
        if listed is None:
            result.fail("it vanished while it was waited for")
            return True
        health, state = health_of(listed), listed.get("State")
        if state in ("exited", "dead"):
            result.fail(f"it stopped right after its start: {listed.get('Status')}{self._said(listed['Id'])}")
            return True
        if state == "running" and (health or result.started is None):
            return health in ("", "healthy")
        if state not in ("running", "restarting"):
            return False
        # One that the engine restarted before this run gets the time to find its feet.
        return result.started is not None and self._clock() - result.started >= SETTLE and self._stands(result, listed)

    def _stands(self, result, listed):
        """Look closer, once: one that falls over and is restarted by the engine looks well now and then."""
        container = self._engine.inspect(listed["Id"])
        # The list's text has no health while a container restarts, nor in the first moment.
        health = (container["State"].get("Health") or {}).get("Status") or "none"
        if container.get("RestartCount") and health == "none":
            times = container["RestartCount"]
            result.fail(f"it is restarting repeatedly: restarted {times} times{self._exit_status(container)}"
                        f"{self._said(listed['Id'])}")
            return True
        return container["State"].get("Status") == "running" and health in ("none", "healthy")

    def _exit_status(self, container):
        """Say how it ended; while it runs once more, its status is that of no end, so its next one is waited for."""
        for _look in range(_LOOKS):
            if not container["State"].get("Running") or container["State"].get("Restarting"):
                return f", exit status {container['State'].get('ExitCode')}"
            self._sleep(_PAUSES[1])
            container = self._engine.inspect(container["Id"])
        return ""

    def _give_up(self, result):
        try:
            container = self._engine.inspect(result.name)
        except EngineError as error:
            result.fail(f"not healthy after {self._timeout} seconds: {error}")
            return
        state = container["State"]
        health = state.get("Health") or {}
        what = f"health is {health.get('Status')}" if health.get("Status") else f"state is {state.get('Status')}"
        log = health.get("Log") or []
        check = f"; its last check said: {log[-1].get('Output', '').strip()[:500]}" if log else ""
        result.fail(f"not healthy after {self._timeout} seconds: {what}{check}{self._said(container['Id'])}")

    def _said(self, ident):
        text = self._engine.logs(ident, 5)
        return f"; it wrote last: {text[-1000:]}" if text else ""


def _endless(pauses):
    yield from pauses
    while True:
        yield pauses[-1]
