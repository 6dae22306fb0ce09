# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a host change its own network, and confirms that over a new connection; otherwise the host goes back."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.plugin_utils.controller import DEFAULT_GROUP, refusal
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.complaints import Complaints
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.host_side import for_host
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.networks import read_networks
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.values import plain

MODULE = "stowage.fleet.host_network"
UNDO_AFTER = 60
#: Seconds: the host begins 0.3 s after it has answered, and is cut off, if ever, before the next connection.
BEGINS = 1.0
PAUSE = 1.0


class ActionModule(ActionBase):
    """Runs the module thrice, each time over a new connection."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result; what was undone is a failure."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        arguments = dict(self._task.args)
        try:
            if arguments.get("networks") is None:
                arguments["networks"] = self._networks(variables)
        except InvalidInput as error:
            result.update(failed=True, msg=refusal(error.problems))
            return result
        result.update(self._execute_module(module_name=MODULE, module_args=arguments, task_vars=variables))
        if result.get("armed"):
            result.update(self._confirm(float(arguments.get("undo_after") or UNDO_AFTER), variables))
        return result

    def _networks(self, variables: dict[str, Any]) -> list[dict[str, Any]]:
        # The role also runs where there is no fleet yet, on a single host.
        group = str(variables.get("stowage_fleet") or DEFAULT_GROUP)
        hosts = plain((variables.get("groups") or {}).get(group)) or [variables["inventory_hostname"]]
        complaints = Complaints()
        networks = read_networks(plain(self._templar.template(variables.get("stowage_networks"))), complaints)
        complaints.raise_if_any()
        return for_host(networks, str(variables["inventory_hostname"]), list(hosts))

    def _confirm(self, undo_after: float, variables: dict[str, Any]) -> dict[str, Any]:
        """Confirm the change over a new connection; say what became of it when that can't be had."""
        deadline = time.monotonic() + undo_after
        said = "it was still at it"
        # An answer that the change is made has come by the new network. Only then it may stay: a confirmation under way
        # while the network goes would keep the host cut off.
        phase = "look"
        time.sleep(BEGINS)
        while time.monotonic() < deadline:
            try:
                self._connection.reset()
                answer = self._execute_module(
                    module_name=MODULE, module_args={"phase": phase}, task_vars=variables, wrap_async=False
                )
            except AnsibleError as error:
                said = str(error)
                time.sleep(PAUSE)
                continue
            if answer.get("failed"):
                return {"failed": True, "changed": False, "msg": answer.get("msg")}
            if answer.get("done") and phase == "confirm":
                return {}
            if answer.get("done"):
                phase = "confirm"
            else:
                time.sleep(PAUSE)
        return {"failed": True, "changed": False,
                "msg": f"The host could not be reached after the change, and takes it back by itself {undo_after:g} s "
                       f"after it was made. {said}"}
