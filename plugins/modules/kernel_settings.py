#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters and modules, now and at boot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_settings
short_description: Set kernel parameters and load kernel modules, now and at boot
version_added: 0.1.0
author:
  - The stowage.fleet maintainers (@stowage)
description:
  - Loads modules and sets parameters in the running kernel, and writes one file for each kind so that the next boot
    does the same.
  - Compares with what the kernel reports, so a value that somebody changed by hand is put right.
  - What the kernel lacks or refuses is no failure. It is named in a warning and in the result.
extends_documentation_fragment:
  - stowage.fleet.attributes
options:
  modules:
    description: Kernel modules to load. One that is built into the kernel counts as loaded.
    type: list
    elements: str
    default: []
  parameters:
    description:
      - Kernel parameters (as sysctl names them) and their values.
      - With a C(/) as the first separator, dots belong to names, as in C(net/ipv4/conf/eth0.100/forwarding).
    type: dict
    default: {}
  machine_wide:
    description:
      - Whether parameters may be set that hold for the whole machine.
      - Say V(false) in a container, where only those of its own network and IPC namespaces are its own. The others are
        listed in RV(skipped_parameters) then.
    type: bool
    default: true
  modules_path:
    description:
      - The file that loads the modules at boot. There is none where no modules of the running kernel are installed.
    type: path
    default: /etc/modules-load.d/90-stowage.conf
  parameters_path:
    description: The file that sets the parameters at boot.
    type: path
    default: /etc/sysctl.d/90-stowage.conf
"""

EXAMPLES = r"""
- name: Let containers be reached, and let the firewall see bridged packets
  stowage.fleet.kernel_settings:
    modules: [br_netfilter, overlay]
    parameters:
      net.ipv4.ip_forward: 1
      net.bridge.bridge-nf-call-iptables: 1

- name: Set in a container what is its own
  stowage.fleet.kernel_settings:
    parameters: {net.ipv4.ip_forward: 1, vm.max_map_count: 262144}
    machine_wide: false
"""

RETURN = r"""
loaded_modules:
  description: Modules that were loaded, or would be in check mode.
  type: list
  elements: str
  returned: always
  sample: [br_netfilter]
missing_modules:
  description: Modules that this kernel lacks.
  type: list
  elements: str
  returned: always
  sample: [ipvlan]
refused_parameters:
  description: Parameters that the kernel lacks or refused, with the reason.
  type: list
  elements: dict
  returned: always
  sample:
    - {name: net.ipv4.tcp_congestion_control, value: bbr, reason: "the kernel refused it: No such file or directory"}
skipped_parameters:
  description: Parameters that belong to the machine, with O(machine_wide=false).
  type: list
  elements: str
  returned: always
  sample: [vm.max_map_count]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.files import runner
from ansible_collections.stowage.fleet.plugins.module_utils.host.kernel import Kernel, Settings


def main():
    """Read the options, converge, and say what the kernel lacks."""
    module = AnsibleModule(
        argument_spec={
            "modules": {"type": "list", "elements": "str", "default": []},
            "parameters": {"type": "dict", "default": {}},
            "machine_wide": {"type": "bool", "default": True},
            "modules_path": {"type": "path", "default": "/etc/modules-load.d/90-stowage.conf"},
            "parameters_path": {"type": "path", "default": "/etc/sysctl.d/90-stowage.conf"},
        },
        supports_check_mode=True,
    )
    options = module.params
    settings = Settings(Kernel(runner(module)), options["machine_wide"], module.check_mode)
    try:
        settings.modules(options["modules"], options["modules_path"])
        settings.parameters(options["parameters"], options["parameters_path"])
    except OSError as error:
        module.fail_json(msg=f"A file of the kernel settings could not be written: {error}.", **settings.result())
    for sentence in settings.complaints():
        module.warn(sentence)
    module.exit_json(**settings.result())


if __name__ == "__main__":
    main()
