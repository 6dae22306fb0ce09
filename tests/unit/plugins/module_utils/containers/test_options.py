# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of containers: what the engine is told, and when two ways to write one thing are the same."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common import labels
from ansible_collections.stowage.fleet.plugins.module_utils.common.durations import parse_duration
from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.containers import values as v
from ansible_collections.stowage.fleet.plugins.module_utils.containers.diff import differences, made_values
from ansible_collections.stowage.fleet.plugins.module_utils.containers.read_instances import read_jobs
from ansible_collections.stowage.fleet.plugins.module_utils.containers.replace import carry_volumes, fits
from ansible_collections.stowage.fleet.plugins.module_utils.containers.wait import health_of
from ansible_collections.stowage.fleet.plugins.module_utils.engine.client import split_image

HEX = "ab" * 32


def instance(**options):
    return {"name": "a_b_0", "cluster": "a", "group": "b", "index": 0, "image": "i:1", "state": "started", **options}


@pytest.mark.parametrize(
    ("show", "one", "other"),
    [
        (v.as_capabilities, ["CAP_NET_RAW"], ["net_raw"]),
        (v.as_security, ["no-new-privileges:true"], ["no-new-privileges"]),
        (v.as_security, ["no-new-privileges=false"], None),
        (v.as_security, ["seccomp:unconfined"], ["seccomp=unconfined"]),
        (v.as_signal, "term", None),
        (v.as_limit, None, -1),
        (v.as_limit, 0, -1),
        (v.as_grace, None, 10),
        (v.as_restart, {"Name": ""}, {"Name": "no", "MaximumRetryCount": 0}),
        (v.as_network, "default", "bridge"),
        (v.as_path, "/srv/./x/", "/srv/x"),
        (v.as_health, {"Test": ["NONE"]}, None),
        (v.as_cpulist, "0-2", "2,1,0"),
    ],
)
def test_ways_to_write_one_thing_are_the_same(show, one, other):
    assert show(one) == show(other)


@pytest.mark.parametrize(
    ("make", "value", "expected"),
    [
        (v.make_words, "sh -c 'echo a b'", ["sh", "-c", "echo a b"]),
        (v.make_env, {"B": 2, "A": "x"}, ["A=x", "B=2"]),
        (
            v.make_ports,
            ["127.0.0.1:80:8080", "53/udp"],
            {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "80"}], "53/udp": [{"HostIp": "", "HostPort": ""}]},
        ),
        (
            v.make_devices,
            ["/dev/a", "/dev/a:/dev/b", "/dev/a:r", "/dev/a:/dev/b:rw"],
            [
                {"PathOnHost": "/dev/a", "PathInContainer": inside, "CgroupPermissions": rights}
                for inside, rights in (("/dev/a", "rwm"), ("/dev/b", "rwm"), ("/dev/a", "r"), ("/dev/b", "rw"))
            ],
        ),
        (v.make_health, {"test": "true", "interval": "1m30s"}, {"Test": ["CMD-SHELL", "true"], "Interval": 90 * 10**9}),
        (v.make_health, {"test": "none"}, {"Test": ["NONE"]}),
        (v.make_tmpfs, ["/run:size=1m,mode=755", "/tmp"], {"/run": "size=1m,mode=755", "/tmp": ""}),
        (v.make_cpulist, [3, 1, 1], "1,3"),
    ],
)
def test_what_the_engine_is_told(make, value, expected):
    assert make(value) == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"env": {"A": True}}, "env: A is a bool"),
        ({"env": {"A=B": "1"}}, "without an equals sign"),
        ({"labels": {"stowage.x": "1"}}, "stowage.x is reserved"),
        ({"command": "sh 'open"}, "can't be split into words"),
        ({"mounts": [{"target": "data"}]}, "expected an absolute path"),
        ({"mounts": [{"target": "/d", "type": "bind", "source": "x"}]}, "absolute path on the host"),
        ({"ports": ["80:x-y"]}, "ports: "),
        ({"ulimits": [{"name": "nofile", "soft": 9, "hard": 8}]}, "soft 9 is above hard 8"),
        ({"health": {"interval": "soon"}}, "health: interval: 'soon' is not a duration"),
        ({"address": "300.1.1.1", "network": "lan"}, "address: '300.1.1.1' is not an IPv4 address"),
        ({"address": "192.0.2.1"}, "is given without a network"),
        ({"memory": "12q"}, "memory: '12q' is not a size"),
        ({"cores": [1], "cpus": 1.0}, "expected one of the two"),
        ({"cores": [1], "claims": {"cores": 2}}, "are not the 2 that it claims"),
        ({"name": "a_b_1"}, "expected a_b_0"),
        ({"cluster": "A"}, "not a valid name"),
    ],
)
def test_bad_input_is_refused_with_its_path(options, words):
    with pytest.raises(InvalidInput) as caught:
        read_jobs([instance(**options)], [], "fleet")
    assert any(words in problem and problem.startswith("instances[0] (") for problem in caught.value.problems)


def test_net_raw_is_dropped_unless_added():
    assert made_values(instance())["dropped_capabilities"] == ["NET_RAW"]
    assert made_values(instance(capabilities={"add": ["cap_net_raw"]}))["dropped_capabilities"] == []
    assert made_values(instance(capabilities={"drop": ["ALL"]}))["dropped_capabilities"] == ["ALL"]


def test_claims_follow_from_the_options_when_not_given():
    (job,) = read_jobs([instance(cores=[2, 3], memory="1g", disk="2g", resources={"gpus": 1})], [], "fleet")
    assert job.spec["claims"] == {"cores": 2, "memory": 1 << 30, "disk": 2 << 30, "gpus": 1}


def test_a_name_given_twice_or_to_both_sides_is_refused():
    with pytest.raises(InvalidInput) as caught:
        read_jobs([instance(), instance()], ["a_b_0"], "fleet")
    assert len(caught.value.problems) == 2


def test_a_successor_takes_over_anonymous_volumes_and_keeps_data_that_has_no_place():
    container = {
        "Mounts": [
            {"Type": "volume", "Name": HEX, "Destination": "/data", "RW": True},
            {"Type": "volume", "Name": HEX[::-1], "Destination": "/own", "RW": True},
            {"Type": "volume", "Name": "named", "Destination": "/named", "RW": True},
            {"Type": "volume", "Name": "c" * 64, "Destination": "/cache", "RW": True},
        ]
    }
    made = {"mounts": v.make_mounts([{"target": "/own"}]), "tmpfs": {"/cache": ""}}
    filled, carried, left = carry_volumes(made, container)
    assert filled["mounts"][0]["Source"] == HEX[::-1]
    assert carried == [{"Type": "volume", "Source": HEX, "Target": "/data", "ReadOnly": False}]
    assert left == ["c" * 64]


def test_a_difference_names_variables_and_never_shows_what_they_hold():
    image = {"Id": "sha256:ab", "Config": {"Env": ["PATH=/bin"]}}
    runs_with = {"Env": ["PATH=/bin", "PASSWORD=old", "GONE=secret", "SAME=x"]}
    container = {"Image": "sha256:ab", "HostConfig": {}, "Config": runs_with}
    wanted = instance(env={"PASSWORD": "new", "COME": "secret", "SAME": "x"})
    found = differences(wanted, made_values(wanted), image, container, "fleet", {}, {})
    (shown,) = [(difference.before, difference.after) for difference in found if difference.name == "env"]
    assert shown == ({"GONE": "a value", "PASSWORD": "a value"}, {"COME": "a value", "PASSWORD": "another value"})


@pytest.mark.parametrize(
    ("cpuset", "memory", "expected"), [("1", 10, True), ("1,2", 10, False), ("", 10, False), ("1", 11, False)]
)
def test_an_old_container_runs_again_only_within_what_its_successor_was_given(cpuset, memory, expected):
    container = {"HostConfig": {"CpusetCpus": cpuset, "Memory": memory}}
    assert fits(container, {"cpuset": "1", "memory": 10}) is expected


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("Up 2 seconds (healthy)", "healthy"),
        ("Up 1 s (health: starting)", "starting"),
        ("Up 1 s (unhealthy)", "unhealthy"),
        ("Up 3 hours", ""),
        ("Exited (0) 1 s ago", ""),
        ("Up 4 s (Paused)", ""),
    ],
)
def test_health_of_the_list(status, health):
    assert health_of({"Status": status}) == health


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nginx", ("nginx", "latest")),
        ("r.example:5000/a/b", ("r.example:5000/a/b", "latest")),
        ("r.example:5000/a:1", ("r.example:5000/a", "1")),
        ("a@sha256:ff", ("a", "sha256:ff")),
    ],
)
def test_image_names(name, expected):
    assert split_image(name) == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("1m30s", 90), ("500ms", 0.5), (5, 5), ("2.5", 2.5), ("1h", 3600)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds * 10**9


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1s ", "10 seconds", "9" * 30 + "h", None])
def test_what_is_no_duration(text):
    if text == "1s ":
        assert parse_duration(text) == 10**9
        return
    with pytest.raises(InvalidInput):
        parse_duration(text)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"v": 2, "claims": {}}', '{"v": 1}'])
def test_a_damaged_spec_is_none(text):
    assert labels.read_spec(text) is None


def test_a_spec_reads_back():
    spec = labels.make_spec({"memory": 1}, "d", "small", "web", {"log_options.x"})
    assert labels.read_spec(labels.canonical_json(spec)) == spec
    assert labels.digest({"b": 1, "a": 2}) == labels.digest({"a": 2, "b": 1})
