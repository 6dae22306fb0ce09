# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's bridges and shims, with real packets: they come, stay over a reboot, and never cut the host off for good.

One host has a NIC for each manager there is, and they share its one reboot.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import warnings

import pytest

from .conftest import BIN, ROOT, WIRE, run
from .nics import BRIDGES, MANAGERS, NICS, Nics

# One connection comes in, and no other.
ONCE = """nft add table inet cut
nft add chain inet cut input '{ type filter hook input priority -5; }'
nft add rule inet cut input tcp dport 22 tcp flags syn quota over 60 bytes drop"""
# What an administrator's firewall may well say.
CUT = """nft add table inet cut
nft add chain inet cut input '{ type filter hook input priority -5; }'
nft add rule inet cut input iifname br0 tcp dport 22 drop"""
CLEAR = ("docker ps -aq --filter label=stowage.fleet=nettest | xargs -r docker rm -f; "
         "docker network rm lan inner ontop || true")
LEFT = " ".join([
    "/sys/class/net/br[0-9]", "/sys/class/net/shim-*", "/usr/local/lib/stowage/host-network",
    "/etc/systemd/network/*stowage*", "/etc/network/interfaces.d/stowage*",
    "/etc/NetworkManager/system-connections/stowage*", "/etc/systemd/system/stowage-host*",
    "/etc/systemd/system/*.wants/stowage-host*", "/var/lib/stowage/host-network/undo"])


class Side:
    """The host whose own network is changed."""

    def __init__(self, net):
        self.net, self.host = net, net.hosts[1]
        self.address = net.host_addresses[self.host]
        self.shim = {"name": "lan", "parent": "eth0", "shim": str(net.subnet[240]),
                     "pool": [f"{net.subnet[200]}-{net.subnet[240]}"]}
        self.bridge = {"name": "inner", "parent": "eth0", "bridge": "br0"}

    def bring(self, *networks, check=False, undo_after=30):
        """Run the module with its plugin, over SSH."""
        arguments = json.dumps({"networks": networks, "undo_after": undo_after})
        return self.net.ansible(self.host, "stowage.fleet.host_network", arguments, *(["--check"] if check else []))

    def sh(self, script, check=True):
        return self.net.sh(self.host, script, check=check)

    def addresses(self, interface):
        return self.sh(f"ip -4 -o address show dev {interface} | awk '{{print $4}}'", check=False).split()

    def all_addresses(self):
        """{interface: its addresses} of the NICs and the bridges over them, without eth0."""
        lines = self.sh("ip -4 -o address show | awk '{print $2, $4}'").splitlines()
        return {name: address for name, address in map(str.split, lines) if name in NICS or name in BRIDGES}

    def reboot(self):
        # With two NICs the machine's engine may name them the other way round afterwards.
        run("docker", "network", "disconnect", "-f", WIRE, self.host)
        run("docker", "restart", "-t", "5", self.host)
        run("docker", "network", "connect", WIRE, self.host)
        self.net.plug(self.host)
        self.net.start_listening(self.host)
        self.net.wait(lambda: self.sh("systemctl is-active ssh", check=False) == "active", "ssh is up")

    def left(self):
        """What of ours is on the host."""
        return self.sh(f"ls -d {LEFT} 2>/dev/null", check=False)


@pytest.fixture
def side(net):
    """A host with nothing on its NIC, before and after."""
    made = Side(net)
    made.sh(CLEAR)
    way_out = made.sh("ip route show default")
    yield made
    made.sh("nft delete table inet cut; docker rm -f talker", check=False)
    made.sh(CLEAR)
    made.bring()
    assert not made.left()
    assert made.sh("ip route show default") == way_out


def talker(side, *network):
    """A container that answers, on a network of the engine's own making, and its address."""
    address = str(side.net.subnet[201])
    side.sh(f"docker network create {' '.join(network)} --subnet {side.net.subnet} inner && docker run -d --name "
            f"talker --restart always --network inner --ip {address} nettest sleep 100000")
    return address


def reaches(side, host, address):
    """Whether a ping arrives, given a moment."""
    return side.net.sh(host, f"ping -c1 -W1 {address} >/dev/null 2>&1 && echo y", check=False) == "y"


@pytest.fixture(scope="module")
def nics(net):
    """A NIC for each manager on the host."""
    made = Nics(lambda script: net.sh(net.hosts[1], script), net.wait)
    try:
        made.plug()
        yield made
    finally:
        made.unplug()


def test_what_each_manager_keeps_stays_over_a_reboot_that_takes_back_what_nobody_confirmed(side, nics):
    address = talker(side, "-d", "macvlan", "-o", "parent=eth0")
    before = side.all_addresses()
    assert sorted(before) == sorted(NICS)
    wanted = [side.shim, *nics.networks()]
    assert not reaches(side, side.host, address)
    said = side.bring(*wanted, check=True)
    assert said["changed"]
    assert not side.left()
    said = side.bring(*wanted)
    assert said["managers"] == {"shim-lan": "none", **dict(zip(BRIDGES, MANAGERS))}, said
    # The same addresses, also the one that DHCP gave; routes that the NIC had are the bridge's.
    moved = {BRIDGES[NICS.index(nic)]: held for nic, held in before.items()}
    assert side.all_addresses() == moved
    assert "via 10.96.0.9 dev br1" in side.sh("ip route show 198.51.100.0/24")
    assert reaches(side, side.host, address)
    side.sh("ip link del shim-lan; ip link del br1")
    assert sorted(side.bring(*wanted)["why"]) == ["br1 is not there", "shim-lan is not there"]
    side.sh("ip link add ntport type dummy 2>/dev/null || ip link add ntport type veth peer name ntpeer; "
            "ip link set ntport master br1")
    said = side.bring(side.shim, *nics.networks(mtu=1300))
    assert said["changed"], said
    assert side.sh("cat /sys/class/net/br[1-5]/mtu").split() == ["1300"] * len(NICS)
    # What is on a bridge stays on it meanwhile, and keeps it from being taken away.
    assert side.sh("cd /sys/class/net/br1/brif; ls -d ntport", check=False) == "ntport"
    assert "bridge br1 is to go, and has ntport on it" in side.bring(side.shim)["msg"]
    side.sh("ip link del ntport")
    assert not side.bring(side.shim, *nics.networks(mtu=1300))["changed"]
    begin_and_die(side, side.shim, *nics.networks(mtu=1300)[1:])
    side.reboot()
    side.net.wait(lambda: reaches(side, side.host, address), "the host reaches its container after a reboot")
    side.net.wait(lambda: side.all_addresses() == moved, f"all bridges are back, {moved}")
    assert side.addresses("eth0") == [f"{side.address}/24"]
    assert not side.bring(side.shim, *nics.networks(mtu=1300))["changed"]
    assert side.bring()["changed"]
    assert side.all_addresses() == before
    assert not side.left()


def begin_and_die(side, *networks):
    """Begin to give the first NIC back, which can't be confirmed, and go when that is made."""
    side.sh(ONCE)
    words = [str(BIN / "ansible"), side.host, "-i", str(side.net.inventory), "-m", "stowage.fleet.host_network", "-a",
             json.dumps({"networks": networks, "undo_after": 600})]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    quiet = {"stdout": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen(words, cwd=ROOT, env=environment, **quiet) as program:
        side.net.wait(lambda: "nic1" in side.all_addresses(), "the change is made")
        os.killpg(program.pid, signal.SIGKILL)


def by_hand(side):
    """Bridge by the module, network by hand; returns the container's address and what the module is told next."""
    said = side.bring(side.bridge)
    assert said["changed"], said
    address = talker(side, "-d", "bridge", "-o", "com.docker.network.bridge.name=br0", "-o",
                     "com.docker.network.bridge.inhibit_ipv4=true", "--gateway", str(side.net.subnet[120]))
    return address, [side.bridge]


def by_variables(side):
    """The same as an operator has it: bridge, shim, networks, containers and their filters from variables alone."""
    net, shims = side.net, [f"10.96.0.{140 - number}" for number in range(9)]
    on_nic = {"name": "ontop", "parent": "nic1", "pool": ["10.96.0.128-10.96.0.140"]}
    variables = net.variables({"inner": {"two": 1, "allow": [
        {"from": net.host_addresses[net.hosts[0]], "ports": ["icmp"]}], "network": "inner"}, "ontop": {
            "two": 1, "allow": [{"from": address, "ports": ["icmp"]} for address in shims], "network": "ontop"}})
    variables["stowage_networks"] = {
        "inner": {"driver": "bridge", "bridge": "br0", "parent": "eth0", "subnet": str(net.subnet),
                  "gateway": str(net.subnet[120]), "pool": f"{net.subnet[201]}-{net.subnet[205]}"},
        "ontop": {"driver": "macvlan", "parent": "nic1", "subnet": "10.96.0.0/24", "pool": on_nic["pool"],
                  "shim": True}}
    path = net.folder / "operator.json"
    path.write_text(json.dumps(variables))
    net.play("site", "--tags", "network,containers", "--limit", side.host, "-e", f"@{path}")
    assert reaches(side, side.host, "10.96.0.128"), "the host reaches its container by the shim"
    (shim,) = side.addresses("shim-ontop")
    return str(net.subnet[201]), [side.bridge, {**on_nic, "shim": shim.partition("/")[0]}]


@pytest.mark.parametrize(("manager", "made"), [
    ("none", by_variables), ("networkd", by_hand), ("ifupdown", by_hand), ("networkmanager", by_hand)])
def test_the_nic_of_the_connection_becomes_a_port_of_a_bridge_and_gets_its_address_back(side, nics, manager, made):
    with nics.keeping("eth0", manager):
        held = side.sh("ip -o address show dev eth0 scope global | awk '{print $4}' | sort")
        way_out = side.sh("ip route show default")
        address, told = made(side)
        said = side.bring(*told)
        assert not said["changed"], said
        assert said["managers"]["br0"] == manager
        assert side.sh("ip -o address show dev br0 scope global | awk '{print $4}' | sort") == held
        assert side.addresses("eth0") == []
        side.net.wait(lambda: reaches(side, side.net.hosts[0], address), "another host reaches the container")
        side.sh(f"docker rm -f talker; {CLEAR}")
        assert side.bring()["changed"]
        assert side.sh("ip -o address show dev eth0 scope global | awk '{print $4}' | sort") == held
        assert side.sh("ip route show default") == way_out
        assert not side.left()


def test_a_change_that_cuts_the_connection_is_taken_back_by_the_host_itself(side, nics):
    before = side.all_addresses()
    side.sh(CUT)
    said = side.bring(side.bridge, *nics.networks(), undo_after=15)
    # Whichever comes first: the controller gives up, or hears of it from the host.
    assert "could not be reached after the change" in said["msg"] or "the change was undone" in said["msg"], said
    assert not said["changed"]
    side.net.wait(lambda: side.addresses("eth0") == [f"{side.address}/24"], "the address is back on eth0", 20)
    side.net.wait(lambda: side.all_addresses() == before, "all NICs are as before", 20)
    assert not side.left()
    assert side.net.ansible(side.host, "ping", "")["ping"] == "pong"


def test_what_a_host_cannot_have_is_refused_in_one_sentence(side):
    taken = side.net.host_addresses[side.net.hosts[0]]
    cases = [
        ({**side.shim, "parent": "eth7"}, "network lan: this host has no interface eth7; it has docker0, eth0"),
        ({**side.shim, "shim": taken}, f"network lan: shim: {taken} is in use by a stranger on the network of eth0"),
        ({**side.shim, "shim": side.address}, f"network lan: shim: {side.address} is on eth0 of this host already"),
        ({**side.shim, "mtu": 9000}, "network lan: mtu 9000 is above the 1500 of eth0"),
        ({**side.shim, "pool": [f"{side.net.subnet[1]}-{side.net.subnet[9]}"]}, "from which this connection comes"),
        ({**side.bridge, "bridge": "lo"}, "network inner: bridge: lo is there and is no bridge"),
    ]
    for network, sentence in cases:
        said = side.bring(network)
        assert sentence in said["msg"], said["msg"]
        assert not side.left()


def test_a_bridge_over_a_vlan_of_a_nic(side):
    tried = side.sh("ip link add link eth0 name eth0.5 type vlan id 5 2>&1 && ip link set eth0.5 up && echo well",
                    check=False)
    if tried != "well":
        warnings.warn(f"!!!! NOT TESTED: a bridge over a VLAN of a NIC; this kernel lacks them: {tried}", stacklevel=1)
        pytest.skip(f"this kernel lacks VLANs: {tried}")
    try:
        assert side.bring({**side.bridge, "parent": "eth0.5"})["changed"]
        assert not side.bring({**side.bridge, "parent": "eth0.5"})["changed"]
        assert side.bring()["changed"]
    finally:
        side.sh("ip link del eth0.5", check=False)
