# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a host's instances: what their containers mount, and what is asked of the pool for them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.disks import instances
from ansible_collections.stowage.fleet.plugins.module_utils.disks.instances import InstanceDisks, with_disks
from ansible_collections.stowage.fleet.plugins.module_utils.disks.pool import ATTACHED, RELEASED, Pool, empty_record

G = 1 << 30
LOGS = {"name": "logs", "size": "1g", "path": "/logs"}


def instance(**options):
    return {"name": "acme_db_0", **options}


def complaints(**options):
    with pytest.raises(InvalidInput) as caught:
        with_disks(instance(**options), "/pool")
    return caught.value.problems


# what a container mounts

def test_the_data_disk_is_mounted_where_the_type_says():
    found = with_disks(instance(disk="2g", data={"path": "/data"}), "/pool")
    assert found["mounts"] == [{"target": "/data", "source": "/pool/mounts/acme_db_0/data", "type": "bind"}]
    assert found["disk"] == "2g"


def test_further_volumes_are_mounted_after_it_and_after_what_was_asked_for():
    own = {"target": "/etc/app", "source": "/srv/app", "type": "bind"}
    found = with_disks(instance(disk="2g", data={"path": "/data"}, volumes=[LOGS], mounts=[own]), "/pool")
    assert [(mount["target"], mount["source"]) for mount in found["mounts"]] == [
        ("/etc/app", "/srv/app"),
        ("/data", "/pool/mounts/acme_db_0/data"),
        ("/logs", "/pool/mounts/acme_db_0.logs/data"),
    ]


def test_an_instance_without_disks_keeps_its_mounts():
    own = [{"target": "/etc/app", "source": "/srv/app"}]
    assert with_disks(instance(mounts=own), "/pool")["mounts"] == own
    assert with_disks(instance(), "/pool")["mounts"] == []


def test_the_instance_that_was_given_is_left_as_it_is():
    given = instance(disk="2g", data={"path": "/data"}, mounts=[])
    with_disks(given, "/pool")
    assert given == instance(disk="2g", data={"path": "/data"}, mounts=[])


def test_a_data_disk_has_what_the_claim_leaves_beside_further_volumes():
    found = with_disks(instance(claims={"disk": 3 * G}, data={"path": "/data"}, volumes=[LOGS]), "/pool")
    assert found["disk"] == 2 * G


@pytest.mark.parametrize("claims", [None, {}, {"disk": 0}])
def test_a_data_disk_without_a_size_is_refused(claims):
    assert complaints(claims=claims, data={"path": "/data"}) == [
        "data.path: needs a disk; expected the grade to say how large, such as disk: 2g"]


def test_a_claim_that_further_volumes_use_up_leaves_no_data_disk():
    (found,) = complaints(claims={"disk": G}, data={"path": "/data"}, volumes=[LOGS])
    assert found.startswith("data.path: needs a disk")


@pytest.mark.parametrize(("options", "complaint"), [
    ({"data": {"path": "data"}}, "data.path: 'data'; expected an absolute path in the container"),
    ({"data": {"path": "/data"}, "mounts": [{"target": "/data"}]},
     "data.path: /data is among the mounts too; expected it in one of the two"),
    ({"data": {"path": "/data"}, "disk": "1m"}, "data: 1 MiB is too small; expected at least 4 MiB for ext4"),
    ({"data": {"path": "/data", "fs": "xfs"}, "disk": "8m"},
     "data: 8 MiB is too small; expected at least 300 MiB for xfs"),
    ({"volumes": [LOGS], "mounts": [{"target": "/logs"}]},
     "volumes[0].path: /logs is mounted twice; expected each path once"),
    ({"data": {"path": "/logs"}, "volumes": [LOGS]},
     "volumes[0].path: /logs is mounted twice; expected each path once"),
])
def test_what_can_not_be_mounted_is_refused_with_its_place(options, complaint):
    assert complaints(**{"disk": "2g", **options}) == [complaint]


def test_a_bad_volume_does_not_hide_what_else_is_wrong():
    found = complaints(claims={"disk": G}, data={"path": "data"}, volumes=[{**LOGS, "size": "much"}])
    assert [text.partition(":")[0] for text in found] == ["data.path", "volumes[0].size"]


# what is asked of the pool

class Asked:
    """Stands in for the disk room: keeps what it is asked for, and answers as told."""

    def __init__(self):
        self.settings = self.wanted = None
        self.calls = 0
        self.failing = {}

    def __call__(self, settings, wanted):
        self.settings, self.wanted = settings, wanted
        self.calls += 1
        volumes = [{"name": one.name, "instance": one.instance or one.name.partition(".")[0], "changed": True,
                    "failed": one.name in self.failing, "msg": self.failing.get(one.name, "")} for one in wanted]
        return SimpleNamespace(volumes=volumes, warnings=["the pool runs full"])

    def states(self):
        return {one.name: one.state for one in self.wanted}


@pytest.fixture
def asked(monkeypatch):
    found = Asked()
    monkeypatch.setattr(instances, "converge", found)
    return found


@pytest.fixture
def pool(tmp_path):
    """A pool with the folders that it gets when it is first used."""
    found = Pool(str(tmp_path / "pool"))
    found.prepare()
    return found


def remember(pool, name, instance=None, state=ATTACHED, fleet="fleet"):
    owner = instance or name.partition(".")[0]
    pool.write_record({**empty_record(name), "instance": owner, "state": state, "fleet": fleet})


def disks_of(pool, check=False, **params):
    defaults = {"pool": getattr(pool, "path", pool), "fleet": "fleet", "reserved": {}, "disk_thin_ratio": 1.0,
                "disk_warn_percent": 90, "parallel": 4, "lock_timeout": 60, "release_disks": True, "keep_disks": [],
                "keep_disks_days": 30}
    return InstanceDisks({**defaults, **params}, check)


def job(name="acme_db_0", **options):
    return SimpleNamespace(name=name, instance={"name": name, **options})


DB = {"disk": "2g", "data": {"path": "/data", "fs": "xfs", "owner": "999", "mode": "0700"}}


def test_an_instance_asks_for_its_data_disk_and_its_further_volumes(pool, asked):
    disks_of(pool).provide([job(**DB, volumes=[LOGS])])
    assert [(one.name, one.size, one.path, one.instance, one.fs) for one in asked.wanted] == [
        ("acme_db_0", 2 * G, "/data", "acme_db_0", "xfs"), ("acme_db_0.logs", G, "/logs", "acme_db_0", None)]
    assert (asked.wanted[0].owner, asked.wanted[0].mode, asked.wanted[0].fleet) == ("999", "0700", "fleet")


def test_instances_without_disks_ask_for_nothing(pool, asked):
    disks = disks_of(pool)
    disks.refuse_impossible([job()])
    assert (disks.provide([job()]), disks.changed, asked.calls) == ({}, False, 0)


def test_the_pool_is_used_as_the_module_was_told(pool, asked):
    disks_of(pool, reserved={"disk": "1g"}, disk_thin_ratio=2.0, disk_warn_percent=80).provide([job(**DB)])
    settings = asked.settings
    assert (settings.reserve, settings.thin_ratio, settings.warn_percent) == (G, 2.0, 80)
    assert (settings.pool.path, settings.check_mode, settings.keep_days) == (pool.path, False, None)


def test_what_is_impossible_is_found_out_without_touching_anything(pool, asked):
    disks = disks_of(pool)
    disks.refuse_impossible([job(**DB)])
    assert asked.settings.check_mode
    assert not disks.results


def test_check_mode_provides_nothing(pool, asked):
    disks_of(pool, check=True).provide([job(**DB)])
    assert asked.settings.check_mode


def test_failures_are_told_by_instance(pool, asked):
    asked.failing = {"acme_db_0": "it is damaged", "acme_db_0.logs": "it is busy"}
    disks = disks_of(pool)
    assert disks.provide([job(**DB, volumes=[LOGS]), job("acme_db_1", **DB)]) == {
        "acme_db_0": "it is damaged; it is busy"}
    assert disks.changed
    assert disks.warnings == ["the pool runs full"]


def test_a_snapshot_is_kept_before_an_update_of_the_container(pool, asked):
    disks = disks_of(pool)
    disks.updates = {"acme_db_0": "d2"}
    kept = {**DB, "data": {**DB["data"], "snapshots": 3}}
    disks.provide([job(**kept), job("acme_db_1", **kept)])
    assert [(one.name, one.snapshot, one.keep_snapshots) for one in asked.wanted] == [
        ("acme_db_0", "before-d2", 3), ("acme_db_1", None, None)]


def test_an_update_of_a_type_that_keeps_no_snapshots_takes_none(pool, asked):
    disks = disks_of(pool)
    disks.updates = {"acme_db_0": "d2"}
    disks.provide([job(**DB)])
    assert asked.wanted[0].snapshot is None


def test_all_disks_of_removed_instances_are_released(pool, asked):
    for name in ("acme_db_0", "acme_db_0.logs", "acme_db_1", "acme_db_10"):
        remember(pool, name)
    disks_of(pool).let_go(["acme_db_0"])
    # The data disk is named even where no record says that there is one: its image may lie there without.
    assert asked.states() == {"acme_db_0": "absent", "acme_db_0.logs": "absent"}


def test_disks_that_are_kept_are_released_and_the_others_deleted(pool, asked):
    disks_of(pool, keep_disks=["acme_db_0"]).let_go(["acme_db_0", "acme_db_1"])
    assert asked.states() == {"acme_db_0": "released", "acme_db_1": "absent"}


def test_unless_releasing_is_asked_for_all_disks_are_kept(pool, asked):
    disks_of(pool, release_disks=False).let_go(["acme_db_0", "acme_db_1"])
    assert asked.states() == {"acme_db_0": "released", "acme_db_1": "released"}


def test_nothing_is_asked_when_nothing_is_removed(pool, asked):
    assert disks_of(pool).let_go([]) == {}
    assert asked.calls == 0


def test_released_disks_that_are_too_old_go_but_those_of_instances_that_are_kept(pool, asked):
    assert disks_of(pool, keep_disks_days=7).delete_overdue(["acme_db_0"]) == []
    assert (asked.wanted, asked.settings.keep_days, asked.settings.keep_instances) == ([], 7, {"acme_db_0"})


def test_without_an_age_released_disks_stay(pool, asked):
    assert disks_of(pool, keep_disks_days=None).delete_overdue([]) == []
    assert asked.calls == 0


def test_disks_of_other_fleets_stay_when_an_instance_of_the_same_name_goes(pool, asked):
    remember(pool, "acme_db_0.logs", fleet="blue")
    disks_of(pool).let_go(["acme_db_0"])
    assert list(asked.states()) == ["acme_db_0"]


def test_a_host_whose_pool_was_never_used_has_nothing_to_let_go(tmp_path, asked):
    disks = disks_of(str(tmp_path / "none"))
    assert (disks.let_go(["acme_db_0"]), disks.let_go_unwanted([job(**DB)]), disks.delete_overdue([])) == ({}, {}, [])
    assert asked.calls == 0


def test_disks_that_a_type_no_longer_names_are_released(pool, asked):
    for name in ("acme_db_0", "acme_db_0.logs", "acme_db_0.cache", "acme_db_1.logs"):
        remember(pool, name)
    disks_of(pool).let_go_unwanted([job(**DB, volumes=[LOGS])])
    assert asked.states() == {"acme_db_0.cache": "released"}


def test_a_data_disk_that_a_type_no_longer_names_is_released_too(pool, asked):
    remember(pool, "acme_db_0")
    disks_of(pool).let_go_unwanted([job()])
    assert asked.states() == {"acme_db_0": "released"}


def test_what_is_released_already_is_not_asked_for_again(pool, asked):
    remember(pool, "acme_db_0.cache", state=RELEASED)
    assert disks_of(pool).let_go_unwanted([job()]) == {}
    assert asked.calls == 0


def test_a_volume_that_somebody_made_by_hand_is_no_disk_of_an_instance(pool, asked):
    remember(pool, "acme_db_0.cache", instance="by-hand")
    assert disks_of(pool).let_go_unwanted([job()]) == {}
    assert asked.calls == 0
