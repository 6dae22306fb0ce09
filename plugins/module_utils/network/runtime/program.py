# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that the engine calls when it makes a container, and the script that calls it."""

from __future__ import annotations

import os

from ...common import program
from ...common.files import read_text, write_text
from .. import specs
from . import oci

FOLDER = "/usr/local/lib/stowage"
PROGRAM = "network.pyz"
RUNTIME = "runtime"
_PYTHON = "/usr/bin/python3 -IS"
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
    return program.build(oci, _PYTHON)


def install(folder=FOLDER, check_mode=False):
    """Write the program and the runtime that calls it where they differ; return the paths that did."""
    path, script = os.path.join(folder, PROGRAM), os.path.join(folder, RUNTIME)
    changed = [path] if program.install(path, build(), check_mode) else []
    text = _SCRIPT.format(program=path, specs=specs.FOLDER)
    if read_text(script) != text:
        changed.append(script)
        if not check_mode:
            write_text(script, text, mode=0o755)
    return changed
