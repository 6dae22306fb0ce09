# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet filter of one container, as text for nft: pure, from what the plan says about its cluster.

The rules live in the container's own network namespace, so they know its own cluster only, and what a packet costs
does not depend on how many other tenants there are. Sets hold the addresses. One text replaces all tables in one
transaction.

What members say to each other is looked up once, at the first hook of its way (``raw``), and needs no memory of
connections; ``ct state untracked`` is what that lookup leaves for the hook that decides. All else is tracked.
"""

from __future__ import annotations

import functools
import ipaddress
import re

from ...common.errors import InvalidInput
from ..mac import link_local_of, mac_of

#: (family of nft, name): all tables that are ours. Nothing else in the namespace is touched.
TABLES = (("ip", "stowage"), ("ip6", "stowage"), ("arp", "stowage"))
# What filters of earlier versions had; the next one that is loaded removes it.
_RETIRED = (("inet", "stowage"),)
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?/(tcp|udp|sctp)")
_ICMP = "icmp"
#: Lists of networks that are kept as they were read.
_REMEMBERED = 256
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
        self.key = "address" if version == 4 else "address6"
        self.multicast = "224.0.0.0/4" if version == 4 else "ff00::/8"
        self.icmp = "icmp" if version == 4 else "ipv6-icmp"
        # What is untracked because the first look left it so. Of IPv6 the kernel itself does not track neighbours'
        # questions, and finds them behind headers where nft does not look.
        self.first = ("meta l4proto != icmp",) if version == 4 else ("meta l4proto tcp", "meta l4proto udp")
        self.ping = ("icmp type echo-request", "icmp type echo-reply")
        if version == 6:
            self.ping = ("icmpv6 type echo-request", "icmpv6 type echo-reply")


_FAMILIES = (_Family(4), _Family(6))


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
        fleet's policy that concerns the member's cluster; see docs/contracts.md.
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
        for family, table in TABLES:
            lines += [f'insert rule {family} {table} input iifname "{name}" accept',
                      f'insert rule {family} {table} output oifname "{name}" accept']
        lines += [f'insert rule {family.ip} stowage multicast oifname "{name}" accept' for family in _FAMILIES]
    if names:
        listed = ", ".join(f'"{name}"' for name in names)
        lines += [f"insert rule {family.ip} stowage forward iifname {{ {listed} }} oifname {{ {listed} }} accept"
                  for family in _FAMILIES]
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
        for family, table in (*TABLES, *_RETIRED):
            lines += [f"table {family} {table}", f"delete table {family} {table}"]
        for family in _FAMILIES:
            lines += self._ip(family)
        return "\n".join([*lines, *self._arp(), ""])

    # -- what the sets hold

    def _beside(self, family):
        return [peer for peer in self._peers
                if peer.get("network") == self._network and peer.get(family.key) and peer.get("address")]

    def _near(self, family):
        """Peers on the own network, each with its MAC: both must fit."""
        return sorted(f"{mac_of(peer['address'])} . {peer[family.key]}" for peer in self._beside(family))

    def _all(self, family):
        return sorted({peer[family.key] for peer in self._peers if peer.get(family.key)})

    def _far(self, family):
        """Peers on other networks: a router's MAC is on their packets."""
        return sorted({peer[family.key] for peer in self._peers
                       if peer.get(family.key) and peer.get("network") != self._network})

    def _known(self, family):
        """Who is no member and may be a neighbour: routers, and whom rules name."""
        ruled = [network for rule in self._allow for network in _networks(rule["addresses"])]
        return _texts([*self._gateways, *ruled], family.version)

    def _rules(self, way):
        return [(index, rule) for index, rule in enumerate(self._allow) if rule["way"] == way]

    def _opens_protected(self, network):
        return any(network.version == held.version and network.subnet_of(held) for held in self._protected)

    # -- tables

    def _ip(self, family):
        yield f"table {family.ip} stowage {{"
        if family.version == 4 or self._own[6]:
            yield from self._sets(family)
            yield from self._first_look(family)
            yield from self._group(family)
            yield from self._input(family)
            yield from self._output(family)
        else:
            yield from _shut()
        # The kernel of a host that routes lets its containers route too. Nothing goes through a member.
        yield "chain forward { type filter hook forward priority filter; policy drop;"
        yield "}"
        yield "}"

    def _sets(self, family):
        version, kind = family.version, family.kind
        yield from _set("near", f"ether_addr . {kind}", self._near(family))
        yield from _set("far", kind, self._far(family))
        yield from _set("peers", kind, self._all(family))
        yield from _set("protected", kind, _texts(self._protected, version), interval=True)
        if version == 6:
            beside = [peer["address"] for peer in self._beside(family)]
            yield from _set("near_local", f"ether_addr . {kind}", sorted(
                f"{mac_of(address)} . {link_local_of(address)}" for address in beside))
            yield from _set("local", kind, sorted(link_local_of(address) for address in beside))
            yield from _set("known", kind, self._known(family), interval=True)
        for index, rule in enumerate(self._allow):
            wanted = _networks(rule["addresses"])
            named = [network for network in wanted if self._opens_protected(network)]
            rest = [network for network in wanted if network not in named]
            for name, networks in (("allow", wanted), ("named", named), ("rest", rest)):
                yield from _set(f"{name}{index}", kind, _texts(networks, version), interval=True)

    def _from_own(self, family):
        own = self._own[family.version]
        return f"{family.ip} saddr {own} " if own else ""

    def _first_look(self, family):
        yield "chain raw_input { type filter hook prerouting priority raw; policy accept;"
        yield f"ether saddr . {family.ip} saddr @near notrack accept"
        if self._far(family):
            yield f"{family.ip} saddr @far notrack"
        yield "}"
        yield "chain raw_output { type filter hook output priority raw; policy accept;"
        yield f"{self._from_own(family)}{family.ip} daddr @peers notrack accept"
        yield f"{family.ip} daddr {family.multicast} goto multicast"
        yield "}"

    def _group(self, family):
        """A packet to a group becomes one copy for each peer, in frames to that peer alone; no one else gets it.

        Of IPv4 the original keeps its way to listeners in the same container: with a time to live of 0 it goes no
        further. Copies come by here as well, and are untracked.
        """
        yield "chain multicast {"
        yield 'oifname "lo" accept'
        if family.version == 4:
            yield "ip protocol igmp drop"
        else:
            yield "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"
        yield "ct state untracked accept"
        if self._own[family.version]:
            yield f"{family.ip} saddr != {self._own[family.version]} drop"
        for peer in self._all(family):
            yield f"dup to {peer}"
        yield "ip ttl set 0" if family.version == 4 else "drop"
        yield "}"

    def _input(self, family):
        ip, own = family.ip, self._own[family.version]
        yield "chain input { type filter hook input priority filter; policy drop;"
        # Most packets end here, at the first rule: what is for others never comes to this hook.
        yield from (f"{match} ct state untracked accept" for match in family.first)
        yield 'iifname "lo" accept'
        if family.version == 4:
            yield "icmp type redirect drop"
        else:
            yield f"icmpv6 type {_STEERING} drop"
            yield from self._neighbours(family)
        if own:
            yield f"{ip} daddr != {{ {own}, {family.multicast} }} drop"
            # What the container itself sent to a group that it listens to. From outside the kernel refuses it.
            yield f"{ip} saddr {own} {ip} daddr {family.multicast} accept"
        yield f"ether saddr . {ip} saddr @near accept"
        yield f"{ip} saddr @far accept"
        # Errors about a connection that a rule allows, such as "packet too big".
        yield f"ct state related meta l4proto {family.icmp} accept"
        for index, rule in self._rules("in"):
            for request, _reply in _matches(rule, family):
                yield f"{ip} saddr @allow{index} {request} accept"
        for index, rule in self._rules("out"):
            for _request, reply in _matches(rule, family):
                yield _answer(f"{ip} saddr @allow{index} {reply}")
        yield "}"

    def _neighbours(self, family):
        """Whose questions and answers are believed: the address fits the MAC, or is one that is no member's.

        A neighbour that is asked again is asked from a link-local address; a router asks so the first time, too.
        """
        both = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }"
        yield f"{both} ether saddr . ip6 saddr @near accept"
        yield f"{both} ether saddr . ip6 saddr @near_local accept"
        yield f"{both} ip6 saddr @peers drop"
        if self._all(family):
            # An answer is about its target, whoever gives it. (nft has no name for that field that old ones know.)
            local = [link_local_of(peer["address"]) for peer in self._beside(family)]
            targets = ", ".join(_hex(address) for address in [*self._all(family), *local])
            yield f"icmpv6 type nd-neighbor-advert @th,64,128 {{ {targets} }} drop"
        yield f"{both} ip6 saddr @known accept"
        # A router of a container that only talks to its own has nobody to ask for.
        if _texts(self._gateways, 6) and self._known(family) != _texts(self._gateways, 6):
            yield "icmpv6 type nd-neighbor-solicit ip6 saddr @local drop"
            yield "icmpv6 type nd-neighbor-solicit ip6 saddr fe80::/10 accept"
        yield f"{both} drop"

    def _output(self, family):
        ip, own = family.ip, self._own[family.version]
        yield "chain output { type filter hook output priority filter; policy drop;"
        # Most packets: the first look has found that they are the own address's, to a peer, or copies for one.
        yield from (f"{match} ct state untracked accept" for match in family.first)
        yield 'oifname "lo" accept'
        if family.version == 6:
            yield f"icmpv6 type {_STEERING} drop"
            asked_from = ", ".join([own, *([link_local_of(self._own[4])] if self._own[4] else [])])
            yield f"icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} ip6 saddr {{ {asked_from} }} accept"
        if own:
            yield f"{ip} saddr != {own} drop"
        if family.version == 4:
            yield "ip daddr 224.0.0.0/4 ip ttl 0 accept"
        # A group's packets leave as copies for each member; what stays is for listeners of the same container.
        yield f"{ip} daddr {family.multicast} ct state untracked accept"
        yield f"{ip} daddr {family.multicast} drop"
        yield f"{ip} daddr @peers accept"
        yield f"ct state related meta l4proto {family.icmp} accept"
        for index, rule in self._rules("in"):
            for _request, reply in _matches(rule, family):
                yield _answer(f"{ip} daddr @allow{index} {reply}")
        # Hosts, engines and metadata services open to a rule that names them, not to one that holds them by chance.
        yield from self._requests(family, "named")
        yield f"{ip} daddr @protected drop"
        yield from self._requests(family, "rest")
        yield "}"

    def _requests(self, family, which):
        for index, rule in self._rules("out"):
            for request, _reply in _matches(rule, family):
                yield f"{family.ip} daddr @{which}{index} {request} accept"

    def _arp(self):
        four = _FAMILIES[0]
        yield "table arp stowage {"
        yield from _set("near", "ether_addr . ipv4_addr", self._near(four))
        yield from _set("peers", "ipv4_addr", self._all(four))
        yield from _set("known", "ipv4_addr", self._known(four), interval=True)
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


def _shut():
    """What is left of a family that the container has no address of."""
    for way, interface in (("input", "iifname"), ("output", "oifname")):
        yield f"chain {way} {{ type filter hook {way} priority filter; policy drop;"
        yield f'{interface} "lo" accept'
        yield "}"
    yield "chain multicast {"
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


def _hex(address):
    return f"0x{int(ipaddress.IPv6Address(address)):032x}"


def _networks(texts):
    return _read_networks(tuple(texts or ()))


# All filters of a host name the same hosts and gateways; to read those takes longer than all else.
@functools.lru_cache(maxsize=_REMEMBERED)
def _read_networks(texts):
    try:
        found = {ipaddress.ip_network(text, strict=False) for text in texts}
    except ValueError as error:
        raise InvalidInput(f"{error}; expected addresses or networks such as 10.0.0.0/8") from error
    return tuple(sorted(found, key=lambda network: (network.version, network)))


def _texts(networks, version):
    """Return the networks of one version without those that lie in another: overlapping ones are refused by nft."""
    return _collapsed(tuple(networks), version)


@functools.lru_cache(maxsize=_REMEMBERED)
def _collapsed(networks, version):
    kept = ipaddress.collapse_addresses(network for network in networks if network.version == version)
    return tuple(str(network[0]) if network.num_addresses == 1 else str(network) for network in kept)


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
