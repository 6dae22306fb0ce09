# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that is missing where a plan needs it is named before anything is touched."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.plan.images import (
    find_missing,
    images_of,
    judge,
    unavailable,
)
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import instance, read, render

OPTIONS = {f"acme_web_{index}": {"image": "web:2"} for index in range(4)}
SEEN = {"h1": {"images": {"web:2": None}}, "h2": {"images": {"web:2": "sha256:1"}}, "h3": {"images": {}}, "h4": {}}
MISSING = {"web:2": ["h1"]}


def test_images_that_need_no_instance_are_asked_for():
    types = {"db": {"image": "{{ registry }}"}, "web": {"image": "web:1"}}
    desired, found = read(stowage_types=types)
    assert found == []
    assert images_of(desired, render) == ["web:1"]
    assert images_of(desired, lambda text, variables=None: "r.example/db:1") == ["r.example/db:1", "web:1"]


def test_only_a_host_that_looked_lacks_an_image():
    items = [instance(f"acme_web_{index}", host=f"h{index + 1}") for index in range(4)]
    assert find_missing(items, OPTIONS, SEEN, ()) == MISSING
    assert find_missing(items, OPTIONS, SEEN, {"acme_web_0"}) == {}
    assert find_missing([instance("acme_web_0", "keep")], OPTIONS, SEEN, ()) == {}


@pytest.mark.parametrize(
    ("pull", "brought", "check", "refused", "said"),
    [
        ("never", [], False, True, None),
        ("never", [], True, True, None),
        ("never", ["web:2"], True, False, "the playbook images, or site, brings it there"),
        ("never", ["web:2"], False, True, None),
        ("missing", [], True, False, "its engine has to fetch it"),
        ("missing", [], False, False, None),
    ],
)
def test_a_missing_image_is_refused_where_nobody_may_fetch_it(pull, brought, check, refused, said):
    left, notes = judge(MISSING, pull, brought, check)
    assert bool(unavailable(left)) is refused
    assert [said in note for note in notes] == ([True] if said else [])


def test_a_refusal_names_image_and_hosts():
    assert unavailable(MISSING).startswith("image web:2 is not on host h1, and pull is never. Nothing was touched.")
    many = unavailable({"a:1": [f"h{index}" for index in range(9)], "b:1": ["h1"]})
    assert "- image a:1 is not on hosts h0, h1, h2, h3, h4 and 4 more, and pull is never" in many
