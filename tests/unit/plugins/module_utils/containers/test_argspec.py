# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``containers`` gives back of what it was told."""

from __future__ import annotations

from ansible_collections.stowage.fleet.plugins.module_utils.containers.argspec import without_env


def test_values_of_variables_are_hidden_and_nothing_else():
    told = {"instances": [{"name": "a", "env": {"PASSWORD": "hush", "ID": 1}}, {"name": "b", "env": None}], "by": "me"}
    shown = without_env(told)
    assert "hush" not in str(shown)
    assert [list(instance["env"] or {}) for instance in shown["instances"]] == [["PASSWORD", "ID"], []]
    assert (shown["by"], [instance["name"] for instance in shown["instances"]]) == ("me", ["a", "b"])
    assert told["instances"][0]["env"]["PASSWORD"] == "hush", "the containers get theirs"
