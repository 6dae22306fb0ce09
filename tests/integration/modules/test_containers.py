"""The module `containers` on a real engine: what it makes is what the engine and the kernel report."""

from __future__ import annotations

import json
import time

import docker.errors
import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.stowage.fleet.plugins.module_utils.containers.options import INSTANCE_SPEC
from ansible_collections.stowage.fleet.plugins.module_utils.observation.settings import wanted_settings

FULL = {
    "entrypoint": ["/bin/env", "BERTH=9"],
    "command": ["/bin/sleep", "500"],
    "env": {"ZOO": "1", "PORT": 80},
    "labels": {"team": "blue"},
    "tmpfs": ["/scratch:size=1m"],
    "ports": ["127.0.0.1::8080/tcp"],
    "capabilities": {"add": ["NET_ADMIN"], "drop": ["MKNOD"]},
    "ulimits": [{"name": "nofile", "soft": 512, "hard": 1024}],
    "sysctls": {"net.ipv4.ip_unprivileged_port_start": 0},
    "user": "1000:1000",
    "groups": ["27"],
    "working_dir": "/tmp",
    "health": {"test": ["/bin/true"], "interval": "1s", "retries": 2},
    "restart_policy": "on-failure",
    "restart_retries": 3,
    "stop_signal": "USR1",
    "log_driver": "json-file",
    "log_options": {"max-size": "1m"},
    "devices": ["/dev/null:/dev/nothing:rw"],
    "read_only": True,
    "shm_size": "16m",
    "pids_limit": 50,
    "init": True,
    "hostname": "berth",
    "extra_hosts": {"peer": "192.0.2.7"},
    "dns": ["192.0.2.53"],
    "dns_search": ["example.test"],
    "dns_options": ["ndots:2"],
    "security_opts": ["seccomp=unconfined"],
    "memory": "32m",
    "cpus": 0.25,
}

# Asks the kernel from inside, one answer a line.
INSIDE = """cd=$PWD; alias b=/bin/busybox
b awk '/CapBnd/ {print "rights=" $2}' /proc/1/status
b awk '/open files/ {print "files=" $4 " " $5}' /proc/1/limits
echo port=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)
b awk '$2 == "/dev/shm" {sub(/.*size=/, ""); sub(/[, ].*/, ""); print "shm=" $0}' /proc/mounts
echo pids=$(cat /sys/fs/cgroup/pids/pids.max || cat /sys/fs/cgroup/pids.max)
b awk '$2 == "/" {print "root=" substr($4, 1, 2)}' /proc/mounts
echo groups=$(id -G)
echo in=$cd
echo "names=$(b tr '\\n' ' ' < /etc/resolv.conf)"
echo "first=$(b tr '\\0' ' ' < /proc/1/cmdline)"
"""
NET_ADMIN, NET_RAW, MKNOD = 12, 13, 27


def actions(result):
    """{name: action} of a result of the module containers."""
    return {one["name"].split("_", 1)[1]: one["action"] for one in result["containers"]}


def only(result):
    """The one container of a result."""
    (one,) = result["containers"]
    return one


def test_creates_then_changes_nothing(fleet):
    first = fleet.containers(fleet.instance(0), fleet.instance(1))
    assert first["changed"]
    assert actions(first) == {"web_0": "created", "web_1": "created"}
    assert {one["state"] for one in first["containers"]} == {"running"}
    second = fleet.containers(fleet.instance(0), fleet.instance(1))
    assert not second["changed"]
    assert actions(second) == {"web_0": "none", "web_1": "none"}


def test_all_options_reach_the_kernel_and_a_second_run_changes_nothing(fleet):
    options = {**FULL, "mounts": [{"source": f"{fleet.name}-v", "target": "/more"}]}
    created = only(fleet.containers(fleet.instance(**options)))
    assert (created["action"], created["health"]) == ("created", "healthy"), created
    assert fleet.run_in("hostname; id -u; cat /dev/nothing; grep -c peer /etc/hosts") == "berth\n1000\n1"
    assert fleet.inspect()["HostConfig"]["NanoCpus"] == 250_000_000
    assert fleet.run_in("cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max") == str(
        32 << 20
    )
    seen = dict(line.split("=", 1) for line in fleet.run_in(INSIDE).split("\n"))
    assert bool(int(seen["rights"], 16) & 1 << NET_ADMIN)
    assert not int(seen.pop("rights"), 16) & (1 << NET_RAW | 1 << MKNOD)
    assert seen == {
        "files": "512 1024", "port": "0", "shm": "16384k", "pids": "50", "root": "ro",
        "groups": "1000 27", "in": "/tmp",
        "names": "search example.test nameserver 192.0.2.53 options ndots:2 ",
        "first": "/sbin/docker-init -- /bin/env BERTH=9 /bin/sleep 500",
    }
    again = only(fleet.containers(fleet.instance(**options)))
    assert (again["action"], again["diff"]) == ("none", {})
    host = fleet.module("host_info", images=[fleet.image, "stowage-test-none:1"])["host"]
    assert host["images"] == {fleet.image: fleet.inspect()["Image"], "stowage-test-none:1": None}
    seen = [host["settings"][position] for position in host["containers"][0]["settings"]]
    given = ArgumentSpecValidator(INSTANCE_SPEC).validate(fleet.instance(**options)).validated_parameters
    own = {name: text for name, text, origin in seen if origin == "own"}
    assert (own, []) == wanted_settings(given, host["machine"]), "what a plan shows as changed is what differs"


@pytest.mark.parametrize("name", sorted(FULL))
def test_an_option_that_is_removed_is_seen(fleet, name):
    options = {name: FULL[name]}
    if name == "restart_retries":
        options["restart_policy"] = "on-failure"
    before = only(fleet.containers(fleet.instance(state="stopped", **options)))
    assert before["action"] == "created", before
    without = {key: value for key, value in options.items() if key != name}
    after = only(fleet.containers(fleet.instance(state="stopped", **without)))
    assert after["action"] in ("recreated", "updated"), after
    assert only(fleet.containers(fleet.instance(state="stopped", **without)))["action"] == "none"


def test_drops_net_raw_and_new_privileges_unless_told_otherwise(fleet):
    fleet.containers(fleet.instance(0), fleet.instance(1, capabilities={"add": ["net_raw"]}, no_new_privileges=False))
    raw = 1 << 13
    status = "grep -E 'CapBnd|NoNewPrivs' /proc/1/status"
    bounded, quiet = fleet.run_in(status).split("\n")
    assert not int(bounded.split()[1], 16) & raw
    assert quiet.split()[1] == "1"
    bounded, quiet = fleet.run_in(status, 1).split("\n")
    assert int(bounded.split()[1], 16) & raw
    assert quiet.split()[1] == "0"


def test_resources_change_in_place_and_the_process_lives_on(fleet):
    fleet.containers(fleet.instance(memory="32m", cores=[0], digest="old", pids_limit=20))
    before = fleet.inspect()["State"]["Pid"]
    changed = fleet.instance(memory="48m", cores=[1], digest="new", pids_limit=30, restart_policy="always")
    result = only(fleet.containers(changed))
    assert result["action"] == "updated", result
    assert result["diff"]["after"]["cpuset"] == [1]
    assert fleet.inspect()["State"]["Pid"] == before
    assert fleet.run_in("cat /sys/fs/cgroup/cpuset/cpuset.cpus || cat /sys/fs/cgroup/cpuset.cpus") == "1"
    (seen,) = fleet.module("host_info")["host"]["containers"]
    assert (seen["digest"], seen["cores"], seen["claims"]["memory"]) == ("new", [1], 48 << 20)
    assert only(fleet.containers(changed))["action"] == "none"


def test_a_new_digest_without_a_difference_is_only_recorded(fleet):
    fleet.containers(fleet.instance(digest="a"))
    ident = fleet.inspect()["Id"]
    result = fleet.containers(fleet.instance(digest="b"))
    assert (only(result)["action"], result["changed"]) == ("recorded", True)
    assert fleet.inspect()["Id"] == ident
    assert not fleet.containers(fleet.instance(digest="b"))["changed"]
    assert fleet.module("host_info")["host"]["containers"][0]["digest"] == "b"


def test_recreating_keeps_the_data_of_anonymous_volumes_and_removing_takes_them_along(fleet, api):
    fleet.containers(fleet.instance())
    fleet.run_in("echo cargo > /data/file")
    (volume,) = [mount["Name"] for mount in fleet.inspect()["Mounts"]]
    for place in ("pier", "quay"):
        assert only(fleet.containers(fleet.instance(env={"PLACE": place})))["action"] == "recreated"
        assert fleet.run_in("cat /data/file; echo $PLACE") == f"cargo\n{place}"
        assert not fleet.containers(fleet.instance(env={"PLACE": place}))["changed"]
    removed = fleet.containers(remove=[fleet.instance()["name"]])
    assert only(removed)["action"] == "removed"
    assert fleet.mine() == []
    with pytest.raises(docker.errors.NotFound):
        api.inspect_volume(volume)
    assert not fleet.containers(remove=[fleet.instance()["name"]])["changed"]


def test_named_volumes_outlive_their_container(fleet, api):
    name = f"{fleet.name}-named"
    fleet.containers(fleet.instance(mounts=[{"source": name, "target": "/data"}]))
    fleet.containers(remove=[fleet.instance()["name"]])
    assert api.inspect_volume(name)["Name"] == name


def test_an_image_name_that_moved_recreates(fleet, api, image):
    other = f"{image.split(':')[0]}:moved"
    api.tag(image, *other.split(":"), force=True)
    fleet.containers(fleet.instance(image=other))
    made = api.create_container(image, "/bin/true", name=f"{fleet.name}-commit")
    api.commit(made["Id"], *other.split(":"))
    result = only(fleet.containers(fleet.instance(image=other)))
    assert result["action"] == "recreated"
    assert "image" in result["diff"]["after"]


def test_states(fleet):
    fleet.containers(fleet.instance(0, state="reserved"), fleet.instance(1, state="stopped"), fleet.instance(2))
    assert fleet.inspect(0)["State"]["Status"] == "created"
    assert fleet.inspect(1)["State"]["Status"] == "created"
    swapped = fleet.containers(fleet.instance(0), fleet.instance(1), fleet.instance(2, state="stopped"))
    assert actions(swapped) == {"web_0": "started", "web_1": "started", "web_2": "stopped"}
    assert fleet.inspect(2)["State"]["Status"] == "exited"


def test_a_paused_container_goes_on(fleet, api):
    fleet.containers(fleet.instance())
    api.pause(fleet.instance()["name"])
    assert only(fleet.containers(fleet.instance()))["action"] == "started"
    assert fleet.inspect()["State"]["Status"] == "running"


def test_one_failure_does_not_stop_the_others_and_is_named(fleet):
    result = fleet.containers(
        fleet.instance(0), fleet.instance(1, image="no-such-image:1"), fleet.instance(2), pull="never", host_name="quay"
    )
    assert result["failed"]
    assert actions(result) == {"web_0": "created", "web_1": "none", "web_2": "created"}
    assert "image no-such-image:1 is not on host quay, and pull is never" in result["msg"]
    assert result["msg"].count("\n") == 0, "who did not fail is not in it"


def test_a_container_that_falls_over_says_its_last_words(fleet):
    result = fleet.containers(fleet.instance(command="/bin/sh -c 'echo man overboard; exit 3'"))
    assert result["failed"]
    assert "exit status 3" in result["msg"]
    assert "man overboard" in result["msg"]


def test_one_that_never_gets_healthy_fails_after_the_time_with_its_checks_words(fleet):
    health = {"test": "echo leaking; false", "interval": "100ms", "retries": 1}
    result = fleet.containers(fleet.instance(health=health), wait_timeout=1)
    assert "not healthy after 1 seconds: health is unhealthy; its last check said: leaking" in result["msg"]


def test_a_stranger_of_the_same_name_is_left_alone(fleet, api, image):
    made = api.create_container(image, name=fleet.instance()["name"])
    for result in (fleet.containers(fleet.instance()), fleet.containers(remove=[fleet.instance()["name"]])):
        assert "does not own; it was left alone" in result["msg"]
    assert fleet.inspect()["Id"] == made["Id"]


def test_check_mode_tells_the_truth_and_touches_nothing(fleet):
    fleet.containers(fleet.instance(0), fleet.instance(1), fleet.instance(2, memory="16m"))
    before = [fleet.inspect(index)["Id"] for index in range(3)]
    wanted = (fleet.instance(0, env={"A": "1"}), fleet.instance(2, memory="24m"), fleet.instance(3))
    told = fleet.containers(*wanted, remove=[fleet.instance(1)["name"]], check=True, diff=True)
    assert {one["before_header"].split("_", 1)[1] for one in told["diff"]} == {"web_0", "web_1", "web_2", "web_3"}
    assert [fleet.inspect(index)["Id"] for index in range(3)] == before
    done = fleet.containers(*wanted, remove=[fleet.instance(1)["name"]])
    assert (
        actions(done)
        == actions(told)
        == {"web_0": "recreated", "web_1": "removed", "web_2": "updated", "web_3": "created"}
    )


def test_a_successor_that_does_not_start_leaves_the_old_one_running(fleet):
    fleet.containers(fleet.instance())
    before = fleet.inspect()["Id"]
    result = fleet.containers(fleet.instance(command=["/no/such/program"]))
    assert "the old one was put back" in result["msg"]
    assert fleet.inspect()["Id"] == before
    assert fleet.inspect()["State"]["Status"] == "running"
    assert fleet.inspect()["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert fleet.mine() == [fleet.instance()["name"]]


@pytest.mark.parametrize("moment", ["successor made", "old one stopped", "old one renamed", "successor renamed"])
def test_a_run_that_died_while_it_replaced_is_mended_by_the_next(fleet, api, moment):
    name = fleet.instance()["name"]
    fleet.containers(fleet.instance())
    fleet.run_in("echo cargo > /data/file")
    old = fleet.inspect()
    volume = {"Type": "volume", "Source": old["Mounts"][0]["Name"], "Target": "/data"}
    config = {**old["Config"], "Env": ["PLACE=new"], "HostConfig": {**old["HostConfig"], "Mounts": [volume]}}
    api.create_container_from_config(config, f"{name}.next")
    moments = ["successor made", "old one stopped", "old one renamed", "successor renamed"]
    if moments.index(moment) >= 1:
        api.stop(name, timeout=0)
    if moments.index(moment) >= 2:
        api.rename(name, f"{name}.old")
    if moments.index(moment) >= 3:
        api.rename(f"{name}.next", name)
    assert len(fleet.module("host_info")["host"]["containers"]) == 1
    assert fleet.containers(fleet.instance(env={"PLACE": "new"}))["changed"]
    assert fleet.mine() == [name]
    assert fleet.run_in("cat /data/file; echo $PLACE") == "cargo\nnew"
    assert not fleet.containers(fleet.instance(env={"PLACE": "new"}))["changed"]


def test_an_address_is_kept_on_its_network_and_a_new_one_recreates(fleet):
    network = {"name": f"{fleet.name}-lan", "subnet": "10.213.77.0/24"}
    placed = fleet.instance(network=network["name"], address="10.213.77.9")
    first = fleet.containers(placed, networks=[network])
    assert first["networks"][0]["action"] == "created"
    assert fleet.inspect()["NetworkSettings"]["Networks"][network["name"]]["IPAddress"] == "10.213.77.9"
    assert not fleet.containers(placed, networks=[network])["changed"]
    moved = only(fleet.containers({**placed, "address": "10.213.77.10"}, networks=[network]))
    assert (moved["action"], moved["diff"]["before"]) == ("recreated", {"address": "10.213.77.9"})
    changed = {**network, "subnet": "10.213.78.0/24"}
    refused = fleet.containers(networks=[changed])
    assert "is in use by" in refused["msg"]
    fleet.containers(remove=[placed["name"]])
    assert fleet.containers(networks=[changed])["networks"][0]["action"] == "recreated"
    pruned = fleet.containers(prune_networks=True)
    assert [one["action"] for one in pruned["networks"]] == ["removed"]


def test_a_network_on_an_interface_that_is_not_there_is_refused_and_names_those_that_are(fleet):
    network = {"name": f"{fleet.name}-lan", "driver": "macvlan", "parent": "nix0", "subnet": "10.213.77.0/24"}
    result = fleet.containers(fleet.instance(0, network=network["name"]), fleet.instance(1), networks=[network])
    assert "this host has no interface nix0; it has" in result["msg"]
    assert actions(result) == {"web_0": "none", "web_1": "created"}


def test_no_overcommit_is_refused_before_the_first_change(fleet):
    fleet.containers(fleet.instance(0, cores=[1]))
    for wanted, words in (
        (fleet.instance(1, cores=[1]), "core 1 would be owned by"),
        (fleet.instance(1, cores=[999]), "which this host does not have"),
        (fleet.instance(1, memory="900t"), "of memory are promised"),
        (fleet.instance(1, disk="900p"), "of disk are promised"),
        (fleet.instance(1, cpus=900), "shared cpus are promised"),
        (fleet.instance(1, resources={"gpus": 1}), "which this host does not offer"),
    ):
        result = fleet.containers(wanted, fleet.instance(2))
        assert words in result["msg"]
        assert fleet.mine() == [fleet.instance(0)["name"]]
    refused = fleet.containers(fleet.instance(1, cores=[0]), reserved={"cores": 1})
    assert "core 0, which is reserved for the host" in refused["msg"]


def test_bad_input_is_refused_with_all_complaints_and_their_paths(fleet):
    result = fleet.containers(
        fleet.instance(0, shm_size="12q", health={"interval": "soon"}),
        {**fleet.instance(1), "name": "other"},
        fleet.instance(2, env={"A": True}, labels={"stowage.fleet": "mine"}),
    )
    for words in (
        "instances[0]",
        "shm_size: '12q'",
        "health: interval: 'soon'",
        "instances[1] (other).name: expected",
        "env: A is a bool; expected strings",
        "labels: stowage.fleet is reserved",
    ):
        assert words in result["msg"]
    assert fleet.mine() == []


def test_a_claimed_plan_outdates_the_ones_before_it(fleet):
    old, new = {"id": "a" * 16, "serial": 1, "base_serial": 0}, {"id": "b" * 16, "serial": 1, "base_serial": 0}
    claimed = fleet.containers(claim=True, plan=new, by="alice@control", ledger={"instances": [], "hosts": []})
    assert (claimed["changed"], claimed["claimed"]) == (True, 1)
    assert not fleet.containers(claim=True, plan=new)["changed"]
    for refused in (fleet.containers(claim=True, plan=old), fleet.containers(fleet.instance(), plan=old)):
        assert "outdated" in refused["msg"]
        assert "alice@control" in refused["msg"]
    assert fleet.mine() == []
    assert not fleet.containers(fleet.instance(), plan=new).get("failed")
    ledger = json.loads((fleet.folder / "state" / fleet.name / "ledger.json").read_text())
    assert (ledger["serial"], ledger["plan_id"]) == (1, new["id"])


def test_removal_gives_the_grace_period(fleet):
    trap = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    fleet.containers(fleet.instance(command=["/bin/sh", "-c", trap], stop_signal="TERM", stop_timeout=15))
    began = time.monotonic()
    fleet.containers(remove=[fleet.instance()["name"]])
    assert time.monotonic() - began < 10


def test_sharing_containers_leave_cores_that_become_owned(fleet):
    fleet.containers(fleet.instance(0, cpus=0.2, cpuset=[0, 1]))
    result = fleet.containers(fleet.instance(0, cpus=0.2, cpuset=[0]), fleet.instance(1, cores=[1]))
    assert actions(result) == {"web_0": "updated", "web_1": "created"}
    assert fleet.inspect()["HostConfig"]["CpusetCpus"] == "0"


def test_an_engine_that_does_not_answer_is_named(fleet):
    result = fleet.containers(docker_host="unix:///run/no-such.sock")
    assert "does not answer at unix:///run/no-such.sock: there is no such socket" in result["msg"]
