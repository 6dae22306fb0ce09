# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an engine can limit the writable layer of a container (``storage_opt``), and why not.

The engine says so only when it is asked to make such a container. What it asks for is known, driver by driver
(moby, daemon/graphdriver): overlay2 and vfs need xfs with project quotas below them; btrfs, zfs and devicemapper
have quotas of their own.
"""

from __future__ import annotations

import os

from ..common.errors import PlanRefused
from ..host.mounts import parse_mountinfo

_OWN_QUOTAS = ("btrfs", "zfs", "devicemapper")
_PROJECT_QUOTAS = ("overlay2", "vfs")


def layer_limit(info, mountinfo=None):
    """Return {"supported", "backing_fs", "reason"}; ``reason`` is '' where it is supported.

    :param info: what the engine says of itself.
    :param mountinfo: text of /proc/self/mountinfo; read when None.
    """
    driver, root = info.get("Driver") or "", info.get("DockerRootDir") or "/"
    kind, options = _file_system(root, mountinfo)
    told = {str(pair[0]): str(pair[1]) for pair in info.get("DriverStatus") or [] if len(pair) == 2}
    backing = kind or told.get("Backing Filesystem") or "an unknown file system"
    return {"supported": not _reason(driver, backing, options), "backing_fs": backing,
            "reason": _reason(driver, backing, options)}


def _reason(driver, backing, options):
    if driver in _OWN_QUOTAS:
        return ""
    if driver not in _PROJECT_QUOTAS:
        return f"its storage driver {driver} knows no limit; btrfs, zfs, or overlay2 on xfs with pquota do"
    if backing != "xfs":
        return f"its storage driver {driver} lies on {backing}, and only xfs mounted with pquota limits it"
    if not {"prjquota", "pquota"} & set(options):
        return f"its storage driver {driver} lies on xfs that is mounted without pquota"
    return ""


def _file_system(path, mountinfo):
    """Return (type, options of the file system) of what a path lies on; (None, []) when it can't be told."""
    if mountinfo is None:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as handle:
            mountinfo = handle.read()
    path, found = os.path.join(path, ""), None
    for mount in parse_mountinfo(mountinfo):
        # Of mounts on one place the last one is seen.
        if path.startswith(os.path.join(mount.target, "")) and (not found or len(mount.target) >= len(found.target)):
            found = mount
    return (found.fstype, found.super_options) if found else (None, [])


def refuse_limits(jobs, limit, host):
    """Raise PlanRefused, before the first change, when containers ask for a limit that this engine can't give."""
    names = [job.name for job in jobs if (job.instance.get("storage_opt") or {}).get("size")]
    if names and not limit["supported"]:
        raise PlanRefused(refusal(names, host, limit))


def refusal(names, host, limit):
    """Return the sentence that names the instances, the host, and what is missing there."""
    return (f"{', '.join(sorted(names))}: storage_opt.size limits the writable layer, which the engine of {host} "
            f"can't: {limit['reason']}. Nothing was changed; leave storage_opt out, make the container read_only, or "
            "put what grows on a disk")
