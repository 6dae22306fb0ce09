# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an option of a container is, declared once: argument spec, the engine's field, comparison and diff follow.

A further option is a line in ``OPTIONS`` (and in the module's documentation).
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from ..common.sizes import parse_size
from ..network.links.wanted import LINK_SPEC
from . import values as v

# Stand-ins for the value of an option that is not set.
FROM_IMAGE = "the image's"
FROM_ENGINE = "the engine's"

HOST = "HostConfig"
ALWAYS_DROPPED = "NET_RAW"


class Option(NamedTuple):
    """One option, or a further field of the engine that follows from one."""

    name: str
    #: Its argument spec; None where it only follows from another option.
    spec: dict | None
    #: Where the engine keeps it, from the top of an inspection; empty for an option that another line makes use of.
    where: tuple = ()
    #: (value, instance) -> the engine's value.
    make: Callable = lambda value, instance: value
    #: The engine's value, wanted or inspected -> what is compared and shown.
    show: Callable = v.as_is
    #: The engine's value when the option is not set, or one of the stand-ins above.
    unset: Any = None
    #: Make it even when it is not set: it follows from other options too.
    always: bool = False
    #: Whether ``docker update`` can change it in place.
    live: bool = False
    #: Whether only the keys that are set count, as the engine adds some of its own.
    keyed: bool = False
    #: The option that it follows from, when that is another one.
    source: str | None = None
    #: Whether differences count; a field that follows from another one need not be compared twice.
    compared: bool = True


def _strings():
    return {"type": "list", "elements": "str"}


def _own(make):
    """Leave the instance aside."""
    return lambda value, instance: make(value)


def _drop(value, instance):
    value = value or {}
    added = v.as_capabilities(value.get("add"))
    dropped = set(v.as_capabilities(value.get("drop")))
    if ALWAYS_DROPPED not in added and "ALL" not in dropped:
        dropped.add(ALWAYS_DROPPED)
    return sorted(dropped)


def _security(value, instance):
    return [*(value or []), *(["no-new-privileges"] if instance.get("no_new_privileges") else [])]


def _hostname(value, instance):
    return value or instance["name"].replace("_", "-")


def _restart(value, instance):
    return {
        "Name": value,
        "MaximumRetryCount": instance.get("restart_retries") or 0 if value == "on-failure" else 0,
    }


def _cpuset(value, instance):
    return v.make_cpulist(value if value else instance.get("cores") or [])


def _nano(value, instance):
    return round(value * 1e9)


def _shares(value, instance):
    # 1024 is the weight of one core; the engine takes 2 as the least.
    return max(2, round(value * 1024))


MOUNT_SPEC = {
    "target": {"type": "str", "required": True},
    "source": {"type": "str"},
    "type": {"type": "str", "choices": ["bind", "volume", "tmpfs"]},
    "read_only": {"type": "bool", "default": False},
    "propagation": {"type": "str", "choices": ["private", "rprivate", "shared", "rshared", "slave", "rslave"]},
    "no_copy": {"type": "bool", "default": False},
    "tmpfs_size": {"type": "str"},
    "tmpfs_mode": {"type": "str"},
}
HEALTH_SPEC = {
    "test": {"type": "raw"},
    "interval": {"type": "str"},
    "timeout": {"type": "str"},
    "start_period": {"type": "str"},
    "retries": {"type": "int"},
}
ULIMIT_SPEC = {
    "name": {"type": "str", "required": True},
    "soft": {"type": "int", "required": True},
    "hard": {"type": "int"},
}
POLICIES = ["no", "always", "on-failure", "unless-stopped"]
TEXT = {"type": "str"}
MAP = {"type": "dict"}
OFF = {"type": "bool", "default": False}
NUMBERS = {"type": "list", "elements": "int"}

OPTIONS = (
    # What the plan decides.
    Option("cpuset", NUMBERS, (HOST, "CpusetCpus"), _cpuset, v.as_cpulist, always=True, live=True),
    Option("mems", NUMBERS, (HOST, "CpusetMems"), _own(v.make_cpulist), v.as_cpulist, unset="", live=True),
    Option("cpus", {"type": "float"}, (HOST, "NanoCpus"), _nano, v.as_number, unset=0, live=True),
    Option("shares", None, (HOST, "CpuShares"), _shares, v.as_number, unset=0, live=True, source="cpus"),
    Option("memory", TEXT, (HOST, "Memory"), _own(parse_size), v.as_number, unset=0, live=True),
    # Memory and swap together; the same figure means no swap. Kernels that can't limit swap report -1.
    Option(
        "memory_and_swap",
        None,
        (HOST, "MemorySwap"),
        _own(parse_size),
        v.as_number,
        unset=0,
        live=True,
        source="memory",
    ),
    Option("network", TEXT, (HOST, "NetworkMode"), show=v.as_network, unset="bridge"),
    # What the type says.
    Option("command", {"type": "raw"}, ("Config", "Cmd"), _own(v.make_words), v.as_list, FROM_IMAGE),
    Option("entrypoint", {"type": "raw"}, ("Config", "Entrypoint"), _own(v.make_words), v.as_list, FROM_IMAGE),
    Option("env", MAP, ("Config", "Env"), _own(v.make_env), v.as_env, FROM_IMAGE),
    Option("labels", MAP, ("Config", "Labels"), _own(v.make_labels), v.as_map, FROM_IMAGE),
    Option(
        "mounts",
        {"type": "list", "elements": "dict", "options": MOUNT_SPEC},
        (HOST, "Mounts"),
        _own(v.make_mounts),
        v.as_mounts,
        unset=[],
    ),
    Option("tmpfs", _strings(), (HOST, "Tmpfs"), _own(v.make_tmpfs), v.as_map, unset={}),
    Option("ports", _strings(), (HOST, "PortBindings"), _own(v.make_ports), v.as_ports, unset={}),
    Option(
        "exposed",
        None,
        ("Config", "ExposedPorts"),
        lambda value, instance: {port: {} for port in v.make_ports(value)},
        unset={},
        source="ports",
        compared=False,
    ),
    Option(
        "capabilities",
        {"type": "dict", "options": {"add": _strings(), "drop": _strings()}},
        (HOST, "CapAdd"),
        lambda value, instance: v.as_capabilities(value.get("add")),
        v.as_capabilities,
        unset=[],
    ),
    Option(
        "dropped_capabilities",
        None,
        (HOST, "CapDrop"),
        _drop,
        v.as_capabilities,
        always=True,
        source="capabilities",
    ),
    Option("no_new_privileges", {"type": "bool", "default": True}),
    Option("security_opts", _strings(), (HOST, "SecurityOpt"), _security, v.as_security, always=True),
    Option("privileged", OFF, (HOST, "Privileged"), show=bool, unset=False),
    Option(
        "ulimits",
        {"type": "list", "elements": "dict", "options": ULIMIT_SPEC},
        (HOST, "Ulimits"),
        _own(v.make_ulimits),
        v.as_ulimits,
        FROM_ENGINE,
        keyed=True,
    ),
    Option("sysctls", MAP, (HOST, "Sysctls"), _own(v.make_text_map), v.as_map, unset={}),
    Option("user", TEXT, ("Config", "User"), show=v.as_text, unset=FROM_IMAGE),
    Option("groups", _strings(), (HOST, "GroupAdd"), show=v.as_sorted, unset=[]),
    Option("working_dir", TEXT, ("Config", "WorkingDir"), show=v.as_path, unset=FROM_IMAGE),
    Option(
        "health",
        {"type": "dict", "options": HEALTH_SPEC},
        ("Config", "Healthcheck"),
        _own(v.make_health),
        v.as_health,
        FROM_IMAGE,
    ),
    Option(
        "restart_policy",
        {"type": "str", "choices": POLICIES, "default": "unless-stopped"},
        (HOST, "RestartPolicy"),
        _restart,
        v.as_restart,
        live=True,
    ),
    Option("restart_retries", {"type": "int", "default": 0}),
    Option("stop_signal", TEXT, ("Config", "StopSignal"), show=v.as_signal, unset=FROM_IMAGE),
    Option("stop_timeout", {"type": "int", "default": 10}, ("Config", "StopTimeout"), show=v.as_grace),
    Option("log_driver", TEXT, (HOST, "LogConfig", "Type"), show=v.as_text, unset=FROM_ENGINE),
    Option(
        "log_options",
        MAP,
        (HOST, "LogConfig", "Config"),
        _own(v.make_text_map),
        v.as_map,
        FROM_ENGINE,
        keyed=True,
    ),
    Option("devices", _strings(), (HOST, "Devices"), _own(v.make_devices), v.as_devices, unset=[]),
    Option("read_only", OFF, (HOST, "ReadonlyRootfs"), show=bool, unset=False),
    Option("storage_opt", {"type": "dict", "options": {"size": TEXT}}, (HOST, "StorageOpt"),
           _own(v.make_storage), v.as_map, unset={}),
    Option("shm_size", TEXT, (HOST, "ShmSize"), _own(parse_size), v.as_number, FROM_ENGINE),
    Option("pids_limit", {"type": "int"}, (HOST, "PidsLimit"), show=v.as_limit, live=True),
    Option("init", {"type": "bool"}, (HOST, "Init")),
    Option("runtime", TEXT, (HOST, "Runtime"), show=v.as_text, unset=FROM_ENGINE),
    Option("tty", OFF, ("Config", "Tty"), show=bool, unset=False),
    Option("interactive", OFF, ("Config", "OpenStdin"), show=bool, unset=False),
    # Wired by links/, beside the engine.
    Option("links", {"type": "list", "elements": "dict", "options": LINK_SPEC}),
    Option("hostname", TEXT, ("Config", "Hostname"), _hostname, always=True),
    Option("extra_hosts", MAP, (HOST, "ExtraHosts"), _own(v.make_hosts), v.as_sorted, unset=[]),
    Option("dns", _strings(), (HOST, "Dns"), show=v.as_list, unset=[]),
    Option("dns_search", _strings(), (HOST, "DnsSearch"), show=v.as_list, unset=[]),
    Option("dns_options", _strings(), (HOST, "DnsOptions"), show=v.as_list, unset=[]),
)

# The disk of an instance, as its container gets it.
DATA_SPEC = {
    "path": {"type": "str", "required": True},
    "fs": {"type": "str", "choices": ["ext4", "xfs"]},
    "owner": TEXT,
    "group": TEXT,
    "mode": TEXT,
    "snapshots": {"type": "int"},
}
# Further disks of an instance, each with a size of its own.
VOLUME_SPEC = {
    "name": {"type": "str", "required": True},
    "size": {"type": "str", "required": True},
    **DATA_SPEC,
}
# Who an instance is, and what it was promised; beside the options above.
IDENTITY_SPEC = {
    "name": {"type": "str", "required": True},
    "cluster": {"type": "str", "required": True},
    "group": {"type": "str", "required": True},
    "index": {"type": "int", "required": True},
    "state": {"type": "str", "choices": ["started", "stopped", "reserved"], "default": "started"},
    "grade": TEXT,
    "type": TEXT,
    "digest": TEXT,
    "claims": MAP,
    "cores": NUMBERS,
    "disk": TEXT,
    "data": {"type": "dict", "options": DATA_SPEC},
    "volumes": {"type": "list", "elements": "dict", "options": VOLUME_SPEC},
    "resources": MAP,
    "address": TEXT,
    "address6": TEXT,
    "image": {"type": "str", "required": True},
}
INSTANCE_SPEC = {**IDENTITY_SPEC, **{option.name: option.spec for option in OPTIONS if option.spec is not None}}
