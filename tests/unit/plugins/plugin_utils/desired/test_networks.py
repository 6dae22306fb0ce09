"""What is wrong with networks is said in one sentence each, before anything is touched."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.complaints import Complaints
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.networks import read_networks

LAN = {"driver": "macvlan", "parent": "eth0", "subnet": "172.30.0.0/24", "gateway": "172.30.0.1",
       "pool": "172.30.0.128-172.30.0.250"}


def complaints_of(**networks):
    complaints = Complaints()
    read_networks(networks, complaints)
    return complaints.sentences


def test_a_network_as_documented_is_fine():
    assert not complaints_of(lan=LAN)


@pytest.mark.parametrize(("change", "sentence"), [
    ({"pool": "172.30.0.0/24"}, ("stowage_networks.lan.pool: holds the gateway 172.30.0.1; expected a pool without it, "
      "or the gateway in exclude")),
    ({"pool": "172.30.1.1-172.30.1.9"}, ("stowage_networks.lan.pool: '172.30.1.1-172.30.1.9' lies outside the subnet; "
      "expected addresses in 172.30.0.0/24")),
    ({"gateway": "172.31.0.1"}, ("stowage_networks.lan.gateway: '172.31.0.1' lies outside the subnet; expected an "
      "address in 172.30.0.0/24")),
    ({"pool": "172.30.0.9-172.30.0.3"}, ("stowage_networks.lan.pool: '172.30.0.9-172.30.0.3' runs backwards; expected "
      "the lower address first")),
    ({"pool": ["fd00::1-fd00::9"], "subnet": "172.30.0.0/24"}, ("stowage_networks.lan.pool[0]: 'fd00::1-fd00::9' is of "
      "IPv6; expected addresses of IPv4")),
    ({"parent": None}, "stowage_networks.lan.parent: missing; expected the host's interface that the network sits on"),
])
def test_what_is_wrong_is_said(change, sentence):
    assert complaints_of(lan={**LAN, **change}) == [sentence]


def test_a_pool_may_span_the_gateway_when_it_is_excluded():
    assert not complaints_of(lan={**LAN, "pool": "172.30.0.0/24", "exclude": "172.30.0.1"})


def test_two_networks_do_not_give_one_address_twice():
    other = {**LAN, "parent": "eth1", "pool": ["172.30.0.100-172.30.0.130"]}
    assert complaints_of(lan=LAN, other=other) == [
        ("stowage_networks.other.pool: gives addresses between 172.30.0.100 and 172.30.0.130 that stowage_networks.lan "
         "gives too; expected each address in one pool")
    ]
