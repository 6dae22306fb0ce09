# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host refuses to promise twice."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.containers.admission import Holding, problems

GIB = 1 << 30
RESOURCES = {"memory": 4 * GIB, "disk": 10 * GIB, "gpus": 2}


def holds(name="a", cores=(), **claims):
    return Holding(name, {**claims, **({"cores": len(cores)} if cores else {})}, tuple(cores))


@pytest.mark.parametrize(
    ("holdings", "words"),
    [
        ([holds(cores=[1, 2]), holds("b", cores=[2, 3])], "core 2 would be owned by a and b"),
        ([holds(cores=[4])], "a is to own core 4, which this host does not have"),
        ([holds(cores=[0])], "a is to own core 0, which is reserved for the host"),
        ([holds(cores=[1]), holds("b", cpus=2.5)], "2.5 shared cpus are promised, and 2 cores are left"),
        ([holds(memory=2 * GIB), holds("b", memory=2 * GIB)], "4 GiB of memory are promised, and the host has 4 GiB"),
        ([holds(disk=11 * GIB)], "11 GiB of disk are promised"),
        ([holds(gpus=2), holds("b", gpus=1)], "3 of gpus are promised, and the host has 2 less 0 reserved"),
        ([holds(tapes=1)], "a claims 1 of tapes, which this host does not offer"),
    ],
)
def test_refuses_and_says_why(holdings, words):
    found = problems([0, 1, 2, 3], RESOURCES, {"cores": 1, "memory": GIB}, holdings)
    assert len(found) == 1
    assert words in found[0]


def test_accepts_a_host_that_is_exactly_full():
    holdings = [
        holds(cores=[1, 2], memory=3 * GIB, disk=10 * GIB, gpus=2),
        *(holds(f"s{n}", cpus=0.1) for n in range(10)),
    ]
    assert problems([0, 1, 2, 3], RESOURCES, {"cores": 1, "memory": GIB}, holdings) == []
