"""What the managers of NICs are told of a bridge: all that they were told of the NIC, and nothing is lost."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.network.host import (
    ifupdown,
    managers,
    networkd,
    networkmanager,
)

LINK = {"kind": "bridge", "network": "inner", "name": "br0", "parent": "eth0", "mtu": None}
NETWORKD = """\
# by netplan
[Match]
MACAddress=02:00:00:00:00:01
[Link]
MTUBytes=1450
[Network]
Address=192.0.2.5/24
Address=192.0.2.6/24
DNS=192.0.2.1
[Route]
Destination=0.0.0.0/0
Gateway=192.0.2.1
"""
INTERFACES = """\
source parts/*
auto lo eth0
iface lo inet loopback
allow-hotplug eth0
iface eth0 inet static
    address 192.0.2.5/24
    gateway \\
      192.0.2.1
    up ip route add 198.51.100.0/24 via 192.0.2.9 dev $IFACE
    mtu 1500
iface eth0 inet6 auto
iface eth1 inet dhcp
"""
KEYFILE = """\
[connection]
id=Wired
uuid=7d5d6a8e-52a8-4fc3-a6a8-4f1bb8c37b26
type=ethernet
zone=internal
[ethernet]
wake-on-lan=64
[ipv4]
address1=192.0.2.5/24,192.0.2.1
dns=192.0.2.1;
method=manual
[ipv6]
method=auto
[.nmmeta]
nm-generated=true
"""


def test_networkd_gives_the_bridge_what_the_nic_had_and_the_nic_keeps_what_is_its_own():
    device, bridge, port = networkd.render({**LINK, "source": "/run/x.network"}, NETWORKD, "02:00:00:00:00:01").values()
    assert "Kind=bridge\nMACAddress=02:00:00:00:00:01\n" in device
    assert bridge.endswith("[Match]\nName=br0\n[Network]\nAddress=192.0.2.5/24\nAddress=192.0.2.6/24\nDNS=192.0.2.1\n"
                           "[Route]\nDestination=0.0.0.0/0\nGateway=192.0.2.1\n")
    assert port.endswith("[Match]\nName=eth0\n[Link]\nMTUBytes=1450\n[Network]\nBridge=br0\nLinkLocalAddressing=no\n")


@pytest.mark.parametrize(("client_id", "line"), [
    ("ff5cdb1a2e00020000ab11d3", "IAID=1557862958"),
    ("01020000000001", ""),
    ("", ""),
])
def test_networkd_stays_the_same_client_of_dhcp(client_id, line):
    bridge = networkd.render({**LINK, "source": "/run/x.network"}, NETWORKD, "02:00:00:00:00:01", client_id)
    assert ("IAID" in "".join(bridge.values())) == bool(line)
    assert line in "".join(bridge.values())


def test_ifupdown_gives_the_bridge_what_the_nic_had_and_maps_the_nic_away(tmp_path, monkeypatch):
    (tmp_path / "interfaces").write_text(INTERFACES)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "more").write_text("iface eth0 inet static\n  address 192.0.2.7/24\n")
    (tmp_path / "parts" / "stowage-br0").write_text("iface eth0 inet manual\n")
    monkeypatch.setattr(ifupdown, "_MAIN", str(tmp_path / "interfaces"))
    monkeypatch.setattr(ifupdown, "_FOLDER", str(tmp_path / "parts"))
    link = {**LINK, "mtu": 1400}
    assert ifupdown.objection(link, None) == ""
    (text,) = ifupdown.texts(link, None).values()
    lines = [line.strip() for line in text.splitlines() if "pre-up" not in line]
    assert lines[1:] == [
        "mapping eth0", "script grep", "map eth0-port", "iface eth0-port inet manual", "auto br0",
        "iface br0 inet static", "address 192.0.2.7/24",
        "iface br0 inet static", "address 192.0.2.5/24", "gateway        192.0.2.1",
        "up ip route add 198.51.100.0/24 via 192.0.2.9 dev $IFACE",
        "iface br0 inet6 auto"]
    assert "pre-up ip link set br0 mtu 1400" in text
    assert ifupdown.texts({**LINK, "parent": "eth7"}, None) is None


@pytest.mark.parametrize(("text", "sentence"), [
    ("iface eth0 inet dhcp\n", "does not read"),
    ("source parts/*\niface eth0 inet dhcp\nmapping eth0\n script grep\n map eth0-home\n", "maps eth0 to another name"),
])
def test_ifupdown_says_what_is_against_it(tmp_path, monkeypatch, text, sentence):
    (tmp_path / "interfaces").write_text(text)
    monkeypatch.setattr(ifupdown, "_MAIN", str(tmp_path / "interfaces"))
    monkeypatch.setattr(ifupdown, "_FOLDER", str(tmp_path / "parts"))
    assert sentence in ifupdown.objection(LINK, None)


def test_networkmanager_gives_the_bridge_what_the_nic_had_and_the_nic_keeps_what_is_its_own():
    bridge, port = networkmanager.render({**LINK, "mtu": 1400}, KEYFILE, "02:00:00:00:00:01").values()
    assert "type=bridge\ninterface-name=br0\nautoconnect-priority=999\nzone=internal\n" in bridge
    assert "[ethernet]\ncloned-mac-address=02:00:00:00:00:01\nmtu=1400\n[bridge]\nstp=false\n[ipv4]\n" in bridge
    assert bridge.endswith("dns=192.0.2.1;\nmethod=manual\n[ipv6]\nmethod=auto\n")
    assert port.endswith("interface-name=eth0\nautoconnect-priority=999\nmaster=br0\nslave-type=bridge\n[ethernet]\n"
                         "wake-on-lan=64\n")


def test_a_bridge_is_the_same_with_another_mtu_and_a_shim_is_not():
    shim = {"kind": "shim", "name": "shim-lan", "parent": "eth0", "address": "192.0.2.9", "mtu": None}
    assert managers.identity(LINK) == managers.identity({**LINK, "mtu": 1400})
    assert managers.identity(LINK) != managers.identity({**LINK, "manager": "networkd"})
    assert managers.identity(shim) != managers.identity({**shim, "address": "192.0.2.10"})


@pytest.mark.parametrize(("wish", "sentences"), [
    ("auto", []),
    ("none", []),
    ("networkd", ["network inner: none keeps lo, not networkd; expected manager none, or auto"]),
])
def test_another_manager_than_who_keeps_the_nic_is_refused(wish, sentences):
    link = {**LINK, "parent": "lo"}
    assert managers.choose([link], [], wish, lambda words: (127, "", "not installed")) == sentences
    assert link["manager"] == "none"
