# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of its bridges and shims, and what is against those that are wanted."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess

from ..address_probe import strangers
from ..errors import HostError

_NET = "/sys/class/net"
_MANAGERS = ("systemd-networkd", "NetworkManager")


def missing(link):
    """Return what a link lacks, in words; nothing when it is as wanted."""
    name = link["name"]
    if not os.path.exists(f"{_NET}/{name}"):
        return f"{name} is not there"
    (seen,) = _ip("address", "show", "dev", name)
    if "UP" not in seen["flags"]:
        return f"{name} is down"
    if link["mtu"] and seen["mtu"] != link["mtu"]:
        return f"{name} has an MTU of {seen['mtu']}, wanted {link['mtu']}"
    if link["kind"] == "bridge":
        return "" if _master(link["parent"]) == name else f"{link['parent']} is no port of {name}"
    if link["address"] not in [address["local"] for address in seen["addr_info"]]:
        return f"{name} lacks the address {link['address']}"
    routes = {route["dst"] for route in _ip("-4", "route", "show", "dev", name)}
    lost = [block for block in link["routes"] if block not in routes and block.replace("/32", "") not in routes]
    return f"{name} lacks the route to {lost[0]}" if lost else ""


def refusals(links, before, peer, is_active, ask=strangers):
    """Return sentences on what is against making these links; none when all is well.

    :param before: the links that this host was given last.
    :param peer: the address that this connection comes from, or None.
    :param is_active: says of a systemd unit whether it runs.
    """
    found = []
    for link in links:
        path = f"network {link['network']}"
        if not os.path.exists(f"{_NET}/{link['parent']}"):
            there = ", ".join(sorted(os.listdir(_NET)))
            found.append(f"{path}: this host has no interface {link['parent']}; it has {there}")
            continue
        sentence = _mtu(link)
        if not sentence and link["kind"] == "bridge":
            sentence = _bridge(link, is_active)
        elif not sentence:
            sentence = _shim(link, links, [old for old in before if old["name"] == link["name"]], peer, ask)
        if sentence:
            found.append(f"{path}: {sentence}")
    return found


def _mtu(link):
    (nic,) = _ip("link", "show", "dev", link["parent"])
    if link["mtu"] and link["mtu"] > nic["mtu"]:
        return f"mtu {link['mtu']} is above the {nic['mtu']} of {link['parent']}; expected no more than that"
    return ""


def _bridge(link, is_active):
    name, parent = link["name"], link["parent"]
    if os.path.exists(f"{_NET}/{name}") and not os.path.exists(f"{_NET}/{name}/bridge"):
        return f"bridge: {name} is there and is no bridge; expected another name"
    master = _master(parent)
    if master == name:
        return ""
    if master:
        return f"parent: {parent} is a port of {master}; expected a NIC that is free"
    above = sorted(entry[len("upper_"):] for entry in os.listdir(f"{_NET}/{parent}") if entry.startswith("upper_"))
    if above:
        return f"parent: {parent} has {', '.join(above)} on it; expected a NIC that is free"
    (seen,) = _ip("address", "show", "dev", parent)
    held = [address for address in seen["addr_info"] if address.get("scope") == "global"]
    manager = next((unit for unit in _MANAGERS if held and is_active(unit)), "")
    if manager or any(address.get("dynamic") for address in held):
        return (f"parent: {parent} has the address {held[0]['local']}, which {manager or 'DHCP'} keeps there; expected "
                f"a NIC without addresses, or {name} made by whatever manages {parent}, and no parent here")
    return ""


def _shim(link, links, before, peer, ask):
    parent, address = link["parent"], link["address"]
    port = next((other for other in links if other["kind"] == "bridge" and other["parent"] == parent), None)
    if port or os.path.exists(f"{_NET}/{parent}/brport"):
        return f"parent: {parent} is to be a port of a bridge; expected the bridge here"
    if peer and any(ipaddress.ip_address(peer) in ipaddress.ip_network(block) for block in link["routes"]):
        return f"pool: holds {peer}, from which this connection comes; expected a pool without it"
    holder = next((seen["ifname"] for seen in _ip("address") for one in seen["addr_info"]
                   if one.get("local") == address and seen["ifname"] != link["name"]), "")
    if holder:
        return f"shim: {address} is on {holder} of this host already; expected a free address"
    if any(old["address"] == address for old in before):
        return ""
    mac = ask(parent, [address]).get(address)
    if mac:
        return f"shim: {address} is in use by a stranger on the network of {parent}, with the MAC {mac}"
    return ""


def _master(interface):
    try:
        return os.path.basename(os.readlink(f"{_NET}/{interface}/master"))
    except OSError:
        return ""


def _ip(*words):
    try:
        # A change and its undoing are judged alike, with a module at hand or without.
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(["ip", "-json", *words], capture_output=True, text=True, timeout=10, check=False)
        return [item for item in json.loads(done.stdout or "[]") if item]
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise HostError(f"can't look at the interfaces of this host: {error}") from error
