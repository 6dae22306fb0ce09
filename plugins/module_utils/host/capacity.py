# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has: cores with their place in the machine, memory, disk. Read from the kernel, not from tools.

``root`` is the directory that stands for ``/``, so that tests can hand over the files of other machines.
Kernel interface: Documentation/admin-guide/cputopology.rst, cgroup-v1/cpusets.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import math
import os
import re

from ..common.cpulist import parse_cpulist
from ..common.errors import HostError, InvalidInput
from ..common.sizes import parse_size

_CPU_DIR = "sys/devices/system/cpu"
# What the control group at the root of this host may use. A host that is itself a container has less than the machine.
_CPUSETS = (
    "sys/fs/cgroup/cpuset.cpus.effective",
    "sys/fs/cgroup/cpuset/cpuset.effective_cpus",
    "sys/fs/cgroup/cpuset/cpuset.cpus",
)
_MEMORY_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
_NODE = re.compile(r"node(\d+)")
_RESERVABLE = ("cores", "memory", "disk")
_MEASURED = (*_RESERVABLE, "cpus")


def _read(root, path):
    try:
        with open(os.path.join(root, path), encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def usable_cpus(root="/"):
    """Return the numbers of the logical CPUs that are online and that this host may use."""
    online = _read(root, f"{_CPU_DIR}/online")
    cpus = set(parse_cpulist(online)) if online else set(range(os.cpu_count() or 1))
    for path in _CPUSETS:
        text = _read(root, path)
        if text:
            return sorted(cpus & set(parse_cpulist(text)))
    return sorted(cpus)


def topology(root="/"):
    """Return one ``{"id", "core", "socket", "node"}`` for each usable CPU.

    ``core`` is the lowest CPU number among the hardware threads of the same physical core: unlike the kernel's core_id,
    which starts over in every socket, it is unique on the host. Whatever the machine does not tell counts as one
    socket, one node, one thread per core.
    """
    return [_place(root, number) for number in usable_cpus(root)]


def _place(root, number):
    directory = f"{_CPU_DIR}/cpu{number}"
    siblings = _read(root, f"{directory}/topology/thread_siblings_list")
    socket = _read(root, f"{directory}/topology/physical_package_id")
    return {
        "id": number,
        "core": min(parse_cpulist(siblings), default=number) if siblings else number,
        # Some virtual and ARM machines answer -1 for "I don't know".
        "socket": max(0, int(socket or 0)),
        "node": _node(root, directory),
    }


def _node(root, directory):
    try:
        entries = os.listdir(os.path.join(root, directory))
    except OSError:
        return 0
    nodes = [int(match.group(1)) for match in map(_NODE.fullmatch, entries) if match]
    return min(nodes, default=0)


def boot_id(root="/"):
    """Return the id of the running kernel's boot, random and new with each; None where there is none."""
    return _read(root, "proc/sys/kernel/random/boot_id")


def memory(root="/"):
    """Return the host's memory in bytes: the machine's, or what the host's own control group allows of it."""
    match = re.search(r"^MemTotal:\s+(\d+) kB", _read(root, "proc/meminfo") or "", re.MULTILINE)
    if match is None:
        raise HostError("This host's memory is unknown: /proc/meminfo has no line MemTotal")
    total = int(match.group(1)) * 1024
    limits = [_read(root, path) for path in _MEMORY_LIMITS]
    return min([total, *(int(limit) for limit in limits if limit and limit.isdigit())])


def disk(pool, engine_root):
    """Return the size in bytes of the file system of the pool, or of the engine's directory where there is no pool.

    Where the engine's directory can't be seen either (an engine elsewhere), that of ``/``.
    """
    for path in (pool, engine_root, "/"):
        if path and os.path.isdir(path):
            found = os.statvfs(path)
            return found.f_frsize * found.f_blocks
    return 0


def promisable(size, reserved, ratio):
    """Return what a pool counts as, in bytes, so that less its reserve it is what may be promised.

    :param size: of its file system.
    :param ratio: how many bytes may be promised for each that there is beyond the reserve; 1 promises what there is.
    """
    return int(max(0, size - reserved) * ratio) + reserved if ratio != 1 else size


def named_amounts(values, what):
    """Return reserved amounts or named resources as numbers: sizes such as ``10g`` become bytes.

    :raises InvalidInput: naming ``what`` and the key.
    """
    amounts, problems = {}, []
    for name, value in (values or {}).items():
        if isinstance(value, float) and 0 <= value < math.inf:
            amounts[name] = value
            continue
        try:
            amounts[name] = parse_size(value)
        except InvalidInput as error:
            problems.append(f"{what}.{name}: {error}" if what else f"{name}: {error}")
    if problems:
        raise InvalidInput(problems)
    return amounts


def host_amounts(resources, reserved):
    """Return (named resources, reserved amounts) of a host as numbers. The controller asks too, before the host is.

    :raises InvalidInput: with all that is wrong, each beginning with ``resources.`` or ``reserved.`` and the key.
    """
    problems, amounts = [], {"resources": {}, "reserved": {}}
    for what, values in (("resources", resources), ("reserved", reserved)):
        try:
            amounts[what] = named_amounts(values, what)
        except InvalidInput as error:
            problems += error.problems
    cores = "reserved.cores: "
    if amounts["reserved"].get("cores", 0) % 1 or any(problem.startswith(cores) for problem in problems):
        problems = [problem for problem in problems if not problem.startswith(cores)]
        problems.append(f"{cores}{reserved['cores']!r} is not a number of cores; expected a whole number of 0 or more")
    problems += [f"resources.{name}: is measured on the host; expected names of further resources"
                 for name in _MEASURED if name in resources]
    known = ", ".join(sorted(resources)) or "it has none"
    problems += [f"reserved.{name}: is no resource of this host; expected cores, memory, disk or one of its named "
                 f"resources ({known})" for name in sorted(set(reserved) - {*_RESERVABLE, *resources})]
    if problems:
        raise InvalidInput(problems)
    return amounts["resources"], amounts["reserved"]
