# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks are carried between two pools of this machine, and everything dies once at every command."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.disks import moves, stream
from ansible_collections.stowage.fleet.plugins.module_utils.disks import pool as pools
from ansible_collections.stowage.fleet.plugins.module_utils.disks.copies import digest_of
from ansible_collections.stowage.fleet.plugins.module_utils.disks.runner import list_volumes
from ansible_collections.stowage.fleet.plugins.plugin_utils.remote import disk_transfer as carrying
from ansible_collections.stowage.fleet.plugins.plugin_utils.remote.disk_transfer import (
    CarryFailed,
    Place,
    carry,
    make_room,
)

NAME = "acme_db_0"
SIZE = 256 << 20


class Here:
    """An end that is this machine; a command that holds ``fatal`` fails, before or after it was run.

    Programs run in this process, unless ``real``: starting them again and again is most of the time otherwise.
    """

    python = sys.executable

    def __init__(self, name):
        self.name, self.fatal, self.when, self.ran, self.real = name, None, "before", [], False

    def run(self, command, data):
        self.ran.append(command)
        hit = self.fatal and self.fatal in command
        if hit and self.when == "before":
            return 1, b"", b"the power went"
        answer = self.perform(command, data)
        return (1, b"", b"the power went") if hit else answer

    def perform(self, command, data):
        words = shlex.split(command)
        if self.real or words[1] != "-I":
            done = subprocess.run(["/bin/sh", "-c", command], input=data, capture_output=True, check=False)
            return done.returncode, done.stdout, done.stderr
        if words[2].endswith(".pyz"):
            answer = moves.answer(words[3], data.decode())
            return int("error" in answer), json.dumps(answer).encode(), b""
        if words[3] == "send":
            return 0, stream.read_frame(words[4], int(words[5]), int(words[6])), b""
        stream.write_frame(words[4], data, int(words[5]))
        return 0, b"", b""


class Hosts:
    """Two hosts with a pool each; the first has a released disk with some data and a snapshot."""

    def __init__(self, folder):
        self.old, self.new = Here("h1"), Here("h2")
        self.pools = {host: pools.Pool(str(folder / host)) for host in ("h1", "h2")}
        self.places = {end.name: Place(end, self.pools[end.name].path, "fleet", {"thin_ratio": 1000})
                       for end in (self.old, self.new)}
        here = self.pools["h1"]
        here.prepare()
        here.write_record({**pools.empty_record(NAME), "size": SIZE, "uuid": "u1", "state": pools.RELEASED,
                           "owner": "99", "path": "/data"})
        for path in (here.image(NAME), os.path.join(here.snapshots, f"{NAME}@one.img")):
            with open(path, "wb") as handle:
                handle.truncate(SIZE)
                for offset in (0, 70 << 20, SIZE - 4096):
                    handle.seek(offset)
                    handle.write(os.urandom(4096) * (1 if offset else 300))
        self.digest = digest_of(here.image(NAME))

    def carry(self):
        return carry(self.places["h1"], self.places["h2"], [NAME])

    def volume(self, host):
        return next(iter(list_volumes(self.pools[host].path)), None)

    def recover(self):
        for end in (self.old, self.new):
            end.fatal = None


@pytest.fixture
def hosts(tmp_path, monkeypatch):
    """Two hosts; frames are small, so that a copy takes several."""
    monkeypatch.setattr(carrying, "FRAME", 512 << 10)
    return Hosts(tmp_path)


def arrived(hosts):
    new = hosts.volume("h2")
    assert (new["state"], new["generation"], new["size"], new["snapshots"]) == ("released", 2, SIZE, ["one"])
    assert hosts.pools["h2"].read_record(NAME)["owner"] == "99"
    assert digest_of(hosts.pools["h2"].image(NAME)) == hosts.digest
    assert os.stat(hosts.pools["h2"].image(NAME)).st_blocks * 512 < 3 << 20
    assert hosts.volume("h1")["state"] == "moved"
    left = os.listdir(hosts.pools["h2"].images) + os.listdir(hosts.pools["h2"].snapshots)
    assert sorted(left) == [f"{NAME}.img", f"{NAME}@one.img", f"{NAME}@one.json"]


def test_a_disk_and_its_snapshots_arrive_and_the_old_ones_go(hosts):
    hosts.old.real = hosts.new.real = True
    make_room(hosts.places["h1"], hosts.places["h2"], [NAME])
    assert hosts.volume("h1")["state"] == "released", "room is made while the disk is in use"
    assert hosts.volume("h2")["state"] == "incoming"
    assert hosts.carry()["bytes"] < 6 << 20
    arrived(hosts)
    hosts.places["h1"].ask("forget", volumes={NAME: {"uuid": "u1", "generation": 2}})
    assert hosts.volume("h1") is None
    assert os.listdir(hosts.pools["h1"].snapshots) == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("end", "command"),
    [("old", " offer"), ("new", " reserve"), ("old", "stream.py send"), ("new", "stream.py receive"),
     ("new", "img 524288"), ("old", " digest"), ("new", " digest"), ("new", " commit"), ("old", " hand-over")],
)
def test_what_died_at_any_command_is_finished_by_the_next_attempt(hosts, end, command, when):
    end = getattr(hosts, end)
    end.fatal, end.when = command, when
    with pytest.raises(CarryFailed, match="the power went"):
        hosts.carry()
    copies = [hosts.volume(host) for host in ("h1", "h2")]
    assert copies[0]["state"] in ("released", "leaving") or copies[1]["state"] == "released"
    assert digest_of(hosts.pools["h1"].image(NAME)) == hosts.digest
    hosts.recover()
    if hosts.volume("h1")["state"] != "moved":
        hosts.carry()
    arrived(hosts)


def test_a_copy_goes_on_where_it_stopped_and_begins_anew_when_it_was_torn(hosts):
    hosts.new.fatal, hosts.new.when = "img 524288", "after"
    with pytest.raises(CarryFailed):
        hosts.carry()
    hosts.recover()
    with open(hosts.pools["h2"].incoming_image(NAME), "r+b") as handle:
        assert handle.seek(0, 2) > 524288
        handle.seek(100)
        handle.write(b"torn by a power cut")
    hosts.new.ran.clear()
    hosts.carry()
    assert any("restart" in command for command in hosts.new.ran)
    arrived(hosts)


def test_a_disk_that_was_taken_back_outdates_what_has_arrived(hosts):
    hosts.old.fatal = " hand-over"
    with pytest.raises(CarryFailed):
        hosts.carry()
    hosts.recover()
    hosts.places["h1"].ask("recall", names=[NAME])
    assert (hosts.volume("h1")["state"], hosts.volume("h1")["generation"]) == ("released", 3)
    hosts.places["h2"].ask("forget", volumes={NAME: {"uuid": "u1", "generation": 3}})
    assert hosts.volume("h2") is None


@pytest.mark.parametrize(
    ("uuid", "state", "words"),
    [("u2", pools.RELEASED, "another disk of that name"),
     ("u1", pools.RELEASED, "not known to be outdated"), ("u1", pools.ATTACHED, "not known to be outdated")],
)
def test_a_disk_that_is_no_outdated_copy_is_never_replaced(hosts, uuid, state, words):
    there = hosts.pools["h2"]
    there.prepare()
    there.write_record({**pools.empty_record(NAME), "size": 4096, "uuid": uuid, "state": state})
    with open(there.image(NAME), "wb") as handle:
        handle.write(b"precious")
    with pytest.raises(CarryFailed, match=words):
        make_room(hosts.places["h1"], hosts.places["h2"], [NAME])
    with pytest.raises(CarryFailed, match="is not an outdated one"):
        hosts.places["h2"].ask("forget", volumes={NAME: {"uuid": "u1", "generation": 1}})
    with open(there.image(NAME), "rb") as handle:
        assert handle.read() == b"precious"


def test_more_than_the_new_host_has_is_refused_before_anything_is_touched(hosts):
    small = Place(hosts.new, hosts.pools["h2"].path, "fleet", {"reserve": 1 << 60})
    with pytest.raises(CarryFailed, match="it may promise"):
        make_room(hosts.places["h1"], small, [NAME])
    assert hosts.volume("h1")["state"] == "released"
    assert hosts.volume("h2") is None


def test_a_frame_that_is_not_whole_writes_nothing(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(10000))
    target.write_bytes(b"")
    frame = stream.read_frame(str(source), 0, 1 << 20)
    for torn in (frame[:-1], frame[:20], b"", frame[:-1] + bytes([frame[-1] ^ 1])):
        with pytest.raises(stream.TornFrame):
            stream.write_frame(str(target), torn, 0)
    assert target.read_bytes() == b""
    stream.write_frame(str(target), b"a login script said this\n" + frame, 0)
    assert target.read_bytes() == source.read_bytes()
