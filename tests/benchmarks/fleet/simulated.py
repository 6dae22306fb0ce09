# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are files: what the collection's modules would answer on them, in the shapes of docs/architecture.md.

A folder holds `<host>.json` for each host, written by `build()`, and the ledgers, each once however many hosts have it.
`Machine(folder, name).answer(module, arguments, check)` answers for a module and keeps what it changed, so that what is
created is observed afterwards.

The `settings` of containers are as many and as long as real ones, but not word for word theirs: who compares them with
what is wanted finds them different. Nothing of the product is imported: what Ansible's workers have loaded before they
run the product's own plugins would be missing from the product's bill.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

GIB = 2**30
CORES = 32
MEMORY = 128 * GIB
DISK = 4096 * GIB
LIVES = {"started": "running", "stopped": "exited", "reserved": "created"}
SINCE = "2026-01-02T03:04:05.000000006Z"


class NoAnswer(Exception):
    """A module, or a use of it, that nobody has taught the simulated hosts."""


def build(folder: Path, hosts: Iterable[str]) -> None:
    """Write hosts that have never been seen by a fleet."""
    for number, name in enumerate(hosts):
        _write(folder / f"{name}.json", {"name": name, "number": number, "ledger": None, "networks": [],
                                         "containers": {}, "disks": {}})


def census(folder: Path) -> dict[str, list[str]]:
    """The names of the containers on each host."""
    return {path.stem: sorted(json.loads(path.read_text())["containers"]) for path in folder.glob("*.json")}


class Machine:
    """One host, for the time of one task."""

    def __init__(self, folder: Path, name: str, defaults: dict[str, dict[str, Any]] | None = None) -> None:
        """`defaults` are the options of each module, as `ansible-doc` has them: every result repeats them all."""
        self._folder = folder
        self._path = folder / f"{name}.json"
        self._defaults = defaults or {}
        self._state: dict[str, Any] = {}

    def answer(self, module: str, arguments: dict[str, Any], check: bool) -> str:
        """What the module would print. Raises NoAnswer where nobody knows."""
        known: dict[str, Callable[[dict[str, Any], bool], dict[str, Any]]] = {
            "containers": self._containers, "isolation": self._isolation, "volume": self._volume}  # fmt: skip
        name = module.removeprefix("stowage.fleet.")
        self._state = json.loads(self._path.read_text())
        if name == "host_info":
            return self._host_info(arguments)
        if name not in known:
            raise NoAnswer(f"simulated hosts don't know the module {module}; teach tests/benchmarks/fleet/simulated.py")
        answer = known[name](arguments, check)
        if not check and answer["changed"]:
            _write(self._path, self._state)
        return json.dumps({**answer, **self._invocation(name, arguments)})

    def _invocation(self, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        told = {key: value for key, value in arguments.items() if not key.startswith("_ansible")}
        return {"invocation": {"module_args": _filled(told, self._defaults.get(module, {}))}}

    # --- host_info

    def _host_info(self, arguments: dict[str, Any]) -> str:
        state, number = self._state, self._state["number"]
        machine = f"{_digits(state['name'], 4)}:SIM {_digits(state['name'], 32)}"
        rows = _Rows(machine)
        containers = [_observed(name, one, rows, arguments["fleet"]) for name, one in sorted(
            state["containers"].items(), key=lambda pair: _order(pair[1]["options"]))]  # fmt: skip
        reserved = dict(arguments.get("reserved") or {})
        host = {
            "version": 1,
            "name": arguments.get("host_name") or state["name"],
            "engine": {
                "version": "26.1.5", "api_version": "1.45", "cgroup_version": 2, "cgroup_driver": "systemd",
                "storage_driver": "overlay2", "root_dir": "/var/lib/docker", "live_restore": True,
                "layer_limit": {"supported": False, "backing_fs": "extfs", "reason": "its file system has no quotas"},
                "log_driver": "json-file", "swap_limit": True, "kernel": "6.12.48", "os": "Debian GNU/Linux 13",
                "architecture": "x86_64"},
            "machine": machine,
            "cpus": [{"id": cpu, "core": cpu, "socket": cpu * 2 // CORES, "node": cpu * 2 // CORES}
                     for cpu in range(CORES)],
            "addresses": ["172.17.0.1", address_of(number), f"fe80::42:aff:fe40:{number:x}"],
            "resources": {**(arguments.get("resources") or {}), "memory": MEMORY, "disk": DISK},
            "reserved": {name: _bytes(amount) if name in ("memory", "disk") else int(amount)
                         for name, amount in reserved.items()},
            "labels": arguments.get("labels") or {},
            "state": arguments.get("state") or "active",
            "networks": [_network("bridge", "bridge", "172.17.0.0/16"), _network("host", "host"),
                         _network("none", "null"), *state["networks"]],
            "pool": arguments.get("pool") or "/var/lib/stowage/pool",
            "volumes": [_volume_seen(name, disk) for name, disk in sorted(state["disks"].items())],
            "containers": containers,
            "images": {name: _image_id(name) for name in arguments.get("images") or []},
            "settings": rows.rows,
            "others": [],
            "policies": state.get("policies") or {},
            "ledger": state["ledger"],
        }  # fmt: skip
        return json.dumps({"changed": False, **self._invocation("host_info", arguments), "host": host})

    # --- containers

    def _containers(self, arguments: dict[str, Any], check: bool) -> dict[str, Any]:
        plan, ledger = arguments.get("plan"), self._state["ledger"]
        if plan and ledger and ledger["plan_id"] != plan["id"] and ledger["serial"] > int(plan["base_serial"]):
            return {"failed": True, "changed": False, "msg": f"Plan {plan['id']} is outdated", "containers": [],
                    "networks": [], "volumes": [], "claimed": 0, "seconds": 0.0}  # fmt: skip
        if arguments.get("claim"):
            return self._claim(arguments)
        networks = [self._make_network(wanted) for wanted in arguments.get("networks") or []]
        volumes = []
        results = [self._remove(name, arguments) for name in arguments.get("remove") or []]
        policies = (arguments.get("isolation") or {}).get("clusters") or {}
        for wanted in arguments.get("instances") or []:
            results.append(self._converge(wanted, policies))
            volumes += self._provide(wanted)
        every = [*networks, *results, *volumes]
        if arguments.get("filters") == "all":
            self._state["policies"] = (arguments.get("isolation") or {}).get("digests") or {}
        changed = any(one["changed"] for one in every)
        again = {"host": self._seen_again(arguments)} if arguments.get("observe") == "always" or (
            changed and arguments.get("observe") == "changed") else {}
        return {**again, "changed": any(one["changed"] for one in every), "containers": sorted(results, key=_name),
                "networks": networks, "volumes": volumes, "claimed": (ledger or {}).get("serial", 0),
                "seconds": 0.123}  # fmt: skip

    def _seen_again(self, arguments: dict[str, Any]) -> dict[str, Any]:
        rows = _Rows("again")
        containers = [_observed(name, one, rows, arguments["fleet"])
                      for name, one in sorted(self._state["containers"].items())]
        return {"containers": [{key: value for key, value in one.items() if key != "settings"} for one in containers],
                "volumes": [_volume_seen(name, disk) for name, disk in sorted(self._state["disks"].items())]}

    def _claim(self, arguments: dict[str, Any]) -> dict[str, Any]:
        plan, ledger = arguments["plan"], self._state["ledger"]
        changed = not ledger or (ledger["serial"], ledger["plan_id"]) != (int(plan["serial"]), plan["id"])
        if changed:
            told = arguments.get("ledger") or {}
            self._state["ledger"] = {
                **{key: told.get(key) for key in ("digest", "fleet_hosts", "keepers")}, "version": 2,
                "serial": int(plan["serial"]), "plan_id": plan["id"], "applied_at": SINCE[:19] + "Z",
                "by": arguments.get("by"), "has_body": bool(told.get("body"))}  # fmt: skip
        return {"changed": changed, "containers": [], "networks": [], "volumes": [], "claimed": int(plan["serial"]),
                "seconds": 0.012}  # fmt: skip

    def _make_network(self, wanted: dict[str, Any]) -> dict[str, Any]:
        present = any(network["name"] == wanted["name"] for network in self._state["networks"])
        if not present:
            self._state["networks"].append(_network(wanted["name"], wanted.get("driver") or "bridge",
                                                    wanted.get("subnet"), wanted.get("gateway"),
                                                    wanted.get("parent")))  # fmt: skip
        return {"name": wanted["name"], "action": "none" if present else "created", "changed": not present,
                "failed": False, "msg": ""}  # fmt: skip

    def _remove(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        gone = self._state["containers"].pop(name, None)
        for disk in [key for key in self._state["disks"] if key == name or key.startswith(f"{name}.")]:
            if arguments.get("release_disks") and name not in (arguments.get("keep_disks") or []):
                del self._state["disks"][disk]
            else:
                self._state["disks"][disk].update(state="released", released_at=_now())
        return _result(name, "removed" if gone else "none", (gone or {}).get("id", ""), "absent", "")

    def _converge(self, wanted: dict[str, Any], policies: dict[str, Any]) -> dict[str, Any]:
        name, known = wanted["name"], self._state["containers"].get(wanted["name"])
        action = "none"
        if known is None:
            action = "created"
            ident = _digits(f"{self._state['name']} {name} {_now()}", 64)
            known = {"id": ident, "options": wanted, "filter": "", "started_at": _now()}
            if wanted["cluster"] in policies:
                known["filter"] = _filter(policies[wanted["cluster"]])
            self._state["containers"][name] = known
        elif known["options"] != wanted:
            action = "recreated"
            known.update(options=wanted, started_at=_now())
        return _result(name, action, known["id"], LIVES[wanted.get("state") or "started"], _health(wanted))

    def _provide(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        asked = [(wanted["name"], wanted["data"], wanted.get("disk"))] if wanted.get("data") else []
        asked += [(f"{wanted['name']}.{extra['name']}", extra, extra.get("size"))
                  for extra in wanted.get("volumes") or []]  # fmt: skip
        found = []
        for name, told, size in asked:
            known = self._state["disks"].get(name)
            actions = [] if known else ["create", "mount"]
            if known and known["state"] == "released":
                actions = ["adopt", "mount"]
            disk = known or {"instance": wanted["name"], "size": _bytes(size or GIB), "fs": told.get("fs") or "ext4",
                             "path": told["path"], "uuid": _uuid(name), "created_at": _now()}  # fmt: skip
            disk.update(state="attached", released_at=None)
            self._state["disks"][name] = disk
            found.append(_volume_result(name, disk, actions))
        return found

    # --- isolation and volume

    def _isolation(self, arguments: dict[str, Any], check: bool) -> dict[str, Any]:
        clusters = (arguments.get("policy") or {}).get("clusters") or {}
        filters = {name: _filter(policy) for name, policy in clusters.items()}
        results = []
        for name, one in sorted(self._state["containers"].items()):
            text = filters.get(one["options"]["cluster"])
            if text is None:
                continue
            changed = one["filter"] != text
            result = {"name": name, "id": one["id"], "action": "loaded" if changed else "none", "changed": changed,
                      "failed": False, "msg": ""}  # fmt: skip
            if changed:
                result["diff"] = {"before": one["filter"], "after": text}
                one["filter"] = text
            results.append(result)
        return {"changed": any(one["changed"] for one in results), "containers": results, "program": [],
                "diff": {"prepared": ""}}  # fmt: skip

    def _volume(self, arguments: dict[str, Any], check: bool) -> dict[str, Any]:
        if arguments.get("volumes"):
            raise NoAnswer("simulated hosts make disks for containers only, not by the module volume")
        path = arguments.get("pool") or "/var/lib/stowage/pool"
        promised = sum(disk["size"] for disk in self._state["disks"].values())
        pool = {"path": path, "size": DISK, "reserve": 0, "thin_ratio": 1.0, "allowed": DISK, "promised": promised,
                "allocated": GIB, "free": DISK - GIB, "warnings": []}  # fmt: skip
        return {"changed": False, "volumes": [], "pool": pool, "strays": [], "diff": []}


def address_of(number: int) -> str:
    """Where a host would be."""
    return f"10.64.{number // 240}.{10 + number % 240}"


class _Rows:
    """The settings of a host's containers, each row once."""

    def __init__(self, key: str) -> None:
        self.rows: list[list[str]] = []
        self._key = key
        self._positions: dict[tuple[str, str, str], int] = {}

    def of(self, options: dict[str, Any]) -> list[int]:
        """Return the positions of one container's settings."""
        return [self._position(row) for row in _settings(options, self._key)]

    def _position(self, row: tuple[str, str, str]) -> int:
        if row not in self._positions:
            self._positions[row] = len(self.rows)
            self.rows.append(list(row))
        return self._positions[row]


def _settings(options: dict[str, Any], key: str) -> Iterable[tuple[str, str, str]]:
    if options.get("command"):
        yield "command", " ".join(shlex.quote(str(word)) for word in options["command"]), "own"
    else:
        yield "command", "/usr/local/bin/start", "image"
    yield "entrypoint", "/usr/bin/tini --", "image"
    yield "env.PATH", _mark(key, "PATH", "/usr/bin:/bin"), "image"
    for name, value in sorted((options.get("env") or {}).items()):
        yield f"env.{name}", _mark(key, name, str(value)), "own"
    for part, value in sorted((options.get("health") or {}).items()):
        yield f"health.{part}", " ".join(value) if isinstance(value, list) else str(value), "own"
    if options.get("data"):
        data = f"/var/lib/stowage/pool/mounts/{options['name']}/data"
        yield f"mounts.{options['data']['path']}", data, "own"
    yield "capabilities_drop", "NET_RAW", "own"
    yield "no_new_privileges", "true", "own"
    yield "restart_policy", "unless-stopped", "own"
    yield "runtime", str(options.get("runtime") or "runc"), "own"
    yield "stop_signal", "SIGTERM", "image"
    yield "working_dir", "/", "image"
    yield "log_driver", "json-file", "engine"
    yield "shm_size", "64m", "engine"


def _observed(name: str, one: dict[str, Any], rows: _Rows, fleet: str) -> dict[str, Any]:
    options = one["options"]
    mounts = []
    if options.get("data"):
        source = f"/var/lib/stowage/pool/mounts/{name}/data"
        mounts = [{"name": None, "source": source, "target": options["data"]["path"]}]
    return {
        "name": name, "fleet": fleet, "cluster": options["cluster"], "group": options["group"],
        "index": options["index"], "id": one["id"], "image": options["image"],
        "image_id": _image_id(options["image"]), "state": LIVES[options.get("state") or "started"],
        "health": _health(options), "exit_code": 0, "restarts": 0, "oom_killed": False,
        "started_at": one["started_at"], "cores": options.get("cores") or [], "cpuset": options.get("cpuset") or [],
        "cpus": options.get("cpus"), "memory": _bytes(options.get("memory") or 0), "network": options.get("network"),
        "address": options.get("address"), "address6": options.get("address6"), "digest": options.get("digest") or "",
        "grade": options.get("grade") or "", "type": options.get("type") or "", "claims": options.get("claims") or {},
        "volumes": mounts, "settings": rows.of(options)}  # fmt: skip


def _network(name: str, driver: str, subnet: Any = None, gateway: Any = None, parent: Any = None) -> dict[str, Any]:
    pools = [{"Subnet": subnet, "Gateway": gateway}] if subnet else []
    return {"name": name, "driver": driver, "parent": parent, "subnet": subnet, "gateway": gateway, "internal": False,
            "options": {"parent": parent} if parent else {}, "pools": pools,
            "labels": {"stowage.fleet": "fleet"} if parent else {}}  # fmt: skip


def _volume_seen(name: str, disk: dict[str, Any]) -> dict[str, Any]:
    attached = disk["state"] == "attached"
    return {"name": name, "fleet": "fleet", **disk, "used": 7340032, "mounted": attached, "missing": False,
            "generation": 1, "peer": None, "snapshots": [], "snapshot_bytes": 0, "msg": ""}  # fmt: skip


def _volume_result(name: str, disk: dict[str, Any], actions: list[str]) -> dict[str, Any]:
    mounted = f"/var/lib/stowage/pool/mounts/{name}"
    return {"name": name, "action": actions[0] if actions else "keep", "actions": actions, "changed": bool(actions),
            "failed": False, "msg": "", **disk, "image": f"/var/lib/stowage/pool/images/{name}.img",
            "mountpoint": mounted, "data": f"{mounted}/data", "mounted": True,
            "diff": {"before": {}, "after": dict(disk)} if actions else {"before": {}, "after": {}}}  # fmt: skip


def _result(name: str, action: str, ident: str, state: str, health: str) -> dict[str, Any]:
    return {"name": name, "action": action, "changed": action != "none", "failed": False, "msg": "", "id": ident,
            "state": state, "health": health, "diff": {}}  # fmt: skip


def _filled(told: Any, options: dict[str, Any]) -> Any:
    """Options with the defaults of those that were not given, as a module repeats them; no values of variables."""
    filled: dict[str, Any] = {}
    for name, option in options.items():
        value = told.get(name, option.get("default"))
        inner = option.get("suboptions")
        if inner and isinstance(value, list):
            value = [_filled(item, inner) for item in value]
        elif inner and isinstance(value, dict):
            value = _filled(value, inner)
        elif name == "env" and value:
            value = dict.fromkeys(value, "hidden")
        filled[name] = value
    return filled


def _filter(policy: dict[str, Any]) -> str:
    """A packet filter's text: as long as its members, and another one when any of them or of the rules is."""
    members = " ".join(sorted(str(member.get("address")) for member in policy.get("members") or []))
    return f"# {_digits(json.dumps(policy, sort_keys=True), 16)}\nset peers {{ {members} }}"


def _health(options: dict[str, Any]) -> str:
    return "healthy" if options.get("health") and (options.get("state") or "started") == "started" else ""


def _bytes(amount: Any) -> int:
    text = str(amount).strip().lower()
    unit = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}.get(text[-1:])
    return int(float(text[:-1]) * unit) if unit else int(float(text))


def _order(options: dict[str, Any]) -> tuple[str, str, int]:
    return options["cluster"], options["group"], int(options["index"])


def _name(one: dict[str, Any]) -> str:
    return str(one["name"])


def _mark(key: str, name: str, value: str) -> str:
    return _digits("\0".join((key, name, value)), 4)


def _digits(text: str, count: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:count]


def _image_id(name: str) -> str:
    return f"sha256:{_digits(name, 64)}"


def _uuid(name: str) -> str:
    digits = _digits(name, 32)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _write(path: Path, content: Any) -> None:
    """Replace a file at once: workers of other hosts may write the same ledger."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(content if isinstance(content, str) else json.dumps(content))
    draft.replace(path)
