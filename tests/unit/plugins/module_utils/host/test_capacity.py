# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has, read from the files of machines that are not at hand."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.containers.values import parse_cpulist
from ansible_collections.stowage.fleet.plugins.module_utils.host import capacity


def machine(root, sockets, cores, threads, nodes, **files):
    """Lay out /sys as Linux numbers CPUs: first all first threads, then all second ones. ``nodes`` is per socket."""
    total = sockets * cores
    for number in range(total * threads):
        first = number % total
        directory = root / f"sys/devices/system/cpu/cpu{number}"
        (directory / "topology").mkdir(parents=True)
        (directory / "topology/physical_package_id").write_text(f"{first // cores}\n")
        siblings = ",".join(str(first + thread * total) for thread in range(threads))
        (directory / "topology/thread_siblings_list").write_text(siblings + "\n")
        (directory / f"node{first // cores * nodes + first % cores * nodes // cores}").mkdir()
    (root / "sys/devices/system/cpu/online").write_text(f"0-{total * threads - 1}\n")
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text("MemTotal:       16384 kB\nMemFree: 1 kB\n")
    for path, text in files.items():
        place = root / path.replace("__", "/").replace("_DOT_", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return str(root)


def test_two_sockets_with_threads(tmp_path):
    root = machine(tmp_path, sockets=2, cores=2, threads=2, nodes=1)
    assert capacity.topology(root)[5] == {"id": 5, "core": 1, "socket": 0, "node": 0}
    assert [cpu["core"] for cpu in capacity.topology(root)] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert [cpu["socket"] for cpu in capacity.topology(root)] == [0, 0, 1, 1, 0, 0, 1, 1]


def test_four_nodes_in_a_socket(tmp_path):
    root = machine(tmp_path, sockets=1, cores=8, threads=1, nodes=4)
    assert [cpu["node"] for cpu in capacity.topology(root)] == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    "path", ["sys__fs__cgroup__cpuset_DOT_cpus_DOT_effective", "sys__fs__cgroup__cpuset__cpuset_DOT_cpus"]
)
def test_a_host_that_may_use_only_some_cpus_has_only_those(tmp_path, path):
    root = machine(tmp_path, sockets=1, cores=8, threads=1, nodes=1, **{path: "2-3,6\n"})
    assert capacity.usable_cpus(root) == [2, 3, 6]


def test_a_cpu_that_is_offline_does_not_count(tmp_path):
    root = machine(tmp_path, sockets=1, cores=4, threads=1, nodes=1)
    (tmp_path / "sys/devices/system/cpu/online").write_text("0,2-3\n")
    assert capacity.usable_cpus(root) == [0, 2, 3]


def test_a_machine_that_tells_nothing_counts_as_flat(tmp_path):
    (tmp_path / "sys/devices/system/cpu").mkdir(parents=True)
    (tmp_path / "sys/devices/system/cpu/online").write_text("0-1\n")
    assert capacity.topology(str(tmp_path)) == [
        {"id": number, "core": number, "socket": 0, "node": 0} for number in (0, 1)
    ]


@pytest.mark.parametrize(
    ("limit", "expected"), [("max\n", 16 << 20), ("8388608\n", 8 << 20), ("9223372036854771712", 16 << 20)]
)
def test_memory_is_the_machines_or_less(tmp_path, limit, expected):
    root = machine(tmp_path, 1, 1, 1, 1, sys__fs__cgroup__memory_DOT_max=limit)
    assert capacity.memory(root) == expected


def test_disk_is_the_pools_or_the_engines(tmp_path):
    assert capacity.disk(str(tmp_path / "none"), str(tmp_path)) == capacity.disk(str(tmp_path), "/nowhere") > 0


def test_amounts_are_bytes_or_numbers_and_all_bad_ones_are_named():
    assert capacity.named_amounts({"bandwidth": "10g", "gpus": 4, "share": 0.5}, "resources") == {
        "bandwidth": 10 << 30,
        "gpus": 4,
        "share": 0.5,
    }
    with pytest.raises(InvalidInput) as caught:
        capacity.named_amounts({"a": "x", "b": -1}, "resources")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["resources.a", "resources.b"]


@pytest.mark.parametrize(("text", "numbers"), [("0-2,5\n", [0, 1, 2, 5]), ("", []), (None, []), ("7", [7])])
def test_cpu_lists(text, numbers):
    assert parse_cpulist(text) == numbers
