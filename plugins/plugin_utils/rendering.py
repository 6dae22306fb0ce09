# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills in templates with Ansible's own engine, on ansible-core 2.16 to 2.21 alike.

Since 2.19 only text that comes from a trusted place (a playbook, a variable file, the inventory) is a template, and it
carries that mark with it. So what is filled in here must be the very text that Ansible handed out, never a copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError

from ..module_utils.common.errors import StowageError


class TemplateFailed(StowageError):
    """A template that can't be filled in."""


class Renderer:
    """Fills in templates with the variables of a play, and more when asked."""

    def __init__(self, templar: Any, variables: Mapping[str, Any]) -> None:
        self._variables = dict(variables)
        self._templar = templar.copy_with_new_env(available_variables=self._variables)
        self._with: Mapping[str, Any] | None = None

    def __call__(self, value: Any, variables: Mapping[str, Any] | None = None) -> Any:
        """Return ``value`` filled in, or raise TemplateFailed with the reason."""
        if variables is not self._with:
            self._templar.available_variables = {**self._variables, **(variables or {})}
            self._with = variables
        try:
            return self._templar.template(value)
        except AnsibleError as error:
            raise TemplateFailed(f"can't be filled in: {_reason(error)}") from error


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
