# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observation of a host: what it has, and what of it is in use by whom. Changes nothing."""

from __future__ import annotations

import platform
from concurrent.futures import ThreadPoolExecutor

from ..common.cpulist import parse_cpulist
from ..common.errors import HostError
from ..common.naming import check_name
from ..containers.ownership import Owned, current_spec, identity
from ..disks.runner import list_volumes
from ..engine.client import ENGINE_SPEC, Engine, NotFound
from ..engine.layer_limit import layer_limit
from ..host.addresses import own_addresses
from ..host.capacity import boot_id, disk, host_amounts, memory, promisable, topology
from ..host.ledger import read_body, read_ledger, read_records
from ..network.filter.policy import known_policies
from .settings import SettingsTable

VERSION = 1
STATES = ["active", "cordoned", "drained"]
HOST_INFO_SPEC = {
    **ENGINE_SPEC,
    "labels": {"type": "dict", "default": {}},
    "reserved": {"type": "dict", "default": {}},
    "resources": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": STATES, "default": "active"},
    "host_name": {"type": "str"},
    "pool": {"type": "path", "default": "/var/lib/stowage/pool"},
    "disk_thin_ratio": {"type": "float", "default": 1.0},
    "state_dir": {"type": "path", "default": "/var/lib/stowage"},
    "parallel": {"type": "int", "default": 8},
    "images": {"type": "list", "elements": "str", "default": []},
    "ledger": {"type": "str", "choices": ["head", "body"], "default": "head"},
}


def observe(params):
    """Return (host, warnings): the observation of this host as docs/contracts.md describes it.

    :raises StowageError: when the input is wrong or the engine does not answer.
    """
    check_name(params["fleet"], "fleet")
    warnings = []
    named, reserved = host_amounts(params["resources"], params["reserved"])
    engine = Engine(params["docker_host"], params["engine_timeout"])
    info = engine.info()
    room = promisable(disk(params["pool"], info.get("DockerRootDir")), reserved.get("disk", 0),
                      params["disk_thin_ratio"])
    host = {
        "version": VERSION,
        "name": params["host_name"] or platform.node(),
        "engine": _engine(engine, info),
        "machine": _machine(info),
        "cpus": topology(),
        "addresses": own_addresses(),
        "resources": {**named, "memory": memory(), "disk": room},
        "reserved": reserved,
        "labels": {str(name): _label(value) for name, value in params["labels"].items()},
        "state": params["state"],
        "networks": [_network(network) for network in engine.list_networks()],
        "ledger": _ledger(params, warnings),
        "pool": params["pool"],
        "volumes": _volumes(params),
    }
    owned = Owned(engine.list_containers(), params["fleet"])
    records = read_records(params["state_dir"], params["fleet"])
    host["policies"] = known_policies(params["fleet"])
    with ThreadPoolExecutor(max_workers=max(1, params["parallel"])) as pool:
        seen = Seen(engine, pool, SettingsTable(host["machine"]))
        host["containers"] = _containers(owned.instances, records, seen, warnings, settings=True)
        others = _containers(owned.others(), {}, seen, [])
        host["images"] = seen.image_ids(params["images"])
    host["settings"] = seen.settings.rows
    shown = ("name", "fleet", "claims", "cores", "network", "address")
    host["others"] = [{key: one[key] for key in shown} for one in others]
    return host, warnings


def _label(value):
    """A label's value stays a number where it is one, for rules that compare; anything else is text."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def _engine(engine, info):
    version = engine.version()
    return {
        "version": version.get("Version"),
        "api_version": version.get("ApiVersion"),
        # Engines before 20.10 do not say, and know only version 1.
        "cgroup_version": int(info.get("CgroupVersion") or 1),
        "cgroup_driver": info.get("CgroupDriver"),
        "storage_driver": info.get("Driver"),
        "root_dir": info.get("DockerRootDir"),
        "layer_limit": layer_limit(info),
        "live_restore": bool(info.get("LiveRestoreEnabled")),
        "log_driver": info.get("LoggingDriver"),
        "swap_limit": bool(info.get("SwapLimit")),
        "kernel": info.get("KernelVersion"),
        "os": info.get("OperatingSystem"),
        "architecture": info.get("Architecture"),
    }


def _machine(info):
    """What tells this machine from all others, also from its clones: an engine's id is copied with a disk image, and
    the id of a boot is shared by containers that play hosts, but no two machines have both."""
    return f"{info.get('ID')} {boot_id()}"


def _network(network):
    options = network.get("Options") or {}
    pools = (network.get("IPAM") or {}).get("Config") or []
    config = (pools or [{}])[0]
    return {
        "name": network["Name"],
        "driver": network["Driver"],
        "parent": options.get("parent"),
        "subnet": config.get("Subnet"),
        "gateway": config.get("Gateway"),
        "internal": bool(network.get("Internal")),
        "options": options,
        "pools": pools,
        "labels": network.get("Labels") or {},
    }


def _ledger(params, warnings):
    try:
        ledger = read_ledger(params["state_dir"], params["fleet"])
        if ledger is not None and params["ledger"] == "body":
            ledger["body"] = read_body(params["state_dir"], params["fleet"])
        return ledger and {key: value for key, value in ledger.items() if key != "own"}
    except HostError as error:
        warnings.append(error.message)
        return None


def see_again(params, engine):
    """Return the containers of a host and its volumes, as ``observe`` does, after they were worked on."""
    owned = Owned(engine.list_containers(), params["fleet"])
    records = read_records(params["state_dir"], params["fleet"])
    with ThreadPoolExecutor(max_workers=max(1, params["parallel"])) as pool:
        seen = Seen(engine, pool, None)
        return {"containers": _containers(owned.instances, records, seen, []), "volumes": _volumes(params)}


def _volumes(params):
    return [volume for volume in list_volumes(params["pool"])
            if volume.get("fleet", params["fleet"]) == params["fleet"]]


class Seen:
    """Looks closely at containers and images, at each image once."""

    def __init__(self, engine, pool, settings):
        self._engine = engine
        self._pool = pool
        self._images = {}
        self.settings = settings

    def containers(self, listed):
        """Yield the inspections of listed containers; None for one that is gone since the list was made."""
        return self._look(self._engine.inspect, [container["Id"] for container in listed])

    def image_ids(self, names):
        """Return {name: id} of images, None for those that are not here."""
        self.images(names)
        return {name: (self._images[name] or {}).get("Id") for name in names}

    def images(self, names):
        """Look at those images that nobody has looked at yet."""
        new = sorted(set(names) - set(self._images))
        self._images.update(zip(new, self._look(self._engine.inspect_image, new)))

    def positions(self, inspection, spec):
        """Return where in ``settings`` those of a container stand."""
        asked = tuple((spec or {}).get("asked") or ())
        return self.settings.add(inspection, self._images.get(inspection["Image"]), asked)

    def _look(self, ask, idents):
        return self._pool.map(lambda ident: _unless_gone(ask, ident), idents)


def _unless_gone(ask, ident):
    try:
        return ask(ident)
    except NotFound:
        return None


def _containers(listed, records, seen, warnings, settings=False):
    found = []
    inspections = seen.containers(listed.values())
    if settings:
        seen.images({container["ImageID"] for container in listed.values()})
    for (name, container), inspection in zip(listed.items(), inspections):
        who = identity(name, container)
        if inspection is None:
            continue
        if who is None:
            warnings.append(f"Container {name} carries the fleet's label, but its other labels do not say its name")
            continue
        spec = current_spec(container, records)
        found.append(describe(name, who, inspection, spec))
        if settings:
            found[-1]["settings"] = seen.positions(inspection, spec)
    return sorted(found, key=lambda one: (one["cluster"], one["group"], one["index"]))


def describe(name, who, inspection, spec):
    """Return one container as the observation shows it: what the engine reports, and what was promised.

    :param who: (cluster, group, index).
    :param spec: what it was promised; None when nobody knows, and then it holds what the engine confines it to.
    """
    confined, state, config = inspection["HostConfig"], inspection["State"], inspection["Config"]
    cpuset = parse_cpulist(confined.get("CpusetCpus"))
    spec = spec or {"claims": {"memory": confined.get("Memory") or 0}, "damaged": True}
    exclusive = bool(spec["claims"].get("cores"))
    network, address, address6 = _address(inspection)
    return {
        "name": name,
        "fleet": (config.get("Labels") or {}).get("stowage.fleet"),
        "cluster": who[0],
        "group": who[1],
        "index": who[2],
        "id": inspection["Id"],
        "image": config.get("Image"),
        "image_id": inspection["Image"],
        "state": state["Status"],
        "health": (state.get("Health") or {}).get("Status") or "",
        "exit_code": state.get("ExitCode"),
        "restarts": inspection.get("RestartCount") or 0,
        "oom_killed": bool(state.get("OOMKilled")),
        "started_at": state.get("StartedAt"),
        "cores": cpuset if exclusive else [],
        "cpuset": cpuset,
        "cpus": _cpus(confined),
        "memory": confined.get("Memory") or 0,
        "network": network,
        "address": address,
        "address6": address6,
        "digest": spec.get("digest") or "",
        "grade": spec.get("grade") or "",
        "type": spec.get("type") or "",
        "claims": spec["claims"],
        "volumes": [
            {"name": mount.get("Name"), "source": mount.get("Source"), "target": mount.get("Destination")}
            for mount in inspection.get("Mounts") or []
            if mount.get("Type") in ("volume", "bind")
        ],
    }


def _cpus(confined):
    nano = confined.get("NanoCpus")
    return nano / 1e9 if nano else None


def _address(inspection):
    """Its network and its addresses of IPv4 and IPv6: those that it has, or will have again when it starts."""
    mode = inspection["HostConfig"].get("NetworkMode") or "default"
    name = "bridge" if mode == "default" else mode
    endpoint = ((inspection.get("NetworkSettings") or {}).get("Networks") or {}).get(name) or {}
    address = endpoint.get("IPAddress") or (endpoint.get("IPAMConfig") or {}).get("IPv4Address")
    address6 = endpoint.get("GlobalIPv6Address") or (endpoint.get("IPAMConfig") or {}).get("IPv6Address")
    return name, address or None, address6 or None
