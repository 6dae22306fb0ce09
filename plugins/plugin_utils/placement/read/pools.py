# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Address pools: reading ranges, CIDR blocks and single addresses, and giving out the lowest free address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ..model import Network
from .reader import Reader, show

EXPECTED = "expected an address, a range such as 10.0.0.10-10.0.0.99, or a CIDR block such as 10.0.0.0/24"
Interval = tuple[int, int]


def read_networks(reader: Reader, value: Any) -> dict[str, Network]:
    """All networks by name."""
    networks = {}
    for name, raw in reader.mapping(value, "networks").items():
        path = f"networks.{name}"
        reader.name(name, path)
        entry = reader.mapping(raw, path, ("pool", "exclude"))
        pool = entry.get("pool")
        pool = [pool] if isinstance(pool, str) else pool
        spans = None if pool is None else _spans(reader, pool, f"{path}.pool")
        exclude = _spans(reader, entry.get("exclude"), f"{path}.exclude", whole_blocks=True)
        versions = {version for version, _span in (spans or [])}
        if len(versions) > 1:
            reader.complain(f"{path}.pool", "mixes IPv4 and IPv6; expected one of them")
        version = min(versions, default=4)
        networks[name] = Network(
            name=name,
            version=version,
            pool=None if spans is None else _merged([span for _version, span in spans]),
            exclude=_merged([span for other, span in exclude if other == version]),
        )
    return networks


def _spans(reader: Reader, value: Any, path: str, whole_blocks: bool = False) -> list[tuple[int, Interval]]:
    spans = []
    for position, item in enumerate(reader.items(value, path)):
        span = parse_span(item, whole_blocks)
        if span is None:
            reader.complain(f"{path}[{position}]", f"{show(item)} is not a range of addresses; {EXPECTED}")
        else:
            spans.append(span)
    return spans


def parse_span(text: Any, whole_blocks: bool = False) -> Optional[tuple[int, Interval]]:
    """(IP version, (first, last)) of a range, block or address; None when it is none.

    A block's network and broadcast addresses belong to it only with ``whole_blocks``.
    """
    if not isinstance(text, str) or len(text) > 100:
        return None
    try:
        if "-" in text:
            first, last = (ipaddress.ip_address(part.strip()) for part in text.split("-", 1))
            if first.version != last.version or int(first) > int(last):
                return None
            return first.version, (int(first), int(last))
        if "/" in text:
            block = ipaddress.ip_network(text.strip(), strict=False)
            low, high = int(block.network_address), int(block.broadcast_address)
            if not whole_blocks and block.num_addresses > 2:
                low, high = low + 1, high - (1 if block.version == 4 else 0)
            return block.version, (low, high)
        address = ipaddress.ip_address(text.strip())
        return address.version, (int(address), int(address))
    except ValueError:
        return None


def parse_address(text: Optional[str]) -> Optional[int]:
    """An address as a number; None when it is none."""
    if not text:
        return None
    parts = text.split(".")
    if len(parts) == 4 and all(part.isdigit() and len(part) < 4 for part in parts):
        first, second, third, fourth = (int(part) for part in parts)
        if max(first, second, third, fourth) < 256:
            return (first << 24) | (second << 16) | (third << 8) | fourth
    try:
        return int(ipaddress.ip_address(text.split("/", 1)[0]))
    except ValueError:
        return None


def format_address(number: int, version: int) -> str:
    """A number as an address."""
    if version == 4:
        return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return str(ipaddress.IPv6Address(number))


def _merged(spans: list[Interval]) -> tuple[Interval, ...]:
    """Intervals in order, without overlap."""
    merged: list[Interval] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def free_addresses(network: Network, used: set[int]) -> Iterator[int]:
    """Addresses of the pool that nobody has, lowest first."""
    for low, high in network.pool or ():
        number = low
        while number <= high:
            beyond = next((last for first, last in network.exclude if first <= number <= last), None)
            if beyond is not None:
                number = beyond + 1
                continue
            if number not in used:
                yield number
            number += 1


def pool_size(network: Network, used: Mapping[int, Any] | set[int], enough: int) -> int:
    """How many addresses are free, counted no further than ``enough``."""
    total = 0
    for total, _number in enumerate(free_addresses(network, set(used)), start=1):
        if total >= enough:
            break
    return total
