# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update says what changes inside: each field before and after, and what is alike in a group once."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.disks.pool import Pool
from ansible_collections.stowage.fleet.plugins.module_utils.observation.settings import wanted_settings
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.changes import _READER, find_changes
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.diff import draw_diff
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import instance

CLAIMS = {"cpus": 0.5, "memory": 64 * 1024**2}


def options(name="acme_web_0", **more):
    cluster, group, index = name.split("_")
    return {
        "name": name, "cluster": cluster, "group": group, "index": int(index), "image": "web:1", "type": "web",
        "grade": "small", "digest": "new", "claims": CLAIMS, "network": "lan", "address": f"10.0.0.{10 + int(index)}",
        **more,
    }  # fmt: skip


def observation(*before, machine="m", images=None, rows=(), pool=None):
    """A host on which containers run that were made of these options."""
    settings, containers = [list(row) for row in rows], []
    for given in before:
        texts, _unread = wanted_settings(_READER.validate(dict(given)).validated_parameters, machine)
        positions = [*range(len(rows)), *range(len(settings), len(settings) + len(texts))]
        settings += [[name, text, "own"] for name, text in texts.items()]
        containers.append({**given, "image_id": "sha256:0123456789abcdef", "digest": "old", "settings": positions})
    return {"machine": machine, "pool": pool, "images": images or {}, "containers": containers, "settings": settings}


def changes(before, after, **seen):
    items = [instance("acme_web_0", "update")]
    return find_changes(items, {"acme_web_0": options(**after)}, {"h1": observation(options(**before), **seen)}).get(
        "acme_web_0"
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"image": "web:2"}, {"image": "web:1 → web:2"}),
        ({"env": {"A": "1", "B": "s", "C": "x"}}, {"env": {"B": "t", "C": "x", "D": "1"}},
         {"env": "A removed, B changed, D added"}),
        ({"command": "run"}, {}, {"command": "run → the image's"}),
        ({}, {"ports": ["8080:80"]}, {"ports.80/tcp": "none → 8080"}),
        ({"labels": {"a": "1", "b": "2"}}, {"labels": {"a": "1"}}, {"labels.b": "2 → none"}),
        ({"health": {"test": "true", "interval": "2s"}}, {"health": {"test": "true", "interval": "5s"}},
         {"health.interval": "2s → 5s"}),
        ({}, {"grade": "big", "claims": {"cores": 2, "memory": 128 * 1024**2}},
         {"grade": "small → big", "cores": "none → 2", "cpus": "0.5 → none", "memory": "64 MiB → 128 MiB"}),
        ({}, {"links": [{"name": "eth1", "kind": "bridge", "parent": "br0"}]},
         {"type": "in what an engine does not show, such as links or the keeping of disks"}),
    ],
)  # fmt: skip
def test_each_field_that_changes_is_named(before, after, expected):
    assert changes(before, after) == expected


def test_an_image_name_that_means_another_image_shows_ids():
    found = changes({}, {}, images={"web:1": "sha256:fedcba9876543210"})
    assert found == {"image": "web:1 (0123456789ab) → web:1 (fedcba987654)"}


def test_defaults_of_image_and_engine_are_no_changes():
    rows = [("command", "run", "image"), ("runtime", "runc", "engine"), ("working_dir", "/srv", "image")]
    assert changes({}, {"working_dir": "/app"}, rows=rows) == {"working_dir": "/srv → /app"}


def test_the_place_of_a_hosts_pool_is_no_change():
    disk = {"data": {"path": "/data"}, "disk": "1g"}
    mount = ("mounts./data", Pool("/srv/pool").data("acme_web_0"), "own")
    found = changes({}, {**disk, "user": "7"}, rows=[mount], pool="/srv/pool")
    assert found == {"user": "the image's → 7"}


def test_long_values_are_cut_to_where_they_differ():
    words = ["--option=value"] * 20
    found = changes({"command": ["run", *words, "one"]}, {"command": ["run", *words, "two"]})["command"]
    assert len(found) < 140
    found = changes({"command": ["run", "x" * 30, *words]}, {"command": ["run", "x" * 30, "y", *words]})["command"]
    assert found.startswith("…")
    assert " y --option" in found


def _group(count, after):
    names = [f"acme_web_{index}" for index in range(count)]
    plan = {"instances": [instance(name, "update", reasons=["its type changed"]) for name in names]}
    seen = {"h1": observation(*[options(name, env={"ME": name}) for name in names])}
    found = find_changes(plan["instances"], {name: options(name, **after(name)) for name in names}, seen)
    return [line for line in draw_diff(plan, {}, {}, changes=found).splitlines() if line.startswith("~   ")]


def test_what_changes_alike_in_a_group_is_drawn_once():
    assert _group(3, lambda name: {"image": "web:2", "env": {"ME": name}}) == [
        "~   all 3 of group web:", "~     image: web:1 → web:2",
    ]  # fmt: skip


def test_what_differs_between_members_is_drawn_with_each():
    assert _group(2, lambda name: {"image": "web:2", "env": {"ME": name}, "user": name[-1] * 3}) == [
        "~     user: the image's → 000",
        "~     user: the image's → 111",
        "~   both of group web:",
        "~     image: web:1 → web:2",
    ]


def test_one_that_is_alone_has_its_changes_below_it():
    assert _group(1, lambda name: {"env": {"ME": "other"}}) == ["~     env: ME changed"]
