# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills in a type for one planned instance, and builds the options of the module containers for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ....module_utils.common.errors import InvalidInput, MissingDependency
from ....module_utils.common.labels import digest
from ....module_utils.common.naming import instance_name
from ....module_utils.containers.options import INSTANCE_SPEC
from ....module_utils.containers.read_instances import read_job
from ....module_utils.network.filter.policy import RUNTIME_NAME
from ..read.complaints import Complaints, join
from ..read.grades import claims_of
from ..read.isolation import isolate
from ..read.state import Desired
from ..read.types import VARIABLE, check_options
from ..read.values import Render, fill
from ..read.volumes import extra_disk

Instance = Mapping[str, Any]
_READER = ArgumentSpecValidator(INSTANCE_SPEC)
GONE = ("remove", "foreign")
EXAMPLE_HOST = "example"
EXAMPLE_ADDRESS = "192.0.2.1"  # of the block that RFC 5737 keeps for documentation
EXAMPLE_ADDRESS6 = "2001:db8::1"  # RFC 3849
_ABOUT_INSTANCE = (
    "name", "cluster", "group", "index", "type", "grade", "host", "address", "address6", "network", "cores", "cpus",
    "memory", "disk",
)  # fmt: skip


def describe(instance: Instance, labels: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a type's template sees as ``instance``, and others see of it in ``members``.

    A label of the host, such as zone, stands beside the rest when its name is free, and always in ``labels``.
    """
    about = dict(labels)
    about.update({name: instance.get(name) for name in _ABOUT_INSTANCE})
    about["labels"] = dict(labels)
    return about


class Directory:
    """Who is a member of which group, as the plan will have it."""

    def __init__(self, instances: Iterable[Instance], labels: Mapping[str, Mapping[str, Any]]) -> None:
        """``labels`` are those of each host, by host name."""
        self._about: dict[str, dict[str, Any]] = {}
        self._members: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self._whole: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for instance in sorted(instances, key=lambda item: (item["cluster"], item["group"], item["index"])):
            if instance.get("action") in GONE:
                continue
            about = describe(instance, labels.get(str(instance.get("host")), {}))
            self._about[instance["name"]] = about
            groups = self._members.setdefault(instance["cluster"], {})
            groups.setdefault(instance["group"], []).append(about)

    def variables(self, name: str, groups: Iterable[str]) -> dict[str, Any]:
        """Return ``instance`` and ``members`` for one instance; ``groups`` are all groups of its cluster."""
        about = self._about[name]
        cluster = about["cluster"]
        # One object for all of a cluster: who fills in templates knows by it what is the same.
        if cluster not in self._whole:
            members = self._members.get(cluster, {})
            self._whole[cluster] = {group: members.get(group, []) for group in groups}
        return {"instance": about, "members": self._whole[cluster]}


class Options:
    """Builds container options; what can't be filled in goes to ``complaints``."""

    def __init__(self, desired: Desired, render: Render, complaints: Complaints) -> None:
        self._desired = desired
        self._render = render
        self._complaints = complaints

    def of(self, instance: Instance, directory: Directory) -> dict[str, Any]:
        """Return the options of ``containers`` for one planned instance, with its digest.

        The digest covers the grade and the type *with its templates filled in*: when a member that the type names
        comes, goes or moves, that is an update like any other, and the plan shows it.
        """
        group = self._desired.clusters[instance["cluster"]]["groups"][instance["group"]]
        path = join(VARIABLE, group["type"])
        variables = directory.variables(instance["name"], self._desired.clusters[instance["cluster"]]["groups"])
        own = Complaints()
        filled = fill(self._desired.types[group["type"]], self._render, path, own, variables)
        if not own.sentences:
            check_options(path, filled, own)
        isolated = self._desired.clusters[instance["cluster"]]["isolation"]
        if isolated and not own.sentences:
            isolate(filled, path, own)
        elif filled.get("links"):
            filled["runtime"] = RUNTIME_NAME
        _add_of_group(own.sentences, instance, self._complaints)
        options = {name: value for name, value in filled.items() if value is not None}
        grade = self._desired.grades[group["grade"]]
        claims = claims_of(grade)
        if extra_disk(filled):
            claims["disk"] = (claims.get("disk") or 0) + extra_disk(filled)
        options.update(_decided(instance, group, claims))
        options["digest"] = digest({"type": _texts(filled), "grade": grade, "network": group["network"]})
        return options


def _texts(value: Any) -> Any:
    """Return a type with numbers as texts: which of both a template yields depends on the version of ansible-core."""
    if isinstance(value, dict):
        return {key: _texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return None if value is None else str(value)


def _decided(instance: Instance, group: Mapping[str, Any], claims: dict[str, Any]) -> dict[str, Any]:
    decided = {
        "name": instance["name"],
        "cluster": instance["cluster"],
        "group": instance["group"],
        "index": instance["index"],
        "state": instance.get("state") or "started",
        "type": group["type"],
        "grade": group["grade"],
        "claims": claims,
        "cores": instance.get("cores") or None,
        "cpus": instance.get("cpus"),
        "cpuset": instance.get("cpuset") or None,
        "mems": instance.get("mems") or None,
        "memory": instance.get("memory"),
        "disk": instance.get("disk"),
        "resources": instance.get("resources") or None,
        "network": instance.get("network"),
        "address": instance.get("address"),
        "address6": instance.get("address6"),
    }
    if decided["network"] is None:
        # On the engine's own bridge an address is the engine's to give, and another one after each start.
        decided.update(address=None, address6=None)
    return {name: value for name, value in decided.items() if value is not None}


def example_instances(desired: Desired) -> list[dict[str, Any]]:
    """Return every wanted instance as if it were placed on one host, to check types before anything is planned."""
    return [
        {
            "name": instance_name(cluster, group, index),
            "cluster": cluster,
            "group": group,
            "index": index,
            "type": spec["type"],
            "grade": spec["grade"],
            "action": "create",
            "host": EXAMPLE_HOST,
            "network": spec["network"],
            "address": EXAMPLE_ADDRESS,
            "address6": EXAMPLE_ADDRESS6 if desired.networks.get(spec["network"], {}).get("subnet6") else None,
            "cores": list(range(desired.grades[spec["grade"]].get("cores", 0))),
            "cpus": desired.grades[spec["grade"]].get("cpus"),
            "memory": desired.grades[spec["grade"]].get("memory"),
            "disk": desired.grades[spec["grade"]].get("disk"),
        }
        for cluster, group, spec in desired.groups()
        for index in range(spec["count"])
    ]


def check_types(desired: Desired, labels: Mapping[str, Any], render: Render, complaints: Complaints) -> None:
    """Fill in each type once for each group that uses it, so that a broken one is refused before anything is touched.

    :param labels: of any host, for types that use them.
    """
    examples = example_instances(desired)
    directory = Directory(examples, {EXAMPLE_HOST: labels})
    options = Options(desired, render, complaints)
    for instance in examples:
        if instance["index"] == 0:
            given = options.of(instance, directory)
            path = join(VARIABLE, instance["type"])
            if not complaints.covers(path):
                _add_of_group(_refused(path, given), instance, complaints)


def _refused(path: str, given: Mapping[str, Any]) -> list[str]:
    """Return what the host would refuse of an instance's options, so that it is refused before there is a plan."""
    read = _READER.validate(dict(given))
    if read.error_messages:
        return [f"{path}: {message}" for message in read.error_messages]
    try:
        read_job(read.validated_parameters)
    except InvalidInput as error:
        return [f"{path}.{problem}" for problem in error.problems]
    except MissingDependency:
        # Ports are read with the engine's SDK, which this controller does not have; the host will look at them.
        pass
    return []


def _add_of_group(sentences: Iterable[str], instance: Instance, complaints: Complaints) -> None:
    """Add complaints about a type, and say which group uses it."""
    for sentence in sentences:
        where, _colon, what = sentence.partition(": ")
        complaints.add(where, f"{what} (as {instance['cluster']}/{instance['group']} uses it)")
