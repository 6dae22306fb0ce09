# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host loses power. The others converge, nobody takes over what it held, and it is healed when it is back."""

from __future__ import annotations

import subprocess

import pytest


@pytest.fixture(scope="module")
def dead(fleet, held):
    """The host that loses power: one that runs a front end, so that something is missing."""
    host = fleet.named("acme_web_")[-1].host
    subprocess.run(["docker", "kill", host], check=True, capture_output=True)
    yield host
    subprocess.run(["docker", "start", host], check=True, capture_output=True)
    fleet.wait_for_host(host)
    fleet.converge()


@pytest.fixture(scope="module")
def held(fleet):
    """What each host held before one of them died: ids by host."""
    return {host: fleet.ids(host) for host in fleet.hosts}


@pytest.fixture(scope="module")
def run(fleet, held, dead):
    """A site.yml while the host is dead, and while one of the living has lost a container."""
    living = next(host for host in fleet.hosts if host != dead)
    lost = next(name for name in held[living] if name.startswith("acme_zookeeper_"))
    fleet.on(living).check_output("docker rm -f %s", lost)
    return fleet.play("site")


def test_the_exit_code_and_the_recap_tell(fleet, dead, run):
    assert run.rc != 0
    assert run.recap[dead]["unreachable"] + run.recap[dead]["failed"] > 0
    for host in fleet.hosts:
        if host != dead:
            assert run.recap[host]["failed"] == 0, run.output
            assert run.recap[host]["unreachable"] == 0, run.output


def test_the_others_converge(fleet, held, dead, run):
    living = [host for host in fleet.hosts if host != dead]
    found = fleet.containers(*living)
    assert set(found) == {name for host in living for name in held[host]}, "nothing missing, nothing taken over"
    assert all(container.running for container in found.values())


def test_the_dead_host_is_named_with_what_it_held(held, dead, run):
    assert dead in run.output
    for name in held[dead]:
        assert name in run.output


def test_the_dead_host_delays_nobody_for_long(run):
    assert run.seconds < 120


def test_what_comes_new_goes_to_the_living(fleet, held, dead, run):
    scaled = fleet.play("scale", "-e", "cluster=acme", "-e", "group=web", "-e", "count=4")
    assert scaled.recap[dead]["unreachable"] + scaled.recap[dead]["failed"] > 0
    fronts = fleet.containers(*[host for host in fleet.hosts if host != dead])
    assert {"acme_web_2", "acme_web_3"} <= set(fronts), scaled.output


def test_it_is_healed_when_it_is_back(fleet, held, dead, run):
    subprocess.run(["docker", "start", dead], check=True, capture_output=True)
    fleet.wait_for_host(dead)
    fleet.converge()
    found = fleet.containers()
    assert set(found) == {name for names in held.values() for name in names}
    assert all(container.running for container in found.values())
    assert {name: container.host for name, container in found.items() if name in held[dead]} == dict.fromkeys(
        held[dead], dead)
    again = fleet.converge()
    assert again.changed() == {}, again.output
