# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's bridges and shims, with real packets: they come, stay over a reboot, and never cut the host off for good."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from .conftest import BIN, ROOT, WIRE, run

# What an administrator's firewall may well say.
CUT = """nft add table inet cut
nft add chain inet cut input '{ type filter hook input priority -5; }'
nft add rule inet cut input iifname br0 tcp dport 22 drop"""


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

    def reboot(self):
        # With two NICs the machine's engine may name them the other way round afterwards.
        run("docker", "network", "disconnect", "-f", WIRE, self.host)
        run("docker", "restart", self.host)
        run("docker", "network", "connect", WIRE, self.host)
        self.net.plug(self.host)
        self.net.start_listening(self.host)
        self.net.wait(lambda: self.sh("systemctl is-active ssh", check=False) == "active", "ssh is up")

    def left(self):
        """What of ours is on the host."""
        return self.sh("ls -d /sys/class/net/br0 /sys/class/net/shim-lan /usr/local/lib/stowage/host-network "
                       "/etc/systemd/system/stowage-host-network.service "
                       "/etc/systemd/system/multi-user.target.wants/stowage-host-network.service "
                       "/var/lib/stowage/host-network/undo 2>/dev/null", check=False)


@pytest.fixture
def side(net):
    """A host with nothing on its NIC, before and after."""
    made = Side(net)
    made.sh("docker ps -aq --filter label=stowage.fleet=nettest | xargs -r docker rm -f; docker network rm lan inner",
            check=False)
    yield made
    made.sh("nft delete table inet cut; docker rm -f talker; docker network rm lan inner", check=False)
    made.bring()
    assert not made.left()


def talker(side, *network):
    """A container that answers, on a network of the engine's own making, and its address."""
    address = str(side.net.subnet[201])
    side.sh(f"docker network create {' '.join(network)} --subnet {side.net.subnet} inner && docker run -d --name "
            f"talker --restart always --network inner --ip {address} nettest sleep 100000")
    return address


def reaches(side, host, address):
    """Whether a ping arrives, given a moment."""
    return side.net.sh(host, f"ping -c1 -W1 {address} >/dev/null 2>&1 && echo y", check=False) == "y"


def test_a_host_reaches_its_own_macvlan_containers_by_its_shim_also_after_a_reboot(side):
    address = talker(side, "-d", "macvlan", "-o", "parent=eth0")
    assert not reaches(side, side.host, address)
    said = side.bring(side.shim, check=True)
    assert said["changed"]
    assert not side.left()
    assert side.bring(side.shim)["changed"]
    assert reaches(side, side.host, address)
    side.sh("ip link del shim-lan")
    assert side.bring(side.shim)["why"] == ["shim-lan is not there"]
    side.reboot()
    side.net.wait(lambda: reaches(side, side.host, address), "the host reaches its container after a reboot")
    assert not side.bring(side.shim)["changed"]
    assert side.bring()["changed"]
    assert not side.left()


def test_the_nic_of_the_connection_becomes_a_port_of_a_bridge_also_after_a_reboot_and_gets_its_address_back(side):
    assert side.bring(side.bridge)["changed"]
    assert side.addresses("br0") == [f"{side.address}/24"]
    assert side.addresses("eth0") == []
    assert not side.bring(side.bridge)["changed"]
    address = talker(side, "-d", "bridge", "-o", "com.docker.network.bridge.name=br0", "-o",
                     "com.docker.network.bridge.inhibit_ipv4=true", "--gateway", side.net.gateway)
    assert side.addresses("br0") == [f"{side.address}/24"]
    assert reaches(side, side.net.hosts[0], address)
    side.reboot()
    assert side.addresses("br0") == [f"{side.address}/24"]
    side.net.wait(lambda: reaches(side, side.net.hosts[0], address), "another host reaches the container")
    assert not side.bring(side.bridge)["changed"]
    side.sh("docker rm -f talker; docker network rm inner")
    assert side.bring()["changed"]
    assert side.addresses("eth0") == [f"{side.address}/24"]
    assert not side.left()


def test_a_change_that_cuts_the_connection_is_taken_back_by_the_host_itself(side):
    side.sh(CUT)
    said = side.bring(side.bridge, undo_after=8)
    # Whichever comes first: the controller gives up, or hears of it from the host.
    assert "could not be reached after the change" in said["msg"] or "the change was undone" in said["msg"], said
    assert not said["changed"]
    side.net.wait(lambda: side.addresses("eth0") == [f"{side.address}/24"], "the address is back on eth0", 20)
    assert not side.left()
    assert side.net.ansible(side.host, "ping", "")["ping"] == "pong"


def test_a_reboot_takes_back_what_nobody_confirmed(side):
    side.sh(CUT)
    words = [str(BIN / "ansible"), side.host, "-i", str(side.net.inventory), "-m", "stowage.fleet.host_network", "-a",
             json.dumps({"networks": [side.bridge], "undo_after": 600})]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    quiet = {"stdout": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen(words, cwd=ROOT, env=environment, **quiet) as program:
        side.net.wait(lambda: side.addresses("br0") == [f"{side.address}/24"], "the change is made")
        os.killpg(program.pid, signal.SIGKILL)
    side.reboot()
    assert side.addresses("eth0") == [f"{side.address}/24"]
    assert not side.left()


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
