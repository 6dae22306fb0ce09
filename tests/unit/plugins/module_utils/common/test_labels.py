# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written on the things that a fleet owns."""

from __future__ import annotations

import json

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common import labels

CLAIMS = {"memory": 64, "cores": 1}


def test_one_content_is_one_text_whatever_its_order():
    assert labels.canonical_json({"b": [1, 2], "a": "ü"}) == '{"a":"ü","b":[1,2]}'
    assert labels.canonical_json({"a": "ü", "b": [1, 2]}) == labels.canonical_json({"b": [1, 2], "a": "ü"})


def test_a_digest_is_16_hex_digits_that_differ_with_the_content():
    found = {labels.digest(value) for value in ({"a": 1}, {"a": "1"}, {"a": None}, {})}
    assert len(found) == 4
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in found)


def test_a_digest_stays_what_it_is_in_every_version():
    # Containers carry it: another one would have all of them made anew.
    assert labels.digest({"image": "nginx:1", "env": {"A": "ü"}}) == "eca5f2efdb4b9aa0"


def test_a_spec_without_grade_type_and_digest_says_so_with_empty_texts():
    assert labels.make_spec(CLAIMS) == {"v": 1, "digest": "", "grade": "", "type": "", "claims": CLAIMS}


def test_a_spec_notes_the_options_that_were_asked_for_in_order():
    assert labels.make_spec(CLAIMS, asked={"runtime", "log_driver"})["asked"] == ["log_driver", "runtime"]


def test_a_spec_holds_claims_of_its_own():
    given = dict(CLAIMS)
    spec = labels.make_spec(given)
    given["memory"] = 0
    assert spec["claims"] == CLAIMS


@pytest.mark.parametrize("spec", [
    {"v": labels.VERSION + 1, "claims": {}}, {"claims": {}}, {"v": labels.VERSION}, {"v": labels.VERSION, "claims": []},
    [], 1,
])
def test_a_spec_of_another_shape_or_version_is_none(spec):
    assert labels.read_spec(json.dumps(spec)) is None


def test_the_labels_of_an_instance_say_who_it_is_and_what_it_was_promised():
    spec = labels.make_spec(CLAIMS, "d", "small", "web")
    made = labels.instance_labels("blue", "acme", "web", 3, spec)
    assert made["stowage.fleet"] == "blue"
    assert labels.read_identity(made) == ("acme", "web", 3)
    assert labels.read_spec(made["stowage.spec"]) == spec


def test_an_engine_takes_all_labels_of_an_instance_as_text():
    made = labels.instance_labels("blue", "acme", "web", 3, labels.make_spec(CLAIMS))
    assert {type(value) for value in made.values()} == {str}
    assert all(name.startswith(labels.PREFIX) for name in made)


@pytest.mark.parametrize("changes", [
    {labels.CLUSTER: None}, {labels.GROUP: None}, {labels.INDEX: None}, {labels.INDEX: "first"}, {labels.INDEX: ""},
])
def test_labels_that_lack_a_part_name_no_instance(changes):
    made = {**labels.instance_labels("blue", "acme", "web", 3, {}), **changes}
    assert labels.read_identity({name: value for name, value in made.items() if value is not None}) is None


def test_no_labels_name_no_instance():
    assert labels.read_identity(None) is None
