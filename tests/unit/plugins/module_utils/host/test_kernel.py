# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel settings, against a kernel made of files."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.host.kernel import Kernel, Settings


class Machine:
    """A root directory with a few parameters, and a modprobe that knows one module."""

    def __init__(self, root):
        self.root = root
        self.kernel = Kernel(self.run, str(root))
        self.put("proc/sys/net/ipv4/ip_forward", "0\n")
        self.put("proc/sys/net/ipv4/conf/eth0.100/forwarding", "0\n")
        self.put("proc/sys/vm/max_map_count", "65530\n")
        self.put("sys/module/overlay/refcnt", "1")
        (root / "lib/modules" / self.kernel.release).mkdir(parents=True)

    def put(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def text(self, path):
        return (self.root / path).read_text()

    def run(self, args):
        if args[-1] != "br_netfilter":
            return 1, "", "not found"
        if "--dry-run" not in args:
            self.put("sys/module/br_netfilter/refcnt", "0")
            self.put("proc/sys/net/bridge/bridge-nf-call-iptables", "0\n")
        return 0, "", ""

    def converge(self, modules=(), parameters=None, **how):
        settings = Settings(self.kernel, **how)
        settings.modules(list(modules), "/etc/modules")
        settings.parameters(parameters or {}, "/etc/sysctl")
        return settings


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_a_parameter_is_set_now_and_at_boot(machine):
    result = machine.converge(parameters={"net.ipv4.ip_forward": 1}).result()
    assert result["changed"]
    assert machine.text("proc/sys/net/ipv4/ip_forward") == "1"
    assert "\nnet.ipv4.ip_forward = 1\n" in machine.text("etc/sysctl")


def test_a_second_run_changes_nothing(machine):
    wanted = {"modules": ["overlay", "br_netfilter", "ipvlan"],
              "parameters": {"net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 1, "no.such": 1}}
    assert machine.converge(**wanted).result()["changed"]
    assert not machine.converge(**wanted).result()["changed"]


def test_a_value_changed_by_hand_is_put_right(machine):
    machine.converge(parameters={"vm.max_map_count": 262144})
    machine.put("proc/sys/vm/max_map_count", "1\n")
    assert machine.converge(parameters={"vm.max_map_count": 262144}).result()["changed"]
    assert machine.text("proc/sys/vm/max_map_count") == "262144"


def test_check_mode_tells_of_parameters_that_a_module_will_bring_and_touches_nothing(machine):
    wanted = {"modules": ["br_netfilter"], "parameters": {"net.bridge.bridge-nf-call-iptables": 1}}
    before = sorted(p for p in machine.root.rglob("*"))
    result = machine.converge(**wanted, check_mode=True).result()
    assert result["loaded_modules"] == ["br_netfilter"]
    assert not result["refused_parameters"]
    assert sorted(p for p in machine.root.rglob("*")) == before


def test_what_the_kernel_lacks_is_named_and_the_rest_is_set(machine):
    settings = machine.converge(["ipvlan"], {"no.such.thing": 5, "net.ipv4.ip_forward": 1})
    assert settings.missing == ["ipvlan"]
    assert machine.text("proc/sys/net/ipv4/ip_forward") == "1"
    lacks, refused = settings.complaints()
    assert "ipvlan" in lacks
    assert "no.such.thing = 5 (this kernel has no such parameter)" in refused
    assert "\n-no.such.thing = 5\n" in machine.text("etc/sysctl")


def test_a_container_leaves_the_machines_parameters_alone(machine):
    settings = machine.converge(parameters={"vm.max_map_count": 1, "net.ipv4.ip_forward": 1}, machine_wide=False)
    assert settings.skipped == ["vm.max_map_count"]
    assert machine.text("proc/sys/vm/max_map_count") == "65530\n"
    assert "max_map_count" not in machine.text("etc/sysctl")


def test_a_dot_in_an_interface_name_is_kept(machine):
    machine.converge(parameters={"net/ipv4/conf/eth0.100/forwarding": 1})
    assert machine.text("proc/sys/net/ipv4/conf/eth0.100/forwarding") == "1"


def test_a_built_in_module_counts_as_loaded(machine):
    machine.put(f"boot/config-{machine.kernel.release}", "CONFIG_MACVLAN=y\nCONFIG_DUMMY=m\n")
    settings = machine.converge(["macvlan", "dummy"])
    assert settings.missing == ["dummy"]
    assert settings.loaded == []


def test_no_boot_file_is_written_where_no_modules_are_installed(machine):
    (machine.root / "lib/modules" / machine.kernel.release).rmdir()
    machine.converge(["overlay"])
    assert not (machine.root / "etc/modules").exists()
