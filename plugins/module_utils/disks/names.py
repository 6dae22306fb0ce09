# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks an instance has, and what they are called on its host. Pure; shared by controller and hosts.

Its data disk has the name of the instance. A further volume is called ``<instance>.<volume>``: names of instances hold
no dot, so the name splits back. All of them carry the instance in their record, and they live and move together.
"""

from __future__ import annotations

from ..common.errors import InvalidInput
from ..common.naming import is_valid_name
from ..common.sizes import human_size, parse_size
from .mkfs import MINIMUM_SIZE, rounded_size

_SEPARATOR = "."


def volume_name(instance, volume):
    """Return the name of a further volume on its host: ``acme_db_0``, ``logs`` → ``acme_db_0.logs``."""
    return f"{instance}{_SEPARATOR}{volume}"


def instance_of(name):
    """Return the instance that a disk belongs to by its name."""
    return name.partition(_SEPARATOR)[0]


def extra_size(volumes):
    """Return what further volumes take of the pool, in bytes; ``volumes`` as a type gives them, checked."""
    return sum(rounded_size(parse_size(volume["size"])) for volume in volumes or [])


def problems(volumes, taken=()):
    """Return what is wrong with a list of further volumes, each a sentence that starts with its place in the list.

    :param taken: paths in the container where something else is mounted.
    """
    found, names, paths = [], set(), {path.rstrip("/") or "/" for path in taken}
    for index, volume in enumerate(volumes or []):
        where = f"volumes[{index}]"
        name, path = str(volume.get("name") or ""), str(volume.get("path") or "").rstrip("/") or "/"
        if not is_valid_name(name):
            found.append(f"{where}.name: {name!r} can't name a volume; expected lower-case letters, digits and inner "
                         "hyphens, such as logs")
        if name in names:
            found.append(f"{where}.name: {name!r} comes twice; expected each volume once")
        if not path.startswith("/") or path == "/":
            found.append(f"{where}.path: {volume.get('path')!r}; expected an absolute path in the container")
        elif path in paths:
            found.append(f"{where}.path: {path} is mounted twice; expected each path once")
        names.add(name)
        paths.add(path)
        found += size_problems(f"{where}.size", volume.get("size"), volume.get("fs"))
    return found


def size_problems(path, size, kind):
    """Return what is wrong with the size of a disk, as sentences that start with ``path``; it is ext4 if not said."""
    try:
        size = parse_size(size or 0)
    except InvalidInput as error:
        return [f"{path}: {error.message}"]
    kind = kind or "ext4"
    least = MINIMUM_SIZE.get(kind, 0)
    if size < least:
        return [f"{path}: {human_size(size)} is too small; expected at least {human_size(least)} for {kind}"]
    return []
