# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose containers they are, what a broken run left behind, and what each one holds."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common import labels
from ansible_collections.stowage.fleet.plugins.module_utils.containers import ownership
from ansible_collections.stowage.fleet.plugins.module_utils.containers.admission import Holding

SPEC = labels.make_spec({"memory": 64, "cores": 2}, "d1", "small", "web")


def listed(name, fleet="fleet"):
    """A container as an engine lists it; its id is its name in capitals."""
    cluster, group, index = name.partition(".")[0].split("_")
    marks = labels.instance_labels(fleet, cluster, group, index, SPEC) if fleet else {}
    return {"Id": name.upper(), "Names": [f"/{name}"], "Labels": marks}


def owned(*containers):
    return ownership.Owned(containers, "fleet")


class Engine:
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def remove(self, ident, volumes):
        self.told.append(("remove", ident, volumes))

    def rename(self, ident, name):
        self.told.append(("rename", ident, name))


def test_instances_are_the_containers_with_the_fleets_label():
    found = owned(listed("acme_web_0"), listed("acme_web_1", "blue"), listed("acme_web_2", None))
    assert list(found.instances) == ["acme_web_0"]
    assert sorted(found.everything) == ["acme_web_0", "acme_web_1", "acme_web_2"]


def test_the_containers_of_other_fleets_are_others_and_unlabelled_ones_are_nobodys():
    found = owned(listed("acme_web_0"), listed("acme_web_1", "blue"), listed("acme_web_2", None))
    assert list(found.others()) == ["acme_web_1"]


def test_what_another_fleet_replaces_right_now_is_counted_once():
    found = owned(*(listed(name, "blue") for name in ("acme_web_0", "acme_web_0.next", "acme_web_0.old")))
    assert list(found.others()) == ["acme_web_0"]


def test_labels_that_an_engine_lists_as_none_make_no_owner():
    found = owned({"Id": "X", "Names": ["/x"], "Labels": None})
    assert (found.instances, found.others()) == ({}, {})


@pytest.mark.parametrize(("names", "instances", "told"), [
    # Nothing was interrupted.
    (["acme_web_0"], {"acme_web_0": "ACME_WEB_0"}, []),
    # The successor was made, and the old one is still in its place.
    (["acme_web_0", "acme_web_0.next"], {"acme_web_0": "ACME_WEB_0"}, [("remove", "ACME_WEB_0.NEXT", True)]),
    # The old one has left its name, and the successor has not taken it.
    (["acme_web_0.old", "acme_web_0.next"], {"acme_web_0": "ACME_WEB_0.OLD"},
     [("remove", "ACME_WEB_0.NEXT", True), ("rename", "ACME_WEB_0.OLD", "acme_web_0")]),
    # The successor was removed by hand.
    (["acme_web_0.old"], {"acme_web_0": "ACME_WEB_0.OLD"}, [("rename", "ACME_WEB_0.OLD", "acme_web_0")]),
    # The successor has the name: whoever converges it removes the old one once it is well.
    (["acme_web_0", "acme_web_0.old"], {"acme_web_0": "ACME_WEB_0"}, []),
    # A first successor that was never born has nothing to put back.
    (["acme_web_0.next"], {}, [("remove", "ACME_WEB_0.NEXT", True)]),
])
def test_a_replacement_is_mended_wherever_it_was_interrupted(names, instances, told):
    found, engine = owned(*map(listed, names)), Engine()
    assert {name: container["Id"] for name, container in found.instances.items()} == instances
    found.mend(engine)
    assert engine.told == told


def test_a_replaced_container_waits_for_its_successor():
    found = owned(listed("acme_web_0"), listed("acme_web_0.old"))
    assert {name: container["Id"] for name, container in found.replaced.items()} == {"acme_web_0": "ACME_WEB_0.OLD"}


def test_the_leftovers_of_another_fleet_are_let_be():
    found, engine = owned(listed("acme_web_0.next", "blue"), listed("acme_web_0.old", "blue")), Engine()
    found.mend(engine)
    assert engine.told == []


def test_an_old_container_is_not_put_back_over_somebody_elses():
    found, engine = owned(listed("acme_web_0", None), listed("acme_web_0.old")), Engine()
    found.mend(engine)
    assert engine.told == []
    assert list(found.replaced) == ["acme_web_0"]


def test_a_change_in_place_counts_more_than_the_label():
    container, changed = listed("acme_web_0"), labels.make_spec({"memory": 128})
    assert ownership.current_spec(container, {}) == SPEC
    assert ownership.current_spec(container, {"ACME_WEB_0": changed}) == changed


@pytest.mark.parametrize("marks", [None, {}, {labels.SPEC: "{"}])
def test_a_container_without_a_readable_spec_has_none(marks):
    assert ownership.current_spec({"Id": "X", "Labels": marks}, {}) is None


def test_an_identity_is_what_labels_and_name_say_alike():
    assert ownership.identity("acme_web_0", listed("acme_web_0")) == ("acme", "web", 0)


@pytest.mark.parametrize("container", [listed("acme_web_1"), listed("acme_web_0", None), {"Labels": None}])
def test_labels_that_say_another_name_make_no_identity(container):
    assert ownership.identity("acme_web_0", container) is None


@pytest.mark.parametrize(("claims", "needed"), [({"memory": 64}, False), ({"cores": 0}, False), ({"cores": 1}, True)])
def test_only_owners_of_cores_are_looked_at_closely(claims, needed):
    assert ownership.needs_inspection(labels.make_spec(claims)) is needed


def test_a_container_without_a_spec_is_looked_at_closely():
    assert ownership.needs_inspection(None)


def inspection(cpuset="2-3", memory=512):
    return {"HostConfig": {"CpusetCpus": cpuset, "Memory": memory}}


def test_a_container_holds_what_it_was_promised_and_the_cores_it_is_confined_to():
    assert ownership.holding("a", SPEC, inspection()) == Holding("a", {"memory": 64, "cores": 2}, (2, 3))


def test_a_container_that_shares_cores_owns_none():
    spec = labels.make_spec({"memory": 64, "cpus": 0.5})
    assert ownership.holding("a", spec, inspection()) == Holding("a", {"memory": 64, "cpus": 0.5}, ())


def test_a_container_with_a_damaged_label_holds_the_memory_it_is_confined_to():
    assert ownership.holding("a", None, inspection()) == Holding("a", {"memory": 512}, ())


def test_a_container_that_nobody_looked_at_holds_what_it_was_promised():
    spec = labels.make_spec({"memory": 64})
    assert ownership.holding("a", spec, None) == Holding("a", {"memory": 64}, ())


def test_the_wanted_spec_is_what_the_plan_says_of_an_instance():
    instance = {"claims": {"memory": 64}, "digest": "d2", "grade": "small", "type": "web", "image": "i:1"}
    assert ownership.wanted_spec(instance, ["runtime"]) == {
        "v": 1, "digest": "d2", "grade": "small", "type": "web", "claims": {"memory": 64}, "asked": ["runtime"]}


def test_an_instance_without_grade_and_type_wants_a_spec_that_reads_back():
    spec = ownership.wanted_spec({"claims": {}}, [])
    assert labels.read_spec(labels.canonical_json(spec)) == spec
