# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A type whose values no host would take is refused before there is a plan, with the path that an operator knows."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.options import check_types
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.complaints import Complaints
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import read, render


def _complaints(disk=None, **options):
    grades = {"small": {"cores": 1, "memory": "64m", "disk": disk}, "tiny": {"cpus": 0.1, "memory": "32m"}}
    types = {"db": {"image": "db:1", **options}, "web": {"image": "web:1"}}
    desired, found = read(stowage_grades=grades, stowage_types=types)
    assert found == []
    complaints = Complaints()
    check_types(desired, {}, render, complaints)
    return complaints.sentences


@pytest.mark.parametrize(
    ("options", "path", "words"),
    [
        ({"health": {"test": "true", "interval": "soon"}}, "health", "interval: 'soon' is not a duration"),
        ({"health": {"test": 5}}, "health", "5 is not a command"),
        ({"command": "sh -c 'x"}, "command", "can't be split into words"),
        ({"env": {"DEBUG": True}}, "env", "DEBUG is a bool; expected strings or whole numbers"),
        ({"env": {"RATE": 0.5}}, "env", "RATE is a float; expected strings or whole numbers"),
        ({"labels": {"stowage.group": "x"}}, "labels", "stowage.group is reserved"),
        ({"mounts": [{"target": "data"}]}, "mounts", "expected an absolute path"),
        ({"ports": ["eighty"]}, "ports", "expected [[address:]host port:]container port"),
        ({"ports": ["80:99999"]}, "ports", "99999 is no port; expected a number up to 65535"),
        ({"ports": ["70000:80"]}, "ports", "70000 is no port"),
        ({"shm_size": "64 megs"}, "shm_size", "'64 megs' is not a size"),
        ({"devices": ["sda"]}, "devices", "expected path[:path in the container[:rwm]]"),
        ({"data": {"path": "/data"}}, "data.path", "needs a disk"),
        ({"disk": "1m", "data": {"path": "/data"}}, "data", "1 MiB is too small; expected at least 4 MiB for ext4"),
        ({"image": "Bad Image"}, "image", "'Bad Image' can't name an image"),
        ({"image": "team/Web:1"}, "image", "can't name an image"),
    ],
)
def test_a_value_that_no_host_would_take_is_refused_with_its_path(options, path, words):
    (sentence,) = _complaints(**options)
    assert sentence.startswith(f"stowage_types.db.{path}: ")
    assert words in sentence
    assert sentence.endswith("(as acme/db uses it)")


@pytest.mark.parametrize(
    "options",
    [
        {"env": {"PORT": 80, "NAME": "x", "EMPTY": ""}},
        {"ports": [8080, "127.0.0.1:80:80/tcp", "9000-9001:9000-9001"]},
        {"health": {"test": ["CMD", "true"], "interval": 5, "retries": "3"}},
        {"tty": "yes", "pids_limit": "64", "ulimits": [{"name": "nofile", "soft": "1024"}]},
        {"image": "registry.example:5000/team/web_app:1.2-RC@sha256:" + "a" * 64},
        {"disk": "300m", "data": {"path": "/data", "fs": "xfs"}},
        {"image": "sha256:" + "b" * 64},
        {"image": "Registry.Example/web"},
    ],
)
def test_whatever_a_host_takes_is_taken(options):
    assert _complaints(**options) == []
