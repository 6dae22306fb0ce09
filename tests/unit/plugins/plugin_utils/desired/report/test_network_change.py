# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network that containers are on and that would change is refused before anything is, with what to do instead."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.network_change import refuse_changes
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import read, variables

ABSENT = "the state of acme to absent, run the playbook (their disks are kept), change the network, and set it back"


def observed(*names, fleet="fleet", others=(), **changes):
    """A host with the network lan as it was, and containers on it."""
    network = {"name": "lan", "driver": "macvlan", "internal": False, "options": {"parent": "eth0"},
               "pools": [{"Subnet": "10.0.0.0/24"}], "labels": {"stowage.fleet": fleet}, **changes}
    return {"networks": [network], "containers": [{"name": name, "fleet": "fleet", "network": "lan"} for name in names],
            "others": [{"name": name, "fleet": "blue", "network": "lan"} for name in others]}


def said(hosts, allowed=None, **network):
    """What is said of the network with these changes."""
    lan = {**variables()["stowage_networks"]["lan"], **network}
    desired, complaints = read(stowage_networks={"lan": lan})
    assert not complaints
    return refuse_changes(desired, hosts, allowed or list(hosts))


def test_a_network_as_it_is_wanted_is_nothing_to_speak_of():
    assert not said({"h1": observed("acme_db_0")})


def test_a_network_that_nobody_is_on_may_change():
    assert not said({"h1": observed()}, parent="eth1")


def test_a_host_outside_the_limit_is_left_alone():
    assert not said({"h1": observed(), "h2": observed("acme_db_0")}, allowed=["h1"], parent="eth1")


@pytest.mark.parametrize(("change", "differs"), [
    ({"subnet": "10.0.0.0/25"}, "subnet 10.0.0.0/25 instead of 10.0.0.0/24"),
    ({"parent": "eth1"}, "parent eth1 instead of eth0"),
    ({"driver": "ipvlan"}, "driver ipvlan instead of macvlan"),
    ({"gateway": "10.0.0.1"}, "gateway 10.0.0.1 instead of none"),
    ({"subnet6": "fd00:7::/64"}, "subnet6 fd00:7::/64 instead of none"),
])
def test_a_change_below_containers_is_refused_with_what_to_do(change, differs):
    sentence = said({"h1": observed("acme_db_0", "acme_db_1"), "h2": observed("acme_web_0")}, **change)
    assert sentence == (
        "stowage_networks.lan: an engine changes no network that containers are on, and acme_db_0, acme_db_1, "
        f"acme_web_0 on h1, h2 are on this one, which would get {differs}. Nothing was touched. Set {ABSENT}."
    )


def test_where_both_can_exist_side_by_side_the_gentle_way_is_said_first():
    sentence = said({"h1": observed("acme_db_0")}, subnet="10.1.0.0/24", pool="10.1.0.10-10.1.0.20", parent="eth1")
    assert "acme_db_0 on h1 is on this one" in sentence
    assert "Give the new settings a name of their own beside it" in sentence
    assert f"; or: set {ABSENT}." in sentence


def test_a_network_of_another_fleet_is_that_fleets_to_change():
    for host in (observed("acme_db_0", fleet="blue"), observed(others=["acme_db_0"], fleet="blue")):
        assert said({"h1": host}, parent="eth1").endswith(
            "Nothing was touched. Another fleet made it or is on it alone, and has to let go of it first.")
