# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the data disks that lie on hosts: whose they are, where, and how much room they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import Disks, Group, Hosts, Running
from ..numeric import np
from .parse_running import MAX_INDEX
from .reader import Reader, show

KEYS = ("cluster", "group", "index", "host", "size", "released_at")


def read_disks(reader: Reader, value: Any, hosts: Hosts, groups: tuple[Group, ...], running: Running) -> Disks:
    """All disks in the order of (cluster, group, index, host)."""
    rows = {name: row for row, name in enumerate(hosts.names)}
    found: dict[tuple[str, str, int, int], tuple[int, str]] = {}
    for position, raw in enumerate(reader.items(value, "disks")):
        path = f"disks[{position}]"
        entry = reader.mapping(raw, path, KEYS)
        cluster = reader.text(entry.get("cluster"), f"{path}.cluster", "the name of a cluster")
        group = reader.text(entry.get("group"), f"{path}.group", "the name of a group")
        index = reader.whole(entry.get("index"), f"{path}.index", 0, MAX_INDEX)
        size = reader.size(entry.get("size"), f"{path}.size")
        released = reader.optional_text(entry.get("released_at"), f"{path}.released_at", "a time such as 2026-01-02")
        host = entry.get("host")
        row = rows.get(host, -1) if isinstance(host, str) else -1
        if row < 0:
            reader.complain(f"{path}.host", f"{show(host)} is not known; expected the name of one of hosts")
        elif (cluster, group, index, row) in found:
            reader.complain(path, f"a second disk of {show(f'{cluster}_{group}_{index}')} on host {show(host)}")
        else:
            found[cluster, group, index, row] = (size, released or "")
    return _columns(found, {(group.cluster, group.name): group.id for group in groups}, running)


def _columns(
    found: Mapping[tuple[str, str, int, int], tuple[int, str]], ids: Mapping[tuple[str, str], int], running: Running
) -> Disks:
    places: dict[tuple[int, int, int], int] = {}
    if found:
        keys = zip(running.group.tolist(), running.index.tolist(), running.host.tolist())
        places = {key: row for row, key in enumerate(keys)}
    runs = {key[:2] for key in places}
    own: dict[int, int] = {}
    released: dict[tuple[int, int], int] = {}
    ordered = sorted(found)
    for number, (cluster, name, index, host) in enumerate(ordered):
        group = ids.get((cluster, name), -1)
        row = places.get((group, index, host))
        if row is not None:
            own[row] = number
        elif group >= 0 and (group, index) not in runs:
            # Of several that were left behind, the one that was released last holds the newest data.
            other = released.get((group, index))
            if other is None or found[ordered[number]][1] >= found[ordered[other]][1]:
                released[group, index] = number
    return Disks(
        host=np.array([key[3] for key in ordered], dtype=np.int64),
        size=np.array([float(found[key][0]) for key in ordered], dtype=np.float64),
        own=own,
        released=released,
    )
