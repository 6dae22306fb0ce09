# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks themselves, with real packets: addresses that strangers have, and what a host can not have."""

from __future__ import annotations

import json
import warnings

import pytest

from .conftest import OUTSIDE, run

CLUSTERS = {"red": {"one": 1, "two": 1}, "blue": {"one": 1}}
SUBNET6 = "fd00:77::/64"


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


class Told:
    """The module containers on the first host, told of a macvlan network and of instances on it."""

    def __init__(self, net):
        self.net, self.host = net, net.hosts[0]
        self.lan = {"name": "lan", "driver": "macvlan", "parent": "eth0", "subnet": str(net.subnet)}

    def one(self, index=0, **further):
        """An instance with the address that belongs to its index."""
        return {"name": f"red_one_{index}", "cluster": "red", "group": "one", "index": index, "image": "nettest",
                "network": "lan", "address": str(self.net.subnet[200 + index]), "command": ["sleep", "100000"],
                "stop_timeout": 0, **further}

    def bring(self, network, *instances, check=False):
        """Run the module with a network, or a list of them, and return its answer."""
        networks = network if isinstance(network, list) else [network]
        arguments = json.dumps({"fleet": "nettest", "networks": networks, "instances": instances})
        return self.net.ansible(self.host, "stowage.fleet.containers", arguments, *(["--check"] if check else []))


def all_well(said):
    """Whether nothing failed, as a module says."""
    return not [one for one in said["containers"] if one["failed"]]


def test_an_address_that_a_stranger_has_is_refused_with_its_mac_and_the_others_go_on(empty):
    net, told = empty, Told(empty)
    address = told.one()["address"]
    run("docker", "exec", OUTSIDE, "ip", "address", "add", f"{address}/32", "dev", "eth0")
    mac = run("docker", "exec", OUTSIDE, "cat", "/sys/class/net/eth0/address").stdout.strip()
    try:
        said = told.bring(told.lan, told.one(), told.one(1))
        assert f"{address} is in use by a stranger on the network of eth0, with the MAC {mac}" in said["msg"]
        assert names(net) == ["red_one_1"]
    finally:
        run("docker", "exec", OUTSIDE, "ip", "address", "del", f"{address}/32", "dev", "eth0")
    assert all_well(told.bring(told.lan, told.one(), told.one(1)))
    # A fleet's own containers are no strangers: neither on a second run, nor when one is made anew.
    assert not told.bring(told.lan, told.one(), told.one(1))["changed"]
    anew = told.bring(told.lan, told.one(env={"A": "1"}), told.one(1))
    assert anew["changed"]
    assert all_well(anew)


def test_what_a_host_cannot_have_is_refused_in_one_sentence_and_nothing_changes(empty):
    net, told = empty, Told(empty)
    own = net.host_addresses[told.host]
    inner = net.sh(told.host, "docker network inspect bridge -f '{{(index .IPAM.Config 0).Subnet}}'")
    overlap = f"network lan: its subnet {inner} overlaps {inner}, which this host reaches by docker0"
    cases = [
        ({**told.lan, "parent": "eth7"}, [told.one()], "this host has no interface eth7; it has docker0, eth0"),
        ({**told.lan, "subnet": inner}, [told.one()], overlap),
        ({**told.lan, "mtu": 1400}, [told.one()], "mtu 1400, but eth0 has "),
        (told.lan, [told.one(address=own)], f"its address {own} is this host's own"),
        (told.lan, [told.one(), {**told.one(1), "address": told.one()["address"]}], "red_one_0 and red_one_1 both"),
    ]
    for network, instances, sentence in cases:
        said = told.bring(network, *instances)["msg"]
        assert sentence in said, said
        assert "Traceback" not in said
    assert overlap in told.bring(*cases[1][:1], *cases[1][1], check=True)["msg"]
    assert not names(net)
    # What the engine has already is named, also what a host has no route to.
    net.sh(told.host, "docker network rm lan; docker network create -d macvlan -o parent=eth0 --subnet 10.94.0.0/24 "
           "ntother")
    try:
        said = told.bring(told.lan, told.one())["msg"]
        assert "its parent eth0 is that of the engine's network ntother; 'docker network rm ntother' makes room" in said
    finally:
        net.sh(told.host, "docker network rm ntother")
    assert not names(net)
    # The engine can't give IPv6 to a network in use, and its containers are not stopped for it.
    assert told.bring(told.lan, told.one())["changed"]
    said = told.bring({**told.lan, "subnet6": SUBNET6}, told.one(address6="fd00:77::c8"))["msg"]
    assert "is in use by red_one_0" in said
    assert names(net) == ["red_one_0"]


# Asks the kernel what it takes for the longest packet to a neighbour (IP_MTU, after IP_MTU_DISCOVER).
LONGEST = """import socket, sys
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.setsockopt(0, 10, 2)
one.connect((sys.argv[1], 9))
print(one.getsockopt(0, 14))"""


def test_containers_have_the_mtu_of_a_bridge_network_and_that_of_the_parent_by_macvlan(empty):
    told = Told(empty)
    of_parent = empty.sh(told.host, "cat /sys/class/net/eth0/mtu")
    bridged = {"name": "ntmtu", "driver": "bridge", "subnet": "10.95.0.0/24", "mtu": 1300}
    on_bridge = told.one(1, network="ntmtu", address="10.95.0.9")
    try:
        assert all_well(told.bring([{**told.lan, "mtu": int(of_parent)}, bridged], told.one(), on_bridge))
        longest = {name: empty.sh(told.host, f"docker exec {name} python3 -c '{LONGEST}' {neighbour}")
                   for name, neighbour in (("red_one_0", empty.subnet[250]), ("red_one_1", "10.95.0.8"))}
        assert longest == {"red_one_0": of_parent, "red_one_1": "1300"}
    finally:
        empty.sh(told.host, "docker rm -f red_one_1; docker network rm ntmtu", check=False)


def test_a_pool_that_runs_out_is_said_before_anything_changes(empty):
    variables = empty.variables(CLUSTERS)
    variables["stowage_networks"]["lan"]["pool"] = f"{empty.subnet[200]}-{empty.subnet[201]}"
    path = empty.folder / "pool.json"
    path.write_text(json.dumps(variables))
    done = empty.play("containers", "-e", f"@{path}", "--limit", ",".join(empty.hosts), check=False)
    assert done.returncode
    assert "the pool of network lan has no free address" in " ".join(done.stdout.split()), done.stdout[-2000:]
    assert "Traceback" not in done.stdout + done.stderr
    assert not names(empty)


def addresses(net):
    """{name: address} of what runs."""
    found = {}
    for host in net.hosts:
        form = "{{.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        lines = net.sh(host, "docker ps -q --filter label=stowage.fleet=nettest | xargs -r docker inspect -f "
                       f"'{form}'").splitlines()
        found.update(line.lstrip("/").split() for line in lines)
    return found


def test_a_changed_pool_is_mended_and_a_changed_network_in_use_is_refused(empty):
    net, path = empty, empty.folder / "moved.json"

    def play(*arguments, **lan):
        variables = net.variables({"red": CLUSTERS["red"]})
        variables["stowage_networks"]["lan"].update(lan)
        path.write_text(json.dumps(variables))
        done = net.play("containers", "-e", f"@{path}", "--limit", ",".join(net.hosts), *arguments, check=False)
        return done.returncode, " ".join(done.stdout.split())

    assert play()[0] == 0
    before = addresses(net)
    assert sorted(before.values()) == [str(net.subnet[number]) for number in (200, 201)]
    moved = {"pool": f"{net.subnet[201]}-{net.subnet[240]}"}
    outside = next(name for name, address in before.items() if address == str(net.subnet[200]))
    failed, said = play("--check", "--diff", **moved)
    assert not failed
    assert f"# its address {net.subnet[200]} is outside the pool of network lan" in said, said[-3000:]
    assert addresses(net) == before
    assert play(**moved)[0] == 0
    assert addresses(net) == {**before, outside: str(net.subnet[202])}
    # What an engine can't do below containers is refused before anything, in check mode as well.
    failed, said = play("--check", **moved, gateway=str(net.subnet[119]))
    assert failed
    assert (f"gateway {net.subnet[119]} instead of {net.gateway[0]}. Nothing was touched. Set the state of red to "
            "absent, run the playbook (their disks are kept), change the network, and set it back.") in said
    # And without them the network changes.
    told = Told(net)
    wanted = {**told.lan, "gateway": str(net.subnet[119])}
    assert "is in use by red_one_0; an engine changes no network in use" in told.bring(wanted, told.one())["msg"]
    net.sh(told.host, "docker rm -f red_one_0")
    assert told.bring(wanted)["networks"][0]["action"] == "recreated"


def test_an_address_that_a_container_of_the_engine_has_is_told_with_its_name(empty):
    net, told = empty, Told(empty)
    assert all_well(told.bring({**told.lan, "gateway": net.gateway[0]}, told.one(1)))
    net.sh(told.host, f"docker run -d --name ntforeign --network lan --ip {told.one()['address']} nettest sleep 1000")
    try:
        said = told.bring({**told.lan, "gateway": net.gateway[0]}, told.one())["msg"]
        address = told.one()["address"]
        assert f"its address {address} on network lan is taken by ntforeign, a container of no fleet" in said
        bridged = {"name": "ntgate", "driver": "bridge", "subnet": "10.95.0.0/24", "gateway": "10.95.0.1"}
        said = told.bring(bridged, told.one(2, network="ntgate", address="10.95.0.1"))["msg"]
        assert "its address 10.95.0.1 on network ntgate is taken, by no container of this engine" in said
        assert "ddress already in use" in said
        assert net.sh(told.host, "docker ps --format '{{.Names}}' | sort").split() == ["ntforeign", "red_one_1"]
    finally:
        net.sh(told.host, "docker rm -f ntforeign red_one_2; docker network rm ntgate", check=False)


@pytest.mark.parametrize(("kind", "link", "network"), [
    ("ipvlan", "type ipvlan", {"driver": "ipvlan"}),
    ("VLANs", "type vlan id 5", {"parent": "eth0.5"}),
])
def test_kinds_of_links_that_not_every_kernel_has(empty, kind, link, network):
    told = Told(empty)
    tried = empty.sh(told.host, f"ip link add link eth0 name nttry {link} 2>&1 && ip link del nttry && echo well",
                     check=False)
    if tried != "well":
        warnings.warn(f"!!!! NOT TESTED: networks of {kind}; this kernel lacks them: {tried}", stacklevel=1)
        pytest.skip(f"this kernel lacks {kind}: {tried}")
    assert all_well(told.bring({**told.lan, **network}, told.one()))
    assert names(empty) == ["red_one_0"]
