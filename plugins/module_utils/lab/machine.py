# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine that carries a lab can do, found out rather than assumed.

A lab host is a container with systemd in it. Where the engine holds every capability, it runs privileged; where the
machine itself lacks some (a virtual machine or container with a reduced bounding set), asking for ``privileged``
fails, and the host gets all that there are, one by one.
"""

from __future__ import annotations

import os
import shutil

from ..common.errors import EngineError
from ..engine.client import Engine

# linux/capability.h, in the order of their numbers.
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)
# Without one of these there is no systemd, no network or no nested engine in a host.
NEEDED = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "MKNOD", "NET_ADMIN", "NET_RAW", "SETGID", "SETUID", "SYS_ADMIN",
          "SYS_CHROOT", "SYS_PTRACE")
COMMANDS = {"mmdebstrap": "mmdebstrap", "ssh-keygen": "openssh-client", "ssh": "openssh-client"}
_FILESYSTEMS = ("overlay", "proc", "sysfs", "tmpfs")
_CGROUP = "/sys/fs/cgroup"


def read_missing_capabilities(root="/"):
    """Return the names of capabilities that the engine's bounding set lacks, in the order of their numbers.

    The engine's own process counts where it can be found, since it may live under other limits than this one.
    """
    pid = _read(os.path.join(root, "var/run/docker.pid")).strip() or "self"
    status = _read(os.path.join(root, "proc", pid, "status")) or _read(os.path.join(root, "proc/self/status"))
    last = _read(os.path.join(root, "proc/sys/kernel/cap_last_cap")).strip()
    known = CAPABILITIES[: int(last) + 1] if last.isdigit() else CAPABILITIES
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            bounding = int(line.split()[1], 16)
            return [name for number, name in enumerate(known) if not bounding >> number & 1]
    return []


def read_cgroup_version(root="/"):
    """Return 2 where the machine mounts the unified hierarchy only, 1 for legacy and hybrid, 0 for none."""
    if os.path.exists(os.path.join(root, _CGROUP[1:], "cgroup.controllers")):
        return 2
    return 1 if os.path.isdir(os.path.join(root, _CGROUP[1:], "memory")) else 0


def read_nameservers(root="/"):
    """Return name servers that a host can reach: those of the machine that do not live on its loopback."""
    for path in ("etc/resolv.conf", "run/systemd/resolve/resolv.conf"):
        lines = [line.split() for line in _read(os.path.join(root, path)).splitlines()]
        servers = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
        reachable = [server for server in servers if not server.startswith(("127.", "::1"))]
        if reachable:
            return reachable
    return []


def has_service_manager(root="/"):
    """Say whether systemd runs this machine."""
    return os.path.isdir(os.path.join(root, "run/systemd/system"))


def missing_packages():
    """Return the Debian packages that hold the programs a lab needs and this machine lacks."""
    return sorted({package for command, package in COMMANDS.items() if shutil.which(command) is None})


def read_problems(missing, root="/"):
    """Return sentences about what makes a lab impossible here. ``missing`` are capabilities."""
    problems = []
    lacking = [f"CAP_{name}" for name in NEEDED if name in missing]
    if lacking:
        problems.append(
            f"This machine's bounding set lacks {', '.join(lacking)}; a lab host can't run without. Start the machine, "
            "or the container that this runs in, with more capabilities."
        )
    known = {line.split()[-1] for line in _read(os.path.join(root, "proc/filesystems")).splitlines() if line.strip()}
    # A kernel module is loaded by its first use, so only a kernel without modules is sure to lack it.
    for name in _FILESYSTEMS:
        if known and name not in known and not os.path.isdir(os.path.join(root, "lib/modules")):
            problems.append(f"This machine's kernel has no {name} file system, which the engine of a lab host needs.")
    if read_cgroup_version(root) == 0:
        problems.append(f"No cgroup hierarchy is mounted below {_CGROUP}; engine and systemd need one.")
    return problems


def read_notes(missing, root="/"):
    """Return sentences about how a lab adapts to this machine."""
    notes = []
    if missing:
        names = ", ".join(f"CAP_{name}" for name in missing)
        notes.append(f"This machine lacks {names}: hosts get every other capability instead of running privileged.")
    if read_cgroup_version(root) == 1:
        notes.append("This machine has cgroup v1: a systemd newer than 255 is told to accept it.")
    return notes


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def describe(docker_host):
    """Return all that a lab needs to know about this machine, as ``lab_info`` returns it.

    :raises MissingDependency: without the Docker SDK for Python.
    """
    version, message = "", ""
    try:
        version = Engine(docker_host).version()["Version"]
    except EngineError as error:
        message = str(error)
    missing = read_missing_capabilities()
    return {
        "engine": version,
        "engine_message": message,
        "engine_installed": shutil.which("dockerd") is not None,
        "service_manager": has_service_manager(),
        "cgroup_version": read_cgroup_version(),
        "missing_capabilities": missing,
        "missing_packages": missing_packages(),
        "problems": read_problems(missing),
        "notes": read_notes(missing),
    }
