# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces of VLANs that links make on a host, and take away: on a kernel of paper, for many have no VLANs."""

from __future__ import annotations

import json

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.network import specs
from ansible_collections.stowage.fleet.plugins.module_utils.network.links import attach, wire
from ansible_collections.stowage.fleet.plugins.module_utils.network.links.wanted import read_links


class Kernel:
    """Answers the calls of ip and bridge that are about VLANs."""

    def __init__(self):
        self.vlans, self.heard = {}, []

    def run(self, *words, check=True):
        if words[:3] == ("ip", "-json", "-details"):
            return json.dumps([{"ifname": name, "link": parent, "linkinfo": {"info_data": {"id": ident}}}
                               for name, (parent, ident, _alias) in self.vlans.items()])
        if words[:2] == ("ip", "-json"):
            return json.dumps([{"ifname": words[-1], "address": "02:00:00:00:00:99",
                                "ifalias": self.vlans[words[-1]][2]}])
        if words[:2] == ("bridge", "-json"):
            return json.dumps([{"mac": mac} for mac in ["33:33:00:00:00:01", "02:00:00:00:00:99", *self.heard]])
        if words[:3] == ("ip", "link", "add"):
            self.vlans[words[6]] = (words[4], int(words[-1]), "")
        elif words[4:5] == ("alias",):
            self.vlans[words[3]] = (*self.vlans[words[3]][:2], words[5])
        elif words[:3] == ("ip", "link", "delete"):
            del self.vlans[words[3]]
        return ""


@pytest.fixture
def kernel(monkeypatch):
    made = Kernel()
    monkeypatch.setattr(wire, "run", made.run)
    return made


def link(owner="web", parent="eth0", **more):
    (made,) = read_links(owner, [{"name": "eth1", "kind": "macvlan", "parent": parent, "vlan": 7, **more}])
    return made


def test_an_interface_is_made_once_with_a_mark_and_goes_with_the_last(kernel):
    assert wire._with_vlan(link()) == "eth0.7"
    assert wire._with_vlan(link("db")) == "eth0.7"
    assert kernel.vlans == {"eth0.7": ("eth0", 7, wire.VLAN_MARK)}
    kernel.heard = [link().mac]
    wire.drop_vlan(link(), {link().mac})
    assert not kernel.vlans


def test_an_interface_of_an_administrator_is_used_under_its_own_name_and_stays(kernel):
    kernel.vlans["storage"] = ("eth0", 7, "")
    assert wire._with_vlan(link()) == "storage"
    wire.drop_vlan(link(), set())
    assert "storage" in kernel.vlans


def test_an_interface_that_somebody_else_is_on_stays(kernel):
    wire._with_vlan(link())
    kernel.heard = [link().mac, "02:42:ac:1e:00:02"]
    wire.drop_vlan(link(), {link().mac})
    assert "eth0.7" in kernel.vlans


def test_a_name_that_is_too_long_for_the_kernel_is_shortened_and_found_again(kernel):
    long = link(parent="enp129s0f0np0", vlan=4000)
    name = wire._with_vlan(long)
    assert len(name) <= 15
    assert wire._with_vlan(long) == name


@pytest.fixture
def host(monkeypatch, tmp_path):
    """What the host remembers, in folders of the test; and what is asked to go."""
    wired, dropped = {}, []
    monkeypatch.setattr(attach.specs, "LOADED", str(tmp_path))
    monkeypatch.setattr(attach.specs, "known", lambda: sorted(wired))
    monkeypatch.setattr(attach.specs, "read_wired", lambda ident: wired.get(ident, {}))
    monkeypatch.setattr(attach, "drop_vlan", lambda link, macs: dropped.append((link.parent, link.vlan)))
    return wired, dropped


@pytest.mark.parametrize(("others", "goes"), [
    ([], True),
    ([link("db")], False),
    ([link("db", vlan=8), link("db", parent="eth1")], True),
])
def test_only_links_of_other_containers_keep_it(host, others, goes):
    wired, dropped = host
    wired["other"] = {str(index): {"link": other.to_dict()} for index, other in enumerate(others)}
    attach._sweep("own", [link(), *read_links("web", [{"name": "eth2", "parent": "br0", "vlan": 7}])])
    assert dropped == ([("eth0", 7)] if goes else [])


def test_what_is_remembered_of_leases_and_of_the_program_is_found_again_and_forgotten(tmp_path):
    kept, loaded = str(tmp_path / "kept"), str(tmp_path / "loaded")
    specs.write_lease("ab", "eth1.5", {"address": "192.0.2.7/24"}, kept)
    specs.write_lease("abc", "eth2", {}, kept)
    specs.note_program("/program", str(tmp_path / "program"))
    assert specs.leased("ab", kept) == ["eth1.5"]
    assert specs.program(str(tmp_path / "program")) == "/program"
    assert specs.known(kept, loaded) == ["ab", "abc"]
    specs.mark_leaving("ab", loaded)
    assert specs.is_leaving("ab", loaded)
    specs.forget("ab", kept, loaded)
    assert specs.leased("ab", kept) == []
    assert not specs.is_leaving("ab", loaded)
    assert specs.leased("abc", kept) == ["eth2"]
