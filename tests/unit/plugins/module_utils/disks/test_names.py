# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks an instance has, and what they are called."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.disks import names

GOOD = {"name": "logs", "size": "1g", "path": "/var/log"}


def complaints(*volumes, taken=()):
    return names.problems(list(volumes), taken)


@pytest.mark.parametrize("volume", ["logs", "a-b", "0"])
def test_the_name_of_a_further_volume_leads_back_to_its_instance(volume):
    assert names.instance_of(names.volume_name("acme_db_0", volume)) == "acme_db_0"


def test_the_data_disk_has_the_name_of_its_instance():
    assert names.instance_of("acme_db_0") == "acme_db_0"


def test_further_volumes_take_whole_blocks_of_the_pool():
    assert names.extra_size([{"size": "1m"}, {"size": 1}]) == (1 << 20) + 4096
    assert names.extra_size(None) == names.extra_size([]) == 0


def test_good_volumes_have_no_problems():
    assert complaints(GOOD, {"name": "cache", "size": "300m", "fs": "xfs", "path": "/var/cache"}, taken=["/data"]) == []
    assert names.problems(None) == []


@pytest.mark.parametrize(("changes", "complaint"), [
    ({"name": "Logs"}, "volumes[0].name: 'Logs' can't name a volume; expected lower-case letters, digits and inner"),
    ({"name": "a.b"}, "volumes[0].name: 'a.b' can't name a volume"),
    ({"name": None}, "volumes[0].name: '' can't name a volume"),
    ({"path": "logs"}, "volumes[0].path: 'logs'; expected an absolute path in the container"),
    ({"path": "/"}, "volumes[0].path: '/'; expected an absolute path in the container"),
    ({"path": None}, "volumes[0].path: None; expected an absolute path in the container"),
    ({"size": "1q"}, "volumes[0].size: '1q' is not a size"),
    ({"size": None}, "volumes[0].size: 0 B is too small; expected at least 4 MiB for ext4"),
    ({"size": "1m"}, "volumes[0].size: 1 MiB is too small; expected at least 4 MiB for ext4"),
    ({"size": "4m", "fs": "xfs"}, "volumes[0].size: 4 MiB is too small; expected at least 300 MiB for xfs"),
])
def test_a_bad_volume_is_told_with_its_place(changes, complaint):
    (found,) = complaints({**GOOD, **changes})
    assert found.startswith(complaint)


def test_all_that_is_wrong_is_told_at_once():
    found = complaints(GOOD, {"name": "L", "size": "1", "path": "x"})
    assert [text.partition(":")[0] for text in found] == ["volumes[1].name", "volumes[1].path", "volumes[1].size"]


def test_a_name_that_comes_twice_is_told():
    assert complaints(GOOD, {**GOOD, "path": "/other"}) == [
        "volumes[1].name: 'logs' comes twice; expected each volume once"]


@pytest.mark.parametrize("path", ["/var/log", "/var/log/"])
def test_a_path_that_is_mounted_twice_is_told(path):
    assert complaints(GOOD, {**GOOD, "name": "more", "path": path}) == [
        "volumes[1].path: /var/log is mounted twice; expected each path once"]


@pytest.mark.parametrize("taken", ["/var/log", "/var/log/"])
def test_a_path_where_something_else_is_mounted_is_told(taken):
    assert complaints(GOOD, taken=[taken]) == ["volumes[0].path: /var/log is mounted twice; expected each path once"]


@pytest.mark.parametrize(("size", "kind"), [("4m", None), ("4m", "ext4"), ("300m", "xfs"), (4 << 20, "ext4")])
def test_a_disk_is_at_least_as_large_as_its_file_system_needs(size, kind):
    assert names.size_problems("data", size, kind) == []
    assert len(names.size_problems("data", 1, kind)) == 1
