# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One container on its way to what is wanted: the state machine behind the module ``containers``.

A container is replaced so that it can be interrupted anywhere and is never lost:

1. The successor is made as ``<name>.next``. If the engine refuses it, nothing has happened to the old one.
2. The old one stops, with its grace period, and loses its restart policy.
3. The old one becomes ``<name>.old``, the successor takes the name and starts.
4. Only then the old one is removed; its anonymous volumes live on in the successor.

If the successor does not start, the old one gets its name back, and runs again if it fits what it may use now.
"""

from __future__ import annotations

import time

from ..common.cpulist import parse_cpulist
from ..common.errors import EngineError, HostError, StowageError
from ..common.labels import SPEC, read_spec
from ..common.naming import NEXT, OLD
from ..network.address_use import with_holder
from ..network.links.converge import bring, has_links, leave
from .diff import Difference, differences, payload
from .ownership import current_spec
from .values import is_anonymous

_ACTIVE = ("running", "paused", "restarting")


class Result:
    """What happened to one container. Most important action wins: a recreated one is also started."""

    _RANK = ("none", "recorded", "stopped", "started", "updated", "recreated", "removed", "created")

    def __init__(self, name):
        self.name = name
        self.action = "none"
        self.failed = False
        #: Whether it was left before it was known to be well.
        self.waiting = False
        self.notes = []
        self.before = {}
        self.after = {}
        self.ident = ""
        #: When this run started it (time.monotonic), or None.
        self.started = None

    def did(self, action, note=None):
        """Remember an action and why."""
        if self._RANK.index(action) > self._RANK.index(self.action):
            self.action = action
        if note:
            self.notes.append(note)

    def fail(self, message):
        """Remember a failure."""
        self.failed = True
        self.notes.append(message)

    def differ(self, found):
        """Remember differences."""
        self.before.update({difference.name: difference.before for difference in found})
        self.after.update({difference.name: difference.after for difference in found})

    def to_dict(self, state="absent", health=""):
        """Return the module's result of this container."""
        return {
            "name": self.name,
            "action": self.action,
            "changed": self.action != "none",
            "failed": self.failed,
            "waiting": self.waiting,
            "msg": "; ".join(self.notes),
            "id": self.ident,
            "state": state,
            "health": health,
            "diff": {"before": self.before, "after": self.after} if self.before or self.after else {},
        }


class Converger:
    """Brings single containers of one host to what is wanted. Used by several threads, one container each."""

    def __init__(self, engine, owned, inspections, records, images, networks, policy, check):
        self._engine = engine
        self._owned = owned
        self._inspections = inspections
        self._records = records
        self._images = images
        self._networks = networks
        self._policy = policy
        self._check = check

    def converge(self, job):
        """Bring one instance to what is wanted; never raises for what the engine says."""
        result = Result(job.name)
        try:
            self._converge(job, result)
        except StowageError as error:
            result.fail(error.message)
        return result

    def _converge(self, job, result):
        other = self._owned.everything.get(job.name)
        if other is not None and not self._owned.is_ours(other):
            raise HostError(
                f"a container named {job.name} is there that fleet {self._owned.fleet} does not own; it was left alone"
            )
        network = job.instance.get("network")
        if network in self._networks.failed:
            raise HostError(f"its network failed: {self._networks.failed[network]}")
        container = self._inspections.get(job.name)
        image = self._images.find(job.instance["image"])
        if container is None:
            self._create(job, result)
        else:
            result.ident = container["Id"]
            self._change(job, result, container, image)
        self._finish_replacement(job, result)

    def _finish_replacement(self, job, result):
        """Remove what a broken run has replaced and left behind."""
        old = self._owned.replaced.pop(job.name, None)
        if old is not None:
            result.did("recreated", "finished a replacement that a broken run left half done")
            if not self._check:
                self._engine.remove(old["Id"], volumes=False)

    def _create(self, job, result):
        result.did("created", "it was not there")
        fields = ("image", "network", "address", "cores", "cpus", "memory", "state")
        result.after = {name: job.instance[name] for name in fields if job.instance.get(name)}
        if self._check:
            return
        result.ident = self._engine.create(job.name, payload(job.instance, job.made, self._owned.fleet, job.spec))
        if job.instance["state"] == "started":
            self._start(job, result.ident, result)

    def _start(self, job, ident, result):
        """Start a container. The one place where that is done: what must be there before goes here."""
        cluster = job.instance["cluster"]
        if self._policy.covers(cluster):
            self._policy.remember(ident, job.name, cluster)
        if job.links or has_links(ident):
            bring(self._engine, self._engine.inspect(ident), job.name, job.links, check=False)
        try:
            self._engine.start(ident)
        except EngineError as error:
            said = with_holder(error.message, job.instance, self._engine.list_containers, self._owned.fleet)
            raise EngineError(said) from error
        result.started = time.monotonic()

    def _change(self, job, result, container, image):
        listed = self._owned.instances[job.name]
        # What was asked for when it was made, or changed since.
        spec = current_spec(listed, self._records) or {}
        found = self._differences(job, container, image, spec)
        result.differ(found)
        if not found:
            self._reach_state(job, result, container)
        elif all(difference.update for difference in found):
            self._update(job, result, container, found)
        else:
            self._recreate(job, result, container, found)
            return
        if spec != job.spec and result.ident == container["Id"]:
            self._record(job, result, container, spec)

    def _differences(self, job, container, image, spec):
        if image is None:  # check mode, and the image would have to be fetched: it is another one for sure
            return [Difference("image", container["Config"].get("Image"), f"{job.instance['image']} (to be fetched)")]
        found = differences(
            job.instance, job.made, image, container, self._owned.fleet, spec, self._networks.ids()
        )
        if container["State"]["Status"] in ("dead", "removing"):
            found.append(Difference("state", container["State"]["Status"], job.instance["state"]))
        return found

    def _update(self, job, result, container, found):
        names = ", ".join(difference.name for difference in found)
        changes = {key: value for difference in found for key, value in difference.update.items()}
        if not self._check:
            try:
                self._engine.update(container["Id"], changes)
            except EngineError as error:
                # Such as less memory than it uses right now. A new container can do what this one can't.
                result.notes.append(f"could not be changed in place: {error}")
                self._recreate(job, result, container, found)
                return
        result.did("updated", f"{names} changed in place")
        self._reach_state(job, result, container)

    def _reach_state(self, job, result, container):
        state = container["State"]["Status"]
        if job.instance["state"] == "started" and state not in ("running", "restarting"):
            result.did("started", f"it was {state}")
            result.differ([Difference("state", state, "running")])
            if not self._check:
                if state == "paused":
                    self._engine.unpause(container["Id"])
                else:
                    self._start(job, container["Id"], result)
        elif job.instance["state"] == "started" and state == "running":
            self._wire(job, result, container)
        elif job.instance["state"] != "started" and state in _ACTIVE:
            result.did("stopped", f"it was {state}")
            result.differ([Difference("state", state, "exited")])
            if not self._check:
                self._engine.stop(container["Id"], grace_of(container))

    def _wire(self, job, result, container):
        """Bring the links of a running container to what is wanted."""
        done = bring(self._engine, container, job.name, job.links, self._check)
        if done["changed"]:
            result.did("updated", f"links: {', '.join(done['actions'])}")
            wanted = [link.to_dict() for link in job.links]
            result.differ([Difference("links", done["before"], wanted)])

    def _record(self, job, result, container, spec):
        """Note what a container is now, where its label can't say so."""
        if result.action == "none":
            before = {key: spec.get(key) for key in job.spec if spec.get(key) != job.spec[key]}
            result.did("recorded", f"{', '.join(before) or 'spec'} renewed; the container itself is as wanted")
            result.differ([Difference(key, value, job.spec[key]) for key, value in before.items()])
        if self._check:
            return
        if read_spec((container["Config"].get("Labels") or {}).get(SPEC)) == job.spec:
            self._records.pop(container["Id"], None)
        else:
            self._records[container["Id"]] = job.spec

    def _recreate(self, job, result, container, found):
        result.did("recreated", f"{', '.join(dict.fromkeys(d.name for d in found))} differ")
        if self._check:
            return
        made, carried, left = carry_volumes(job.made, container)
        body = payload(job.instance, made, self._owned.fleet, job.spec, carried)
        ident = self._engine.create(job.name + NEXT, body)
        # It has the name that this container is to get.
        self._finish_replacement(job, result)
        state = container["State"]["Status"]
        if state in _ACTIVE:
            self._engine.update(container["Id"], {"RestartPolicy": {"Name": "no"}})
            self._engine.stop(container["Id"], grace_of(container))
        self._engine.rename(container["Id"], job.name + OLD)
        self._engine.rename(ident, job.name)
        if job.instance["state"] == "started":
            try:
                self._start(job, ident, result)
            except StowageError as error:
                self._put_back(job, container, ident)
                raise EngineError(f"the new container did not start, so the old one was put back: {error}") from error
        result.ident = ident
        self._engine.remove(container["Id"], volumes=False)
        self._policy.forget(container["Id"])
        if left:
            result.notes.append(f"kept for their data, used by nothing now: volumes {', '.join(left)}")

    def _put_back(self, job, container, successor):
        self._engine.rename(successor, job.name + NEXT)
        self._engine.rename(container["Id"], job.name)
        self._engine.remove(successor, volumes=True)
        if container["State"]["Status"] in _ACTIVE:
            self._engine.update(container["Id"], {"RestartPolicy": container["HostConfig"]["RestartPolicy"]})
            if fits(container, job.made):
                self._engine.start(container["Id"])

    def yield_cores(self, job):
        """Take away from a sharing container, in place and at once, the cores that it is to lose."""
        container = self._inspections.get(job.name)
        target = set(parse_cpulist(job.made.get("cpuset")))
        if self._check or container is None or container["State"]["Status"] not in _ACTIVE or not target:
            return
        current = set(parse_cpulist(container["HostConfig"].get("CpusetCpus")))
        if current and current <= target:
            return
        cores = ",".join(str(core) for core in sorted(current & target or target))
        try:
            self._engine.update(container["Id"], {"CpusetCpus": cores})
        except EngineError:
            pass  # its own turn comes, and says what is wrong

    def remove(self, name):
        """Remove one container with its anonymous volumes; never raises for what the engine says."""
        result = Result(name)
        try:
            self._remove(name, result)
        except StowageError as error:
            result.fail(error.message)
        return result

    def _remove(self, name, result):
        other = self._owned.everything.get(name)
        if other is not None and not self._owned.is_ours(other):
            raise HostError(
                f"a container named {name} is there that fleet {self._owned.fleet} does not own; it was left alone"
            )
        old = self._owned.replaced.get(name)
        if old is not None and not self._check:
            self._engine.remove(old["Id"], volumes=False)
        container = self._inspections.get(name)
        if container is None:
            return
        result.did("removed")
        result.before = {"image": container["Config"].get("Image"), "state": container["State"]["Status"]}
        if self._check:
            return
        if has_links(container["Id"]):
            leave(container["Id"])
        if container["State"]["Status"] in _ACTIVE:
            self._engine.stop(container["Id"], grace_of(container))
        self._engine.remove(container["Id"], volumes=True)
        for mount in container.get("Mounts") or []:
            # Those that it took over from a container before it are named in its options, so the engine leaves them.
            if mount.get("Type") == "volume" and is_anonymous(mount.get("Name")):
                self._engine.remove_volume(mount["Name"])
        self._records.pop(container["Id"], None)
        self._policy.forget(container["Id"])


def grace_of(container):
    """Return the grace period in seconds that a container has to stop."""
    grace = container["Config"].get("StopTimeout")
    return 10 if grace is None else grace


def fits(container, made):
    """Say whether a container keeps within the cores and memory that its successor was given."""
    allowed = set(parse_cpulist(made.get("cpuset")))
    used = set(parse_cpulist(container["HostConfig"].get("CpusetCpus")))
    memory = made.get("memory") or 0
    has = container["HostConfig"].get("Memory") or 0
    return (not allowed or (bool(used) and used <= allowed)) and (not memory or 0 < has <= memory)


def carry_volumes(made, container):
    """Return (made, carried, left): how a successor keeps the anonymous volumes of ``container``.

    :returns: the engine's values with wanted anonymous volumes filled in, further mounts to add, and the names of
        volumes that can't be kept in it because something else is wanted in their place.
    """
    wanted = {mount["Target"]: mount for mount in made.get("mounts", [])}
    taken = {*wanted, *made.get("tmpfs", {})}
    filled, carried, left = {}, [], []
    for mount in container.get("Mounts") or []:
        name, target = mount.get("Name"), mount.get("Destination")
        if mount.get("Type") != "volume" or not is_anonymous(name):
            continue
        if target not in taken:
            carried.append({"Type": "volume", "Source": name, "Target": target, "ReadOnly": not mount.get("RW", True)})
        elif target in wanted and wanted[target]["Type"] == "volume" and wanted[target]["Source"] in ("", name):
            filled[target] = name
        else:
            left.append(name)
    mounts = [{**mount, "Source": filled.get(mount["Target"], mount["Source"])} for mount in wanted.values()]
    return {**made, "mounts": mounts} if "mounts" in made else made, carried, left
