# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into a container of the fleet: SSH to its host, then the engine's own exec."""

from __future__ import annotations

DOCUMENTATION = r"""
name: container
short_description: Run commands in a container of the fleet
version_added: 0.1.0
author: The stowage.fleet maintainers (@stowage)
description:
  - Connects to the container's host by SSH, just as P(ansible.builtin.ssh#connection) does and with all its options,
    and runs commands in the container with C(docker exec).
  - The inventory plugin P(stowage.fleet.fleet#inventory) sets everything that it needs.
  - The container needs a shell for P(ansible.builtin.raw#module), and Python for most other modules.
extends_documentation_fragment:
  - connection_pipelining
  - stowage.fleet.ssh
options:
  container:
    description: Name of the container.
    type: str
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: stowage_container
  docker_command:
    description: Command that talks to the engine on the host, such as V(sudo -n docker) where the user may not.
    type: str
    default: docker
    vars:
      - name: stowage_docker_command
  container_user:
    description: User in the container. The image's if not set.
    type: str
    vars:
      - name: stowage_container_user
"""

import shlex
from typing import Any

from ansible.errors import AnsibleError, AnsibleFileNotFound
from ansible.plugins.connection.ssh import Connection as SSHConnection


class Connection(SSHConnection):
    """SSH, with every command wrapped into an exec."""

    transport = "stowage.fleet.container"

    def _wrap(self, command: str) -> str:
        user = self.get_option("container_user")
        words = ["exec", "-i", *(["-u", user] if user else []), self.get_option("container"), "/bin/sh", "-c", command]
        return f"{self.get_option('docker_command')} {shlex.join(words)}"

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run a command in the container; return (exit status, output, error output)."""
        # A terminal is for become's prompts; without become it would only mix the outputs and add carriage returns.
        prompts = sudoable and self.become is not None
        answer: tuple[int, bytes, bytes] = super().exec_command(self._wrap(cmd), in_data=in_data, sudoable=prompts)
        return answer

    def put_file(self, in_path: str, out_path: str) -> tuple[int, bytes, bytes]:  # type: ignore[override]
        """Copy a file of the controller into the container."""
        try:
            with open(in_path, "rb") as file:
                content = file.read()
        except FileNotFoundError as error:
            raise AnsibleFileNotFound(f"there is no file {in_path} to copy into the container") from error
        # Without input SSH would ask for a terminal, so an empty file is made by another command.
        command = f"cat > {shlex.quote(out_path)}" if content else f": > {shlex.quote(out_path)}"
        return self._transfer(command, content or None, f"{in_path} can't be copied to {out_path}")

    def fetch_file(self, in_path: str, out_path: str) -> tuple[int, bytes, bytes]:  # type: ignore[override]
        """Copy a file of the container to the controller."""
        answer = self._transfer(f"cat {shlex.quote(in_path)}", None, f"{in_path} can't be fetched")
        with open(out_path, "wb") as file:
            file.write(answer[1])
        return answer

    def _transfer(self, command: str, content: bytes | None, failure: str) -> tuple[int, bytes, bytes]:
        answer = self.exec_command(command, in_data=content, sudoable=False)
        if answer[0]:
            reason: Any = answer[2].decode(errors="replace").strip()
            raise AnsibleError(f"{failure} in container {self.get_option('container')}: {reason}")
        return answer
