"""What the judge of plans (`oracle.py`) says of addresses: who has which, and out of what."""

from __future__ import annotations

import ipaddress
from typing import Any

from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.placement.oracle import Placed, World


def ranges(value: Any) -> list[tuple[int, int]]:
    """What a network has as its pool, or keeps from it, as ranges of numbers: one text or a list of them."""
    return [_range(entry) for entry in ([value] if isinstance(value, str) else value or [])]


def _range(entry: str) -> tuple[int, int]:
    if "-" in entry:
        first, last = entry.split("-")
        return int(ipaddress.ip_address(first.strip())), int(ipaddress.ip_address(last.strip()))
    block = ipaddress.ip_network(entry.strip(), strict=False)
    if block.num_addresses <= 2:
        return int(block[0]), int(block[-1])
    return int(block[0]) + 1, int(block[-1]) - 1


def address_complaints(world: World, placed: list[Placed]) -> list[str]:
    """Addresses that two have, or that a fresh instance lacks or has from outside of its pool."""
    out, seen = [], {}
    pools = {name: (ranges(net.get("pool")), ranges(net.get("exclude"))) for name, net in world.networks.items()}
    for item in placed:
        if item.address is not None:
            other = seen.setdefault((item.network, item.address), item)
            if other is not item and (item.fresh or other.fresh):
                out.append(f"{item.address} of {item.network} is given to {other.name} and {item.name}")
        if not item.fresh or item.network is None:
            continue
        if item.address is None:
            out.append(f"{item.name} has no address on {item.network}")
            continue
        pool, taken = pools[item.network]
        number = int(ipaddress.ip_address(item.address))
        was = world.running.get(item.key, {})
        if (was.get("network"), was.get("address")) == (item.network, item.address):
            continue
        if not any(a <= number <= b for a, b in pool) or any(a <= number <= b for a, b in taken):
            out.append(f"{item.name} got {item.address}, which is not in the pool of {item.network}")
    return out
