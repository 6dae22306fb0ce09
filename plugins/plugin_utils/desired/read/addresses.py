# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that follow from those of the plan: an instance's IPv6 address from its IPv4 address.

So the planner knows of one pool, an instance keeps both addresses or none, and a name server's records can be written
by hand.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from .complaints import Complaints, join, show

Span = tuple[Any, Any]


def ends(text: str) -> Span:
    """Return the first and the last address of a range, a CIDR or an address.

    :raises ValueError: when it is none, or runs backwards.
    """
    first, dash, last = (part.strip() for part in text.partition("-"))
    if "/" in text:
        block = ipaddress.ip_network(text.strip())
        return block[0], block[-1]
    span = ipaddress.ip_address(first), ipaddress.ip_address(last if dash else first)
    if span[0].version != span[1].version:
        raise ValueError("its ends are of IPv4 and IPv6")
    return span


def read_six(path: str, given: Mapping[str, Any], network: dict[str, Any], complaints: Complaints) -> None:
    """Read ``subnet6``, ``gateway6`` and ``pool6`` into a network; an instance's address is given by ``address6``."""
    if given.get("subnet6") is None:
        for key in ("gateway6", "pool6"):
            if given.get(key) is not None:
                complaints.add(join(path, key), "is given without subnet6; expected both, or neither")
        return
    try:
        subnet = ipaddress.IPv6Network(given["subnet6"])
    except ValueError as error:
        where = join(path, "subnet6")
        complaints.add(where, f"{show(given['subnet6'])} is not a subnet of IPv6 ({error}); expected a CIDR such as "
                       "fd00:7::/64")
        return
    network["subnet6"] = str(subnet)
    if given.get("pool6") is not None:
        _read_pool(join(path, "pool6"), given["pool6"], subnet, network, complaints)
    if given.get("gateway6") is not None:
        _read_gateway(join(path, "gateway6"), given["gateway6"], subnet, network, complaints)
    if not complaints.covers(path):
        _check_room(path, network, complaints)


def _read_pool(path: str, value: Any, subnet: Any, network: dict[str, Any], complaints: Complaints) -> None:
    expected = "expected one range such as fd00:7::80-fd00:7::fa, or a CIDR"
    try:
        first, last = ends(value) if isinstance(value, str) else (None, None)
        well = first is not None and first <= last and first in subnet and last in subnet
    except (ValueError, TypeError):
        well = False
    if not well:
        complaints.add(path, f"{show(value)} is not a range within {subnet}; {expected}")
        return
    network["pool6"] = value.replace(" ", "")


def _read_gateway(path: str, value: Any, subnet: Any, network: dict[str, Any], complaints: Complaints) -> None:
    try:
        gateway = ipaddress.IPv6Address(value)
    except ValueError:
        gateway = None
    if gateway is None or gateway not in subnet:
        complaints.add(path, f"{show(value)} is not an address within {subnet}; expected one such as {subnet[1]}")
        return
    network["gateway6"] = str(gateway)


def _check_room(path: str, network: Mapping[str, Any], complaints: Complaints) -> None:
    """Complain when the pool has addresses that IPv6 has none for, or one of them is the gateway's."""
    spans = [ends(text) for text in network["pool"]]
    if not spans or network.get("subnet") is None:
        return
    lowest, highest = min(span[0] for span in spans), max(span[1] for span in spans)
    key = "pool6" if network.get("pool6") else "subnet6"
    for address in (lowest, highest):
        if address6_of(network, str(address)) is None:
            complaints.add(join(path, key), f"{network[key]} has no address for {address} of the pool; expected room "
                           f"for the {int(highest) - int(lowest) + 1} addresses from {lowest} to {highest}")
            return
    gateway = network.get("gateway6")
    if gateway is None:
        return
    low, high = (ipaddress.IPv6Address(str(address6_of(network, str(end)))) for end in (lowest, highest))
    if low <= ipaddress.IPv6Address(gateway) <= high:
        complaints.add(join(path, "gateway6"), f"{gateway} lies among the addresses of instances, which go from {low} "
                       f"to {high}; expected one outside")


def address6_of(network: Mapping[str, Any], address: str | None) -> str | None:
    """Return the IPv6 address of the instance with this IPv4 address; None where the network has none for it.

    Without ``pool6`` it has the same host part in ``subnet6`` as in ``subnet``. With ``pool6`` it is as far from the
    first address of that as the IPv4 address is from the lowest of ``pool``.
    """
    if not network.get("subnet6") or not address:
        return None
    subnet = ipaddress.IPv6Network(network["subnet6"])
    number = int(ipaddress.IPv4Address(address))
    if network.get("pool6"):
        first, last = (int(end) for end in ends(network["pool6"]))
        # The first address of a subnet is that of all its routers (RFC 4291, 2.6.1).
        first += first == int(subnet[0])
        wanted = first + number - min(int(ends(text)[0]) for text in network["pool"])
    else:
        first, last = int(subnet[1]), int(subnet[-1])
        wanted = int(subnet[0]) + number - int(ipaddress.IPv4Network(network["subnet"])[0])
    return str(ipaddress.IPv6Address(wanted)) if first <= wanted <= last else None


def with_six(
    instances: Iterable[Mapping[str, Any]], networks: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return planned instances, with ``address6`` those whose network has IPv6."""
    found = []
    for item in instances:
        six = address6_of(networks.get(item.get("network") or "", {}), item.get("address"))
        found.append({**item, "address6": six} if six else dict(item))
    return found
