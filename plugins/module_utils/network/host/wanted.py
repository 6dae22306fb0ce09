# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has to have for its networks: its bridges and shims, read from what it is told. Pure."""

from __future__ import annotations

import ipaddress
import re
import zlib

from ...common.errors import InvalidInput

_LONGEST_NAME = 15
_INTERFACE = re.compile(rf"[A-Za-z0-9_.-]{{1,{_LONGEST_NAME}}}")


def shim_name(network):
    """Return the name of the shim interface of a network: at most 15 characters, as the kernel has it."""
    name = f"shim-{network}"
    return name if len(name) <= _LONGEST_NAME else f"shim-{zlib.crc32(network.encode()):08x}"


def read_links(networks):
    """Return what a host has to have, each ``{"kind", "name", "parent", "mtu", ...}``, in the order of making.

    :param networks: ``{name, parent, bridge, shim, pool, mtu}``; ``shim`` is the address of this host's shim.
    :raises InvalidInput: with all complaints. What is left can stand in a script.
    """
    problems = [f"network {network['name']}: {problem}" for network in networks for problem in _complaints(network)]
    if problems:
        raise InvalidInput(problems)
    links = []
    for network in networks:
        common = {"network": network["name"], "parent": network.get("parent"), "mtu": network.get("mtu")}
        if network.get("bridge") and network.get("parent"):
            links.append({**common, "kind": "bridge", "name": network["bridge"]})
        if network.get("shim"):
            links.append({**common, "kind": "shim", "name": shim_name(network["name"]), "address": network["shim"],
                          "routes": blocks(network.get("pool") or [])})
    return sorted(links, key=lambda link: (link["kind"], link["name"]))


def _complaints(network):
    for key in ("parent", "bridge"):
        name = network.get(key)
        if name and not _INTERFACE.fullmatch(name):
            yield f"{key}: {name!r} is not the name of an interface; expected up to {_LONGEST_NAME} of A-Z a-z 0-9 _.-"
    try:
        if network.get("shim"):
            ipaddress.IPv4Address(network["shim"])
        blocks(network.get("pool") or [])
    except ValueError as error:
        yield f"{error}; expected addresses"


def blocks(pool):
    """Return ranges, blocks and addresses as blocks, as routes need them."""
    found = []
    for text in pool:
        first, dash, last = text.partition("-")
        if "/" in text:
            found.append(ipaddress.ip_network(text))
        else:
            ends = ipaddress.ip_address(first), ipaddress.ip_address(last if dash else first)
            found += ipaddress.summarize_address_range(*ends)
    return [str(block) for block in ipaddress.collapse_addresses(found)]
