# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts of a lab with tenants on them, a machine outside, and hands to send packets from one to the other."""

from __future__ import annotations

import concurrent.futures
import ipaddress
import json
import os
import pathlib
import subprocess
import sys
import time
import uuid
import zlib

import pytest
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
BIN = pathlib.Path(sys.executable).parent
# CI gives its lab; alone, these tests make one of their own and take it away again.
LAB = os.environ.get("STOWAGE_LAB") or "nettest"
OUTSIDE = f"{LAB}-outside"
# A second LAN, which containers reach over a bridge of their host; the first one they reach by macvlan. Interfaces of a
# host are numbered by the names of its networks when it boots: this one has to come after the lab's own, stowage-NAME.
WIRE, WIRE_BRIDGE = f"wire-{LAB}", "ntwire"
WIRE_NET = f"10.97.{zlib.crc32(LAB.encode()) % 250}"
WIRE_END = ("251", "252")
LAN6, WIRE6 = "fd00:77::", "fd00:97::"
# Addresses that the machine outside plays, of IPv4 and IPv6.
METADATA, FOREIGN = ("169.254.169.254", "fd00:ec2::254"), ("10.99.0.1", "fd00:99::1")
LISTEN = (HERE / "listen.py").read_text()
SEND = (HERE / "send.py").read_text()
# A container image out of the host's own files: Python and a shell.
IMAGE = """set -e; folder=$(mktemp -d -p /root); cd "$folder"
for tool in /bin/sh /bin/sleep /bin/cat /usr/bin/python3; do
  cp -L --parents $tool . ; ldd $tool | grep -o '/[^ ]*' | xargs -I% cp -L --parents -n % .
done
version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
tar c --exclude=test --exclude=__pycache__ --exclude=idlelib /usr/lib/python$version 2>/dev/null | tar x
mkdir -p tmp proc etc; tar c . | docker import - nettest >/dev/null; cd /; rm -r "$folder"; : > /root/nettest-image"""


def run(*command, check=True, timeout=300, text=None):
    """Run a command on this machine and return its CompletedProcess."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, input=text)
    assert not check or done.returncode == 0, f"{command[:6]}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done


class Actor:
    """Somebody who sends and listens: a container, a host, or a machine outside."""

    def __init__(self, name, kind, host, address, cluster="", address6="", wire=("", ""), member=False):
        self.name, self.kind, self.host, self.address, self.member = name, kind, host, address, member
        self.cluster, self.address6, self.wire = cluster, address6, wire
        self.networks = {"lan", "wire"} if kind != "container" else {"wire" if address.startswith(WIRE_NET) else "lan"}

    def command(self, *words):
        """The command that runs words where the actor is."""
        if self.kind == "container":
            return ["docker", "exec", "-i", self.host, "docker", "exec", "-i", self.name, *words]
        return ["docker", "exec", "-i", self.host, *words]

    def send(self, items):
        """Send what is asked for, and return {"answers": ..., "neighbours": ...}."""
        done = run(*self.command("python3", "-c", SEND), text=json.dumps(items), timeout=60)
        return json.loads(done.stdout)

    def heard(self):
        """Return {(kind, token)} of all that arrived."""
        done = run(*self.command("cat", "/tmp/heard"), check=False)
        return {tuple(line.split(" ", 1)) for line in done.stdout.splitlines() if " " in line}

    def start_talk(self, address):
        """Open a connection that stays."""
        return Talk(self, address)

    def python(self, program):
        """Run a program and return what it says."""
        return run(*self.command("python3", "-c", program), timeout=60).stdout.strip()


class Talk:
    """A connection that stays open: a number goes and comes back every tenth of a second, a bounded number of times."""

    PROGRAM = """
import socket, sys, time
client = socket.create_connection((sys.argv[1], 7007), timeout=10)
for number in range(3000):
    client.sendall(b"%d\\n" % number)
    client.recv(100)
    if sys.stdin in __import__("select").select([sys.stdin], [], [], 0.1)[0]:
        break
print("well")
"""

    def __init__(self, actor, address):
        self._process = subprocess.Popen(actor.command("python3", "-c", self.PROGRAM, address), stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def ends_well(self):
        """Whether it went on to the end that is made now."""
        said, _nothing = self._process.communicate("stop\n", timeout=30)
        return said.strip() == "well"


class Net:
    """The lab's hosts, the fleet on them, and the machine outside."""

    def __init__(self, inventory, folder):
        self.inventory = inventory
        self.folder = folder
        fleet = yaml.safe_load((inventory / "hosts.yml").read_text())["fleet"]
        self.hosts = sorted(fleet["hosts"])[:2]
        self.host_addresses = {name: fleet["hosts"][name]["ansible_host"] for name in self.hosts}
        self.labels = {name: fleet["hosts"][name]["stowage_host_labels"]["zone"] for name in self.hosts}
        self.subnet = ipaddress.ip_network(fleet["vars"]["stowage_networks"]["lan"]["subnet"])
        self.gateway, self.outside_address = (str(self.subnet[120]), f"{LAN6}78"), str(self.subnet[121])
        self.actors = {}

    def sh(self, host, script, check=True, timeout=300):
        """Run a shell script on a host and return what it said."""
        return run("docker", "exec", host, "sh", "-c", script, check=check, timeout=timeout).stdout.strip()

    def wait(self, condition, what, timeout=90):
        """Wait until a function says yes."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"never came true: {what}"
            time.sleep(0.1)

    def plug(self, host):
        """Make the host's second NIC a port of the bridge that its containers are on, and give it its addresses."""
        number = self.hosts.index(host)
        self.sh(host, f"ip link add {WIRE_BRIDGE} type bridge 2>/dev/null; set -e; ip link set {WIRE_BRIDGE} up; "
                "nic=$(basename /sys/class/net/eth[1-9]*); ip address flush dev $nic; "
                f"ip link set $nic master {WIRE_BRIDGE}; ip link set $nic up; "
                f"for nic in eth0 {WIRE_BRIDGE}; do echo 0 > /proc/sys/net/ipv6/conf/$nic/disable_ipv6; done; "
                f"ip address replace {WIRE_NET}.{WIRE_END[number]}/24 dev {WIRE_BRIDGE}; "
                f"ip address replace {WIRE6}f:{number}/64 dev {WIRE_BRIDGE} nodad; "
                f"ip address replace {LAN6}f:{number}/64 dev eth0 nodad")

    def reboot(self, host):
        """Restart a host. With two NICs the machine's engine may name them the other way round afterwards."""
        run("docker", "network", "disconnect", "-f", WIRE, host)
        run("docker", "restart", "-t", "5", host)
        run("docker", "network", "connect", WIRE, host)
        self.plug(host)
        self.start_listening(host)

    # -- the fleet

    def variables(self, clusters):
        """The desired state: clusters as {name: {"one": count, "two": count, further keys}}, on a macvlan network."""
        wanted = {}
        for name, given in clusters.items():
            further = {key: value for key, value in given.items() if key not in ("one", "two")}
            groups = {group: {"count": given.get(group, 0), "type": "agent", "grade": "tiny",
                              "placement": {"constraints": [{"label": "zone", "in": [self.labels[host]]}]}}
                      for group, host in zip(("one", "two"), self.hosts)}
            wanted[name] = {"groups": groups, "network": "lan", **further}
        return {
            "stowage_fleet_name": "nettest", "stowage_pull": "never", "stowage_host_reserved": {"memory": "256m"},
            "stowage_grades": {"tiny": {"cpus": 0.2, "memory": "48m"}},
            "stowage_types": {"agent": {"image": "nettest", "command": ["python3", "-c", LISTEN], "stop_timeout": 0}},
            "stowage_networks": {"lan": {
                "driver": "macvlan", "parent": "eth0", "subnet": str(self.subnet), "gateway": self.gateway[0],
                "pool": f"{self.subnet[200]}-{self.subnet[240]}", "subnet6": f"{LAN6}/64",
                "gateway6": self.gateway[1]}, "wire": {
                    "driver": "bridge", "subnet": f"{WIRE_NET}.0/24", "pool": f"{WIRE_NET}.10-{WIRE_NET}.60",
                    "subnet6": f"{WIRE6}/64",
                    "options": {
                        "com.docker.network.bridge.name": WIRE_BRIDGE,
                        "com.docker.network.bridge.inhibit_ipv4": "true",
                        "com.docker.network.bridge.enable_ip_masquerade": "false"}}},
            "stowage_clusters": wanted,
        }

    def converge(self, clusters, check=True):
        """Run the playbook containers for these clusters, and learn who is where."""
        path = self.folder / "variables.json"
        path.write_text(json.dumps(self.variables(clusters)))
        done = self.play("containers", "-e", f"@{path}", "--limit", ",".join(self.hosts), check=check)
        if check:
            self.look(clusters)
        return done

    def play(self, playbook, *arguments, check=True):
        """Run one of the collection's playbooks on the lab."""
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": f"{BIN}:{os.environ['PATH']}",
                       "ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "1",
                       "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"}
        done = subprocess.run(["ansible-playbook", "-i", str(self.inventory), f"playbooks/{playbook}.yml", *arguments],
                              cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600)
        assert not check or done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return done

    def ansible(self, host, module, arguments, *further):
        """Run one module on one host and return its answer."""
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1",
                       "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
        done = subprocess.run([str(BIN / "ansible"), host, "-i", str(self.inventory), "-m", module, "-a", arguments,
                               *further], cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
                              timeout=120)
        assert "=> {" in done.stdout, done.stdout + done.stderr
        return json.loads("{" + done.stdout.partition("=> {")[2])

    def look(self, clusters):
        """Find the containers and their addresses."""
        found = {f"host{index + 1}": Actor(
            f"host{index + 1}", "host", host, self.host_addresses[host], address6=f"{LAN6}f:{index}",
            wire=(f"{WIRE_NET}.{WIRE_END[index]}", f"{WIRE6}f:{index}")) for index, host in enumerate(self.hosts)}
        found["outside"] = Actor("outside", "outside", OUTSIDE, self.outside_address, address6=f"{LAN6}79",
                                 wire=(f"{WIRE_NET}.121", f"{WIRE6}79"))
        form = "{{.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}"
        for host in self.hosts:
            names = self.sh(host, "docker ps -q --filter label=stowage.fleet=nettest | xargs -r docker inspect -f "
                            f"'{form}'")
            for line in names.splitlines():
                name, address, *six = line.split()
                name = name.lstrip("/")
                cluster = name.split("_")[0]
                if cluster in clusters:
                    found[name] = Actor(name, "container", host, address, cluster, six[0] if six else "",
                                        member=clusters[cluster].get("isolation") is not False)
        for host in self.hosts:
            self.plug(host)  # engines take addresses off a bridge with IPv6 that are not their own
        for actor in found.values():
            if actor.kind == "container":
                self.wait_listening(actor)
        self.actors = found

    def start_listening(self, host):
        """Listen on a host itself; once its engine answers again after a reboot."""
        self.wait(lambda: self.sh(host, "docker info >/dev/null 2>&1 && echo y", check=False) == "y", f"{host} is up")
        run("docker", "exec", "-d", host, "python3", "-c", LISTEN)

    def wait_listening(self, actor):
        """Wait until a container listens. The file of its group membership is the last thing that comes."""
        self.wait(lambda: "07074DEF" in run(*actor.command("cat", "/proc/net/igmp"), check=False).stdout,
                  f"{actor.name} listens")

    # -- packets

    def exchange(self, table):
        """Send all cases; return {case: whether it arrived}.

        Members find each other by questions that everybody on the LAN hears, and who has asked for one of them in vain
        learns it from there. So those who stand outside ask in a second round, when members know each other.
        """
        second = {case: table[case] for case in table
                  if case[2] == "arp" and not self.actors[case[0]].member}
        first = {case: table[case] for case in table if case not in second}
        if any(case[2] in ("arp", "nd") for case in first):
            self.forget_neighbours()
        out = self._exchange(first)
        if second:
            self.forget_neighbours(members=False)
            out.update(self._exchange(second))
        return out

    def _exchange(self, table):
        """Send all cases at once; return {case: whether it arrived}.

        :param table: {case: whether it should arrive}; what should may take a moment until it is written down. A case
            is (from, to, kind) or (from, to, kind, port).
        """
        tokens, wanted, cases = {}, {}, list(table)
        for case in cases:
            sender, receiver, kind = case[:3]
            group = kind.startswith("multicast")
            key = (sender, kind) if group else case
            if key not in tokens:
                tokens[key] = uuid.uuid4().hex[:12]
                item = {"kind": {"arp": "udp", "nd": "udp6"}.get(kind, kind), "token": tokens[key],
                        "to": self.address(receiver, kind, sender)}
                if len(case) > 3:
                    item["port"] = case[3]
                wanted.setdefault(sender, []).append(item)
        with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
            sent = dict(zip(wanted, pool.map(lambda name: self.actors[name].send(wanted[name]), wanted)))
            deadline = time.monotonic() + 5
            while True:
                receivers = sorted({case[1] for case in cases if case[1] in self.actors})
                heard = dict(zip(receivers, pool.map(lambda name: self.actors[name].heard(), receivers)))
                out = self._arrived(cases, tokens, sent, heard)
                late = [case for case in cases if table[case] and not out[case]]
                if not late or time.monotonic() > deadline:
                    return out

    def _arrived(self, cases, tokens, sent, heard):
        out = {}
        for case in cases:
            sender, receiver, kind = case[:3]
            token = tokens[(sender, kind) if kind.startswith("multicast") else case]
            if kind in ("arp", "nd"):
                out[case] = self.address(receiver, kind, sender) in sent[sender]["neighbours"]
            elif kind in ("udp", "udp6", "multicast", "multicast6"):
                out[case] = (kind.rstrip("6") if kind.startswith("udp") else kind, token) in heard.get(receiver, ())
            else:
                out[case] = sent[sender]["answers"][token] is True
        return out

    def forget_neighbours(self, members=True):
        """Make everybody, or those who are no members, ask anew who has an address."""
        for host in self.hosts:
            names = " ".join(actor.name for actor in self.actors.values()
                             if actor.kind == "container" and actor.host == host and (members or not actor.member))
            self.sh(host, f"ip neigh flush all; for pid in $(echo {names} | xargs -r docker inspect -f "
                    "'{{.State.Pid}}'); do nsenter --net=/proc/$pid/ns/net ip neigh flush all; done")
        run("docker", "exec", OUTSIDE, "ip", "neigh", "flush", "all")

    def address(self, name, kind, sender):
        """The address that the sender knows an actor, or a place, by; the name itself when it is an address."""
        six = kind.endswith("6") or kind == "nd"
        actor = self.actors.get(name)
        if actor is None:
            place = {"metadata": METADATA, "foreign": FOREIGN, "gateway": self.gateway}.get(name)
            return place[six] if place else name
        if actor.kind != "container" and "lan" not in self.actors[sender].networks:
            return actor.wire[six]
        return actor.address6 if six else actor.address


def _outside(net, image):
    """A machine on the lab's networks that is nobody's: router, metadata service and foreign network in one."""
    run("docker", "rm", "-f", OUTSIDE, check=False)
    run("docker", "create", "--name", OUTSIDE, "--network", f"stowage-{LAB}", "--ip", net.outside_address,
        "--cap-add", "NET_ADMIN", "--cap-add", "NET_RAW", "--label", f"stowage.lab={LAB}", image, "sleep", "100000")
    run("docker", "network", "connect", "--ip", f"{WIRE_NET}.121", WIRE, OUTSIDE)
    run("docker", "start", OUTSIDE)
    # Nothing that reaches it goes further: it has no way out of the lab. (Its own /proc/sys can't be written.)
    process = run("docker", "inspect", "-f", "{{.State.Pid}}", OUTSIDE).stdout.strip()
    run("nsenter", "-n", "-t", process, "sh", "-c",
        "ip route del default; set -e; cd /proc/sys/net; echo 0 > ipv4/ip_forward; echo 0 > ipv6/conf/all/forwarding; "
        "for nic in lo eth0 eth1; do echo 0 > ipv6/conf/$nic/disable_ipv6; done; "
        f"ip address add {net.gateway[0]}/24 dev eth0; ip address add {net.gateway[1]}/64 dev eth0 nodad; "
        f"ip address add {LAN6}79/64 dev eth0 nodad; ip address add {WIRE6}79/64 dev eth1 nodad; "
        f"for place in {METADATA[0]}/32 {FOREIGN[0]}/32 {METADATA[1]}/128 {FOREIGN[1]}/128; "
        "do ip address add $place dev lo; done")
    run("docker", "exec", "-d", OUTSIDE, "python3", "-c", LISTEN)


def _prepare(net):
    """Give the hosts what the tests need: a second LAN, a machine outside, an image, somebody who listens."""
    net.play("site", "--tags", "network,engine", "--limit", ",".join(net.hosts))
    # Nobody has the address that containers there take for their router's, so nothing leaves. (An engine's internal
    # network would drop multicast between its ports.)
    run("docker", "network", "create", "--subnet", f"{WIRE_NET}.0/24", "--ip-range", f"{WIRE_NET}.128/25", "--gateway",
        f"{WIRE_NET}.254", "-o", "com.docker.network.bridge.enable_ip_masquerade=false", "--label",
        f"stowage.lab={LAB}", WIRE)
    _outside(net, run("docker", "inspect", "-f", "{{.Image}}", net.hosts[0]).stdout.strip())
    for host in net.hosts:
        run("docker", "network", "connect", WIRE, host)
        net.plug(host)
        run("docker", "exec", "-i", host, "sh", "-c", "[ -e /root/nettest-image ] || sh", text=IMAGE)
        net.start_listening(host)


def _clean(net):
    """Take away what the tests made, also those of a run that died."""
    for host in net.hosts:
        net.sh(host, "docker ps -aq --filter label=stowage.fleet=nettest | xargs -r docker rm -f; docker network rm "
               f"lan wire; docker rmi nettest; ip link delete {WIRE_BRIDGE}; rm -rf /root/nettest-image "
               "/var/lib/stowage/nettest; pkill -f 'GROUP_PORT = ' || true", check=False)
        run("docker", "network", "disconnect", "-f", WIRE, host, check=False)
    run("docker", "rm", "-f", OUTSIDE, check=False)
    run("docker", "network", "rm", WIRE, check=False)


@pytest.fixture(scope="session")
def net(tmp_path_factory):
    """The lab with its engines ready for tenants; everything that was made for the tests is gone afterwards."""
    inventory = ROOT / "inventories" / "labs" / LAB
    ours = not (inventory / "hosts.yml").exists()
    if ours:
        releases = os.environ.get("RELEASES", "bookworm,trixie")
        run(str(ROOT / "scripts" / "lab.sh"), "up", LAB, "2", releases, timeout=900)
    made = Net(inventory, tmp_path_factory.mktemp("net"))
    try:
        _clean(made)
        _prepare(made)
        yield made
    finally:
        _clean(made)
        if ours:
            run(str(ROOT / "scripts" / "lab.sh"), "down", LAB, timeout=300)
