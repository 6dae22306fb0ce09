# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run on some hosts touches no others, and plans with the truth about all of them."""

from __future__ import annotations


def test_a_limited_run_heals_its_host_and_leaves_the_others_alone(fleet):
    whole = fleet.ids()
    ensemble = {member.host: member.name for member in fleet.named("acme_zookeeper_")}
    first, second, third = fleet.hosts
    for host in (first, second):
        fleet.on(host).check_output("docker rm -f %s", ensemble[host])
    elsewhere = fleet.ids(second, third)

    run = fleet.converge("--limit", first)

    assert fleet.ids(second, third) == elsewhere
    assert set(run.recap) == {first}
    healed = fleet.containers(first)
    assert ensemble[first] in healed
    assert ensemble[second] not in healed, "a limited run takes nothing over from hosts it does not hold"
    fleet.converge()
    assert set(fleet.ids()) == set(whole)
    assert {name: fleet.containers()[name].host for name in ensemble.values()} == {
        name: host for host, name in ensemble.items()}


def test_a_limited_run_on_a_whole_fleet_changes_nothing(fleet):
    before = fleet.ids()
    run = fleet.converge("--limit", fleet.hosts[0])
    assert run.changed() == {}, run.output
    assert fleet.ids() == before


def test_a_new_address_is_not_one_that_a_host_outside_the_limit_uses(fleet):
    taken = {container.address for container in fleet.containers().values()}
    fleet.play("scale", "--limit", fleet.hosts[0], "-e", "cluster=acme", "-e", "group=web", "-e", "count=5")
    new = [container for container in fleet.named("acme_web_") if container.address not in taken]
    assert all(container.host == fleet.hosts[0] for container in new)
    addresses = [container.address for container in fleet.containers().values()]
    assert len(addresses) == len(set(addresses))
    fleet.converge()
