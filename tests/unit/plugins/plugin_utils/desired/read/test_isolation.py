# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk to whom, as it is written down and as hosts are told."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.network.filter import rules
from ansible_collections.stowage.fleet.plugins.module_utils.network.filter.policy import COMMON
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.apply.policies import (
    build_policies,
    clusters_by_host,
    in_parts,
)
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.complaints import Complaints
from ansible_collections.stowage.fleet.plugins.plugin_utils.desired.read.isolation import build_policy, isolate
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_utils.desired.fleets import instance, read, variables


def clusters(**acme):
    group = {"count": 1, "type": "db", "grade": "small"}
    return {"acme": {"groups": {"db": group}, **acme}, "globex": {"groups": {"web": group, "db": group}}}


def observed(name, host="h1", **more):
    cluster, group, index = name.split("_")
    return {"name": name, "cluster": cluster, "group": group, "index": int(index), "network": "lan", **more}


def test_clusters_are_isolated_unless_they_say_otherwise():
    desired, complaints = read(stowage_clusters=clusters(isolation=False))
    assert complaints == []
    assert not desired.clusters["acme"]["isolation"]
    assert desired.clusters["globex"]["isolation"]


@pytest.mark.parametrize(("rule", "sentence"), [
    ({"from": "nobody"}, "allow[0].from: 'nobody' is neither a cluster nor a network"),
    ({"from": "10.0.0.1/8"}, "allow[0].from: '10.0.0.1/8' is neither"),
    ({"ports": ["80/tcp"]}, "allow[0]: has neither from nor to"),
    ({"from": "globex", "to": "globex"}, "allow[0]: has from and to"),
    ({"from": "globex", "ports": ["http"]}, "allow[0].ports[0]: 'http' is not a port"),
    ({"from": "globex", "from_group": "app"}, "allow[0].from_group: 'app' is not a known group of globex"),
    ({"from": "globex", "to_group": "app"}, "allow[0].to_group: 'app' is not a known group of this cluster"),
    ({"from": "10.0.0.0/8", "from_group": "web"}, "allow[0].from_group: 'web' is given with a network"),
    ({"from": "acme"}, "allow[0]: is about acme itself"),
    ({"from": "globex", "port": 80}, "allow[0].port: unknown key"),
])
def test_a_bad_rule_is_refused_with_its_path(rule, sentence):
    _desired, complaints = read(stowage_clusters=clusters(allow=[rule]))
    assert len(complaints) == 1
    assert complaints[0].startswith(f"stowage_clusters.acme.{sentence}")


def test_rules_without_isolation_are_refused():
    _desired, complaints = read(stowage_clusters=clusters(isolation=False, allow=[{"from": "globex"}]))
    assert complaints == [
        "stowage_clusters.acme.allow: is given although isolation is off; expected one of the two"]


@pytest.mark.parametrize("options", [
    {"capabilities": {"add": ["net_raw"]}}, {"capabilities": {"add": ["CAP_NET_ADMIN"]}}, {"privileged": True},
    {"runtime": "other"}])
def test_what_would_undo_isolation_is_refused(options):
    complaints = Complaints()
    isolate(options, "stowage_types.db", complaints)
    assert len(complaints.sentences) == 1
    assert "isolation: false" in complaints.sentences[0]


def test_a_rule_between_clusters_opens_both_ends():
    desired, _complaints = read(stowage_clusters=clusters(
        allow=[{"from": "globex", "from_group": "web", "to_group": "db", "ports": ["80/tcp"]}]))
    members = [instance("acme_db_0", address="10.0.0.1"), instance("globex_web_0", address="10.0.0.2"),
               instance("globex_db_0", address="10.0.0.3")]
    policy = build_policy(desired.clusters, desired.networks, members, {"h1": {"addresses": ["10.0.0.9"]}})
    assert policy["clusters"]["acme"]["allow"] == [
        {"way": "in", "addresses": ["10.0.0.2"], "ports": ["80/tcp"], "groups": ["db"]}]
    assert policy["clusters"]["globex"]["allow"] == [
        {"way": "out", "addresses": ["10.0.0.1"], "ports": ["80/tcp"], "groups": ["web"]}]
    assert policy["protected"][0] == "10.0.0.9"
    for name in ("acme_db_0", "globex_web_0"):
        cluster = policy["clusters"][name.split("_", maxsplit=1)[0]]
        assert "80" in rules.render({**policy, **cluster}, name)


def test_members_that_come_are_peers_before_and_members_that_go_until_the_end():
    desired, _complaints = read(stowage_clusters=variables()["stowage_clusters"])
    planned = [instance("acme_db_0", action="keep"), instance("acme_db_1"), instance("acme_db_2", action="remove")]
    running = [observed("acme_db_0", address="10.0.0.10"), observed("acme_db_2", address="10.0.0.12")]
    seen = {"h1": {"containers": running}}
    found = build_policies(desired, planned, seen, {})
    names = {phase: {member["name"] for member in found[phase]["clusters"]["acme"]["members"]} for phase in found}
    assert names["before"] == names["during"] == {"acme_db_0", "acme_db_1", "acme_db_2"}
    assert names["after"] == {"acme_db_0", "acme_db_1"}


def test_what_moves_to_another_address_is_both_until_it_has_moved():
    desired, _complaints = read(stowage_clusters=variables()["stowage_clusters"])
    planned = [instance("acme_db_0", action="update", address="10.0.0.50")]
    seen = {"h1": {"containers": [observed("acme_db_0", address="10.0.0.10")]}}
    found = build_policies(desired, planned, seen, {})
    first = {phase: found[phase]["clusters"]["acme"]["members"][0]["address"] for phase in found}
    assert first == {"before": "10.0.0.10", "during": "10.0.0.50", "after": "10.0.0.50"}
    held = build_policies(desired, planned, seen, {"acme_db_0": "outside"})
    assert held["after"]["clusters"]["acme"]["members"][0]["address"] == "10.0.0.10"


def test_a_host_is_told_of_its_own_clusters_only():
    desired, _complaints = read(stowage_clusters=clusters())
    planned = [instance("acme_db_0", host="h1"), instance("globex_db_0", host="h2")]
    assert clusters_by_host(planned, {"h1": {}, "h2": {}}, ["h1", "h2"]) == {"h1": {"acme"}, "h2": {"globex"}}
    parts = in_parts(build_policies(desired, planned, {"h1": {}, "h2": {}}, {})["after"])
    assert sorted(parts) == [COMMON, "acme", "globex"]


def test_a_part_of_the_policy_changes_its_digest_only_with_its_own_cluster():
    desired, _complaints = read(stowage_clusters=clusters())
    planned = [instance("acme_db_0", host="h1"), instance("globex_db_0", host="h2")]
    more = [*planned, instance("acme_db_1", host="h2")]
    before, after = (in_parts(build_policies(desired, some, {"h1": {}}, {})["after"]) for some in (planned, more))
    assert before["acme"][0] != after["acme"][0]
    assert (before["globex"], before[COMMON]) == (after["globex"], after[COMMON])


@pytest.mark.parametrize(("more", "held"), [
    ({}, {"10.7.0.1", "fd00:7::1"}),
    ({"gateway": "10.7.0.9", "gateway6": "fd00:7::9"}, {"10.7.0.9", "fd00:7::9"}),
    ({"bridge": "br0"}, {"fd00:7::1"}),
    ({"options": {"com.docker.network.bridge.inhibit_ipv4": "true"}}, {"fd00:7::1"}),
    ({"driver": "macvlan"}, set()),
])
def test_what_engines_will_give_to_their_bridges_is_protected_before_they_have(more, held):
    network = {"driver": "bridge", "subnet": "10.7.0.0/24", "subnet6": "fd00:7::/64", **more}
    policy = build_policy({}, {"lan": network}, [], {"h1": {"addresses": ["192.0.2.1"]}})
    assert set(policy["protected"]) - {"192.0.2.1", "169.254.0.0/16", "fd00:ec2::254"} == held
