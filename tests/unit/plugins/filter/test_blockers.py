# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A step starts only when all that it waits for is done everywhere."""

from __future__ import annotations

from ansible_collections.stowage.fleet.plugins.filter.blockers import blockers

STEPS = [
    {"name": "Start db", "waits_for": [], "hosts": {"h1": {}, "h2": {}}},
    {"name": "Start web", "waits_for": [0], "hosts": {"h1": {}}},
]


def test_a_step_starts_when_what_it_waits_for_is_done():
    assert blockers(STEPS[1], STEPS, {"h1": {}, "h2": {}}, ["h1", "h2"]) == []


def test_a_failure_on_one_host_holds_it_back_and_names_the_host():
    hostvars = {"h1": {}, "h2": {"stowage_failures": [{"step": 0}]}}
    assert blockers(STEPS[1], STEPS, hostvars, ["h1", "h2"]) == ["waits for 'Start db', which is not done on h2"]


def test_a_host_that_dropped_out_holds_it_back():
    assert blockers(STEPS[1], STEPS, {"h1": {}}, ["h1"]) == ["waits for 'Start db', which is not done on h2"]
