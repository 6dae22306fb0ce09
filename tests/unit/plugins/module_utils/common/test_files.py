# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a host, read whole and replaced whole."""

from __future__ import annotations

import os
import stat

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common import files


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def umask():
    """A umask that takes rights away, as a hardened host has it."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_a_file_that_is_not_there_reads_as_none(tmp_path):
    assert files.read_text(str(tmp_path / "none")) is None


def test_what_is_written_reads_back(tmp_path):
    path = str(tmp_path / "file")
    files.write_text(path, "grüße\n")
    assert files.read_text(path) == "grüße\n"


def test_a_file_gets_the_mode_it_is_given_whatever_the_umask(tmp_path, umask):
    files.write_text(str(tmp_path / "text"), "x", mode=0o664)
    files.write_bytes(str(tmp_path / "program"), b"x", mode=0o755)
    assert (mode_of(tmp_path / "text"), mode_of(tmp_path / "program")) == (0o664, 0o755)


def test_bytes_are_for_their_owner_alone_unless_said(tmp_path):
    files.write_bytes(str(tmp_path / "record"), b"x")
    assert mode_of(tmp_path / "record") == 0o600


def test_replacing_a_file_changes_its_mode_too(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o666)
    files.write_text(str(path), "new", mode=0o600)
    assert (path.read_text(), mode_of(path)) == ("new", 0o600)


def test_folders_on_the_way_are_made_and_the_last_one_has_its_mode(tmp_path):
    files.write_text(str(tmp_path / "a/b/file"), "x", folder_mode=0o700)
    assert mode_of(tmp_path / "a/b") == 0o700
    assert (tmp_path / "a/b/file").read_text() == "x"


def test_a_write_leaves_nothing_beside_the_file(tmp_path):
    files.write_text(str(tmp_path / "file"), "one")
    files.write_text(str(tmp_path / "file"), "two")
    assert os.listdir(tmp_path) == ["file"]


def test_a_reader_keeps_the_old_file_while_it_is_replaced(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with open(path, encoding="utf-8") as reader:
        files.write_text(str(path), "new")
        assert reader.read() == "old"


@pytest.mark.parametrize("broken", ["fsync", "fchmod", "replace"])
def test_a_write_that_fails_leaves_the_old_content_and_no_draft(tmp_path, monkeypatch, broken):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, broken, fail)
    with pytest.raises(OSError, match="No space left"):
        files.write_text(str(path), "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_is_replaced_and_what_it_points_to_is_let_be(tmp_path):
    (tmp_path / "elsewhere").write_text("old")
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    files.write_text(str(tmp_path / "file"), "new")
    assert (tmp_path / "elsewhere").read_text() == "old"
    assert not (tmp_path / "file").is_symlink()


def test_removing_a_file_that_is_gone_already_is_fine(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    files.remove(str(path))
    files.remove(str(path))
    assert not path.exists()


class Module:
    """An Ansible module on a host that has only ``ip``."""

    def get_bin_path(self, name):
        return "/sbin/ip" if name == "ip" else None

    def run_command(self, args):
        return 0, f"ran {' '.join(args)}", ""


def test_a_command_is_run_by_the_module():
    assert files.runner(Module())(["ip", "link"]) == (0, "ran ip link", "")


def test_a_command_that_is_not_installed_is_one_that_failed():
    assert files.runner(Module())(["nft", "list"]) == (127, "", "nft is not installed")
