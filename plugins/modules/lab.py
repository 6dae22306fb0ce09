#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lab
short_description: Run a fleet of lab hosts on one machine
version_added: 0.1.0
description:
  - Each host is a system container with systemd, sshd and a Docker engine of its own, on a network of the lab's own,
    with a fixed address and a volume for its engine. Ansible reaches it over SSH like a real one.
  - Makes the lab's SSH key, writes the host keys down so that they can be checked, and writes the inventory.
  - Waits until every host answers. A host that was stopped starts again; surplus hosts are removed.
  - Used by the role P(stowage.fleet.lab#role), which also builds the images.
author:
  - The stowage.fleet maintainers (@stowage)
options:
  name:
    description:
      - Name of the lab. Labs with different names live side by side.
      - Its hosts are called V(NAME-h1), V(NAME-h2) and so on, as containers, as host names and in the inventory.
    type: str
    required: true
  state:
    description:
      - V(absent) removes containers, volumes, network, key, inventory, and images.
    type: str
    choices: [present, absent]
    default: present
  hosts:
    description:
      - The hosts, in order. Their place in the list gives name and address.
      - A host stays when its image has changed since it was made, and is replaced, with all that is on it, when its
        release has.
    type: list
    elements: dict
    default: []
    suboptions:
      release:
        description:
          - Release of the operating system, such as V(bookworm).
        type: str
        required: true
      image:
        description:
          - Image to make it from; it must be there.
        type: str
        required: true
      labels:
        description:
          - Labels of the host in the fleet, such as its zone.
        type: dict
        default: {}
  keep_images:
    description:
      - Whether O(state=absent) leaves the images that were built for labs, those with a label C(stowage.lab), in the
        engine. Otherwise they go with the last lab, except those that a container uses.
    type: bool
    default: false
  subnet:
    description:
      - IPv4 network of 256 addresses. The first free one of 172.30.0.0/16 if omitted.
      - Hosts get addresses from the lower half, the upper half is left to containers.
    type: str
  directory:
    description:
      - Folder for key and known host keys.
    type: path
    required: true
  inventory:
    description:
      - Inventory file to write.
    type: path
    required: true
  timeout:
    description:
      - Seconds that a host may take until it answers.
    type: int
    default: 120
  docker_host:
    description:
      - Address of the engine that runs the hosts. It must be an engine of this machine.
    type: str
    default: unix:///var/run/docker.sock
requirements:
  - Docker SDK for Python
  - ssh-keygen
attributes:
  check_mode:
    description: Says what would be made or removed, and does nothing.
    support: full
  diff_mode:
    description: Lists what was made or removed, or would be.
    support: full
"""

EXAMPLES = r"""
- name: Run two hosts
  stowage.fleet.lab:
    name: pair
    hosts:
      - {release: bookworm, image: "stowage/lab-host:bookworm", labels: {zone: a}}
      - {release: trixie, image: "stowage/lab-host:trixie", labels: {zone: b}}
    directory: /srv/labs/pair
    inventory: /srv/labs/pair.yml

- name: Leave nothing of it behind
  stowage.fleet.lab:
    name: pair
    state: absent
    directory: /srv/labs/pair
    inventory: /srv/labs/pair.yml
"""

RETURN = r"""
hosts:
  description: The hosts of the lab. Empty when it was removed.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: lab-h1
    address:
      description: Its address on the lab's network.
      type: str
      sample: 172.30.0.11
    release:
      description: Its release.
      type: str
      sample: bookworm
    engine:
      description: Version of its engine.
      type: str
      sample: 20.10.24+dfsg1
network:
  description: The lab's network, with the keys C(subnet), C(gateway), C(hosts) and C(pool).
  returned: always
  type: dict
changes:
  description: What was done, or would be, a short sentence each.
  returned: always
  type: list
  elements: str
notes:
  description: What the user should know though nothing is wrong.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.lab.hosts import run

ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "hosts": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "release": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "labels": {"type": "dict", "default": {}},
        },
    },
    "keep_images": {"type": "bool", "default": False},
    "subnet": {"type": "str"},
    "directory": {"type": "path", "required": True},
    "inventory": {"type": "path", "required": True},
    "timeout": {"type": "int", "default": 120},
    "docker_host": {"type": "str", "default": "unix:///var/run/docker.sock"},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        result = run(module.params, module.check_mode)
    except StowageError as error:
        module.fail_json(msg=error.message)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
