# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reaches any host of the inventory from one task: with its own connection, become and shell, as Ansible would.

A task has one connection, and what travels between two hosts needs two. They are made here the way Ansible makes them
(TaskExecutor of ansible-core 2.16 to 2.21), from the variables of the host.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

from ansible import constants
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.connection.ssh import Connection as SSHConnection
from ansible.plugins.loader import become_loader, connection_loader

from ...module_utils.common.errors import StowageError
from ..rendering import Renderer

# A host that loses power says nothing: without this a command would wait for it for a quarter of an hour.
_ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=4"


class Unreachable(StowageError):
    """A host can't be reached, or no longer."""


class Reach:
    """One host, and a way to run commands there."""

    def __init__(self, name: str, python: str, connection: Any, executable: str | None) -> None:
        """Keep the connection; nothing is opened before the first command."""
        self.name = name
        self.python = python
        self._connection = connection
        self._executable = executable

    def run(self, command: str, data: bytes) -> tuple[int, bytes, bytes]:
        """Run a shell command with ``data`` (never empty, else Ansible asks for a terminal) as its input.

        :raises Unreachable: when the connection fails or breaks.
        """
        wrapped = self._wrap(command)
        try:
            if self._plain_ssh():
                return self._pass_through(wrapped, data)
            answer: tuple[int, bytes, bytes] = self._connection.exec_command(wrapped, in_data=data, sudoable=True)
            return answer
        except (AnsibleConnectionFailure, AnsibleError) as error:
            raise Unreachable(f"host {self.name} can't be reached: {_reason(error)}") from error

    def close(self) -> None:
        """Close what a process of Ansible would close at its end."""
        self._connection.close()

    def _wrap(self, command: str) -> str:
        """Return the command as Ansible's actions hand it to a connection."""
        connection = self._connection
        become = connection.become
        if become is not None:
            wanted = become.get_option("become_user")
            user = connection.get_option("remote_user") if connection.has_option("remote_user") else None
            if constants.BECOME_ALLOW_SAME_USER or wanted != user or not any((wanted, user)):
                command = become.build_become_command(command, connection._shell)
        if connection.allow_executable and self._executable:
            command = f"{self._executable} -c {shlex.quote(command)}"
        return command

    def _plain_ssh(self) -> bool:
        """Say whether there is nothing to type: then the data needs no pass through Ansible's search for prompts."""
        connection = self._connection
        if connection.transport != "ssh" or connection.get_option("password"):
            return False
        become = connection.become
        return become is None or not become.get_option("become_pass")

    def _pass_through(self, command: str, data: bytes) -> tuple[int, bytes, bytes]:
        connection = self._connection
        connection.host = connection.get_option("host")
        line = connection._build_command(connection.get_option("ssh_executable"), "ssh", connection.host, command)
        done = subprocess.run(line, input=data, capture_output=True, check=False)
        if done.returncode == 255:
            words = done.stderr.decode(errors="replace").strip().splitlines()
            raise Unreachable(f"host {self.name} can't be reached: {words[-1] if words else 'the connection broke'}")
        return done.returncode, done.stdout, done.stderr


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "message", None) or error).split())[:300]


def reach(host: str, action: Any, variables: Mapping[str, Any]) -> Reach:
    """Return the way to a host of the inventory.

    :param action: the running action plugin; its task says what the host's variables leave open.
    :param variables: of the running task.
    """
    raw = variables["hostvars"].raw_get(host)
    render = Renderer(action._templar, variables)

    def value(name: str, default: Any = None) -> Any:
        return render(raw[name], raw) if raw.get(name) is not None else default

    context = action._play_context.copy()
    context.remote_addr = value("ansible_host", host)
    kind = value("ansible_connection", action._task.connection)
    connection = connection_loader.get(kind, context, os.devnull)
    if connection is None:
        raise Unreachable(f"host {host} can't be reached: there is no connection plugin {kind}")
    keys = action._task.dump_attrs()
    keys["timeout"] = context.timeout
    keys.pop("retries", None)
    if context.password:
        keys["password"] = context.password
    _set_options("connection", connection, keys, raw, value)
    _set_options("shell", connection._shell, keys, raw, value)
    connection.set_become_plugin(None)
    if boolean(value("ansible_become", action._task.become) or False):
        become = become_loader.get(value("ansible_become_method", action._task.become_method or "sudo"))
        connection.set_become_plugin(become)
        if context.become_pass:
            keys["become_pass"] = context.become_pass
        _set_options("become", become, keys, raw, value)
    if isinstance(connection, SSHConnection):
        _keep_alive(connection, host)
    return Reach(host, _python(raw, value), connection, context.executable)


def _set_options(kind: str, plugin: Any, keys: dict[str, Any], raw: Mapping[str, Any], value: Any) -> None:
    names = constants.config.get_plugin_vars(kind, plugin._load_name)
    plugin.set_options(task_keys=keys, var_options={name: value(name) for name in names if raw.get(name) is not None})


def _keep_alive(connection: Any, host: str) -> None:
    """Notice a silent host soon: on a shared connection of our own, since the one that opens it decides."""
    given = connection.get_option("ssh_extra_args")
    connection.set_option("ssh_extra_args", f"{given or ''} {_ALIVE}".strip())
    if not connection.get_option("control_path"):
        mark = hashlib.sha256(f"{host} {os.getppid()}".encode()).hexdigest()[:10]
        connection.set_option("control_path", f"%(directory)s/m{mark}")


def _python(raw: Mapping[str, Any], value: Any) -> str:
    """Return the Python of a host: the one that it was given, or that Ansible found when it ran a module there."""
    given = str(value("ansible_python_interpreter", "auto"))
    if not given.startswith("auto"):
        return given
    found = (raw.get("ansible_facts") or {}).get("discovered_interpreter_python")
    return str(found or raw.get("discovered_interpreter_python") or "python3")
