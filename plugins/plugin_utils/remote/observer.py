# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observes hosts that the running play does not hold, by Ansible itself in a process of its own.

Only Ansible knows how to reach a host: its variables, its keys, jump hosts, become. So the same installation runs
host_info on them, in parallel, with the options of the running command. Passwords and vault secrets travel through
named pipes in a folder of their own, never over the command line, the environment or a disk.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from ansible import constants, context
from ansible.utils.collection_loader import AnsibleCollectionConfig

from ...module_utils.common.errors import StowageError

# Command line options of Ansible that say how to reach hosts, by their name in the running command.
_SWITCHES = {
    "remote_user": "--user",
    "connection": "--connection",
    "timeout": "--timeout",
    "private_key_file": "--private-key",
    "ssh_common_args": "--ssh-common-args",
    "ssh_extra_args": "--ssh-extra-args",
    "sftp_extra_args": "--sftp-extra-args",
    "scp_extra_args": "--scp-extra-args",
    "forks": "--forks",
}
# What the module needs to know of each host; filled in by Ansible, host by host.
_ARGUMENTS = {
    "fleet": "{{ stowage_fleet_name | default('fleet') }}",
    "labels": "{{ stowage_host_labels | default({}) }}",
    "reserved": "{{ stowage_host_reserved | default({}) }}",
    "resources": "{{ stowage_host_resources | default({}) }}",
    "state": "{{ stowage_host_state | default('active') }}",
    "pool": "{{ storage_pool | default('/var/lib/stowage/pool') }}",
    "disk_thin_ratio": "{{ stowage_disk_thin_ratio | default(1.0) }}",
}


class ObservationFailed(StowageError):
    """Ansible could not be run to observe hosts."""


def observe(
    hosts: Collection[str],
    sources: Iterable[str] | None = None,
    become: bool | None = None,
    play_context: Any = None,
    loader: Any = None,
    ledger: str = "head",
) -> dict[str, dict[str, Any]]:
    """Return the result of host_info, or of the failure to run it, by host name.

    :param sources: inventory sources; those of the running command when None.
    :param become: become root on the hosts; as the running play does when None, where the inventory does not say.
    :param play_context: of the running task, for become and passwords.
    :param loader: of the running command, for vault secrets.
    :param ledger: how much of the ledger is asked for: ``head`` or ``body``.
    :raises ObservationFailed: when Ansible itself fails before it talks to any host.
    """
    if not hosts:
        return {}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="stowage-"))
        answers = os.path.join(folder, "observations")
        pipes = stack.enter_context(_Pipes(folder))
        command = [sys.executable, "-m", "ansible", "adhoc", ",".join(sorted(hosts))]
        command += ["-m", "stowage.fleet.host_info", "-a", json.dumps({**_ARGUMENTS, "ledger": ledger})]
        command += _options(sources, become, play_context)
        command += _secrets(play_context, loader, pipes)
        done = subprocess.run(
            command, env=_environment(answers), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )
        results = _read(answers)
    if not results and done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit status {done.returncode}"]
        raise ObservationFailed(f"hosts outside this run could not be observed: {lines[-1]}")
    return results


def _options(sources: Iterable[str] | None, become: bool | None, play_context: Any) -> list[str]:
    arguments: Mapping[str, Any] = context.CLIARGS or {}
    options: list[str] = []
    for source in arguments.get("inventory") or () if sources is None else sources:
        options += ["--inventory", str(source)]
    for extra in arguments.get("extra_vars") or ():
        options += ["--extra-vars", str(extra)]
    for name, switch in _SWITCHES.items():
        if arguments.get(name):
            options += [switch, str(arguments[name])]
    basedir = arguments.get("basedir")
    if basedir:
        options += ["--playbook-dir", str(basedir)]
    options += _become(become, play_context, arguments)
    return options


def _become(become: bool | None, play_context: Any, arguments: Mapping[str, Any]) -> list[str]:
    if become is None:
        become = bool(getattr(play_context, "become", None) or arguments.get("become"))
    if not become:
        return []
    options = ["--become"]
    for name, switch in (("become_user", "--become-user"), ("become_method", "--become-method")):
        value = getattr(play_context, name, None) or arguments.get(name)
        if value:
            options += [switch, str(value)]
    return options


def _secrets(play_context: Any, loader: Any, pipes: _Pipes) -> list[str]:
    """Put each password and vault secret into a pipe of its own, and return the options that name the pipes."""
    options: list[str] = []
    for name, switch in (("password", "--connection-password-file"), ("become_pass", "--become-password-file")):
        secret = getattr(play_context, name, None)
        if secret:
            options += [switch, pipes.offer(str(secret).encode())]
    vault = getattr(loader, "_vault", None)
    for identity, secret in getattr(vault, "secrets", None) or ():
        options += ["--vault-id", f"{identity}@{pipes.offer(secret.bytes)}"]
    return options


class _Pipes:
    """Named pipes, each of which gives its content to one reader.

    Ansible resolves the path of a password file, so an inherited file descriptor would not do.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._writers: list[tuple[str, threading.Thread]] = []

    def __enter__(self) -> _Pipes:
        return self

    def offer(self, content: bytes) -> str:
        """Return the path of a new pipe with this content."""
        path = os.path.join(self._folder, f"secret-{len(self._writers)}")
        os.mkfifo(path, 0o600)
        writer = threading.Thread(target=_write, args=(path, content), daemon=True)
        writer.start()
        self._writers.append((path, writer))
        return path

    def __exit__(self, *_error: object) -> None:
        for path, writer in self._writers:
            # Whoever waits for a reader that never came is let go.
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            writer.join(timeout=5)
            os.close(reader)


def _write(path: str, content: bytes) -> None:
    # The reader may have gone without reading.
    with suppress(BrokenPipeError), open(path, "wb") as file:
        file.write(content)


def _environment(answers: str) -> dict[str, str]:
    environment = {
        **os.environ,
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "ANSIBLE_STDOUT_CALLBACK": "stowage.fleet.observations",
        # Profilers and loggers of the running command have no business here.
        "ANSIBLE_CALLBACKS_ENABLED": "stowage.fleet.observations",
        "ANSIBLE_NOCOLOR": "1",
        "STOWAGE_OBSERVATIONS": answers,
    }
    if constants.CONFIG_FILE:
        environment["ANSIBLE_CONFIG"] = str(constants.CONFIG_FILE)
    paths = [str(path) for path in AnsibleCollectionConfig.collection_paths]
    if paths:
        environment["ANSIBLE_COLLECTIONS_PATH"] = os.pathsep.join(paths)
    return environment


def _read(answers: str) -> dict[str, dict[str, Any]]:
    try:
        with open(answers, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
    except FileNotFoundError:
        return {}
    return {line["host"]: line["result"] for line in lines}
