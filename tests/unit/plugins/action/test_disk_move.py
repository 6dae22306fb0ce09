# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each end of a move works in the pool of its own host."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.action.disk_move import _pool_of

USUAL = "/var/lib/stowage/pool"


@pytest.mark.parametrize(("here", "there", "told", "expected"), [
    ({}, {"storage_pool": "/srv/there"}, USUAL, "/srv/there"),
    ({"storage_pool": "/srv/here"}, {"storage_pool": "/srv/there"}, "/srv/here", "/srv/there"),
    ({"storage_pool": "/srv/here"}, {}, "/srv/here", USUAL),
    ({}, {}, "/srv/told", "/srv/told"),
])  # fmt: skip
def test_the_other_hosts_pool_is_where_its_variables_say(here, there, told, expected):
    variables = {"inventory_hostname": "h1", "hostvars": {"h1": here, "h2": there}}
    assert _pool_of("h1", told, variables) == told
    assert _pool_of("h2", told, variables) == expected
