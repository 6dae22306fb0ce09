# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into a container: what runs on its host, and how files get in and out.

The host is this machine, and its engine a script that runs on the spot what it is to run in a container: so every quote
is read by a real shell.
"""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible.errors import AnsibleError, AnsibleFileNotFound
from ansible.playbook.play_context import PlayContext
from ansible.plugins.doc_fragments.connection_pipelining import ModuleDocFragment as Pipelining

from ansible_collections.stowage.fleet.plugins.connection import container
from ansible_collections.stowage.fleet.plugins.doc_fragments.ssh import ModuleDocFragment as SSHOptions
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_options import with_options

NAME = "stowage.fleet.container"
# Writes down its words, then runs what comes after the name of the container.
ENGINE = """#!/bin/sh
printf '%s\\0' "$@" '' >> {diary}
while [ "$1" != acme_web_0 ]; do shift; done
shift
exec "$@"
"""


class Host:
    """A host that is reached without SSH; keeps what it is asked for."""

    def __init__(self, folder):
        self.diary = folder / "diary"
        self.engine = folder / "docker"
        self.engine.write_text(ENGINE.format(diary=self.diary))
        self.engine.chmod(0o755)
        self.asked = []

    def run(self, command, in_data=None, sudoable=True):
        self.asked.append({"input": in_data, "sudoable": sudoable})
        done = subprocess.run(command, shell=True, input=in_data or b"", capture_output=True, check=False,
                              env={**os.environ, "LC_ALL": "C"})
        return done.returncode, done.stdout, done.stderr

    @property
    def words(self):
        """What the engine was called with, each time."""
        return [call.split("\0") for call in self.diary.read_text(encoding="utf-8").split("\0\0")[:-1]]


@pytest.fixture
def host(tmp_path, monkeypatch):
    found = Host(tmp_path)
    monkeypatch.setattr(container.SSHConnection, "exec_command", lambda self, cmd, **how: found.run(cmd, **how))
    return found


@pytest.fixture
def connect(host):
    """Return a function that connects with the given variables."""
    def make(**variables):
        plugin = container.Connection(PlayContext(), os.devnull)
        with_options(plugin, "connection", NAME, container.DOCUMENTATION, Pipelining.DOCUMENTATION,
                     SSHOptions.DOCUMENTATION)
        defaults = {"inventory_hostname": "acme_web_0", "stowage_docker_command": str(host.engine)}
        plugin.set_options(var_options={**defaults, **variables})
        return plugin

    return make


# commands

def test_a_command_runs_in_a_shell_in_the_container(connect, host):
    assert connect().exec_command("echo $((6 * 7)) && exit 3") == (3, b"42\n", b"")
    assert host.words == [["exec", "-i", "acme_web_0", "/bin/sh", "-c", "echo $((6 * 7)) && exit 3"]]


@pytest.mark.parametrize("text", ["a b", "it's", '"', "$HOME", "`id`", "a;b", "ü", "*", "\\", "line\nline"])
def test_whatever_a_command_holds_reaches_the_container_as_it_is(connect, text):
    command = f"printf %s {container.shlex.quote(text)}"
    assert connect().exec_command(command)[1] == text.encode()


def test_output_and_error_output_stay_apart(connect):
    assert connect().exec_command("echo out; echo err >&2") == (0, b"out\n", b"err\n")


def test_input_reaches_the_command(connect):
    assert connect().exec_command("cat", in_data=b"\x00\xff")[1] == b"\x00\xff"


def test_the_container_may_have_another_name_than_its_host_in_the_inventory(connect, host):
    connect(inventory_hostname="web", stowage_container="acme_web_0").exec_command("true")
    assert host.words[0][2] == "acme_web_0"


def test_commands_run_as_the_images_user_unless_said_otherwise(connect, host):
    connect().exec_command("true")
    connect(stowage_container_user="www-data").exec_command("true")
    assert [words[1:-4] for words in host.words] == [["-i"], ["-i", "-u", "www-data"]]


def test_the_engine_is_called_as_the_host_needs_it(connect, host):
    connect(stowage_docker_command=f"env LANG=C {host.engine}").exec_command("true")
    assert host.words == [["exec", "-i", "acme_web_0", "/bin/sh", "-c", "true"]]


def test_there_is_no_terminal_without_become(connect, host):
    connect().exec_command("true")
    assert host.asked[0]["sudoable"] is False


def test_there_is_one_with_become_for_its_prompts(connect, host):
    connection = connect()
    connection.become = object()
    connection.exec_command("true")
    connection.exec_command("true", sudoable=False)
    assert [asked["sudoable"] for asked in host.asked] == [True, False]


# files

@pytest.mark.parametrize("name", ["file", "a file", "it's", "$HOME", "ü"])
@pytest.mark.parametrize("content", [b"text\n", b"\x00\xff" * 5000, b""])
def test_a_file_goes_in_and_comes_out_as_it_was(connect, tmp_path, name, content):
    connection, inside = connect(), tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "source").write_bytes(content)
    connection.put_file(str(tmp_path / "source"), str(inside / name))
    assert (inside / name).read_bytes() == content
    connection.fetch_file(str(inside / name), str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content


def test_an_empty_file_replaces_what_was_there(connect, tmp_path):
    (tmp_path / "source").write_bytes(b"")
    (tmp_path / "target").write_bytes(b"old")
    connect().put_file(str(tmp_path / "source"), str(tmp_path / "target"))
    assert (tmp_path / "target").read_bytes() == b""


def test_files_need_no_terminal_even_with_become(connect, host, tmp_path):
    connection = connect()
    connection.become = object()
    (tmp_path / "source").write_bytes(b"x")
    connection.put_file(str(tmp_path / "source"), str(tmp_path / "target"))
    connection.fetch_file(str(tmp_path / "target"), str(tmp_path / "back"))
    assert [asked["sudoable"] for asked in host.asked] == [False, False]


def test_a_file_that_the_controller_does_not_have_is_named_and_the_host_not_asked(connect, host, tmp_path):
    with pytest.raises(AnsibleFileNotFound, match=r"there is no file .*/none to copy into the container"):
        connect().put_file(str(tmp_path / "none"), "/target")
    assert host.asked == []


def test_a_file_that_can_not_be_written_is_named_with_the_container_and_the_reason(connect, tmp_path):
    (tmp_path / "source").write_bytes(b"x")
    target = str(tmp_path / "none/target")
    with pytest.raises(AnsibleError, match=f"can't be copied to {target} in container acme_web_0: .*"):
        connect().put_file(str(tmp_path / "source"), target)


def test_a_file_that_can_not_be_read_is_named_and_leaves_no_file_behind(connect, tmp_path):
    with pytest.raises(AnsibleError, match=r"/none can't be fetched in container acme_web_0: cat: .*No such file"):
        connect().fetch_file(str(tmp_path / "none"), str(tmp_path / "back"))
    assert not (tmp_path / "back").exists()
