# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong input is refused with one sentence that names its path, before anything is touched."""

from __future__ import annotations

import re

import pytest
import yaml


def in_web(**changes):
    """The clusters with keys of acme's web changed."""

    def change(fleet):
        clusters = fleet.desired("clusters")
        clusters["acme"]["groups"]["web"].update(changes)
        return {"stowage_clusters": clusters}

    return change


def in_grade(**changes):
    """The grades with keys of `tiny` changed."""

    def change(fleet):
        grades = fleet.desired("grades")
        grades["tiny"].update(changes)
        return {"stowage_grades": grades}

    return change


CASES = {
    "an unknown key": (in_web(cuont=2), "stowage_clusters.acme.groups.web.cuont"),
    "a count below zero": (in_web(count=-1), "stowage_clusters.acme.groups.web.count"),
    "a count that is no number": (in_web(count="two"), "stowage_clusters.acme.groups.web.count"),
    "a grade that is not there": (in_web(grade="huge"), "stowage_clusters.acme.groups.web.grade"),
    "a type that is not there": (in_web(type="wbe"), "stowage_clusters.acme.groups.web.type"),
    "a group that requires itself": (in_web(requires=["web"]), "stowage_clusters.acme.groups.web.requires"),
    "a group that requires nobody known": (in_web(requires=["kafka"]), "stowage_clusters.acme.groups.web.requires"),
    "a wrong size": (in_grade(memory="64q"), "stowage_grades.tiny.memory"),
    "cores and cpus in one grade": (in_grade(cores=1), "stowage_grades.tiny"),
    "an unknown rule": (in_web(placement={"affinty": []}), "stowage_clusters.acme.groups.web.placement.affinty"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_with_its_path(fleet, case):
    change, path = CASES[case]
    before = fleet.ids()
    run = fleet.play("site", extra=change(fleet))
    assert run.rc != 0
    assert path in run.output, run.output
    assert "Traceback" not in run.output
    assert run.changed() == {}
    assert len(re.findall(r"^fatal:", run.output, re.MULTILINE)) == 1, "one failure, not one per host"
    assert fleet.ids() == before


def in_inventory(tmp_path, name, address, **variables):
    """A further inventory in which ``name`` is at ``address``, with the access of the lab's hosts."""
    further = tmp_path / "further.yml"
    further.write_text(yaml.safe_dump({"fleet": {"hosts": {name: {"ansible_host": address, **variables}}}}))
    return ["-i", str(further)]


def test_two_hosts_with_one_name_are_named(fleet, tmp_path):
    run = fleet.play("site", *in_inventory(tmp_path, fleet.hosts[0], fleet.addresses[fleet.hosts[1]]))
    assert run.rc != 0
    assert f"further.yml:3: host {fleet.hosts[0]} has the address" in run.output, run.output
    assert run.changed() == {}


def test_one_machine_with_two_names_is_not_filled_twice(fleet, tmp_path):
    address = fleet.addresses[fleet.hosts[0]]
    run = fleet.play("plan", *in_inventory(
        tmp_path, "zz-alias", "::ffff:" + address, ansible_ssh_extra_args="-o HostKeyAlias=" + address))
    assert run.rc != 0
    assert f"host zz-alias: is the machine that host {fleet.hosts[0]} is" in run.output, run.output
    assert run.changed() == {}


def test_all_complaints_come_at_once(fleet):
    change = in_web(count=-1, grade="huge")
    run = fleet.play("site", extra=change(fleet))
    assert "stowage_clusters.acme.groups.web.count" in run.output
    assert "stowage_clusters.acme.groups.web.grade" in run.output


def test_what_fits_is_placed_when_asked_and_the_rest_named(fleet):
    change = in_web(count=4, placement={"anti_affinity": [{"group": "web", "topology": "host"}]})(fleet)
    run = fleet.play("site", "--tags", "containers", extra={**change, "stowage_placement": {"partial": True}})
    assert run.rc == 0, run.output
    assert re.search(r"\[WARNING\].*acme_web_3", run.output), run.output
    assert sorted(one.host for one in fleet.named("acme_web_")) == fleet.hosts
    fleet.converge()
    assert len(fleet.named("acme_web_")) == 2


def test_what_fits_nowhere_is_named_with_its_reasons(fleet):
    before = fleet.ids()
    run = fleet.play("site", "--tags", "containers", extra=in_grade(memory="900g")(fleet))
    assert run.rc != 0
    assert "acme_web_0" in run.output
    assert "memory" in run.output
    assert set(fleet.ids()) == set(before), "what runs is not given up for what fits nowhere"
