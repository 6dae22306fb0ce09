# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host on its way to what a plan gives it: everything the module ``containers`` does, in order.

Check the input, take the lock, check the plan against the ledger and the sums against the host; then networks, removals
(they free what others need), containers that own cores, containers that share the rest; give the lock back; wait.
"""

from __future__ import annotations

import contextlib
import platform
import time
from concurrent.futures import ThreadPoolExecutor

from ..common.errors import HostError, PlanRefused
from ..disks.instances import InstanceDisks
from ..engine.client import Engine
from ..engine.images import Images
from ..engine.layer_limit import layer_limit, refuse_limits
from ..engine.networks import Networks
from ..host.capacity import disk, memory, named_amounts, promisable, usable_cpus
from ..host.ledger import check_plan, is_claimed, read_ledger, read_records, write_ledger, write_records
from ..host.lock import host_lock
from ..network.address_use import in_use
from ..network.filter.policy import RUNTIME_NAME, Policy, memorize, recall
from . import admission as guard
from .filters import bring_filters
from .ownership import Owned, current_spec, holding, needs_inspection
from .read_instances import read_jobs
from .replace import Converger, Result
from .wait import Waiter, health_of


def converge_host(params, check):
    """Do what the module was asked for and return its result; ``failed`` and ``msg`` are set when a container failed.

    :raises StowageError: when nothing could be started, and so nothing was changed.
    """
    began = time.monotonic()
    jobs = read_jobs(params["instances"], params["remove"], params["fleet"], params["pool"])
    host = params["host_name"] or platform.node()
    if params["claim"]:
        result = _claim(params, check)
    else:
        with ThreadPoolExecutor(max_workers=max(1, params["parallel"])) as pool:
            result = _Run(params, check, host, pool).converge(jobs)
    result["seconds"] = round(time.monotonic() - began, 3)
    return result


def _lock(params, check):
    if check:
        return contextlib.nullcontext()
    return host_lock(params["fleet"], params["by"], params["lock_timeout"])


def _claim(params, check):
    """Check the plan against the ledger and record it there."""
    plan = params["plan"]
    if plan is None:
        raise PlanRefused("claim needs the plan that is to be claimed; nothing was changed")
    with _lock(params, check):
        ledger = read_ledger(params["state_dir"], params["fleet"])
        check_plan(plan, ledger)
        changed = not is_claimed(plan, ledger)
        if changed and not check:
            write_ledger(params["state_dir"], params["fleet"], plan, params["by"], params["ledger"])
    return {"changed": changed, "containers": [], "networks": [], "volumes": [], "claimed": plan["serial"]}


class _Run:
    """One run of the module on one host."""

    def __init__(self, params, check, host, pool):
        self._params = params
        self._check = check
        self._host = host
        self._pool = pool
        self._engine = Engine(params["docker_host"], params["engine_timeout"])
        self._mended = False
        self._updates = {}
        self._disks = InstanceDisks(params, check)
        self._told = recall(params["isolation"], params["fleet"])
        self._policy = Policy(self._told)

    def converge(self, jobs):
        params = self._params
        with _lock(params, self._check):
            ledger = read_ledger(params["state_dir"], params["fleet"])
            if params["plan"]:
                check_plan(params["plan"], ledger)
            networks, results = self._apply(jobs)
            filters = self._filter()
            overdue = self._disks.delete_overdue(params["keep_instances"])
        started = {job.name for job in jobs if job.instance["state"] == "started"}
        if params["wait"] and not self._check and started:
            waited = [result for result in results if result.name in started]
            Waiter(self._engine, waited, self._pool, params["wait_timeout"], params["wait_groups"],
                   params["wait_patience"]).wait()
        return self._report(networks, results, (ledger or {}).get("serial", 0), filters, overdue)

    def _filter(self):
        """Bring the packet filters of what runs here to the policy, where that was asked for."""
        if self._params["filters"] == "none":
            return None
        report = bring_filters(self._engine, self._policy, self._params["fleet"], self._params["filters"] == "changed",
                               self._check)
        if not self._check and self._params["filters"] == "all":
            # What holds for the time of a change only is not what the host goes by afterwards.
            memorize(self._told, self._params["fleet"])
        return report

    def _apply(self, jobs):
        params = self._params
        owned = Owned(self._engine.list_containers(), params["fleet"])
        records = read_records(params["state_dir"], params["fleet"])
        inspections = self._inspect(owned, records, jobs)
        self._guard(owned, records, inspections, jobs)
        self._disks.refuse_impossible(jobs)
        if any(job.instance.get("storage_opt") for job in jobs):
            refuse_limits(jobs, layer_limit(self._engine.info()), self._host)
        self._refuse_missing_runtime(jobs)
        self._updates = {job.name: job.instance["digest"] for job in jobs if job.name in owned.instances
                         and job.instance.get("digest")
                         and (current_spec(owned.instances[job.name], records) or {}).get("digest")
                         != job.instance["digest"]}
        before = dict(records)
        self._mended = bool(owned.unborn or owned.orphaned)
        if not self._check:
            owned.mend(self._engine)
        networks = Networks(self._engine, params["fleet"], self._check)
        network_results = networks.ensure(params["networks"])
        images = Images(self._engine, params["pull"], self._host, self._check)
        converger = Converger(self._engine, owned, inspections, records, images, networks,
                              self._policy, self._check)
        try:
            results = self._converge_all(converger, networks, owned, jobs)
        finally:
            present = {container["Id"] for container in owned.everything.values()}
            records = {ident: spec for ident, spec in records.items() if ident in present}
            if records != before and not self._check:
                write_records(params["state_dir"], params["fleet"], records)
        if params["prune_networks"]:
            network_results += networks.prune(params["networks"])
        return network_results, results

    def _refuse_missing_runtime(self, jobs):
        """Refuse, before the first change, containers whose network this engine can't filter."""
        if self._check or RUNTIME_NAME not in [job.instance.get("runtime") for job in jobs]:
            return
        if RUNTIME_NAME not in (self._engine.info().get("Runtimes") or {}):
            raise HostError(f"The engine of {self._host} has no runtime {RUNTIME_NAME}, which isolates containers, and "
                            "nothing was changed; run the playbook site with --tags network,engine first")

    def _inspect(self, owned, records, jobs):
        """Look closely at what is to change, and at what only a close look tells the cores of."""
        names = {job.name for job in jobs} | set(self._params["remove"])
        wanted = {name: container["Id"] for name, container in owned.instances.items() if name in names}
        for name, container in {**owned.instances, **owned.others()}.items():
            if needs_inspection(current_spec(container, records)):
                wanted[name] = container["Id"]
        return dict(zip(wanted, self._pool.map(self._engine.inspect, wanted.values())))

    def _guard(self, owned, records, inspections, jobs):
        """Refuse, before the first change, what would promise something twice."""
        if not jobs:
            return
        params = self._params
        gone = {job.name for job in jobs} | set(params["remove"])
        holdings = [guard.Holding(job.name, job.spec["claims"], tuple(job.instance.get("cores") or ())) for job in jobs]
        for name, container in {**owned.others(), **owned.instances}.items():
            if name not in gone:
                holdings.append(holding(name, current_spec(container, records), inspections.get(name)))
        resources = {**named_amounts(params["resources"], "resources"), "memory": memory()}
        if any(held.claims.get("disk") for held in holdings):
            resources["disk"] = disk(params["pool"], self._engine.info().get("DockerRootDir"))
        reserved = named_amounts(params["reserved"], "reserved")
        if resources.get("disk"):
            resources["disk"] = promisable(resources["disk"], reserved.get("disk", 0), params["disk_thin_ratio"])
        found = guard.problems(usable_cpus(), resources, reserved, holdings)
        if found:
            raise PlanRefused(f"{'. '.join(found)}. Nothing was changed on {self._host}; plan again")

    def _converge_all(self, converger, networks, owned, jobs):
        """Removals first; then owners of cores, after those who share have left them; then those who share."""
        results = list(self._pool.map(converger.remove, self._params["remove"]))
        self._fail(results, self._disks.let_go([result.name for result in results if not result.failed]))
        interfaces = networks.interfaces(self._params["networks"])
        taken = in_use(jobs, owned.everything.values(), interfaces, self._check, self._host, owned.fleet,
                       self._params["remove"])
        self._disks.updates = self._updates
        missing = {**self._disks.provide([job for job in jobs if job.name not in taken]), **taken}
        # Whose disk failed, or whose address is somebody else's, is held back as it is; the others go on.
        held = [Result(job.name) for job in jobs if job.name in missing]
        self._fail(held, missing)
        jobs = [job for job in jobs if job.name not in missing]
        sharing = [job for job in jobs if job.shares]
        list(self._pool.map(converger.yield_cores, sharing))
        results += self._pool.map(converger.converge, [job for job in jobs if not job.shares])
        results += self._pool.map(converger.converge, sharing)
        well = {result.name for result in results if not result.failed}
        self._fail(results, self._disks.let_go_unwanted([job for job in jobs if job.name in well]))
        return results + held

    @staticmethod
    def _fail(results, failures):
        for result in results:
            if result.name in failures:
                result.fail(failures[result.name])

    def _report(self, networks, results, serial, filters, overdue):
        listed = {container["Id"]: container for container in self._engine.list_containers()}
        containers, diff = [], []
        for result in sorted(results, key=lambda result: result.name):
            now = listed.get(result.ident) or {}
            said = result.to_dict(now.get("State", "absent"), health_of(now))
            containers.append(said)
            if said["diff"]:
                diff.append({"before_header": result.name, "after_header": result.name, **said["diff"]})
        every = [*networks, *containers]
        report = {
            "changed": self._mended or self._disks.changed or any(one["changed"] for one in every),
            "containers": containers,
            "networks": networks,
            "volumes": self._disks.results,
            "warnings": self._disks.warnings,
            "claimed": serial,
            "diff": diff,
        }
        for volume in self._disks.results:
            if volume["changed"]:
                diff.append({"before_header": f"disk of {volume['name']}", "after_header": f"disk of {volume['name']}",
                             **volume["diff"]})
        failures = [f"{one['name']}: {one['msg']}" for one in every if one["failed"]] + overdue
        if filters is not None:
            report["changed"] = report["changed"] or filters["changed"]
            report["warnings"] = [*report["warnings"], *filters["warnings"]]
            if filters["diff"]["prepared"]:
                diff.append(filters["diff"])
            failures += [f"packet filter of {one['name']}: {one['msg']}" for one in filters["containers"]
                         if one["failed"]]
        if failures:
            report["failed"] = True
            report["msg"] = "\n".join(failures)
        return report
