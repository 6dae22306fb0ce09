# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a size may look like, and what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidSize, StowageError
from ansible_collections.stowage.fleet.plugins.module_utils.common.sizes import format_size, human_size, parse_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (0, 0),
        (134217728, 134217728),
        (2.0, 2),
        ("0", 0),
        ("1024", 1024),
        ("1b", 1),
        ("1k", 1024),
        ("512m", 512 * 1024**2),
        ("512M", 512 * 1024**2),
        ("2g", 2 * 1024**3),
        ("10gb", 10 * 1024**3),
        ("10GiB", 10 * 1024**3),
        ("1.5g", 3 * 512 * 1024**2),
        (" 3 t ", 3 * 1024**4),
        ("8191.999p", 8191999 * 2**50 // 1000),
    ],
)
def test_sizes_are_read_in_base_1024(text, expected):
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    "value",
    ["", "m", "-1", "-1g", "1x", "1e9", "nan", "inf", "1,5g", "5 5m", "9" * 65, "8192p", -1, 2**63, 1.5, True, None, [],
     {}, float("nan"), float("inf")],
)
def test_what_is_not_a_size_is_refused_with_the_value_and_what_was_expected(value):
    with pytest.raises(InvalidSize, match="expected bytes"):
        parse_size(value)


def test_a_refused_size_is_a_stowage_error_and_a_value_error():
    with pytest.raises(StowageError):
        parse_size("many")
    with pytest.raises(ValueError, match="many"):
        parse_size("many")


@pytest.mark.parametrize("number", [0, 1, 1000, 1024, 1536, 512 * 1024**2, 3 * 1024**4, 1024**3 + 1])
def test_a_formatted_size_reads_back_exactly(number):
    assert parse_size(format_size(number)) == number


def test_sizes_for_people_are_rounded():
    assert human_size(512 * 1024**2) == "512 MiB"
    assert human_size(1536 * 1024**2) == "1.5 GiB"
    assert human_size(10) == "10 B"
    assert human_size(2 * 1024**4) == "2 TiB"
