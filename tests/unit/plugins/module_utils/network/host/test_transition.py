"""The scripts that take a host from some bridges and shims to others, and back."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.network.host import transition, unit, wanted

SHIM = {"name": "lan", "parent": "eth0", "shim": "172.30.0.250", "pool": ["172.30.0.128-172.30.0.250"]}
BRIDGE = {"name": "inner", "parent": "eth1", "bridge": "br0", "mtu": 1400}
SOURCES = {"networkd": "/run/systemd/network/10-netplan-eth1.network", "ifupdown": "/etc/network/interfaces",
           "networkmanager": "7d5d6a8e-52a8-4fc3-a6a8-4f1bb8c37b26", "none": None}


def links(*networks, manager="none"):
    """Links as they are when it is known who makes them."""
    return [{**link, "manager": manager if link["kind"] == "bridge" else "none", "source": SOURCES[manager]}
            for link in wanted.read_links(networks)]


def test_links_are_made_in_order_with_all_they_need():
    lines = [unit.make(link) for link in links(SHIM, BRIDGE)]
    assert lines[0] == "bridge br0 eth1 1400"
    assert lines[1].startswith("shim shim-lan eth0 172.30.0.250 '' 172.30.0.128/26 172.30.0.192/27 ")


def test_what_stays_is_neither_unmade_nor_undone():
    old, new = links(SHIM), links(SHIM, BRIDGE)
    back = transition.script(new, old, set(), {}, transition.BEFORE, undoes=True)
    assert "\nunbridge br0 eth1" in back
    assert "\nunshim shim-lan" not in back
    assert "\nunbridge br0 eth1" in transition.script(new, old, set(), {}, transition.AFTER)


@pytest.mark.parametrize("manager", sorted(SOURCES))
def test_a_bridge_with_another_mtu_is_not_taken_down_for_it(manager):
    old, new = links(BRIDGE, manager=manager), links({**BRIDGE, "mtu": 1300}, manager=manager)
    lines = transition.script(old, new, {"br0"}, {}, transition.AFTER).splitlines()
    assert not [line for line in lines if line.startswith(("unbridge br0", f"{manager}_unbridge br0"))]
    assert manager == "none" or [line for line in lines if line.startswith(f"{manager}_bridge br0")]


def test_at_boot_the_way_back_is_one_of_files_alone():
    back = transition.script(links(BRIDGE), links(SHIM), set(), {"/etc/x": True, "/etc/y": False}, transition.BEFORE,
                             undoes=True).partition("failed=0\n")[2]
    apart = "".join(part.partition("fi\n")[2] for part in back.split('if [ "$1" != at-boot ]; then'))
    assert "cp -p" in apart
    assert "rm -f /etc/y" in apart
    assert f"rm -f {transition.BACK} {transition.BACK_WANTS} {transition.UNDO}" in apart
    assert not any(word in apart for word in ("systemctl", "bridge br0", f"sh {unit.SCRIPT}"))


def test_without_links_of_its_own_there_is_no_unit():
    assert unit.texts([]) == {unit.SCRIPT: "", unit.UNIT: ""}


@pytest.mark.parametrize("manager", sorted(SOURCES))
def test_the_scripts_are_shell(manager):
    one, two = links(SHIM), links(BRIDGE, manager=manager)
    files = {"/etc/x": True, "/etc/y": False}
    for text in (unit.texts(links(SHIM, BRIDGE))[unit.SCRIPT],
                 transition.script(one, two, {"br0"}, files, transition.AFTER, [("br0", ["192.0.2.1"])]),
                 transition.script(two, one, {"br0"}, files, transition.BEFORE, undoes=True)):
        assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0
