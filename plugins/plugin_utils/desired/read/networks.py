# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: where instances get their addresses from."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from .addresses import ends, read_six
from .complaints import Complaints, join, show
from .host_side import for_engine, read_host_side

VARIABLE = "stowage_networks"
DRIVERS = ("macvlan", "ipvlan", "bridge")
KEYS = (
    *("driver", "parent", "subnet", "gateway", "ip_range", "internal", "mtu", "pool", "exclude", "options"),
    *("subnet6", "gateway6", "pool6", "bridge", "shim"),
)
# What the planner needs of a network; the rest is for the engines.
FOR_PLANNER = ("pool", "exclude")
_FOR_PLAN = (*FOR_PLANNER, "pool6")
EXPECTED_POOL = "expected an address, a range such as 172.30.0.128-172.30.0.250, or a CIDR"


def read_networks(value: Any, complaints: Complaints) -> dict[str, dict[str, Any]]:
    """Return the networks, each with ``pool`` and ``exclude`` as lists of texts."""
    networks = {
        name: _read_network(join(VARIABLE, name), item, complaints)
        for name, item in complaints.named(VARIABLE, value).items()
    }
    _check_pools(networks, complaints)
    _check_ports(networks, complaints)
    _check_pairs(networks, complaints)
    return networks


def _check_pairs(networks: Mapping[str, Mapping[str, Any]], complaints: Complaints) -> None:
    """Complain about two networks that no engine can have at once: it has each address, and each parent, in one."""
    parents: dict[str, str] = {}
    subnets: list[tuple[str, Any]] = []
    for name, network in networks.items():
        path = join(VARIABLE, name)
        if complaints.covers(path):
            continue
        if network["driver"] != "bridge":
            other = parents.setdefault(network["parent"], name)
            if other != name:
                complaints.add(join(path, "parent"), f"{network['parent']} is that of {join(VARIABLE, other)} too; "
                               "expected a parent for each network, since an engine takes it for one only")
        for key in ("subnet", "subnet6"):
            subnet = ipaddress.ip_network(network[key]) if network.get(key) else None
            for other, there in subnets if subnet else []:
                if subnet and there.version == subnet.version and there.overlaps(subnet):
                    complaints.add(join(path, key), f"{subnet} overlaps {there} of {join(VARIABLE, other)}; expected a "
                                   "subnet of its own, since an engine has each address in one network")
            subnets += [(name, subnet)] if subnet else []


def _check_ports(networks: Mapping[str, Mapping[str, Any]], complaints: Complaints) -> None:
    """Complain about bridges that are given twice, and about ports of bridges that are to be something else too."""
    ports: dict[str, str] = {}
    bridges: dict[str, str] = {}
    for name, network in networks.items():
        bridge, nic = network.get("bridge"), network.get("parent")
        if bridge and bridge in bridges:
            owner = join(VARIABLE, bridges[bridge])
            complaints.add(join(join(VARIABLE, name), "bridge"), f"{bridge} is that of {owner} too; expected a bridge "
                           "for each network, since an engine takes it for one only")
        bridges[bridge or ""] = name
        if bridge and nic:
            ports.setdefault(nic, name)
    for name, network in networks.items():
        nic = network.get("parent")
        other = ports.get(nic or "", name)
        if other != name:
            bridge = networks[other]["bridge"]
            complaints.add(join(join(VARIABLE, name), "parent"), f"{nic} is to be a port of {bridge} by "
                           f"{join(VARIABLE, other)}; expected another, since a port can be nothing else")


def _check_pools(networks: Mapping[str, Mapping[str, Any]], complaints: Complaints) -> None:
    """Complain about pools that hold their own gateway, or addresses of another network's pool."""
    known: list[tuple[str, Any, Any]] = []
    for name, network in networks.items():
        path = join(join(VARIABLE, name), "pool")
        spans = [ends(text) for text in network["pool"]]
        gateway = ipaddress.ip_address(network["gateway"]) if network.get("gateway") else None
        left_out = any(_holds(ends(text), gateway) for text in network["exclude"])
        if gateway is not None and not left_out and any(_holds(span, gateway) for span in spans):
            complaints.add(path, f"holds the gateway {gateway}; expected a pool without it, or the gateway in exclude")
        for first, last in spans:
            other = next((other for other, low, high in known if first <= high and low <= last), None)
            if other is not None:
                complaints.add(path, f"gives addresses between {first} and {last} that {join(VARIABLE, other)} gives "
                               "too; expected each address in one pool")
        known += [(name, first, last) for first, last in spans]


def _holds(span: tuple[Any, Any], address: Any) -> bool:
    return address is not None and span[0] <= address <= span[1]


def _read_network(path: str, value: Any, complaints: Complaints) -> dict[str, Any]:
    given = complaints.mapping(path, value, KEYS)
    driver = complaints.choice(join(path, "driver"), given.get("driver", "macvlan"), DRIVERS, "macvlan")
    network: dict[str, Any] = {"driver": driver}
    if given.get("parent") is not None:
        network["parent"] = complaints.text(join(path, "parent"), given["parent"])
    elif driver != "bridge":
        complaints.add(join(path, "parent"), "missing; expected the host's interface that the network sits on")
    subnet = _read_subnet(join(path, "subnet"), given.get("subnet"), complaints)
    if subnet is not None:
        network["subnet"] = str(subnet)
    if given.get("gateway") is not None:
        gateway = _read_address(join(path, "gateway"), given["gateway"], subnet, complaints)
        network["gateway"] = None if gateway is None else str(gateway)
    if given.get("ip_range") is not None:
        network["ip_range"] = complaints.text(join(path, "ip_range"), given["ip_range"])
    if given.get("internal") is not None:
        network["internal"] = complaints.boolean(join(path, "internal"), given["internal"])
    if given.get("mtu") is not None:
        network["mtu"] = complaints.whole(join(path, "mtu"), given["mtu"], lowest=68)
    for name in FOR_PLANNER:
        network[name] = _read_ranges(join(path, name), given.get(name), subnet, complaints)
    if not given.get("pool"):
        complaints.add(join(path, "pool"), f"missing; {EXPECTED_POOL}, or a list of them")
    read_six(path, given, network, complaints)
    read_host_side(path, given, network, complaints)
    network["options"] = {
        key: str(item) for key, item in complaints.mapping(join(path, "options"), given.get("options")).items()
    }
    return network


def _read_subnet(path: str, value: Any, complaints: Complaints) -> Any:
    try:
        # Without a length it would be a network of one address, and a bare number an address.
        if "/" not in str(value):
            raise ValueError("no length of its prefix")
        return ipaddress.IPv4Network(value)
    except ValueError as error:
        complaints.add(path, f"{show(value)} is not a subnet ({error}); expected a CIDR such as 172.30.0.0/24")
        return None


def _read_address(path: str, value: Any, subnet: Any, complaints: Complaints) -> Any:
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        complaints.add(path, f"{show(value)} is not an address; expected one such as 172.30.0.1")
        return None
    if subnet is not None and address not in subnet:
        complaints.add(path, f"{show(value)} lies outside the subnet; expected an address in {subnet}")
    return address


def _read_ranges(path: str, value: Any, subnet: Any, complaints: Complaints) -> list[str]:
    """Check a range, or a list of them, and return them as a list of texts."""
    if value is None:
        return []
    ranges = []
    alone = not isinstance(value, (list, tuple))
    for position, item in enumerate([value] if alone else value):
        where = path if alone else join(path, position)
        if not isinstance(item, str):
            complaints.add(where, f"{show(item)} is not a text; {EXPECTED_POOL}")
        elif _check_range(where, item, subnet, complaints):
            ranges.append(item.replace(" ", ""))
    return ranges


def _check_range(path: str, text: str, subnet: Any, complaints: Complaints) -> bool:
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        if "/" in text:
            block = ipaddress.ip_network(text.strip())
            ends = [block[0], block[-1]]
        else:
            ends = [ipaddress.ip_address(first), ipaddress.ip_address(last if dash else first)]
    except ValueError:
        complaints.add(path, f"{show(text)} is not a range of addresses; {EXPECTED_POOL}")
        return False
    if ends[0].version != ends[1].version or ends[0] > ends[1]:
        complaints.add(path, f"{show(text)} runs backwards; expected the lower address first")
        return False
    if ends[0].version != 4:
        complaints.add(path, f"{show(text)} is of IPv6; expected addresses of IPv4")
        return False
    if subnet is not None and not all(end in subnet for end in ends):
        complaints.add(path, f"{show(text)} lies outside the subnet; expected addresses in {subnet}")
        return False
    return True


def for_engines(networks: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the networks as options of the module containers."""
    told = {name: for_engine(network) for name, network in sorted(networks.items())}
    return [
        {"name": name, **{key: value for key, value in network.items() if key not in _FOR_PLAN and value is not None}}
        for name, network in told.items()
    ]
