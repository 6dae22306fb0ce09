# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a link is: one more interface of a container, and how it is wired on the host. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from typing import Any, NamedTuple

from ...common.errors import InvalidInput

KINDS = ("bridge", "macvlan", "ipvlan", "nic")
#: What a link may take of its lease beside the address.
TAKES = ("gateway", "routes", "mtu")
#: Seconds: a bridge that just learned of a port may stay silent for most of them.
DHCP_TIMEOUT = 20
LINK_SPEC = {
    "name": {"type": "str", "required": True},
    "kind": {"type": "str", "choices": list(KINDS), "default": "bridge"},
    "parent": {"type": "str", "required": True},
    "host_name": {"type": "str"},
    "mac": {"type": "str"},
    "addresses": {"type": "list", "elements": "str"},
    "gateway": {"type": "str"},
    "mtu": {"type": "int"},
    "vlan": {"type": "int"},
    "routes": {"type": "list", "elements": "dict"},
    "rate": {"type": "str"},
    "dhcp": {"type": "bool"},
    "dhcp_take": {"type": "list", "elements": "str", "choices": list(TAKES)},
    "dhcp_timeout": {"type": "int"},
}
KEYS = tuple(LINK_SPEC)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_RATE = re.compile(r"[1-9][0-9]*[kmg]?bit")
EXPECTED_NAME = "expected a name of an interface: up to 15 letters, digits, '.', '_' or '-'"


class Link(NamedTuple):
    """One link, checked, with nothing left to decide."""

    name: str
    kind: str
    parent: str
    host_name: str
    mac: str
    addresses: tuple
    gateway: str
    mtu: int
    vlan: int
    #: ((network, router or ""), ...)
    routes: tuple
    rate: str
    #: Whether a DHCP server gives its IPv4 address, what else of the lease it takes, and how long it waits for one.
    dhcp: bool = False
    dhcp_take: tuple = ()
    dhcp_timeout: int = 0

    def to_dict(self):
        """Return it as plain data."""
        return {**self._asdict(), "addresses": list(self.addresses), "routes": [list(route) for route in self.routes],
                "dhcp_take": list(self.dhcp_take)}

    @classmethod
    def from_dict(cls, data):
        """Return what ``to_dict`` made, here or in an older version that knew less."""
        return cls(**{**data, "addresses": tuple(data["addresses"]), "routes": tuple(map(tuple, data["routes"])),
                      "dhcp_take": tuple(data.get("dhcp_take", ()))})


def derive_mac(owner, name):
    """Return a MAC that is always the same for a container's name and a link's: local, unicast, spread by SHA-256."""
    return "02:73:" + ":".join(f"{byte:02x}" for byte in _hash(owner, name)[:4])


def derive_host_name(owner, name):
    """Return the name of the host's end, which the kernel limits to 15 letters."""
    return "sl" + _hash(owner, name).hex()[:12]


def _hash(owner, name):
    return hashlib.sha256(f"{owner}/{name}".encode()).digest()


def read_links(owner, given):
    """Return the links of a container, from what a module was given.

    :param owner: the container's name.
    :raises InvalidInput: with all complaints, each with its path below ``links``.
    """
    links, problems = [], []
    for index, item in enumerate(given or []):
        try:
            links.append(_read(owner, item))
        except InvalidInput as error:
            problems += [f"links[{index}].{problem}" for problem in error.problems]
    for what in ("name", "host_name", "mac"):
        values = [getattr(link, what) for link in links if getattr(link, what)]
        for value in sorted({value for value in values if values.count(value) > 1}):
            problems.append(f"links: {what} {value} is given twice; expected each once")
    addresses = [address.partition("/")[0] for link in links for address in link.addresses]
    for address in sorted({address for address in addresses if addresses.count(address) > 1}):
        problems.append(f"links: address {address} is given twice; expected each once")
    if problems:
        raise InvalidInput(problems)
    return links


def _read(owner, item):
    problems: list[str] = []
    if not isinstance(item, dict):
        raise InvalidInput(f"{item!r} is not a mapping; expected name, kind, parent and further keys")
    problems += [f"{key}: unknown key; expected one of {', '.join(KEYS)}" for key in sorted(set(item) - set(KEYS))]
    value = _Reader(item, problems)
    name = value.pattern("name", _NAME, EXPECTED_NAME, required=True)
    kind = value.choice("kind", KINDS, "bridge")
    parent = value.pattern("parent", _NAME, EXPECTED_NAME, required=True)
    host_name = value.pattern("host_name", _NAME, EXPECTED_NAME)
    if host_name and kind != "bridge":
        problems.append(f"host_name: {kind} has no end on the host; expected it with kind bridge only")
    dhcp = value.flag("dhcp")
    link = Link(
        name=name, kind=kind, parent=parent,
        host_name=host_name or (derive_host_name(owner, name) if kind == "bridge" else ""),
        mac=value.mac(owner, name, kind), addresses=value.addresses(), gateway=value.address("gateway"),
        mtu=value.whole("mtu", 68, 65535), vlan=value.whole("vlan", 1, 4094), routes=value.routes(),
        rate=value.pattern("rate", _RATE, "expected a rate such as 10mbit"),
        dhcp=dhcp, dhcp_take=value.words("dhcp_take", TAKES),
        dhcp_timeout=value.whole("dhcp_timeout", 1, 600) or (DHCP_TIMEOUT if dhcp else 0))
    if kind == "nic" and link.vlan:
        problems.append("vlan: a NIC is given whole; expected a vlan with the other kinds")
    problems += _against_dhcp(link)
    if problems:
        raise InvalidInput(problems)
    return link


def _against_dhcp(link):
    """Yield a sentence for each thing that a link is given twice over, by hand and by its lease."""
    if not link.dhcp:
        for key in ("dhcp_take", "dhcp_timeout"):
            if getattr(link, key):
                yield f"{key}: is given without dhcp; expected dhcp: true beside it"
        return
    for address in link.addresses:
        if ":" not in address:
            yield f"addresses: {address} is given beside dhcp, which brings the IPv4 address; expected one of the two"
    for key in ("gateway", "mtu"):
        if getattr(link, key) and key in link.dhcp_take:
            yield f"{key}: {getattr(link, key)} is given, and dhcp_take has {key} too; expected one of the two"


class _Reader:
    """Reads the values of one link; what is wrong goes to ``problems``."""

    def __init__(self, item: dict[str, Any], problems: list[str]) -> None:
        self._item = item
        self._problems = problems

    def pattern(self, key, pattern, expected, required=False):
        """Read a text that a pattern describes."""
        value = self._item.get(key)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self._problems.append(f"{key}: {'missing' if value is None else repr(value)}; {expected}")
            return ""
        return value

    def choice(self, key, choices, default):
        """Read one of several words."""
        value = self._item.get(key, default)
        if value not in choices:
            self._problems.append(f"{key}: {value!r}; expected one of {', '.join(choices)}")
            return default
        return value

    def whole(self, key, lowest, highest):
        """Read a whole number; 0 when it is not set."""
        value = self._item.get(key)
        if value is None:
            return 0
        number = int(value) if isinstance(value, str) and value.isdigit() else value
        if isinstance(number, bool) or not isinstance(number, int) or not lowest <= number <= highest:
            self._problems.append(f"{key}: {value!r}; expected a whole number from {lowest} to {highest}")
            return 0
        return number

    def flag(self, key):
        """Read yes or no; no when it is not set."""
        value = self._item.get(key)
        text = str(value).lower()
        if value is not None and text not in ("true", "false", "yes", "no"):
            self._problems.append(f"{key}: {value!r}; expected true or false")
        return text in ("true", "yes")

    def words(self, key, choices):
        """Read some of several words, in the order of those."""
        found = self._listing(key)
        for index, word in enumerate(found):
            if word not in choices:
                self._problems.append(f"{key}[{index}]: {word!r}; expected one of {', '.join(choices)}")
        return tuple(word for word in choices if word in found)

    def mac(self, owner, name, kind):
        """Read a MAC. Without one it follows from the names, so that it stays; a NIC keeps its own."""
        value = self._item.get("mac")
        if value is None:
            # An ipvlan has its parent's.
            return derive_mac(owner, name) if kind in ("bridge", "macvlan") else ""
        text = str(value).lower()
        if not _MAC.fullmatch(text):
            self._problems.append(f"mac: {value!r}; expected one such as 02:00:00:00:00:01")
        elif int(text[:2], 16) & 1:
            self._problems.append(f"mac: {value} is a multicast address; expected the first byte even")
        elif kind == "ipvlan":
            self._problems.append("mac: ipvlan has the MAC of its parent; expected none")
        return text

    def addresses(self):
        """Read addresses with their prefixes."""
        found = []
        for index, text in enumerate(self._listing("addresses")):
            try:
                interface = ipaddress.ip_interface(text)
                if "/" not in str(text):
                    raise ValueError("it has no prefix")
                found.append(str(interface))
            except ValueError as error:
                self._problems.append(f"addresses[{index}]: {text!r} ({error}); expected one such as 192.0.2.7/24")
        return tuple(found)

    def address(self, key):
        """Read one address."""
        value = self._item.get(key)
        try:
            return "" if value is None else str(ipaddress.ip_address(value))
        except ValueError:
            self._problems.append(f"{key}: {value!r} is not an address; expected one such as 192.0.2.1")
            return ""

    def routes(self):
        """Read routes as ((network, router or ""), ...)."""
        found = []
        for index, item in enumerate(self._listing("routes")):
            try:
                via = item.get("via")
                found.append((str(ipaddress.ip_network(item["to"])), str(ipaddress.ip_address(via)) if via else ""))
            except (AttributeError, KeyError, ValueError) as error:
                self._problems.append(f"routes[{index}]: {item!r} ({error}); expected to: a network, and via: a router")
        return tuple(found)

    def _listing(self, key):
        value = self._item.get(key)
        if value is None or isinstance(value, (list, tuple)):
            return value or []
        self._problems.append(f"{key}: {value!r} is not a list; expected a list")
        return []
