# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What isolation costs: throughput and latency between containers on two hosts, and what a change costs.

Two hosts and a LAN between them are network namespaces of this machine, the containers macvlan interfaces on the hosts'
NICs with the very filters that hosts load. The peer is the bare LAN: the same programs between the hosts themselves. A
second peer, containers without isolation, tells what of it the filter costs: the rest is a namespace and its interface.
With 1,000 tenants, 999 others have an interface and a filter on the first host, each. All three are measured by turns,
each side has a core of its own, and the best quarter counts: what others do on the machine meanwhile only ever takes
away. Needs root, ip and nft.

What has to be worked out for a change of one tenant is measured without packets: `work-...-plan` is the controller's
part, the policies of a fleet for before, during and after the steps; `work-...-host` that of a host with a member of
every tenant, which reads its policy, makes the text of each filter and compares it with the one that it has. Both grow
with the tenants, the second one with those of that host. What is loaded afterwards does not: `change-...`.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median
from types import SimpleNamespace

from ansible_collections.stowage.fleet.plugins.module_utils.network.filter import rules
from ansible_collections.stowage.fleet.plugins.module_utils.network.filter.policy import Policy
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.policies import build_policies
from benchmarks.measure import Measurement, median_seconds, smoke, turns

ISOLATED = False
PACKAGES = ["iproute2", "nftables", "util-linux"]
ROUNDS = 12
SECONDS = 0.5
TRIPS = 4000
NAME = f"sb{os.getpid() % 10**5}"
HOSTS = {"a": "10.98.0.1", "b": "10.98.0.2"}
MEMBERS = {"a": "10.98.1.1", "b": "10.98.1.2"}
OPEN = {"a": "10.98.1.3", "b": "10.98.1.4"}

# One side answers, the other measures; plain sockets, so that both ways pay the same for the program.
SERVER = """
import socket, threading
def swallow(connection):
    buffer = bytearray(1 << 20)
    while connection.recv_into(buffer):
        pass
    connection.close()
def stream():
    server = socket.create_server(("0.0.0.0", 7001))
    while True:
        threading.Thread(target=swallow, args=(server.accept()[0],), daemon=True).start()
threading.Thread(target=stream, daemon=True).start()
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.bind(("0.0.0.0", 7002))
print("ready", flush=True)
while True:
    data, peer = echo.recvfrom(100)
    echo.sendto(data, peer)
"""
# One process measures all ways, by turns, so that what else runs meets them alike: it takes a socket in the namespace
# of each.
CLIENT = """
import ctypes, json, os, socket, statistics, sys, time
what, amount = sys.argv[1], float(sys.argv[2])
def inside(space):
    handle = os.open("/run/netns/" + space, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(handle, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(handle)
def stream(space, address):
    inside(space)
    client = socket.create_connection((address, 7001), timeout=10)
    block, sent, start = bytes(1 << 20), 0, time.perf_counter()
    while time.perf_counter() - start < amount:
        sent += client.send(block)
    client.shutdown(socket.SHUT_WR)
    client.recv(1)
    return 8 * sent / (time.perf_counter() - start) / 1e6
def ready(space, address):
    inside(space)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(5)
    client.connect((address, 7002))
    return client
def trips(client, count):
    taken = []
    for number in range(count):
        start = time.perf_counter()
        client.send(b"%d" % number)
        client.recv(100)
        taken.append(time.perf_counter() - start)
    return taken
ways = [way.split("=") for way in sys.argv[3:]]
if what == "throughput":
    print(json.dumps([stream(*way) for way in ways]))
else:
    clients = [ready(*way) for way in ways]
    taken = [[] for way in ways]
    for turn in range(int(amount / 100)):
        for position in range(len(ways)):
            taken[position] += trips(clients[position], 100)
    print(json.dumps([1e6 * statistics.median(each) for each in taken]))
"""


def cases() -> list[str]:
    """Return the cases, in their order."""
    if smoke():
        return ["throughput-3-tenants", "latency-3-tenants", "change-3-tenants", "work-3-tenants"]
    return ["throughput-1-tenant", "latency-1-tenant", "throughput-1000-tenants", "latency-1000-tenants",
            "change-1-tenant", "change-1000-tenants", "work-1-tenant", "work-1000-tenants"]


def run(case: str) -> Iterator[Measurement]:
    """Measure one case between namespaces that go away with everything in them."""
    for program in ("ip", "nft", "nsenter", "taskset"):
        if shutil.which(program) is None:
            raise RuntimeError(f"{program} is missing; install iproute2, nftables and util-linux to measure networks")
    if os.geteuid() != 0:
        raise RuntimeError("network namespaces are made by root only; run this as root")
    what, tenants = case.split("-")[0], int(case.split("-")[1])
    if what == "work":
        yield from _work(case, tenants)
        return
    with _lan(tenants) as net:
        if what == "change":
            yield Measurement("network", case, "ms", _change(net), reach=50)
        else:
            yield from _compare(case, what, net)


class _Net:
    """Two hosts, a member of one tenant on each, and other tenants beside them."""

    def __init__(self) -> None:
        self.spaces: list[str] = []
        self.servers: list[subprocess.Popen[str]] = []

    def add(self, name: str) -> str:
        """Make a namespace."""
        space = f"{NAME}-{name}"
        _command("ip", "netns", "add", space)
        self.spaces.append(space)
        _command("ip", "-n", space, "link", "set", "lo", "up")
        return space

    def listen(self, space: str) -> None:
        """Start the answering side in a namespace, and wait until it is ready."""
        server = subprocess.Popen(["ip", "netns", "exec", space, *_on_core(-1), sys.executable, "-c", SERVER],
                                  stdout=subprocess.PIPE, text=True)  # fmt: skip
        self.servers.append(server)
        if not server.stdout or server.stdout.readline().strip() != "ready":
            raise RuntimeError(f"nobody listens in {space}")

    def clean(self) -> None:
        """Take everything away."""
        for server in self.servers:
            server.kill()
            server.wait()
        for space in reversed(self.spaces):
            subprocess.run(["ip", "netns", "delete", space], check=False)


@contextlib.contextmanager
def _lan(tenants: int) -> Iterator[_Net]:
    net = _Net()
    try:
        lan = net.add("lan")
        _command("ip", "-n", lan, "link", "add", "br0", "type", "bridge")
        _command("ip", "-n", lan, "link", "set", "br0", "up")
        for side, address in HOSTS.items():
            host = net.add(f"host-{side}")
            veth = ("type", "veth", "peer", "name", "eth0", "netns", host)
            _command("ip", "-n", lan, "link", "add", f"port-{side}", *veth)
            _command("ip", "-n", lan, "link", "set", f"port-{side}", "master", "br0", "up")
            _command("ip", "-n", host, "address", "add", f"{address}/16", "dev", "eth0")
            _command("ip", "-n", host, "link", "set", "eth0", "up")
        for side, address in MEMBERS.items():
            _member(net, side, f"member-{side}", address)
            _load(f"{NAME}-member-{side}", rules.render(_policy("t0", *MEMBERS.values()), f"t0_m_{'ab'.index(side)}"))
        for side, address in OPEN.items():
            _member(net, side, f"open-{side}", address)
        _others(net, tenants - 1)
        for name in ("host-b", "member-b", "open-b"):
            net.listen(f"{NAME}-{name}")
        yield net
    finally:
        net.clean()


def _others(net: _Net, count: int) -> None:
    """Give further tenants an interface on the first host and a filter, several side by side."""
    def one(number: int) -> None:
        address = f"10.98.{2 + number // 250}.{1 + number % 250}"
        _member(net, "a", f"o{number}", address)
        _load(f"{NAME}-o{number}", rules.render(_policy(f"t{number + 1}", address), f"t{number + 1}_m_0"))

    with concurrent.futures.ThreadPoolExecutor(4) as workers:
        list(workers.map(one, range(count)))


def _member(net: _Net, side: str, name: str, address: str) -> None:
    space, host, draft = net.add(name), f"{NAME}-host-{side}", f"d{name}"[-15:]
    _command("ip", "-n", host, "link", "add", "link", "eth0", "name", draft, "type", "macvlan", "mode", "bridge")
    _command("ip", "-n", host, "link", "set", draft, "netns", space)
    _command("ip", "-n", space, "link", "set", draft, "name", "eth0", "address", rules.mac_of(address))
    _command("ip", "-n", space, "address", "add", f"{address}/16", "dev", "eth0")
    _command("ip", "-n", space, "link", "set", "eth0", "up")


def _policy(tenant: str, *addresses: str) -> dict[str, object]:
    members = [{"name": f"{tenant}_m_{index}", "group": "m", "network": "lan", "address": address}
               for index, address in enumerate(addresses)]  # fmt: skip
    allow = [{"way": "in", "addresses": ["10.98.0.1"], "ports": ["80/tcp"]}]
    return {"members": members, "allow": allow, "protected": [*HOSTS.values()], "gateways": ["10.98.0.1"]}


def _load(space: str, text: str) -> None:
    _command("nsenter", f"--net=/run/netns/{space}", "nft", "-f", "-", text=text)


def _command(*words: str, text: str | None = None) -> str:
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def _on_core(position: int) -> list[str]:
    """The command that keeps another one on the first (0) or the last (-1) core that this process may use."""
    return ["taskset", "-c", str(sorted(os.sched_getaffinity(0))[position])]


def _compare(case: str, what: str, net: _Net) -> Iterator[Measurement]:
    ways = {"bare LAN": ("host-a", HOSTS["b"]), "containers without isolation": ("open-a", OPEN["b"]),
            "ours": ("member-a", MEMBERS["b"])}  # fmt: skip
    amount = SECONDS if what == "throughput" else TRIPS
    amount = amount / 10 if smoke() else amount
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for number in turns(ROUNDS):  # the first one warms up: neighbours, caches
        names = sorted(ways, reverse=bool(number % 2))
        told = [f"{NAME}-{space}={address}" for space, address in map(ways.__getitem__, names)]
        said = json.loads(_command(*_on_core(0), sys.executable, "-c", CLIENT, what, str(amount), *told))
        for name, figure in zip(names, said):
            figures[name] += [figure] if number else []
    better = "higher" if what == "throughput" else "lower"
    quarter = max(1, turns(ROUNDS)[-1] // 4)
    best = {name: median(sorted(found, reverse=better == "higher")[:quarter]) for name, found in figures.items()}
    unit = "Mbit/s" if what == "throughput" else "us"
    alike = "containers without isolation"
    yield Measurement("network", f"{case}-filter", unit, best["ours"], alike, best[alike], better=better)
    yield Measurement("network", case, unit, best["ours"], "bare LAN", best["bare LAN"], 0.95, better=better)


def _change(net: _Net) -> float:
    """The milliseconds that one member's filter takes to be replaced."""
    texts = [rules.render(_policy("t0", *MEMBERS.values(), f"10.98.200.{number + 1}"), "t0_m_0")
             for number in range(ROUNDS)]  # fmt: skip
    taken = []
    for text in texts:
        start = time.perf_counter()
        _load(f"{NAME}-member-a", text)
        taken.append(1000 * (time.perf_counter() - start))
    return median(taken)


def _work(case: str, tenants: int) -> Iterator[Measurement]:
    """Measure what a change of one of many tenants has the controller and a host work out."""
    rule = {"way": "in", "own": None, "group": None, "other": None, "networks": ["10.98.0.1"], "ports": ["80/tcp"]}
    clusters = {f"t{number}": {"isolation": True, "allow": [rule], "groups": {}} for number in range(tenants)}
    desired = SimpleNamespace(clusters=clusters, networks={"lan": {"driver": "macvlan", "gateway": "10.98.0.1"}})
    members = [{"name": f"t{number}_m_{index}", "cluster": f"t{number}", "group": "m", "network": "lan", "host": host,
                "address": f"10.{98 + index}.{2 + number // 250}.{1 + number % 250}", "action": "none"}
               for number in range(tenants) for index, host in enumerate(HOSTS)]  # fmt: skip
    seen = {host: {"addresses": [address], "containers": [member for member in members if member["host"] == host]}
            for host, address in HOSTS.items()}  # fmt: skip
    # The one that changes has a member more.
    wanted = [*members, {**members[0], "name": "t0_m_2", "address": "10.98.200.1"}]
    before = Policy(build_policies(desired, members, seen, ())["after"])
    kept = {name: before.rules_of(f"{name}_m_0", name) for name in clusters}

    def host(told: dict[str, object]) -> list[str]:
        policy = Policy(told)
        return [name for name in clusters if policy.rules_of(f"{name}_m_0", name) != kept[name]]

    rounds = 5
    seconds, policies = median_seconds(lambda: build_policies(desired, wanted, seen, ()), rounds)
    yield Measurement("network", f"{case}-plan", "ms", 1000 * seconds, reach=500)
    seconds, changed = median_seconds(lambda: host(policies["after"]), rounds)
    yield Measurement("network", f"{case}-host", "ms", 1000 * seconds, reach=500,
                      judged=None if changed == ["t0"] else False)
