# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host shows of itself and of its containers."""

from __future__ import annotations

import collections
import json

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common import labels
from ansible_collections.stowage.fleet.plugins.module_utils.common.errors import EngineError, InvalidInput
from ansible_collections.stowage.fleet.plugins.module_utils.disks.pool import Pool, empty_record
from ansible_collections.stowage.fleet.plugins.module_utils.engine.client import NotFound
from ansible_collections.stowage.fleet.plugins.module_utils.host.ledger import write_ledger
from ansible_collections.stowage.fleet.plugins.module_utils.observation import facts

WHO = ("acme", "web", 0)
IMAGES = {"sha256:web": {"Id": "sha256:web", "Config": {}}}


def spec_of(**claims):
    return labels.make_spec(claims, "d1", "small", "web")


def inspected(name="acme_web_0", fleet="fleet", spec=None, **more):
    """A container as an engine inspects it; ``more`` goes into its HostConfig, State or NetworkSettings."""
    cluster, group, index = name.split("_")
    marks = labels.instance_labels(fleet, cluster, group, index, spec or spec_of(memory=64))
    return {
        "Id": name.upper(), "Name": f"/{name}", "Image": "sha256:web", "RestartCount": 0,
        "Config": {"Image": "web:1", "Labels": marks},
        "HostConfig": {"NetworkMode": "lan", "CpusetCpus": "", "Memory": 64, "NanoCpus": 0, **more.get("host", {})},
        "State": {"Status": "running", "ExitCode": 0, "StartedAt": "2026-01-01T00:00:00Z", **more.get("state", {})},
        "NetworkSettings": {"Networks": more.get("networks", {})},
        "Mounts": more.get("mounts", []),
    }


def described(spec=None, **more):
    return facts.describe("acme_web_0", WHO, inspected(**more), spec or spec_of(memory=64))


# one container

def test_a_container_is_told_with_its_parts_and_what_it_was_promised():
    found = described()
    assert (found["name"], found["fleet"], found["cluster"], found["group"], found["index"]) == (
        "acme_web_0", "fleet", "acme", "web", 0)
    assert (found["digest"], found["grade"], found["type"], found["claims"]) == ("d1", "small", "web", {"memory": 64})
    assert (found["image"], found["image_id"], found["state"]) == ("web:1", "sha256:web", "running")


def test_all_of_a_container_is_plain_json():
    assert json.loads(json.dumps(described())) == described()


def test_cores_are_told_of_those_who_own_them_and_the_cpuset_of_all():
    owner = described(spec_of(cores=2), host={"CpusetCpus": "2-3"})
    sharer = described(spec_of(cpus=0.5), host={"CpusetCpus": "2-3"})
    assert (owner["cores"], owner["cpuset"]) == ([2, 3], [2, 3])
    assert (sharer["cores"], sharer["cpuset"]) == ([], [2, 3])


@pytest.mark.parametrize(("nano", "cpus"), [(0, None), (None, None), (500_000_000, 0.5)])
def test_a_limit_of_cpus_is_a_number_of_cpus(nano, cpus):
    assert described(host={"NanoCpus": nano})["cpus"] == cpus


def test_a_container_whose_label_is_damaged_claims_the_memory_it_is_confined_to():
    found = facts.describe("acme_web_0", WHO, inspected(host={"Memory": 512, "CpusetCpus": "1"}), None)
    assert (found["claims"], found["cores"], found["digest"], found["grade"]) == ({"memory": 512}, [], "", "")


@pytest.mark.parametrize(("health", "told"), [(None, ""), ({}, ""), ({"Status": "healthy"}, "healthy")])
def test_health_is_empty_without_a_check(health, told):
    assert described(state={"Health": health})["health"] == told


def test_a_container_that_the_kernel_killed_for_its_memory_is_told_so():
    found = described(state={"Status": "exited", "OOMKilled": True, "ExitCode": 137})
    assert (found["state"], found["oom_killed"], found["exit_code"]) == ("exited", True, 137)


@pytest.mark.parametrize(("mode", "network"), [("default", "bridge"), ("bridge", "bridge"), ("", "bridge"),
                                               ("host", "host"), ("lan", "lan")])
def test_the_engines_names_of_its_default_network_are_one(mode, network):
    assert described(host={"NetworkMode": mode})["network"] == network


@pytest.mark.parametrize(("endpoint", "addresses"), [
    ({"IPAddress": "10.0.0.5", "GlobalIPv6Address": "fd00::5"}, ("10.0.0.5", "fd00::5")),
    ({"IPAddress": "", "IPAMConfig": {"IPv4Address": "10.0.0.5", "IPv6Address": "fd00::5"}}, ("10.0.0.5", "fd00::5")),
    ({"IPAddress": "", "IPAMConfig": None}, (None, None)),
    ({"IPAddress": "10.0.0.5", "GlobalIPv6Address": ""}, ("10.0.0.5", None)),
])
def test_a_stopped_container_keeps_the_addresses_that_it_will_have_again(endpoint, addresses):
    found = described(networks={"lan": endpoint})
    assert (found["address"], found["address6"]) == addresses


def test_the_address_is_that_of_its_own_network():
    found = described(networks={"other": {"IPAddress": "10.9.0.1"}, "lan": {"IPAddress": "10.0.0.5"}})
    assert found["address"] == "10.0.0.5"


def test_volumes_are_what_outlives_a_container():
    mounts = [{"Type": "volume", "Name": "v", "Source": "/v", "Destination": "/data"},
              {"Type": "bind", "Source": "/srv", "Destination": "/srv"}, {"Type": "tmpfs", "Destination": "/run"}]
    assert described(mounts=mounts)["volumes"] == [
        {"name": "v", "source": "/v", "target": "/data"}, {"name": None, "source": "/srv", "target": "/srv"}]


# the host

class Engine:
    """An engine that answers from memory and counts what it is asked for."""

    def __init__(self, *containers, networks=(), info=None):
        self.containers = {container["Id"]: container for container in containers}
        self.gone = set()
        self.networks = list(networks)
        self.looks = collections.Counter()
        self._info = {"ID": "E1", "DockerRootDir": "/", **(info or {})}

    def info(self):
        return self._info

    def version(self):
        return {"Version": "27.0", "ApiVersion": "1.46"}

    def list_networks(self):
        return self.networks

    def list_containers(self):
        return [{"Id": ident, "Names": [one["Name"]], "Labels": one["Config"]["Labels"], "ImageID": one["Image"]}
                for ident, one in self.containers.items()]

    def inspect(self, ident):
        self.looks[ident] += 1
        if ident in self.gone:
            raise NotFound("No such container")
        return self.containers[ident]

    def inspect_image(self, name):
        self.looks[name] += 1
        if name not in IMAGES:
            raise NotFound("No such image")
        return IMAGES[name]


@pytest.fixture
def observe(tmp_path, monkeypatch):
    """Observe a host with the given engine; return (host, warnings)."""
    monkeypatch.setattr(facts, "topology", lambda: [{"id": 0, "core": 0, "socket": 0, "node": 0}])
    monkeypatch.setattr(facts, "own_addresses", lambda: ["192.0.2.1"])
    monkeypatch.setattr(facts, "memory", lambda: 4 << 30)
    monkeypatch.setattr(facts, "disk", lambda pool, root: 100 << 30)
    monkeypatch.setattr(facts, "boot_id", lambda: "B1")
    monkeypatch.setattr(facts, "known_policies", lambda fleet: {"clusters": f"of {fleet}"})

    def run(engine, **params):
        monkeypatch.setattr(facts, "Engine", lambda address, timeout: engine)
        defaults = {name: option.get("default") for name, option in facts.HOST_INFO_SPEC.items()}
        folders = {"pool": str(tmp_path / "pool"), "state_dir": str(tmp_path / "state"), "host_name": "h1"}
        return facts.observe({**defaults, **folders, **params})

    return run


def names(containers):
    return [container["name"] for container in containers]


def test_a_host_is_told_with_what_it_has(observe):
    host, warnings = observe(Engine(), reserved={"memory": "1g"}, resources={"gpus": 2}, state="cordoned")
    assert (host["name"], host["state"], host["machine"]) == ("h1", "cordoned", "E1 B1")
    assert host["addresses"] == ["192.0.2.1"]
    assert host["resources"] == {"gpus": 2, "memory": 4 << 30, "disk": 100 << 30}
    assert host["reserved"] == {"memory": 1 << 30}
    assert (host["containers"], host["others"], host["volumes"], host["ledger"], warnings) == ([], [], [], None, [])


def test_a_host_without_a_name_of_its_own_has_that_of_the_machine(observe, monkeypatch):
    monkeypatch.setattr(facts.platform, "node", lambda: "node7")
    assert observe(Engine(), host_name=None)[0]["name"] == "node7"


def test_an_observation_is_plain_json(observe):
    host, _warnings = observe(Engine(inspected()), labels={"zone": "a"}, images=["sha256:web"])
    assert json.loads(json.dumps(host)) == host


@pytest.mark.parametrize(("value", "label"), [("a", "a"), (3, 3), (0.5, 0.5), (True, "True"), (None, "None")])
def test_labels_that_are_numbers_stay_numbers_for_rules_that_compare(observe, value, label):
    assert observe(Engine(), labels={"rack": value})[0]["labels"] == {"rack": label}


def test_an_old_engine_that_does_not_say_has_cgroups_of_version_1(observe):
    assert observe(Engine())[0]["engine"]["cgroup_version"] == 1
    assert observe(Engine(info={"CgroupVersion": "2"}))[0]["engine"]["cgroup_version"] == 2


def test_what_was_asked_for_wrongly_is_refused_before_the_engine_is_asked(observe):
    with pytest.raises(InvalidInput, match="is measured on the host"):
        observe(None, resources={"memory": "1g"})
    with pytest.raises(InvalidInput, match="not a valid name"):
        observe(None, fleet="Blue Fleet")


def test_a_network_is_told_with_its_first_pool_and_with_all():
    pools = [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1"}, {"Subnet": "fd00::/64"}]
    network = {"Name": "lan", "Driver": "macvlan", "Options": {"parent": "eth0"}, "IPAM": {"Config": pools}}
    found = facts._network(network)
    assert (found["subnet"], found["gateway"], found["parent"], found["pools"]) == (
        "10.0.0.0/24", "10.0.0.1", "eth0", pools)


@pytest.mark.parametrize("ipam", [None, {}, {"Config": None}, {"Config": []}])
def test_a_network_without_a_pool_has_no_subnet(ipam):
    found = facts._network({"Name": "none", "Driver": "null", "Options": None, "IPAM": ipam, "Labels": None})
    assert (found["subnet"], found["pools"], found["options"], found["labels"]) == (None, [], {}, {})


def test_instances_are_told_in_the_order_of_their_names_with_numbers_as_numbers(observe):
    engine = Engine(*map(inspected, ("acme_web_10", "acme_web_9", "acme_db_0", "abba_web_0")))
    assert names(observe(engine)[0]["containers"]) == ["abba_web_0", "acme_db_0", "acme_web_9", "acme_web_10"]


def test_the_containers_of_other_fleets_are_told_by_what_they_hold(observe):
    host, _warnings = observe(Engine(inspected(fleet="blue", spec=spec_of(cores=1), host={"CpusetCpus": "3"})))
    assert host["containers"] == []
    assert host["others"] == [{"name": "acme_web_0", "fleet": "blue", "claims": {"cores": 1}, "cores": [3],
                               "network": "lan", "address": None}]


def test_a_container_that_vanishes_meanwhile_is_left_out(observe):
    engine = Engine(inspected("acme_web_0"), inspected("acme_web_1"))
    engine.gone.add("ACME_WEB_0")
    host, warnings = observe(engine)
    assert (names(host["containers"]), warnings) == (["acme_web_1"], [])


def test_a_container_that_carries_labels_of_another_is_left_out_with_a_warning(observe):
    engine = Engine({**inspected("acme_web_1"), "Name": "/copy"})
    host, warnings = observe(engine)
    assert host["containers"] == []
    assert warnings == ["Container copy carries the fleet's label, but its other labels do not say its name"]


def test_a_container_that_a_broken_run_left_under_another_name_is_told_by_its_own(observe):
    engine = Engine({**inspected("acme_web_0"), "Name": "/acme_web_0.old"})
    host, warnings = observe(engine)
    assert (names(host["containers"]), warnings) == (["acme_web_0"], [])


def test_a_successor_that_never_took_its_place_is_not_told(observe):
    engine = Engine(inspected("acme_web_0"), {**inspected("acme_web_0"), "Id": "NEXT", "Name": "/acme_web_0.next"})
    host, _warnings = observe(engine)
    assert [(one["name"], one["id"]) for one in host["containers"]] == [("acme_web_0", "ACME_WEB_0")]


def test_what_was_changed_in_place_counts_more_than_the_label(observe, tmp_path):
    (tmp_path / "state/fleet").mkdir(parents=True)
    (tmp_path / "state/fleet/records.json").write_text(json.dumps({"ACME_WEB_0": spec_of(memory=128)}))
    host, _warnings = observe(Engine(inspected(spec=spec_of(memory=64))))
    assert host["containers"][0]["claims"] == {"memory": 128}


def test_an_image_is_looked_at_once_however_many_containers_have_it(observe):
    engine = Engine(*(inspected(f"acme_web_{index}") for index in range(9)))
    host, _warnings = observe(engine, images=["sha256:web", "db:1"])
    assert (engine.looks["sha256:web"], engine.looks["db:1"]) == (1, 1)
    assert host["images"] == {"sha256:web": "sha256:web", "db:1": None}


def test_containers_point_into_one_table_of_settings(observe):
    host, _warnings = observe(Engine(inspected("acme_web_0"), inspected("acme_web_1", host={"Privileged": True})))
    rows = [{host["settings"][position][0] for position in one["settings"]} for one in host["containers"]]
    assert rows[1] - rows[0] == {"privileged"}


def test_volumes_of_other_fleets_in_the_same_pool_are_theirs(observe, tmp_path):
    pool = Pool(str(tmp_path / "pool"))
    pool.prepare()
    for name, fleet in (("acme_db_0", "fleet"), ("acme_db_1", "blue")):
        pool.write_record({**empty_record(name), "fleet": fleet})
    assert names(observe(Engine())[0]["volumes"]) == ["acme_db_0"]


def test_a_volume_whose_record_can_not_be_read_is_told_to_every_fleet(observe, tmp_path):
    pool = Pool(str(tmp_path / "pool"))
    pool.prepare()
    (tmp_path / "pool/records/acme_db_0.json").write_text("{")
    (volume,) = observe(Engine())[0]["volumes"]
    assert (volume["name"], volume["state"]) == ("acme_db_0", "unreadable")


def test_a_damaged_ledger_is_a_warning_and_no_ledger(observe, tmp_path):
    (tmp_path / "state/fleet").mkdir(parents=True)
    (tmp_path / "state/fleet/ledger.json").write_text("{")
    host, warnings = observe(Engine())
    assert host["ledger"] is None
    assert ["ledger.json" in warning for warning in warnings] == [True]


PLAN = {"id": "p1", "serial": 5}
LEDGER = {"digest": "d", "own": {"h1": "of this host alone"}, "body": {"instances": [{"name": "acme_web_0"}]}}


def test_the_head_of_the_ledger_is_told_and_its_body_where_that_is_asked_for(observe, tmp_path):
    write_ledger(str(tmp_path / "state"), "fleet", PLAN, "alice@control", LEDGER)
    head = observe(Engine())[0]["ledger"]
    whole = observe(Engine(), ledger="body")[0]["ledger"]
    assert (head["serial"], head["plan_id"], head["by"]) == (5, "p1", "alice@control")
    assert not {"own", "body"} & set(head)
    assert whole["body"]["instances"] == [{"name": "acme_web_0"}]


def test_the_policy_that_the_host_was_told_last_is_told(observe):
    assert observe(Engine(), fleet="blue")[0]["policies"] == {"clusters": "of blue"}


def test_a_host_that_is_seen_again_tells_what_changes_while_it_is_worked_on(observe, tmp_path):
    engine = Engine(inspected(), inspected("acme_web_1", fleet="blue"))
    params = {"fleet": "fleet", "state_dir": str(tmp_path / "state"), "pool": str(tmp_path / "pool"), "parallel": 2}
    before, _warnings = observe(engine)
    after = facts.see_again(params, engine)
    assert after["volumes"] == before["volumes"]
    assert after["containers"] == [{key: value for key, value in container.items() if key != "settings"}
                                   for container in before["containers"]]


def test_an_engine_that_fails_while_it_is_asked_fails_the_observation(observe, monkeypatch):
    engine = Engine(inspected())

    def fail(ident):
        raise EngineError("the engine does not answer")

    monkeypatch.setattr(engine, "inspect", fail)
    with pytest.raises(EngineError, match="does not answer"):
        observe(engine)
