# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers of an engine are whose, and what they hold.

While a container is replaced, its successor is called ``<name>.next`` and it is itself called ``<name>.old`` for a
moment. A run that died in that moment leaves such names behind; here is the one place that knows how to read them.
"""

from __future__ import annotations

from ..common.cpulist import parse_cpulist
from ..common.labels import FLEET, SPEC, make_spec, read_identity, read_spec
from ..common.naming import NEXT, OLD, instance_name
from ..engine.client import container_name
from .admission import Holding


class Owned:
    """The containers of one engine, sorted into this fleet's instances, leftovers of a broken run, and the rest."""

    def __init__(self, listed, fleet):
        self.fleet = fleet
        self.everything = {container_name(container): container for container in listed}
        self.instances = {}
        #: Successors that never took their place.
        self.unborn = []
        #: (leftover, its instance's name): to be put back, since the name is free.
        self.orphaned = []
        #: {name: leftover}: replaced, and to be removed once the successor runs.
        self.replaced = {}
        for name, container in self.everything.items():
            if self.is_ours(container):
                self._sort(name, container)

    def is_ours(self, listed):
        """Say whether a container belongs to this fleet."""
        return (listed.get("Labels") or {}).get(FLEET) == self.fleet

    def _sort(self, name, container):
        if name.endswith(NEXT):
            self.unborn.append(container)
        elif not name.endswith(OLD):
            self.instances[name] = container
        elif name[: -len(OLD)] in self.everything:
            self.replaced[name[: -len(OLD)]] = container
        else:
            self.orphaned.append((container, name[: -len(OLD)]))
            self.instances[name[: -len(OLD)]] = container

    def mend(self, engine):
        """Undo what a broken run left half done: drop unborn successors, put replaced containers back."""
        for container in self.unborn:
            # Its volumes are those of the container it was to replace, by name; only new ones of its own go with it.
            engine.remove(container["Id"], volumes=True)
        for container, name in self.orphaned:
            engine.rename(container["Id"], name)

    def others(self):
        """Return {name: container} of what other fleets own here."""
        return {
            name: container
            for name, container in self.everything.items()
            if (container.get("Labels") or {}).get(FLEET, self.fleet) != self.fleet and not name.endswith((NEXT, OLD))
        }


def current_spec(listed, records):
    """Return the spec of a container: the record of a change in place, or else its label, or None."""
    return records.get(listed["Id"]) or read_spec((listed.get("Labels") or {}).get(SPEC))


def identity(name, listed):
    """Return (cluster, group, index) that the labels say, or None when they do not say the container's own name."""
    found = read_identity(listed.get("Labels") or {})
    return found if found and instance_name(*found) == name else None


def needs_inspection(spec):
    """Say whether only an inspection tells what a container holds: which cores, or anything at all."""
    return spec is None or bool(spec["claims"].get("cores"))


def holding(name, spec, inspection):
    """Return what a container holds. One whose label is damaged holds what the engine confines it to."""
    confined = inspection["HostConfig"] if inspection else {}
    cores = tuple(parse_cpulist(confined.get("CpusetCpus")))
    if spec is None:
        return Holding(name, {"memory": confined.get("Memory") or 0}, ())
    return Holding(name, spec["claims"], cores if spec["claims"].get("cores") else ())


def wanted_spec(instance, asked):
    """Return the spec of a checked instance."""
    return make_spec(instance["claims"], instance.get("digest"), instance.get("grade"), instance.get("type"), asked)
