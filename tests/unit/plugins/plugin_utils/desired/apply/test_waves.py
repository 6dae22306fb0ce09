# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a plan goes side by side, and what waits for what."""

from __future__ import annotations

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.waves import (
    jobs_by_host,
    list_waves,
    wave_numbers,
    with_opening,
)


def step(index, kind="apply", hosts=("h1",), waits=(), remove=(), cluster="acme", **more):
    instances = [] if kind == "remove" else [{"name": f"{cluster}_web_{index}", "cluster": cluster}]
    work = {"instances": instances, "remove": list(remove), "keep_disks": [], "disks": []}
    return {"index": index, "name": f"step {index}", "kind": kind, "waits_for": list(waits), "instances": [],
            "hosts": {host: {**work} for host in hosts}, **more}


def test_there_are_as_many_waves_as_the_longest_chain_has_links():
    steps = [step(0), step(1, waits=[0]), step(2, cluster="globex"), step(3, cluster="globex", waits=[2]),
             step(4, waits=[1])]
    assert wave_numbers(steps) == [0, 1, 0, 1, 2]
    assert [wave["steps"] for wave in list_waves(steps)] == [["step 0", "step 2"], ["step 1", "step 3"], ["step 4"]]


def test_a_wave_names_the_hosts_that_take_part_in_it():
    waves = list_waves([step(0, hosts=("h2", "h1")), step(1, hosts=("h3",), waits=[0])])
    assert [wave["hosts"] for wave in waves] == [["h1", "h2"], ["h3"]]


def test_who_starts_waits_for_removals_on_its_own_host_only():
    steps = [step(0, "remove", hosts=("h1", "h2"), remove=["acme_old_0"]), step(1, hosts=("h1", "h3"), waits=[0])]
    jobs = jobs_by_host(steps, {})
    assert jobs["h1"][1]["waits_for"] == [[0, ["h1"]]]
    assert jobs["h3"][0]["waits_for"] == []


def test_who_gets_an_address_waits_for_the_removal_that_frees_it_wherever_that_is():
    steps = [step(0, "remove", hosts=("h1",), remove=["acme_old_0"]), step(1, hosts=("h3",), waits=[0])]
    steps[1]["hosts"]["h3"]["instances"][0]["address"] = "10.0.0.5"
    jobs = jobs_by_host(steps, {"acme_old_0": ("h1", "10.0.0.5")})
    assert jobs["h3"][0]["waits_for"] == [[0, ["h1"]]]


def test_what_moves_waits_for_all_of_its_old_place():
    steps = [step(0, "remove", hosts=("h1",), remove=["acme_web_1"], moves=True), step(1, "create", ("h3",), [0])]
    assert jobs_by_host(steps, {})["h3"][0]["waits_for"] == [[0, None]]


def test_running_members_are_opened_to_those_that_come_before_these_start():
    steps = with_opening([step(0, hosts=("h2",)), step(1, hosts=("h2",), cluster="globex")], {"acme": ["h1", "h3"]})
    assert [(one["kind"], sorted(one["hosts"]), one["waits_for"]) for one in steps] == [
        ("open", ["h1", "h3"], []), ("apply", ["h2"], [0]), ("apply", ["h2"], [])]


def test_a_cluster_of_which_nothing_runs_yet_needs_no_opening():
    assert [one["kind"] for one in with_opening([step(0)], {"acme": []})] == ["apply"]
