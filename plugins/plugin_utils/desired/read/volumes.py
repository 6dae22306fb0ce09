# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The further volumes of a type: what is wrong with them, and how much disk they take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ....module_utils.disks.names import extra_size, problems
from .complaints import Complaints, join


def extra_disk(given: Mapping[str, Any] | None) -> int:
    """Return what the further volumes of a checked type take, in bytes; 0 for one that is wrong anyway."""
    volumes = (given or {}).get("volumes") or []
    usable = isinstance(volumes, list) and all(isinstance(volume, dict) for volume in volumes)
    return extra_size(volumes) if usable and not problems(volumes) else 0


def check_volumes(path: str, given: Mapping[str, Any], complaints: Complaints) -> None:
    """Check the names, paths and sizes of a type's further volumes."""
    volumes = given.get("volumes")
    if not isinstance(volumes, list) or not all(isinstance(volume, dict) for volume in volumes):
        return
    for sentence in problems(volumes, _other_paths(given)):
        where, _colon, what = sentence.partition(": ")
        complaints.add(join(path, where), what)


def _other_paths(given: Mapping[str, Any]) -> Iterable[str]:
    mounts = [mount for mount in given.get("mounts") or [] if isinstance(mount, dict)]
    data = given.get("data")
    return [
        str(place)
        for place in [*(mount.get("target") for mount in mounts), data.get("path") if isinstance(data, dict) else None]
        if place
    ]
