"""Bridges and shims: what is asked for, who gets which address, and what engines are told."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.complaints import Complaints
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.host_side import for_host, reserve, shims
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.networks import for_engines, read_networks

LAN = {"driver": "macvlan", "parent": "eth0", "subnet": "172.30.0.0/24", "gateway": "172.30.0.1",
       "pool": "172.30.0.128-172.30.0.250", "shim": True}
BRIDGED = {"driver": "bridge", "bridge": "br0", "parent": "eth1", "subnet": "172.31.0.0/24", "pool": "172.31.0.9",
           "mtu": 1400}


def read(**networks):
    complaints = Complaints()
    return read_networks(networks, complaints), complaints.sentences


def test_shims_take_the_end_of_the_pool_and_a_further_host_changes_no_other():
    networks, said = read(lan={**LAN, "exclude": "172.30.0.249"})
    assert not said
    assert shims(networks["lan"], ["h2", "h1"]) == {"h2": "172.30.0.250", "h1": "172.30.0.248"}
    assert shims(networks["lan"], ["h2", "h1", "a"])["a"] == "172.30.0.247"


def test_the_plan_keeps_the_addresses_of_shims_from_instances():
    networks, _said = read(lan=LAN)
    reserve(networks, ["h1", "h2"])
    assert networks["lan"]["exclude"] == ["172.30.0.249", "172.30.0.250"]


def test_a_host_is_told_what_concerns_it():
    networks, said = read(lan={**LAN, "shim": {"h1": "172.30.0.5"}}, inner=BRIDGED)
    assert not said
    bridge = {"name": "inner", "parent": "eth1", "bridge": "br0", "mtu": 1400}
    assert for_host(networks, "h2", ["h1", "h2"]) == [bridge]
    assert for_host(networks, "h1", ["h1", "h2"]) == [
        bridge, {"name": "lan", "parent": "eth0", "shim": "172.30.0.5", "pool": ["172.30.0.128-172.30.0.250"]}]


def test_an_engine_uses_the_hosts_bridge_and_leaves_its_addresses_alone():
    networks, _said = read(inner=BRIDGED)
    (told,) = for_engines(networks)
    assert told == {"name": "inner", "driver": "bridge", "subnet": "172.31.0.0/24", "mtu": 1400, "options": {
        "com.docker.network.bridge.name": "br0", "com.docker.network.bridge.inhibit_ipv4": "true"}}


@pytest.mark.parametrize(("network", "sentence"), [
    ({**LAN, "shim": {"h1": "10.0.0.1"}}, "shim.h1: 10.0.0.1 lies outside the subnet; expected an address in"),
    ({**LAN, "shim": {"h1": "172.30.0.5", "h2": "172.30.0.5"}}, "shim.h2: 172.30.0.5 is given twice; expected"),
    ({**LAN, "shim": {"h1": "none"}}, "shim.h1: 'none' is not an address; expected one such as 172.30.0.250"),
    ({**BRIDGED, "shim": True}, "shim: is given with driver bridge; expected driver macvlan"),
    ({**LAN, "bridge": "br0"}, "bridge: is given with driver macvlan; expected driver bridge"),
    ({**BRIDGED, "bridge": None}, "parent: eth1 is given without a bridge over it; expected bridge, such as br0"),
])
def test_what_is_wrong_is_said(network, sentence):
    _networks, said = read(lan=network)
    assert said
    assert said[0].startswith(f"stowage_networks.lan.{sentence}")


@pytest.mark.parametrize(("networks", "sentence"), [
    ({"a": BRIDGED, "b": {**BRIDGED, "pool": "172.31.0.10", "parent": "eth2"}},
     "stowage_networks.b.bridge: br0 is that of stowage_networks.a too; expected a bridge for each network"),
    ({"a": BRIDGED, "b": {**BRIDGED, "pool": "172.31.0.10", "bridge": "br1"}},
     "stowage_networks.b.parent: eth1 is to be a port of br0 by stowage_networks.a; expected another"),
    ({"a": {**LAN, "parent": "eth1"}, "b": BRIDGED},
     "stowage_networks.a.parent: eth1 is to be a port of br0 by stowage_networks.b; expected another"),
])
def test_a_nic_and_a_bridge_are_given_once(networks, sentence):
    _networks, said = read(**networks)
    assert len(said) == 1
    assert said[0].startswith(sentence)


@pytest.mark.parametrize("ask", [lambda networks: reserve(networks, ["h1", "h2", "h3"]),
                                 lambda networks: for_host(networks, "h1", ["h1", "h2", "h3"])])
def test_a_pool_with_too_few_addresses_for_the_shims_is_refused(ask):
    networks, said = read(lan={**LAN, "pool": "172.30.0.128/31"})
    assert not said
    with pytest.raises(InvalidInput) as caught:
        ask(networks)
    assert caught.value.problems[0].startswith(
        "stowage_networks.lan.pool: has addresses for the shims of 2 of 3 hosts; expected one for each host")
