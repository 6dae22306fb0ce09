# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters and modules of a host: what is wanted, what runs, and what the kernel refuses.

What the kernel lacks is no error here. It is named in the result, so that one role serves a big server, a small
virtual machine and a system container alike.
"""

from __future__ import annotations

import gzip
import os
import platform

from ansible_collections.stowage.fleet.plugins.module_utils.common.files import read_text, remove, write_text

HEADER = "# Written by stowage.fleet. Changes made here are overwritten by its next run.\n"

# Parameters that a container has of its own: those of its network and IPC namespaces (man 7 namespaces). All
# others belong to the machine, so a container that sets them changes its neighbours.
NAMESPACED = ("net.", "fs.mqueue.", "kernel.msg", "kernel.sem", "kernel.shm")

# Where the build option of a module is not just its name in capitals.
BUILD_OPTIONS = {"8021q": "VLAN_8021Q", "br_netfilter": "BRIDGE_NETFILTER", "overlay": "OVERLAY_FS",
                 "wireguard": "WIREGUARD", "xfs": "XFS_FS", "btrfs": "BTRFS_FS", "ext4": "EXT4_FS",
                 "loop": "BLK_DEV_LOOP", "nf_conntrack": "NF_CONNTRACK", "openvswitch": "OPENVSWITCH"}


class Kernel:
    """The running kernel, as seen from below ``root``. ``run`` takes an argument list, returns ``(rc, out, err)``."""

    def __init__(self, run, root="/"):
        self.run = run
        self.root = root
        self.release = platform.release()
        self._build = None

    def path(self, *parts):
        """Return the path of a kernel or configuration file below the root."""
        return os.path.join(self.root, *parts)

    def parameter_path(self, name):
        """Return the file behind a parameter; as with sysctl, ``a/b.c`` keeps the dot inside an interface's name."""
        first = next((c for c in name if c in "./"), ".")
        return self.path("proc/sys", name if first == "/" else name.translate(str.maketrans("./", "/.")))

    def parameter(self, name):
        """Return a parameter's value with single blanks; ``None`` where this kernel has no such parameter."""
        text = read_text(self.parameter_path(name))
        return None if text is None else " ".join(text.split())

    def set_parameter(self, name, value):
        """Write a parameter's value. Raises ``OSError`` where the kernel refuses it."""
        with open(self.parameter_path(name), "w", encoding="utf-8") as stream:
            stream.write(value)

    def has_module(self, name):
        """Say whether a module is loaded or built in."""
        return os.path.isdir(self.path("sys/module", name.replace("-", "_"))) or self.built_in(name)

    def built_in(self, name):
        """Say whether the kernel was built with the module inside, as far as it tells (its index or its options)."""
        names = {name.replace("-", "_"), name.replace("_", "-")}
        index = read_text(self.path("lib/modules", self.release, "modules.builtin")) or ""
        if any(line.rpartition("/")[2].partition(".ko")[0] in names for line in index.splitlines()):
            return True
        option = BUILD_OPTIONS.get(name, name.upper().replace("-", "_"))
        return f"CONFIG_{option}=y" in self.build_options()

    def build_options(self):
        """Return the lines of the kernel's build configuration; empty where it is not published."""
        if self._build is None:
            try:
                with gzip.open(self.path("proc/config.gz"), "rt", encoding="utf-8") as stream:
                    text = stream.read()
            except OSError:
                text = read_text(self.path("boot", f"config-{self.release}")) or ""
            self._build = frozenset(text.splitlines())
        return self._build

    def load_module(self, name, dry_run=False):
        """Load a module and say whether that worked; with ``dry_run``, whether it could be."""
        return self.run(["modprobe", "--quiet"] + (["--dry-run"] if dry_run else []) + [name])[0] == 0

    def loads_modules(self):
        """Say whether modules for the running kernel are installed here (a container has none)."""
        return os.path.isdir(self.path("lib/modules", self.release))


class Settings:
    """Brings modules, parameters and their files to what is wanted, and keeps account of it.

    :arg kernel: a ``Kernel``
    :arg machine_wide: whether parameters that belong to the whole machine may be set (false inside a container)
    :arg check_mode: look, and touch nothing
    """

    def __init__(self, kernel, machine_wide=True, check_mode=False):
        self.kernel = kernel
        self.machine_wide = machine_wide
        self.check_mode = check_mode
        self.before, self.after = {}, {}
        self.loaded, self.missing, self.refused, self.skipped = [], [], [], []

    def modules(self, names, path):
        """Load the modules ``names`` now, and at boot through the file ``path``."""
        for name in names:
            if self.kernel.has_module(name):
                continue
            if self.kernel.load_module(name, dry_run=self.check_mode):
                self.loaded.append(name)
                self._differs(f"module {name}", "absent", "loaded")
            else:
                self.missing.append(name)
        # Naming a missing module there would leave every boot degraded.
        kept = [name for name in names if name not in self.missing] if self.kernel.loads_modules() else []
        self._file(path, "".join(f"{name}\n" for name in kept))

    def parameters(self, wanted, path):
        """Set the parameters ``wanted`` (name to value) now, and at boot through the file ``path``."""
        lines = []
        for name, value in wanted.items():
            value = " ".join(str(value).split())
            if not self._ours(name):
                self.skipped.append(name)
                continue
            reason = self._parameter(name, value)
            if reason:
                self.refused.append({"name": name, "value": value, "reason": reason})
            # A leading minus tells systemd-sysctl and sysctl to go on when the kernel refuses the line.
            lines.append(f"{'-' if reason else ''}{name} = {value}\n")
        self._file(path, "".join(lines))

    def _ours(self, name):
        if self.machine_wide:
            return True
        # Some net.* parameters exist only in the machine's own network namespace.
        return name.replace("/", ".").startswith(NAMESPACED) and (
            self.kernel.parameter(name) is not None or bool(self.loaded and self.check_mode))

    def _parameter(self, name, value):
        """Set one parameter; return why the kernel refused it, or ``None``."""
        before = self.kernel.parameter(name)
        if before == value:
            return None
        if self.check_mode:
            # A module that is yet to be loaded may bring the parameter with it.
            if before is None and not self.loaded:
                return "this kernel has no such parameter"
            self._differs(name, before, value)
            return None
        if before is None:
            return "this kernel has no such parameter"
        try:
            self.kernel.set_parameter(name, value)
        except OSError as error:
            return f"the kernel refused it: {error.strerror}"
        after = self.kernel.parameter(name)
        if after != before:
            self._differs(name, before, after)
        return None if after == value else f"the kernel keeps {after}"

    def _file(self, path, body):
        path_here = self.kernel.path(path.lstrip("/"))
        before = read_text(path_here)
        after = HEADER + body if body else None
        if before == after:
            return
        self._differs(path, before, after)
        if self.check_mode:
            return
        if after is None:
            remove(path_here)
        else:
            write_text(path_here, after)

    def _differs(self, name, before, after):
        self.before[name], self.after[name] = before, after

    def result(self):
        """Return the module's result: what changed, and all that the kernel lacks or refuses."""
        return {"changed": self.before != self.after,
                "diff": {"before": self.before, "after": self.after},
                "loaded_modules": self.loaded, "missing_modules": self.missing,
                "refused_parameters": self.refused, "skipped_parameters": self.skipped}

    def complaints(self):
        """Return one sentence for each kind of thing that the kernel lacks."""
        sentences = []
        if self.missing:
            sentences.append(f"The kernel lacks these modules: {', '.join(self.missing)}.")
        if self.refused:
            named = "; ".join(f"{r['name']} = {r['value']} ({r['reason']})" for r in self.refused)
            sentences.append(f"The kernel refused these parameters, all others are set: {named}.")
        return sentences
