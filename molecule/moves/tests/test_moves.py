# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk moves with its container: the data are there, once, wherever a move was interrupted.

A fleet of its own, beside the example on the same engines. The hosts' Python is a script that halts where it is told
to, so that a run can be killed exactly there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

NAME = "move_db_0"
POOL = "/var/lib/stowage/pool"
PYTHON = "/usr/local/bin/halting-python3"
HALTING = """#!/bin/sh
# Python, but /run/halt ("before PATTERN" or "after PATTERN" of the command line) makes it halt, once.
when= pattern=
[ ! -e /run/halt ] || read -r when pattern < /run/halt
halt() { rm /run/halt; echo $$ > /run/halted.new; mv /run/halted.new /run/halted; exec sleep 600; }
case "$when $*" in before\\ $pattern) halt ;; esac
[ "$when" ] || exec /usr/bin/python3 "$@"
/usr/bin/python3 "$@"
status=$?
case "$when $*" in after\\ $pattern) halt ;; esac
exit $status
"""
NETWORK = {"driver": "bridge", "subnet": "10.99.77.0/24", "pool": "10.99.77.10-10.99.77.20"}
# Where a run is killed: on the old or the new host, before or after a command there.
STAGES = {
    "before the stop": ("new", "after *move.pyz reserve"),
    "stopped and not copied": ("old", "before *move.pyz offer"),
    "half copied": ("new", "before *stream.py receive * [1-9]*"),
    "copied and not compared": ("new", "before *move.pyz digest"),
    "compared and not committed": ("new", "before *move.pyz commit"),
    "committed and not handed over": ("old", "before *move.pyz hand-over"),
    "handed over and not started": ("old", "after *move.pyz hand-over"),
    "started and not removed": ("old", "before *move.pyz forget"),
}


class Mover:
    """One instance with a disk, and where it is to be."""

    def __init__(self, fleet, wait_until, inventory):
        """Take two hosts of the lab, which ``inventory`` makes a group of; nothing is placed yet."""
        self.fleet, self.wait_until = fleet, wait_until
        self.hosts = fleet.hosts[:2]
        self.host = self.hosts[0]
        inventory.write_text(json.dumps({"moving": {"hosts": {host: {} for host in self.hosts}}}))
        self.inventory = str(inventory)
        self.count = 1
        self.data = ""

    @property
    def other(self):
        """Where it goes next."""
        return self.hosts[1 - self.hosts.index(self.host)]

    def variables(self, host, state="started", **more):
        """The desired state that has the instance on one host."""
        placement = {"constraints": [{"label": "zone", "in": [self.fleet.zones[host]]}]}
        command = ["redis-server", "--dir", "/data", "--appendonly", "yes"]
        health = {"test": ["CMD-SHELL", "redis-cli ping | grep -q PONG"], "interval": "1s", "retries": 5}
        return {
            "stowage_fleet": "moving",
            "stowage_fleet_name": "movers",
            "ansible_python_interpreter": PYTHON,
            "stowage_networks": {"movers": NETWORK},
            "stowage_disk_thin_ratio": 20,
            "stowage_grades": {"small": {"cpus": 0.05, "memory": "64m", "disk": "10g"}},
            "stowage_types": {"db": {
                "image": "stowage/redis:bookworm", "command": command, "health": health,
                "data": {"path": "/data", "owner": "100", "group": "101"},
                "volumes": [{"name": "logs", "size": "64m", "path": "/logs"}]}},
            "stowage_clusters": {"move": {"state": state, "groups": {
                "db": {"count": self.count, "type": "db", "grade": "small", "placement": placement,
                       "update": {"batch": 2}}}}},
            **more,
        }

    def run(self, host, *arguments, **more):
        """Have the instance on a host, and return the run."""
        return self.fleet.play("containers", "-i", self.inventory, *arguments, extra=self.variables(host, **more))

    def begin(self, host):
        """Begin a run, in a process group of its own."""
        return subprocess.Popen(
            self.fleet.command("containers", "-i", self.inventory, extra=self.variables(host)), start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def move(self, host):
        """Have it on a host, and insist that it works."""
        run = self.run(host)
        assert run.rc == 0, run.output
        self.host = host
        self.check()
        return run

    def halt(self, host, where):
        """Tell a host's Python where to halt."""
        self.fleet.on(host).check_output("printf %%s\\\\n %s > /run/halt", where)

    def wait_for_halt(self, host, run):
        """Wait until it has halted."""
        halted = self.fleet.on(host).file("/run/halted")
        self.wait_until(lambda: run.poll() is not None or halted.exists, "the run halts on %s" % host)
        assert run.poll() is None, run.stdout.read()

    def go_on(self, host):
        """End what has halted, as if it had been killed with the run."""
        self.fleet.on(host).check_output("kill $(cat /run/halted); rm /run/halted")

    def files(self):
        """The files of images, by host."""
        return {host: set(self.fleet.on(host).check_output("ls -A %s/images | grep move_db_ || true", POOL).split())
                for host in self.hosts}

    def inside(self, command):
        """Run a command in the container."""
        return self.fleet.on(self.host).check_output("docker exec " + NAME + " " + command)

    def check(self):
        """The data are there, on one disk, which is sparse, and nothing is left elsewhere."""
        own = {"move_db_%d%s.img" % (index, disk) for index in range(self.count) for disk in ("", ".logs")}
        assert self.files() == {host: own if host == self.host else set() for host in self.hosts}
        if self.data:
            assert self.inside("sha256sum /data/file") == self.data
            assert self.inside("redis-cli get key") == "value"
        size, blocks = self.fleet.on(self.host).check_output(
            "stat -c '%s %b' " + POOL + "/images/" + NAME + ".img").split()
        assert int(size) == 10 << 30
        assert int(blocks) * 512 < 60 << 20
        # Lab hosts share a kernel, and each sees the loop devices of all.
        loops = self.fleet.on(self.host).check_output("losetup -n -O BACK-FILE -l | grep -c /%s.img", NAME)
        assert int(loops) == 1


@pytest.fixture(scope="module")
def mover(fleet, wait_until, tmp_path_factory):
    """An instance with 40 MiB that nothing compresses, flushed, and a key."""
    mover = Mover(fleet, wait_until, tmp_path_factory.mktemp("inventory") / "moving.yml")
    if any(fleet.on(host).run("docker image inspect stowage/redis:bookworm").rc for host in mover.hosts):
        prepared = fleet.play("site")
        assert prepared.rc == 0, prepared.output
    for host in mover.hosts:
        fleet.on(host).check_output("printf %%s %s > " + PYTHON + " && chmod 755 " + PYTHON, HALTING)
    mover.move(mover.host)
    mover.inside("sh -c 'head -c 41943040 /dev/urandom > /data/file && sync /data/file'")
    mover.inside("redis-cli set key value")
    mover.data = mover.inside("sha256sum /data/file")
    yield mover
    gone = mover.run(mover.host, "-e", "release_disks=true", state="absent")
    assert gone.rc == 0, gone.output
    assert not any(mover.files().values())
    for host in mover.hosts:
        fleet.on(host).check_output("docker network rm movers; rm -rf /var/lib/stowage/movers " + PYTHON)


def test_a_plan_says_what_moves_and_touches_nothing(mover):
    run = mover.run(mover.other, "--check", "--diff")
    assert "~ move %s from %s to %s: " % (NAME, mover.host, mover.other) in run.output
    assert ", with its 2 disks from %s (" % mover.host in run.output
    assert " of 10.1 GiB used)" in run.output
    mover.check()


def test_a_disk_moves_with_its_instance_and_a_second_run_changes_nothing(mover):
    mover.move(mover.other)
    again = mover.run(mover.host)
    assert again.rc == 0, again.output
    assert again.changed() == {}, again.output


@pytest.mark.parametrize("stage", STAGES)
def test_the_next_run_finishes_a_move_that_was_killed(mover, stage):
    place, where = STAGES[stage]
    old, new = mover.host, mover.other
    halts = {"old": old, "new": new}[place]
    mover.halt(halts, where)
    run = mover.begin(new)
    mover.wait_for_halt(halts, run)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    mover.go_on(halts)
    mover.move(new)


def test_a_move_whose_new_host_loses_power_is_finished_when_that_is_back(fleet, mover):
    new = mover.other
    mover.halt(new, STAGES["half copied"][1])
    run = mover.begin(new)
    mover.wait_for_halt(new, run)
    subprocess.run(["docker", "kill", new], check=True, capture_output=True)
    try:
        output, _none = run.communicate(timeout=200)
        assert run.returncode != 0
        assert "%s keeps the data" % mover.host in output, output
    finally:
        subprocess.run(["docker", "start", new], check=True, capture_output=True)
        fleet.wait_for_host(new)
    mover.move(new)


def test_an_instance_whose_old_host_loses_power_is_not_started_empty(fleet, mover):
    old, new = mover.host, mover.other
    mover.halt(old, "before *stream.py send * [1-9]*")
    run = mover.begin(new)
    mover.wait_for_halt(old, run)
    subprocess.run(["docker", "kill", old], check=True, capture_output=True)
    try:
        run.communicate(timeout=200)
        assert run.returncode != 0
        without = mover.run(new)
        assert "its data was on its way from %s to %s, and %s does not answer" % (old, new, old) in without.output
        assert NAME not in fleet.on(new).check_output("docker ps -a --format '{{.Names}}'")
    finally:
        subprocess.run(["docker", "start", old], check=True, capture_output=True)
        fleet.wait_for_host(old)
    mover.move(new)


def test_a_drained_host_gives_its_disks_away(fleet, mover):
    old, mover.count = mover.host, 2
    mover.move(old)
    # Both are to stay together, wherever that is, and are moved side by side.
    clusters = json.loads(json.dumps(mover.variables(old)["stowage_clusters"]))
    clusters["move"]["groups"]["db"]["placement"] = {"affinity": [{"group": "db", "topology": "host"}]}
    drained = "{{ 'drained' if inventory_hostname == '%s' else 'active' }}" % old
    run = mover.run(old, stowage_clusters=clusters, stowage_host_state=drained)
    assert run.rc == 0, run.output
    mover.host = fleet.containers(*mover.hosts)[NAME].host
    assert mover.host != old
    mover.check()
