# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which plans a host refuses, and who has to wait for whom."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import HostError, LockHeld, PlanRefused
from ansible_collections.stowage.fleet.plugins.module_utils.host import ledger
from ansible_collections.stowage.fleet.plugins.module_utils.host.lock import host_lock

PLAN = {"id": "new", "serial": 5, "base_serial": 4}


@pytest.mark.parametrize(
    ("serial", "plan_id", "refused"),
    [(3, "old", False), (4, "old", False), (5, "old", True), (9, "old", True), (5, "new", False)],
)
def test_a_ledger_newer_than_the_plans_base_refuses_other_plans(serial, plan_id, refused):
    found = {"serial": serial, "plan_id": plan_id, "by": "alice@control"}
    if not refused:
        ledger.check_plan(PLAN, found)
        return
    with pytest.raises(PlanRefused, match="alice@control"):
        ledger.check_plan(PLAN, found)


def test_a_host_without_a_ledger_takes_any_plan(tmp_path):
    assert ledger.read_ledger(str(tmp_path), "fleet") is None
    ledger.check_plan(PLAN, None)


BODY = {"instances": [{"name": "a_b_0"}], "seen": [], "hosts": [{"name": "h1"}], "disks": []}


def test_the_head_of_a_ledger_is_on_every_host_and_the_body_on_its_keepers(tmp_path):
    keeper, other = str(tmp_path / "keeper"), str(tmp_path / "other")
    for place, content in ((keeper, {"keepers": ["h1"], "body": BODY}), (other, {"keepers": ["h1"]})):
        ledger.write_ledger(place, "fleet", PLAN, "bob@control", content)
        found = ledger.read_ledger(place, "fleet")
        assert ledger.is_claimed(PLAN, found)
        assert (found["by"], found["keepers"], found["has_body"]) == ("bob@control", ["h1"], place == keeper)
    assert ledger.read_body(keeper, "fleet") == BODY
    assert ledger.read_body(other, "fleet") is None


def test_a_host_that_is_a_keeper_no_longer_forgets_the_body(tmp_path):
    ledger.write_ledger(str(tmp_path), "fleet", PLAN, "bob@control", {"body": BODY})
    ledger.write_ledger(str(tmp_path), "fleet", {**PLAN, "id": "next", "serial": 6}, "bob@control", {})
    assert os.listdir(tmp_path / "fleet") == ["ledger.json"]


def test_a_body_of_another_plan_than_the_head_counts_for_nothing(tmp_path):
    ledger.write_ledger(str(tmp_path), "fleet", PLAN, "bob@control", {"body": BODY})
    body = (tmp_path / "fleet/ledger-body.json").read_bytes()
    ledger.write_ledger(str(tmp_path), "fleet", {**PLAN, "id": "next", "serial": 6}, "bob@control", {"body": BODY})
    (tmp_path / "fleet/ledger-body.json").write_bytes(body)
    assert ledger.read_body(str(tmp_path), "fleet") is None


def test_a_ledger_of_the_version_before_is_read(tmp_path):
    (tmp_path / "fleet").mkdir()
    old = {"version": 1, "serial": 4, "plan_id": "old", "instances": [{"name": "a_b_0"}], "hosts": [{"name": "h1"}]}
    (tmp_path / "fleet/ledger.json").write_text(json.dumps(old))
    found = ledger.read_ledger(str(tmp_path), "fleet")
    assert (found["serial"], found["has_body"]) == (4, True)
    assert "instances" not in found
    assert ledger.read_body(str(tmp_path), "fleet") == BODY


@pytest.mark.parametrize("text", ["{", "[]", '{"serial": "x"}', '{"serial": 1, "version": 99}'])
def test_a_damaged_ledger_is_named_not_ignored(tmp_path, text):
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet/ledger.json").write_text(text)
    with pytest.raises(HostError, match=r"ledger\.json"):
        ledger.read_ledger(str(tmp_path), "fleet")


@pytest.mark.parametrize("text", ["{", "[]", '{"id": {"v": 9}}'])
def test_damaged_records_are_as_good_as_none(tmp_path, text):
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet/records.json").write_text(text)
    assert ledger.read_records(str(tmp_path), "fleet") == {}


def test_the_lock_is_held_by_one_who_is_named(tmp_path):
    with host_lock("fleet", "alice@control", 0, str(tmp_path)):
        with pytest.raises(LockHeld, match="alice@control"), host_lock("fleet", "bob", 0, str(tmp_path)):
            pytest.fail("two hold one lock")
        with host_lock("other", "bob", 0, str(tmp_path)):
            pass
    with host_lock("fleet", "bob", 0, str(tmp_path)):
        pass


def test_the_lock_is_given_back_when_the_work_fails(tmp_path):
    with pytest.raises(ValueError, match="work"), host_lock("fleet", "alice", 0, str(tmp_path)):
        raise ValueError("work")
    with host_lock("fleet", "bob", 0, str(tmp_path)):
        pass


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "stowage-fleet.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError), host_lock("fleet", "alice", 0, str(tmp_path)):
        pytest.fail("it followed a link")
    assert not (tmp_path / "elsewhere").exists()
