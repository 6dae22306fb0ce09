# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that the engine calls when it makes a container: this room, packed into one file that Python runs.

Ansible is not there when an engine starts containers. The program holds the very modules that Ansible's modules run.
"""

from __future__ import annotations

import io
import os
import zipfile

from .. import errors, files
from ..files import read_text, write_text
from ..links import attach, lease, wanted, wire
from . import namespace, rules, runtime, specs

FOLDER = "/usr/local/lib/stowage"
PROGRAM = "network.pyz"
RUNTIME = "runtime"
_PACKAGE = "stowage_host"
_MAIN = f"import sys\nfrom {_PACKAGE}.isolation.runtime import main\nsys.exit(main())\n"
# Zip knows no earlier moment; a fixed one makes equal programs equal bytes.
_MOMENT = (1980, 1, 1, 0, 0, 0)
# Making a container concerns us, and starting or deleting one that has links. All else goes to runc at once: this is
# called for every signal, too.
_SCRIPT = """#!/bin/sh
# Written by stowage.fleet. The engine calls this instead of runc, for containers whose network is filtered.
for word; do
  case $word in
    create) exec {program} create "$@" ;;
    start|delete)
      for last; do :; done
      [ ! -e "{specs}/$last.links" ] || exec {program} "$word" "$@"
      break ;;
    checkpoint|events|exec|features|kill|list|pause|ps|restore|resume|run|spec|state|update) break ;;
  esac
done
exec runc "$@"
"""


def build():
    """Return the program as bytes; the same bytes for the same code."""
    sources = {"__main__.py": _MAIN, f"{_PACKAGE}/__init__.py": "", f"{_PACKAGE}/isolation/__init__.py": "",
               f"{_PACKAGE}/links/__init__.py": "", f"{_PACKAGE}/errors.py": _source(errors),
               f"{_PACKAGE}/files.py": _source(files)}
    for module in (namespace, rules, runtime, specs, attach, lease, wanted, wire):
        room, name = module.__name__.split(".")[-2:]
        sources[f"{_PACKAGE}/{room}/{name}.py"] = _source(module)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, source in sorted(sources.items()):
            archive.writestr(zipfile.ZipInfo(path, _MOMENT), source, zipfile.ZIP_DEFLATED)
    return b"#!/usr/bin/python3 -IS\n" + target.getvalue()


def _source(module):
    return module.__spec__.loader.get_source(module.__name__)


def install(folder=FOLDER, check_mode=False):
    """Write the program and the runtime that calls it where they differ; return the paths that did."""
    program = os.path.join(folder, PROGRAM)
    script = os.path.join(folder, RUNTIME)
    changed = []
    content = build()
    if _bytes(program) != content:
        changed.append(program)
        if not check_mode:
            _write(program, content)
    text = _SCRIPT.format(program=program, specs=specs.FOLDER)
    if read_text(script) != text:
        changed.append(script)
        if not check_mode:
            write_text(script, text, mode=0o755)
    return changed


def _bytes(path):
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _write(path, content):
    """Replace the program in one step: an engine may be calling it right now."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    draft = f"{path}.new"
    with open(draft, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.chmod(draft, 0o755)
    os.replace(draft, path)
