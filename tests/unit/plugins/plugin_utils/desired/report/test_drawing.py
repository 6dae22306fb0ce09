# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diff and map read like what they show."""

from __future__ import annotations

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.diff import draw_diff, ranges, summarize
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.report.fleet_map import draw_map
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import instance

PLAN = {
    "instances": [
        instance("acme_web_0", "keep"),
        instance("acme_web_1", "create", cores=[1, 2], memory=64 * 1024**2, reasons=["count raised"]),
        instance("acme_web_2", "remove", None, from_host="h2"),
        instance("globex_db_0", "move", "h1", from_host="h2"),
    ]
}


def test_a_diff_has_a_hunk_for_each_cluster_and_a_line_for_each_change():
    assert draw_diff(PLAN, {"globex_db_0": "h2 is outside --limit"}, {}).splitlines() == [
        "@@ cluster acme: 1 to create, 1 to remove @@",
        "+ acme_web_1 on h1: cores 1-2, 64 MiB, 10.0.0.11  # count raised",
        "- acme_web_2 on h2",
        "@@ cluster globex: 1 to move @@",
        "  not now: ~ move globex_db_0 from h2 to h1: 1 B, 10.0.0.10  (h2 is outside --limit)",
    ]


def test_a_plan_without_changes_draws_nothing():
    plan = {"instances": [instance("acme_web_0", "keep")]}
    assert draw_diff(plan, {}, {}) == ""
    assert summarize(plan, {}) == "nothing to change, 1 to keep"


def test_many_equal_changes_are_drawn_short():
    plan = {"instances": [instance(f"acme_web_{index}", host=f"h{index}") for index in range(50)]}
    lines = draw_diff(plan, {}, {}).splitlines()
    assert len(lines) == 13
    assert lines[-1] == "+ acme_web_11 … acme_web_49: 39 more on 39 hosts"


def test_core_lists_are_written_as_the_kernel_does():
    assert ranges([5, 0, 1, 2, 3]) == "0-3,5"


def _host(zone, *containers):
    return {
        "labels": {"zone": zone},
        "cpus": [{"id": core} for core in range(4)],
        "reserved": {"cores": 1},
        "resources": {"memory": 100, "disk": 0},
        "containers": list(containers),
    }


def test_a_map_shows_who_owns_which_core():
    container = {"name": "acme_web_0", "cluster": "acme", "group": "web", "index": 0, "state": "running", "cores": [2]}
    lines = draw_map({"h1": _host("a", container)}, {"h2": "no route"})
    assert any("[#.A.] 4: 1 reserved, 1 owned, 2 free" in line for line in lines)
    assert lines[-1] == "  h2  DOES NOT ANSWER: no route"


def test_a_map_names_what_a_silent_host_held():
    held = [{"name": "acme_web_1", "host": "h2"}, {"name": "acme_web_0", "host": "h1"}]
    lines = draw_map({"h1": {**_host("a"), "ledger": {"serial": 4, "instances": held}}}, {"h2": "no route"})
    assert lines[-2:] == [
        "  h2  DOES NOT ANSWER: no route",
        "      acme_web_1  remembered from ledger 4, not replaced",
    ]


def test_a_large_fleet_has_one_line_for_each_host():
    lines = draw_map({f"h{index}": _host("a") for index in range(100)}, {})
    assert len(lines) < 110
