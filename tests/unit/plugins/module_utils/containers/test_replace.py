# Copyright: (c) 2026, The stowage.fleet maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of one container to what is wanted: which calls lead there from which state, and what breaks lead to."""

from __future__ import annotations

import pytest

from ansible_collections.stowage.fleet.plugins.module_utils.common.labels import SPEC, canonical_json
from ansible_collections.stowage.fleet.plugins.module_utils.containers import replace
from ansible_collections.stowage.fleet.plugins.module_utils.containers.replace import Result, grace_of
from ansible_collections.stowage.fleet.tests.unit.plugins.module_utils.containers.fake_engine import (
    Died,
    Engine,
    Networks,
    Policy,
    converger,
    job_of,
)

WEB = "acme_web_0"
ANONYMOUS = "ab" * 32
#: A replacement of a running container, call by call.
REPLACED = [
    f"create {WEB}.next",
    f"update {WEB} RestartPolicy",
    f"stop {WEB} 10",
    f"rename {WEB} {WEB}.old",
    f"rename {WEB}.next {WEB}",
    f"start {WEB}",
    f"remove {WEB}.old",
]
#: What follows in the place of the last when the successor does not start.
PUT_BACK = [
    f"rename {WEB} {WEB}.next",
    f"rename {WEB}.old {WEB}",
    f"remove {WEB}.next with volumes",
    f"update {WEB} RestartPolicy",
    f"start {WEB}",
]


@pytest.fixture(autouse=True)
def links(monkeypatch):
    """Links of containers in memory: ``known`` are remembered, and what ``bring`` is asked for is kept."""
    state = {"known": set(), "brought": [], "left": [], "answer": {"changed": False, "actions": [], "before": []}}

    def bring(engine, container, name, wanted, check):
        state["brought"].append((name, container["State"]["Status"], check))
        return state["answer"]

    monkeypatch.setattr(replace, "bring", bring)
    monkeypatch.setattr(replace, "has_links", lambda ident: ident in state["known"])
    monkeypatch.setattr(replace, "leave", state["left"].append)
    return state


@pytest.fixture
def engine():
    return Engine()


def converge(engine, job, **options):
    return converger(engine, **options).converge(job)


# state x wanted -> action, calls

REACHED = [
    (None, "started", "created", [f"create {WEB}", f"start {WEB}"]),
    (None, "stopped", "created", [f"create {WEB}"]),
    (None, "reserved", "created", [f"create {WEB}"]),
    ("created", "started", "started", [f"start {WEB}"]),
    ("exited", "started", "started", [f"start {WEB}"]),
    ("paused", "started", "started", [f"unpause {WEB}"]),
    ("running", "started", "none", []),
    ("restarting", "started", "none", []),
    ("running", "stopped", "stopped", [f"stop {WEB} 10"]),
    ("paused", "stopped", "stopped", [f"stop {WEB} 10"]),
    ("restarting", "stopped", "stopped", [f"stop {WEB} 10"]),
    ("running", "reserved", "stopped", [f"stop {WEB} 10"]),
    ("exited", "stopped", "none", []),
    ("created", "stopped", "none", []),
    ("exited", "reserved", "none", []),
    ("dead", "started", "recreated", [*REPLACED[:1], *REPLACED[3:]]),
    ("removing", "started", "recreated", [*REPLACED[:1], *REPLACED[3:]]),
    ("dead", "stopped", "recreated", [*REPLACED[:1], *REPLACED[3:5], *REPLACED[6:]]),
]


def with_state(engine, status, **options):
    if status:
        engine.add(job_of(**options), status)


@pytest.mark.parametrize(("status", "wanted", "action", "told"), REACHED)
def test_the_state_that_is_and_the_state_that_is_wanted_lead_to_calls(engine, status, wanted, action, told):
    with_state(engine, status)
    result = converge(engine, job_of(state=wanted))
    assert (result.action, result.failed, engine.told) == (action, False, told)


@pytest.mark.parametrize(("status", "wanted", "action", "_told"), REACHED)
def test_check_mode_tells_the_same_and_calls_nothing(engine, status, wanted, action, _told):
    with_state(engine, status)
    result = converge(engine, job_of(state=wanted), check=True)
    assert (result.action, result.failed, engine.told) == (action, False, [])


@pytest.mark.parametrize(("status", "wanted"), [row[:2] for row in REACHED])
def test_a_second_run_has_nothing_to_do(engine, status, wanted):
    with_state(engine, status)
    converge(engine, job_of(state=wanted))
    engine.told.clear()
    again = converge(engine, job_of(state=wanted))
    assert (again.action, again.to_dict()["diff"], engine.told) == ("none", {}, [])


@pytest.mark.parametrize(("status", "wanted", "told"), [
    ("running", "started", REPLACED),
    ("restarting", "started", REPLACED),
    ("paused", "started", REPLACED),
    ("exited", "started", [*REPLACED[:1], *REPLACED[3:]]),
    ("running", "stopped", [*REPLACED[:5], *REPLACED[6:]]),
    ("created", "stopped", [*REPLACED[:1], *REPLACED[3:5], *REPLACED[6:]]),
])
def test_another_image_replaces_the_container_from_any_state(engine, status, wanted, told):
    engine.add(job_of(), status)
    result = converge(engine, job_of(state=wanted, image="web:2"))
    assert (result.action, engine.told) == ("recreated", told)
    assert engine.state_of(WEB) == ("web:2", "running" if wanted == "started" else "created")
    assert engine.names() == [WEB]
    assert result.ident == engine.named(WEB)["Id"]


@pytest.mark.parametrize(("status", "told"), [
    ("running", [f"update {WEB} Memory MemorySwap"]),
    ("exited", [f"update {WEB} Memory MemorySwap", f"start {WEB}"]),
])
def test_more_memory_is_given_in_place(engine, status, told):
    engine.add(job_of(memory="64m"), status)
    result = converge(engine, job_of(memory="128m"))
    assert (result.action, engine.told) == ("updated", told)
    assert (result.before["memory"], result.after["memory"]) == (64 << 20, 128 << 20)


def test_a_change_in_place_that_the_engine_refuses_makes_a_new_container(engine):
    engine.add(job_of(memory="128m"))
    engine.refuses[f"update {WEB} Memory"] = "it uses more than that right now"
    result = converge(engine, job_of(memory="64m"))
    assert (result.action, engine.told) == ("recreated", REPLACED)
    assert "could not be changed in place: it uses more than that right now" in result.notes


def test_one_difference_that_needs_a_new_container_makes_one_for_all(engine):
    engine.add(job_of(memory="64m"))
    result = converge(engine, job_of(memory="128m", user="nobody"))
    assert (result.action, engine.told) == ("recreated", REPLACED)


def test_a_container_has_its_own_time_to_stop(engine):
    engine.add(job_of(stop_timeout=90))
    converge(engine, job_of(stop_timeout=90, state="stopped"))
    assert engine.told == [f"stop {WEB} 90"]


@pytest.mark.parametrize(("timeout", "grace"), [(None, 10), (0, 0), (30, 30)])
def test_the_time_to_stop_is_10_seconds_unless_said(timeout, grace):
    assert grace_of({"Config": {"StopTimeout": timeout}}) == grace


# what stands in the way

def test_a_container_that_the_fleet_does_not_own_is_left_alone(engine):
    engine.add(job_of(), fleet="blue")
    for result in (converge(engine, job_of(image="web:2")), converger(engine).remove(WEB)):
        assert result.failed
        assert result.to_dict()["msg"] == (
            f"a container named {WEB} is there that fleet fleet does not own; it was left alone")
    assert engine.told == []


def test_a_container_whose_network_failed_stays_as_it_is(engine):
    engine.add(job_of(network="lan"))
    result = converge(engine, job_of(network="lan", image="web:2"), networks=Networks(lan="no interface eth9"))
    assert (result.notes, engine.told) == (["its network failed: no interface eth9"], [])


def test_a_successor_that_the_engine_refuses_leaves_the_container_running(engine):
    engine.add(job_of())
    engine.refuses["create"] = "invalid mount"
    result = converge(engine, job_of(image="web:2"))
    assert (result.failed, result.notes[-1]) == (True, "invalid mount")
    assert (engine.told, engine.state_of(WEB)) == ([], ("web:1", "running"))


def test_an_image_that_would_have_to_be_fetched_is_a_difference_in_check_mode(engine):
    class NotHere:
        def find(self, name):
            return None

    engine.add(job_of())
    result = converge(engine, job_of(image="web:2"), check=True, images=NotHere())
    assert (result.action, result.after) == ("recreated", {"image": "web:2 (to be fetched)"})


# what breaks

def refuse_first_start(engine):
    """Have the successor refused, and whoever is started after it not."""
    start = engine.start

    def refused(ident):
        engine.start = start
        engine.refuses["start"] = "no such program"
        try:
            start(ident)
        finally:
            engine.refuses.clear()

    engine.start = refused


def test_a_successor_that_does_not_start_gives_way_to_the_old_container(engine):
    old = engine.add(job_of())
    refuse_first_start(engine)
    result = converge(engine, job_of(image="web:2"))
    assert result.failed
    assert result.notes[-1] == "the new container did not start, so the old one was put back: no such program"
    assert engine.told == [*REPLACED[:5], *PUT_BACK]
    assert (engine.names(), engine.state_of(WEB)) == ([WEB], ("web:1", "running"))
    assert old["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


def test_an_old_container_that_was_stopped_is_put_back_as_it_was(engine):
    engine.add(job_of(), "exited")
    refuse_first_start(engine)
    converge(engine, job_of(image="web:2"))
    assert engine.told[-3:] == PUT_BACK[:3]
    assert engine.state_of(WEB) == ("web:1", "exited")


def test_an_old_container_with_cores_that_are_promised_to_others_by_now_is_put_back_but_not_started(engine):
    engine.add(job_of(cores=[2, 3]))
    refuse_first_start(engine)
    converge(engine, job_of(image="web:2", cores=[2]))
    assert engine.told[-4:] == PUT_BACK[:4]
    assert engine.state_of(WEB) == ("web:1", "exited")


def run(engine, *jobs, lives_for=None):
    """Converge; when it dies on the way, that is all there is of it."""
    engine.told.clear()
    engine.lives_for = lives_for
    try:
        return [converge(engine, job) for job in jobs]
    except Died:
        return []
    finally:
        engine.lives_for = None


@pytest.mark.parametrize("calls", range(len(REPLACED)))
def test_a_replacement_that_dies_anywhere_is_finished_by_the_next_run(engine, calls):
    engine.add(job_of())
    assert run(engine, job_of(image="web:2"), lives_for=calls) == []
    assert engine.told == REPLACED[:calls]
    (result,) = run(engine, job_of(image="web:2"))
    assert (result.action, result.failed) == ("recreated", False)
    assert (engine.names(), engine.state_of(WEB)) == ([WEB], ("web:2", "running"))


@pytest.mark.parametrize("calls", range(len(REPLACED)))
def test_a_replacement_that_dies_anywhere_is_no_obstacle_to_another_one(engine, calls):
    engine.add(job_of())
    run(engine, job_of(image="web:2"), lives_for=calls)
    (result,) = run(engine, job_of(image="web:3"))
    assert (result.action, result.failed) == ("recreated", False)
    assert (engine.names(), engine.state_of(WEB)) == ([WEB], ("web:3", "running"))


@pytest.mark.parametrize("calls", range(len(REPLACED)))
def test_a_replacement_that_dies_anywhere_is_removed_whole(engine, calls):
    engine.add(job_of())
    run(engine, job_of(image="web:2"), lives_for=calls)
    result = converger(engine).remove(WEB)
    assert (result.action, result.failed, engine.names()) == ("removed", False, [])


@pytest.mark.parametrize("calls", range(5, 5 + len(PUT_BACK)))
def test_putting_back_that_dies_anywhere_is_finished_by_the_next_run(engine, calls):
    engine.add(job_of())
    refuse_first_start(engine)
    assert run(engine, job_of(image="web:2"), lives_for=calls) == []
    (result,) = run(engine, job_of())
    assert not result.failed
    assert (engine.names(), engine.state_of(WEB)) == ([WEB], ("web:1", "running"))
    assert engine.named(WEB)["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"


@pytest.mark.parametrize("calls", range(len(REPLACED)))
def test_anonymous_volumes_outlive_a_replacement_that_dies_anywhere(engine, calls):
    engine.add(job_of(), Mounts=[{"Type": "volume", "Name": ANONYMOUS, "Destination": "/data", "RW": True}])
    run(engine, job_of(image="web:2"), lives_for=calls)
    run(engine, job_of(image="web:2"))
    assert [mount["Name"] for mount in engine.named(WEB)["Mounts"]] == [ANONYMOUS]
    assert not [told for told in engine.told if told.startswith("remove volume")]


def test_volumes_that_have_no_place_in_the_successor_are_named(engine):
    engine.add(job_of(), Mounts=[{"Type": "volume", "Name": ANONYMOUS, "Destination": "/cache", "RW": True}])
    result = converge(engine, job_of(tmpfs=["/cache"]))
    assert result.notes[-1] == f"kept for their data, used by nothing now: volumes {ANONYMOUS}"


# what was promised

def test_a_new_promise_that_changes_nothing_about_the_container_is_recorded_beside_it(engine):
    records = {}
    engine.add(job_of(grade="small"), ident="c0")
    result = converge(engine, job_of(grade="large"), records=records)
    assert (result.action, result.before, result.after) == ("recorded", {"grade": "small"}, {"grade": "large"})
    assert records["c0"]["grade"] == "large"
    assert engine.told == []


def test_a_promise_that_is_what_the_label_says_again_needs_no_record(engine):
    engine.add(job_of(grade="small"), ident="c0")
    records = {"c0": job_of(grade="large").spec}
    assert converge(engine, job_of(grade="small"), records=records).action == "recorded"
    assert records == {}


def test_a_change_in_place_is_recorded_since_labels_stay(engine):
    records = {}
    engine.add(job_of(memory="64m"), ident="c0")
    wanted = job_of(memory="128m")
    converge(engine, wanted, records=records)
    assert records == {"c0": wanted.spec}
    assert converge(engine, wanted, records=records).action == "none"


def test_a_new_container_needs_no_record(engine):
    records = {}
    engine.add(job_of())
    wanted = job_of(image="web:2", grade="large")
    converge(engine, wanted, records=records)
    assert records == {}
    assert engine.named(WEB)["Config"]["Labels"][SPEC] == canonical_json(wanted.spec)


def test_check_mode_records_nothing(engine):
    records = {}
    engine.add(job_of(grade="small"))
    assert converge(engine, job_of(grade="large"), records=records, check=True).action == "recorded"
    assert records == {}


# what must be there before a start

def test_the_filter_of_an_isolated_container_is_remembered_before_it_starts(engine):
    converge(engine, job_of(), policy=Policy(engine, "acme"))
    assert engine.told == [f"create {WEB}", f"remember {WEB}", f"start {WEB}"]


def test_the_filter_of_a_replaced_container_is_forgotten_after_it_is_gone(engine):
    engine.add(job_of(), ident="c0")
    converge(engine, job_of(image="web:2"), policy=Policy(engine, "acme"))
    assert engine.told[-3:] == [f"start {WEB}", f"remove {WEB}.old", "forget c0"]


def test_links_are_remembered_before_a_container_starts(engine, links):
    engine.add(job_of(), "exited", ident="c0")
    links["known"].add("c0")
    converge(engine, job_of())
    assert links["brought"] == [(WEB, "exited", False)]


def test_changed_links_of_a_running_container_are_an_update(engine, links):
    engine.add(job_of())
    links["answer"] = {"changed": True, "actions": ["lan1 taken away"], "before": [{"name": "lan1"}]}
    result = converge(engine, job_of())
    assert (result.action, result.notes) == ("updated", ["links: lan1 taken away"])
    assert (result.before, result.after) == ({"links": [{"name": "lan1"}]}, {"links": []})


# cores of those who share

@pytest.mark.parametrize(("has", "wanted", "told"), [
    ("0,1,2,3", [2, 3], "2,3"),
    ("0,1", [1, 2], "1"),
    ("", [1, 2], "1,2"),
    ("0,1", [2, 3], "2,3"),
    ("1", [1, 2], None),
    ("1,2", [1, 2], None),
])
def test_a_sharing_container_leaves_the_cores_that_it_is_to_lose_and_gets_no_others(engine, has, wanted, told):
    container = engine.add(job_of())
    container["HostConfig"]["CpusetCpus"] = has
    converger(engine).yield_cores(job_of(cpuset=wanted))
    assert engine.told == ([f"update {WEB} CpusetCpus"] if told else [])
    assert container["HostConfig"]["CpusetCpus"] == (told or has)


@pytest.mark.parametrize("status", ["exited", "created", None])
def test_a_container_that_does_not_run_has_no_cores_to_leave(engine, status):
    with_state(engine, status)
    converger(engine).yield_cores(job_of(cpuset=[1]))
    assert engine.told == []


def test_a_container_that_can_not_leave_its_cores_yet_is_told_so_in_its_own_turn(engine):
    engine.add(job_of())
    engine.refuses["update"] = "no such cpu"
    converger(engine).yield_cores(job_of(cpuset=[99]))
    assert engine.told == []


# removal

@pytest.mark.parametrize(("status", "told"), [
    ("running", [f"stop {WEB} 10", f"remove {WEB} with volumes"]),
    ("paused", [f"stop {WEB} 10", f"remove {WEB} with volumes"]),
    ("exited", [f"remove {WEB} with volumes"]),
    ("created", [f"remove {WEB} with volumes"]),
])
def test_a_container_is_stopped_before_it_is_removed(engine, status, told):
    engine.add(job_of(), status)
    result = converger(engine).remove(WEB)
    assert (result.action, engine.told) == ("removed", told)
    assert result.before == {"image": "web:1", "state": status}


def test_what_is_gone_already_needs_no_removal(engine):
    result = converger(engine).remove(WEB)
    assert (result.action, result.failed, engine.told) == ("none", False, [])


def test_check_mode_removes_nothing(engine):
    engine.add(job_of())
    assert converger(engine, check=True).remove(WEB).action == "removed"
    assert engine.told == []


def test_volumes_without_a_name_go_with_their_container_and_named_ones_stay(engine):
    engine.add(job_of(), "exited", Mounts=[{"Type": "volume", "Name": ANONYMOUS}, {"Type": "volume", "Name": "named"},
                                           {"Type": "bind", "Source": "/srv"}])
    converger(engine).remove(WEB)
    assert engine.told == [f"remove {WEB} with volumes", f"remove volume {ANONYMOUS}"]


def test_a_removed_container_leaves_no_record_and_no_filter(engine):
    engine.add(job_of(), "exited", ident="c0")
    records = {"c0": job_of().spec}
    converger(engine, records=records, policy=Policy(engine, "acme")).remove(WEB)
    assert records == {}
    assert engine.told[-1] == "forget c0"


def test_leases_are_given_back_when_a_container_with_links_goes(engine, links):
    engine.add(job_of(), ident="c0")
    links["known"].add("c0")
    converger(engine).remove(WEB)
    assert links["left"] == ["c0"]


def test_an_engine_that_refuses_to_remove_is_quoted(engine):
    engine.add(job_of(), "exited")
    engine.refuses["remove"] = "device busy"
    result = converger(engine).remove(WEB)
    assert (result.failed, result.notes) == (True, ["device busy"])


# results

def test_the_most_important_action_names_a_result():
    result = Result(WEB)
    for action in ("started", "recreated", "updated"):
        result.did(action, action)
    found = result.to_dict("running", "healthy")
    assert (found["action"], found["changed"], found["msg"]) == ("recreated", True, "started; recreated; updated")


def test_a_result_without_differences_has_an_empty_diff():
    found = Result(WEB).to_dict()
    assert (found["action"], found["changed"], found["failed"], found["diff"]) == ("none", False, False, {})
