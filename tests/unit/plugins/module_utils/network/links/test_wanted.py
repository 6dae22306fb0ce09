# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a link is. That it is made is tested on real hosts, in tests/integration/network."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.network.links.wanted import Link, read_links


def link(**more):
    return {"name": "eth1", "parent": "br0", **more}


def test_what_is_not_said_follows_from_the_names_and_stays():
    (one,) = read_links("web", [link()])
    assert read_links("web", [link()]) == [one]
    (other,) = read_links("db", [link()])
    assert one.mac != other.mac
    assert one.host_name != other.host_name
    assert len(one.host_name) <= 15
    assert int(one.mac[:2], 16) & 3 == 2, "local, and of one station"


def test_a_link_survives_being_written_down():
    wish = link(addresses=["192.0.2.7/24", "2001:db8::7/64"], routes=[{"to": "10.0.0.0/8", "via": "192.0.2.1"}])
    (made,) = read_links("web", [wish])
    assert Link.from_dict(made.to_dict()) == made
    assert made.routes == (("10.0.0.0/8", "192.0.2.1"),)


def test_a_lease_stands_beside_ipv6_addresses_and_what_older_versions_wrote_is_read():
    (made,) = read_links("web", [link(dhcp="yes", dhcp_take=["mtu", "gateway"], addresses=["2001:db8::7/64"])])
    assert (made.dhcp, made.dhcp_take, made.dhcp_timeout) == (True, ("gateway", "mtu"), 20)
    assert Link.from_dict(made.to_dict()) == made
    (plain,) = read_links("web", [link()])
    older = {key: value for key, value in plain.to_dict().items() if not key.startswith("dhcp")}
    assert Link.from_dict(older) == plain


def test_a_nic_and_an_ipvlan_have_no_mac_of_ours():
    found = read_links("web", [link(kind="nic"), link(name="eth2", kind="ipvlan")])
    assert [each.mac for each in found] == ["", ""]
    assert [each.host_name for each in found] == ["", ""]


@pytest.mark.parametrize(("wish", "sentence"), [
    ({"parent": "br0"}, "links[0].name: missing"),
    (link(name="a" * 16), "links[0].name: 'aaaaaaaaaaaaaaaa'; expected a name of an interface"),
    (link(name="../x"), "links[0].name: '../x'; expected"),
    (link(kind="bond"), "links[0].kind: 'bond'; expected one of bridge, macvlan, ipvlan, nic"),
    (link(mac="01:00:5e:00:00:01"), "links[0].mac: 01:00:5e:00:00:01 is a multicast address"),
    (link(mac="02:00"), "links[0].mac: '02:00'; expected one such as"),
    (link(kind="ipvlan", mac="02:00:00:00:00:01"), "links[0].mac: ipvlan has the MAC of its parent"),
    (link(addresses=["192.0.2.7"]), "links[0].addresses[0]: '192.0.2.7' (it has no prefix)"),
    (link(addresses="192.0.2.7/24"), "links[0].addresses: '192.0.2.7/24' is not a list"),
    (link(gateway="here"), "links[0].gateway: 'here' is not an address"),
    (link(mtu=10), "links[0].mtu: 10; expected a whole number from 68"),
    (link(vlan=4095), "links[0].vlan: 4095; expected a whole number from 1 to 4094"),
    (link(kind="nic", vlan=7), "links[0].vlan: a NIC is given whole"),
    (link(rate="fast"), "links[0].rate: 'fast'; expected a rate such as 10mbit"),
    (link(routes=[{"via": "192.0.2.1"}]), "links[0].routes[0]: "),
    (link(kind="macvlan", host_name="x"), "links[0].host_name: macvlan has no end on the host"),
    (link(dhcp="perhaps"), "links[0].dhcp: 'perhaps'; expected true or false"),
    (link(dhcp=True, addresses=["192.0.2.7/24"]), "links[0].addresses: 192.0.2.7/24 is given beside dhcp"),
    (link(dhcp=True, gateway="192.0.2.1", dhcp_take=["gateway"]), "links[0].gateway: 192.0.2.1 is given, and dhcp"),
    (link(dhcp=True, mtu=1400, dhcp_take=["mtu"]), "links[0].mtu: 1400 is given, and dhcp_take has mtu too"),
    (link(dhcp=True, dhcp_take=["dns"]), "links[0].dhcp_take[0]: 'dns'; expected one of gateway, routes, mtu"),
    (link(dhcp_take=["mtu"]), "links[0].dhcp_take: is given without dhcp"),
    (link(dhcp_timeout=9), "links[0].dhcp_timeout: is given without dhcp"),
    (link(dhcp=True, dhcp_timeout=0), "links[0].dhcp_timeout: 0; expected a whole number from 1 to 600"),
    (link(speed=1), "links[0].speed: unknown key"),
    ("eth1", "links[0].'eth1' is not a mapping"),
])
def test_a_bad_wish_is_refused_with_its_path(wish, sentence):
    with pytest.raises(InvalidInput) as refused:
        read_links("web", [wish])
    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith(sentence)


def test_what_is_given_twice_is_refused():
    twice = [link(addresses=["192.0.2.7/24"], mac="02:00:00:00:00:01"),
             link(addresses=["192.0.2.7/25"], mac="02:00:00:00:00:01")]
    with pytest.raises(InvalidInput) as refused:
        read_links("web", twice)
    said = " ".join(refused.value.problems)
    assert "address 192.0.2.7 is given twice" in said
    assert "mac 02:00:00:00:00:01 is given twice" in said
    assert "name eth1 is given twice" in said
