# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: base_image
short_description: Build an operating system image from a distribution's packages
version_added: 0.1.0
description:
  - Builds the root file system of an image from a distribution's packages with C(mmdebstrap), and loads it into a
    Docker engine, writes it as an archive, or both. No registry, no Dockerfile and no image to start from is needed.
  - The recipe is kept in a label of the image. A second run with the same recipe finds it there and changes nothing;
    newer packages at the mirror are no reason to build again, unless O(force=true).
  - What was built is kept in O(cache_dir) as an image archive that C(docker load) takes, so an image that was removed
    comes back without building, and a change of nothing but the configuration (O(cmd), O(env), O(labels) and so on)
    takes its root file system from there.
author:
  - The stowage.fleet maintainers (@stowage)
options:
  name:
    description:
      - Reference of the image, such as V(stowage/redis:bookworm). Without a tag it is V(latest).
    type: str
    required: true
  state:
    description:
      - V(present) builds what is missing or differs.
      - V(absent) removes the image from the engine and the file O(archive), and leaves the cache alone.
    type: str
    choices: [present, absent]
    default: present
  suite:
    description:
      - The release to build, such as V(bookworm) or V(trixie). Required with O(state=present).
    type: str
  packages:
    description:
      - Packages to install beside those that O(variant) brings. Their order does not matter.
    type: list
    elements: str
    default: []
  variant:
    description:
      - Which packages the image holds anyway; see C(mmdebstrap --variant).
    type: str
    choices: [extract, custom, essential, apt, minbase, buildd, important, standard]
    default: minbase
  mirrors:
    description:
      - URLs of mirrors or complete C(deb) lines. Without any, C(mmdebstrap) decides.
    type: list
    elements: str
    default: []
  components:
    description:
      - Components of the distribution, such as V(main) and V(contrib).
    type: list
    elements: str
    default: []
  architecture:
    description:
      - Architecture in the distribution's words, such as V(amd64). The builder's own if omitted.
    type: str
  keyrings:
    description:
      - Files or folders with the keys that sign the mirrors.
      - Without any, and without O(mirrors), Debian's own keyring is used where it is installed, since a machine trusts
        only the releases that it knows.
    type: list
    elements: path
    default: []
  documentation:
    description:
      - Whether the image keeps manual pages, documentation and translations. Licences stay in either case.
    type: bool
    default: false
  apt_options:
    description:
      - Lines for apt's configuration, such as V(Acquire::Retries "3").
    type: list
    elements: str
    default: []
  dpkg_options:
    description:
      - Options for dpkg, such as V(path-exclude=/usr/share/icons/*).
    type: list
    elements: str
    default: []
  files:
    description:
      - Files to add once the packages are installed.
    type: list
    elements: dict
    default: []
    suboptions:
      dest:
        description:
          - Absolute path inside the image.
        type: str
        required: true
      content:
        description:
          - The text of the file.
        type: str
      src:
        description:
          - A file on the machine where the module runs.
        type: path
      mode:
        description:
          - Permission bits in octal digits.
        type: str
        default: '0644'
      uid:
        description:
          - Numeric owner.
        type: int
        default: 0
      gid:
        description:
          - Numeric group.
        type: int
        default: 0
  commands:
    description:
      - Shell commands to run inside the root file system, after O(files) are there. One that fails ends the build.
    type: list
    elements: str
    default: []
  hooks:
    description:
      - Hooks of C(mmdebstrap) that run outside of the root file system, whose path they get as C($1).
    type: list
    elements: dict
    default: []
    suboptions:
      stage:
        description:
          - When it runs. V(customize) runs after O(commands).
        type: str
        choices: [setup, extract, essential, customize]
        default: customize
      command:
        description:
          - A shell command, or one of the special hooks that C(mmdebstrap) knows.
        type: str
        required: true
  timestamp:
    description:
      - No file of the image is younger than this, in seconds since 1970, and the image counts as created then.
      - It makes two builds from the same packages equal, down to the image's id.
    type: int
    default: 1735689600
  cmd:
    description:
      - Command that a container runs, or arguments of O(entrypoint).
    type: list
    elements: str
    default: []
  entrypoint:
    description:
      - Program that a container starts with.
    type: list
    elements: str
    default: []
  env:
    description:
      - Environment of a container. C(PATH) has a value even when none is given.
    type: dict
    default: {}
  user:
    description:
      - User that a container runs as.
    type: str
  working_dir:
    description:
      - Folder that a container starts in.
    type: str
  labels:
    description:
      - Labels of the image.
    type: dict
    default: {}
  exposed_ports:
    description:
      - Ports that a container listens on, such as V(80) or V(53/udp).
    type: list
    elements: str
    default: []
  volumes:
    description:
      - Folders whose content outlives a container.
    type: list
    elements: str
    default: []
  stop_signal:
    description:
      - Signal that asks a container to stop, such as V(SIGQUIT).
    type: str
  health:
    description:
      - Health check of a container.
    type: dict
    suboptions:
      test:
        description:
          - The check, in the engine's form, such as V(["CMD", "redis-cli", "ping"]).
        type: list
        elements: str
        required: true
      interval:
        description:
          - Seconds between two checks.
        type: float
      timeout:
        description:
          - Seconds until a check counts as failed.
        type: float
      start_period:
        description:
          - Seconds after the start in which a failed check does not count.
        type: float
      retries:
        description:
          - How many failed checks in a row make a container unhealthy.
        type: int
  engine:
    description:
      - Whether to load the image into an engine.
    type: bool
    default: true
  docker_host:
    description:
      - Address of the engine. The environment's C(DOCKER_HOST), or the local socket, if omitted.
    type: str
  archive:
    description:
      - File to write the image to, in the form that C(docker load) takes.
    type: path
  cache_dir:
    description:
      - Folder that keeps what was built. It may be emptied at any time.
    type: path
    default: ~/.cache/stowage/images
  force:
    description:
      - Build again, with the packages that the mirror has now.
    type: bool
    default: false
requirements:
  - mmdebstrap (only to build)
  - Docker SDK for Python (only with O(engine=true))
attributes:
  check_mode:
    description: Says whether the image would be built, and builds nothing.
    support: full
  diff_mode:
    description: Shows the recipe of the image that is there against the wanted one, files as digests.
    support: full
"""

EXAMPLES = r"""
- name: Build a redis image from Debian's packages
  stowage.fleet.base_image:
    name: stowage/redis:bookworm
    suite: bookworm
    packages: [redis-server]
    cmd: [redis-server, --protected-mode, "no", --dir, /data]
    user: redis
    commands:
      - install -d -o redis -g redis /data
    volumes: [/data]
    exposed_ports: ["6379"]

- name: Write an image to a file, on a machine without an engine
  stowage.fleet.base_image:
    name: shop/tools:1
    suite: trixie
    packages: [curl, jq]
    engine: false
    archive: /srv/images/tools.tar
"""

RETURN = r"""
image:
  description: The image, as far as it is known. In check mode the one that is there now.
  returned: always
  type: dict
  contains:
    name:
      description: Its full reference.
      type: str
      sample: stowage/redis:bookworm
    id:
      description: Its id, empty when it does not exist.
      type: str
      sample: sha256:6f1c…
    digest:
      description: Digest of its recipe.
      type: str
      sample: 5f2b0c6a2f5e4c3b9a1d7e8f60718293
    content:
      description: Digest of its layers and configuration in the engine, the same however an engine counts ids.
      type: str
      sample: 0f1e2d3c4b5a6978
cached:
  description: The image archive in the cache, empty when the cache has none.
  returned: always
  type: str
built:
  description: Whether the root file system was built, rather than found in the cache or left as it was.
  returned: always
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.image_build.build import run

FILE_OPTIONS = {
    "dest": {"type": "str", "required": True},
    "content": {"type": "str"},
    "src": {"type": "path"},
    "mode": {"type": "str", "default": "0644"},
    "uid": {"type": "int", "default": 0},
    "gid": {"type": "int", "default": 0},
}
HOOK_OPTIONS = {
    "stage": {"type": "str", "choices": ["setup", "extract", "essential", "customize"], "default": "customize"},
    "command": {"type": "str", "required": True},
}
HEALTH_OPTIONS = {
    "test": {"type": "list", "elements": "str", "required": True},
    "interval": {"type": "float"},
    "timeout": {"type": "float"},
    "start_period": {"type": "float"},
    "retries": {"type": "int"},
}
VARIANTS = ["extract", "custom", "essential", "apt", "minbase", "buildd", "important", "standard"]
ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "suite": {"type": "str"},
    "packages": {"type": "list", "elements": "str", "default": []},
    "variant": {"type": "str", "choices": VARIANTS, "default": "minbase"},
    "mirrors": {"type": "list", "elements": "str", "default": []},
    "components": {"type": "list", "elements": "str", "default": []},
    "architecture": {"type": "str"},
    "keyrings": {"type": "list", "elements": "path", "default": [], "no_log": False},
    "documentation": {"type": "bool", "default": False},
    "apt_options": {"type": "list", "elements": "str", "default": []},
    "dpkg_options": {"type": "list", "elements": "str", "default": []},
    "files": {"type": "list", "elements": "dict", "default": [], "options": FILE_OPTIONS,
              "mutually_exclusive": [("content", "src")], "required_one_of": [("content", "src")]},
    "commands": {"type": "list", "elements": "str", "default": []},
    "hooks": {"type": "list", "elements": "dict", "default": [], "options": HOOK_OPTIONS},
    "timestamp": {"type": "int", "default": 1735689600},
    "cmd": {"type": "list", "elements": "str", "default": []},
    "entrypoint": {"type": "list", "elements": "str", "default": []},
    "env": {"type": "dict", "default": {}},
    "user": {"type": "str"},
    "working_dir": {"type": "str"},
    "labels": {"type": "dict", "default": {}},
    "exposed_ports": {"type": "list", "elements": "str", "default": []},
    "volumes": {"type": "list", "elements": "str", "default": []},
    "stop_signal": {"type": "str"},
    "health": {"type": "dict", "options": HEALTH_OPTIONS},
    "engine": {"type": "bool", "default": True},
    "docker_host": {"type": "str"},
    "archive": {"type": "path"},
    "cache_dir": {"type": "path", "default": "~/.cache/stowage/images"},
    "force": {"type": "bool", "default": False},
}


def main():
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", "present", ["suite"]), ("engine", False, ["archive"])],
    )
    try:
        result = run(module.params, module.check_mode)
    except StowageError as error:
        module.fail_json(msg=error.message)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
