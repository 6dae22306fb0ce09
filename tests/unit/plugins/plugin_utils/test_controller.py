# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller knows of a fleet, and what it refuses to plan with."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.plugins.plugin_utils.controller import Fleet


def test_nothing_is_planned_where_no_host_was_observed_and_the_first_reasons_are_given():
    names = [f"h{number}" for number in range(5)]
    fleet = Fleet({}, names, names, missing=dict.fromkeys(names, "no route"))
    with pytest.raises(StowageError, match=r"no host .* \(h0: no route; h1: no route; h2: no route; and 2 more\)"):
        fleet.refuse_unseen()


def test_one_host_that_answers_is_enough_to_plan():
    Fleet({}, ["h1", "h2"], ["h1", "h2"], observations={"h1": {}}, missing={"h2": "no route"}).refuse_unseen()
