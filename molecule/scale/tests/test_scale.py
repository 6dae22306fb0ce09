# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A group grows from 2 to 5 and shrinks to 1; nobody else notices."""

from __future__ import annotations

import pytest

ARGUMENTS = ("-e", "cluster=acme", "-e", "group=web", "-e")


@pytest.fixture(scope="module", autouse=True)
def _back_to_two(fleet):
    yield
    fleet.converge()


def others(fleet) -> dict[str, str]:
    """The ids of what the group does not own."""
    return {name: found for name, found in fleet.ids().items() if not name.startswith("acme_web_")}


def test_from_two_to_five(fleet, page, tmp_path, monkeypatch):
    before = fleet.ids()
    # A callback that is given all results whole, as a controller that keeps them would be.
    results = tmp_path / "results"
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "stowage.fleet.observations")
    monkeypatch.setenv("STOWAGE_OBSERVATIONS", str(results))
    run = fleet.play("scale", *ARGUMENTS, "count=5", "-vvv")
    assert run.rc == 0, run.output
    fronts = fleet.named("acme_web_")
    assert [front.name for front in fronts] == ["acme_web_%d" % index for index in range(5)]
    for front in fronts:
        assert front.host in page(front.address)
    after = fleet.ids()
    assert {name: after[name] for name in before} == before, "what ran before runs on"
    assert len({front.address for front in fronts}) == 5
    variables = dict(entry.split("=", 1) for entry in fronts[4].inspect["Config"]["Env"])
    assert '"ZOO_CONNECT": "VALUE_SPECIFIED' in results.read_text(), "the callback has what modules were told"
    logs = [fleet.on(host).check_output("journalctl --quiet --no-pager") for host in fleet.hosts]
    assert "ansible-stowage.fleet.host_info" in logs[0], "what modules are told is in the hosts' logs"
    for place in (results.read_text(), run.output, *logs):
        assert variables["ZOO_CONNECT"] not in place, "values of variables are told to containers alone"


def test_again_changes_nothing(fleet):
    run = fleet.play("scale", *ARGUMENTS, "count=5")
    assert run.rc == 0, run.output
    assert run.changed() == {}, run.output


def test_from_five_to_one(fleet, page):
    before = others(fleet)
    first = fleet.ids()["acme_web_0"]
    run = fleet.play("scale", *ARGUMENTS, "count=1")
    assert run.rc == 0, run.output
    fronts = fleet.named("acme_web_")
    assert [front.name for front in fronts] == ["acme_web_0"]
    assert fronts[0].id == first
    assert fronts[0].host in page(fronts[0].address)
    assert others(fleet) == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-e", "cluster=acme", "-e", "group=web"), "count"),
        (("-e", "cluster=acme", "-e", "group=wbe", "-e", "count=2"), "wbe"),
        (("-e", "cluster=acem", "-e", "group=web", "-e", "count=2"), "acem"),
        (("-e", "cluster=acme", "-e", "group=web", "-e", "count=many"), "many"),
        (("-e", "cluster=acme", "-e", "group=web", "-e", "count=-1"), "-1"),
    ],
)
def test_what_makes_no_sense_is_refused(fleet, arguments, sentence):
    before = fleet.ids()
    run = fleet.play("scale", *arguments)
    assert run.rc != 0
    assert sentence in run.output
    assert "Traceback" not in run.output
    assert fleet.ids() == before
