# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a DHCP server's words. That leases are got and kept is tested on real hosts."""

from __future__ import annotations

import os
import time

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import HostError
from ansible_collections.stowage.fleet.plugins.module_utils.network.links import lease
from ansible_collections.stowage.fleet.plugins.module_utils.network.links.wanted import read_links

WORDS = {"ip": "192.0.2.107", "mask": "24", "lease": "120", "serverid": "192.0.2.1", "router": "192.0.2.1 192.0.2.2",
         "mtu": "1400", "staticroutes": "10.0.0.0/8 192.0.2.3 0.0.0.0/0 192.0.2.4"}


def link(**more):
    (made,) = read_links("web", [{"name": "eth1", "parent": "br0", "dhcp": True, **more}])
    return made


def test_a_lease_brings_its_address_and_nothing_that_was_not_asked_for():
    found = lease.read_words(link(), WORDS, 1000)
    assert found == {"address": "192.0.2.107/24", "lasts": 120, "until": 1120, "routes": [], "mtu": 0,
                     "server": "192.0.2.1"}


@pytest.mark.parametrize(("take", "words", "routes"), [
    (["gateway"], {}, [["0.0.0.0/0", "192.0.2.1"]]),
    (["routes"], {}, [["10.0.0.0/8", "192.0.2.3"]]),
    (["gateway", "routes"], {}, [["10.0.0.0/8", "192.0.2.3"], ["0.0.0.0/0", "192.0.2.4"]]),
    (["gateway", "routes"], {"staticroutes": "10.0.0.0/8 192.0.2.3"},
     [["10.0.0.0/8", "192.0.2.3"], ["0.0.0.0/0", "192.0.2.1"]]),
    (["gateway"], {"router": ""}, []),
])
def test_routers_and_routes_are_taken_where_asked_for(take, words, routes):
    assert lease.read_words(link(dhcp_take=take), {**WORDS, **words}, 0)["routes"] == routes


def test_a_lease_without_an_end_lasts():
    assert lease.read_words(link(), {**WORDS, "lease": "4294967295"}, 0)["lasts"] == 0xFFFFFFFF


@pytest.mark.parametrize(("words", "sentence"), [
    ({"ip": "here"}, "makes no sense: Expected 4 octets in 'here'"),
    ({"mask": "99"}, "makes no sense: '99'"),
    ({"router": "1.2.3.4;reboot", "staticroutes": ""}, "makes no sense: "),
    ({"mtu": "60"}, "makes no sense: its MTU is 60"),
    ({"staticroutes": "10.0.0.0/8 -x"}, "makes no sense: "),
    ({"lease": "long"}, "makes no sense: "),
])
def test_what_a_hostile_server_says_goes_no_further(words, sentence):
    with pytest.raises(HostError, match="link eth1: the DHCP server's lease") as refused:
        lease.read_words(link(dhcp_take=["gateway", "routes", "mtu"]), {**WORDS, **words}, 0)
    assert sentence in refused.value.message


def test_a_lease_without_a_netmask_is_refused():
    words = {key: value for key, value in WORDS.items() if key != "mask"}
    with pytest.raises(HostError, match="the DHCP server's lease has no mask"):
        lease.read_words(link(), words, 0)


def test_a_client_calls_itself_by_the_names_and_stays_within_what_the_protocol_holds():
    assert lease.client_id("acme_web_0", "eth1") == b"\0acme_web_0/eth1"
    assert lease.client_id("a" * 300, "eth1") != lease.client_id("a" * 300, "eth2")
    assert len(lease.client_id("a" * 300, "eth1")) < 255
    assert lease.host_name("acme_web_0") == "acme-web-0"
    assert len(lease.host_name("a" * 300)) == 63


def test_the_same_number_of_another_process_is_not_taken_for_the_container():
    assert lease._born(os.getpid())
    assert lease._born(os.getpid()) != lease._born(1)
    assert lease._born(2**22 + 1) == ""


SEEN = {"addresses": ["192.0.2.107/24"], "mtu": 1500}


@pytest.mark.parametrize(("kept", "seen", "runs", "well"), [
    ({"seen": SEEN, "until": time.time() + 99}, SEEN, True, True),
    ({"seen": SEEN, "until": time.time() + 99}, SEEN, False, False),
    ({"seen": SEEN, "until": time.time() + 99}, {**SEEN, "mtu": 9000}, True, False),
    # It ran out, and there is no server: the client is at it.
    ({"seen": SEEN, "until": time.time() - 9}, {"addresses": [], "mtu": 1500}, True, True),
    ({}, SEEN, True, True),
    ({"seen": SEEN, "until": time.time() - 9}, None, True, False),
])
def test_a_link_is_as_its_lease_made_it_while_its_client_runs(monkeypatch, kept, seen, runs, well):
    monkeypatch.setattr(lease.specs, "read_lease", lambda ident, name: kept)
    monkeypatch.setattr(lease, "runs", lambda ident, name: runs)
    assert lease.is_as_leased("ab", link(), seen) is well


def test_a_host_without_a_client_is_refused_in_a_sentence_that_says_where_it_comes_from(monkeypatch):
    monkeypatch.setattr(lease.shutil, "which", lambda name, path: "/bin/busybox" if name == "busybox" else None)
    assert lease._client() == ["/bin/busybox", "udhcpc"]
    monkeypatch.setattr(lease.shutil, "which", lambda name, path: None)
    with pytest.raises(HostError, match="link eth1: this host has no DHCP client; expected udhcpc, which the role"):
        lease.check_client(link())
