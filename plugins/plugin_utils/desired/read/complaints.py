# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collects everything that is wrong with an input, so that an operator hears all of it at once."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from ....module_utils.common.errors import InvalidInput
from ....module_utils.common.naming import EXPECTED as EXPECTED_NAME
from ....module_utils.common.naming import is_valid_name
from ....module_utils.common.sizes import parse_size

_MISSING = object()
_LONGEST_VALUE = 80
# A letter or two beside a name of 15; a helper such as stowage_types_web is none of ours and not refused.
_ALIKE = 0.9


def show(value: Any) -> str:
    """Return ``value`` as people would write it, shortened."""
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def join(path: str, key: Any) -> str:
    """Return the path of ``key`` below ``path``: names with a dot, positions in brackets."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


class Complaints:
    """A list of sentences, each starting with the path of what is wrong.

    The readers below return the checked value, or ``default`` after a complaint, so that checking goes on.
    """

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self._paths: set[str] = set()
        self._unreadable: list[str] = []

    def add(self, path: str, sentence: str) -> None:
        """Note that what stands at ``path`` is wrong.

        Only the first complaint of a path is kept, and none about what would stand below something unreadable.
        """
        if path not in self._paths and not any(_is_within(path, above) for above in self._unreadable):
            self._paths.add(path)
            self.sentences.append(f"{path}: {sentence}")

    def _refuse(self, path: str, sentence: str) -> None:
        """Note that ``path`` is of another shape than expected, so nothing below it can be judged."""
        self.add(path, sentence)
        self._unreadable.append(path)

    def covers(self, path: str) -> bool:
        """Say whether ``path``, or something above or below it, has been complained about."""
        return any(_is_within(path, known) or _is_within(known, path) for known in self._paths)

    def raise_if_any(self) -> None:
        """Raise InvalidInput with all complaints, when there is one."""
        if self.sentences:
            raise InvalidInput(self.sentences)

    def mapping(self, path: str, value: Any, keys: Iterable[str] | None = None) -> dict[str, Any]:
        """Read a mapping; with ``keys``, any other key is a complaint. ``None`` reads as empty."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self._refuse(path, f"{show(value)} is not a mapping; expected keys with values")
            return {}
        known = None if keys is None else sorted(keys)
        result = {}
        for key, item in value.items():
            if known is not None and key not in known:
                self.add(join(path, str(key)), _unknown_key(str(key), known))
            else:
                result[str(key)] = item
        return result

    def named(self, path: str, value: Any) -> dict[str, Any]:
        """Read a mapping whose keys are names of things (clusters, groups, grades, types, networks)."""
        result = {}
        for key, item in self.mapping(path, value).items():
            if is_valid_name(key):
                result[key] = item
            else:
                self.add(join(path, key), f"{show(key)} is not a valid name; {EXPECTED_NAME}")
        return result

    def spelling(self, where: str, given: Iterable[str], known: Iterable[str]) -> None:
        """Refuse a variable that is almost one of ours, where that one is missing: nobody would ever read it.

        :param where: what a path starts with, such as ``host h1.``; empty for the variables of the fleet.
        """
        names = set(given)
        for name in sorted(name for name in names if name.startswith("stowage_") and name not in known):
            near = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
            if near and near[0] not in names:
                self.add(f"{where}{name}", f"is read by nothing (did you mean {near[0]}?); expected {near[0]}")

    def listing(self, path: str, value: Any) -> list[Any]:
        """Read a list. ``None`` reads as empty."""
        if value is None:
            return []
        if not isinstance(value, (list, tuple)):
            self._refuse(path, f"{show(value)} is not a list; expected a list")
            return []
        return list(value)

    def text(self, path: str, value: Any, default: Any = None) -> Any:
        """Read a text that is not empty."""
        if isinstance(value, str) and value:
            return value
        self.add(path, f"{show(value)} is not a text; expected a text that is not empty")
        return default

    def whole(self, path: str, value: Any, lowest: int = 0, default: Any = None) -> Any:
        """Read a whole number of ``lowest`` or more; a text that spells one is fine too."""
        expected = f"expected a whole number of {lowest} or more"
        number = _number(value)
        if number is None or number != int(number):
            self.add(path, f"{show(value)} is not a whole number; {expected}")
            return default
        if number < lowest:
            self.add(path, f"{show(value)} is below {lowest}; {expected}")
            return default
        return int(number)

    def number(self, path: str, value: Any, above: float = 0, default: Any = None) -> Any:
        """Read a finite number above ``above``; a text that spells one is fine too."""
        number = _number(value)
        if number is None or number <= above:
            self.add(path, f"{show(value)} is not a number above {above:g}; expected a number such as 0.25")
            return default
        return int(number) if number == int(number) else number

    def size(self, path: str, value: Any, default: Any = None) -> Any:
        """Read a size such as ``512m`` as bytes."""
        try:
            return parse_size(value)
        except InvalidInput as error:
            self.add(path, str(error))
            return default

    def choice(self, path: str, value: Any, choices: Iterable[str], default: Any = None) -> Any:
        """Read one of ``choices``."""
        known = list(choices)
        if value in known:
            return value
        self.add(path, f"{show(value)} is not known{_guess(value, known)}; expected one of {', '.join(known)}")
        return default

    def reference(self, path: str, value: Any, known: Iterable[str], what: str, default: Any = None) -> Any:
        """Read the name of something that must exist among ``known``; ``what`` says what it is."""
        names = sorted(known)
        if isinstance(value, str) and value in names:
            return value
        listed = ", ".join(names[:12]) + (", …" if len(names) > 12 else "") if names else "none"
        self.add(path, f"{show(value)} is not a known {what}{_guess(value, names)}; known are: {listed}")
        return default

    def boolean(self, path: str, value: Any, default: Any = None) -> Any:
        """Read yes or no, also as Ansible spells them."""
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "yes", "on"):
            return True
        if isinstance(value, str) and value.lower() in ("false", "no", "off"):
            return False
        self.add(path, f"{show(value)} is not true or false; expected true or false")
        return default


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value) if len(value) <= 32 else None
        except ValueError:
            return None
    if isinstance(value, (int, float)) and math.isfinite(value):
        return value
    return None


def _unknown_key(key: str, known: list[str]) -> str:
    return f"unknown key{_guess(key, known)}; expected one of {', '.join(known)}"


def _guess(value: Any, known: list[str]) -> str:
    near = difflib.get_close_matches(str(value), known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _is_within(path: str, above: str) -> bool:
    return path == above or (path.startswith(above) and path[len(above)] in ".[")
