# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet as inventory, with observations that are told instead of asked for."""

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.doc_fragments.constructed import ModuleDocFragment as Constructed
from ansible.plugins.doc_fragments.inventory_cache import ModuleDocFragment as Cached

from ansible_collections.stowage.fleet.plugins.inventory import fleet
from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import StowageError
from ansible_collections.stowage.fleet.tests.unit.plugins.plugin_options import with_options

NAME = "stowage.fleet.fleet"
HOSTS = {"h1": {"ansible_host": "192.0.2.1"}, "h2": {"ansible_host": "192.0.2.2"}}


def container(name="acme_web_0", **more):
    cluster, group, index = name.split("_")
    return {"name": name, "cluster": cluster, "group": group, "index": int(index), "state": "running", **more}


def seen(*containers, **more):
    """The result of host_info on a host."""
    host = {"engine": {"version": "27.0"}, "cpus": [], "labels": {}, "state": "active", "reserved": {},
            "resources": {"memory": 1 << 30}, "containers": list(containers), **more}
    return {"host": host}


class Fleet:
    """An inventory file of a fleet, and what its hosts answer."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.answers = {"h1": seen(), "h2": seen()}
        self.failure = None
        self.asked = []
        self.warnings = []
        self.inventory = InventoryData()
        monkeypatch.setattr(fleet, "observe", self.observe)

    def observe(self, hosts, sources, become, loader):
        self.asked.append({"hosts": list(hosts), "sources": sources, "become": become})
        if self.failure:
            raise StowageError(self.failure)
        return self.answers

    def warning(self, text, *_more, **_options):
        self.warnings.append(text)

    def write_hosts(self, hosts=None, variables=None, group="fleet"):
        text = yaml.safe_dump({group: {"hosts": HOSTS if hosts is None else hosts, "vars": variables or {}}})
        (self.folder / "hosts.yml").write_text(text)

    def parse(self, use_cache=True, **options):
        """Read the file with these options; return the inventory."""
        path = self.folder / "fleet.stowage.yml"
        path.write_text(yaml.safe_dump({"plugin": NAME, "sources": ["hosts.yml"], **options}))
        plugin = with_options(fleet.InventoryModule(), "inventory", NAME, fleet.DOCUMENTATION,
                              Constructed.DOCUMENTATION, Cached.DOCUMENTATION)
        plugin.display = self
        plugin.parse(self.inventory, DataLoader(), str(path), cache=use_cache)
        return self.inventory

    def variables(self, name):
        return self.inventory.get_host(name).vars

    def groups_of(self, name):
        return {group for group, members in self.inventory.get_groups_dict().items()
                if name in members} - {"all", "ungrouped"}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    found = Fleet(tmp_path, monkeypatch)
    found.write_hosts()
    return found


# the file

@pytest.mark.parametrize(("name", "taken"), [
    ("fleet.stowage.yml", True), ("fleet.stowage.yaml", True), (".stowage.yml", True),
    ("fleet.yml", False), ("stowage.yml", False), ("fleet.stowage.yml.bak", False),
])
def test_files_are_taken_by_their_ending(tmp_path, name, taken):
    (tmp_path / name).write_text("")
    assert fleet.InventoryModule().verify_file(str(tmp_path / name)) is taken


def test_a_file_that_is_not_there_is_not_taken(tmp_path):
    assert not fleet.InventoryModule().verify_file(str(tmp_path / "fleet.stowage.yml"))


def test_sources_are_found_beside_the_file_whatever_folder_ansible_runs_in(lab, monkeypatch):
    monkeypatch.chdir("/")
    lab.parse()
    assert lab.asked[0]["sources"] == [str(lab.folder / "hosts.yml")]


@pytest.mark.parametrize(("options", "sentence"), [
    ({"sources": ["none.yml"]}, "sources: there is no .*none.yml; expected a file or a directory"),
    ({"sources": ["fleet.stowage.yml"]}, "sources: the file names itself; expected the inventory with the hosts"),
    ({"group": "servers"}, "group: .*hosts.yml have no group servers"),
])
def test_what_is_wrong_with_the_file_is_told_before_a_host_is_asked(lab, options, sentence):
    with pytest.raises(AnsibleParserError, match=rf"fleet\.stowage\.yml: {sentence}"):
        lab.parse(**options)
    assert lab.asked == []


def test_a_failed_observation_is_told_with_the_file(lab):
    lab.failure = "hosts outside this run could not be observed: no ssh"
    with pytest.raises(AnsibleParserError, match=r"fleet\.stowage\.yml: hosts outside this run could not be observed"):
        lab.parse()


def test_the_hosts_of_the_group_are_asked_and_no_others(lab):
    (lab.folder / "hosts.yml").write_text(yaml.safe_dump({
        "servers": {"hosts": {"h2": {}, "h1": {}}}, "others": {"hosts": {"elsewhere": {}}}}))
    lab.parse(group="servers", become=True)
    assert (lab.asked[0]["hosts"], lab.asked[0]["become"]) == (["h1", "h2"], True)
    assert "elsewhere" not in lab.inventory.hosts


# hosts

def test_hosts_are_in_the_inventory_with_what_they_have(lab):
    lab.answers["h1"] = seen(labels={"zone": "a"}, state="cordoned")
    lab.parse()
    found = lab.variables("h1")
    assert (found["stowage_answers"], found["stowage_host_state"]) == (True, "cordoned")
    assert (found["stowage_host_labels"], found["stowage_host_resources"]) == ({"zone": "a"}, {"memory": 1 << 30})
    assert lab.groups_of("h1") == {"fleet_hosts", "zone_a"}


def test_hosts_are_reached_as_their_sources_say_and_nothing_else_is_taken_over(lab):
    lab.write_hosts({"h1": {"ansible_host": "192.0.2.1", "ansible_port": 2222, "secret": "x"}}, {"ansible_user": "ops"})
    lab.parse()
    found = lab.variables("h1")
    assert (found["ansible_host"], found["ansible_port"], found["ansible_user"]) == ("192.0.2.1", 2222, "ops")
    assert "secret" not in found


@pytest.mark.parametrize(("answer", "reason"), [
    ({"unreachable": True, "msg": "no route to host\nand more"}, "no route to host"),
    ({"failed": True}, "it does not answer"),
    (None, "it does not answer"),
])
def test_a_host_that_does_not_answer_stays_in_the_inventory_with_a_warning(lab, answer, reason):
    lab.answers = {"h1": answer, "h2": seen(container())}
    lab.parse()
    assert lab.variables("h1")["stowage_answers"] is False
    assert lab.warnings == [f"host h1: {reason}"]
    assert "acme_web_0" in lab.inventory.hosts


def test_variables_of_a_host_that_another_inventory_has_stay_as_they_are(lab):
    lab.inventory.add_host("h1")
    lab.inventory.set_variable("h1", "stowage_host_reserved", {"memory": "1g"})
    lab.parse()
    found = lab.variables("h1")
    assert found["stowage_host_reserved"] == {"memory": "1g"}
    assert "stowage_host_labels" not in found
    assert found["stowage_host_engine"] == {"version": "27.0"}


# containers

def test_a_container_is_in_the_groups_of_what_it_is_and_where(lab):
    lab.answers["h1"] = seen(container(grade="small", type="web"), labels={"zone": "a"})
    lab.parse()
    assert lab.groups_of("acme_web_0") == {
        "fleet_containers", "cluster_acme", "group_web", "group_acme_web", "host_h1", "grade_small", "type_web",
        "zone_a"}


def test_a_container_without_grade_and_type_on_a_host_without_a_zone_is_in_no_group_of_those(lab):
    lab.answers["h1"] = seen(container(grade="", type=""))
    lab.parse()
    assert lab.groups_of("acme_web_0") == {"fleet_containers", "cluster_acme", "group_web", "group_acme_web", "host_h1"}


def test_names_with_hyphens_become_groups_that_ansible_takes(lab):
    lab.answers["h1"] = seen(container("blue-team_web-1_0"))
    lab.parse()
    assert {"cluster_blue_team", "group_web_1", "group_blue_team_web_1"} <= lab.groups_of("blue-team_web-1_0")


def test_a_container_is_reached_through_its_host(lab):
    lab.write_hosts({"h1": {"ansible_host": "192.0.2.1", "ansible_port": 2222, "ansible_user": "ops"}})
    lab.answers["h1"] = seen(container())
    lab.parse()
    found = lab.variables("acme_web_0")
    assert (found["ansible_host"], found["ansible_port"], found["ansible_user"]) == ("192.0.2.1", 2222, "ops")
    assert (found["ansible_connection"], found["stowage_container"]) == ("stowage.fleet.container", "acme_web_0")
    assert found["ansible_remote_tmp"] == "/tmp"
    assert found["stowage_instance"] == {**container(), "host": "h1"}


def test_a_container_on_a_host_without_an_address_is_reached_by_the_hosts_name(lab):
    lab.write_hosts({"h1": {}})
    lab.answers["h1"] = seen(container())
    lab.parse()
    assert lab.variables("acme_web_0")["ansible_host"] == "h1"


def test_what_holds_on_the_host_alone_does_not_hold_in_its_containers(lab):
    here = {"ansible_become": True, "ansible_connection": "local", "ansible_python_interpreter": "/opt/python"}
    lab.write_hosts({"h1": here})
    lab.answers["h1"] = seen(container())
    lab.parse()
    assert lab.variables("h1").items() >= here.items()
    found = lab.variables("acme_web_0")
    assert "ansible_become" not in found
    assert "ansible_python_interpreter" not in found


@pytest.mark.parametrize(("host", "options", "sudo"), [
    ({}, {}, False),
    ({"ansible_become": True}, {}, True),
    ({"ansible_become": True}, {"become": False}, False),
    ({}, {"become": True}, True),
    ({"ansible_user": "root"}, {"become": True}, False),
])
def test_the_engine_is_asked_by_sudo_where_one_becomes_root_on_the_host(lab, host, options, sudo):
    lab.write_hosts({"h1": host})
    lab.answers["h1"] = seen(container())
    lab.parse(**options)
    assert lab.variables("acme_web_0").get("stowage_docker_command") == ("sudo -n docker" if sudo else None)


def test_groups_and_variables_of_ones_own_are_made_of_what_is_known(lab):
    lab.answers["h1"] = seen(container("acme_web_0"), container("acme_web_1", state="exited"))
    lab.parse(keyed_groups=[{"key": "stowage_instance.state", "prefix": "state"}],
              compose={"owner": "stowage_instance.cluster"}, groups={"first_ones": "stowage_instance.index == 0"})
    assert {"state_running", "first_ones"} <= lab.groups_of("acme_web_0")
    assert "state_exited" in lab.groups_of("acme_web_1")
    assert "first_ones" not in lab.groups_of("acme_web_1")
    assert lab.variables("acme_web_0")["owner"] == "acme"


# cache

CACHED = {"cache": True, "cache_plugin": "memory"}


@pytest.fixture
def remembered(lab, monkeypatch):
    """A cache that lasts from one reading to the next."""
    kept = {}

    def load(plugin):
        plugin._cache = kept

    monkeypatch.setattr(fleet.InventoryModule, "load_cache_plugin", load)
    return kept


def test_without_a_cache_hosts_are_asked_each_time(lab, remembered):
    lab.parse()
    lab.parse()
    assert (len(lab.asked), remembered) == (2, {})


def test_with_a_cache_hosts_are_asked_once(lab, remembered):
    lab.answers["h1"] = seen(container())
    lab.parse(**CACHED)
    lab.inventory = InventoryData()
    lab.parse(**CACHED)
    assert len(lab.asked) == 1
    assert "acme_web_0" in lab.inventory.hosts


def test_flushing_the_cache_asks_the_hosts_and_keeps_the_answer(lab, remembered):
    lab.parse(**CACHED)
    lab.answers["h1"] = seen(container())
    lab.parse(use_cache=False, **CACHED)
    assert len(lab.asked) == 2
    assert [results["h1"]["host"]["containers"] for results in remembered.values()] == [[container()]]


# what would be

DESIRED = {
    "stowage_grades": {"tiny": {"cpus": 0.1, "memory": "32m"}},
    "stowage_types": {"web": {"image": "web:1"}},
    "stowage_clusters": {"acme": {"groups": {"web": {"count": 2, "type": "web", "grade": "tiny"}}}},
}


def roomy(*containers, memory=1 << 30):
    cpus = [{"id": number, "core": number, "socket": 0, "node": 0} for number in range(2)]
    return seen(*containers, cpus=cpus, resources={"memory": memory, "disk": 0}, addresses=[], networks=[], others=[],
                volumes=[], ledger=None, images={}, settings=[], machine=None, pool="/pool", version=1)


def test_with_placement_instances_are_where_they_would_go(lab):
    lab.write_hosts({"h1": {}}, DESIRED)
    lab.answers = {"h1": roomy()}
    lab.parse(placement=True)
    for name in ("acme_web_0", "acme_web_1"):
        assert lab.variables(name)["stowage_action"] == "create"
        assert {"action_create", "host_h1", "cluster_acme"} <= lab.groups_of(name)


def test_with_placement_what_finds_no_place_is_a_warning(lab):
    lab.write_hosts({"h1": {}}, DESIRED)
    lab.answers = {"h1": roomy(memory=40 << 20)}
    lab.parse(placement=True)
    assert len(lab.inventory.get_groups_dict()["action_create"]) == 1
    (warning,) = lab.warnings
    assert "acme_web_" in warning
    assert "memory" in warning


def test_with_placement_a_wrong_desired_state_is_told_with_the_file(lab):
    lab.write_hosts({"h1": {}}, {**DESIRED, "stowage_types": {}})
    lab.answers = {"h1": roomy()}
    with pytest.raises(AnsibleParserError, match=r"fleet\.stowage\.yml: stowage_clusters\.acme\.groups\.web\.type"):
        lab.parse(placement=True)
