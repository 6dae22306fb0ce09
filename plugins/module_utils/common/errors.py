# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception tree of the collection.

Every module and action plugin turns a ``StowageError`` into ``fail_json`` once, in its ``main()`` or ``run()``.
A message is a sentence: what was wrong, where, and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterable


def show_value(value: object) -> str:
    """A value as it may stand in a message: short, on one line, whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 128:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, str):
        value = value[:60]
    elif isinstance(value, (list, tuple, dict)) and len(value) > 3:
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind} of {len(value)} entries"
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 60 else text[:57] + "..."


class StowageError(Exception):
    """Root of all errors that the collection raises on purpose."""

    @property
    def message(self) -> str:
        """The sentence to show to the operator."""
        return str(self)


class InvalidInput(StowageError):
    """Input that was refused at the door, before anything changed.

    ``problems`` holds *all* complaints, each a sentence that starts with the path of the offending value.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class InvalidSize(InvalidInput, ValueError):
    """A size such as ``512m`` that can't be read."""


class InvalidName(InvalidInput, ValueError):
    """A name of a cluster, group or instance that breaks the naming rules."""


class MissingDependency(StowageError):
    """A Python package that a part of the collection needs is not installed."""

    def __init__(self, package: str, purpose: str) -> None:
        self.package = package
        super().__init__(f"{purpose} needs the Python package {package}; install it where Ansible runs this code")


class EngineError(StowageError):
    """The Docker engine refused, failed or did not answer."""


class HostError(StowageError):
    """Something on the host itself (not its engine) failed or is missing."""


class PlanRefused(StowageError):
    """A plan that is outdated, or that would break a rule of the host, was refused before any change."""


class LockHeld(StowageError):
    """Somebody else is converging this host right now."""
