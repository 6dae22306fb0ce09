# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A group grows from 2 to 5 and shrinks to 1; nobody else notices."""

from __future__ import annotations

import subprocess
import threading
import time

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
    before, began = fleet.ids(), int(time.time())
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
    assert '"pending": false' in results.read_text(), "the callback has what hosts' work came to"
    logs = [fleet.on(host).check_output(f"journalctl --quiet --no-pager --since @{began}") for host in fleet.hosts]
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


def test_of_two_people_at_once_nobody_half_does_anything(fleet):
    """Each plan is claimed on every host before anything changes; who finds another's claim stops there."""
    before = fleet.ids()
    runs = {count: subprocess.Popen(fleet.command("scale", *ARGUMENTS, "count=%d" % count), text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for count in (3, 4)}
    outputs = {count: run.communicate(timeout=300)[0] for count, run in runs.items()}
    done = {count for count, run in runs.items() if run.returncode == 0}
    for count in runs.keys() - done:
        assert "is outdated: it was made from ledger serial" in outputs[count], outputs[count]
        assert "Nothing was changed; plan again" in outputs[count]
        assert "Traceback" not in outputs[count]
    after = fleet.ids()
    kept = {name: after[name] for name in before if name in after}
    assert kept == {name: before[name] for name in kept}, "nobody's run made anything anew"
    # One after the other is no conflict: then the last one's count holds.
    assert len(fleet.named("acme_web_")) in (done or {len([name for name in before if name.startswith("acme_web_")])})
    addresses = [container.address for container in fleet.containers().values()]
    assert len(set(addresses)) == len(addresses)
    fleet.converge()
    assert fleet.converge().changed() == {}


def test_an_update_rolls_and_somebody_always_serves(fleet, page):
    types = fleet.desired("types")
    types["web"]["env"]["HARBOUR"] = "full"
    before = fleet.named("acme_web_")
    addresses = [front.address for front in before]
    failures, over = [], threading.Event()

    def serves(address):
        try:
            return bool(page(address, 2))
        except OSError:
            return False

    def watch():
        while not over.is_set():
            # An update may go on from one to the other between two questions, but not between three.
            if not any(serves(address) for address in [*addresses, *addresses]):
                failures.append(addresses)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run = fleet.play("site", "--tags", "containers", extra={"stowage_types": types})
    finally:
        over.set()
        watcher.join()
    assert run.rc == 0, run.output
    assert not failures, "nobody served for a while, %d times" % len(failures)
    after = fleet.named("acme_web_")
    assert [front.address for front in after] == addresses
    assert not {front.id for front in before} & {front.id for front in after}
    assert {"HARBOUR=full"} <= set(after[0].inspect["Config"]["Env"])
