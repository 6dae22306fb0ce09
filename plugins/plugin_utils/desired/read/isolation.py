# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk to whom: reads ``isolation`` and ``allow`` of clusters, and makes of a plan what each host is told."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ....module_utils.common.errors import InvalidInput
from ....module_utils.network.filter.policy import RUNTIME_NAME
from ....module_utils.network.filter.rules import parse_port
from .complaints import Complaints, join, show
from .host_side import INHIBIT

ALLOW_KEYS = ("from", "from_group", "to", "to_group", "ports")
EXPECTED_END = "expected a cluster, an address, or a network such as 10.0.0.0/8"
#: What an instance may not have when it is to be isolated: with these it could undo its filter, or get around it.
UNDOES = ("ALL", "NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE")
#: Where clouds tell a machine its secrets.
METADATA = ("169.254.0.0/16", "fd00:ec2::254")
#: What a policy says of a member.
MEMBER_KEYS = ("name", "group", "network", "address", "address6")
Policy = dict[str, Any]


def read_isolation(path: str, given: Mapping[str, Any], clusters: Collection[str], complaints: Complaints) -> Policy:
    """Return ``{"isolation": bool, "allow": [rule]}`` of one cluster.

    A rule is ``{"way": "in"|"out", "own": group, "other": cluster, "group": of the other, "networks": [...],
    "ports": [...]}``; what is not said is None.
    """
    isolated = given.get("isolation")
    isolated = True if isolated is None else complaints.boolean(join(path, "isolation"), isolated, True)
    where = join(path, "allow")
    rules = []
    for position, item in enumerate(complaints.listing(where, given.get("allow"))):
        rule = _read_rule(join(where, position), item, given.get("groups"), clusters, complaints)
        if rule is not None:
            rules.append(rule)
    if rules and not isolated:
        complaints.add(where, "is given although isolation is off; expected one of the two")
    return {"isolation": isolated, "allow": rules}


def _read_rule(path: str, value: Any, groups: Any, clusters: Collection[str], complaints: Complaints) -> Policy | None:
    given = complaints.mapping(path, value, ALLOW_KEYS)
    ends = [key for key in ("from", "to") if given.get(key) is not None]
    if len(ends) != 1:
        complaints.add(path, f"has {' and '.join(ends) or 'neither from nor to'}; expected one of them: who else takes "
                       "part in what is allowed")
        return None
    way, mine = ("in", "to_group") if ends == ["from"] else ("out", "from_group")
    theirs = "from_group" if way == "in" else "to_group"
    rule: Policy = {"way": way, "own": given.get(mine), "group": given.get(theirs), "other": None, "networks": []}
    if rule["own"] is not None:
        own = groups if isinstance(groups, Mapping) else {}
        complaints.reference(join(path, mine), rule["own"], own, "group of this cluster")
    _read_end(join(path, ends[0]), given[ends[0]], rule, clusters, complaints)
    if rule["group"] is not None and rule["other"] is None:
        complaints.add(join(path, theirs), f"{show(rule['group'])} is given with a network; expected it with a cluster")
    rule["ports"] = [_read_port(join(join(path, "ports"), position), text, complaints)
                     for position, text in enumerate(complaints.listing(join(path, "ports"), given.get("ports")))]
    return rule


def _read_end(path: str, value: Any, rule: Policy, clusters: Collection[str], complaints: Complaints) -> None:
    if isinstance(value, str) and value in clusters:
        rule["other"] = value
        return
    try:
        rule["networks"] = [str(ipaddress.ip_network(str(value)))]
    except ValueError as error:
        known = ", ".join(sorted(clusters)[:12])
        complaints.add(path, f"{show(value)} is neither a cluster nor a network ({error}); {EXPECTED_END}; "
                       f"clusters are: {known}")


def _read_port(path: str, value: Any, complaints: Complaints) -> str:
    try:
        parse_port(value)
    except InvalidInput as error:
        complaints.add(path, str(error))
    return str(value)


def check_rules_of(clusters: Mapping[str, Mapping[str, Any]], variable: str, complaints: Complaints) -> None:
    """Complain about groups of other clusters that rules name and that are not there."""
    for name, cluster in clusters.items():
        for position, rule in enumerate(cluster["allow"]):
            path = join(join(join(variable, name), "allow"), position)
            if rule["other"] == name:
                complaints.add(path, f"is about {name} itself; members of a cluster talk to each other anyway")
            elif rule["group"] is not None and rule["other"] is not None:
                key = "from_group" if rule["way"] == "in" else "to_group"
                known = clusters[rule["other"]]["groups"]
                complaints.reference(join(path, key), rule["group"], known, f"group of {rule['other']}")


def isolate(options: dict[str, Any], path: str, complaints: Complaints) -> None:
    """Give the container of an isolated cluster the runtime that filters it; complain about what would undo that."""
    if options.get("runtime") not in (None, RUNTIME_NAME):
        complaints.add(join(path, "runtime"), f"{show(options['runtime'])} can't filter its network; expected none, or "
                       "isolation: false for the cluster")
    options["runtime"] = RUNTIME_NAME
    added = (options.get("capabilities") or {}).get("add") or []
    undoing = sorted({str(name).upper().removeprefix("CAP_") for name in added} & set(UNDOES))
    if options.get("privileged"):
        undoing.append("privileged")
    for name in undoing:
        complaints.add(path, f"has {name}, with which a container can get around its isolation; expected it without, "
                       "or isolation: false for the cluster")


def build_policy(
    clusters: Mapping[str, Mapping[str, Any]],
    networks: Mapping[str, Mapping[str, Any]],
    members: Iterable[Mapping[str, Any]],
    observations: Mapping[str, Mapping[str, Any]],
) -> Policy:
    """Return the policy of the whole fleet.

    :param members: instances with name, cluster, group, network, address. Of several with one name the first one says
        what the instance itself is; all of them count as peers.
    """
    of_cluster: dict[str, list[Policy]] = {}
    known: set[tuple[Any, ...]] = set()
    for member in members:
        cluster = of_cluster.setdefault(member["cluster"], [])
        values = tuple(map(member.get, MEMBER_KEYS))
        if (member["cluster"], *values) not in known:
            known.add((member["cluster"], *values))
            cluster.append({key: value for key, value in zip(MEMBER_KEYS, values) if value is not None})
    isolated = {name for name, cluster in clusters.items() if cluster["isolation"]}
    policy = {name: {"members": of_cluster.get(name, []), "allow": []} for name in sorted(isolated)}
    for name in sorted(clusters):
        for rule in clusters[name]["allow"]:
            _add_rule(policy, name, rule, of_cluster)
    gateways = sorted({network[key] for network in networks.values() for key in ("gateway", "gateway6")
                       if network.get(key)})
    hosts = {address for host in observations.values() for address in host.get("addresses") or []}
    hosts.update(*map(_on_bridge, networks.values()))
    return {"clusters": policy, "protected": [*sorted(hosts), *METADATA], "gateways": gateways}


def _on_bridge(network: Mapping[str, Any]) -> set[str]:
    """Return the addresses that engines give to a bridge which they make, and so to hosts that have not got it yet."""
    if network.get("driver") != "bridge":
        return set()
    found = set()
    kept_away = network.get("bridge") or (network.get("options") or {}).get(INHIBIT) == "true"
    keys = [("gateway6", "subnet6")] if kept_away else [("gateway", "subnet"), ("gateway6", "subnet6")]
    for gateway, subnet in keys:
        if network.get(subnet):
            found.add(str(network.get(gateway) or ipaddress.ip_network(network[subnet])[1]))
    return found


def _add_rule(policy: Policy, name: str, rule: Mapping[str, Any], of_cluster: Mapping[str, list[Policy]]) -> None:
    """Open both ends: the cluster's own, and that of the other cluster when it is isolated too."""
    other = rule["other"]
    theirs = rule["networks"] if other is None else _addresses(of_cluster.get(other, []), rule["group"])
    _open(policy[name], rule["way"], rule["own"], theirs, rule["ports"])
    if other in policy:
        way = "out" if rule["way"] == "in" else "in"
        _open(policy[other], way, rule["group"], _addresses(of_cluster.get(name, []), rule["own"]), rule["ports"])


def _open(cluster: Policy, way: str, group: str | None, addresses: list[str], ports: list[str]) -> None:
    rule: Policy = {"way": way, "addresses": addresses, "ports": ports}
    if group is not None:
        rule["groups"] = [group]
    cluster["allow"].append(rule)


def _addresses(members: Iterable[Mapping[str, Any]], group: str | None) -> list[str]:
    return sorted({str(member[key]) for member in members for key in ("address", "address6")
                   if member.get(key) and group in (None, member["group"])})
