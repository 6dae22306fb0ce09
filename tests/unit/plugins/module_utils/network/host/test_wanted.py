"""What a host is to have of bridges and shims. What becomes of it is shown in tests/integration/network."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.network.host import wanted

BRIDGE = {"name": "inner", "parent": "eth1", "bridge": "br0", "mtu": 1400}


def test_a_range_becomes_blocks_that_hold_it_and_nothing_else():
    assert wanted.blocks(["10.0.0.4-10.0.0.9", "10.1.0.0/24", "10.0.0.10"]) == [
        "10.0.0.4/30", "10.0.0.8/31", "10.0.0.10/32", "10.1.0.0/24"]


@pytest.mark.parametrize("name", ["lan", "a-network-with-a-long-name"])
def test_a_name_of_an_interface_is_one_the_kernel_takes(name):
    assert wanted.shim_name(name).startswith("shim-")
    assert len(wanted.shim_name(name)) < 16


@pytest.mark.parametrize(("change", "sentence"), [
    ({"bridge": "br0; reboot"}, "network inner: bridge: 'br0; reboot' is not the name of an interface"),
    ({"parent": "a-name-of-sixteen"}, "network inner: parent: 'a-name-of-sixteen' is not the name of an interface"),
    ({"shim": "$(reboot)"}, "network inner: Expected 4 octets in '$(reboot)'; expected addresses"),
    ({"shim": "10.0.0.1", "pool": ["10.0.0.1-x"]}, "network inner: 'x' does not appear to be an IPv4 or IPv6 address"),
])
def test_what_can_not_stand_in_a_script_is_refused(change, sentence):
    with pytest.raises(InvalidInput) as caught:
        wanted.read_links([{**BRIDGE, **change}])
    assert caught.value.problems[0].startswith(sentence)
