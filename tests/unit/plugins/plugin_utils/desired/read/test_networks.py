"""What is wrong with networks is said in one sentence each, before anything is touched."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.addresses import with_six
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.complaints import Complaints
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.networks import read_networks

LAN = {
    "driver": "macvlan",
    "parent": "eth0",
    "subnet": "172.30.0.0/24",
    "gateway": "172.30.0.1",
    "pool": "172.30.0.128-172.30.0.250",
}


def complaints_of(**networks):
    complaints = Complaints()
    read_networks(networks, complaints)
    return complaints.sentences


def test_a_network_as_documented_is_fine():
    assert not complaints_of(lan=LAN)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"pool": "172.30.0.0/24"},
            (
                "stowage_networks.lan.pool: holds the gateway 172.30.0.1; expected a pool without it, "
                "or the gateway in exclude"
            ),
        ),
        (
            {"pool": "172.30.1.1-172.30.1.9"},
            (
                "stowage_networks.lan.pool: '172.30.1.1-172.30.1.9' lies outside the subnet; "
                "expected addresses in 172.30.0.0/24"
            ),
        ),
        (
            {"gateway": "172.31.0.1"},
            (
                "stowage_networks.lan.gateway: '172.31.0.1' lies outside the subnet; expected an "
                "address in 172.30.0.0/24"
            ),
        ),
        (
            {"pool": "172.30.0.9-172.30.0.3"},
            ("stowage_networks.lan.pool: '172.30.0.9-172.30.0.3' runs backwards; expected the lower address first"),
        ),
        (
            {"pool": ["fd00::1-fd00::9"], "subnet": "172.30.0.0/24"},
            ("stowage_networks.lan.pool[0]: 'fd00::1-fd00::9' is of IPv6; expected addresses of IPv4"),
        ),
        (
            {"parent": None},
            "stowage_networks.lan.parent: missing; expected the host's interface that the network sits on",
        ),
    ],
)
def test_what_is_wrong_is_said(change, sentence):
    assert complaints_of(lan={**LAN, **change}) == [sentence]


def test_a_pool_may_span_the_gateway_when_it_is_excluded():
    assert not complaints_of(lan={**LAN, "pool": "172.30.0.0/24", "exclude": "172.30.0.1"})


def test_two_networks_do_not_give_one_address_twice():
    other = {**LAN, "parent": "eth1", "pool": ["172.30.0.100-172.30.0.130"]}
    assert complaints_of(lan=LAN, other=other) == [
        (
            "stowage_networks.other.pool: gives addresses between 172.30.0.100 and 172.30.0.130 that "
            "stowage_networks.lan gives too; expected each address in one pool"
        )
    ]


@pytest.mark.parametrize(("change", "sentence"), [
    ({"parent": "eth1", "pool": "172.30.0.100"}, "subnet: 172.30.0.0/24 overlaps 172.30.0.0/24 of stowage_netw"),
    ({"subnet": "172.31.0.0/24", "gateway": None, "pool": "172.31.0.9"}, "parent: eth0 is that of stowage_netw"),
])
def test_what_no_engine_can_have_side_by_side_is_refused(change, sentence):
    (said,) = complaints_of(lan=LAN, other={**LAN, **change})
    assert said.startswith(f"stowage_networks.other.{sentence}")


SIX = {**LAN, "subnet6": "fd00:7::/64"}


@pytest.mark.parametrize(
    ("change", "address", "six"),
    [
        ({}, "172.30.0.130", "fd00:7::82"),
        ({"pool6": "fd00:7::1000-fd00:7::1100"}, "172.30.0.130", "fd00:7::1002"),
        ({"pool6": "fd00:7::/112"}, "172.30.0.128", "fd00:7::1"),
        ({"subnet6": None}, "172.30.0.130", None),
        ({"pool6": "fd00:7::1000-fd00:7::1100"}, "172.30.0.5", None),
        ({}, None, None),
    ],
)
def test_an_instance_gets_the_ipv6_address_that_follows_from_its_ipv4_address(change, address, six):
    complaints = Complaints()
    networks = read_networks({"lan": {**SIX, **change}}, complaints)
    assert not complaints.sentences
    assert with_six([{"network": "lan", "address": address}], networks)[0].get("address6") == six


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"subnet6": "172.31.0.0/24"}, "subnet6: '172.31.0.0/24' is not a subnet of IPv6 ("),
        ({"subnet6": None, "gateway6": "fd00:7::1"}, "gateway6: is given without subnet6; expected both, or neither"),
        ({"gateway6": "fd00:8::1"}, "gateway6: 'fd00:8::1' is not an address within fd00:7::/64; expected one such as"),
        (
            {"gateway6": "172.30.0.1"},
            "gateway6: '172.30.0.1' is not an address within fd00:7::/64; expected one such as",
        ),
        ({"gateway6": "fd00:7::85"}, "gateway6: fd00:7::85 lies among the addresses of instances, which go from"),
        (
            {"pool6": "fd00:8::/112"},
            "pool6: 'fd00:8::/112' is not a range within fd00:7::/64; expected one range such as",
        ),
        (
            {"pool6": ["fd00:7::/112"]},
            "pool6: ['fd00:7::/112'] is not a range within fd00:7::/64; expected one range such",
        ),
        (
            {"pool6": "fd00:7::10-fd00:7::20"},
            (
                "pool6: fd00:7::10-fd00:7::20 has no address for 172.30.0.250 of the pool; "
                "expected room for the 123 addresses from 172.30.0.128 to 172.30.0.250"
            ),
        ),
        (
            {"subnet6": "fd00:7::/124"},
            "subnet6: fd00:7::/124 has no address for 172.30.0.128 of the pool; expected room",
        ),
        ({"subnet": "fd00:7::/64"}, "subnet: 'fd00:7::/64' is not a subnet ("),
        ({"subnet": 10}, "subnet: 10 is not a subnet (no length of its prefix); expected a CIDR such as"),
    ],
)
def test_what_is_wrong_with_ipv6_is_said(change, sentence):
    said = complaints_of(lan={**SIX, **change})
    assert said
    assert said[0].startswith(f"stowage_networks.lan.{sentence}")
