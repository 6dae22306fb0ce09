# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read off an inspection says the same as the options that the container was made of."""

from __future__ import annotations

import json

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.stowage.fleet.plugins.module_utils.containers.diff import payload
from ansible_collections.stowage.fleet.plugins.module_utils.containers.options import INSTANCE_SPEC
from ansible_collections.stowage.fleet.plugins.module_utils.containers.read_instances import read_job
from ansible_collections.stowage.fleet.plugins.module_utils.observation.settings import (
    ENGINE,
    IMAGE,
    OWN,
    SettingsTable,
    wanted_settings,
)

IMAGE_MADE_FROM = {"Config": {"Env": ["PATH=/bin"], "Cmd": ["run"], "Labels": {"maker": "x"}, "StopSignal": "SIGQUIT"}}
RICH = {
    "command": ["run", "--fast now"],
    "env": {"PASSWORD": "swordfish", "DEBUG": 1},
    "labels": {"team": "blue", "empty": ""},
    "mounts": [{"target": "/etc/app", "source": "/srv/app", "read_only": True}, {"target": "/cache"}],
    "tmpfs": ["/run:size=16m"],
    "ports": ["127.0.0.1:8080:80", "53/udp"],
    "capabilities": {"add": ["NET_ADMIN"]},
    "ulimits": [{"name": "nofile", "soft": 1024, "hard": 2048}],
    "sysctls": {"net.core.somaxconn": "512"},
    "health": {"test": "true", "interval": "1m30s", "retries": 3},
    "restart_policy": "on-failure",
    "restart_retries": 3,
    "log_options": {"max-size": "1m"},
    "shm_size": "64m",
    "read_only": True,
    "pids_limit": 100,
    "init": True,
    "dns": ["192.0.2.53"],
    "storage_opt": {"size": "1g"},
}


def job(**options):
    given = {"name": "a_b_0", "cluster": "a", "group": "b", "index": 0, "image": "i:1", **options}
    return read_job(ArgumentSpecValidator(INSTANCE_SPEC).validate(given).validated_parameters)


def inspection(wanted):
    """Play the engine: what was sent, over the image's defaults."""
    sent = payload(wanted.instance, wanted.made, "fleet", wanted.spec)
    made_from = IMAGE_MADE_FROM["Config"]
    config = {**made_from, **{key: value for key, value in sent.items() if key != "HostConfig"}}
    config["Env"] = [*made_from["Env"], *(sent.get("Env") or [])]
    config["Labels"] = {**made_from["Labels"], **sent["Labels"]}
    defaults = {"ShmSize": 64 * 1024**2, "Runtime": "runc"}
    return {"Name": f"/{wanted.name}", "Config": config, "HostConfig": {**defaults, **sent["HostConfig"]}}


def observe(wanted, key="k"):
    table = SettingsTable(key)
    positions = table.add(inspection(wanted), IMAGE_MADE_FROM, tuple(wanted.spec.get("asked") or ()))
    return {name: (text, origin) for name, text, origin in (table.rows[position] for position in positions)}


def test_what_was_asked_for_is_read_back_with_every_option():
    wanted, unread = wanted_settings(job(**RICH).instance, "k")
    assert unread == []
    seen = observe(job(**RICH))
    assert {name: text for name, (text, origin) in seen.items() if origin == OWN} == wanted
    assert wanted["health.interval"] == "90s"
    assert wanted["mounts./etc/app"] == "/srv/app, read-only"
    assert wanted["command"] == "run '--fast now'"
    assert wanted["restart_policy"] == "on-failure:3"


def test_what_nobody_asked_for_is_the_images_or_the_engines():
    seen = observe(job())
    assert seen["command"] == ("run", IMAGE)
    assert seen["labels.maker"] == ("x", IMAGE)
    assert seen["stop_signal"] == ("SIGQUIT", IMAGE)
    assert seen["runtime"] == ("runc", ENGINE)
    assert "labels.stowage.spec" not in seen


def test_what_containers_have_alike_is_listed_once():
    table = SettingsTable("k")
    same = {"command": "run", "env": {"SITE": "a"}}
    positions = [table.add(inspection(job(**same, labels={"team": team})), IMAGE_MADE_FROM, ())
                 for team in ("blue", "red", "red")]
    assert positions[1] == positions[2]
    assert len({*positions[0], *positions[1]}) == len(positions[0]) + 1


def test_no_value_of_a_variable_is_told_and_equal_ones_look_equal():
    text = json.dumps(observe(job(**RICH)))
    assert "swordfish" not in text
    assert observe(job(env={"A": "x"}))["env.A"] == observe(job(env={"A": "x"}))["env.A"]
    assert observe(job(env={"A": "x"}))["env.A"] != observe(job(env={"A": "y"}))["env.A"]
    assert observe(job(env={"A": "x"}))["env.A"] != observe(job(env={"A": "x"}), key="another host")["env.A"]


def test_a_long_text_is_cut_and_still_tells_a_difference_at_its_end():
    one, other = ("x" * 5000 + end for end in "ab")
    texts = [wanted_settings(job(command=[text]).instance, "k")[0]["command"] for text in (one, other)]
    assert max(map(len, texts)) < 200
    assert texts[0] != texts[1]
