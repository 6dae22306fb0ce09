# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a host tell what it has and what runs on it, and keeps that on the controller for the plan."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.stowage.fleet.plugins.plugin_utils.controller import fleet_group
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.values import plain
from ansible_collections.stowage.fleet.plugins.plugin_utils.run_folder import OBSERVED, SETTLED, RunFolder


class ActionModule(ActionBase):
    """Runs ``host_info`` on the host; what it returns is for the plan alone, and no variable carries it."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whether the host could be observed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        folder, host = RunFolder(fleet_group(variables)), str(variables["inventory_hostname"])
        folder.forget(SETTLED, host)
        options = {**self._task.args, "host_name": host}
        try:
            seen = self._execute_module("stowage.fleet.host_info", module_args=options, task_vars=variables)
        except AnsibleConnectionFailure as error:
            folder.write(OBSERVED, host, {"msg": str(error)})
            raise
        observation = plain(seen.pop("host", None))
        if observation is None or seen.get("failed"):
            folder.write(OBSERVED, host, {"msg": plain(seen.get("msg"))})
        else:
            folder.write(OBSERVED, host, {"host": observation})
        result.update({key: value for key, value in seen.items() if key not in ("invocation", "ansible_facts")})
        return result
