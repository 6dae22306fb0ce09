# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packet filters of a network namespace: nft, run inside the namespace of a process."""

from __future__ import annotations

import hashlib
import os
import subprocess

from ...common.errors import HostError
from .rules import TABLES

_TIMEOUT = 30
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def load(pid, text):
    """Replace our tables in the namespace of the process ``pid`` by ``text``, all at once or not at all.

    :raises HostError: when the namespace is the host's own, or nft refuses; nothing has changed then.
    """
    _nft(pid, ["-f", "-"], text)


def listing(pid):
    """Return our tables as the kernel has them, as text; what is missing is missing there too."""
    kept, lines = False, []
    for line in _nft(pid, ["-n", "list", "ruleset"]).splitlines():
        if line.startswith("table "):
            kept = tuple(line.split()[1:3]) in TABLES
        if kept:
            lines.append(line)
    return "\n".join(lines)


def fingerprint(pid):
    """Return what tells our tables, as the kernel has them, from any others."""
    return hashlib.sha256(listing(pid).encode("utf-8")).hexdigest()


def _nft(pid, arguments, text=None):
    namespace = f"/proc/{pid}/ns/net"
    try:
        if os.path.samefile(namespace, "/proc/self/ns/net"):
            raise HostError("the container shares the host's network, where nothing of it can be filtered")
        # The module has no run_command where the engine starts a container, and both run this.
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(["nsenter", f"--net={namespace}", "nft", *arguments], input=text, capture_output=True,
                              text=True, timeout=_TIMEOUT, check=False, env={"PATH": _PATH})
    except FileNotFoundError as error:
        raise HostError(f"{error.filename} is not there: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise HostError(f"nft did not answer within {_TIMEOUT} s") from error
    if done.returncode:
        raise HostError(f"nft refused: {' '.join(done.stderr.split())[:500]}")
    return done.stdout
