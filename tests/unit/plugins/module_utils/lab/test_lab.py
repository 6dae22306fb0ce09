# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a lab lives, what its machine can do, and the files it writes."""

from __future__ import annotations

import ipaddress
import json

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import HostError, InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.lab import machine as lab_machine
from ansible_collections.stowage.fleet.plugins.module_utils.lab import network as lab_network
from ansible_collections.stowage.fleet.plugins.module_utils.lab.engine import host_payload
from ansible_collections.stowage.fleet.plugins.module_utils.lab.files import LabFiles, inventory_data

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
HOST = {"name": "lab-h1", "image": "host:1", "release": "bookworm", "address": "172.30.0.11", "volume": "lab-h1-docker"}


def test_the_default_lab_gets_the_first_network():
    assert str(lab_network.choose("lab", [])) == "172.30.0.0/24"


def test_a_name_gives_the_same_network_every_time():
    assert lab_network.choose("ci", []) == lab_network.choose("ci", ["10.0.0.0/8", "fd00::/64", "no network"])


def test_networks_in_use_are_avoided():
    first = lab_network.choose("lab", [])
    assert not lab_network.choose("lab", [str(first)]).overlaps(first)
    assert str(lab_network.choose("lab", ["172.30.0.0/17"])) == "172.30.128.0/24"


def test_no_network_left_is_said():
    with pytest.raises(HostError, match="every network"):
        lab_network.choose("lab", ["172.16.0.0/12"])


@pytest.mark.parametrize("text", ["172.30.0.0/16", "fd00::/120", "here", "172.30.0.0/25"])
def test_a_subnet_that_is_no_24_is_refused(text):
    with pytest.raises(InvalidInput, match="expected an IPv4 /24"):
        lab_network.check_subnet(text)


def test_hosts_and_containers_share_no_address():
    network = ipaddress.ip_network("172.30.7.0/24")
    layout = lab_network.layout(network)
    last = ipaddress.ip_address(lab_network.host_address(network, lab_network.MAX_HOSTS - 1))
    assert last in ipaddress.ip_network(layout["hosts"])
    assert layout["pool"] == "172.30.7.128-172.30.7.250"


def test_routes_are_read_without_the_default():
    assert lab_network.read_routes(ROUTES) == ["192.0.2.0/255.255.255.0"]


def machine(tmp_path, bounding, controllers=False):
    """Write the files of a machine and return its root."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text(f"Name:\tx\nCapBnd:\t{bounding:016x}\n")
    (tmp_path / "proc/sys/kernel/cap_last_cap").write_text("40\n")
    (tmp_path / "sys/fs/cgroup/memory").mkdir(parents=True)
    if controllers:
        (tmp_path / "sys/fs/cgroup/cgroup.controllers").touch()
    return str(tmp_path)


def test_missing_capabilities_are_named(tmp_path):
    root = machine(tmp_path, (1 << 41) - 1 - (1 << 24))
    assert lab_machine.read_missing_capabilities(root) == ["SYS_RESOURCE"]
    assert lab_machine.read_problems(["SYS_RESOURCE"], root) == []
    assert "CAP_SYS_RESOURCE" in lab_machine.read_notes(["SYS_RESOURCE"], root)[0]


def test_a_machine_without_what_hosts_need_is_refused(tmp_path):
    root = machine(tmp_path, (1 << 41) - 1 - (1 << 21) - (1 << 12))
    missing = lab_machine.read_missing_capabilities(root)
    assert "CAP_NET_ADMIN, CAP_SYS_ADMIN" in lab_machine.read_problems(missing, root)[0]


@pytest.mark.parametrize(("controllers", "version"), [(True, 2), (False, 1)])
def test_the_cgroup_version_is_read(tmp_path, controllers, version):
    assert lab_machine.read_cgroup_version(machine(tmp_path, 0, controllers)) == version


def test_a_name_server_on_loopback_is_of_no_use_to_hosts(tmp_path):
    for path, text in (("etc/resolv.conf", "nameserver 127.0.0.53\n"),
                       ("run/systemd/resolve/resolv.conf", "# x\nnameserver 192.0.2.53\nsearch a\n")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert lab_machine.read_nameservers(str(tmp_path)) == ["192.0.2.53"]


@pytest.mark.parametrize("missing", [[], ["SYS_RESOURCE"]])
def test_a_host_is_privileged_only_where_nothing_is_missing(missing):
    facts = {"missing_capabilities": missing, "cgroup_version": 2, "nameservers": [], "modules": None}
    config = host_payload({"name": "lab", "network": "stowage-lab"}, HOST, facts)["HostConfig"]
    assert config.get("Privileged", False) is not bool(missing)
    assert config.get("CapDrop", []) == missing
    assert config["CgroupnsMode"] == "private"


def test_cgroup_v1_is_told_to_new_systemd():
    facts = {"missing_capabilities": [], "cgroup_version": 1, "nameservers": ["192.0.2.53"], "modules": "/lib/modules"}
    payload = host_payload({"name": "lab", "network": "stowage-lab"}, HOST, facts)
    assert "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1" in payload["Env"]
    assert "STOWAGE_NAMESERVERS=192.0.2.53" in payload["Env"]
    assert payload["HostConfig"]["Binds"] == ["lab-h1-docker:/var/lib/docker", "/lib/modules:/lib/modules:ro"]


def files(tmp_path, check_mode=False):
    """Return the files of a lab below ``tmp_path``."""
    return LabFiles(str(tmp_path / "state/labs/x"), str(tmp_path / "inventories/labs/x/hosts.yml"), check_mode)


def test_a_key_is_made_once(tmp_path):
    lab = files(tmp_path)
    assert lab.ensure_key("x") is True
    key = lab.public_key()
    assert lab.ensure_key("x") is False
    assert lab.public_key() == key
    assert key.startswith("ssh-ed25519 ")


def test_check_mode_writes_nothing(tmp_path):
    lab = files(tmp_path, check_mode=True)
    assert lab.ensure_key("x") is True
    assert lab.write_inventory({}) is True
    assert list(tmp_path.iterdir()) == []


def test_the_inventory_is_written_when_it_differs(tmp_path):
    lab = files(tmp_path)
    data = inventory_data(
        {
            "hosts": [dict(HOST, labels={"zone": "a"})],
            "network": lab_network.layout(ipaddress.ip_network("172.30.0.0/24")),
            "key": lab.key,
            "known_hosts": lab.known_hosts,
        }
    )
    assert [lab.write_inventory(data), lab.write_inventory(data)] == [True, False]
    with open(lab.inventory, encoding="utf-8") as stream:
        read = json.loads("".join(line for line in stream if not line.startswith("#")))
    assert read["fleet"]["hosts"]["lab-h1"] == {"ansible_host": "172.30.0.11", "stowage_host_labels": {"zone": "a"}}
    assert read["fleet"]["vars"]["stowage_networks"]["lan"]["pool"] == "172.30.0.128-172.30.0.250"
    assert "StrictHostKeyChecking=yes" in read["fleet"]["vars"]["ansible_ssh_common_args"]


def test_nothing_is_left_behind(tmp_path):
    lab = files(tmp_path)
    lab.ensure_key("x")
    lab.write_inventory({})
    lab.write_known_hosts([dict(HOST, host_key="ssh-ed25519 AAAA")])
    assert lab.remove() is True
    assert not (tmp_path / "inventories/labs").exists()
    assert not (tmp_path / "state/labs").exists()
    assert lab.remove() is False
