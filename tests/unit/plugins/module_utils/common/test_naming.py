# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of clusters, groups and instances."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import InvalidName
from ansible_collections.stowage.fleet.plugins.module_utils.common.naming import (
    check_name,
    instance_name,
    is_instance_name,
    is_valid_name,
    split_instance_name,
)


def test_an_instance_name_splits_back_into_its_parts():
    assert instance_name("acme", "web-1", 12) == "acme_web-1_12"
    assert split_instance_name("acme_web-1_12") == ("acme", "web-1", 12)


@pytest.mark.parametrize("name", ["a", "0", "acme", "web-1", "a--b", "a" * 63])
def test_lower_case_letters_digits_and_inner_hyphens_make_a_name(name):
    assert is_valid_name(name)
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a.b", "a" * 64, "a\n", "ä", None, 3])
def test_other_names_are_refused(name):
    assert not is_valid_name(name)
    with pytest.raises(InvalidName, match="expected lower-case"):
        check_name(name, "stowage_clusters")


@pytest.mark.parametrize(
    "name", ["acme_web", "acme_web_", "acme_web_01", "acme_web_-1", "a_b_c_1", "acme_web_1\n", None]
)
def test_what_is_no_instance_name_does_not_split(name):
    assert not is_instance_name(name)
    with pytest.raises(InvalidName, match="<cluster>_<group>_<index>"):
        split_instance_name(name)
