# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds two hosts with one name in the files of an inventory.

Ansible makes one host of them, without a word in most formats, before anything else sees the inventory: one machine
of the two then silently leaves the fleet. So the files themselves are read, as far as they are static.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.inventory import detect_range, expand_hostname_range

_YAML = (".yaml", ".yml", ".json")
# What Ansible leaves out of a folder of inventories, and what is another format than the two read here.
_NOT_READ = (".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry", ".toml")
_VARIABLES = ("group_vars", "host_vars", "vars_plugins")
_ADDRESS = ("ansible_host", "ansible_ssh_host")
_EXPECTED = "expected one name for each machine"
_PORT = ("ansible_port", "ansible_ssh_port")


@dataclass(frozen=True)
class _Definition:
    """One place of an inventory that names a host; the address is None where it says none."""

    host: str
    file: str
    line: int
    address: str | None


def find_namesakes(sources: Iterable[str]) -> list[tuple[str, str]]:
    """Return (file and line, sentence) for each name that the files of ``sources`` give to two hosts.

    Two hosts share a name when a YAML mapping has the name twice, or when two places give it different addresses.
    One host may well stand in several groups. Scripts, plugins and files that can't be read are not judged.
    """
    found: list[tuple[str, str]] = []
    first: dict[str, _Definition] = {}
    for file in _files(sources):
        for definition in _definitions(file, found):
            if definition.address is None:
                continue
            known = first.setdefault(definition.host, definition)
            if known.address != definition.address:
                place = f"{known.file}:{known.line}"
                what = f"host {definition.host} has the address {definition.address}, and {known.address} in {place}"
                found.append((f"{definition.file}:{definition.line}", f"{what}; {_EXPECTED}"))
    return found


def _files(sources: Iterable[str]) -> Iterator[str]:
    for source in sources:
        if os.path.isdir(source):
            for name in sorted(os.listdir(source)):
                if name not in _VARIABLES and not name.startswith("."):
                    yield from _files([os.path.join(source, name)])
        elif os.path.isfile(source) and not source.endswith(_NOT_READ) and not os.access(source, os.X_OK):
            yield source


def _definitions(file: str, found: list[tuple[str, str]]) -> Iterator[_Definition]:
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read()
        if file.endswith(_YAML):
            yield from _of_groups(yaml.compose(text, Loader=yaml.SafeLoader), file, "", found)
        else:
            yield from _of_ini(text, file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        # Ansible has read the inventory before, and has said what it could not read.
        return


def _of_groups(node: Any, file: str, path: str, found: list[tuple[str, str]]) -> Iterator[_Definition]:
    """Walk over groups: name -> {hosts: …, children: {…}}."""
    for name, group in _items(node):
        for key, value in _items(group):
            where = f"{path}{name.value}.{key.value}"
            if key.value == "hosts":
                yield from _of_hosts(value, file, where, found)
            elif key.value == "children":
                yield from _of_groups(value, file, f"{where}.", found)


def _of_hosts(node: Any, file: str, path: str, found: list[tuple[str, str]]) -> Iterator[_Definition]:
    lines: dict[str, int] = {}
    for name, variables in _items(node):
        line = name.start_mark.line + 1
        given = {key.value: value.value for key, value in _items(variables) if isinstance(value, yaml.ScalarNode)}
        for host in _expand(str(name.value)):
            if host in lines:
                what = f"{path}.{host} stands here twice, first in line {lines[host]}"
                found.append((f"{file}:{line}", f"{what}; {_EXPECTED}"))
            lines.setdefault(host, line)
            yield _Definition(host, file, line, _address(given))


def _items(node: Any) -> list[tuple[Any, Any]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]


def _of_ini(text: str, file: str) -> Iterator[_Definition]:
    """Read the lines of sections that list hosts: a name, then key=value pairs."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("[") and "]" in stripped:
            section = stripped[1 : stripped.index("]")]
        elif stripped and stripped[0] not in "#;" and not section.endswith((":vars", ":children")):
            try:
                name, *pairs = shlex.split(stripped, comments=True)
            except ValueError:
                continue
            given = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
            for host in _expand(name):
                yield _Definition(host, file, number, _address(given))


def _address(given: Mapping[str, str]) -> str | None:
    """Return where Ansible connects to; None when this place does not say, or says it with a template."""
    address = next((given[key] for key in _ADDRESS if given.get(key)), None)
    if address is None or "{{" in address:
        return None
    port = next((given[key] for key in _PORT if given.get(key)), None)
    return f"{address}:{port}" if port else address


def _expand(pattern: str) -> list[str]:
    if not detect_range(pattern):
        return [pattern]
    try:
        return [str(host) for host in expand_hostname_range(pattern)]
    except AnsibleError:
        return [pattern]
