# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a host's instances: there before their containers are made, kept when those go.

An instance has a disk when its grade says how large (``disk``) and its type says where (``data``). The disk is a
volume with the instance's name; see the package ``disks``.
"""

from __future__ import annotations

from .disks.decide import Wanted
from .disks.pool import Pool
from .disks.runner import Settings, converge
from .errors import InvalidInput
from .sizes import parse_size


def with_disk(instance, pool):
    """Return an instance with its disk among its mounts.

    The folder that is mounted exists only on the disk itself, so the engine can't start the container without it.
    :raises InvalidInput: when it has no size, or something else is mounted in its place.
    """
    size, path = instance.get("disk") or (instance.get("claims") or {}).get("disk"), instance["data"]["path"]
    if not size:
        raise InvalidInput("path: needs a disk; expected the grade to say how large, such as disk: 2g")
    if not path.startswith("/"):
        raise InvalidInput(f"path: {path!r}; expected an absolute path in the container")
    mounts = list(instance.get("mounts") or [])
    if path in [mount.get("target") for mount in mounts]:
        raise InvalidInput(f"path: {path} is among the mounts too; expected it in one of the two")
    own = {"target": path, "source": Pool(pool).data(instance["name"]), "type": "bind"}
    return {**instance, "disk": size, "mounts": [*mounts, own]}


class InstanceDisks:
    """The disks of one run of the module ``containers``."""

    def __init__(self, params, check):
        """Take the module's options; ``check`` touches nothing."""
        self._params = params
        self._check = check
        self.results = []

    def refuse_overcommit(self, jobs):
        """Raise PoolFull, before anything is changed, when the pool can't promise what the instances ask for."""
        wanted = self._wanted(jobs)
        if wanted:
            converge(self._settings(check=True), wanted)

    def provide(self, jobs):
        """Bring the disks of instances about; return {instance: sentence} of those that failed."""
        return self._converge(self._wanted(jobs))

    def let_go(self, names):
        """Release, or delete where that was asked for, the disks of instances that were removed; return failures."""
        state = "absent" if self._params["release_disks"] else "released"
        fleet = self._params["fleet"]
        if not Pool(self._params["pool"]).exists:
            return {}
        return self._converge([Wanted(name, state, fleet=fleet) for name in names], self._params["keep_disks_days"])

    @property
    def changed(self):
        """Whether a disk was changed."""
        return any(result["changed"] for result in self.results)

    def _wanted(self, jobs):
        fleet = self._params["fleet"]
        return [Wanted(job.name, size=parse_size(job.instance["disk"]), fleet=fleet, **job.instance["data"])
                for job in jobs if job.instance.get("data")]

    def _settings(self, check, keep_days=None):
        params = self._params
        reserved = parse_size((params["reserved"] or {}).get("disk") or 0)
        return Settings(params["pool"], params["fleet"], reserve=reserved, keep_days=keep_days, check_mode=check,
                        thin_ratio=params["disk_thin_ratio"], parallel=params["parallel"],
                        lock_timeout=params["lock_timeout"])

    def _converge(self, wanted, keep_days=None):
        if not wanted and keep_days is None:
            return {}
        outcome = converge(self._settings(self._check, keep_days), wanted)
        self.results += outcome.volumes
        return {result["name"]: result["msg"] for result in outcome.volumes if result["failed"]}
