#!/usr/bin/python
# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_load
short_description: Bring images from the controller to a host, without a registry
version_added: 0.1.0
description:
  - Compares images of the controller's Docker engine with those of the host, and sends what is missing or differs
    there as an archive over the connection that Ansible has anyway.
  - An action plugin with the same name does the controller's part. Hosts work in parallel, as with every task.
author:
  - The stowage.fleet maintainers (@stowage)
options:
  images:
    description:
      - The images.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Reference of the image, such as V(stowage/redis:bookworm).
        type: str
        required: true
      archive:
        description:
          - An archive on the controller that holds it already, such as RV(stowage.fleet.base_image#module:cached).
          - When it is not given or not there, the image is saved from the controller's engine.
        type: path
      id:
        description:
          - Its id, such as RV(stowage.fleet.base_image#module:image.id). Asked of the controller's engine if omitted.
        type: str
      content:
        description:
          - Digest of its layers and configuration, such as RV(stowage.fleet.base_image#module:image.content). Asked of
            the controller's engine if omitted.
        type: str
  cache_dir:
    description:
      - Folder on the controller for images saved from its engine. It may be emptied at any time.
    type: path
    default: ~/.cache/stowage/images
  controller_docker_host:
    description:
      - Address of the controller's engine.
    type: str
    default: unix:///var/run/docker.sock
  docker_host:
    description:
      - Address of the host's engine.
    type: str
    default: unix:///var/run/docker.sock
  load:
    description:
      - Archives on the host to load. Set by the action plugin.
    type: list
    elements: path
    default: []
requirements:
  - Docker SDK for Python on the controller and on the host
attributes:
  check_mode:
    description: Says which images would be sent, and sends none.
    support: full
  diff_mode:
    description: Lists the images that are sent.
    support: full
"""

EXAMPLES = r"""
- name: Bring the images to the hosts
  stowage.fleet.image_load:
    images:
      - name: stowage/redis:bookworm
      - name: stowage/nginx:bookworm
        archive: /srv/images/nginx.tar
"""

RETURN = r"""
loaded:
  description: References of the images that were sent, or would be.
  returned: always
  type: list
  elements: str
  sample: ["stowage/redis:bookworm"]
missing:
  description: References of the images that the host still lacks.
  returned: always
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.image_build.store import ImageStore

SOCKET = "unix:///var/run/docker.sock"
ARGUMENTS = {
    "images": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "archive": {"type": "path"},
            "id": {"type": "str"},
            "content": {"type": "str"},
        },
    },
    "cache_dir": {"type": "path", "default": "~/.cache/stowage/images"},
    "controller_docker_host": {"type": "str", "default": SOCKET},
    "docker_host": {"type": "str", "default": SOCKET},
    "load": {"type": "list", "elements": "path", "default": []},
}


def main():
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        store = ImageStore.connect(module.params["docker_host"])
        for archive in module.params["load"]:
            store.load(archive)
        missing = [image["name"] for image in module.params["images"] if not store.holds(image)]
    except StowageError as error:
        module.fail_json(msg=error.message)
    module.exit_json(changed=bool(module.params["load"]), missing=missing, loaded=[])


if __name__ == "__main__":
    main()
