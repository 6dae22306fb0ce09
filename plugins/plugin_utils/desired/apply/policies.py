# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each host is told about isolation, before and after a plan's steps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ....module_utils.common.labels import digest
from ....module_utils.network.filter.policy import COMMON
from ..plan.last_known import Observation
from ..plan.options import GONE
from ..read.isolation import Policy, build_policy
from ..read.state import Desired


def build_policies(
    desired: Desired,
    instances: Iterable[Mapping[str, Any]],
    observations: Mapping[str, Observation],
    held: Collection[str],
) -> dict[str, Policy]:
    """Return the fleet's policy of each phase: ``before``, ``during`` and ``after`` the plan's steps.

    Before the first step those that run learn of those that will: a new member finds its peers open. During the steps
    a member is what the plan says, and who leaves is still a peer, so that it can take its leave. Afterwards only the
    plan counts, but what is held stays what it is. An address that changes its owner in between opens nothing: both
    ends of a packet have to agree.
    """
    planned = [item for item in instances if item.get("action") not in GONE and item.get("action") != "unknown"]
    absent = [item for item in instances if item.get("action") == "unknown"]
    observed = [item for host in observations.values() for item in host.get("containers") or []]
    kept = [item for item in observed if item["name"] in held]
    settled = [*kept, *(item for item in planned if item["name"] not in held), *absent]
    phases = {
        "before": [*observed, *planned, *absent],
        "during": [*planned, *observed, *absent],
        "after": settled,
    }
    return {phase: build_policy(desired.clusters, desired.networks, members, observations)
            for phase, members in phases.items()}


def clusters_by_host(
    instances: Iterable[Mapping[str, Any]], observations: Mapping[str, Observation], hosts: Collection[str]
) -> dict[str, set[str]]:
    """Return the clusters that have, or get, members on each of ``hosts``: those whose policy it has to know."""
    present: dict[str, set[str]] = {host: set() for host in hosts}
    for item in instances:
        if item.get("host") in present and item.get("action") not in (*GONE, "unknown"):
            present[item["host"]].add(item["cluster"])
    for host in hosts:
        present[host].update(item["cluster"] for item in observations.get(host, {}).get("containers") or [])
    return present


def in_parts(policy: Policy) -> dict[str, tuple[str, Policy]]:
    """Return {part: (digest, body)} of a policy: each cluster, and what concerns all of them.

    A host is sent those parts only that it does not know.
    """
    common = {key: policy[key] for key in ("protected", "gateways")}
    parts = {COMMON: common, **policy["clusters"]}
    return {name: (digest(body), body) for name, body in parts.items()}
