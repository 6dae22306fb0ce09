# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory says of hosts is judged before any host is asked: one that refuses it would be left out."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.complaints import Complaints
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.hosts import VARIABLES, check_hosts


def _complaints(**variables):
    complaints = Complaints()
    check_hosts({"h1": {f"stowage_host_{name}": value for name, value in variables.items()}}, complaints)
    return complaints.sentences


@pytest.mark.parametrize(
    ("variables", "path", "words"),
    [
        ({"labels": ["a"]}, "labels", "['a'] is not a mapping"),
        ({"labels": {"zone": ["a"]}}, "labels.zone", "['a'] is not a plain value"),
        ({"resources": {"gpus": "many"}}, "resources.gpus", "'many' is not a size"),
        ({"resources": {"gpus": float("inf")}}, "resources.gpus", "inf is not a size"),
        ({"resources": {"memory": "64g"}}, "resources.memory", "is measured on the host"),
        ({"reserved": {"cores": -1}}, "reserved.cores", "-1 is not a number of cores"),
        ({"reserved": {"cores": 1.5}}, "reserved.cores", "1.5 is not a number of cores"),
        ({"reserved": {"memory": "lots"}}, "reserved.memory", "'lots' is not a size"),
        ({"reserved": {"gpus": 1}}, "reserved.gpus", "is no resource of this host"),
        ({"state": "drain"}, "state", "'drain' is not known (did you mean drained?); expected one of active"),
    ],
)
def test_a_wrong_variable_of_a_host_is_refused_with_its_path(variables, path, words):
    (sentence,) = _complaints(**variables)
    assert sentence.startswith(f"host h1.stowage_host_{path}: ")
    assert words in sentence


def test_what_a_host_takes_is_taken():
    assert _complaints(
        labels={"zone": "a", "rack": 7}, reserved={"cores": 1, "memory": "1g", "gpus": 1}, resources={"gpus": 4},
        state="cordoned",
    ) == []


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        (["stowage_host_label"], ["host h1.stowage_host_label"]),
        (["stowage_hosts_state"], ["host h1.stowage_hosts_state"]),
        (["stowage_host_label", "stowage_host_labels"], []),
        (["stowage_host_state_note", "stowage_observed", "host_label"], []),
    ],
)
def test_a_variable_that_is_almost_one_of_ours_is_refused_where_that_one_is_missing(given, refused):
    complaints = Complaints()
    complaints.spelling("host h1.", given, VARIABLES)
    assert [sentence.partition(": ")[0] for sentence in complaints.sentences] == refused
