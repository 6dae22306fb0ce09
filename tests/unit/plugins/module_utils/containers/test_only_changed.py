# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers a change of one cluster looks at, beside those of many others."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import HostError
from ansible_collections.stowage.fleet.plugins.module_utils.containers import filters as converge
from ansible_collections.stowage.fleet.plugins.module_utils.network.filter.policy import Policy

POLICY = {"clusters": {name: {"members": [{"name": f"{name}_web_0", "group": "web", "network": "lan",
                                           "address": f"10.0.0.{number}"}]}
                       for number, name in enumerate(("acme", "globex"), 2)}}


class Host:
    """A host that runs one container of each cluster; ``files`` and ``notes`` are what it remembers of them."""

    def __init__(self, monkeypatch):
        self.policy = Policy(POLICY)
        self.inspected, self.loads, self.broken = [], [], False
        self.files = {name: {"rules": self.policy.rules_of(f"{name}_web_0", name)} for name in POLICY["clusters"]}
        self.notes = dict.fromkeys(self.files, "same")
        monkeypatch.setattr(converge.specs, "read", lambda ident, *_folder: self.files.get(ident))
        monkeypatch.setattr(converge.specs, "read_links", lambda ident: None)
        monkeypatch.setattr(converge.specs, "loaded", self.notes.get)
        monkeypatch.setattr(converge.specs, "unnote_loaded", lambda ident: self.notes.pop(ident, None))
        monkeypatch.setattr(converge.specs, "note_loaded", self.notes.__setitem__)
        monkeypatch.setattr(converge.specs, "write", lambda ident, spec, folder: self.files.update({ident: spec}))
        monkeypatch.setattr(converge.namespace, "fingerprint", lambda pid: "same")
        monkeypatch.setattr(converge.namespace, "load", self.load)

    def load(self, pid, text):
        if self.broken:
            raise HostError("nft refused")
        self.loads.append(pid)

    def inspect(self, ident):
        self.inspected.append(ident)
        return {"State": {"Running": True, "Pid": len(ident)}, "HostConfig": {"Runtime": "stowage"}}

    def bring(self, only_changed):
        self.inspected, self.loads = [], []
        return [converge._one(self, self.policy, (f"{name}_web_0", {"Id": name, "Labels": {converge.CLUSTER: name}}),
                              only_changed, False)["action"] for name in POLICY["clusters"]]


@pytest.fixture
def host(monkeypatch):
    return Host(monkeypatch)


def test_those_whose_filter_stays_are_looked_at_only_when_all_are(host):
    host.files["globex"] = {"rules": "another"}
    assert host.bring(only_changed=True) == ["none", "loaded"]
    assert host.inspected == ["globex"]
    assert host.bring(only_changed=False) == ["none", "none"]
    assert host.inspected == ["acme", "globex"]


def test_a_filter_that_could_not_be_loaded_is_tried_again(host):
    host.files["globex"], host.broken = {"rules": "another"}, True
    host.bring(only_changed=True)
    host.broken = False
    # The file is as wanted by now, the kernel is not.
    assert host.bring(only_changed=True) == ["none", "loaded"]
    assert host.loads
