# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet as inventory: what is there, a way into it, what would be there, and what was there a moment ago."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import yaml

# Runs as the controller does, for modules that need Python are no use in an image without it.
FETCH = """
import sys
from ansible.parsing.dataloader import DataLoader
from ansible.inventory.manager import InventoryManager
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader, init_plugin_loader
from ansible.vars.manager import VariableManager
source, container, inside, outside = sys.argv[1:]
init_plugin_loader()
loader = DataLoader()
inventory = InventoryManager(loader=loader, sources=[source])
variables = VariableManager(loader=loader, inventory=inventory).get_vars(host=inventory.get_host(container))
connection = connection_loader.get("stowage.fleet.container", PlayContext(), "/dev/null")
connection.set_options(var_options=dict(variables, inventory_hostname=container))
connection.put_file(outside, inside)
connection.fetch_file(inside, outside + ".back")
"""


def command(*words, **environment):
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(fleet, tmp_path_factory):
    """An inventory file that asks the lab's engines."""
    return write(tmp_path_factory.mktemp("inventory"), fleet, keyed_groups=[
        {"key": "stowage_instance.state", "prefix": "state"}], compose={"owner": "stowage_instance.cluster"},
        groups={"first_ones": "stowage_instance.index == 0"})


def write(folder, fleet, *sources, **options):
    file = folder / "fleet.stowage.yml"
    file.write_text(yaml.safe_dump({
        "plugin": "stowage.fleet.fleet", "sources": [fleet.inventory, *map(str, sources)], **options}))
    return file


def bare(value):
    """Without the mark that newer ansible-core puts on every text that came from a host."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if set(value) == {"__ansible_unsafe"} else {
            key: bare(item) for key, item in value.items()}
    return [bare(item) for item in value] if isinstance(value, list) else value


def listing(source):
    return bare(json.loads(command("ansible-inventory", "-i", source, "--list")))


def test_hosts_and_containers_are_in_their_groups(fleet, source):
    listed = listing(source)
    assert sorted(listed["fleet_hosts"]["hosts"]) == fleet.hosts
    found = fleet.containers()
    wanted = fleet.desired("clusters")
    assert sorted(listed["fleet_containers"]["hosts"]) == sorted(found)
    assert sorted(listed["first_ones"]["hosts"]) == sorted(name for name in found if name.endswith("_0"))
    assert sorted(listed["group_acme_web"]["hosts"]) == [one.name for one in fleet.named("acme_web_")]
    for name, container in found.items():
        cluster, group, _index = name.split("_")
        zone, options = fleet.zones[container.host], wanted[cluster]["groups"][group]
        for of in (f"cluster_{cluster}", f"group_{group}", f"host_{container.host.replace('-', '_')}", f"zone_{zone}",
                   f"grade_{options['grade']}", f"type_{options['type']}", "state_running"):
            assert name in listed[of]["hosts"], (name, of)
        variables = listed["_meta"]["hostvars"][name]
        assert variables["owner"] == cluster
        assert variables["stowage_instance"]["address"] == container.address
    first = listed["_meta"]["hostvars"][fleet.hosts[0]]
    assert first["stowage_host_cpus"]
    assert first["stowage_host_resources"]["memory"] > 0


def test_beside_the_inventory_of_the_hosts_it_leaves_their_variables_as_they_are(fleet, source):
    listed = bare(json.loads(command("ansible-inventory", "-i", fleet.inventory, "-i", source, "--list")))
    assert sorted(listed["fleet_containers"]["hosts"]) == sorted(fleet.containers())
    for host in fleet.hosts:
        variables = listed["_meta"]["hostvars"][host]
        assert variables["stowage_answers"] is True
        assert variables["stowage_host_labels"]["zone"] == fleet.zones[host]
        # What was measured is no wish of the operator's, and hosts refuse it as one.
        assert "stowage_host_resources" not in variables


def test_commands_reach_into_the_containers_of_a_cluster(fleet, source):
    answer = command("ansible", "-i", source, "cluster_acme", "-m", "ansible.builtin.raw", "-a", "cat /proc/1/comm")
    names = [name for name in fleet.ids() if name.startswith("acme_")]
    assert sorted(line.split(" | ")[0] for line in answer.splitlines() if " | " in line) == sorted(names)
    assert answer.count("nginx") >= 2
    assert answer.count("java") == 3


def test_a_script_is_brought_into_a_container_and_run_there(fleet, source, tmp_path):
    script = tmp_path / "where.sh"
    script.write_text("#!/bin/sh\ncat /proc/sys/kernel/hostname\n")
    redis = fleet.named("globex_redis_")[0]
    answer = command("ansible", "-i", source, redis.name, "-m", "ansible.builtin.script", "-a", script)
    assert redis.inspect["Config"]["Hostname"] in answer


@pytest.mark.parametrize("content", [b"", b"\x00\xff\r\n" * 50_000], ids=["empty", "binary"])
def test_files_go_in_and_come_out_as_they_are(fleet, source, tmp_path, content):
    file = tmp_path / "cargo"
    file.write_bytes(content)
    redis = fleet.named("globex_redis_")[0]
    command("python", "-c", FETCH, source, redis.name, "/tmp/it's cargo", file)
    assert (tmp_path / "cargo.back").read_bytes() == content
    fleet.on(redis.host).check_output("docker exec %s rm /tmp/it\\'s\\ cargo", redis.name)


def test_what_if_shows_where_instances_would_go_and_touches_nothing(fleet, tmp_path):
    before = fleet.ids()
    clusters = fleet.desired("clusters")
    clusters["acme"]["groups"]["web"]["count"] = 3
    hosts = listing(fleet.inventory)["_meta"]["hostvars"]
    # Alone in its folder: variables beside an inventory would count more than those in it.
    (tmp_path / "alone").mkdir()
    changed = tmp_path / "alone" / "hosts.yml"
    changed.write_text(yaml.safe_dump({"fleet": {"hosts": {
        name: {**variables, "stowage_clusters": clusters} for name, variables in hosts.items()}}}))
    file = tmp_path / "what-if.stowage.yml"
    file.write_text(yaml.safe_dump({"plugin": "stowage.fleet.fleet", "sources": [str(changed)], "placement": True}))
    graph = command("ansible-inventory", "-i", file, "--graph")
    assert "@action_create:\n  |  |--acme_web_2" in graph, graph
    assert fleet.ids() == before


def test_a_cached_answer_asks_no_engine(fleet, tmp_path):
    file = write(tmp_path, fleet, cache=True, cache_plugin="ansible.builtin.jsonfile",
                 cache_connection=str(tmp_path / "cache"), cache_timeout=600)
    first = command("ansible-inventory", "-i", file, "--graph")
    # Nobody could be reached by this key, so what is shown again was remembered.
    again = command("ansible-inventory", "-i", file, "--graph", ANSIBLE_PRIVATE_KEY_FILE="/dev/null",
                    ANSIBLE_SSH_EXECUTABLE="/bin/false")
    assert again == first
    assert "acme_zookeeper_0" in again


def test_a_host_that_does_not_answer_is_named_and_the_others_are_there(fleet, tmp_path):
    further = tmp_path / "further.yml"
    further.write_text(yaml.safe_dump({"fleet": {"hosts": {
        "ghost": {"ansible_host": fleet.addresses[fleet.hosts[0]], "ansible_port": 1}}}}))
    done = subprocess.run(
        ["ansible-inventory", "-i", str(write(tmp_path, fleet, further)), "--list"],
        capture_output=True, text=True, check=True, timeout=300,
    )
    assert "host ghost: " in done.stderr
    listed = json.loads(done.stdout)
    assert listed["_meta"]["hostvars"]["ghost"]["stowage_answers"] is False
    assert "globex_redis_0" in listed["cluster_globex"]["hosts"]
