# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator sees of changed filters: a line for each sort of change, not the filters' text."""

from __future__ import annotations

from ansible_collections.stowage.fleet.plugins.module_utils.containers.filters import _drawn


def filter_of(*members, rule="accept"):
    listed = ", ".join(members)
    copies = "".join(f"dup to {member}\n" for member in members)
    pairs = ", ".join(f"02:42:ac:1e:00:81 . {member}" for member in members)
    return (
        "table ip stowage {\nset near { type ether_addr . ipv4_addr\n"
        f"elements = {{ {pairs} }}\n}}\nset peers {{ type ipv4_addr\nelements = {{ {listed} }}\n}}\n"
        f"set protected {{ type ipv4_addr\nelements = {{ 10.0.0.1 }}\n}}\n{copies}{rule}\n}}\n"
    )


def changed(name, before, after):
    return {"name": name, "changed": True, "diff": {"before": before, "after": after}}


def test_members_that_come_and_go_are_one_line_for_all_that_learn_of_them():
    before, after = filter_of("10.0.0.2", "10.0.0.3"), filter_of("10.0.0.2", "10.0.0.4")
    lines = _drawn([changed("acme_web_0", before, after), changed("acme_db_0", before, after)])
    assert lines == "~ packet filter of acme_web_0, acme_db_0: +10.0.0.4, -10.0.0.3\n"


def test_other_changes_are_named_as_what_they_are():
    before = filter_of("10.0.0.2")
    assert _drawn([changed("acme_web_0", "", before)]) == "~ packet filter of acme_web_0: made\n"
    assert _drawn([changed("acme_web_0", before, filter_of("10.0.0.2", rule="drop"))]).endswith(": rules\n")
    assert _drawn([changed("acme_web_0", before, filter_of("10.0.0.2", "10.0.0.9", rule="drop"))]).endswith(
        ": +10.0.0.9, rules\n")
    assert _drawn([{"name": "acme_web_0", "changed": True}]) == ""
