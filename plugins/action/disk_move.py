# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves disks to the host of the task: makes the ways to both hosts, and has ``plugin_utils/remote`` do the work."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.common.sizes import parse_size
from ansible_collections.stowage.fleet.plugins.module_utils.disks.pool import DEFAULT_POOL
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.values import plain
from ansible_collections.stowage.fleet.plugins.plugin_utils.remote.disk_transfer import Place, carry, make_room
from ansible_collections.stowage.fleet.plugins.plugin_utils.remote.reach import Reach, reach

ARGUMENTS = {
    "operation": {"type": "str", "choices": ["reserve", "carry", "recall", "forget"], "required": True},
    "disks": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "instance": {"type": "str", "required": True},
            "from_host": {"type": "str"},
            "uuid": {"type": "str"},
            "generation": {"type": "int"},
        },
    },
    "fleet": {"type": "str", "default": "fleet"},
    "pool": {"type": "path", "default": DEFAULT_POOL},
    "reserved": {"type": "dict", "default": {}},
    "disk_thin_ratio": {"type": "float", "default": 1.0},
    "parallel": {"type": "int", "default": 2},
    "lock_timeout": {"type": "int", "default": 60},
}
# Where the inventory says where a host's pool is; the role ``storage`` reads it too.
_WHERE = "storage_pool"
display = Display()


class ActionModule(ActionBase):
    """Runs on the controller; each host is worked on by the program that ``carry`` brings there."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do one operation for all disks; what fails is said for each instance, after all were tried."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        arguments, variables = plain(arguments), task_vars or {}
        jobs = _by_instance(arguments["disks"])
        if self._task.check_mode:
            return {**result, "changed": arguments["operation"] != "reserve", "moved": [{"instance": i} for i in jobs]}
        ways: list[Reach] = []
        try:
            # Plugins are loaded here, one after the other; only what they are used for runs side by side.
            work = [self._prepare(arguments, disks, variables, ways) for disks in jobs.values()]
            with ThreadPoolExecutor(max(1, arguments["parallel"])) as workers:
                done = list(workers.map(_attempt, work))
        except (StowageError, AnsibleError) as error:
            return {**result, "failed": True, "msg": str(error), "moved": []}
        result["moved"] = [moved for moved, _failure in done if moved is not None]
        # Room that is kept shows nowhere; what it is kept for does.
        result["changed"] = bool(result["moved"]) and arguments["operation"] != "reserve"
        failures = [failure for _moved, failure in done if failure]
        if failures:
            result.update(failed=True, msg="\n".join(failures))
        return result

    def _prepare(
        self, arguments: dict[str, Any], disks: list[dict[str, Any]], variables: dict[str, Any], ways: list[Reach]
    ) -> Any:
        """Return a function that does the work for one instance."""

        def place(host: str, options: dict[str, Any]) -> Place:
            ways.append(reach(host, self, variables))
            return Place(ways[-1], _pool_of(host, arguments["pool"], variables), arguments["fleet"], options)

        names = [disk["name"] for disk in disks]
        told = {"instance": disks[0]["instance"]}
        lock = {"lock_timeout": arguments["lock_timeout"]}
        reserve = parse_size(arguments["reserved"].get("disk") or 0)
        here = place(variables["inventory_hostname"],
                     {**lock, "reserve": reserve, "thin_ratio": arguments["disk_thin_ratio"]})
        if arguments["operation"] == "recall":
            return lambda: {**told, **_ask(here, "recall", names=names)}
        if arguments["operation"] == "forget":
            good = {disk["name"]: {"uuid": disk["uuid"], "generation": disk["generation"]} for disk in disks}
            return lambda: {**told, **_ask(here, "forget", volumes=good)}
        sources = {host: place(host, lock) for host in sorted({disk["from_host"] for disk in disks})}
        of = {host: [disk["name"] for disk in disks if disk["from_host"] == host] for host in sources}
        if arguments["operation"] == "reserve":
            return lambda: [make_room(sources[host], here, of[host]) for host in sources] and told

        def say(text: str) -> None:
            display.display(f"[{here.name}] {text}")

        def carry_all() -> dict[str, Any]:
            figures = [carry(sources[host], here, of[host], say) for host in sources]
            return {**told, "from_host": ", ".join(sources), "bytes": sum(one["bytes"] for one in figures),
                    "seconds": round(sum(one["seconds"] for one in figures), 3)}

        return carry_all


def _pool_of(host: str, told: str, variables: Mapping[str, Any]) -> str:
    """Return the folder of a host's pool; ``told`` is that of the task's own host."""
    own, there = variables["inventory_hostname"], variables["hostvars"]
    if host == own:
        return told
    if _WHERE in there[host]:
        return str(there[host][_WHERE])
    # A host that the inventory says nothing of has its pool where it is by default, or all were told the same.
    return DEFAULT_POOL if _WHERE in there[own] else told


def _by_instance(disks: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    jobs: dict[str, list[dict[str, Any]]] = {}
    for disk in disks:
        jobs.setdefault(disk["instance"], []).append(disk)
    return jobs


def _ask(place: Place, command: str, **asked: Any) -> dict[str, Any]:
    place.install()
    answer: dict[str, Any] = place.ask(command, **asked)
    return answer


def _attempt(work: Any) -> tuple[dict[str, Any] | None, str]:
    """Return (result, '') or (None, what went wrong): one instance's failure is not the others'."""
    try:
        return work(), ""
    except StowageError as error:
        return None, str(error)
