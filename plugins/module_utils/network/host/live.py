# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has of its bridges and shims, and what is against those that are wanted."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import subprocess

from ...common.errors import HostError
from ..address_probe import strangers
from . import managers

_NET = "/sys/class/net"
_WORD = re.compile(r"[0-9a-fA-F.:]{3,}")


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
        return _port(name, link["parent"])
    if link["address"] not in [address["local"] for address in seen["addr_info"]]:
        return f"{name} lacks the address {link['address']}"
    routes = {route["dst"] for route in _ip("-4", "route", "show", "dev", name)}
    lost = [block for block in link["routes"] if block not in routes and block.replace("/32", "") not in routes]
    return f"{name} lacks the route to {lost[0]}" if lost else ""


def _port(bridge, nic):
    if _master(nic) != bridge:
        return f"{nic} is no port of {bridge}"
    held = [address["local"] for address in _held(nic) if not address.get("dynamic")]
    return f"{nic} is a port of {bridge} and has the address {held[0]}" if held else ""


def addresses_to_keep(before, after):
    """Return [(interface, [address])]: what moves from a NIC to a new bridge over it, or back.

    Addresses that come by router advertisements are not waited for: they take their time, and come again.
    """
    old, new = ([managers.identity(link) for link in links] for links in (before, after))
    moves = [(link["parent"], link["name"]) for link in after
             if link["kind"] == "bridge" and managers.identity(link) not in old]
    moves += [(link["name"], link["parent"]) for link in before
              if link["kind"] == "bridge" and managers.identity(link) not in new]
    return [(to, [address["local"] for address in _held(holder)
                  if address["family"] == "inet" or not address.get("dynamic")])
            for holder, to in moves if os.path.exists(f"{_NET}/{holder}")]


def refusals(links, before, peer, ask=strangers):
    """Return sentences on what is against making these links; none when all is well.

    :param before: the links that this host was given last.
    :param peer: the address that this connection comes from, or None.
    """
    stay = [managers.identity(link) for link in links]
    found = _occupied(stay, before)
    for link in links:
        path = f"network {link['network']}"
        if not os.path.exists(f"{_NET}/{link['parent']}"):
            there = ", ".join(sorted(os.listdir(_NET)))
            found.append(f"{path}: this host has no interface {link['parent']}; it has {there}")
            continue
        sentence = _mtu(link)
        if not sentence and link["kind"] == "bridge":
            sentence = _bridge(link, [old["name"] for old in before if managers.identity(old) not in stay])
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


def _bridge(link, going):
    name, parent = link["name"], link["parent"]
    if os.path.exists(f"{_NET}/{name}") and not os.path.exists(f"{_NET}/{name}/bridge"):
        return f"bridge: {name} is there and is no bridge; expected another name"
    master = _master(parent)
    if master == name:
        return ""
    if master:
        return f"parent: {parent} is a port of {master}; expected a NIC that is free"
    above = [entry[len("upper_"):] for entry in sorted(os.listdir(f"{_NET}/{parent}")) if entry.startswith("upper_")]
    above = [name for name in above if name not in going]
    if above:
        return f"parent: {parent} has {', '.join(above)} on it; expected a NIC that is free"
    if managers.of(link):
        return ""
    lent = [address["local"] for address in _held(parent) if address.get("dynamic")]
    if lent:
        return (f"parent: {parent} has the address {lent[0]}, which a client of DHCP keeps that is not known here; "
                f"expected a NIC without it, or {name} made by whatever manages {parent}, and no parent here")
    return ""


def _held(interface):
    (seen,) = _ip("address", "show", "dev", interface)
    return [address for address in seen["addr_info"] if address.get("scope") == "global"]


def unsaid(link, texts):
    """Complain about addresses that the NIC has and its manager knows nothing of: the bridge would be without them.

    :param texts: what the manager is to be told.
    """
    if not managers.of(link) or not os.path.exists(f"{_NET}/{link['parent']}"):
        return
    said = {ipaddress.ip_address(word) for text in texts for word in _WORD.findall(text) if _is_address(word)}
    for address in _held(link["parent"]):
        if not address.get("dynamic") and ipaddress.ip_address(address["local"]) not in said:
            yield (f"network {link['network']}: parent: {link['parent']} has the address {address['local']}, of which "
                   f"{link['manager']} knows nothing; expected it in {link['source']}")


def _is_address(word):
    try:
        return bool(ipaddress.ip_address(word))
    except ValueError:
        return False


def _occupied(stay, before):
    """Complain about bridges that are to go while others than their NIC are on them."""
    found = []
    for link in before:
        ports = f"{_NET}/{link['name']}/brif"
        if managers.identity(link) in stay or not os.path.exists(ports):
            continue
        others = sorted(set(os.listdir(ports)) - {link["parent"]})
        if others:
            found.append(f"network {link['network']}: bridge {link['name']} is to go, and has {', '.join(others)} on "
                         "it; expected its containers to be removed first")
    return found


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
