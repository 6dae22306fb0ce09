# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands the results of hosts to the process that started Ansible to observe them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: observations
type: stdout
short_description: Write the result of each host as one line of JSON
version_added: 0.1.0
author: The stowage.fleet maintainers (@stowage)
description:
  - Used by the collection itself, to observe hosts that a play does not hold. It shows nothing on the screen.
options:
  path:
    description: File to write to.
    type: path
    env:
      - name: STOWAGE_OBSERVATIONS
"""

import json
from typing import Any

from ansible.parsing.ajson import AnsibleJSONEncoder
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """One line for each host: its name, and its result or why there is none."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "stowage.fleet.observations"

    def _write(self, result: Any) -> None:
        # ansible-core before 2.19 has underscored names only, later ones are about to drop them.
        host = getattr(result, "host", None) or result._host
        outcome = getattr(result, "result", None)
        line = {"host": host.get_name(), "result": result._result if outcome is None else outcome}
        with open(self.get_option("path"), "a", encoding="utf-8") as file:
            file.write(json.dumps(line, cls=AnsibleJSONEncoder) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        """Write a host that answered."""
        self._write(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Write a host whose engine, or else, failed."""
        self._write(result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Write a host that does not answer."""
        self._write(result)
