# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that mounts the volumes at boot, when Ansible is not there, and the one that moves disks."""

from __future__ import annotations

from ..common import program
from . import boot, moves

_PYTHON = "/usr/bin/env python3"


def build(entry=boot):
    """Return the program that runs the ``main`` of ``boot``, or of ``moves``, as bytes."""
    return program.build(entry, _PYTHON)


def build_moves():
    """Return the program that hands disks over to another host, as bytes."""
    return build(moves)


def install(path, check_mode=False):
    """Write the boot program to ``path`` where it differs; return whether it did."""
    return program.install(path, build(), check_mode)
