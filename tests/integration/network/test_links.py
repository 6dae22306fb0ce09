# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of containers on real hosts: made before the process, lasting, changed while it runs, given back."""

from __future__ import annotations

import json
import os

import pytest

from .conftest import LISTEN, Actor, run

NAME = "nettest-link"
BRIDGE = "ntbr"


class Linked:
    """A container without a network on one host, and the module link for it."""

    def __init__(self, net, host):
        self.net, self.host = net, host
        self.actor = Actor(NAME, "container", host, "")

    def make(self, name=NAME, runtime="stowage"):
        """Make the container; what interfaces its process finds first is kept."""
        program = f"open('/tmp/first', 'w').write(open('/proc/net/dev').read())\n{LISTEN}"
        run("docker", "exec", self.host, "docker", "create", "--runtime", runtime, "--name", name, "--network", "none",
            "--cap-drop", "NET_RAW", "nettest", "python3", "-c", program)

    def link(self, *links, check=False, container=NAME):
        """Run the module and return its answer."""
        arguments = json.dumps({"container": container, "links": list(links)})
        return self.net.ansible(self.host, "stowage.fleet.link", arguments, *(["--check"] if check else []))

    def sh(self, script, check=True):
        """Run a script on the host."""
        return self.net.sh(self.host, script, check=check)

    def inside(self, script):
        """Run a command in the container's network namespace, with the host's tools."""
        pid = self.sh(f"docker inspect -f '{{{{.State.Pid}}}}' {NAME}")
        return self.sh(f"nsenter --net=/proc/{pid}/ns/net {script}")

    def start(self):
        """Start the container and wait until it listens."""
        self.sh(f"docker start {NAME}")
        self.wait()

    def wait(self):
        """Wait until the container runs."""
        self.net.wait(lambda: "eth1" in run(*self.actor.command("cat", "/tmp/first"), check=False).stdout, "it started")

    def pings(self, address):
        """Whether an address answers the container."""
        return self.actor.send([{"kind": "icmp", "to": address, "token": "ping"}])["answers"]["ping"] is True


# The hosts of CI's lab are alike; those of a lab of these tests' own have two versions of the engine.
@pytest.fixture(params=[0] if "STOWAGE_LAB" in os.environ else [0, 1])
def linked(net, request):
    """A fresh container on one of the hosts, and a bridge there; both gone afterwards."""
    host = net.hosts[request.param]
    made = Linked(net, host)
    made.sh(f"ip link add {BRIDGE} type bridge; ip address add 10.66.0.1/24 dev {BRIDGE}; ip link set {BRIDGE} up")
    made.make()
    yield made
    made.sh(f"docker rm -f {NAME} {NAME}-2; ip link delete {BRIDGE}; ip link delete ntnic; "
            "rm -f /var/lib/stowage/network/*.links", check=False)


def bridged(**more):
    return {"name": "eth1", "parent": BRIDGE, "addresses": ["10.66.0.7/24"], **more}


def spare(**more):
    return bridged(**{"addresses": ["10.66.0.20/24"], **more})


def test_a_link_is_there_before_the_process_and_after_every_restart(linked):
    wanted = bridged(mtu=1400, rate="100mbit", routes=[{"to": "10.77.0.0/16", "via": "10.66.0.1"}], gateway="10.66.0.1")
    foretold = linked.link(wanted, check=True)
    assert foretold["changed"], foretold
    assert linked.sh("ls /var/lib/stowage/network/*.links", check=False) == ""
    assert linked.link(wanted)["changed"]
    linked.start()
    first = linked.inside("ip -o link show eth1")
    assert "mtu 1400" in first
    assert linked.pings("10.66.0.1")
    assert "10.77.0.0/16 via 10.66.0.1" in linked.inside("ip route")
    assert "default via 10.66.0.1" in linked.inside("ip route")
    assert "100Mbit" in linked.inside("tc qdisc show dev eth1")
    assert not linked.link(wanted)["changed"]
    mac = first.partition("link/ether ")[2].split()[0]
    linked.sh(f"docker restart -t 0 {NAME}")
    linked.wait()
    assert mac in linked.inside("ip -o link show eth1")
    linked.sh("systemctl restart docker")
    linked.sh(f"docker start {NAME}")
    assert linked.pings("10.66.0.1")
    assert not linked.link(wanted)["changed"]


def test_a_running_container_gets_loses_and_changes_links(linked):
    linked.link(bridged())
    linked.start()
    both = [bridged(), {"name": "lan1", "kind": "macvlan", "parent": "eth0",
                        "addresses": [f"{linked.net.subnet[190]}/24"]}]
    assert linked.link(*both)["actions"] == ["lan1 made"]
    other = next(host for host in linked.net.hosts if host != linked.host)
    assert linked.pings(linked.net.host_addresses[other])
    changed = linked.link(bridged(addresses=["10.66.0.8/24"]), both[1])
    assert changed["actions"] == ["eth1 taken away", "eth1 made"]
    assert "10.66.0.8/24" in linked.inside("ip address show eth1")
    linked.inside("ip link set eth1 mtu 1000")
    assert linked.link(bridged(addresses=["10.66.0.8/24"]), both[1])["actions"] == ["eth1 taken away", "eth1 made"]
    assert linked.link()["changed"]
    assert linked.inside("ls /sys/class/net /proc/net/dev | grep -c lan1 || true") == "0"
    assert "eth1" not in linked.inside("ip -o link")
    assert linked.sh("ip -o link show type veth | grep -c master.ntbr || true") == "0"


def test_a_nic_belongs_to_the_container_until_it_ends(linked):
    linked.sh("ip link add ntnic type veth peer name ntnicp; ip address add 10.67.0.1/24 dev ntnicp; "
              "ip link set ntnicp up")
    nic = {"name": "eth1", "kind": "nic", "parent": "ntnic", "addresses": ["10.67.0.2/24"]}
    linked.link(nic)
    linked.start()
    assert linked.pings("10.67.0.1")
    assert linked.sh("ls /sys/class/net/ntnic", check=False) == ""
    assert not linked.link(nic)["changed"]
    linked.sh(f"docker stop -t 0 {NAME}")
    assert linked.sh("ls -d /sys/class/net/ntnic") == "/sys/class/net/ntnic"
    linked.start()
    assert linked.pings("10.67.0.1")
    linked.sh(f"docker rm -f {NAME}")
    assert linked.sh("ls -d /sys/class/net/ntnic") == "/sys/class/net/ntnic"
    assert linked.sh("mount | grep -c stowage/network || true") == "0"


def test_bad_wishes_are_one_sentence_and_change_nothing(linked):
    linked.make(f"{NAME}-2")
    linked.link(bridged(), container=f"{NAME}-2")
    before = linked.sh("ip -o link | wc -l; ls /var/lib/stowage/network | wc -l")
    for wish, sentence in [
        (spare(parent="br9"), "this host has no interface br9; it has"),
        (spare(parent="eth0"), "eth0 is no bridge"),
        (spare(mac="01:00:5e:00:00:01"), "01:00:5e:00:00:01 is a multicast address"),
        (bridged(addresses=["10.66.0.7"]), "expected one such as 192.0.2.7/24"),
        (bridged(), f"address 10.66.0.7 is given to link eth1 of {NAME}-2 already"),
        (spare(vlan=7), "does not filter VLANs"),
        ({"name": "eth1", "kind": "nic", "parent": "eth0"}, "carries the host's own default route"),
    ]:
        said = linked.link(wish)
        assert sentence in said["msg"], said["msg"]
    assert linked.sh("ip -o link | wc -l; ls /var/lib/stowage/network | wc -l") == before


def test_a_container_without_its_link_does_not_start(linked):
    linked.link(bridged())
    linked.sh(f"ip link delete {BRIDGE}")
    linked.sh(f"docker start {NAME}", check=False)
    said = linked.sh(f"docker inspect -f '{{{{.State.Error}}}}' {NAME}")
    assert f"must not start without its links: link eth1: this host has no interface {BRIDGE}" in said


def test_an_instance_gets_the_links_of_its_type(net):
    host = net.hosts[0]
    net.sh(host, f"ip link add {BRIDGE} type bridge; ip address add 10.66.0.1/24 dev {BRIDGE}; ip link set {BRIDGE} up")
    instance = {"name": "wired_web_0", "cluster": "wired", "group": "web", "index": 0, "image": "nettest",
                "network": "none", "runtime": "stowage", "command": ["python3", "-c", LISTEN], "stop_timeout": 0,
                "claims": {"memory": 1 << 20}, "links": [bridged()]}

    def converge(*instances, **more):
        arguments = json.dumps({"fleet": "nettest-links", "instances": instances, "pull": "never", **more})
        return net.ansible(host, "stowage.fleet.containers", arguments)

    try:
        assert converge(instance)["changed"]
        web = Actor("wired_web_0", "container", host, "10.66.0.7")
        assert web.send([{"kind": "icmp", "to": "10.66.0.1", "token": "ping"}])["answers"]["ping"] is True
        assert not converge(instance)["changed"]
        again = converge({**instance, "links": [bridged(addresses=["10.66.0.9/24"])]})
        assert "links: eth1 taken away, eth1 made" in again["containers"][0]["msg"], again
        assert converge(remove=["wired_web_0"])["changed"]
        assert net.sh(host, "ls /var/lib/stowage/network | grep -c links || true") == "0"
    finally:
        net.sh(host, f"docker rm -f wired_web_0; ip link delete {BRIDGE}", check=False)


@pytest.mark.parametrize(("kind", "vlan", "probe"), [
    ("ipvlan", None, "type ipvlan mode l2"), ("macvlan", 7, "type vlan id 7"), ("ipvlan", 8, "type vlan id 8")])
def test_kinds_that_need_more_of_the_kernel(linked, kind, vlan, probe):
    tried = f"ip link add link eth0 name ntprobe {probe} && echo yes; ip link delete ntprobe"
    if linked.sh(tried, check=False) != "yes":
        pytest.skip(f"NOT TESTED: this kernel makes no '{probe}', so {kind} with vlan {vlan} is not proven here")
    wish = {"name": "eth1", "kind": kind, "parent": "eth0", "vlan": vlan, "addresses": ["10.68.0.7/24"]}
    linked.link(wish)
    linked.start()
    assert "10.68.0.7/24" in linked.inside("ip address show eth1")
    assert not linked.link(wish)["changed"]
    linked.sh("ip link delete eth0.7; ip link delete eth0.8", check=False)
