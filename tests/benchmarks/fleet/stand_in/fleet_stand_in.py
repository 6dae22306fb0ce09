# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers on the controller for the modules that would run on hosts. Loaded into `ansible-playbook` as a callback.

It takes the place of `ActionBase._execute_module`, through which every action plugin has a module run on its host, in
the process that Ansible's workers are forked from. Arguments are encoded and answers decoded as Ansible does it, for
that is work of the controller; what the answer costs is none, so it is noted (`$STOWAGE_SIMULATED/answers.log`: module,
host, CPU seconds, bytes of the arguments and of the answer, whether it changed anything) and can be taken off.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_stand_in
type: aggregate
short_description: Answers for modules of simulated hosts
description: Part of the benchmark fleet.
"""

import importlib.util
import inspect
import json
import os
import time
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.callback import CallbackBase

try:
    from ansible.module_utils.common.json import Direction, get_module_encoder
except ImportError:  # before ansible-core 2.19
    from ansible.module_utils.common.json import AnsibleJSONEncoder

    ENCODER = {"cls": AnsibleJSONEncoder, "vault_to_text": True}
else:
    ENCODER = {"cls": get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)}

FOLDER = Path(os.environ["STOWAGE_SIMULATED"])
_SPEC = importlib.util.spec_from_file_location("fleet_simulated", Path(__file__).parents[1] / "simulated.py")
simulated = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(simulated)
DEFAULTS = json.loads((FOLDER / "defaults.text").read_text())
PROFILE = {"profile": "legacy"} if "profile" in inspect.signature(ActionBase._parse_returned_data).parameters else {}


def _execute_module(self, module_name=None, module_args=None, task_vars=None, **_options):
    """What the host would answer."""
    module = module_name or self._task.action
    host = (task_vars or {}).get("inventory_hostname")
    told = json.dumps(self._task.args if module_args is None else module_args, **ENCODER)
    began = time.process_time()
    try:
        text = _answer(module, host, told, self._task.check_mode)
    except simulated.NoAnswer as error:
        raise AnsibleError(str(error)) from error
    changed = '"changed": true' in text
    spent = time.process_time() - began
    _note(f"{module} {host} {spent:.6f} {len(told)} {len(text)} {int(changed)}\n")
    result = self._parse_returned_data({"stdout": text, "stderr": "", "rc": 0}, **PROFILE)
    if isinstance(result, dict):
        return result
    result.remove_internal_keys()  # ansible-core 2.21 and newer
    return result.as_result_dict(for_round_trip=True)


def _answer(module, host, told, check):
    if module.rpartition(".")[2] == "ping":
        return '{"changed": false, "ping": "pong", "invocation": {"module_args": {"data": "pong"}}}'
    return simulated.Machine(FOLDER, host, DEFAULTS).answer(module, json.loads(told), check)


def _note(line):
    handle = os.open(FOLDER / "answers.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line.encode())
    os.close(handle)


def _low_level_execute_command(self, cmd, *_words, **_options):
    """Nothing else reaches a simulated host."""
    raise AnsibleError(f"simulated hosts run modules only, and were told: {cmd[:200]}")


class CallbackModule(CallbackBase):
    """Nothing is heard: only what its loading did counts."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "fleet_stand_in"
    CALLBACK_NEEDS_ENABLED = True


ActionBase._execute_module = _execute_module
ActionBase._low_level_execute_command = _low_level_execute_command
