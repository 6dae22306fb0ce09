# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When each part of a plan can be done: as waves to read, and as what each job of a host waits for.

A job is what one step has one host do. It waits for all jobs of the steps that its step waits for, but of a removal
only for those that free what it needs: room on its own host, or an address. So what does not depend on each other goes
side by side, and a slow group delays only what needs it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

Step = Mapping[str, Any]
OPEN = "open"


def wave_numbers(steps: Iterable[Step]) -> list[int]:
    """Return for each step the number of its wave: the length of the longest chain of steps that it waits for."""
    numbers: list[int] = []
    for step in steps:
        numbers.append(max((numbers[other] + 1 for other in step["waits_for"]), default=0))
    return numbers


def list_waves(steps: list[Step]) -> list[dict[str, Any]]:
    """Return the waves of a plan, each with the names of its steps, and the hosts that take part in it."""
    waves: list[dict[str, Any]] = []
    for step, number in zip(steps, wave_numbers(steps)):
        while len(waves) <= number:
            waves.append({"index": len(waves), "steps": [], "hosts": []})
        waves[number]["steps"].append(step["name"])
        waves[number]["hosts"] = sorted({*waves[number]["hosts"], *step["hosts"]})
    return waves


def with_opening(steps: list[dict[str, Any]], members: Mapping[str, Collection[str]]) -> list[dict[str, Any]]:
    """Return the steps with those before them that open the running members of clusters to those that are to come.

    :param members: for each isolated cluster that gets members or addresses, the hosts with running members of it.
    """
    opening = {cluster: index for index, cluster in enumerate(sorted(name for name in members if members[name]))}
    shifted = [{
        "index": index,
        "name": f"Open the members of {cluster} to those that come",
        "kind": OPEN,
        "waits_for": [],
        "instances": [],
        "hosts": {host: {"instances": [], "remove": [], "keep_disks": [], "disks": []} for host in members[cluster]},
    } for cluster, index in opening.items()]
    count = len(shifted)
    for step in steps:
        clusters = {options["cluster"] for work in step["hosts"].values() for options in work["instances"]}
        first = [opening[cluster] for cluster in sorted(clusters & opening.keys())]
        waits = [*first, *(other + count for other in step["waits_for"])]
        shifted.append({**step, "index": step["index"] + count, "waits_for": waits})
    return shifted


def jobs_by_host(steps: list[dict[str, Any]], places: Mapping[str, tuple[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the jobs of each host, in the order of steps.

    ``waits_for`` of a job is a list of ``[step, hosts]``; ``hosts`` is None for all hosts of the step.

    :param places: (host, address) of each running instance, by name: what a removal frees.
    """
    jobs: dict[str, list[dict[str, Any]]] = {}
    for step in steps:
        for host, work in step["hosts"].items():
            addresses = {options.get("address") for options in work["instances"]} - {None}
            waits = [[other, _freeing(steps[other], host, addresses, places)] for other in step["waits_for"]]
            job = {key: step[key] for key in ("index", "name", "kind")}
            jobs.setdefault(host, []).append({**job, **work, "waits_for": [wait for wait in waits if wait[1] != []]})
    return jobs


def _freeing(
    step: Mapping[str, Any], host: str, addresses: Collection[Any], places: Mapping[str, tuple[str, Any]]
) -> list[str] | None:
    """Return the hosts of a removal that somebody on ``host`` has to wait for; None when all of a step count."""
    if step["kind"] != "remove" or step.get("moves"):
        return None
    freeing = {where for where, work in step["hosts"].items()
               if where == host or any(places.get(name, ("", None))[1] in addresses for name in work["remove"])}
    return sorted(freeing)
