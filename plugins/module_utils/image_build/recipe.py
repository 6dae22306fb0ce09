# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operating system image is made of: the recipe, its digest, and the mmdebstrap call that cooks it.

Pure: nothing here runs a program or talks to an engine. Files named by ``src`` are read, since their content is
part of the recipe.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import time
from dataclasses import dataclass, field

from ..common.errors import InvalidInput

# Written to the image as a label. A change of FORMAT rebuilds every image, so raise it only when what is built changes.
RECIPE_LABEL = "stowage.recipe"
FORMAT = 1
STAGES = ("setup", "extract", "essential", "customize")
DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_DOCUMENTATION = ("doc", "info", "lintian", "locale", "man")
_REFERENCE = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
)
_ROOT_KEYS = (
    "suite", "packages", "variant", "mirrors", "components", "architecture", "documentation", "files", "commands",
    "hooks", "apt_options", "dpkg_options", "timestamp",
)
_CONFIG_KEYS = (
    "cmd", "entrypoint", "env", "user", "working_dir", "labels", "exposed_ports", "volumes", "stop_signal", "health",
)


@dataclass(frozen=True)
class File:
    """A file that is added to the image: absolute path, content, permission bits and numeric owner."""

    dest: str
    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0

    def describe(self):
        """Return what the digest and the diff show of the file: its content only as a SHA-256."""
        return {
            "dest": self.dest,
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "mode": f"{self.mode:04o}",
            "uid": self.uid,
            "gid": self.gid,
        }


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what an image holds. ``options`` are the module's, by their names."""

    name: str
    options: dict = field(default_factory=dict)
    files: tuple = ()

    @classmethod
    def from_options(cls, options):
        """Read a recipe from module options.

        :raises InvalidInput: with one sentence for each thing that is wrong.
        """
        problems = []
        name = _read_reference(options["name"], problems)
        files = tuple(_read_files(options.get("files") or [], problems))
        if not options.get("suite"):
            problems.append("suite: is missing; expected the name of a release, such as bookworm")
        for index, package in enumerate(options.get("packages") or []):
            if not re.fullmatch(r"[a-z0-9?~!][^\s,]*", package):
                problems.append(f"packages[{index}]: {package!r} is not a package; expected a name such as nginx-light")
        if problems:
            raise InvalidInput(problems)
        return cls(name=name, options=dict(options), files=files)

    def root(self):
        """Return the part of the recipe that decides what the root file system holds."""
        chosen = {key: self.options[key] for key in _ROOT_KEYS if self.options.get(key) not in (None, [], {})}
        chosen["packages"] = sorted(set(self.options.get("packages") or []))
        chosen["files"] = [item.describe() for item in self.files]
        return chosen

    def config(self):
        """Return the part of the recipe that decides how a container of the image starts."""
        return {key: self.options[key] for key in _CONFIG_KEYS if self.options.get(key) not in (None, [], {})}

    def describe(self):
        """Return the whole recipe as plain data, for the diff."""
        return {"format": FORMAT, "root": self.root(), "config": self.config()}

    @property
    def root_digest(self):
        """32 hex digits that name the root file system in the cache."""
        return _digest({"format": FORMAT, "root": self.root()})

    @property
    def digest(self):
        """32 hex digits of the whole recipe; equal digests mean that there is nothing to do."""
        return _digest(self.describe())

    def label(self):
        """Return the text of the label that remembers the recipe: compact JSON with the digest first to read."""
        return _canonical({"digest": self.digest, "recipe": self.describe()})

    def image_config(self, diff_id):
        """Return the image's configuration as the Docker image specification v1.2 has it.

        ``diff_id`` is ``sha256:`` and the digest of the uncompressed layer. The same layer and recipe give the same
        bytes, and so the same image id, on every machine.
        """
        option = self.options.get
        created = _utc(option("timestamp") or 0)
        config = {
            "Cmd": option("cmd") or None,
            "Entrypoint": option("entrypoint") or None,
            "Env": [f"{key}={value}" for key, value in sorted(_environment(option("env")).items())],
            "User": option("user") or "",
            "WorkingDir": option("working_dir") or "",
            "Labels": dict(option("labels") or {}, **{RECIPE_LABEL: self.label()}),
            "ExposedPorts": {_port(port): {} for port in option("exposed_ports") or []} or None,
            "Volumes": {path: {} for path in option("volumes") or []} or None,
        }
        if option("stop_signal"):
            config["StopSignal"] = option("stop_signal")
        if option("health"):
            config["Healthcheck"] = _health(option("health"))
        return {
            "architecture": option("architecture") or _architecture(),
            "os": "linux",
            "created": created,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": created, "created_by": f"stowage.fleet.base_image {option('suite')}"}],
        }

    def command(self, files_archive, program="mmdebstrap"):
        """Return the mmdebstrap call that writes the root file system as a tar to standard output."""
        option = self.options.get
        call = [program, "--format=tar", f"--variant={option('variant') or 'minbase'}"]
        if option("packages"):
            call.append("--include=" + ",".join(sorted(set(option("packages")))))
        if option("components"):
            call.append("--components=" + ",".join(option("components")))
        if option("architecture"):
            call.append("--architectures=" + option("architecture"))
        call += [f"--keyring={path}" for path in self.keyrings()]
        call += [f"--aptopt={text}" for text in option("apt_options") or []]
        call += [f"--dpkgopt={text}" for text in self._dpkg_options()]
        hooks = option("hooks") or []
        call += [f"--{item['stage']}-hook={item['command']}" for item in hooks if item["stage"] != "customize"]
        if self.files:
            call.append(f"--customize-hook=tar-in {shlex.quote(files_archive)} /")
        for text in option("commands") or []:
            call.append(f'--customize-hook=chroot "$1" /bin/sh -eu -c {shlex.quote(text)}')
        call += [f"--customize-hook={item['command']}" for item in hooks if item["stage"] == "customize"]
        # ldconfig's cache of inodes differs from build to build, and is made anew when it is missing.
        call.append('--customize-hook=rm -f "$1/var/cache/ldconfig/aux-cache"')
        return [*call, option("suite"), "-", *(option("mirrors") or [])]

    def keyrings(self):
        """Return the keyrings given; without any, and without a mirror, Debian's own where it is installed.

        apt trusts the keys of the running release only, so building a newer release needs the whole keyring.
        """
        if self.options.get("keyrings"):
            return self.options["keyrings"]
        return [] if self.options.get("mirrors") or not os.path.exists(DEBIAN_KEYRING) else [DEBIAN_KEYRING]

    def _dpkg_options(self):
        given = list(self.options.get("dpkg_options") or [])
        if self.options.get("documentation"):
            return given
        excluded = [f"path-exclude=/usr/share/{name}/*" for name in _DOCUMENTATION]
        # Licences stay: whoever passes the image on has to pass them on too. So do the empty folders of manual pages,
        # without which packages that offer alternatives (Java's, for one) can't be set up.
        return excluded + ["path-include=/usr/share/doc/*/copyright", "path-include=/usr/share/man/man?", *given]


def read_label(labels):
    """Return (digest, recipe) from an image's labels, or (None, None) when base_image did not make it."""
    try:
        stored = json.loads((labels or {}).get(RECIPE_LABEL) or "")
        return stored["digest"], stored["recipe"]
    except (ValueError, KeyError, TypeError):
        return None, None


def _read_reference(text, problems):
    name = str(text or "")
    if not _REFERENCE.fullmatch(name):
        problems.append(f"name: {name!r} is not an image reference; expected something like stowage/redis:bookworm")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _read_files(items, problems):
    for index, item in enumerate(items):
        path = f"files[{index}]"
        dest = item.get("dest") or ""
        if not dest.startswith("/") or ".." in dest.split("/"):
            problems.append(f"{path}.dest: {dest!r} is not an absolute path inside the image")
            continue
        try:
            mode = int(str(item.get("mode") or "0644"), 8)
        except ValueError:
            problems.append(f"{path}.mode: {item.get('mode')!r} is not a mode; expected octal digits such as '0755'")
            continue
        try:
            content = _content(item)
        except OSError as error:
            problems.append(f"{path}.src: {error.filename} can't be read: {error.strerror}")
            continue
        yield File(dest, content, mode, item.get("uid") or 0, item.get("gid") or 0)


def _content(item):
    if item.get("src"):
        with open(os.path.expanduser(item["src"]), "rb") as stream:
            return stream.read()
    return (item.get("content") or "").encode("utf-8")


def _environment(env):
    """Return the environment with a PATH, without which the engine finds no command by its name."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, **{key: str(value) for key, value in (env or {}).items()}}


def _port(port):
    text = str(port)
    return text if "/" in text else f"{text}/tcp"


def _health(health):
    """Return a health check in the engine's form: its times count nanoseconds, ours seconds."""
    nano = 1_000_000_000
    form = {"Test": list(health["test"])}
    for key, name in (("interval", "Interval"), ("timeout", "Timeout"), ("start_period", "StartPeriod")):
        if health.get(key) is not None:
            form[name] = int(float(health[key]) * nano)
    if health.get("retries") is not None:
        form["Retries"] = int(health["retries"])
    return form


def _architecture():
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}.get(machine, machine)


def _utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _canonical(data):
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def _digest(data):
    return hashlib.sha256(_canonical(data).encode("utf-8")).hexdigest()[:32]
