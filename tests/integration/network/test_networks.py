# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks themselves, with real packets: addresses that strangers have, and IPv6 beside IPv4."""

from __future__ import annotations

import json

import pytest

from .conftest import OUTSIDE, run
from .test_isolation import wrong

CLUSTERS = {"red": {"one": 1, "two": 1}, "blue": {"one": 1}}
SUBNET6 = "fd00:77::/64"


def converge(net, clusters, check=True, playbook="containers", **network):
    """Run a playbook with further options of the network lan."""
    variables = net.variables(clusters)
    variables["stowage_networks"]["lan"].update(network)
    path = net.folder / "networks.json"
    path.write_text(json.dumps(variables))
    done = net.play(playbook, "-e", f"@{path}", "--limit", ",".join(net.hosts), check=check)
    if check:
        net.look(clusters)
    return done


def names(net):
    """What runs, on all hosts."""
    return sorted(name for host in net.hosts for name in
                  net.sh(host, "docker ps -a --format '{{.Names}}' --filter label=stowage.fleet=nettest").split())


@pytest.fixture
def empty(net):
    """Nothing of the fleet runs before and after, and lan is not there: another test may have it otherwise."""
    def clear():
        for host in net.hosts:
            net.sh(host, "docker ps -aq --filter label=stowage.fleet=nettest | xargs -r docker rm -f; docker network "
                   "rm lan", check=False)
    clear()
    yield net
    clear()


def test_an_address_that_a_stranger_has_is_refused_with_its_mac(empty):
    net = empty
    address = str(net.subnet[200])  # the first of the pool
    run("docker", "exec", OUTSIDE, "ip", "address", "add", f"{address}/32", "dev", "eth0")
    mac = run("docker", "exec", OUTSIDE, "cat", "/sys/class/net/eth0/address").stdout.strip()
    try:
        done = converge(net, CLUSTERS, check=False)
        assert done.returncode != 0
        said = f"its address {address} is in use by a stranger on the network of eth0, with the MAC {mac}"
        assert said in " ".join(done.stdout.split())
        assert len(names(net)) < 3
    finally:
        run("docker", "exec", OUTSIDE, "ip", "address", "del", f"{address}/32", "dev", "eth0")
    converge(net, CLUSTERS)
    assert names(net) == ["blue_one_0", "red_one_0", "red_two_0"]
    # A fleet's own containers are no strangers: neither on a second run, nor when they are made anew.
    assert converge(net, CLUSTERS).stdout.count("changed=0") == 2
    net.sh(net.hosts[0], "docker rm -f red_one_0")
    converge(net, CLUSTERS)


def test_what_a_host_cannot_have_is_refused_in_one_sentence_and_nothing_changes(empty):
    net = empty
    host, own = net.hosts[0], net.host_addresses[net.hosts[0]]
    inner = net.sh(host, "docker network inspect bridge -f '{{(index .IPAM.Config 0).Subnet}}'")
    lan = {"name": "lan", "driver": "macvlan", "parent": "eth0", "subnet": str(net.subnet)}
    one = {"name": "red_one_0", "cluster": "red", "group": "one", "index": 0, "image": "nettest", "network": "lan",
           "address": str(net.subnet[200])}
    other = {**one, "name": "red_one_1", "index": 1}
    overlap = f"network lan: its subnet {inner} overlaps {inner}, which this host reaches by docker0"
    cases = [
        ({**lan, "parent": "eth7"}, [one], "network lan: this host has no interface eth7; it has docker0, eth0"),
        ({**lan, "subnet": inner}, [one], overlap),
        (lan, [{**one, "address": own}], f"its address {own} is this host's own"),
        (lan, [one, other], f"red_one_0 and red_one_1 both have the address {one['address']}"),
    ]
    for network, instances, sentence in cases:
        arguments = json.dumps({"fleet": "nettest", "networks": [network], "instances": instances, "wait": False})
        for further in (["--check"], []):
            said = net.ansible(host, "stowage.fleet.containers", arguments, *further)["msg"]
            assert sentence in said, said
            assert "Traceback" not in said
    assert not names(net)


def test_ipv6_stands_beside_ipv4_and_is_isolated_as_well(empty):
    net = empty
    converge(net, CLUSTERS, subnet6=SUBNET6)
    for name in CLUSTERS["red"]:
        actor = net.actors[f"red_{name}_0"]
        assert actor.address6 == f"fd00:77::{int(actor.address.rsplit('.', 1)[1]):x}"
    kinds = ("tcp6", "udp6", "icmp6", "tcp", "multicast6")
    table = {(a, b, kind): (a[:3] == b[:3]) for kind in kinds for a in ("red_one_0", "red_two_0", "blue_one_0")
             for b in ("red_one_0", "red_two_0", "blue_one_0") if a != b}
    assert not wrong(net, table)
    assert converge(net, CLUSTERS, subnet6=SUBNET6).stdout.count("changed=0") == 2
    # A stranger's IPv6 address counts as well. Hosts of the lab have IPv6 switched off, and so has the machine outside.
    run("docker", "restart", net.hosts[1])
    net.wait(lambda: net.sh(net.hosts[1], "docker ps -q --filter name=red_two_0", check=False) != "", "it is back")
    net.wait_listening(net.actors["red_two_0"])
    net.start_listening(net.hosts[1])
    assert not wrong(net, table)


def test_ipv6_of_a_network_in_use_is_not_changed_under_its_containers(empty):
    net = empty
    converge(net, {"red": {"one": 1}})
    done = converge(net, {"red": {"one": 1}}, check=False, subnet6=SUBNET6)
    assert done.returncode != 0
    assert "is in use by red_one_0" in " ".join(done.stdout.split())
    assert names(net) == ["red_one_0"]
