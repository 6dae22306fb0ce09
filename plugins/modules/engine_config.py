#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change daemon.json as a transaction."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_config
short_description: Run the Docker engine with a configuration, and go back when it does not come up
version_added: 0.1.0
author:
  - The stowage.fleet maintainers (@stowage)
description:
  - Writes the engine's configuration file, C(daemon.json), and restarts the engine when the configuration changed.
  - Asks the engine's own validator first. A configuration that it refuses changes nothing. Engines before 23.0 have no
    C(--validate); their check is had by starting them as nobody, which stops right after it.
  - When the engine does not come up with the new configuration, the old file is put back and the engine started with
    it. The task fails then, and says what the engine said.
  - Enables the engine's service and starts it when it does not run.
  - Turns live-restore on in the running engine before the restart, so that containers live on also when it was off.
  - A run that died between writing and restarting is finished by the next one.
  - Needs systemd.
extends_documentation_fragment:
  - stowage.fleet.attributes
attributes:
  check_mode:
    details:
      - The validator is asked in check mode too. Where the engine is not installed yet, RV(validated) is V(false).
options:
  config:
    description:
      - All of the configuration. What the file has beyond it is removed.
      - Files that say the same in another order or layout count as equal.
    type: dict
    required: true
  path:
    description: The configuration file.
    type: path
    default: /etc/docker/daemon.json
  drop_in:
    description:
      - Text of a drop-in of the engine's unit, such as an C([Service]) section with a proxy in its environment.
      - Belongs to the same transaction. Without text there is no such file.
      - It is readable by root alone and never shown, since it may hold a secret.
    type: str
    default: ""
  drop_in_path:
    description: File of the drop-in.
    type: path
    default: /etc/systemd/system/docker.service.d/90-stowage.conf
  service:
    description: Name of the engine's service.
    type: str
    default: docker
  program:
    description: The engine's program, whose validator is asked.
    type: str
    default: dockerd
  socket:
    description: The Unix socket at which the engine answers.
    type: path
    default: /run/docker.sock
  timeout:
    description: How many seconds the engine may take to come up.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Configure the engine
  stowage.fleet.engine_config:
    config:
      live-restore: true
      log-driver: json-file
      log-opts: {max-size: 10m, max-file: "3"}
"""

RETURN = r"""
restarted:
  description: Whether the engine was restarted, or started.
  type: bool
  returned: success
validated:
  description: Whether the engine's validator was asked. It is not when the configuration does not change.
  type: bool
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.common.files import runner
from ansible_collections.stowage.fleet.plugins.module_utils.engine.config import converge
from ansible_collections.stowage.fleet.plugins.module_utils.engine.service import EngineService


def main():
    """Read the options, converge, and turn errors into a failure once."""
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "dict", "required": True},
            "path": {"type": "path", "default": "/etc/docker/daemon.json"},
            "drop_in": {"type": "str", "default": "", "no_log": True},
            "drop_in_path": {"type": "path", "default": "/etc/systemd/system/docker.service.d/90-stowage.conf"},
            "service": {"type": "str", "default": "docker"},
            "program": {"type": "str", "default": "dockerd"},
            "socket": {"type": "path", "default": "/run/docker.sock"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    options = module.params
    service = EngineService(runner(module), options["service"], options["program"], options["socket"],
                            options["timeout"])
    try:
        module.exit_json(**converge(service, options["path"], options["config"], options["drop_in_path"],
                                    options["drop_in"], module.check_mode))
    except StowageError as error:
        module.fail_json(msg=error.message)


if __name__ == "__main__":
    main()
