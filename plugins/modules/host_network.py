#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's own side of its networks: bridges and shims."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_network
short_description: Keep the bridges and shims that a host needs for its networks
version_added: 0.1.0
author:
  - The stowage.fleet maintainers (@stowage)
description:
  - Makes bridges over NICs, and shims (interfaces by which a host reaches its own macvlan containers), now and at every
    boot.
  - Addresses, routes, name servers and DHCP of a NIC that becomes a port of a bridge move to the bridge, with its MAC.
  - A bridge is made in the language of whoever keeps the NIC (systemd-networkd, NetworkManager, ifupdown), in files of
    its own that come before the administrator's. Where nobody keeps it, and for shims, a unit does it at boot.
  - A change can't cut the host off for good. A timer of systemd undoes it unless it is confirmed over a connection that
    is opened afterwards, and so does a reboot in between.
  - It takes what it does from C(stowage_networks); the addresses of shims come from the ends of the pools.
extends_documentation_fragment:
  - stowage.fleet.attributes
options:
  networks:
    description: What this host needs. Taken from C(stowage_networks) unless given.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the network.
        type: str
        required: true
      parent:
        description: NIC that the network sits on.
        type: str
        required: true
      bridge:
        description: Bridge to make over the NIC.
        type: str
      shim:
        description: Address of this host's shim.
        type: str
      pool:
        description: Addresses that are reached by the shim, as ranges or blocks.
        type: list
        elements: str
        default: []
      mtu:
        description: MTU of the bridge, or of the shim. That of the NIC unless given.
        type: int
  manager:
    description:
      - Who is to make bridges. V(auto) is who keeps the NIC, or V(none), which is a unit of systemd that runs C(ip).
      - Another than who keeps the NIC is refused, for both would claim it.
    type: str
    choices: [auto, networkd, networkmanager, ifupdown, none]
    default: auto
  undo_after:
    description: Seconds until a change that is not confirmed is undone.
    type: int
    default: 60
  phase:
    description:
      - What to do. The plugin on the controller begins a change, looks over a new connection until it is made, and
        confirms it over another one.
    type: str
    choices: [begin, look, confirm]
    default: begin
"""

EXAMPLES = r"""
- name: Keep bridges and shims as stowage_networks has them
  stowage.fleet.host_network:
"""

RETURN = r"""
links:
  description: Interfaces that the host is to have.
  returned: success
  type: list
  elements: str
  sample: [br0, shim-lan]
managers:
  description: Who makes each of them at boot.
  returned: success
  type: dict
  sample: {br0: networkd, shim-lan: none}
why:
  description: What was not as wanted.
  returned: when something changes
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.common.files import runner
from ansible_collections.stowage.fleet.plugins.module_utils.network.host.change import change, confirm, look

MANAGERS = ["auto", "networkd", "networkmanager", "ifupdown", "none"]
NETWORK_SPEC = {
    "name": {"type": "str", "required": True},
    "parent": {"type": "str", "required": True},
    "bridge": {"type": "str"},
    "shim": {"type": "str"},
    "pool": {"type": "list", "elements": "str", "default": []},
    "mtu": {"type": "int"},
}


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "networks": {"type": "list", "elements": "dict", "options": NETWORK_SPEC},
            "manager": {"type": "str", "choices": MANAGERS, "default": "auto"},
            "undo_after": {"type": "int", "default": 60},
            "phase": {"type": "str", "choices": ["begin", "look", "confirm"], "default": "begin"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        if params["phase"] != "begin":
            result = {"changed": False, **{"look": look, "confirm": confirm}[params["phase"]](runner(module))}
        else:
            peer = (os.environ.get("SSH_CONNECTION") or " ").split(" ")[0]
            result = change(params["networks"] or [], params["undo_after"], module.check_mode, runner(module), peer,
                            params["manager"])
    except StowageError as error:
        module.fail_json(msg=f"{error}. Nothing was changed for good")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
