# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine in memory: it keeps containers, their names and their states, and what it was told.

It answers as an engine does in what these tests need: a list, inspections, and a refusal of a name that is taken.
"""

from __future__ import annotations

import copy
import itertools

from ansible_collections.stowage.fleet.plugins.module_utils.containers.diff import payload
from ansible_collections.stowage.fleet.plugins.module_utils.containers.ownership import Owned
from ansible_collections.stowage.fleet.plugins.module_utils.containers.read_instances import read_jobs
from ansible_collections.stowage.fleet.plugins.module_utils.containers.replace import Converger
from ansible_collections.stowage.fleet.plugins.module_utils.engine.client import Conflict, EngineError, NotFound


class Died(BaseException):
    """Whoever worked with the engine died in the middle of it."""


class Engine:
    """One engine. What it is told is kept in ``told``, each as a sentence with the name at that moment."""

    def __init__(self):
        self.containers = {}
        self.told = []
        #: {start of a sentence: what the engine says instead of doing it}
        self.refuses = {}
        #: How many changes are made before the one who asks for them dies; None for all.
        self.lives_for = None
        self._numbers = itertools.count(100)

    def add(self, job, status="running", ident=None, name=None, fleet="fleet", **more):
        """Add the container of a job as it would have been made."""
        body = payload(job.instance, job.made, fleet, job.spec)
        ident = ident or f"c{next(self._numbers)}"
        self._put(ident, name or job.name, body, status)
        self.containers[ident].update(more)
        return self.containers[ident]

    def _put(self, ident, name, body, status):
        config = {key: value for key, value in body.items() if key not in ("HostConfig", "NetworkingConfig")}
        self.containers[ident] = {
            "Id": ident, "Name": f"/{name}", "Image": image_id(body["Image"]), "Config": config,
            "HostConfig": dict(body["HostConfig"]), "Mounts": [], "State": {"Status": status},
        }

    def _tell(self, verb, ident, *words):
        sentence = " ".join([verb, self.name_of(ident) if ident in self.containers else ident, *map(str, words)])
        if self.lives_for is not None and len(self.told) >= self.lives_for:
            raise Died(sentence)
        for start, answer in self.refuses.items():
            if sentence.startswith(start):
                raise EngineError(answer)
        self.told.append(sentence)

    def name_of(self, ident):
        return self.containers[ident]["Name"].lstrip("/")

    def named(self, name):
        return next((one for one in self.containers.values() if one["Name"] == f"/{name}"), None)

    def state_of(self, name):
        """Return (image, state) of a container, None when there is none of that name."""
        container = self.named(name)
        return container and (container["Config"]["Image"], container["State"]["Status"])

    def names(self):
        return sorted(map(self.name_of, self.containers))

    # what is asked of an engine

    def list_containers(self):
        return [{"Id": ident, "Names": [one["Name"]], "Labels": one["Config"].get("Labels"),
                 "State": one["State"]["Status"], "ImageID": one["Image"]} for ident, one in self.containers.items()]

    def inspect(self, ident):
        if ident not in self.containers:
            raise NotFound(f"No such container: {ident}")
        return copy.deepcopy(self.containers[ident])

    def create(self, name, body):
        if self.named(name):
            raise Conflict(f'The container name "/{name}" is already in use')
        self._tell("create", name)
        ident = f"c{next(self._numbers)}"
        self._put(ident, name, body, "created")
        self.containers[ident]["Mounts"] = [
            {"Type": mount["Type"], "Name": mount["Source"], "Destination": mount["Target"]}
            for mount in body["HostConfig"]["Mounts"] if mount["Type"] == "volume"]
        return ident

    def start(self, ident):
        self._tell("start", ident)
        self.containers[ident]["State"]["Status"] = "running"

    def stop(self, ident, grace):
        self._tell("stop", ident, grace)
        self.containers[ident]["State"]["Status"] = "exited"

    def unpause(self, ident):
        self._tell("unpause", ident)
        self.containers[ident]["State"]["Status"] = "running"

    def rename(self, ident, name):
        if self.named(name):
            raise Conflict(f'The container name "/{name}" is already in use')
        self._tell("rename", ident, name)
        self.containers[ident]["Name"] = f"/{name}"

    def update(self, ident, resources):
        self._tell("update", ident, *sorted(resources))
        self.containers[ident]["HostConfig"].update(resources)

    def remove(self, ident, volumes):
        if ident in self.containers:
            self._tell("remove", ident, *(["with volumes"] if volumes else []))
            del self.containers[ident]

    def remove_volume(self, name):
        self._tell("remove volume", name)


def image_id(name):
    return f"sha256:{name}"


class Images:
    """Images that are all there."""

    def find(self, name):
        return {"Id": image_id(name), "Config": {}}


class Networks:
    """Networks that are all there, but for those that failed."""

    def __init__(self, **failed):
        self.failed = failed

    def ids(self):
        return {}


class Policy:
    """Isolates the clusters it is given, and tells the engine's diary of it."""

    def __init__(self, engine, *clusters):
        self._engine = engine
        self._clusters = clusters

    def covers(self, cluster):
        return cluster in self._clusters

    def remember(self, ident, name, cluster):
        self._engine.told.append(f"remember {name}")

    def forget(self, ident):
        if self._clusters:
            self._engine.told.append(f"forget {ident}")


def job_of(name="acme_web_0", state="started", image="web:1", **options):
    """Return the job of an instance."""
    cluster, group, index = name.split("_")
    instance = {"name": name, "cluster": cluster, "group": group, "index": int(index), "image": image, "state": state}
    (found,) = read_jobs([{**instance, "restart_policy": "unless-stopped", **options}], [], "fleet")
    return found


def converger(engine, check=False, records=None, mend=True, images=None, networks=None, policy=None):
    """Return a Converger that knows all the engine has, as a run of the module makes one."""
    owned = Owned(engine.list_containers(), "fleet")
    if mend and not check:
        owned.mend(engine)
    inspections = {name: engine.inspect(container["Id"]) for name, container in owned.instances.items()}
    return Converger(engine, owned, inspections, {} if records is None else records, images or Images(),
                     networks or Networks(), policy or Policy(engine), check)
