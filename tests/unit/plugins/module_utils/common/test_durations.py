# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations, in the engine's nanoseconds."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.durations import parse_duration
from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidInput


@pytest.mark.parametrize(("unit", "nanoseconds"), [
    ("ns", 1), ("us", 10**3), ("ms", 10**6), ("s", 10**9), ("m", 60 * 10**9), ("h", 3600 * 10**9),
])
def test_each_unit_counts_nanoseconds(unit, nanoseconds):
    assert parse_duration(f"3{unit}") == 3 * nanoseconds


@pytest.mark.parametrize("value", [90, 90.0, "90", " 90 ", "90s", "1m30s", "1.5m", "1m29s1000ms"])
def test_one_duration_is_written_in_many_ways(value):
    assert parse_duration(value) == 90 * 10**9


@pytest.mark.parametrize("text", ["1.001s", "1001ms", "1001000us", "1s1ms"])
def test_fractions_are_exact(text):
    assert parse_duration(text) == 1001 * 10**6


def test_nothing_is_a_duration_too():
    assert parse_duration(0) == 0


@pytest.mark.parametrize("value", [True, [], "1e3", "-5", -5, "1 m", "1m 30s", "5S", "1,5s", ".5s", "m", "1\n2"])
def test_anything_else_is_refused_with_what_was_expected(value):
    with pytest.raises(InvalidInput, match="is not a duration; expected seconds, or numbers with ms, s, m or h"):
        parse_duration(value)


def test_the_longest_duration_is_what_an_engine_can_count():
    assert parse_duration("2562047h") < 2**63
    with pytest.raises(InvalidInput, match="longer than an engine can count"):
        parse_duration("2562048h")


def test_a_long_text_is_cut_in_the_complaint():
    with pytest.raises(InvalidInput) as caught:
        parse_duration("1s" * 500)
    assert len(caught.value.message) < 200
