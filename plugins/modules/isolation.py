#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the packet filters of a host's containers as the policy says."""

from __future__ import annotations

DOCUMENTATION = r"""
module: isolation
short_description: Let members of a cluster talk to each other, and nobody else to them
version_added: 0.1.0
author: The stowage.fleet maintainers (@stowage)
description:
  - Gives each container of an isolated cluster a packet filter in its own network namespace. Members of a cluster reach
    each other; beyond that only what a rule allows passes, in bridge and in macvlan mode alike.
  - A running container's filter is replaced in one transaction. Connections that are allowed before and after go on.
  - What a container has to be started with is written down on the host, under C(/var/lib/stowage/network). The engine's
    runtime C(stowage) loads it whenever the engine starts the container, before anything of it runs; without it the
    container does not start. So the filters outlive restarts of containers, of the engine and of the host, and nothing
    has to run meanwhile.
  - Nothing is written into the host's own tables, so the engine's rules and the administrator's stay as they are.
  - Forgets containers that are gone. Compares what the kernel has with what was loaded, and repairs it.
extends_documentation_fragment:
  - stowage.fleet.engine
  - stowage.fleet.attributes
options:
  policy:
    description: Who may talk to whom. No filter is touched when it is not set.
    type: dict
    suboptions:
      clusters:
        description:
          - The isolated clusters that have containers here, by name. Each has C(members), a list of C(name), C(group),
            C(network), C(address) and perhaps C(address6) of all its members on all hosts, and may have C(allow).
          - An entry of C(allow) has C(way) (C(in) or C(out)), C(addresses) (addresses and networks), and may have
            C(ports) (such as C(80/tcp), C(8000-8100/udp), C(icmp); all without it) and C(groups) (to whose members it
            applies; to all without it).
        type: dict
        default: {}
      protected:
        description:
          - Addresses and networks, such as those of hosts and of metadata services, that a rule opens only when it
            names them, not when it names a network that they happen to lie in.
        type: list
        elements: str
        default: []
      gateways:
        description: Routers of the networks, whose neighbour discovery is believed.
        type: list
        elements: str
        default: []
      digests:
        description:
          - A digest of each cluster's part, and of the rest as C(:common). A part that the host remembers with the same
            digest need not be given again; what is given is remembered.
        type: dict
        default: {}
  only_changed:
    description:
      - Look at those containers only whose filter is to be another than what was loaded last. What somebody else did to
        the others is not looked for, so a change of one cluster costs the same beside many others.
    type: bool
    default: false
  program:
    description:
      - Folder to write the runtime's program to, such as V(/usr/local/lib/stowage). Not written when not set.
      - The engine has to know the file C(runtime) in it as the runtime C(stowage).
    type: path
  by:
    description: Who holds the host's lock meanwhile.
    type: str
    default: unknown
  lock_timeout:
    description: Seconds to wait for somebody else who works on the same host.
    type: int
    default: 60
requirements:
  - nft and nsenter
  - root
seealso:
  - module: stowage.fleet.containers
"""

EXAMPLES = r"""
- name: Install the runtime's program
  stowage.fleet.isolation:
    program: /usr/local/lib/stowage

- name: Let acme's members talk to each other, and let one machine look at its web servers
  stowage.fleet.isolation:
    policy:
      clusters:
        acme:
          members:
            - {name: acme_web_0, group: web, network: lan, address: 172.30.0.130}
            - {name: acme_db_0, group: db, network: lan, address: 172.30.0.131}
          allow:
            - {way: in, groups: [web], addresses: [172.30.0.1], ports: [80/tcp]}
      protected: [172.30.0.11, 172.30.0.12, 169.254.0.0/16]
      gateways: [172.30.0.1]
"""

RETURN = r"""
containers:
  description: One entry for each container of the clusters in the policy, and for each that was forgotten.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: Name of the container.
      type: str
      sample: acme_web_0
    id:
      description: Its id.
      type: str
    action:
      description:
        - What was done, or would be in check mode.
        - V(loaded) means that the running container has a new filter, V(written) that it gets it with its next start,
          V(forgotten) that it is gone.
      type: str
      choices: [none, loaded, written, forgotten]
    changed:
      description: Whether anything was done.
      type: bool
    failed:
      description: Whether it failed.
      type: bool
    msg:
      description: What went wrong, or what was noticed on the way.
      type: str
    diff:
      description: The filter as text, C(before) and C(after), where it changed.
      type: dict
program:
  description: Files of the runtime's program that were written.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.containers.filters import converge_isolation
from ansible_collections.stowage.fleet.plugins.module_utils.engine.client import ENGINE_SPEC
from ansible_collections.stowage.fleet.plugins.module_utils.network.filter.policy import POLICY_SPEC
from ansible_collections.stowage.fleet.plugins.module_utils.network.runtime.program import install


def main():
    """Read the options, converge, and name each container that failed."""
    module = AnsibleModule(
        argument_spec={
            **ENGINE_SPEC,
            "policy": POLICY_SPEC,
            "only_changed": {"type": "bool", "default": False},
            "program": {"type": "path"},
            "by": {"type": "str", "default": "unknown"},
            "lock_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    options, check = module.params, module.check_mode
    try:
        written = install(options["program"], check) if options["program"] else []
        result = {"changed": False, "containers": [], "warnings": []}
        if options["policy"] is not None:
            result = converge_isolation(options, check)
    except StowageError as error:
        module.fail_json(msg=error.message, containers=[])
    for text in result.pop("warnings"):
        module.warn(text)
    result.update(program=written, changed=result["changed"] or bool(written))
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
