# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of CPUs as the kernel writes them (cpuset(7), "List format")."""

from __future__ import annotations


def parse_cpulist(text):
    """Return the sorted numbers of a kernel list such as ``0-2,5``."""
    numbers = set()
    for part in (text or "").strip().split(","):
        if part:
            first, _dash, last = part.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
    return sorted(numbers)
