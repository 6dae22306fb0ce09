# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands a plan out: to each host its slice, in the run's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ..module_utils.common.labels import digest
from ..module_utils.common.naming import instance_name
from .controller import Fleet
from .desired.apply.disk_moves import Travel, disks_to_remember
from .desired.apply.host_tasks import build_keep, build_ledger, build_steps
from .desired.apply.policies import build_policies, clusters_by_host, in_parts
from .desired.apply.waves import jobs_by_host, list_waves, with_opening
from .desired.plan.last_known import digest_of_hosts
from .desired.plan.planning import Planned
from .desired.read.networks import for_engines
from .desired.read.state import Desired
from .run_folder import RunFolder

PHASES = ("before", "during", "after")
_KEEPERS = 3
_MAKING = ("create", "update", "move", "start")
_UNWELL = ("starting", "unhealthy")
#: What the end of a run compares with what runs then.
_COMPARED = ("name", "host", "from_host", "action", "state", "cores", "memory", "network", "address", "address6")


class HandOut:
    """What a plan has the hosts of a fleet do."""

    def __init__(
        self,
        desired: Desired,
        planned: Planned,
        fleet: Fleet,
        held: dict[str, str],
        allowed: list[str],
        travels: Mapping[str, Travel],
    ) -> None:
        """Lay the plan out in steps.

        :param held: why instances are not changed now, by name. :param allowed: hosts that this run may change.
        """
        self.held = held
        self._desired = desired
        self._planned = planned
        self._fleet = fleet
        self._allowed = allowed
        self._travels = travels
        places = {
            instance_name(run["cluster"], run["group"], run["index"]): (run["host"], run.get("address"))
            for run in planned.problem["running"]
        }
        requires = {(cluster, group): spec["requires"] for cluster, group, spec in desired.groups()}
        steps = build_steps(planned, held, requires, travels)
        self.changes = bool(steps)
        self.steps = with_opening(steps, self._to_open())
        self.waves = list_waves(self.steps)
        self.jobs = jobs_by_host(self.steps, places)
        self.claim = {
            "id": planned.plan["id"],
            "base_serial": planned.base_serial,
            "serial": planned.base_serial + (1 if self.changes else 0),
        }

    @property
    def workers(self) -> list[str]:
        """The hosts with jobs."""
        return sorted(self.jobs)

    def _to_open(self) -> dict[str, list[str]]:
        """Return, for each isolated cluster that gets members, the hosts with members of it that run already."""
        growing = {item["cluster"] for item in self._planned.plan["instances"]
                   if item["action"] in _MAKING and item["name"] not in self.held
                   and self._desired.clusters.get(item["cluster"], {}).get("isolation")}
        members: dict[str, list[str]] = {cluster: [] for cluster in growing}
        for host in self._allowed:
            for cluster in {item["cluster"] for item in self._fleet.observations[host].get("containers") or []
                            if item.get("state") == "running"} & growing:
                members[cluster].append(host)
        return members

    def write(self, folder: RunFolder, by: str, deleting: bool) -> None:
        """Put everything where the hosts' tasks find it.

        :param by: who plans. :param deleting: whether what the plan removes loses its disks.
        """
        instances = self._planned.plan["instances"]
        folder.write("plan", "common", {
            "changes": self.changes,
            "claim": self.claim,
            "by": by,
            "networks": for_engines(self._desired.networks),
            "hosts": self._allowed,
            "workers": self.workers,
            "held": self.held,
            "steps": [{"name": step["name"], "kind": step["kind"], "hosts": sorted(step["hosts"]),
                       "instances": step["instances"]} for step in self.steps],
        })
        folder.write("plan", "planned", {"instances": [{key: item.get(key) for key in _COMPARED}
                                                       for item in instances]})
        policies = self._write_policies(folder)
        heads = self._write_ledger(folder, deleting) if self.changes else {}
        keep = build_keep(self._planned, self._allowed)
        names = [item["name"] for item in instances]
        for host in self._allowed:
            seen = self._fleet.observations[host]
            folder.write("hosts", host, {
                "jobs": self.jobs.get(host, []),
                "keep": keep[host],
                "keep_instances": self._kept_on(host, names),
                "policies": policies[host],
                "known": seen.get("policies") or {},
                "ledger": heads.get(host, {}),
                "unwell": any(item.get("health") in _UNWELL for item in seen.get("containers") or []),
            })

    def _kept_on(self, host: str, names: list[str]) -> list[str]:
        """Return which of these instances have a disk on a host: no age deletes what may be needed again."""
        there = {volume.get("instance") for volume in self._fleet.observations[host].get("volumes") or []}
        return [name for name in names if name in there] if there else []

    def _write_policies(self, folder: RunFolder) -> dict[str, dict[str, dict[str, str]]]:
        """Write each part of each phase's policy once; return digests by host, phase and part."""
        instances, seen = self._planned.plan["instances"], self._fleet.observations
        clusters = clusters_by_host(instances, seen, self._allowed)
        digests: dict[str, dict[str, str]] = {}
        for phase, policy in build_policies(self._desired, instances, seen, self.held).items():
            parts = in_parts(policy)
            digests[phase] = {part: value for part, (value, _body) in parts.items()}
            for value, body in parts.values():
                folder.write("policies", value, body)
        return {host: {phase: {part: value for part, value in digests[phase].items()
                               if part.startswith(":") or part in clusters[host]} for phase in PHASES}
                for host in self._allowed}

    def _write_ledger(self, folder: RunFolder, deleting: bool) -> dict[str, dict[str, Any]]:
        """Write the ledger's body once; return its head for each host."""
        body = build_ledger(self._planned, self.held)
        body["disks"] = disks_to_remember(self._planned, self._travels, self._fleet, deleting)
        folder.write("plan", "ledger", body)
        own: dict[str, list[Any]] = {}
        for item in body["instances"]:
            own.setdefault(str(item.get("host")), []).append({key: item.get(key) for key in ("name", "digest")})
        # The same hosts each time, whoever else there is, so that the body does not wander.
        keepers = sorted(self._allowed, key=lambda host: hashlib.sha256(host.encode()).hexdigest())[:_KEEPERS]
        head = {"digest": digest(body), "fleet_hosts": digest_of_hosts(self._fleet.hosts), "keepers": sorted(keepers)}
        return {host: {**head, "own": own.get(host, [])} for host in self._allowed}
