# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the addresses of containers that are about to start are free on their LAN."""

from __future__ import annotations

from .address_probe import strangers
from .host_addresses import own_addresses
from .isolation.rules import mac_of

KEYS = ("address", "address6")


def in_use(jobs, containers, interfaces, check, ask=strangers):
    """Return {name of an instance: sentence} of those whose address somebody has who is no container of this engine.

    All addresses of one interface are asked for at once. Containers that run with their address are not asked for: the
    answer would be their own. A copy on another host is gone before this one starts, as the plan's steps have it.

    :param containers: all of this engine, as it lists them.
    :param interfaces: {network: interface of the host that it sits on}; other networks have no LAN to ask.
    :param ask: ``(interface, addresses) -> {address: MAC}``.
    :raises HostError: when an interface can't be used.
    """
    starting = [job for job in jobs if job.instance.get("state", "started") == "started"
                and job.instance.get("network") in interfaces and job.instance.get("address")]
    if not starting:
        return {}
    held = _held(containers)
    wanted = {}
    for job in starting:
        for address in filter(None, map(job.instance.get, KEYS)):
            if (job.instance["network"], address) not in held:
                wanted.setdefault(interfaces[job.instance["network"]], {})[address] = job
    found, own = {}, own_addresses() if wanted else []
    for interface, owners in wanted.items():
        mine = [address for address in owners if address in own]
        found.update({owners[address].name: f"its address {address} is this host's own; nothing was changed for it"
                      for address in mine})
        for address, mac in ask(interface, [address for address in owners if address not in own]).items():
            # Nothing has been stopped in check mode, so the copy on another host that is to go answers.
            if not (check and mac == mac_of(owners[address].instance["address"])):
                found[owners[address].name] = (f"its address {address} is in use by a stranger on the network of "
                                               f"{interface}, with the MAC {mac}; nothing was changed for it")
    return found


def _held(containers):
    """Return {(network, address)} that this engine's containers have."""
    held = set()
    for container in containers:
        for name, endpoint in ((container.get("NetworkSettings") or {}).get("Networks") or {}).items():
            if container.get("State") in ("running", "paused", "restarting"):
                held |= {(name, endpoint.get("IPAddress")), (name, endpoint.get("GlobalIPv6Address"))}
    return held
