# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two tenants on three hosts, seen by clients and by the kernel."""

from __future__ import annotations

import re


def mode(answer: str) -> str:
    """What a ZooKeeper server says it is: leader, follower or standalone."""
    found = re.search(r"^Mode: (\w+)$", answer, re.MULTILINE)
    assert found, answer
    return found.group(1)


def test_every_zookeeper_answers_and_one_leads(fleet, ask):
    members = fleet.named("acme_zookeeper_")
    modes = sorted(mode(ask(member.address, 2181, "srvr")) for member in members)
    assert modes == ["follower", "follower", "leader"]


def test_the_ensemble_is_spread_over_hosts_and_zones(fleet):
    hosts = [member.host for member in fleet.named("acme_zookeeper_")]
    assert len(set(hosts)) == 3
    assert len({fleet.zones[host] for host in hosts}) == 3


def test_nginx_serves_a_page_that_knows_its_ensemble(fleet, page):
    fronts = fleet.named("acme_web_")
    assert len(fronts) == 2
    for front in fronts:
        text = page(front.address)
        assert front.host in text
        for member in fleet.named("acme_zookeeper_"):
            assert member.address + ":2181" in text


def test_what_requires_the_ensemble_was_made_after_it(fleet):
    made = [member.inspect["Created"] for member in fleet.named("acme_zookeeper_")]
    assert all(front.inspect["Created"] > max(made) for front in fleet.named("acme_web_"))


def test_redis_keeps_a_key_over_a_restart_of_its_container(fleet, ask, wait_until):
    redis = fleet.named("globex_redis_")[0]
    assert "+OK" in ask(redis.address, 6379, "SET harbour full\r\n")
    fleet.on(redis.host).check_output("docker restart %s", redis.name)

    def answers() -> bool:
        try:
            return "full" in ask(redis.address, 6379, "GET harbour\r\n")
        except OSError:
            return False

    wait_until(answers, "redis answers with the key")


def test_an_exclusive_core_is_shared_with_nobody(fleet):
    """What the kernel lets the processes run on, not what a label says."""
    cores = {}
    for container in fleet.containers().values():
        status = fleet.on(container.host).check_output("cat /proc/%d/status" % container.inspect["State"]["Pid"])
        allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)$", status, re.MULTILINE).group(1)
        cores[container.name] = (container.host, expand(allowed))
    host, owned = cores.pop("globex_redis_0")
    assert len(owned) == 1
    for name, (other_host, other) in cores.items():
        assert other_host != host or not owned & other, name


def expand(cores: str) -> set[int]:
    """The numbers in a kernel's list of cores: "0-2,5" is 0, 1, 2 and 5."""
    found: set[int] = set()
    for part in cores.split(","):
        first, _dash, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def test_containers_have_no_raw_sockets_and_gain_no_privileges(fleet):
    for container in fleet.containers().values():
        config = container.inspect["HostConfig"]
        assert {name.replace("CAP_", "") for name in config["CapDrop"]} >= {"NET_RAW"}, container.name
        assert any(option.startswith("no-new-privileges") for option in config["SecurityOpt"]), container.name


def test_memory_limits_fit_the_hosts(fleet):
    for host in fleet.hosts:
        memory = int(re.search(r"MemTotal:\s+(\d+)", fleet.on(host).check_output("cat /proc/meminfo")).group(1)) * 1024
        limits = [container.inspect["HostConfig"]["Memory"] for container in fleet.containers(host).values()]
        assert all(limits)
        assert sum(limits) <= memory - 1024**3, "a host keeps the gibibyte that is reserved"


def test_check_mode_after_a_run_finds_nothing_to_do(fleet):
    before = fleet.ids()
    run = fleet.play("site", "--check", "--diff")
    assert run.rc == 0, run.output
    assert run.changed() == {}, run.output
    assert fleet.ids() == before


def test_check_mode_shows_what_would_come_and_touches_nothing(fleet):
    before = fleet.ids()
    run = fleet.play("scale", "--check", "--diff", "-e", "cluster=acme", "-e", "group=web", "-e", "count=4")
    assert run.rc == 0, run.output
    assert "acme_web_2" in run.output
    assert "acme_web_3" in run.output
    assert run.changed(), "check mode must say that there is something to do"
    assert fleet.ids() == before


def test_the_map_shows_every_container_beside_its_host(fleet):
    run = fleet.play("map")
    assert run.rc == 0, run.output
    for name in [*fleet.hosts, *fleet.containers()]:
        assert name in run.output
