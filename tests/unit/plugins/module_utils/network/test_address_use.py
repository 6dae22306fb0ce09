# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose address is asked for on which LAN, who is known to have it, and what the engine's refusal is turned into."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.network import address_use
from ansible_collections.stowage.fleet.plugins.module_utils.network.mac import mac_of

FOUR, SIX = "192.0.2.130", "2001:db8::82"
STRANGER = "52:54:00:12:34:56"
TAKEN = "driver failed: Address already in use"


def job(name="acme_web_0", **instance):
    return SimpleNamespace(name=name, instance={"state": "started", "network": "lan", "address": FOUR, **instance})


def container(name, network="lan", state="running", fleet="fleet", four=FOUR, six=""):
    """A container as an engine lists it."""
    return {"Id": name, "Names": [f"/{name}"], "State": state, "Labels": {"stowage.fleet": fleet},
            "NetworkSettings": {"Networks": {network: {"IPAddress": four, "GlobalIPv6Address": six}}}}


class Lan:
    """The LANs of a host: who answers for an address, and what was asked on which interface."""

    def __init__(self, **answers):
        self.answers = {address.replace("_", "."): mac for address, mac in answers.items()}
        self.asked = {}

    def __call__(self, interface, addresses):
        assert interface not in self.asked, "all addresses of an interface are asked for at once"
        self.asked[interface] = list(addresses)
        return {address: mac for address, mac in self.answers.items() if address in addresses}


@pytest.fixture(autouse=True)
def own(monkeypatch):
    """The addresses of the host itself."""
    addresses = []
    monkeypatch.setattr(address_use, "own_addresses", lambda: addresses)
    return addresses


def look(lan, jobs, containers=(), interfaces=None, check=False, gone=()):
    return address_use.in_use(jobs, list(containers), interfaces or {"lan": "eth0"}, check, "h1", "fleet", gone, lan)


def test_an_address_that_nobody_has_is_free():
    lan = Lan()
    assert look(lan, [job()]) == {}
    assert lan.asked == {"eth0": [FOUR]}


def test_both_addresses_of_a_container_are_asked_for():
    lan = Lan()
    look(lan, [job(address6=SIX)])
    assert lan.asked == {"eth0": [FOUR, SIX]}


def test_a_stranger_with_the_ipv6_address_holds_the_container_back():
    lan = Lan()
    lan.answers = {SIX: STRANGER}
    found = look(lan, [job(address6=SIX)])["acme_web_0"]
    assert found.startswith(f"its address {SIX} is in use by a stranger on the network of eth0, with the MAC ")
    # The IPv6 address follows from the IPv4 address: leaving out that one leaves out both.
    assert f"write {FOUR} into exclude of stowage_networks.lan" in found


def test_each_lan_is_asked_once_and_for_its_own_addresses():
    lan = Lan()
    jobs = [job("a_b_0"), job("a_b_1", address="192.0.2.131"), job("a_b_2", network="dmz", address="198.51.100.9")]
    look(lan, jobs, interfaces={"lan": "eth0", "dmz": "eth1"})
    assert lan.asked == {"eth0": [FOUR, "192.0.2.131"], "eth1": ["198.51.100.9"]}


@pytest.mark.parametrize("options", [{"network": "inner"}, {"network": None}, {"address": None},
                                     {"state": "stopped"}, {"state": "reserved"}])
def test_who_needs_no_address_of_a_lan_right_now_asks_nobody(options):
    lan = Lan()
    assert look(lan, [job(**options)]) == {}
    assert lan.asked == {}


def test_an_instance_is_started_unless_it_says_otherwise():
    lan, wanted = Lan(), job()
    del wanted.instance["state"]
    look(lan, [wanted])
    assert lan.asked == {"eth0": [FOUR]}


def test_the_hosts_own_address_is_told_without_asking_for_it(own):
    own.append(FOUR)
    lan = Lan()
    assert look(lan, [job()]) == {
        "acme_web_0": f"its address {FOUR} is this host's own; nothing was changed for it"}
    assert lan.asked == {"eth0": []}


@pytest.mark.parametrize("state", ["running", "paused", "restarting"])
def test_a_container_of_this_engine_has_its_address_as_long_as_it_lives(state):
    lan = Lan()
    assert "is taken by other, a container of this fleet" in look(lan, [job()], [container("other", state=state)])[
        "acme_web_0"]
    assert lan.asked == {}


@pytest.mark.parametrize("state", ["exited", "created", "dead"])
def test_a_container_that_does_not_run_has_no_address(state):
    lan = Lan()
    assert look(lan, [job()], [container("other", state=state)]) == {}
    assert lan.asked == {"eth0": [FOUR]}


def test_the_same_address_on_another_network_is_another_address():
    lan = Lan()
    assert look(lan, [job()], [container("other", "inner")]) == {}
    assert lan.asked == {"eth0": [FOUR]}


def test_a_container_on_an_inner_network_is_in_the_way_too():
    found = look(Lan(), [job(network="inner")], [container("other", "inner", fleet="blue")])
    assert "on network inner is taken by other, a container of the fleet blue" in found["acme_web_0"]


def test_a_container_with_the_ipv6_address_is_in_the_way_too():
    found = look(Lan(), [job(address6=SIX)], [container("other", four="192.0.2.7", six=SIX)])
    assert found["acme_web_0"].startswith(f"its address {SIX} on network lan is taken by other")


@pytest.mark.parametrize("name", ["acme_web_0", "acme_web_0.next", "acme_web_0.old", "acme_web_1", "acme_gone_0"])
def test_who_is_converged_or_removed_in_this_run_makes_way(name):
    jobs = [job(), job("acme_web_1", address="192.0.2.131")]
    assert look(Lan(), jobs, [container(name)], gone=["acme_gone_0"]) == {}


def test_containers_that_are_on_no_network_are_in_nobodys_way():
    for settings in (None, {}, {"Networks": None}):
        assert look(Lan(), [job()], [{"Id": "x", "State": "running", "NetworkSettings": settings}]) == {}


def test_check_mode_tells_of_strangers_and_not_of_the_copy_that_is_to_move():
    lan, other = Lan(), Lan()
    lan.answers, other.answers = {FOUR: mac_of(FOUR)}, {FOUR: STRANGER}
    assert look(lan, [job()], check=True) == {}
    assert list(look(other, [job()], check=True)) == ["acme_web_0"]


# what the engine says

def with_holder(message, *containers, **instance):
    wanted = {"name": "acme_web_0", "network": "lan", "address": FOUR, **instance}
    return address_use.with_holder(message, wanted, lambda: list(containers), "fleet")


@pytest.mark.parametrize("message", [TAKEN, TAKEN.upper(), TAKEN.lower()])
def test_a_refused_address_is_told_with_who_has_it_however_the_engine_writes_it(message):
    said = with_holder(message, container("other"))
    assert said.startswith(f"its address {FOUR} on network lan is taken by other, a container of this fleet")
    assert said.endswith(f"({message})")


def test_another_refusal_stays_as_the_engine_said_it_and_nobody_is_asked():
    def ask():
        pytest.fail("the engine was asked")

    assert address_use.with_holder("no such image", {"name": "a"}, ask, "fleet") == "no such image"


@pytest.mark.parametrize("said", [
    "Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use",
    "failed to bind host port for 0.0.0.0:80:192.0.2.130:80/tcp: address already in use",
])
def test_a_port_of_the_host_that_is_taken_is_not_taken_for_an_address(said):
    assert with_holder(said) == said


def test_a_container_without_an_address_of_its_own_is_told_what_the_engine_says():
    assert with_holder(TAKEN, network="bridge", address=None) == TAKEN


def test_the_holder_of_the_ipv6_address_is_found_too():
    said = with_holder(TAKEN, container("other", four="192.0.2.7", six=SIX), address6=SIX)
    assert said.startswith(f"its address {SIX} on network lan is taken by other")


def test_a_container_does_not_stand_in_its_own_way():
    assert "by no container of this engine" in with_holder(TAKEN, container("acme_web_0"))


def test_without_a_holder_both_addresses_are_told():
    said = with_holder(TAKEN, address6=SIX)
    assert said.startswith(f"its address {FOUR} or {SIX} on network lan is taken, by no container of this engine")
