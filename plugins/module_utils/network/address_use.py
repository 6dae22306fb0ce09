# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the addresses of containers that are about to start are free on their LAN, and who has them if not."""

from __future__ import annotations

import re

from ..common.labels import FLEET
from ..common.naming import NEXT, OLD
from ..engine.client import container_name
from ..host.addresses import own_addresses
from .address_probe import strangers
from .mac import mac_of

KEYS = ("address", "address6")
# What libnetwork says of an address that it has given out already.
_TAKEN = "address already in use"
# The kernel says the same of a port of the host that another program listens on.
_PORT_TAKEN = re.compile(r"\bbind\b.*" + _TAKEN, re.DOTALL)
# Who has its address as long as it likes.
_ALIVE = ("running", "paused", "restarting")


def in_use(jobs, containers, interfaces, check, host, fleet, gone=(), ask=strangers):
    """Return {name of an instance: sentence} of those whose address somebody else has.

    All addresses of one interface are asked for at once. Containers that run with their address are not asked for: the
    answer would be their own. A copy on another host is gone before this one starts, as the plan's steps have it.

    :param containers: all of this engine, as it lists them.
    :param interfaces: {network: interface of the host that it sits on}; other networks have no LAN to ask.
    :param host: the name of this host, for the sentences.
    :param gone: names of containers that are removed before.
    :param ask: ``(interface, addresses) -> {address: MAC}``.
    :raises HostError: when an interface can't be used.
    """
    starting = [job for job in jobs if job.instance.get("state", "started") == "started"
                and job.instance.get("network") and job.instance.get("address")]
    held = _held(containers)
    own_names = {job.name + ending for job in jobs for ending in ("", NEXT, OLD)} | set(gone)
    found, wanted = {}, {}
    for job in starting:
        network = job.instance["network"]
        for address in filter(None, map(job.instance.get, KEYS)):
            holder = held.get((network, address))
            if holder is None and network in interfaces:
                wanted.setdefault(interfaces[network], {})[address] = job
            elif holder is not None and container_name(holder) not in own_names:
                found[job.name] = f"{_taken_by(holder, address, job.instance, fleet)}. Nothing was changed for it"
    own = own_addresses() if wanted else []
    for interface, owners in wanted.items():
        mine = [address for address in owners if address in own]
        found.update({owners[address].name: f"its address {address} is this host's own; nothing was changed for it"
                      for address in mine})
        for address, mac in ask(interface, [address for address in owners if address not in own]).items():
            # Nothing has been stopped in check mode, so the copy on another host that is to go answers.
            if not (check and mac == mac_of(owners[address].instance["address"])):
                found[owners[address].name] = _stranger(owners[address].instance, address, interface, mac, host)
    return found


def _stranger(instance, address, interface, mac, host):
    who = "a stranger"
    if mac == mac_of(instance["address"]):
        who = "a container of another host (its MAC follows from the address)"
    return (f"its address {address} is in use by {who} on the network of {interface}, with the MAC {mac}, as {host} "
            f"hears it; stop that one, or {_leave_out(instance)}. Nothing was changed for it")


def _leave_out(instance):
    """An IPv6 address follows from the IPv4 address, so leaving that out leaves out both."""
    return f"write {instance['address']} into exclude of stowage_networks.{instance['network']}"


def _taken_by(container, address, instance, fleet):
    owner = (container.get("Labels") or {}).get(FLEET)
    whose = "this fleet" if owner == fleet else f"the fleet {owner}" if owner else "no fleet"
    return (f"its address {address} on network {instance['network']} is taken by {container_name(container)}, a "
            f"container of {whose} on this engine; remove that one, or {_leave_out(instance)}")


def with_holder(message, instance, list_containers, fleet):
    """Return what the engine says of a start, with who has the address and what to do when that is what it is about.

    :param list_containers: returns all of this engine.
    :param fleet: whose instance it is.
    """
    said = message.lower()
    if _TAKEN not in said or _PORT_TAKEN.search(said):
        return message
    held = _held(list_containers())
    addresses = [instance[key] for key in KEYS if instance.get(key)]
    for address in addresses:
        holder = held.get((instance.get("network"), address))
        if holder is not None and container_name(holder) != instance["name"]:
            return f"{_taken_by(holder, address, instance, fleet)} ({message})"
    if not addresses:
        return message
    return (f"its address {' or '.join(addresses)} on network {instance.get('network')} is taken, by no container of "
            "this engine: it is the network's gateway, or the engine did not take it back when it died; restart the "
            f"engine, or {_leave_out(instance)} ({message})")


def _held(containers):
    """Return {(network, address): container} of what this engine's containers have."""
    held = {}
    for container in containers:
        for name, endpoint in ((container.get("NetworkSettings") or {}).get("Networks") or {}).items():
            if container.get("State") in _ALIVE:
                for key in ("IPAddress", "GlobalIPv6Address"):
                    held.setdefault((name, endpoint.get(key)), container)
    return held
