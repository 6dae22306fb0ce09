# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of sections, as systemd and NetworkManager have them. Pure; unlike configparser's, keys may come again."""

from __future__ import annotations

import re

_SECTION = re.compile(r"\[(.+)\]")


def read_sections(text):
    """Return [(section, [line])] without comments and empty lines; a section may come more than once."""
    found = []
    for line in map(str.strip, text.splitlines()):
        head = _SECTION.fullmatch(line)
        if head:
            found.append((head.group(1), []))
        elif found and line and not line.startswith(("#", ";")):
            found[-1][1].append(line)
    return found
