# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A move away from data that can't travel is named."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.disks import left_behind

MOVE = {"name": "globex_redis_0", "action": "move", "from_host": "h1", "host": "h2", "reasons": ["h1 is drained"]}


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"mounts": [{"source": "redis-data", "target": "/var/lib/redis"}]}, "/var/lib/redis"),
        ({"mounts": [{"source": "redis-data", "target": "/r", "type": "volume"}]}, "/r"),
    ],
)
def test_a_move_names_the_data_that_would_stay(options, kept):
    (sentence,) = left_behind([MOVE], {"globex_redis_0": options})
    assert sentence.startswith("globex_redis_0 would move from h1 to h2 (h1 is drained), and its data in ")
    assert f"{kept}, in a named volume of the engine, would stay there" in sentence


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"data": {"path": "/data"}},
        {"mounts": [{"source": "/etc/motd", "target": "/etc/motd"}]},
        {"mounts": [{"target": "/scratch"}]},
    ],
)
def test_an_instance_whose_data_can_travel_moves_freely(options):
    assert left_behind([MOVE], {"globex_redis_0": options}) == []


def test_what_stays_is_not_named():
    options = {"globex_redis_0": {"mounts": [{"source": "x", "target": "/x"}]}}
    assert left_behind([{**MOVE, "action": "keep"}], options) == []
