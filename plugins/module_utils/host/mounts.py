# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted on this host, as the kernel tells it."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount:
    """One line of mountinfo: device as (major, minor), where, type, options of the mount and of the file system."""

    __slots__ = ("device", "fstype", "options", "root", "source", "super_options", "target")

    def __init__(self, device, root, target, options, fstype, source, super_options):
        self.super_options = super_options
        self.device = device
        self.root = root
        self.target = target
        self.options = options
        self.fstype = fstype
        self.source = source


def _unescape(text):
    """Undo the octal escapes of blank, tab, newline and backslash."""
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), text) if "\\" in text else text


def parse_mountinfo(text):
    """Return the Mounts of a mountinfo text (proc_pid_mountinfo(5)), in their order."""
    mounts = []
    for line in text.splitlines():
        left, separator, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if not separator or len(fields) < 6 or len(tail) < 2:
            continue
        major, _colon, minor = fields[2].partition(":")
        mounts.append(Mount((int(major), int(minor)), _unescape(fields[3]), _unescape(fields[4]),
                            fields[5].split(","), tail[0], _unescape(tail[1]), tail[2].split(",") if tail[2:] else []))
    return mounts


def mounts_below(folder):
    """Return the Mounts at or below ``folder`` that this process sees, in the order they were made."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as handle:
        mounts = parse_mountinfo(handle.read())
    prefix = folder.rstrip("/") + "/"
    return [mount for mount in mounts if mount.target == folder or mount.target.startswith(prefix)]
