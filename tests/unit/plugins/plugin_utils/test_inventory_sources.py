# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts with one name are found in the files of an inventory, since Ansible makes one of them."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.inventory_sources import find_namesakes

TWICE_IN_A_MAPPING = """
fleet:
  hosts:
    h1: {ansible_host: 192.0.2.1}
    h2: {ansible_host: 192.0.2.2}
    h1: {ansible_host: 192.0.2.3}
"""
TWO_GROUPS_TWO_ADDRESSES = """
fleet:
  children:
    east: {hosts: {h1: {ansible_host: 192.0.2.1}}}
    west: {hosts: {h1: {ansible_host: 192.0.2.9}}}
"""
ONE_HOST_IN_TWO_GROUPS = """
fleet:
  hosts:
    h1: {ansible_host: 192.0.2.1, secret: !vault "x"}
east: {hosts: {h1: }}
west: {hosts: {h1: {ansible_host: 192.0.2.1}}}
"""
INI_TWO_ADDRESSES = """
top ansible_host=192.0.2.7
[fleet]
h1 ansible_host=192.0.2.1  # the old one
h1 ansible_host=192.0.2.2
[fleet:vars]
h1=no host
[both:children]
fleet
"""
INI_RANGES = """
[fleet]
h[1:3] ansible_port=22
[other]
h2 ansible_host=192.0.2.2
"""


def _find(folder, name, text):
    (folder / name).write_text(text)
    return [(place.rsplit("/", 1)[-1], sentence) for place, sentence in find_namesakes([str(folder / name)])]


def test_a_name_twice_in_one_mapping_is_named_with_both_lines(tmp_path):
    found = _find(tmp_path, "hosts.yml", TWICE_IN_A_MAPPING)
    assert found[0] == (
        "hosts.yml:6",
        "fleet.hosts.h1 stands here twice, first in line 4; expected one name for each machine",
    )


def test_two_addresses_for_one_name_are_named_with_both_places(tmp_path):
    ((place, sentence),) = _find(tmp_path, "hosts.yml", TWO_GROUPS_TWO_ADDRESSES)
    assert place == "hosts.yml:5"
    assert "192.0.2.9, and 192.0.2.1 in " in sentence


def test_ini_is_read_too(tmp_path):
    ((place, sentence),) = _find(tmp_path, "hosts", INI_TWO_ADDRESSES)
    assert place == "hosts:5"
    assert "192.0.2.2, and 192.0.2.1 in " in sentence


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hosts.yml", ONE_HOST_IN_TWO_GROUPS),
        ("hosts", INI_RANGES),
        ("fleet.stowage.yml", "plugin: stowage.fleet.fleet\n"),
        ("broken.yml", "a: [b"),
        ("empty.yml", ""),
    ],
)
def test_what_is_fine_or_not_static_is_let_be(tmp_path, name, text):
    assert _find(tmp_path, name, text) == []


def test_a_folder_is_read_as_ansible_reads_it(tmp_path):
    (tmp_path / "a.yml").write_text("fleet: {hosts: {h1: {ansible_host: 192.0.2.1}}}")
    (tmp_path / "b.yml").write_text("fleet: {hosts: {h1: {ansible_host: 192.0.2.2}}}")
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "h1.yml").write_text("hosts: {h1: {ansible_host: 192.0.2.3}}")
    (tmp_path / "script").write_text("#!/bin/sh\n")
    (tmp_path / "script").chmod(0o755)
    ((place, _sentence),) = find_namesakes([str(tmp_path)])
    assert place.endswith("/b.yml:1")


def test_a_list_of_hosts_on_the_command_line_is_no_file():
    assert find_namesakes(["h1,h2,"]) == []
