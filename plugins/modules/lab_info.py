#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_info
short_description: Find out whether a machine can carry a lab
version_added: 0.1.0
description:
  - Looks at capabilities, control groups, programs and the Docker engine of the machine it runs on. Changes nothing.
  - Used by the role P(stowage.fleet.lab#role).
author:
  - The stowage.fleet maintainers (@stowage)
options:
  docker_host:
    description:
      - Address of the engine.
    type: str
    default: unix:///var/run/docker.sock
attributes:
  check_mode:
    description: Only looks, in check mode and out of it.
    support: full
  diff_mode:
    description: Never changes anything.
    support: none
"""

EXAMPLES = r"""
- name: Look at the machine
  stowage.fleet.lab_info:
  register: machine
"""

RETURN = r"""
engine:
  description: Version of the engine, empty when none answers.
  returned: always
  type: str
  sample: 20.10.24+dfsg1
engine_installed:
  description: Whether there is a C(dockerd) on this machine.
  returned: always
  type: bool
engine_message:
  description: Why the engine does not answer, empty when it does.
  returned: always
  type: str
service_manager:
  description: Whether systemd runs this machine.
  returned: always
  type: bool
cgroup_version:
  description: 2 for the unified hierarchy, 1 for legacy and hybrid, 0 for none.
  returned: always
  type: int
missing_capabilities:
  description: Capabilities that the engine can't give to a host, without their prefix.
  returned: always
  type: list
  elements: str
  sample: [SYS_RESOURCE]
missing_packages:
  description: Debian packages with programs that a lab needs and that are not there.
  returned: always
  type: list
  elements: str
  sample: [mmdebstrap]
problems:
  description: Why no lab can run here, a sentence each.
  returned: always
  type: list
  elements: str
notes:
  description: How a lab adapts to this machine, a sentence each.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import MissingDependency
from ansible_collections.stowage.fleet.plugins.module_utils.lab.machine import describe


def main():
    module = AnsibleModule(
        argument_spec={"docker_host": {"type": "str", "default": "unix:///var/run/docker.sock"}},
        supports_check_mode=True,
    )
    try:
        result = describe(module.params["docker_host"])
    except MissingDependency as error:
        module.fail_json(msg=error.message)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
