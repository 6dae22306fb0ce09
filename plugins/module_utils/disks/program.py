# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that mounts the volumes at boot: this room, packed into one file that Python runs.

Ansible is not there when a host boots. The program holds the very modules that the module ``volume`` runs, so there
is one code that mounts; one file is written in one step, and compared in one.
"""

from __future__ import annotations

import io
import os
import sys
import zipfile

from .. import errors, lock, sizes
from . import boot
from .pool import write_durably

_PACKAGE = "stowage_host"
_MAIN = """import sys
from {package}.disks.{entry} import main
sys.exit(main())
"""
# Zip knows no earlier moment; a fixed one makes equal programs equal bytes.
_MOMENT = (1980, 1, 1, 0, 0, 0)


def _sources(entry):
    """Return {path in the program: source} of all modules that it needs, wherever they were loaded from."""
    package = boot.__name__.rpartition(".")[0]
    main = _MAIN.format(package=_PACKAGE, entry=entry)
    sources = {"__main__.py": main, f"{_PACKAGE}/__init__.py": "", f"{_PACKAGE}/disks/__init__.py": "",
               **{f"{_PACKAGE}/{module.__name__.rpartition('.')[2]}.py": _source(module)
                  for module in (errors, lock, sizes)}}
    for name in sorted(sys.modules):
        if name.startswith(f"{package}.") and name != __name__:
            sources[f"{_PACKAGE}/disks/{name.rpartition('.')[2]}.py"] = _source(sys.modules[name])
    return sources


def _source(module):
    return module.__spec__.loader.get_source(module.__name__)


def build(entry="boot"):
    """Return the program as bytes; the same bytes for the same code. ``entry`` is the module whose main it runs."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, source in sorted(_sources(entry).items()):
            archive.writestr(zipfile.ZipInfo(path, _MOMENT), source, zipfile.ZIP_DEFLATED)
    return b"#!/usr/bin/env python3\n" + target.getvalue()


def install(path, check_mode=False):
    """Write the program to ``path`` where it differs; return whether it did."""
    program = build()
    try:
        with open(path, "rb") as handle:
            if handle.read() == program:
                return False
    except FileNotFoundError:
        pass
    if not check_mode:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        write_durably(path, program, mode=0o755)
    return True
