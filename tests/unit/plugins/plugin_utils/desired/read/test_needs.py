# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts need for types, beside an engine."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.types import needs_of


@pytest.mark.parametrize(
    ("dhcp", "needs"),
    [(True, ["dhcp"]), ("yes", ["dhcp"]), ("{{ zone == 'a' }}", ["dhcp"]), (False, []), ("no", []), (None, [])],
)
def test_a_link_that_may_ask_for_an_address_needs_a_client(dhcp, needs):
    assert needs_of({"db": {}, "web": {"links": [{"name": "eth1"}, {"name": "eth2", "dhcp": dhcp}]}}) == needs
