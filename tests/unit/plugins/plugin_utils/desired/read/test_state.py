# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input is refused with the path, the value and what was expected, all of it at once."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import read, variables


def _group(**changes):
    return {"stowage_clusters": {"acme": {"groups": {"db": {"type": "db", "grade": "small", **changes}}}}}


def test_a_valid_state_has_no_complaints_and_its_defaults_filled_in():
    desired, complaints = read()
    assert complaints == []
    assert desired.clusters["acme"]["state"] == "started"
    assert desired.clusters["acme"]["groups"]["db"]["network"] == "lan"
    assert desired.grades["small"]["memory"] == 64 * 1024**2


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        (_group(count=-1), "stowage_clusters.acme.groups.db.count", "-1 is below 0; expected a whole number"),
        (_group(count="many"), "stowage_clusters.acme.groups.db.count", "'many' is not a whole number"),
        (_group(count=True), "stowage_clusters.acme.groups.db.count", "True is not a whole number"),
        (_group(cuont=1), "stowage_clusters.acme.groups.db.cuont", "unknown key (did you mean count?)"),
        (_group(grade="smal"), "stowage_clusters.acme.groups.db.grade", "did you mean small?"),
        (_group(grade=None), "stowage_clusters.acme.groups.db.grade", "missing"),
        (_group(type="nope"), "stowage_clusters.acme.groups.db.type", "'nope' is not a known type"),
        (_group(type=["db"]), "stowage_clusters.acme.groups.db.type", "is not a known type"),
        (_group(requires=["db"]), "stowage_clusters.acme.groups.db.requires[0]", "db requires itself"),
        (_group(requires=["x"]), "stowage_clusters.acme.groups.db.requires[0]", "'x' is not a known group"),
        (_group(requires="web"), "stowage_clusters.acme.groups.db.requires", "is not a list"),
        (_group(network="wan"), "stowage_clusters.acme.groups.db.network", "'wan' is not a known network"),
        ({"stowage_clusters": 5}, "stowage_clusters", "5 is not a mapping"),
        ({"stowage_clusters": {"acme": {"state": "on"}}}, "stowage_clusters.acme.state", "'on' is not known"),
        ({"stowage_clusters": {"acme": {"state": False}}}, "stowage_clusters.acme.state", "False is not known"),
        (
            {"stowage_clusters": {"a" * 40: {"groups": {"b" * 40: {"type": "db", "grade": "small"}}}}},
            f"stowage_clusters.{'a' * 40}.groups.{'b' * 40}",
            "its instances have names of up to 83 characters",
        ),
        ({"stowage_grades": {"x": {"cores": 1, "memory": None}}}, "stowage_grades.x.memory", "missing"),
        ({"stowage_grades": {"x": {"cores": 1, "memory": 0}}}, "stowage_grades.x.memory", "0 is too small"),
        ({"stowage_clusters": {"A_B": {}}}, "stowage_clusters.A_B", "'A_B' is not a valid name"),
        ({"stowage_grades": {"x": {"cores": 1, "memory": "5x"}}}, "stowage_grades.x.memory", "'5x' is not a size"),
        ({"stowage_grades": {"x": {"cores": 1, "cpus": 1}}}, "stowage_grades.x", "has both cores and cpus"),
        ({"stowage_grades": {"x": {"cores": 1.5}}}, "stowage_grades.x.cores", "1.5 is not a whole number"),
        (
            {"stowage_types": {"x": {"image": "a", "health": {"tset": 1}}}},
            "stowage_types.x.health.tset",
            "did you mean test?",
        ),
        ({"stowage_types": {"x": {"imgae": "a"}}}, "stowage_types.x.imgae", "did you mean image?"),
        ({"stowage_networks": {"lan": {"subnet": "10.0.0.0/33"}}}, "stowage_networks.lan.subnet", "is not a subnet"),
        ({"stowage_placement": {"partial": "maybe"}}, "stowage_placement.partial", "expected true or false"),
        ({"stowage_grades": {"x": "{{ nope }}"}}, "stowage_grades.x", "can't be filled in: 'nope' is undefined"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(changes, path, words):
    _desired, complaints = read(**changes)
    found = [sentence for sentence in complaints if sentence.startswith(f"{path}: ")]
    assert found
    assert words in found[0]


def test_groups_that_wait_for_each_other_are_named_in_order():
    groups = {name: {"type": "db", "grade": "small", "requires": [other]} for name, other in ("ab", "bc", "ca")}
    _desired, complaints = read(stowage_clusters={"acme": {"groups": groups}})
    assert any("a requires b requires c requires a" in sentence for sentence in complaints)


def test_nothing_is_said_about_what_stands_below_something_unreadable():
    _desired, complaints = read(stowage_grades={"small": 5, "tiny": {"cpus": 1, "memory": "8m"}})
    assert complaints == ["stowage_grades.small: 5 is not a mapping; expected keys with values"]


@pytest.mark.parametrize("name", list(variables()))
@pytest.mark.parametrize("value", [None, 0, "x", [], [1], {"a": None}, {"a": []}, {"a": {"b": {"c": [{}]}}}, 1e400])
def test_no_shape_of_input_makes_it_crash(name, value):
    read(**{name: value})


def test_the_count_of_the_command_line_replaces_the_written_one_and_says_so():
    desired, complaints = read({"cluster": "acme", "group": "db", "count": "5"})
    assert complaints == []
    assert desired.clusters["acme"]["groups"]["db"]["count"] == 5
    assert "stowage_clusters.acme.groups.db.count says 3" in desired.override.sentence


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"count": "5"}, "cluster: missing"),
        ({"cluster": "acme", "group": "db", "count": "x"}, "count: 'x' is not a whole number"),
        ({"cluster": "acne", "group": "db", "count": "5"}, "'acne' is not a known cluster (did you mean acme?)"),
        ({"cluster": "acme", "group": "dp", "count": "5"}, "'dp' is not a known group of cluster acme"),
    ],
)
def test_a_wrong_override_is_refused(given, words):
    _desired, complaints = read(given)
    assert any(words in sentence for sentence in complaints)
