# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a host's instances: there before their containers are made, kept when those go.

An instance has a disk when its grade says how large (``disk``) and its type says where (``data``), and one more for
each of its type's ``volumes``. Each is a volume of its own; see the package ``disks`` and ``instance_volumes``.
"""

from __future__ import annotations

from ..common.errors import InvalidInput
from ..common.sizes import parse_size
from .decide import Wanted
from .names import extra_size, instance_of, problems, size_problems, volume_name
from .pool import ATTACHED, Pool
from .runner import Settings, converge


def with_disks(instance, pool):
    """Return an instance with its disks among its mounts, and the size of its data disk in ``disk``.

    The folders that are mounted exist only on the disks themselves, so the engine can't start the container without
    them.
    :raises InvalidInput: when one has no size, or something else is mounted in its place.
    """
    extra, data = instance.get("volumes") or [], instance.get("data")
    mounts, found = list(instance.get("mounts") or []), []
    targets = [mount.get("target") for mount in mounts]
    place = Pool(pool)
    if data:
        size, path = _data_size(instance, extra), data["path"]
        if not size:
            found.append("data.path: needs a disk; expected the grade to say how large, such as disk: 2g")
        else:
            found += size_problems("data", size, data.get("fs"))
        if not path.startswith("/"):
            found.append(f"data.path: {path!r}; expected an absolute path in the container")
        if path in targets:
            found.append(f"data.path: {path} is among the mounts too; expected it in one of the two")
        instance = {**instance, "disk": size}
        mounts.append(_bind(path, place.data(instance["name"])))
        targets.append(path)
    found += problems(extra, [target for target in targets if target])
    if found:
        raise InvalidInput(found)
    mounts += [_bind(volume["path"], place.data(volume_name(instance["name"], volume["name"]))) for volume in extra]
    return {**instance, "mounts": mounts}


def _data_size(instance, extra):
    """Return the size of the data disk: what is said, or what the claims leave beside the further volumes."""
    if instance.get("disk"):
        return instance["disk"]
    claimed = (instance.get("claims") or {}).get("disk") or 0
    return claimed - extra_size([volume for volume in extra if not problems([volume])])


def _bind(target, source):
    return {"target": target, "source": source, "type": "bind"}


class InstanceDisks:
    """The disks of one run of the module ``containers``."""

    def __init__(self, params, check):
        """Take the module's options; ``check`` touches nothing."""
        self._params = params
        self._check = check
        #: {instance: digest} of those whose container is about to be updated.
        self.updates = {}
        self.results = []
        self.warnings = []

    def refuse_impossible(self, jobs):
        """Raise, before anything is changed, when this host can't give the instances the disks they ask for.

        :raises PoolFull: when the pool can't promise them; NoLoopDevices when the kernel can't mount them.
        """
        wanted = self._wanted(jobs)
        if wanted:
            converge(self._settings(check=True), wanted)

    def provide(self, jobs):
        """Bring the disks of instances about; return {instance: sentence} of those that failed."""
        return self._converge(self._wanted(jobs))

    def let_go(self, names):
        """Release, or delete where that was asked for, the disks of instances that were removed; return failures."""
        pool = Pool(self._params["pool"])
        if not pool.exists:
            return {}
        kept = set(self._params["keep_disks"] if self._params["release_disks"] else names)
        gone = set(names)
        mine = {name for name in self._records(pool) if instance_of(name) in gone}
        wanted = [Wanted(name, "released" if instance_of(name) in kept else "absent", fleet=self._params["fleet"])
                  for name in sorted(gone | mine)]
        return self._converge(wanted)

    def let_go_unwanted(self, jobs):
        """Release the disks that instances had and that their types no longer name; return failures.

        For when their containers no longer use them. Nothing is deleted: a line that was taken out by mistake comes
        back with its data.
        """
        pool = Pool(self._params["pool"])
        if not jobs or not pool.exists:
            return {}
        names, kept = {job.name for job in jobs}, {wanted.name for wanted in self._wanted(jobs)}
        left = [name for name, record in sorted(self._records(pool).items())
                if instance_of(name) in names and name not in kept and record["state"] == ATTACHED]
        return self._converge([Wanted(name, "released", fleet=self._params["fleet"]) for name in left])

    def delete_overdue(self, keep_instances):
        """Delete disks that were released ``keep_disks_days`` ago, but those of these instances; return failures."""
        if self._params["keep_disks_days"] is None or not Pool(self._params["pool"]).exists:
            return []
        outcome = converge(self._settings(self._check, self._params["keep_disks_days"], keep_instances), [])
        self.results += outcome.volumes
        return [f"disk {result['name']}: {result['msg']}" for result in outcome.volumes if result["failed"]]

    @property
    def changed(self):
        """Whether a disk was changed."""
        return any(result["changed"] for result in self.results)

    def _records(self, pool):
        """Return the records of this fleet's disks that belong to instances by their names."""
        records, _broken = pool.read_records()
        return {name: record for name, record in records.items()
                if record["fleet"] == self._params["fleet"] and instance_of(name) == record["instance"]}

    def _wanted(self, jobs):
        fleet, wanted = self._params["fleet"], []
        for job in jobs:
            given = job.instance
            disks = [{**volume, "name": volume_name(job.name, volume["name"])} for volume in given.get("volumes") or []]
            if given.get("data"):
                disks.insert(0, {**given["data"], "name": job.name, "size": given["disk"]})
            wanted += [Wanted(disk["name"], size=parse_size(disk["size"]), fleet=fleet, instance=job.name,
                              **{key: disk.get(key) for key in ("path", "fs", "owner", "group", "mode")},
                              **self._snapshot(job.name, disk.get("snapshots"))) for disk in disks]
        return wanted

    def _snapshot(self, instance, keep):
        """Return what is to be kept of a disk before an update of its container; the name makes a second run no-op."""
        if not keep or instance not in self.updates:
            return {}
        return {"snapshot": f"before-{self.updates[instance]}", "keep_snapshots": keep}

    def _settings(self, check, keep_days=None, keep_instances=()):
        params = self._params
        reserved = parse_size((params["reserved"] or {}).get("disk") or 0)
        return Settings(params["pool"], params["fleet"], reserve=reserved, keep_days=keep_days, check_mode=check,
                        thin_ratio=params["disk_thin_ratio"], warn_percent=params["disk_warn_percent"],
                        parallel=params["parallel"], lock_timeout=params["lock_timeout"],
                        keep_instances=keep_instances)

    def _converge(self, wanted):
        if not wanted:
            return {}
        outcome = converge(self._settings(self._check), wanted)
        self.results += outcome.volumes
        self.warnings = outcome.warnings
        failures = {}
        for result in outcome.volumes:
            if result["failed"]:
                failures.setdefault(result["instance"], []).append(result["msg"])
        return {instance: "; ".join(sentences) for instance, sentences in failures.items()}
