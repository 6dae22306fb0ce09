# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds what the planner is fed from the desired state and the observations."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..read.state import Desired
from .disk_claims import disk_rows, group_grades
from .last_known import Observation, newest_ledger, remember_hosts
from .other_fleets import taken_addresses, without_others

HOST_FACTS = ("labels", "cpus", "resources", "reserved", "state")


def host_problem(name: str, observation: Observation) -> dict[str, Any]:
    """Return one observed host as the planner knows it, less what other fleets hold there."""
    host = {"name": name, **{key: observation[key] for key in HOST_FACTS if observation.get(key) is not None}}
    return without_others(host, observation)


def running_problem(host: str, container: Mapping[str, Any], digest: str | None) -> dict[str, Any]:
    """Return one observed container as the planner knows it."""
    health = container.get("health")
    return {
        "cluster": container["cluster"],
        "group": container["group"],
        "index": container["index"],
        "host": host,
        "state": container["state"],
        "healthy": container["state"] == "running" and health not in ("unhealthy", "starting"),
        "claims": container.get("claims") or {},
        "cores": container.get("cores") or [],
        "network": container.get("network"),
        "address": container.get("address"),
        "digest": digest,
        "grade": container.get("grade"),
    }


def desired_problem(desired: Desired) -> dict[str, Any]:
    """Return the part of the problem that needs no host, for a check before anything is touched."""
    grades, names = group_grades(desired)
    return {
        "version": 1,
        "hosts": [],
        "grades": grades,
        "clusters": {
            name: {
                "state": cluster["state"],
                "groups": {
                    group: {**spec, "digest": CURRENT, "grade": names.get((name, group), spec["grade"])}
                    for group, spec in cluster["groups"].items()
                },
            }
            for name, cluster in desired.clusters.items()
        },
        "running": [],
        "networks": {
            name: {"pool": network["pool"], "exclude": excluded(network)} for name, network in desired.networks.items()
        },
        "options": desired.options,
    }


# The planner compares digests for equality only. Which instances are up to date is decided instance by instance
# before it is asked (see ``planning``), so it is told one of two words.
CURRENT = "current"
OUTDATED = "outdated"


def build_problem(
    desired: Desired,
    observations: Mapping[str, Observation],
    missing: Iterable[str] = (),
    outdated: Collection[str] = (),
    strays: Mapping[str, Collection[str]] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Return (problem, notes).

    :param observations: what host_info returned, by host name.
    :param missing: hosts that don't answer.
    :param outdated: names of instances whose type or grade is no longer what they run.
    :param strays: hosts with superfluous copies, by instance name; they are removed, and don't count.
    """
    problem = desired_problem(desired)
    for name in sorted(observations):
        problem["hosts"].append(host_problem(name, observations[name]))
        for container in observations[name].get("containers") or []:
            if name in (strays or {}).get(container["name"], ()):
                continue
            digest = OUTDATED if container["name"] in outdated else CURRENT
            run = running_problem(name, container, digest)
            if run["network"] not in desired.networks:
                # On a network of the engine's own the engine gives the address, and none of it can be asked for.
                run["address"] = None
            problem["running"].append(run)
    for network, addresses in taken_addresses(observations.values()).items():
        if network in problem["networks"]:
            problem["networks"][network]["exclude"] += addresses
    problem["disks"] = disk_rows(observations)
    seen = [item["name"] for host in observations.values() for item in host.get("containers") or []]
    hosts, running, notes = remember_hosts(missing, newest_ledger(observations), seen)
    problem["hosts"].extend(hosts)
    problem["running"].extend({**item, "digest": CURRENT} for item in running)
    return problem, notes


def excluded(network: Mapping[str, Any]) -> list[str]:
    """Return the addresses that no instance may get: those written down, and the gateway's."""
    return list(network["exclude"]) + ([network["gateway"]] if network.get("gateway") else [])


def find_strays(observations: Mapping[str, Observation]) -> dict[str, list[str]]:
    """Return the hosts that hold a superfluous copy of an instance, by instance name.

    A run that died between the two halves of a move leaves one. The copy that runs is kept; with several of them the
    one that the newest ledger names, then the first host in the alphabet.
    """
    planned = {item["name"]: item.get("host") for item in newest_ledger(observations).get("instances") or []}
    places: dict[str, list[tuple[bool, bool, str]]] = {}
    for host in sorted(observations):
        for container in observations[host].get("containers") or []:
            name = container["name"]
            copy = (container.get("state") != "running", planned.get(name) != host, host)
            places.setdefault(name, []).append(copy)
    return {name: [host for _idle, _other, host in sorted(copies)[1:]] for name, copies in places.items() if copies[1:]}
