# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations: the one place where "1m30s" becomes 90000000000 nanoseconds, the engine's unit."""

from __future__ import annotations

import re
from fractions import Fraction

from .errors import InvalidInput

_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h))+")
_LIMIT = 2**63 - 1
EXPECTED = "expected seconds, or numbers with ms, s, m or h such as 500ms or 1m30s"


def parse_duration(value):
    """Return ``value`` in nanoseconds; a bare number is seconds.

    :raises InvalidInput: for anything that is no duration, or that does not fit the engine's 64 bits.
    """
    text = str(value).strip()
    if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text):
        text += "s"
    if len(text) > 64 or not _WHOLE.fullmatch(text):
        raise InvalidInput(f"{text[:64]!r} is not a duration; {EXPECTED}")
    # Exactly: as floats, 1.001s would be a nanosecond less than 1001ms.
    total = int(sum(Fraction(number) * _UNITS[unit] for number, unit in _PART.findall(text)))
    if total > _LIMIT:
        raise InvalidInput(f"{text!r} is longer than an engine can count; {EXPECTED}")
    return total
