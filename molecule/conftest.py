# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios' tests share: the playbooks as commands, and the fleet as its engines and its clients see it.

Nothing here asks the collection what runs: hosts are asked by testinfra with the engine's own client, and what runs on
them by speaking its protocol to its address.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.request
from typing import Any, Callable, NamedTuple, Optional

import pytest
import testinfra
import yaml

TOP = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = TOP / "inventories" / "lab" / "group_vars" / "fleet"
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


class Run(NamedTuple):
    """One run of a playbook: exit code, all that it printed, and its recap (counts by host)."""

    rc: int
    output: str
    recap: dict[str, dict[str, int]]
    seconds: float

    def changed(self) -> dict[str, int]:
        """How many tasks changed something, for the hosts where any did."""
        return {name: counts["changed"] for name, counts in self.recap.items() if counts["changed"]}


class Container(NamedTuple):
    """A container as its engine tells it."""

    name: str
    host: str
    id: str
    running: bool
    health: str
    address: str
    inspect: dict[str, Any]


class Fleet:
    """The lab that the scenarios run on."""

    def __init__(self, lab: str, inventory: str) -> None:
        """Read the names of the hosts from the lab's inventory."""
        self.lab = lab
        self.inventory = inventory
        hosts = yaml.safe_load((pathlib.Path(inventory) / "hosts.yml").read_text())["fleet"]["hosts"]
        self.hosts = sorted(hosts)
        self.addresses = {name: values["ansible_host"] for name, values in hosts.items()}
        self.zones = {name: values["stowage_host_labels"]["zone"] for name, values in hosts.items()}

    def on(self, host: str) -> Any:
        """The host as testinfra knows it."""
        return testinfra.get_host("docker://" + host)

    def command(self, playbook: str, *arguments: str, extra: Optional[dict[str, Any]] = None) -> list[str]:
        """The command line of one of the collection's playbooks."""
        command = ["ansible-playbook", "-i", self.inventory, "stowage.fleet." + playbook, *arguments]
        if extra is not None:
            command += ["-e", json.dumps(extra)]
        return command

    def play(self, playbook: str, *arguments: str, extra: Optional[dict[str, Any]] = None) -> Run:
        """Run one of the collection's playbooks to its end."""
        start = time.monotonic()
        # Tests read Ansible's own output, unless they choose another.
        environment = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", **os.environ}
        done = subprocess.run(
            self.command(playbook, *arguments, extra=extra), env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False, cwd=TOP,
        )
        recap = {
            name: dict(zip(("ok", "changed", "unreachable", "failed"), map(int, counts)))
            for name, *counts in RECAP.findall(done.stdout)
        }
        return Run(done.returncode, done.stdout, recap, time.monotonic() - start)

    def converge(self, *arguments: str) -> Run:
        """Bring the fleet to what its variables say, and insist that it works."""
        run = self.play("site", "--tags", "containers", *arguments)
        assert run.rc == 0, run.output
        return run

    def containers(self, *hosts: str) -> dict[str, Container]:
        """All owned containers, by name; of all hosts, or of the given ones."""
        found: dict[str, Container] = {}
        for host in hosts or self.hosts:
            ids = self.on(host).check_output("docker ps -aq --filter label=stowage.fleet").split()
            if not ids:
                continue
            for seen in json.loads(self.on(host).check_output("docker inspect " + " ".join(ids))):
                name = seen["Name"].lstrip("/")
                assert name not in found, "%s runs on %s and on %s" % (name, host, found[name].host)
                networks = seen["NetworkSettings"]["Networks"].values()
                found[name] = Container(
                    name, host, seen["Id"], seen["State"]["Running"], seen["State"].get("Health", {}).get("Status", ""),
                    next((network["IPAddress"] for network in networks), ""), seen,
                )
        return found

    def ids(self, *hosts: str) -> dict[str, str]:
        """The engine's ids of all owned containers: equal before and after means that nothing was made anew."""
        return {name: container.id for name, container in self.containers(*hosts).items()}

    def named(self, prefix: str) -> list[Container]:
        """The containers of a group, in order: `acme_web_`."""
        found = [container for name, container in self.containers().items() if name.startswith(prefix)]
        return sorted(found, key=lambda container: int(container.name.rsplit("_", 1)[1]))

    def desired(self, name: str) -> dict[str, Any]:
        """A variable of the example fleet, to be changed by a test: `clusters` is `stowage_clusters`."""
        return yaml.safe_load((EXAMPLE / (name + ".yml")).read_text())["stowage_" + name]

    def prepare(self, image: str) -> None:
        """Prepare the hosts as the playbook site does, with one of the example's images and without its containers."""
        recipes = yaml.safe_load((EXAMPLE / "images.yml").read_text())["images_recipes"]
        run = self.play("site", "--tags", "host,storage,network,engine,images", extra={
            "images_recipes": [recipe for recipe in recipes if recipe["name"] == image]})
        assert run.rc == 0, run.output

    def wait_for_host(self, host: str) -> None:
        """Wait until a host that was started again can be reached and its engine answers."""
        wait_until(lambda: subprocess.run(
            ["ansible", "-i", self.inventory, host, "-m", "ansible.builtin.command", "-a", "docker info"],
            capture_output=True, check=False, cwd=TOP).returncode == 0, "%s answers" % host)


def wait_until(state: Callable[[], Any], what: str, seconds: float = 90) -> None:
    """Wait for a state, and fail by its name when it does not come."""
    end = time.monotonic() + seconds
    while not state():
        assert time.monotonic() < end, "not within %d seconds: %s" % (seconds, what)
        time.sleep(0.2)


def ask(address: str, port: int, request: str) -> str:
    """Send a line to a server and return all that it answers until it is silent or closes."""
    with socket.create_connection((address, port), timeout=10) as connection:
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def page(address: str, seconds: float = 10) -> str:
    """The page that a web server serves within so many seconds; no proxy between."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open("http://%s/" % address, timeout=seconds) as answer:
        assert answer.status == 200
        return answer.read().decode()


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    """The lab, named by the environment that `make molecule` sets."""
    return Fleet(os.environ["STOWAGE_LAB"], os.environ["STOWAGE_INVENTORY"])


@pytest.fixture(name="ask", scope="session")
def ask_fixture() -> Callable[[str, int, str], str]:
    """A client for line protocols."""
    return ask


@pytest.fixture(name="page", scope="session")
def page_fixture() -> Callable[[str], str]:
    """A web client."""
    return page


@pytest.fixture(name="wait_until", scope="session")
def wait_until_fixture() -> Callable[..., None]:
    """Waiting for a state."""
    return wait_until
