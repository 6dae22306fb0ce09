# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door of the module ``containers``: checks all that it is told, before it looks at an engine."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..common.errors import InvalidInput
from ..common.naming import check_name, instance_name
from ..disks.instances import with_disks
from ..disks.pool import DEFAULT_POOL
from ..host.capacity import named_amounts
from ..network.filter.policy import RUNTIME_NAME
from ..network.links.wanted import Link, read_links
from .diff import asked_names, made_values
from .ownership import wanted_spec
from .values import check_image

_NUMBERS_OF_CORES = ("cores", "cpus")


class Job(NamedTuple):
    """One instance, checked, with the engine's values of its options."""

    instance: dict
    made: dict[str, Any]
    spec: dict[str, Any]
    links: list[Link]

    @property
    def name(self):
        """The container's name."""
        return self.instance["name"]

    @property
    def shares(self):
        """Whether it runs on cores that nobody owns."""
        return not self.instance.get("cores")


def read_jobs(instances, remove, fleet, pool=DEFAULT_POOL):
    """Return one Job for each instance.

    :param pool: folder of the disk pool, which the disks of instances are mounted in.
    :raises InvalidInput: with all complaints of all instances.
    """
    problems = []
    _collect(problems, "fleet", lambda: check_name(fleet, "name"))
    names = [instance["name"] for instance in instances]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"instances: {name} is given twice; expected each name once")
    for name in sorted(set(names) & set(remove)):
        problems.append(f"remove: {name} is among the instances too; expected it in one of the two")
    problems += _given_twice(instances)
    jobs = []
    for index, instance in enumerate(instances):
        path = f"instances[{index}] ({instance['name']})"
        job = _collect(problems, path, lambda wanted=instance: read_job(wanted, pool))
        if job is not None:
            jobs.append(job)
    if problems:
        raise InvalidInput(problems)
    return jobs


def _given_twice(instances):
    """Return a sentence for each address that two instances of one network have."""
    owners, problems = {}, []
    for instance in instances:
        for address in filter(None, (instance.get("address"), instance.get("address6"))):
            other = owners.setdefault((instance.get("network"), address), instance["name"])
            if other != instance["name"]:
                problems.append(f"instances: {other} and {instance['name']} both have the address {address}; expected "
                                "each address once")
    return problems


def _collect(problems, path, read):
    try:
        return read()
    except InvalidInput as error:
        problems += [f"{path}.{problem}" if path else problem for problem in error.problems]
        return None


def read_job(instance, pool=DEFAULT_POOL):
    """Return the Job of one instance. The controller asks this too, before any host is told.

    :raises InvalidInput: with all complaints, each with the option's name.
    """
    problems = []
    expected = instance_name(instance["cluster"], instance["group"], instance["index"])
    if instance["name"] != expected:
        problems.append(f"name: expected {expected}, from cluster, group and index")
    _collect(problems, "cluster", lambda: check_name(instance["cluster"], "name"))
    _collect(problems, "group", lambda: check_name(instance["group"], "name"))
    _collect(problems, "", lambda: check_image(instance["image"]))
    if instance["index"] < 0:
        problems.append(f"index: {instance['index']} is below 0; expected a whole number of 0 or more")
    if instance.get("cores") and instance.get("cpus"):
        problems.append("cpus: is given beside cores; expected one of the two")
    for key in ("address", "address6"):
        if instance.get(key) and not instance.get("network"):
            problems.append(f"{key}: is given without a network; expected the network it is on")
    instance = {**instance, "claims": _collect(problems, "claims", lambda: _claims(instance)) or {}}
    cores = instance["claims"].get("cores")
    if cores and cores != len(set(instance.get("cores") or [])):
        problems.append(f"cores: {instance.get('cores')} are not the {cores:g} that it claims")
    links = _collect(problems, "", lambda: read_links(instance["name"], instance.get("links")))
    if links and instance.get("runtime") != RUNTIME_NAME:
        problems.append(f"runtime: {instance.get('runtime')!r} makes no links; expected {RUNTIME_NAME}")
    made = {}
    try:
        instance = with_disks(instance, pool)
    except InvalidInput as error:
        problems += error.problems
    try:
        made = made_values(instance)
    except InvalidInput as error:
        problems += error.problems
    if problems:
        raise InvalidInput(problems)
    return Job(instance, made, wanted_spec(instance, asked_names(made)), links)


def _claims(instance):
    """What the instance claims, in bytes and numbers; from its other options when it does not say so."""
    claims = instance.get("claims")
    if claims is None:
        claims = dict(instance.get("resources") or {})
        claims.update({name: instance[name] for name in ("cpus", "memory", "disk") if instance.get(name)})
        if instance.get("cores"):
            claims["cores"] = len(instance["cores"])
    numbers = {name: claims[name] for name in _NUMBERS_OF_CORES if claims.get(name) is not None}
    bad = [name for name, value in numbers.items() if not isinstance(value, (int, float)) or value < 0]
    if bad:
        raise InvalidInput(f"{bad[0]}: {numbers[bad[0]]!r}; expected a number of 0 or more")
    rest = {name: value for name, value in claims.items() if name not in numbers and value is not None}
    return {**numbers, **named_amounts(rest, "")}
