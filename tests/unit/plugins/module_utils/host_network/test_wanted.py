"""The scripts that make and undo a host's bridges and shims. What they do is shown in tests/integration/network."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.host_network import wanted

SHIM = {"name": "lan", "parent": "eth0", "shim": "172.30.0.250", "pool": ["172.30.0.128-172.30.0.250"]}
BRIDGE = {"name": "inner", "parent": "eth1", "bridge": "br0", "mtu": 1400}


def test_links_are_made_in_order_with_all_they_need():
    lines = [wanted.make(link) for link in wanted.read_links([SHIM, BRIDGE])]
    assert lines[0] == "bridge br0 eth1 1400"
    assert lines[1].startswith("shim shim-lan eth0 172.30.0.250 '' 172.30.0.128/26 172.30.0.192/27 ")


def test_a_range_becomes_blocks_that_hold_it_and_nothing_else():
    assert wanted.blocks(["10.0.0.4-10.0.0.9", "10.1.0.0/24", "10.0.0.10"]) == [
        "10.0.0.4/30", "10.0.0.8/31", "10.0.0.10/32", "10.1.0.0/24"]


@pytest.mark.parametrize("name", ["lan", "a-network-with-a-long-name"])
def test_a_name_of_an_interface_is_one_the_kernel_takes(name):
    assert wanted.shim_name(name).startswith("shim-")
    assert len(wanted.shim_name(name)) < 16


def test_what_stays_is_neither_unmade_nor_undone():
    old, new = wanted.read_links([SHIM]), wanted.read_links([SHIM, BRIDGE])
    assert "\nunbridge br0 eth1" in wanted.undo_script(old, new, {}, True)
    assert "\nunshim shim-lan" not in wanted.undo_script(old, new, {}, True)
    assert "\nunbridge br0 eth1" in wanted.apply_script(new, old)
    assert "systemctl disable" in wanted.undo_script([], new, {}, False)


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


def test_no_links_need_no_script():
    assert not wanted.script([])


@pytest.mark.parametrize("text", [
    wanted.script(wanted.read_links([SHIM, BRIDGE])),
    wanted.apply_script(wanted.read_links([SHIM]), wanted.read_links([BRIDGE])),
    wanted.undo_script([], wanted.read_links([SHIM]), {wanted.SCRIPT: True, wanted.UNIT: False}, False),
])
def test_the_scripts_are_shell(text):
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0
