# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done to a volume, as a table."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.disks.decide import Seen, Wanted, decide
from ansible_collections.stowage.fleet.plugins.module_utils.disks.errors import DiskError
from ansible_collections.stowage.fleet.plugins.module_utils.disks.pool import RELEASED, empty_record

M = 1 << 20


def record(size=64 * M, **more):
    return {**empty_record("a_b_0"), "size": size, **more}


def wanted(size=64 * M, **more):
    return Wanted("a_b_0", size=size, **more)


def there(size=64 * M, image=None, mounted=True, **more):
    return Seen(record(size, **more), image or size, mounted=mounted)


@pytest.mark.parametrize(("asked", "seen", "actions"), [
    (wanted(), Seen(), ["create", "mount"]),
    (wanted(), there(), []),
    (wanted(), there(mounted=False), ["mount"]),
    (wanted(), there(mounted=False, state=RELEASED), ["reattach", "mount"]),
    (wanted(128 * M), there(), ["grow"]),
    (wanted(128 * M), there(mounted=False), ["mount", "grow"]),
    (wanted(128 * M), there(image=128 * M), ["grow"]),
    (wanted(shrink=True), there(128 * M), ["unmount", "shrink", "mount"]),
    (wanted(shrink=True), there(128 * M, image=64 * M), ["note"]),
    (wanted(mode="0700"), there(), ["own"]),
    (wanted(path="/data"), there(), ["note"]),
    (wanted(), Seen(None, 64 * M), ["adopt", "mount"]),
    (wanted(), Seen(record(), None, half_made=True), ["finish", "mount"]),
    (wanted(), Seen(record(), 64 * M, mounted=True, stopped="an error"), ["unmount", "check", "mount"]),
    (wanted(snapshot="s"), there(), ["snapshot"]),
    (wanted(rollback="s"), there(), ["unmount", "rollback", "mount"]),
    (wanted(restore="/b.tar"), Seen(), ["restore", "mount"]),
    (wanted(state="released"), there(), ["unmount", "release"]),
    (wanted(state="released"), there(mounted=False, state=RELEASED), []),
    (wanted(state="released"), Seen(), []),
    (wanted(state="absent"), there(), ["unmount", "delete"]),
    (wanted(state="absent"), Seen(record()), ["delete"]),
    (wanted(state="absent"), Seen(), []),
])
def test_actions_lead_from_what_is_seen_to_what_is_wanted(asked, seen, actions):
    assert decide(asked, seen) == actions


@pytest.mark.parametrize(("asked", "seen", "sentence"), [
    (wanted(None), Seen(), "no size"),
    (wanted(), Seen(record()), "its image is gone"),
    (wanted(), there(128 * M), "not made smaller by the way"),
    (wanted(fs="xfs"), there(), "never changed in place"),
    (wanted(shrink=True), there(128 * M, fs="xfs"), "can't be made smaller"),
    (wanted(fleet="other"), there(), "belongs to the fleet fleet"),
    (wanted(rollback="s"), Seen(), "no snapshot to go back to"),
])
def test_what_would_lose_data_is_refused(asked, seen, sentence):
    with pytest.raises(DiskError, match=sentence):
        decide(asked, seen)


def test_all_complaints_about_a_request_are_collected():
    bad = Wanted("../x", state="gone", size=1, fs="ntfs", path="data", rollback="a", restore="b")
    assert [text.partition(":")[0] for text in bad.complaints("volumes[0]")] == [
        "volumes[0].name", "volumes[0].state", "volumes[0].fs", "volumes[0].path",
        "volumes[0].rollback", "volumes[0].state"]
