# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns what Ansible hands over into plain data, and fills in templates leaf by leaf."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Callable

from ....module_utils.common.errors import StowageError
from .complaints import Complaints, join

# Fills in one template with additional variables; raises StowageError with a sentence when it can't.
Render = Callable[[Any, "Mapping[str, Any] | None"], Any]

_TEMPLATE = re.compile(r"\{\{|\{%|\{#")
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?")
_WORDS = {"true": True, "True": True, "false": False, "False": False}
_DEEPEST = 40


def plain(value: Any) -> Any:
    """Return ``value`` as plain JSON data, without the tags and wrappers that ansible-core puts around it."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return bool(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    # A vault-encrypted text of ansible-core before 2.19 decrypts when it becomes a text; dates turn into ISO form.
    return str(value)


def is_template(value: Any) -> bool:
    """Say whether a leaf needs Ansible to be filled in."""
    if isinstance(value, str):
        return _TEMPLATE.search(value) is not None
    # Of the rest, only texts that a vault holds need Ansible; structures are walked through.
    return not isinstance(value, (bool, int, float, Mapping, list, tuple)) and value is not None


def fill(
    value: Any,
    render: Render,
    path: str,
    complaints: Complaints,
    variables: Mapping[str, Any] | None = None,
    depth: int = 0,
) -> Any:
    """Return ``value`` as plain data with every template in it filled in.

    What can't be filled in becomes a complaint with the leaf's path, and ``None``.
    """
    if depth > _DEEPEST:
        complaints.add(path, f"nested deeper than {_DEEPEST} levels; expected a plain structure")
        return None
    if isinstance(value, Mapping):
        return {
            str(key): fill(item, render, join(path, str(key)), complaints, variables, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [
            fill(item, render, join(path, position), complaints, variables, depth + 1)
            for position, item in enumerate(value)
        ]
    if not is_template(value):
        return plain(value)
    try:
        return plain(render(value, variables))
    except StowageError as error:
        complaints.add(path, str(error))
        return None


def typed(before: Any, after: Any) -> Any:
    """Give back numbers and booleans where a template wrote them out as text.

    ansible-core before 2.19 renders ``{{ 5 }}`` as "5". ``before`` is the raw value, ``after`` the filled one.
    """
    if isinstance(after, dict):
        return {
            key: typed(before.get(key) if isinstance(before, Mapping) else before, item) for key, item in after.items()
        }
    if isinstance(after, list):
        aligned = isinstance(before, (list, tuple)) and len(before) == len(after)
        return [typed(before[n] if aligned else before, item) for n, item in enumerate(after)]
    if isinstance(after, str) and is_template(before):
        if after in _WORDS:
            return _WORDS[after]
        if _NUMBER.fullmatch(after):
            return float(after) if "." in after else int(after)
    return after
