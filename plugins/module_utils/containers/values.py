# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of container options: how each reaches the engine (``make_*``), and what makes two of them equal (``as_*``).

``make_*`` turn what the operator wrote into the engine's JSON and raise InvalidInput saying what was expected.
``as_*`` turn the engine's JSON, whether it is about to be sent or comes from inspect, into a form that can be compared
and shown: the engine's several ways to write one thing all become the same.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
import shlex

from ..common.cpulist import parse_cpulist
from ..common.durations import parse_duration
from ..common.errors import InvalidInput
from ..common.labels import PREFIX
from ..common.sizes import parse_size
from ..engine.client import load_sdk

_LAST_PORT = 65535
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
# A name of an image: https://github.com/distribution/reference, and an id as well.
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/|\[[0-9a-fA-F:]+\](?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[a-z0-9+._-]+:[0-9a-fA-F]{32,})?"
)


def is_anonymous(volume):
    """Say whether a volume's name is one that the engine made up."""
    return bool(_ANONYMOUS.fullmatch(volume or ""))


# -- from the operator to the engine ---------------------------------------------------------------------------------


def check_image(name):
    """Return the name of an image as it is, or refuse what no engine would take."""
    if len(name) > 4096 or not _IMAGE.fullmatch(name):
        raise InvalidInput(f"image: {name[:80]!r} can't name an image; expected a name such as "
                           "registry.example:5000/team/web:1.2, in lower case but for the tag")
    return name


def make_words(value):
    """A command: a list of words, or a string that is split as a shell would."""
    if isinstance(value, str):
        try:
            return shlex.split(value)
        except ValueError as error:
            raise InvalidInput(f"{value!r} can't be split into words: {error}") from error
    if isinstance(value, list) and not any(isinstance(word, (dict, list, bool)) or word is None for word in value):
        return [str(word) for word in value]
    raise InvalidInput(f"{value!r} is not a command; expected a list of strings, or one string")


def make_text_map(value):
    """A dictionary whose values are text; whole numbers are taken as such, since they read back the same."""
    bad = {key: item for key, item in value.items() if isinstance(item, bool) or not isinstance(item, (str, int))}
    if bad:
        # Not the values: variables hold passwords.
        said = ", ".join(f"{key} is a {type(item).__name__}" for key, item in bad.items())
        raise InvalidInput(f"{said}; expected strings or whole numbers (put the value in quotes)")
    return {str(key): str(item) for key, item in value.items()}


def make_storage(value):
    """Options of the storage driver: the engine takes bytes as text, and drops what is not set."""
    return {key: str(parse_size(item)) for key, item in value.items() if item is not None}


def make_env(value):
    """Environment variables as the engine's list of ``NAME=value``."""
    bad = [str(name) for name in value if not str(name) or "=" in str(name)]
    if bad:
        raise InvalidInput(f"{bad[0]!r} is not a name of a variable; expected one without an equals sign")
    return [f"{name}={text}" for name, text in sorted(make_text_map(value).items())]


def make_labels(value):
    """Labels of the operator; ours are added elsewhere."""
    bad = [str(name) for name in value if str(name).startswith(PREFIX)]
    if bad:
        raise InvalidInput(f"{bad[0]} is reserved; expected labels that do not start with {PREFIX}")
    return make_text_map(value)


def make_mounts(value):
    """Mounts in the engine's form."""
    targets = [mount["target"] for mount in value]
    for target in targets:
        if not target.startswith("/") or targets.count(target) > 1:
            raise InvalidInput(f"target {target!r}; expected an absolute path, each only once")
    return [_make_mount(mount) for mount in value]


def _make_mount(mount):
    source = mount.get("source") or ""
    kind = mount.get("type") or ("bind" if source.startswith("/") else "volume")
    made = {"Type": kind, "Source": source, "Target": mount["target"], "ReadOnly": bool(mount.get("read_only"))}
    if kind == "bind":
        if not source.startswith("/"):
            raise InvalidInput(f"source {source!r} of {mount['target']}; expected an absolute path on the host")
        if mount.get("propagation"):
            made["BindOptions"] = {"Propagation": mount["propagation"]}
    elif kind == "volume":
        if source.startswith("/"):
            raise InvalidInput(f"source {source!r} of {mount['target']}; expected the name of a volume")
        if mount.get("no_copy"):
            made["VolumeOptions"] = {"NoCopy": True}
    else:
        options = {}
        if mount.get("tmpfs_size"):
            options["SizeBytes"] = parse_size(mount["tmpfs_size"])
        if mount.get("tmpfs_mode"):
            options["Mode"] = _octal(mount["tmpfs_mode"])
        if options:
            made["TmpfsOptions"] = options
    return made


def _octal(text):
    if not re.fullmatch("[0-7]{1,4}", text):
        raise InvalidInput(f"mode {text!r}; expected octal digits such as 1777")
    return int(text, 8)


def make_tmpfs(value):
    """Memory file systems as path: options."""
    made = {}
    for entry in value:
        path, _colon, options = entry.partition(":")
        if not path.startswith("/"):
            raise InvalidInput(f"{entry!r}; expected an absolute path, then perhaps a colon and options")
        made[path] = options
    return made


def make_ports(value):
    """Published ports as container port: [{HostIp, HostPort}]. The SDK knows the notation."""
    made = {}
    try:
        bindings = load_sdk().utils.ports.build_port_bindings(value)
    except ValueError as error:
        raise InvalidInput(f"{error}; expected [[address:]host port:]container port[/protocol]") from error
    for port, places in bindings.items():
        key = port if "/" in port else f"{port}/tcp"
        made[key] = [_make_place(place) for place in places]
        for number in [port.partition("/")[0], *(place["HostPort"] for place in made[key])]:
            if number.isdigit() and int(number) > _LAST_PORT:
                raise InvalidInput(f"{number} is no port; expected a number up to {_LAST_PORT}")
    return made


def _make_place(place):
    address, port = place if isinstance(place, tuple) else ("", place)
    return {"HostIp": address or "", "HostPort": str(port or "")}


def make_ulimits(value):
    """Limits in the engine's form; a limit of -1 is none."""
    names = [limit["name"] for limit in value]
    if len(set(names)) < len(names):
        raise InvalidInput(f"{', '.join(names)}; expected each name only once")
    made = []
    for limit in value:
        hard = limit["soft"] if limit.get("hard") is None else limit["hard"]
        if -1 < hard < limit["soft"]:
            raise InvalidInput(f"{limit['name']}: soft {limit['soft']} is above hard {hard}")
        made.append({"Name": limit["name"], "Soft": limit["soft"], "Hard": hard})
    return made


def make_health(value):
    """A health check in the engine's form; what is left out stays out, and the image's counts."""
    made = {}
    test = value.get("test")
    if test is not None:
        made["Test"] = _make_test(test)
    for name, field in (("interval", "Interval"), ("timeout", "Timeout"), ("start_period", "StartPeriod")):
        if value.get(name) is not None:
            try:
                made[field] = parse_duration(value[name])
            except InvalidInput as error:
                raise InvalidInput(f"{name}: {error}") from error
            if 0 < made[field] < 10**6:
                raise InvalidInput(f"{name}: {value[name]} is below 1ms, the least the engine takes")
    if value.get("retries") is not None:
        made["Retries"] = value["retries"]
    return made


def _make_test(test):
    if isinstance(test, str):
        return ["NONE"] if test.upper() == "NONE" else ["CMD-SHELL", test]
    words = make_words(test)
    if not words:
        raise InvalidInput("test: is empty; expected a command, or NONE")
    return words if words[0] in ("CMD", "CMD-SHELL", "NONE") else ["CMD", *words]


def make_devices(value):
    """Devices in the engine's form."""
    made = []
    for entry in value:
        outside, _colon, rest = entry.partition(":")
        inside, _colon, rights = rest.rpartition(":") if ":" in rest or re.fullmatch("[rwm]+", rest) else (rest, "", "")
        if not outside.startswith("/") or not re.fullmatch("[rwm]*", rights):
            raise InvalidInput(f"{entry!r}; expected path[:path in the container[:rwm]]")
        made.append(
            {"PathOnHost": outside, "PathInContainer": inside or outside, "CgroupPermissions": rights or "rwm"}
        )
    return made


def make_hosts(value):
    """Further lines of /etc/hosts as ``name:address``."""
    return [f"{name}:{address}" for name, address in sorted(make_text_map(value).items())]


def make_address(value):
    """An IPv4 address, written the one usual way."""
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError as error:
        raise InvalidInput(f"{value!r} is not an IPv4 address") from error


def make_address6(value):
    """An IPv6 address, written the one usual way."""
    try:
        return str(ipaddress.IPv6Address(value))
    except ValueError as error:
        raise InvalidInput(f"{value!r} is not an IPv6 address") from error


def make_cpulist(value):
    """Cores, or NUMA nodes, as the kernel's list: ``0,2``."""
    if any(number < 0 for number in value):
        raise InvalidInput(f"{value}; expected numbers from 0")
    return ",".join(str(number) for number in sorted(set(value)))


# -- from the engine to something to compare and show ----------------------------------------------------------------


def as_is(value):
    """Nothing to even out."""
    return value


def as_list(value):
    """The engine says null or [] for nothing."""
    return list(value or [])


def as_sorted(value):
    """A list whose order means nothing."""
    return sorted(value or [])


def as_map(value):
    """The engine says null or {} for nothing."""
    return dict(value or {})


def as_text(value):
    """The engine says null or "" for nothing."""
    return value or ""


def as_number(value):
    """The engine says null or 0 for no limit."""
    return value or 0


def as_limit(value):
    """No limit can be null, 0 or -1."""
    return value if value and value > 0 else -1


def as_env(value):
    """Variables by name."""
    return dict(entry.partition("=")[::2] for entry in value or [])


def as_path(value):
    """A path without dots and doubled slashes, as the engine cleans it."""
    return posixpath.normpath(value) if value else ""


def as_signal(value):
    """A signal by its full name."""
    name = str(value or "SIGTERM").upper()
    return name if name.startswith("SIG") or name.isdigit() else f"SIG{name}"


def as_grace(value):
    """The engine's default grace period is 10 seconds."""
    return 10 if value is None else value


def as_capabilities(value):
    """Capabilities without the prefix that newer engines add."""
    return sorted({name.upper().replace("CAP_", "", 1) for name in value or []})


def as_security(value):
    """Security options; the oldest notation has a colon, and a right that is not given up is no option."""
    names = {re.sub("^([^=:]+):", r"\1=", option) for option in value or []}
    if "no-new-privileges=true" in names:
        names.add("no-new-privileges")
    # The engine itself adds label=disable to privileged containers.
    return sorted(names - {"no-new-privileges=true", "no-new-privileges=false", "label=disable"})


def as_cpulist(value):
    """A kernel's list of cores (``0-2,5``) as numbers; empty means all."""
    return parse_cpulist(value)


def as_health(value):
    """A health check with all fields, in nanoseconds."""
    value = value or {}
    test = list(value.get("Test") or [])
    if not test or test[0] == "NONE":
        return {"test": ["NONE"]}
    return {
        "test": test,
        "interval": value.get("Interval") or 0,
        "timeout": value.get("Timeout") or 0,
        "start_period": value.get("StartPeriod") or 0,
        "retries": value.get("Retries") or 0,
    }


def as_mounts(value):
    """Mounts by target. A volume whose name the engine made up counts as one without a name."""
    return {mount["Target"]: _as_mount(mount) for mount in value or []}


def _as_mount(mount):
    source = mount.get("Source") or ""
    tmpfs = mount.get("TmpfsOptions") or {}
    shown = {
        "type": mount.get("Type"),
        "source": "" if mount.get("Type") == "volume" and is_anonymous(source) else source,
        "read_only": bool(mount.get("ReadOnly")),
    }
    more = {
        "propagation": (mount.get("BindOptions") or {}).get("Propagation"),
        "no_copy": (mount.get("VolumeOptions") or {}).get("NoCopy"),
        "tmpfs_size": tmpfs.get("SizeBytes"),
        "tmpfs_mode": tmpfs.get("Mode"),
    }
    shown.update({name: item for name, item in more.items() if item})
    return shown


def as_ports(value):
    """Published ports by container port."""
    return {
        port: sorted((place.get("HostIp") or "", place.get("HostPort") or "") for place in places or [])
        for port, places in (value or {}).items()
    }


def as_ulimits(value):
    """Limits by name."""
    return {limit["Name"]: f"{limit.get('Soft', 0)}:{limit.get('Hard', 0)}" for limit in value or []}


def as_devices(value):
    """Devices as they are written in options."""
    return sorted(f"{d['PathOnHost']}:{d['PathInContainer']}:{d['CgroupPermissions']}" for d in value or [])


def as_restart(value):
    """A restart policy; the engine says "" or "no" for none."""
    value = value or {}
    policy = value.get("Name") or "no"
    retries = value.get("MaximumRetryCount") or 0
    return f"{policy}:{retries}" if policy == "on-failure" and retries else policy


def as_network(value):
    """A network mode; the engine says "", "default" or "bridge" for its default."""
    return "bridge" if value in (None, "", "default") else value
