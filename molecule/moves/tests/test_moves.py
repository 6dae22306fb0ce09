# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk moves with its container: the data are there, once, wherever a move was interrupted.

A fleet of its own, beside the example on the same engines; on one of its hosts the pool lies elsewhere. The hosts'
Python is a script that halts where it is told to, so that a run can be killed exactly there.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess

import pytest

NAME = "move_db_0"
POOLS = ("/var/lib/stowage/pool", "/var/lib/stowage/second-pool")
PYTHON = "/usr/local/bin/halting-python3"
HALTING = """#!/bin/sh
# Python, but each file in /run/halt ("before PATTERN" or "after PATTERN" of the command line) makes one run of it halt.
ordered() {
  for order in /run/halt/*; do
    [ -e "$order" ] || continue
    read -r when pattern 2>/dev/null < "$order" || continue
    [ "$when" = "$1" ] || continue
    case "$2" in $pattern) mv "$order" "/run/halted/${order##*/}.$$" 2>/dev/null && exec sleep 600 ;; esac
  done
}
ordered before "$*"
[ -e /run/halt ] || exec /usr/bin/python3 "$@"
/usr/bin/python3 "$@"
status=$?
ordered after "$*"
exit $status
"""
NETWORK = {"driver": "bridge", "subnet": "10.99.77.0/24", "pool": "10.99.77.10-10.99.77.20"}
HALF = "before *stream.py receive * [1-9]*"
# Where a run is killed that moves six instances: each order halts another one of them, on the old or the new host,
# before or after a command there.
STAGES = {
    "stopped and not copied": ("old", "before *move.pyz offer"),
    "half copied": ("new", HALF),
    "copied and not compared": ("new", "before *move.pyz digest"),
    "compared and not committed": ("new", "before *move.pyz commit"),
    "committed and not handed over": ("old", "before *move.pyz hand-over"),
    "handed over and not started": ("old", "after *move.pyz hand-over"),
}


class Mover:
    """Instances with two disks each, and where they are to be."""

    def __init__(self, fleet, wait_until, inventory):
        """Take two hosts of the lab, which ``inventory`` makes a group of; nothing is placed yet."""
        self.inventory = str(inventory)
        self.fleet, self.wait_until = fleet, wait_until
        self.hosts = fleet.hosts[:2]
        self.host = self.hosts[0]
        self.pools = dict(zip(self.hosts, POOLS))
        elsewhere = {self.hosts[1]: {"storage_pool": POOLS[1]}}
        inventory.write_text(json.dumps({"moving": {"hosts": {host: elsewhere.get(host, {}) for host in self.hosts}}}))
        self.count = 1
        self.data = {}

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
            "stowage_parallel_moves": self.count,
            "stowage_grades": {"small": {"cpus": 0.02, "memory": "64m", "disk": "10g"}},
            "stowage_types": {"db": {
                "image": "stowage/redis:bookworm", "command": command, "health": health,
                "data": {"path": "/data", "owner": "100", "group": "101"},
                "volumes": [{"name": "logs", "size": "64m", "path": "/logs"}]}},
            "stowage_clusters": {"move": {"state": state, "groups": {
                "db": {"count": self.count, "type": "db", "grade": "small", "placement": placement,
                       "update": {"batch": self.count}}}}},
            **more,
        }

    def run(self, host, *arguments, playbook="containers", **more):
        """Have the instance on a host, and return the run."""
        return self.fleet.play(playbook, "-i", self.inventory, *arguments, extra=self.variables(host, **more))

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

    def remove(self):
        """Have no instance any more; the disks stay where they are."""
        before = self.files()
        run = self.run(self.host, state="absent")
        assert run.rc == 0, run.output
        assert self.files() == before
        assert "move_db_" not in self.fleet.on(self.host).check_output("docker ps -a --format '{{.Names}}'")

    def halt(self, host, *orders):
        """Tell a host's Python where to halt, once for each order."""
        there = self.fleet.on(host)
        there.check_output("rm -rf /run/halt*; mkdir /run/halt.new /run/halted")
        for number, order in enumerate(orders):
            there.check_output("printf %%s\\\\n %s > /run/halt.new/%s", order, str(number))
        there.check_output("mv /run/halt.new /run/halt")

    def wait_for_halt(self, host, run):
        """Wait until each order has halted something."""
        orders = self.fleet.on(host)
        self.wait_until(lambda: run.poll() is not None or not orders.check_output("ls /run/halt"),
                        "the run halts on %s" % host, 180)
        assert run.poll() is None, run.stdout.read()

    def go_on(self, host):
        """End what has halted, as if it had been killed with the run."""
        self.fleet.on(host).check_output("ls /run/halted | sed 's/.*[.]//' | xargs -r kill; rm -rf /run/halt*")

    def kill_at(self, target, old=(), new=()):
        """Begin to have everything on the host ``target``, and kill the run where the orders for both hosts say."""
        places = {self.host: old, target: new}
        for host, orders in places.items():
            self.halt(host, *orders)
        run = self.begin(target)
        try:
            for host in places:
                self.wait_for_halt(host, run)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            for host in places:
                self.go_on(host)

    def files(self):
        """The files of images by host, in whatever pool."""
        find = "find /var/lib/stowage -maxdepth 3 -path '*/images/*move_db_*'"
        return {host: set(self.fleet.on(host).check_output(find).split()) for host in self.hosts}

    def mount(self, index):
        """Where an instance's disk is mounted."""
        return "%s/mounts/move_db_%d" % (self.pools[self.host], index)

    def inside(self, command, index=0):
        """Run a command in a container."""
        return self.fleet.on(self.host).check_output("docker exec move_db_%d " % index + command)

    def digest(self, index):
        """The checksum of what `fill` wrote, read on the host: an instance has a fiftieth of a core."""
        return self.fleet.on(self.host).check_output("sha256sum < %s/file", self.mount(index))

    def fill(self, index, source):
        """Write 40 MiB to an instance's disk, flushed, and a key: more than travels at once."""
        file = self.mount(index) + "/file"
        self.fleet.on(self.host).check_output("%s | head -c 41943040 > %s && sync %s" % (source, file, file))
        self.inside("redis-cli set key value", index)
        self.data[index] = self.digest(index)

    def check(self):
        """The data are there, on one disk each, which is sparse, and nothing is left elsewhere."""
        images = self.pools[self.host] + "/images/move_db_%d%s.img"
        own = {images % (index, disk) for index in range(self.count) for disk in ("", ".logs")}
        assert self.files() == {host: own if host == self.host else set() for host in self.hosts}
        # Lab hosts share a kernel, and each sees the loop devices of all.
        loops = self.fleet.on(self.host).check_output("losetup -n -O BACK-FILE -l")
        for index in range(self.count):
            if index in self.data:
                assert self.digest(index) == self.data[index]
                assert self.inside("redis-cli get key", index) == "value"
            stat = self.fleet.on(self.host).check_output("stat -c '%%s %%b' %s", images % (index, ""))
            size, blocks = stat.split()
            assert int(size) == 10 << 30
            assert int(blocks) * 512 < 60 << 20
            assert loops.count("/move_db_%d.img" % index) == 1


@pytest.fixture(scope="module")
def mover(fleet, wait_until, tmp_path_factory):
    """An instance with data that nothing compresses."""
    mover = Mover(fleet, wait_until, tmp_path_factory.mktemp("inventory") / "moving.yml")
    image = "stowage/redis:bookworm"
    if any(fleet.on(host).run("docker image inspect %s", image).rc for host in mover.hosts):
        # Two hosts of any lab will do: the example's containers might have no room there.
        fleet.prepare(image)
    for host in mover.hosts:
        fleet.on(host).check_output("printf %%s %s > " + PYTHON + " && chmod 755 " + PYTHON, HALTING)
    mover.move(mover.host)
    mover.fill(0, "cat /dev/urandom")
    yield mover
    mover.remove()
    # No host has anything to do but this.
    gone = mover.run(mover.host, "-e", "stowage_keep_disks_days=0", state="absent")
    assert gone.rc == 0, gone.output
    assert not any(mover.files().values())
    for host in mover.hosts:
        fleet.on(host).check_output("docker network rm movers; rm -rf /var/lib/stowage/movers %s %s", POOLS[1], PYTHON)


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


def test_a_removed_instance_leaves_its_disk_and_takes_it_up_again(mover):
    mover.remove()
    asked = mover.run(mover.host, "--check", "-e", "stowage_keep_disks_days=0", playbook="delete_disks")
    assert set(asked.changed()) == {mover.host}, asked.output
    mover.move(mover.host)


def test_the_next_run_goes_on_with_a_move_that_was_killed_before_the_stop_or_before_the_old_disk_is_removed(mover):
    new = mover.other
    mover.kill_at(new, new=["after *move.pyz reserve"])
    mover.kill_at(new, old=["before *move.pyz forget"])
    mover.move(new)


def test_a_move_whose_new_host_loses_power_is_finished_when_that_is_back(fleet, mover):
    new = mover.other
    mover.halt(new, HALF)
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


def test_the_next_run_finishes_moves_that_were_killed_at_each_stage_of_the_copy(mover):
    new, mover.count = mover.other, len(STAGES)
    mover.move(mover.host)
    for index in range(1, mover.count):
        mover.fill(index, "yes instance %d" % index)
    mover.kill_at(new, old=[order for place, order in STAGES.values() if place == "old"],
                  new=[order for place, order in STAGES.values() if place == "new"])
    mover.move(new)


def test_a_drained_host_gives_its_disks_away(fleet, mover):
    old, mover.count = mover.host, 2
    # Both are to stay together, wherever that is, and are moved side by side; the others go, with their disks.
    clusters = json.loads(json.dumps(mover.variables(old)["stowage_clusters"]))
    clusters["move"]["groups"]["db"]["placement"] = {"affinity": [{"group": "db", "topology": "host"}]}
    drained = "{{ 'drained' if inventory_hostname == '%s' else 'active' }}" % old
    run = mover.run(old, "-e", "release_disks=true", stowage_clusters=clusters, stowage_host_state=drained)
    assert run.rc == 0, run.output
    mover.host = fleet.containers(*mover.hosts)[NAME].host
    assert mover.host != old
    mover.check()
