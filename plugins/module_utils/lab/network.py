# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of a lab: one /24 of its own, hosts in the lower half, the fleet's containers in the upper one. Pure."""

from __future__ import annotations

import ipaddress
import zlib

from ..common.errors import HostError, InvalidInput

# Labs side by side share 172.30.0.0/16, which the engine's own address pools leave for last.
POOL = ipaddress.ip_network("172.30.0.0/16")
DEFAULT_LAB = "lab"
FIRST_HOST = 11
MAX_HOSTS = 100


def candidates(name):
    """Return the networks a lab may take, best first: the lab named ``lab`` gets the first of the pool when it can."""
    networks = list(POOL.subnets(new_prefix=24))
    start = 0 if name == DEFAULT_LAB else 1 + zlib.crc32(name.encode("utf-8")) % (len(networks) - 1)
    return networks[start:] + networks[:start]


def choose(name, taken):
    """Return the first candidate that overlaps none of ``taken`` (networks as text; what is no network is ignored).

    :raises HostError: when all are taken.
    """
    used = [network for network in map(_network, taken) if network is not None]
    for candidate in candidates(name):
        if not any(candidate.overlaps(network) for network in used):
            return candidate
    raise HostError(f"lab {name}: every network of {POOL} overlaps one in use; name a free one with lab_subnet")


def check_subnet(text):
    """Return a network given by the user.

    :raises InvalidInput: unless it is an IPv4 network of 256 addresses.
    """
    network = _network(text)
    if network is None or network.prefixlen != 24:
        raise InvalidInput(f"subnet: {text!r} is not a network for a lab; expected an IPv4 /24 such as 172.30.7.0/24")
    return network


def layout(network):
    """Return the parts of a lab's network as text: subnet, gateway, lower half for hosts, pool for containers."""
    return {
        "subnet": str(network),
        "gateway": str(network[1]),
        "hosts": f"{network[0]}/25",
        "pool": f"{network[128]}-{network[250]}",
    }


def host_address(network, index):
    """Return the address of the host with this index, from 0."""
    return str(network[FIRST_HOST + index])


def read_routes(text):
    """Return the IPv4 networks of /proc/net/route, without the default route."""
    networks = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[7] != "00000000":
            address, mask = (int.from_bytes(bytes.fromhex(words[at]), "little") for at in (1, 7))
            networks.append(f"{ipaddress.ip_address(address)}/{ipaddress.ip_address(mask)}")
    return networks


def _network(text):
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return network if network.version == 4 else None
