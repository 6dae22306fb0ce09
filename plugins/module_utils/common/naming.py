# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names: the one place that knows how instances are called.

An instance is ``<cluster>_<group>_<index>``. Cluster and group names hold no underscore, so a name splits back.
"""

from __future__ import annotations

import re

from .errors import InvalidName, show_value

NAME_PATTERN = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
# A container name is also a host name inside the container, and a DNS label has 63 characters at most.
MAX_NAME = 63
#: How the successor of a container is called until it takes its place, and the container that it replaces then.
NEXT = ".next"
OLD = ".old"
_NAME = re.compile(NAME_PATTERN)
_INSTANCE = re.compile(f"(?P<cluster>{NAME_PATTERN})_(?P<group>{NAME_PATTERN})_(?P<index>0|[1-9][0-9]{{0,8}})")
EXPECTED = "expected lower-case letters, digits and inner hyphens, at most 63 characters, such as web-1"


def is_valid_name(name: object) -> bool:
    """Say whether ``name`` may name a cluster, a group, a type, a grade or a network."""
    return isinstance(name, str) and len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def check_name(name: str, what: str = "name") -> str:
    """Return ``name``, or raise InvalidName saying what was wrong with ``what``."""
    if not is_valid_name(name):
        raise InvalidName(f"{what}: {show_value(name)} is not a valid name; {EXPECTED}")
    return name


def instance_name(cluster: str, group: str, index: int) -> str:
    """Return the name of an instance: ``acme``, ``web``, 0 → ``acme_web_0``."""
    return f"{cluster}_{group}_{index}"


def split_instance_name(name: str) -> tuple[str, str, int]:
    """Return (cluster, group, index) of an instance name; raise InvalidName when it is none."""
    match = _INSTANCE.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise InvalidName(f"{show_value(name)} is not the name of an instance; expected <cluster>_<group>_<index>")
    return match.group("cluster"), match.group("group"), int(match.group("index"))


def is_instance_name(name: object) -> bool:
    """Say whether ``name`` splits into cluster, group and index."""
    return isinstance(name, str) and _INSTANCE.fullmatch(name) is not None
