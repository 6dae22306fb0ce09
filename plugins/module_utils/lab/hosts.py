# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a lab to its desired state: network, hosts, keys, inventory; and takes it away without a trace."""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from ..common.errors import HostError, InvalidInput
from ..common.naming import check_name
from ..engine.client import Conflict, EngineError, NotFound, name_path
from . import machine as lab_machine
from . import network as lab_network
from .engine import RELEASE, LabEngine, host_payload
from .files import LabFiles, inventory_data
from .loops import detach_loops

_PARALLEL = 8
_POLL = 0.2


class Lab:
    """One lab.

    :param engine: a ``LabEngine``.
    :param files: a ``LabFiles``.
    :param hosts: wanted hosts in order, each {release, image, labels}; their index gives name and address.
    :param timeout: seconds that a host may take to boot.
    """

    def __init__(self, name, engine, files, hosts=(), subnet=None, timeout=120, check_mode=False):
        self.name = check_name(name, "name")
        self.engine = engine
        self.files = files
        self.subnet = subnet
        self.timeout = timeout
        self.check_mode = check_mode
        self.network_name = f"stowage-{name}"
        self.changes = []
        self.notes = []
        self.wanted = [dict(host, name=f"{name}-h{index + 1}") for index, host in enumerate(hosts)]
        if len(self.wanted) > lab_network.MAX_HOSTS:
            limit = lab_network.MAX_HOSTS
            raise InvalidInput(f"hosts: {len(self.wanted)} are too many for one lab; expected {limit} or less")

    def up(self):
        """Make the lab what it should be, wait until every host answers, and return what it is."""
        network = self._ensure_network()
        for index, host in enumerate(self.wanted):
            host.update(address=lab_network.host_address(network, index), volume=f"{host['name']}-docker")
        if self.files.ensure_key(self.name):
            self.changes.append("SSH key made")
        self._machine = self._read_machine()
        present = self.engine.lab_containers(self.name)
        names = {host["name"] for host in self.wanted}
        self._each(self._remove_host, [name for name in present if name not in names])
        results = self._each(lambda host: self._ensure_host(host, present.get(host["name"])), self.wanted)
        hosts = [dict(host, **(state or {})) for host, state in zip(self.wanted, results)]
        if not self.check_mode:
            self._write_files(hosts, network)
        return hosts, lab_network.layout(network)

    def down(self, keep_images):
        """Remove all there is of the lab, and with the last lab the images that were built for labs."""
        present = self.engine.lab_containers(self.name)
        self._each(self._remove_host, list(present))
        for volume in self.engine.lab_volumes(self.name):
            path = name_path("volumes", volume)
            self._do(f"volume {volume} removed", lambda path=path: self.engine.call("DELETE", path))
        if self.engine.find_network(self.network_name):
            self._do(f"network {self.network_name} removed",
                     lambda: self.engine.call("DELETE", name_path("networks", self.network_name)))
        if self.files.remove():
            self.changes.append("key and inventory removed")
        others = self.engine.other_labs(self.name)
        if others and not keep_images:
            self.notes.append(f"images stay as long as other labs do: {', '.join(others)}")
        elif not keep_images:
            self._each(self._remove_image, self.engine.lab_images())

    def _do(self, sentence, action):
        """Record a change, and make it unless this is check mode."""
        self.changes.append(sentence)
        if not self.check_mode:
            action()

    def _each(self, function, items):
        """Call ``function`` on all items in parallel; collect every complaint before raising."""
        if not items:
            return []
        with ThreadPoolExecutor(max_workers=min(_PARALLEL, len(items))) as pool:
            futures = [pool.submit(function, item) for item in items]
        errors = [str(future.exception()) for future in futures if future.exception()]
        if errors:
            raise HostError("\n".join(errors))
        return [future.result() for future in futures]

    def _read_machine(self):
        modules = os.path.realpath("/lib/modules")
        return {
            "missing_capabilities": lab_machine.read_missing_capabilities(),
            "cgroup_version": lab_machine.read_cgroup_version(),
            "nameservers": lab_machine.read_nameservers(),
            "modules": modules if os.path.isdir(modules) else None,
        }

    def _ensure_network(self):
        found = self.engine.find_network(self.network_name)
        if found:
            network = ipaddress.ip_network(found["IPAM"]["Config"][0]["Subnet"])
            if self.subnet and lab_network.check_subnet(self.subnet) != network:
                raise InvalidInput(f"subnet: lab {self.name} lives on {network}; take it down before giving it another")
            return network
        with open("/proc/net/route", encoding="ascii") as stream:
            taken = self.engine.network_subnets() + lab_network.read_routes(stream.read())
        while True:
            network = lab_network.check_subnet(self.subnet) if self.subnet else lab_network.choose(self.name, taken)
            try:
                self._do(f"network {network} made", lambda network=network: self.engine.create_network(
                    self.name, self.network_name, lab_network.layout(network)))
                return network
            except EngineError as error:
                # Another lab may have taken the network since it was looked for.
                if self.subnet or "overlap" not in str(error):
                    raise
                self.changes.pop()
                taken.append(str(network))

    def _ensure_host(self, host, present):
        """Create, replace, start or leave alone one host; return what it says about itself, or None in check mode."""
        name = host["name"]
        if present and not self._fits(host, present):
            self._remove_host(name)
            present = None
        if not present:
            self._do(f"host {name} made", lambda: self._create_host(host))
        elif present["State"] == "paused":
            self._do(f"host {name} thawed", lambda: self.engine.unpause(name))
        if not present or present["State"] not in ("running", "paused"):
            self._do(f"host {name} started", lambda: self.engine.start(name))
        elif self.network_name not in present["NetworkSettings"]["Networks"]:
            self._do(f"host {name} connected", lambda: self._connect(host))
        return None if self.check_mode else self._wait(host)

    def _fits(self, host, present):
        """Say whether a container can stay. One made from an older image may, since it may hold a fleet by now."""
        if present["Labels"].get(RELEASE) != host["release"]:
            return False
        endpoint = present["NetworkSettings"]["Networks"].get(self.network_name)
        address = ((endpoint or {}).get("IPAMConfig") or {}).get("IPv4Address")
        if address and address != host["address"]:
            return False
        if present["ImageID"] != host["image_id"]:
            self.notes.append(f"{host['name']} was made from an older image; take the lab down and up to renew it.")
        return True

    def _create_host(self, host):
        # A volume that outlived its host holds another engine's data.
        try:
            self.engine.call("DELETE", name_path("volumes", host["volume"]))
        except NotFound:
            pass
        self.engine.create_volume(self.name, host["volume"])
        payload = host_payload({"name": self.name, "network": self.network_name}, host, self._machine)
        self.engine.create(host["name"], payload)
        self.engine.put_file(host["name"], "/root/.ssh/authorized_keys", self.files.public_key() + "\n", 0o600)

    def _connect(self, host):
        self.engine.call("POST", name_path("networks", self.network_name, "connect"), body={
            "Container": host["name"],
            "EndpointConfig": {"IPAMConfig": {"IPv4Address": host["address"]}},
        })

    def _wait(self, host):
        """Wait until systemd, sshd and the engine of a host answer.

        :raises HostError: naming what does not, after ``timeout`` seconds.
        """
        name, deadline = host["name"], time.monotonic() + self.timeout
        started = set()
        while True:
            state = self._probe(name)
            asked = self._repair(name, state, started)
            lacking = [] if asked else self._lacking(state, host["address"])
            if not asked and not lacking:
                if state["system"] == "degraded":
                    self.notes.append(f"{name} is up, but units failed; see: docker exec {name} systemctl --failed")
                return state
            if time.monotonic() > deadline:
                raise HostError(f"{name} did not come up within {self.timeout} s: {'; '.join(lacking or asked)}. "
                                f"See: docker logs {name}, docker exec {name} journalctl -b")
            time.sleep(_POLL)

    def _probe(self, name):
        try:
            return self.engine.probe(name)
        except EngineError as error:
            return {"system": f"unknown ({error})", "host_key": "", "keys": "", "ssh": "", "docker": "", "engine": None}

    def _repair(self, name, state, started):
        """Put back the lab's key and start services that somebody stopped, each once; return what was asked for."""
        asked = []
        if state["system"] not in ("running", "degraded"):
            return asked
        if self.files.public_key() not in state["keys"] and "keys" not in started:
            started.add("keys")
            asked.append("key put back")
            keys = "".join(f"{line}\n" for line in state["keys"].splitlines() if line.startswith("ssh-"))
            self.engine.put_file(name, "/root/.ssh/authorized_keys", f"{keys}{self.files.public_key()}\n", 0o600)
        for unit in ("ssh", "docker"):
            installed = unit == "ssh" or state["engine"] is not None
            if installed and state[unit] in ("inactive", "failed") and unit not in started:
                started.add(unit)
                asked.append(f"{unit} started")
                self.engine.run(name, "systemctl", "start", "--no-block", unit)
        self.changes += [f"{name}: {item}" for item in asked]
        return asked

    @staticmethod
    def _lacking(state, address):
        """Return what does not answer yet, as sentences."""
        lacking = []
        if state["system"] not in ("running", "degraded"):
            lacking.append(f"systemd says {state['system'] or 'nothing'}")
        if state["engine"] == "":
            lacking.append(f"its engine does not answer (docker.service is {state['docker'] or 'unknown'})")
        if not state["host_key"]:
            lacking.append("sshd has no host key")
        elif not lacking and not _speaks_ssh(address):
            lacking.append(f"sshd does not answer at {address}")
        return lacking

    def _write_files(self, hosts, network):
        if self.files.write_known_hosts(hosts):
            self.changes.append("host keys written")
        described = {
            "hosts": hosts,
            "network": lab_network.layout(network),
            "key": self.files.key,
            "known_hosts": self.files.known_hosts,
        }
        if self.files.write_inventory(inventory_data(described)):
            self.changes.append("inventory written")

    def _remove_host(self, name):
        volume = f"{name}-docker"
        self._do(f"host {name} removed", lambda: self._take_away(name, volume))

    def _take_away(self, name, volume):
        detach_loops(self.engine, name)
        self.engine.remove(name, volumes=True)
        try:
            self.engine.call("DELETE", name_path("volumes", volume))
        except NotFound:
            pass

    def _remove_image(self, image):
        """Remove an image that was built for labs, unless a container uses it."""
        tags = [tag for tag in image.get("RepoTags") or [] if not tag.startswith("<none>")]
        name = tags[0] if tags else image["Id"]
        try:
            if not self.check_mode:
                self.engine.call("DELETE", name_path("images", image["Id"]))
            self.changes.append(f"image {name} removed")
        except Conflict:
            self.notes.append(f"image {name} stays: a container uses it")


def _speaks_ssh(address):
    """Say whether an SSH server greets at ``address``."""
    try:
        with socket.create_connection((address, 22), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def run(options, check_mode):
    """Do what the module's ``options`` ask for, and return its result."""
    files = LabFiles(options["directory"], options["inventory"], check_mode)
    engine = LabEngine(options["docker_host"], timeout=120)
    hosts = _with_image_ids(engine, options["hosts"]) if options["state"] == "present" else []
    lab = Lab(options["name"], engine, files, hosts, options["subnet"], options["timeout"], check_mode)
    network = {}
    if options["state"] == "absent":
        lab.down(options["keep_images"])
    else:
        hosts, network = lab.up()
    return {
        "changed": bool(lab.changes),
        "hosts": [{key: host.get(key) for key in ("name", "address", "release", "engine")} for host in hosts],
        "network": network,
        "changes": sorted(lab.changes),
        "notes": sorted(lab.notes),
        "diff": {"before": "", "after": "".join(f"{line}\n" for line in sorted(lab.changes))},
    }


def _with_image_ids(engine, hosts):
    ids = {}
    for image in sorted({host["image"] for host in hosts}):
        try:
            ids[image] = engine.inspect_image(image)["Id"]
        except NotFound as error:
            raise HostError(f"image {image} is not there; build it with stowage.fleet.base_image") from error
    return [dict(host, image_id=ids[host["image"]]) for host in hosts]
