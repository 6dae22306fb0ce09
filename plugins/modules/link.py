#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wire a container to bridges and NICs of its host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: link
short_description: Wire a container to bridges and NICs of its host
version_added: 0.1.0
author: The stowage.fleet maintainers (@stowage)
description:
  - Gives a container further interfaces beside those of its engine's networks, on a bridge, with macvlan or ipvlan on a
    NIC, or a whole NIC that is its own until it ends.
  - What is asked for is all the links that the container shall have; others that this module made are taken away.
  - The links are written down on the host, under C(/var/lib/stowage/network). The engine's runtime C(stowage) makes
    them whenever the engine starts the container, before its process starts; when that fails the container does not
    start. So they outlive restarts of the container, of the engine and of the host, and nothing has to run meanwhile.
  - A running container's links are changed at once. A link that is as wanted is left alone, one that differs is made
    anew.
  - A NIC goes back to the host, under its own name, when the container ends.
  - A link is a wire that an operator draws, so what M(stowage.fleet.isolation) keeps from a container may come over it;
    others' filters hold at its other end.
  - Instances of a fleet get theirs from their type (C(links)), through M(stowage.fleet.containers).
extends_documentation_fragment:
  - stowage.fleet.engine
  - stowage.fleet.instance.links
  - stowage.fleet.attributes
options:
  container:
    description:
      - Name or id of the container. It has to be made with the runtime C(stowage), such as with
        C(docker create --runtime stowage); see the role C(network).
    type: str
    required: true
  by:
    description: Who holds the host's lock meanwhile.
    type: str
    default: unknown
  lock_timeout:
    description: Seconds to wait for somebody else who works on the same host.
    type: int
    default: 60
requirements:
  - ip, nsenter and, for rates, tc
  - udhcpc and systemd, for addresses by DHCP
  - root
"""

EXAMPLES = r"""
- name: Put a container on the storage network as well
  stowage.fleet.link:
    container: backup
    links:
      - {name: eth1, parent: br-storage, addresses: [192.0.2.7/24], mtu: 9000, rate: 500mbit}

- name: Give a container a NIC of its own, and the way to the world over it
  stowage.fleet.link:
    container: firewall
    links:
      - {name: wan, kind: nic, parent: enp3s0, addresses: [198.51.100.2/30], gateway: 198.51.100.1}

- name: Put a container on the office's network, with an address of its DHCP server
  stowage.fleet.link:
    container: printserver
    links:
      - {name: eth1, kind: macvlan, parent: eth0, dhcp: true, dhcp_take: [gateway]}

- name: Take all links away
  stowage.fleet.link:
    container: backup
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode, as sentences.
  type: list
  elements: str
  returned: success
  sample: [eth1 made]
links:
  description: The links as they are now, with what followed from names filled in.
  type: list
  elements: dict
  returned: success
leases:
  description: The leases of links with O(links[].dhcp), by the name of the link, as far as they have one.
  type: dict
  returned: success
  sample: {eth1: {address: 192.0.2.107/24, server: 192.0.2.1, until: 1795259068.5}}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.engine.client import ENGINE_SPEC
from ansible_collections.stowage.fleet.plugins.module_utils.network.links.converge import converge_link
from ansible_collections.stowage.fleet.plugins.module_utils.network.links.wanted import LINK_SPEC


def main():
    """Read the options, converge, and turn errors into a failure once."""
    module = AnsibleModule(
        argument_spec={
            **ENGINE_SPEC,
            "container": {"type": "str", "required": True},
            "links": {"type": "list", "elements": "dict", "options": LINK_SPEC, "default": []},
            "by": {"type": "str", "default": "unknown"},
            "lock_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**converge_link(module.params, module.check_mode))
    except StowageError as error:
        module.fail_json(msg=error.message)


if __name__ == "__main__":
    main()
