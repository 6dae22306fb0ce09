# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door: checks plain JSON, collects all complaints, each with the path, the value and what was expected."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from ....module_utils.common.errors import InvalidInput, InvalidSize
from ....module_utils.common.errors import show_value as show
from ....module_utils.common.naming import EXPECTED as EXPECTED_NAME
from ....module_utils.common.naming import is_valid_name
from ....module_utils.common.sizes import parse_size

# float64 holds whole numbers exactly up to 2**53; sums over a fleet must stay below.
MAX_AMOUNT = 2**50
MAX_PROBLEMS = 100
MAX_TEXT = 400
MAX_WORD = 64


class Reader:
    """Reads values, and remembers what was wrong instead of stopping at the first fault."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.more = 0

    def complain(self, path: str, what: str) -> None:
        """Remember one complaint."""
        if len(self.problems) < MAX_PROBLEMS:
            path, what = (text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..." for text in (path, what))
            self.problems.append(f"{path}: {what}")
        else:
            self.more += 1

    def finish(self) -> None:
        """Raise InvalidInput if anything was wrong."""
        if self.more:
            self.problems.append(f"and {self.more} more of this kind")
        if self.problems:
            raise InvalidInput(self.problems)

    def mapping(self, value: Any, path: str, known: Optional[Iterable[str]] = None) -> Mapping[str, Any]:
        """An object; with ``known``, other keys are refused."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.complain(path, f"{show(value)} is not a mapping; expected {expected_keys(known)}")
            return {}
        wrong = [key for key in value if not isinstance(key, str)]
        for key in wrong:
            self.complain(path, f"{show(key)} is not a text key; expected {expected_keys(known)}")
        if known is not None:
            names = set(known)
            for key in value:
                if isinstance(key, str) and key not in names:
                    hint = guess(key, names) if len(self.problems) < MAX_PROBLEMS else ""
                    self.complain(join(path, key), f"unknown key{hint}; expected {expected_keys(names)}")
        return {key: value[key] for key in value if isinstance(key, str)} if wrong else value

    def items(self, value: Any, path: str) -> list[Any]:
        """A list."""
        if value is None:
            return []
        if not isinstance(value, (list, tuple)):
            self.complain(path, f"{show(value)} is not a list; expected a list")
            return []
        return list(value)

    def whole(self, value: Any, path: str, low: int, high: int, default: int = 0) -> int:
        """A whole number within bounds."""
        if isinstance(value, float) and math.isfinite(value) and value == int(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.complain(path, f"{show(value)} is not a whole number; expected a whole number of {low} or more")
            return default
        if value < low:
            self.complain(path, f"{show(value)} is below {low}; expected a whole number of {low} or more")
            return default
        if value > high:
            self.complain(path, f"{show(value)} is above {high}; expected a whole number of at most {high}")
            return default
        return value

    def number(self, value: Any, path: str, low: float, high: float, default: float = 0.0) -> float:
        """A finite number within bounds."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
            self.complain(path, f"{show(value)} is not a number; expected a number from {low:g} to {high:g}")
            return default
        if not low <= value <= high:
            self.complain(path, f"{show(value)} is out of range; expected a number from {low:g} to {high:g}")
            return default
        return float(value)

    def size(self, value: Any, path: str) -> int:
        """Bytes or pieces; see ``parse_size``."""
        try:
            amount = parse_size(value)
        except InvalidSize as error:
            self.complain(path, str(error))
            return 0
        if amount > MAX_AMOUNT:
            self.complain(path, f"{show(value)} is above 2**50; expected less")
            return 0
        return amount

    def flag(self, value: Any, path: str, default: bool) -> bool:
        """True or false."""
        if value is None:
            return default
        if not isinstance(value, bool):
            self.complain(path, f"{show(value)} is not a boolean; expected true or false")
            return default
        return value

    def text(self, value: Any, path: str, expected: str = "a text") -> str:
        """A text that is not empty."""
        if not isinstance(value, str) or not value:
            self.complain(path, f"{show(value)} is not a text; expected {expected}")
            return ""
        return value

    def optional_text(self, value: Any, path: str, expected: str = "a text") -> Optional[str]:
        """A text, or nothing."""
        return None if value is None else self.text(value, path, expected)

    def choice(self, value: Any, path: str, choices: tuple[str, ...], default: str) -> str:
        """One of some words."""
        if value is None:
            return default
        if value not in choices:
            hint = guess(value, choices)
            self.complain(path, f"{show(value)} is not known{hint}; expected one of {', '.join(choices)}")
            return default
        return str(value)

    def name(self, value: Any, path: str) -> str:
        """The name of a cluster, a group, a grade or a network."""
        if not is_valid_name(value):
            self.complain(path, f"{show(value)} is not a valid name; {EXPECTED_NAME}")
        return str(value)


def guess(value: Any, known: Iterable[str]) -> str:
    """What a wrong word may have been meant to be; nothing for what is too long for a word."""
    word = isinstance(value, str) and len(value) <= MAX_WORD
    near = difflib.get_close_matches(value, sorted(known), n=1) if word else []
    return f" (did you mean {near[0]}?)" if near else ""


def _finite(value: int | float) -> bool:
    return abs(value) < 10**300 if isinstance(value, int) else math.isfinite(value)


def join(path: str, key: str) -> str:
    """The path of a key below a path."""
    return f"{path}.{key}" if path else key


def expected_keys(known: Optional[Iterable[str]]) -> str:
    """What a mapping may hold, for a message."""
    return "a mapping" if known is None else "one of " + ", ".join(sorted(known))


def label_text(value: Any) -> str:
    """A label's value as it is compared: as text, true and false in lower case."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


__all__ = ["MAX_AMOUNT", "Reader", "expected_keys", "guess", "join", "label_text", "show"]
