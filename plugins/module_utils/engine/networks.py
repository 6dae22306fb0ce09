# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of the engine's own drivers: there, with the wanted settings, and gone when nobody wants them."""

from __future__ import annotations

import ipaddress
import os

from ..common.errors import HostError, StowageError
from ..common.files import read_text
from ..common.labels import FLEET
from ..host.addresses import own_networks
from .client import name_path

_MTU = "com.docker.network.driver.mtu"
_BRIDGE = "com.docker.network.bridge.name"
#: Settings that say which interface of the host a network sits on; an engine has one network on each.
INTERFACES = ("parent", _BRIDGE)


def _driver_options(wanted):
    options = {str(key): str(value) for key, value in (wanted.get("options") or {}).items()}
    if wanted.get("parent"):
        options["parent"] = wanted["parent"]
    if wanted.get("mtu"):
        options[_MTU] = str(wanted["mtu"])
    return options


def _addresses(wanted):
    """Return the engine's pools of addresses, one for IPv4 and one for IPv6, as far as they are wanted."""
    four = {"Subnet": wanted.get("subnet"), "Gateway": wanted.get("gateway"), "IPRange": wanted.get("ip_range")}
    six = {"Subnet": wanted.get("subnet6"), "Gateway": wanted.get("gateway6")}
    pools = [{field: value for field, value in pool.items() if value} for pool in (four, six)]
    return [pool for pool in pools if pool]


def differing(wanted, network):
    """Return {setting: (before, after)} of what an existing network has otherwise. Settings not given do not count."""
    found = {}
    if network["Driver"] != wanted["driver"]:
        found["driver"] = (network["Driver"], wanted["driver"])
    if bool(network.get("Internal")) != bool(wanted.get("internal")):
        found["internal"] = (network.get("Internal"), wanted.get("internal"))
    have = network.get("Options") or {}
    for key, value in _driver_options(wanted).items():
        if have.get(key) != value:
            found[key] = (have.get(key), value)
    configs = (network.get("IPAM") or {}).get("Config") or [{}]
    for pool in _addresses(wanted):
        version = _version(pool)
        have = next((config for config in configs if _version(config) == version), {})
        for field, value in pool.items():
            if have.get(field) != value:
                found[field.lower() + ("6" if version == 6 else "")] = (have.get(field), value)
    return found


def _version(pool):
    return 6 if ":" in pool.get("Subnet", "") else 4


def _refuse_impossible(wanted, replaced=None):
    """Refuse what this host can't have, before anything changes.

    :param replaced: the network of this name that goes.
    :raises HostError: naming what is in the way.
    """
    name, parent = wanted["name"], wanted.get("parent")
    # With a dot the driver itself makes the VLAN interface.
    if parent and "." not in parent and not os.path.exists(f"/sys/class/net/{parent}"):
        there = ", ".join(sorted(os.listdir("/sys/class/net")))
        raise HostError(f"network {name}: this host has no interface {parent}; it has {there}")
    _refuse_other_mtu(wanted)
    interface = _interface(wanted)
    own = {interface, f"br-{replaced['Id'][:12]}" if replaced else None}
    for subnet in filter(None, [wanted.get("subnet"), wanted.get("subnet6")]):
        for network, device in own_networks():
            above = interface and os.path.exists(f"/sys/class/net/{device}/lower_{interface}")
            if device not in own and not above and _overlap(network, ipaddress.ip_network(subnet)):
                # It would be cut off, and perhaps this very connection with it.
                raise HostError(f"network {name}: its subnet {subnet} overlaps {network}, which this host reaches by "
                                f"{device}; expected a subnet of its own. Nothing was changed")


def _refuse_other_mtu(wanted):
    """Refuse an MTU that containers would not have: the engine's macvlan and ipvlan give them that of the parent."""
    longest = read_text(f"/sys/class/net/{wanted.get('parent')}/mtu")
    if wanted["driver"] != "bridge" and wanted.get("mtu") and longest and int(longest) != wanted["mtu"]:
        raise HostError(f"network {wanted['name']}: mtu {wanted['mtu']}, but {wanted['parent']} has {int(longest)} "
                        f"and {wanted['driver']} takes it from there; expected {int(longest)}, or none")


def in_the_way(wanted, networks):
    """Return (network, sentence) of the first other network of an engine that can't be there beside a wanted one.

    An engine has each address in one network, and takes a parent for one network of a driver.
    """
    subnets = [ipaddress.ip_network(wanted[key]) for key in ("subnet", "subnet6") if wanted.get(key)]
    for other in networks:
        # Those of a swarm have a space of addresses of their own.
        if other["Name"] == wanted["name"] or other.get("Scope", "local") != "local":
            continue
        parent = (other.get("Options") or {}).get("parent")
        if parent and parent == wanted.get("parent") and other["Driver"] == wanted["driver"] != "bridge":
            return other, f"its parent {parent} is that of the engine's network {other['Name']}"
        for config in (other.get("IPAM") or {}).get("Config") or []:
            there = ipaddress.ip_network(config.get("Subnet") or "0.0.0.0/32", strict=False)
            for subnet in subnets:
                if _overlap(subnet, there):
                    return other, f"its subnet {subnet} overlaps {there} of the engine's network {other['Name']}"
    return None, ""


def _overlap(one, other):
    return one.version == other.version and one.overlaps(other)


def _interface(wanted):
    """The host's interface that a network sits on, or None."""
    return wanted.get("parent") or (wanted.get("options") or {}).get(_BRIDGE)


class Networks:
    """The networks of one engine."""

    def __init__(self, engine, fleet, check):
        self._engine = engine
        self._fleet = fleet
        self._check = check
        self._found = {network["Name"]: network for network in engine.list_networks()}
        self.failed = {}

    def ids(self):
        """Return {name: id}."""
        return {name: network["Id"] for name, network in self._found.items()}

    @staticmethod
    def interfaces(wanted):
        """Return {name: interface} of the networks that sit on an interface of the host, on a LAN with others."""
        found = {network["name"]: _interface(network) for network in wanted}
        return {name: interface for name, interface in found.items()
                if interface and os.path.exists(f"/sys/class/net/{interface}")}

    def ensure(self, wanted):
        """Make all wanted networks exist as wanted; return one result each. One that fails does not stop the others."""
        results = []
        for network in wanted:
            try:
                results.append(self._ensure(network))
            except StowageError as error:
                self.failed[network["name"]] = error.message
                results.append(_result(network["name"], "none", error.message, failed=True))
        return results

    def _ensure(self, wanted):
        name = wanted["name"]
        network = self._found.get(name)
        if network is None:
            _refuse_impossible(wanted)
            self._refuse_occupied(wanted)
            self._create(wanted)
            return _result(name, "created")
        differs = differing(wanted, network)
        if not differs:
            return _result(name, "none")
        said = ", ".join(f"{key} {before!r} instead of {after!r}" for key, (before, after) in differs.items())
        if (network.get("Labels") or {}).get(FLEET) != self._fleet:
            raise HostError(f"network {name} exists with {said}, and is not this fleet's to change")
        users = self._users(network)
        if users:
            raise HostError(f"network {name} exists with {said}, and is in use by {', '.join(users)}; an engine "
                            "changes no network in use, so these have to be removed first (docs/networks.md says how)")
        _refuse_impossible(wanted, network)
        self._refuse_occupied(wanted)
        if not self._check:
            self._engine.call("DELETE", name_path("networks", network["Id"]))
        self._create(wanted)
        return _result(name, "recreated", said)

    def _refuse_occupied(self, wanted):
        """Refuse what another network of this engine has already, with its name and what can be done about it."""
        other, what = in_the_way(wanted, self._found.values())
        if other is None:
            return
        users = self._users(other)
        way = f"'docker network rm {other['Name']}' makes room, for nothing uses it"
        if users:
            way = f"{', '.join(users)} would have to leave it first"
        raise HostError(f"network {wanted['name']}: {what}; {way}. Nothing was changed")

    def _users(self, network):
        """Names of containers on the network; also of stopped ones, which the network's own list leaves out."""
        found = self._engine.call(
            "GET", "/containers/json", {"all": 1, "filters": f'{{"network": ["{network["Id"]}"]}}'}
        )
        return sorted(container["Names"][0].lstrip("/") for container in found)

    def _create(self, wanted):
        if self._check:
            return
        ipam = {"Config": _addresses(wanted)} if _addresses(wanted) else {}
        made = self._engine.call(
            "POST",
            "/networks/create",
            body={
                "Name": wanted["name"],
                "CheckDuplicate": True,
                "Driver": wanted["driver"],
                "EnableIPv6": bool(wanted.get("subnet6")),
                "Internal": bool(wanted.get("internal")),
                "Options": _driver_options(wanted),
                "Labels": {FLEET: self._fleet},
                "IPAM": {"Driver": "default", **ipam},
            },
        )
        self._found[wanted["name"]] = {"Name": wanted["name"], "Id": made["Id"]}

    def prune(self, wanted):
        """Remove networks of this fleet that are not wanted and that no container uses; return one result each."""
        keep = {network["name"] for network in wanted}
        results = []
        for name, network in sorted(self._found.items()):
            if name in keep or (network.get("Labels") or {}).get(FLEET) != self._fleet or self._users(network):
                continue
            if not self._check:
                self._engine.call("DELETE", name_path("networks", network["Id"]))
            results.append(_result(name, "removed", "no longer wanted, and nothing uses it"))
        return results


def _result(name, action, msg="", failed=False):
    return {"name": name, "action": action, "changed": action != "none", "failed": failed, "msg": msg}
