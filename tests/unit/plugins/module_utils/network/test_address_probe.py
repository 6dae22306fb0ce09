"""Questions and answers about who has an address, byte for byte."""

from __future__ import annotations

import ipaddress
from types import SimpleNamespace

from ansible_collections.stowage.fleet.plugins.module_utils.network import address_probe, address_use

OWN, OTHER = bytes.fromhex("0242ac1e000b"), bytes.fromhex("525400123456")
FOUR = ipaddress.ip_address("172.30.0.130").packed
SIX = ipaddress.ip_address("fd00::82").packed


def test_an_arp_probe_gives_no_sender_address():
    frame = address_probe.arp_probe(OWN, FOUR)
    assert len(frame) == 42
    assert frame[:6] == b"\xff" * 6
    assert frame[28:32] == b"\0" * 4
    assert frame[38:42] == FOUR


def test_a_solicitation_has_the_checksum_of_rfc_4443():
    frame = address_probe.solicitation(OWN, SIX)
    assert frame[:6] == bytes.fromhex("3333ff000082")
    assert frame[22:38] == b"\0" * 16
    pseudo = frame[22:54] + (24).to_bytes(4, "big") + (58).to_bytes(4, "big")
    words = pseudo + frame[54:]
    total = sum(int.from_bytes(words[at:at + 2], "big") for at in range(0, len(words), 2))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


def test_an_arp_answer_and_anothers_probe_lay_claim():
    answer = OWN + OTHER + bytes.fromhex("08060001080006040002") + OTHER + FOUR + OWN + b"\0" * 4
    assert address_probe.claim(answer) == (FOUR, OTHER)
    assert address_probe.claim(address_probe.arp_probe(OTHER, FOUR)) == (FOUR, OTHER)


def test_an_advertisement_lays_claim_and_an_ordinary_solicitation_does_not():
    probe = address_probe.solicitation(OTHER, SIX)
    assert address_probe.claim(probe) == (SIX, OTHER)
    assert address_probe.claim(probe[:22] + SIX + probe[38:]) == (None, b"")
    assert address_probe.claim(probe[:22] + SIX + probe[38:54] + b"\x88" + probe[55:]) == (SIX, OTHER)


def test_a_short_frame_lays_no_claim():
    assert address_probe.claim(b"\0" * 20) == (None, b"")


def job(name, **instance):
    return SimpleNamespace(name=name, instance={"state": "started", "network": "lan", **instance})


def asked(jobs, containers=(), answers=None, check=False, gone=()):
    questions = []

    def ask(interface, addresses):
        questions.extend(addresses)
        return {address: mac for address, mac in (answers or {}).items() if address in addresses}

    found = address_use.in_use(jobs, containers, {"lan": "eth0"}, check, "h1", "fleet", gone, ask)
    return questions, found


def test_a_stranger_is_named_with_its_mac_and_holds_back_only_whose_address_it_has():
    jobs = [job("acme_web_0", address="192.0.2.130"), job("acme_web_1", address="192.0.2.131")]
    _questions, found = asked(jobs, answers={"192.0.2.130": "52:54:00:12:34:56"})
    assert found == {"acme_web_0": "its address 192.0.2.130 is in use by a stranger on the network of eth0, with the "
                                   "MAC 52:54:00:12:34:56, as h1 hears it; stop that one, or write 192.0.2.130 into "
                                   "exclude of stowage_networks.lan. Nothing was changed for it"}


def listed(name, address, fleet="fleet", **more):
    """A container as an engine lists it."""
    return {"Id": name, "Names": [f"/{name}"], "State": "running", "Labels": {"stowage.fleet": fleet} if fleet else {},
            "NetworkSettings": {"Networks": {"lan": {"IPAddress": address}}}, **more}


def test_a_container_of_another_host_is_known_by_its_mac():
    jobs = [job("acme_web_0", address="192.0.2.130")]
    found = asked(jobs, answers={"192.0.2.130": "02:42:c0:00:02:82"})[1]["acme_web_0"]
    assert "in use by a container of another host (its MAC follows from the address)" in found
    assert "with the MAC 02:42:c0:00:02:82, as h1 hears it" in found


def test_a_container_of_this_engine_that_has_the_address_is_named_before_anything_changes():
    jobs = [job("acme_web_0", address="192.0.2.130"), job("acme_web_1", address="192.0.2.131")]
    for fleet, whose in (("fleet", "this fleet"), ("blue", "the fleet blue"), (None, "no fleet")):
        questions, found = asked(jobs, [listed("other", "192.0.2.130", fleet)])
        assert questions == ["192.0.2.131"]
        assert found == {"acme_web_0": "its address 192.0.2.130 on network lan is taken by other, a container of "
                                       f"{whose} on this engine; remove that one, or write 192.0.2.130 into exclude of "
                                       "stowage_networks.lan. Nothing was changed for it"}


def test_what_goes_before_is_in_nobodys_way():
    jobs = [job("acme_web_0", address="192.0.2.130")]
    assert not asked(jobs, [listed("acme_web_7", "192.0.2.130")], gone=["acme_web_7"])[1]
    assert not asked(jobs, [listed("acme_web_0.old", "192.0.2.130")])[1]


def test_what_the_engine_says_of_an_address_in_use_is_told_with_its_holder():
    wanted = {"name": "acme_web_0", "network": "lan", "address": "192.0.2.130"}
    containers = [listed("other", "192.0.2.130", None)]
    said = address_use.with_holder("Address already in use", wanted, lambda: containers, "fleet")
    assert said.startswith("its address 192.0.2.130 on network lan is taken by other, a container of no fleet on this")
    unknown = address_use.with_holder("Address already in use", wanted, list, "fleet")
    assert "is taken, by no container of this engine" in unknown
    assert unknown.endswith("(Address already in use)")
    assert address_use.with_holder("no such image", wanted, list, "fleet") == "no such image"


def test_who_runs_with_its_address_is_not_asked_for():
    running, stopped = listed("acme_web_0", "192.0.2.130"), listed("acme_web_1", "", State="exited")
    jobs = [job("acme_web_0", address="192.0.2.130"), job("acme_web_1", address="192.0.2.131")]
    assert asked(jobs, [running, stopped])[0] == ["192.0.2.131"]


def test_who_does_not_start_or_sits_on_no_lan_is_not_asked_for():
    jobs = [job("acme_web_0", address="192.0.2.130", state="reserved"), job("acme_web_1"),
            job("acme_web_2", address="10.1.0.2", network="inner")]
    assert not asked(jobs)[0]


def test_in_check_mode_the_copy_that_is_to_move_is_no_stranger():
    answers = {"192.0.2.130": "02:42:c0:00:02:82"}
    assert not asked([job("acme_web_0", address="192.0.2.130")], answers=answers, check=True)[1]
    assert asked([job("acme_web_0", address="192.0.2.130")], answers=answers)[1]
