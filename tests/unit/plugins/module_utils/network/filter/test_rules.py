# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a packet filter. That it does what it says is tested with real packets, in tests/integration/network."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.network.filter import rules


def policy(*allow, **more):
    members = [{"name": f"acme_web_{index}", "group": "web", "network": "lan", "address": f"10.0.0.{10 + index}"}
               for index in range(3)]
    members.append({"name": "acme_db_0", "group": "db", "network": "wan", "address": "10.1.0.10"})
    return {"members": members, "allow": list(allow), **more}


def chain(text, table, name):
    body = text.split(f"table {table} stowage {{\n", 1)[1]
    return body.split(f"chain {name} {{", 1)[1].split("\n}", 1)[0]


def accepted(lines):
    return [line for line in lines.splitlines() if line.endswith("accept")]


def test_peers_of_the_same_network_are_known_with_their_macs_and_others_by_address():
    text = rules.render(policy(), "acme_web_0")
    near, far = (text.split(f"set {name} {{", 1)[1].split("\n}", 1)[0] for name in ("near", "far"))
    assert "02:42:0a:00:00:0b . 10.0.0.11, 02:42:0a:00:00:0c . 10.0.0.12" in near
    assert "10.1.0.10" in far
    assert "10.0.0.10" not in near + far


def test_what_is_not_the_own_address_does_not_leave_and_does_not_come_in():
    text = rules.render(policy(), "acme_web_0")
    assert "ip saddr != 10.0.0.10 drop" in chain(text, "ip", "output")
    assert "ip daddr != { 10.0.0.10, 224.0.0.0/4 } drop" in chain(text, "ip", "input")
    assert accepted(chain(text, "ip6", "output")) == ['oifname "lo" accept']
    assert accepted(chain(text, "ip6", "input")) == ['iifname "lo" accept']
    assert accepted(chain(text, "arp", "output")) == [
        "arp saddr ip 10.0.0.10 arp daddr ip @peers accept", "arp saddr ip 10.0.0.10 arp daddr ip @known accept"]


def test_a_group_gets_one_copy_for_each_peer_and_the_original_stays():
    lines = chain(rules.render(policy(), "acme_web_0"), "ip", "multicast").splitlines()
    assert [line for line in lines if line.startswith("dup")] == [
        "dup to 10.0.0.11", "dup to 10.0.0.12", "dup to 10.1.0.10"]
    assert lines[-1] == "ip ttl set 0"


def test_nobody_routes_through_a_member_but_from_link_to_link():
    text = rules.render(policy(), "acme_web_0")
    assert all("policy drop;" in chain(text, family, "forward") for family in ("ip", "ip6"))
    linked = rules.with_links(text, ["eth1", "eth2"])
    assert 'insert rule ip stowage forward iifname { "eth1", "eth2" } oifname { "eth1", "eth2" } accept' in linked


def six(*allow, name="acme_web_0", **more):
    given = policy(*allow, **more)
    for member in given["members"]:
        member["address6"] = "fd00::" + member["address"].rpartition(".")[2]
    return rules.render(given, name)


def test_ipv6_neighbours_are_believed_by_address_and_mac_also_from_their_link_local_addresses():
    assert rules.link_local_of("10.0.0.11") == "fe80::42:aff:fe00:b"
    text = six()
    known = text.split("set near_local {", 1)[1].split("\n}", 1)[0]
    assert "02:42:0a:00:00:0b . fe80::42:aff:fe00:b, 02:42:0a:00:00:0c . fe80::42:aff:fe00:c" in known
    assert "ip6 saddr { fd00::10, fe80::42:aff:fe00:a } accept" in chain(text, "ip6", "output")
    assert "fe80::/10" not in chain(text, "ip6", "input")
    # A router that asks for a member has no other address to ask from.
    assert "fe80::/10" not in chain(six(gateways=["fd00::1"]), "ip6", "input")
    routed = chain(six({"way": "out", "addresses": ["fd00:99::/64"]}, gateways=["fd00::1"]), "ip6", "input")
    assert routed.index("@th,64,128") < routed.index("ip6 saddr @known accept") < routed.index("saddr fe80::/10 accept")


def test_a_rule_opens_the_request_and_its_answers_to_its_group_only():
    rule = {"way": "in", "groups": ["web"], "addresses": ["192.0.2.0/24"], "ports": ["80/tcp", "81-90/tcp", "icmp"]}
    text = rules.render(policy(rule), "acme_web_0")
    assert "ip saddr @allow0 tcp dport { 80-90 } accept" in chain(text, "ip", "input")
    assert "ip saddr @allow0 icmp type echo-request accept" in chain(text, "ip", "input")
    answer = "ip daddr @allow0 tcp sport { 80-90 } ct state established ct direction reply accept"
    assert answer in chain(text, "ip", "output")
    assert "allow0" not in rules.render(policy(rule), "acme_db_0")


def test_protected_addresses_open_only_to_a_rule_that_names_them():
    wide = {"way": "out", "addresses": ["0.0.0.0/0"], "ports": ["443/tcp"]}
    exact = {"way": "out", "addresses": ["10.9.9.9"], "ports": ["22/tcp"]}
    output = chain(rules.render(policy(wide, exact, protected=["10.9.9.9"]), "acme_web_0"), "ip", "output")
    assert output.index("ip daddr @named1 tcp dport { 22 } accept") < output.index("@protected drop")
    assert output.index("@protected drop") < output.index("ip daddr @rest0 tcp dport { 443 } accept")


def test_addresses_that_hold_each_other_are_given_once():
    text = rules.render(policy({"way": "in", "addresses": ["10.2.0.0/16", "10.2.3.4", "10.2.3.4"]}), "acme_web_0")
    assert "elements = { 10.2.0.0/16 }" in text
    assert "10.2.3.4" not in text


@pytest.mark.parametrize("text", ["80", "80/http", "0/tcp", "90-80/tcp", "65536/udp", "", 80, None, "icmp6"])
def test_what_is_no_port_is_refused(text):
    with pytest.raises(InvalidInput, match="expected a port such as 80/tcp"):
        rules.parse_port(text)


def test_who_is_not_a_member_has_no_filter():
    with pytest.raises(InvalidInput, match="acme_web_9 is not a member"):
        rules.render(policy(), "acme_web_9")


def test_an_address_that_can_not_be_read_is_refused():
    with pytest.raises(InvalidInput, match="expected addresses or networks"):
        rules.render(policy({"way": "in", "addresses": ["somewhere"]}), "acme_web_0")
