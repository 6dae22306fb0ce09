# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run on hosts without Ansible, packed from modules."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from importlib import import_module

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common import program

#: Modules as they lie below ``module_utils``: what is imported relatively, in every way that one can.
TREE = {
    "__init__.py": "raise RuntimeError('the root is never run')\n",
    "room/__init__.py": "NAME = 'room'\n",
    "room/entry.py": (
        "import sys\n"
        "from ..common.words import GREETING\n"
        "from . import NAME, beside\n"
        "def main():\n"
        "    from .late import STATUS\n"
        "    print(GREETING, NAME, beside.WORD, *sys.argv[1:])\n"
        "    return STATUS\n"
    ),
    "room/beside.py": "from ..common import words\nWORD = words.GREETING.upper()\n",
    "room/late.py": "STATUS = 3\n",
    "room/stranger.py": "import nothing_that_is_installed\n",
    "common/__init__.py": "",
    "common/words.py": "GREETING = 'hello'\n",
    "common/unused.py": "",
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tree of modules of its own in the place of ``module_utils``."""
    for path, text in TREE.items():
        file = tmp_path / "packed_tree" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("" if path == "__init__.py" else text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(program, "_ROOT", "packed_tree")
    yield tmp_path / "packed_tree"
    for name in [name for name in sys.modules if name.partition(".")[0] == "packed_tree"]:
        del sys.modules[name]


def built(interpreter="/usr/bin/env python3"):
    return program.build(import_module("packed_tree.room.entry"), interpreter)


def names_in(content):
    return sorted(zipfile.ZipFile(io.BytesIO(content)).namelist())


def test_a_program_holds_what_its_entrance_imports_and_nothing_else(tree):
    assert names_in(built()) == [
        "__main__.py",
        "stowage_host/__init__.py",
        "stowage_host/common/__init__.py",
        "stowage_host/common/words.py",
        "stowage_host/room/__init__.py",
        "stowage_host/room/beside.py",
        "stowage_host/room/entry.py",
        "stowage_host/room/late.py",
    ]


def test_a_program_begins_with_its_interpreter(tree):
    assert built().startswith(b"#!/usr/bin/env python3\n")


def test_a_program_runs_alone_and_its_exit_status_is_that_of_main(tree, tmp_path):
    path = tmp_path / "program"
    program.install(str(path), built(sys.executable))
    done = subprocess.run([str(path), "you"], capture_output=True, text=True, check=False, cwd="/", env={})
    assert (done.returncode, done.stdout) == (3, "hello room HELLO you\n")


def test_the_root_package_of_a_program_is_empty(tree):
    # What stands there on the controller, such as the collection's own marks, has no business on a host.
    (tree / "__init__.py").write_text("WORDS = 'of the controller'\n")
    assert zipfile.ZipFile(io.BytesIO(built())).read("stowage_host/__init__.py") == b""


def test_the_same_code_makes_the_same_bytes(tree):
    assert built() == built()


def test_other_code_makes_other_bytes(tree):
    before = built()
    (tree / "common/words.py").write_text("GREETING = 'good day'\n")
    assert built() != before


def test_installing_writes_an_executable_once(tmp_path):
    path = tmp_path / "folder/program"
    assert program.install(str(path), b"one")
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o777 == 0o755
    assert not program.install(str(path), b"one")


def test_installing_replaces_what_differs(tmp_path):
    (tmp_path / "program").write_bytes(b"one")
    assert program.install(str(tmp_path / "program"), b"two")
    assert (tmp_path / "program").read_bytes() == b"two"


def test_check_mode_says_what_would_be_installed_and_writes_nothing(tmp_path):
    assert program.install(str(tmp_path / "program"), b"one", check_mode=True)
    assert list(tmp_path.iterdir()) == []
