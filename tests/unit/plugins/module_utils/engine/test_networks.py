# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine can't have beside what it has."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.engine.networks import in_the_way

WANTED = {"name": "lan", "driver": "macvlan", "parent": "eth0", "subnet": "10.0.0.0/24"}
OTHER = {"Name": "old", "Driver": "macvlan", "Options": {"parent": "eth1"},
         "IPAM": {"Config": [{"Subnet": "10.1.0.0/24"}]}}


def test_another_network_with_another_parent_and_subnet_is_not_in_the_way():
    host = {"Name": "host", "Driver": "host", "Options": None, "IPAM": {"Config": None}}
    assert in_the_way(WANTED, [OTHER, host]) == (None, "")


@pytest.mark.parametrize(("change", "sentence"), [
    ({"Options": {"parent": "eth0"}}, "its parent eth0 is that of the engine's network old"),
    ({"IPAM": {"Config": [{"Subnet": "10.0.0.128/25"}]}},
     "its subnet 10.0.0.0/24 overlaps 10.0.0.128/25 of the engine's network old"),
])
def test_what_an_engine_can_not_have_twice_is_named(change, sentence):
    found, said = in_the_way(WANTED, [{**OTHER, **change}])
    assert found["Name"] == "old"
    assert said == sentence


def test_a_network_is_not_in_its_own_way():
    assert in_the_way(WANTED, [{**OTHER, "Name": "lan", "Options": {"parent": "eth0"}}]) == (None, "")
