# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of CPUs as the kernel writes them."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.cpulist import parse_cpulist


@pytest.mark.parametrize(("text", "numbers"), [
    ("0-2,5", [0, 1, 2, 5]),
    ("7", [7]),
    ("3-3", [3]),
    ("0-1\n", [0, 1]),
    ("10,2", [2, 10]),
    ("1,0-2", [0, 1, 2]),
])
def test_ranges_and_single_numbers_become_sorted_numbers(text, numbers):
    assert parse_cpulist(text) == numbers


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_no_list_is_no_cpu(text):
    assert parse_cpulist(text) == []


@pytest.mark.parametrize("text", ["all", "0-x", "-"])
def test_what_is_no_list_raises(text):
    with pytest.raises(ValueError, match="invalid literal"):
        parse_cpulist(text)
