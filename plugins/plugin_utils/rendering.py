# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills in templates with Ansible's own engine, on ansible-core 2.16 to 2.21 alike.

Since 2.19 only text that comes from a trusted place (a playbook, a variable file, the inventory) is a template, and it
carries that mark with it. So what is filled in here must be the very text that Ansible handed out, never a copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleError
from jinja2 import Environment, nodes
from jinja2.exceptions import TemplateError

from ..module_utils.common.errors import StowageError

_SYNTAX = Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
#: Functions and filters that answer differently each time, or may.
_CHANGING = frozenset({"lookup", "query", "q", "now", "random", "shuffle", "random_mac", "password_hash"})


class TemplateFailed(StowageError):
    """A template that can't be filled in."""


class Renderer:
    """Fills in templates with the variables of a play, and more when asked.

    What templates of types say of one instance is often said of many: what is equal for two of them is filled in once.
    """

    def __init__(self, templar: Any, variables: Mapping[str, Any]) -> None:
        self._uses: dict[str, _Uses] = {}
        #: What was filled in, with the objects whose identity is part of the key, so that they live as long.
        self._filled: dict[tuple[Any, ...], tuple[Any, Any, Any]] = {}
        self._variables = dict(variables)
        self._templar = templar.copy_with_new_env(available_variables=self._variables)
        self._with: Mapping[str, Any] | None = None

    def __call__(self, value: Any, variables: Mapping[str, Any] | None = None) -> Any:
        """Return ``value`` filled in, or raise TemplateFailed with the reason."""
        if not isinstance(value, str) or not variables or "instance" not in variables:
            return self._fill(value, variables)
        text = str.__str__(value)
        if text not in self._uses:
            self._uses[text] = _uses_of(text)
        uses = self._uses[text]
        if not uses.repeatable:
            return self._fill(value, variables)
        key = (id(value), *uses.key(variables))
        if key not in self._filled:
            self._filled[key] = (self._fill(value, variables), value, variables)
        return self._filled[key][0]

    def _fill(self, value: Any, variables: Mapping[str, Any] | None) -> Any:
        if variables is not self._with:
            self._templar.available_variables = {**self._variables, **(variables or {})}
            self._with = variables
        try:
            return self._templar.template(value)
        except AnsibleError as error:
            raise TemplateFailed(f"can't be filled in: {_reason(error)}") from error


@dataclass(frozen=True)
class _Uses:
    """What a template uses: attributes of ``instance`` (None: all of it), ``members``, and nothing that changes."""

    attributes: tuple[str, ...] | None
    members: bool
    repeatable: bool = True

    def key(self, variables: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return what is equal for two sets of variables when the template says the same with both."""
        about = variables["instance"]
        told = id(about) if self.attributes is None else repr([about.get(name) for name in self.attributes])
        return (told, id(variables.get("members")) if self.members else 0)


def _uses_of(text: str) -> _Uses:
    """Read a template's syntax; what can't be read is told by whoever fills it in."""
    try:
        tree = _SYNTAX.parse(text)
    except TemplateError:
        return _Uses(None, members=True, repeatable=False)
    called = {node.node.name for node in tree.find_all(nodes.Call) if isinstance(node.node, nodes.Name)}
    filters = {node.name.rpartition(".")[2] for node in tree.find_all(nodes.Filter)}
    repeatable = not called & _CHANGING and not filters & _CHANGING
    names = [node.name for node in tree.find_all(nodes.Name)]
    attributes = [node.attr for node in tree.find_all(nodes.Getattr)
                  if isinstance(node.node, nodes.Name) and node.node.name == "instance"]
    every = names.count("instance") == len(attributes) and not set(names) & {"vars", "hostvars"}
    return _Uses(tuple(sorted(set(attributes))) if every else None, "members" in names or not every, repeatable)


def _reason(error: AnsibleError) -> str:
    """Return the innermost reason as one line, without the excerpt of the source that Ansible appends."""
    reasons = [str(getattr(error, "message", None) or error)]
    cause = error.__cause__
    while cause is not None and len(reasons) < 5:
        reasons.append(str(getattr(cause, "message", None) or cause))
        cause = cause.__cause__
    if any("recursi" in reason for reason in reasons):
        return "it refers to itself"
    return " ".join(min((reason for reason in reasons if reason), key=len).split()).rstrip(".")
