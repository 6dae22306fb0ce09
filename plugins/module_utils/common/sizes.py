# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes: the one place where "512m" becomes 536870912, and back."""

from __future__ import annotations

import math
import re

from .errors import InvalidSize, show_value

_FACTORS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4, "p": 1024**5}
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?\s*", re.IGNORECASE)
# Everything that counts bytes fits a signed 64-bit integer; beyond that an engine would refuse it anyway.
MAX_SIZE = 2**63 - 1
EXPECTED = "expected bytes as a whole number, or a number with k, m, g or t (base 1024), such as 512m or 1.5g"


def parse_size(value: object) -> int:
    """Return ``value`` in bytes.

    :param value: a whole number of bytes, or a string such as ``512m``, ``2g``, ``10GiB`` (base 1024 throughout).
    :raises InvalidSize: for anything else, below 0, or above 2**63 - 1.
    """
    if isinstance(value, bool):
        raise InvalidSize(f"{show_value(value)} is not a size; {EXPECTED}")
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    if isinstance(value, int):
        number = value
    elif isinstance(value, str):
        match = _PATTERN.fullmatch(value) if len(value) <= 64 else None
        if match is None:
            raise InvalidSize(f"{show_value(value)} is not a size; {EXPECTED}")
        number = _scaled(match.group(1), _FACTORS[match.group(2).lower()])
    else:
        raise InvalidSize(f"{show_value(value)} is not a size; {EXPECTED}")
    if number < 0:
        raise InvalidSize(f"{show_value(value)} is below 0; {EXPECTED}")
    if number > MAX_SIZE:
        raise InvalidSize(f"{show_value(value)} is above 2**63 - 1 bytes; {EXPECTED}")
    return number


def _scaled(digits: str, factor: int) -> int:
    """Multiply exactly: a float would lose bytes above 2**53."""
    whole, _dot, fraction = digits.partition(".")
    scaled = int(whole) * factor
    if fraction:
        scaled += int(fraction) * factor // 10 ** len(fraction)
    return scaled


def format_size(number: int) -> str:
    """Return bytes as the shortest exact text that ``parse_size`` reads back, such as ``512m``."""
    for unit in ("t", "g", "m", "k"):
        if number and number % _FACTORS[unit] == 0:
            return f"{number // _FACTORS[unit]}{unit}"
    return str(number)


def human_size(number: float) -> str:
    """Return bytes as a rounded text for people, such as ``1.4 GiB``."""
    size = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size == int(size) else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.0f} TiB" if size == int(size) else f"{size:.1f} TiB"
