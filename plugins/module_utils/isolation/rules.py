# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet filter of one container, as text for nft: pure, from what the plan says about its cluster.

The rules live in the container's own network namespace, so they know its own cluster only, and what a packet costs
does not depend on how many other tenants there are. Sets hold the addresses. One text replaces all tables in one
transaction.
"""

from __future__ import annotations

import ipaddress
import re

from ..errors import InvalidInput

#: (family of nft, name): all tables that are ours. Nothing else in the namespace is touched.
TABLES = (("inet", "stowage"), ("arp", "stowage"), ("ip", "stowage"), ("ip6", "stowage"))
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?/(tcp|udp|sctp)")
_ICMP = "icmp"
EXPECTED_PORT = "expected a port such as 80/tcp, a range such as 8000-8100/udp, or icmp"
#: Router advertisements, redirects and the like steer a neighbour's traffic: nobody may send or believe them.
_STEERING = ("{ nd-router-solicit, nd-router-advert, nd-redirect, mld-listener-query, "
             "mld-listener-report, mld-listener-done, mld2-listener-report }")


class _Family:
    """How IPv4 and IPv6 are spelled."""

    def __init__(self, version):
        self.version = version
        self.ip = "ip" if version == 4 else "ip6"
        self.kind = "ipv4_addr" if version == 4 else "ipv6_addr"
        self.multicast = "224.0.0.0/4" if version == 4 else "ff00::/8"
        self.ping = ("icmp type echo-request", "icmp type echo-reply")
        if version == 6:
            self.ping = ("icmpv6 type echo-request", "icmpv6 type echo-reply")


_FAMILIES = (_Family(4), _Family(6))


def mac_of(address):
    """Return the MAC that belongs to an IPv4 address, as the engine derives it: 02:42 and the address's four bytes."""
    return "02:42:" + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(address).packed)


def parse_port(text):
    """Return (protocol, first, last) of ``80/tcp`` or ``8000-8100/udp``, and ("icmp", 0, 0) of ``icmp``.

    :raises InvalidInput: with a sentence.
    """
    if text == _ICMP:
        return _ICMP, 0, 0
    found = _PORT.fullmatch(text) if isinstance(text, str) else None
    if found:
        first, last = int(found.group(1)), int(found.group(2) or found.group(1))
        if 0 < first <= last < 65536:
            return found.group(3), first, last
    raise InvalidInput(f"{text!r} is not a port; {EXPECTED_PORT}")


def render(policy, name):
    """Return the text that makes the packet filter of the member ``name``.

    :param policy: ``{"members": [...], "allow": [...], "protected": [...], "gateways": [...]}``, the part of the
        fleet's policy that concerns the member's cluster; see docs/architecture.md.
    :raises InvalidInput: when the member is not in it, or an address or a port can't be read.
    """
    own = next((member for member in policy["members"] if member["name"] == name), None)
    if own is None:
        raise InvalidInput(f"{name} is not a member of its own cluster in the policy; expected all members there")
    return _Filter(own, policy).text()


def with_links(text, names):
    """Return a filter's text that lets links pass: wires that an operator drew are open, whoever is at their end."""
    lines = []
    for name in names:
        for family, table in TABLES[:2]:
            lines += [f'insert rule {family} {table} input iifname "{name}" accept',
                      f'insert rule {family} {table} output oifname "{name}" accept']
        lines += [f'insert rule {family} {table} multicast oifname "{name}" accept' for family, table in TABLES[2:]]
    return "\n".join([text, *lines, ""]) if lines and text else text


class _Filter:
    """The filter of one member."""

    def __init__(self, own, policy):
        self._own = {4: own.get("address"), 6: own.get("address6")}
        self._peers = [member for member in policy["members"] if member["name"] != own["name"]]
        self._network = own.get("network")
        self._allow = [rule for rule in policy.get("allow") or []
                       if not rule.get("groups") or own.get("group") in rule["groups"]]
        self._protected = _networks(policy.get("protected"))
        self._gateways = _networks(policy.get("gateways"))

    def text(self):
        """Return the whole text."""
        lines = []
        for family, table in TABLES:
            lines += [f"table {family} {table}", f"delete table {family} {table}"]
        return "\n".join([*lines, *self._inet(), *self._arp(), *self._multicast4(), *self._multicast6(), ""])

    # -- what the sets hold

    def _near(self, version):
        """Peers on the own network, each with its MAC: both must fit."""
        key = "address" if version == 4 else "address6"
        return sorted(f"{mac_of(peer['address'])} . {peer[key]}" for peer in self._peers
                      if peer.get("network") == self._network and peer.get(key) and peer.get("address"))

    def _all(self, version):
        key = "address" if version == 4 else "address6"
        return sorted({peer[key] for peer in self._peers if peer.get(key)})

    def _far(self, version):
        """Peers on other networks: a router's MAC is on their packets."""
        key = "address" if version == 4 else "address6"
        return sorted({peer[key] for peer in self._peers if peer.get(key) and peer.get("network") != self._network})

    def _rules(self, way):
        return [(index, rule) for index, rule in enumerate(self._allow) if rule["way"] == way]

    def _opens_protected(self, network):
        return any(network.version == held.version and network.subnet_of(held) for held in self._protected)

    # -- tables

    def _inet(self):
        yield "table inet stowage {"
        for family in _FAMILIES:
            version = family.version
            yield from _set(f"near{version}", f"ether_addr . {family.kind}", self._near(version))
            yield from _set(f"far{version}", family.kind, self._far(version))
            yield from _set(f"peers{version}", family.kind, self._all(version))
            yield from _set(f"gateways{version}", family.kind, _texts(self._gateways, version), interval=True)
            yield from _set(f"protected{version}", family.kind, _texts(self._protected, version), interval=True)
            for index, rule in enumerate(self._allow):
                wanted = _networks(rule["addresses"])
                named = [network for network in wanted if self._opens_protected(network)]
                rest = [network for network in wanted if network not in named]
                yield from _set(f"allow{index}_{version}", family.kind, _texts(wanted, version), interval=True)
                yield from _set(f"named{index}_{version}", family.kind, _texts(named, version), interval=True)
                yield from _set(f"rest{index}_{version}", family.kind, _texts(rest, version), interval=True)
        yield from self._untracked()
        yield from self._input()
        yield from self._output()
        yield "}"

    @staticmethod
    def _untracked():
        """What members say to each other needs no memory of connections, which costs more than the rest."""
        yield "chain raw_input { type filter hook prerouting priority raw; policy accept;"
        for family in _FAMILIES:
            yield f"ether saddr . {family.ip} saddr @near{family.version} notrack"
        yield "}"
        yield "chain raw_output { type filter hook output priority raw; policy accept;"
        for family in _FAMILIES:
            yield f"{family.ip} daddr @peers{family.version} notrack"
        yield "}"

    def _input(self):
        yield "chain input { type filter hook input priority filter; policy drop;"
        # Most packets end here, at the first rule: what is for others never comes to this hook.
        for family in _FAMILIES:
            yield f"meta l4proto {{ tcp, udp }} ether saddr . {family.ip} saddr @near{family.version} accept"
        yield 'iifname "lo" accept'
        yield "icmp type redirect drop"
        yield f"icmpv6 type {_STEERING} drop"
        for family in _FAMILIES:
            ip, version, own = family.ip, family.version, self._own[family.version]
            if own:
                yield f"{ip} daddr != {{ {own}, {family.multicast} }} drop"
                # What the container itself sent to a group that it listens to. From outside the kernel refuses it.
                yield f"{ip} saddr {own} {ip} daddr {family.multicast} accept"
            yield f"ether saddr . {ip} saddr @near{version} accept"
            yield f"{ip} saddr @far{version} accept"
        yield "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 saddr @gateways6 accept"
        # Errors about a connection that a rule allows, such as "packet too big".
        yield "ct state related meta l4proto { icmp, ipv6-icmp } accept"
        for family in _FAMILIES:
            for index, rule in self._rules("in"):
                for request, _reply in _matches(rule, family):
                    yield f"{family.ip} saddr @allow{index}_{family.version} {request} accept"
            for index, rule in self._rules("out"):
                for _request, reply in _matches(rule, family):
                    yield _answer(f"{family.ip} saddr @allow{index}_{family.version} {reply}")
        yield "}"

    def _output(self):
        yield "chain output { type filter hook output priority filter; policy drop;"
        for family in _FAMILIES:
            if self._own[family.version]:
                yield (f"meta l4proto {{ tcp, udp }} {family.ip} saddr {self._own[family.version]} "
                       f"{family.ip} daddr @peers{family.version} accept")
        yield 'oifname "lo" accept'
        yield f"icmpv6 type {_STEERING} drop"
        yield "meta l4proto igmp drop"
        for family in _FAMILIES:
            ip, version, own = family.ip, family.version, self._own[family.version]
            if own:
                yield f"{ip} saddr != {own} drop"
            elif version == 6:
                yield "meta nfproto ipv6 drop"
        yield "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"
        # A group's packets leave as copies for each member; what stays is for listeners of the same container.
        yield "ip daddr 224.0.0.0/4 ip ttl 0 accept"
        for family in _FAMILIES:
            yield f"{family.ip} daddr {family.multicast} ct state untracked accept"
            yield f"{family.ip} daddr {family.multicast} drop"
            yield f"{family.ip} daddr @peers{family.version} accept"
        yield "ct state related meta l4proto { icmp, ipv6-icmp } accept"
        for family in _FAMILIES:
            for index, rule in self._rules("in"):
                for _request, reply in _matches(rule, family):
                    yield _answer(f"{family.ip} daddr @allow{index}_{family.version} {reply}")
            # Hosts, engines and metadata services open to a rule that names them, not to one that holds them by chance.
            yield from self._requests(family, "named")
            yield f"{family.ip} daddr @protected{family.version} drop"
            yield from self._requests(family, "rest")
        yield "}"

    def _requests(self, family, which):
        for index, rule in self._rules("out"):
            for request, _reply in _matches(rule, family):
                yield f"{family.ip} daddr @{which}{index}_{family.version} {request} accept"

    def _arp(self):
        known = [*self._gateways, *(network for rule in self._allow for network in _networks(rule["addresses"]))]
        yield "table arp stowage {"
        yield from _set("near", "ether_addr . ipv4_addr", self._near(4))
        yield from _set("peers", "ipv4_addr", self._all(4))
        yield from _set("known", "ipv4_addr", _texts(known, 4), interval=True)
        yield "chain input { type filter hook input priority filter; policy drop;"
        if self._own[4]:
            yield f"arp saddr ip {self._own[4]} drop"
        yield "arp saddr ether . arp saddr ip @near accept"
        yield "arp saddr ip @peers drop"
        yield "arp saddr ip @known accept"
        yield "}"
        yield "chain output { type filter hook output priority filter; policy drop;"
        # A question tells its addressee who asks, so strangers are not even asked.
        own = f"arp saddr ip {self._own[4]} " if self._own[4] else ""
        yield f"{own}arp daddr ip @peers accept"
        yield f"{own}arp daddr ip @known accept"
        yield "}"
        yield "}"

    def _multicast4(self):
        """A packet to a group becomes one copy for each peer, in frames to that peer alone; no one else gets it.

        The original keeps its way to listeners in the same container: with a time to live of 0 it goes no further.
        """
        yield "table ip stowage {"
        yield "chain multicast { type filter hook output priority -10; policy accept;"
        yield "ip daddr != 224.0.0.0/4 accept"
        yield 'oifname "lo" accept'
        yield "meta l4proto igmp drop"
        yield "ct state untracked accept"
        for peer in self._all(4):
            yield f"dup to {peer}"
        yield "ip ttl set 0"
        yield "}"
        yield "}"

    def _multicast6(self):
        yield "table ip6 stowage {"
        yield "chain multicast { type filter hook output priority -10; policy accept;"
        yield "ip6 daddr != ff00::/8 accept"
        yield 'oifname "lo" accept'
        yield "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"
        yield "ct state untracked accept"
        for peer in self._all(6):
            yield f"dup to {peer}"
        yield "drop"
        yield "}"
        yield "}"


def _answer(match):
    return f"{match} ct state established ct direction reply accept"


def _set(name, kind, elements, interval=False):
    yield f"set {name} {{ type {kind}"
    if interval:
        yield "flags interval"
        yield "auto-merge"
    if elements:
        yield f"elements = {{ {', '.join(elements)} }}"
    yield "}"


def _networks(texts):
    try:
        found = {ipaddress.ip_network(text, strict=False) for text in texts or []}
    except ValueError as error:
        raise InvalidInput(f"{error}; expected addresses or networks such as 10.0.0.0/8") from error
    return sorted(found, key=lambda network: (network.version, network))


def _texts(networks, version):
    """Return the networks of one version without those that lie in another: overlapping ones are refused by nft."""
    kept = ipaddress.collapse_addresses(network for network in networks if network.version == version)
    return [str(network[0]) if network.num_addresses == 1 else str(network) for network in kept]


def _matches(rule, family):
    """Return (what a request matches, what its answer matches) for each kind of packet that a rule opens."""
    ports = [parse_port(text) for text in rule.get("ports") or []]
    if not ports:
        return [("", "")]
    found = []
    for protocol in sorted({protocol for protocol, _first, _last in ports}):
        if protocol == _ICMP:
            found.append(family.ping)
            continue
        merged = _merged([(first, last) for kind, first, last in ports if kind == protocol])
        listed = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in merged)
        found.append((f"{protocol} dport {{ {listed} }}", f"{protocol} sport {{ {listed} }}"))
    return found


def _merged(ranges):
    merged = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
